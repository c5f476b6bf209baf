"""Lines beside the fields of a page that say what is wrong: they come, and go when it is mended."""

import functools
import html
import inspect

import gradio as gr

from lib.tabs import context, player, visitor

FAULTS = (ValueError, InterruptedError)  # a visitor caused them, and their words are for the visitor
GENERAL = ""  # name of the line for what is about no field


def shown(words):
    """Update of a line: with words it is there, and read out by screen readers; without it is not."""
    if not words:
        return gr.HTML("", visible=False)
    return gr.HTML(f'<p role="alert">{html.escape(words)}</p>', visible=True)


class Hints:
    """The lines of one tab, or a part of it, {name of the field: gr.HTML}, made where the field lies."""

    def __init__(self, whole=None):
        """whole: the Hints of which these are a part; its lines serve for fields that have none here."""
        self.whole = whole
        self.lines = {}

    def all(self):
        """{name of the field: gr.HTML} of the part and, where it has none, of the whole."""
        return (self.whole.all() if self.whole else {}) | self.lines

    def beside(self, name=GENERAL):
        """Make the line of a field here; without a name that of the whole tab."""
        self.lines[name] = gr.HTML(visible=False, elem_classes="hint")
        return self.lines[name]

    def watch(self, name, components, check=None):
        """Look at a field again whenever one of `components` changes, the field's own and those it hangs on.

        check(*their values) raises ValueError while it is wrong; without `check` any change takes the line
        away."""

        def look(*values):
            try:
                if check:
                    check(*values)
            except ValueError as error:
                return shown(str(error))
            return shown("")

        changes = [component.change for component in components]
        gr.on(changes, look, components, self.lines[name], trigger_mode="always_last", **context.LIGHT)

    def stop(self, button, press, run):
        """Make a button Stop: it ends the event `run`, silences the player, and says so."""

        def halted(request: gr.Request):
            return shown(press(request))

        button.click(halted, None, self.lines[GENERAL], cancels=[run], js=player.HUSH, **context.LIGHT)

    def outputs(self):
        """All lines, as the last outputs of what `telling` wraps."""
        return list(self.all().values())

    def say(self, error=None):
        """Updates of all lines: the words of an error where they belong, nothing elsewhere."""
        words = str(error) if error else ""
        names = list(self.all())
        name = getattr(error, "field", GENERAL)
        if name not in names:
            name = GENERAL
        lines = dict.fromkeys(names, "")
        lines[name] = words
        return [shown(line) for line in lines.values()]

    def failed(self, error, results):
        """Updates after an error: `results` outputs stay as they are, the lines say what it was."""
        if not isinstance(error, FAULTS):
            error = OSError(visitor.DISK)
        return [*[gr.skip()] * results, *self.say(error)]

    def telling(self, function, results):
        """Make `function` one that never fails: what a visitor can cause, and a full disk, is said beside the
        fields, and the results stay as they are.

        function returns `results` values, or yields them; the updates of the lines come behind."""
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def call(*given, **more):
                try:
                    for values in function(*given, **more):
                        yield [*values, *self.say()]
                except (*FAULTS, OSError) as error:
                    yield self.failed(error, results)

        else:

            @functools.wraps(function)
            def call(*given, **more):
                try:
                    return [*function(*given, **more), *self.say()]
                except (*FAULTS, OSError) as error:
                    return self.failed(error, results)

        return call
