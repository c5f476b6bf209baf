"""What a visitor made on one tab in this visit, to hear again, keep, and use again.

It stays on the server, in the visitor's own gr.State; its files go when the visitor says so, when the state
ends, and an hour after they were made like all others."""

import contextlib
import uuid
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from lib.tabs import context, visitor

MOST = 12  # results that can be looked over
MOST_BYTES = 20_000_000  # of their files: two of the longest at 48 kHz, or all twelve of ordinary length
TITLE, EARLIER = "Results of this visit", "Earlier result"
NOTE = "The newest comes first. They are kept for you alone, for an hour, or until you let them be forgotten."
LETTERS = 60  # of a label


@dataclass(frozen=True)
class Result:
    """number: the first of a visit is 1.  label: what it is called in the list.  paths: its sound, then its
    picture.  fields: what the fields of the tab held.  taken: the voice from another tab, or None."""

    number: int
    label: str
    paths: tuple
    fields: tuple
    taken: dict | None = None

    def is_there(self):
        """Whether its sound has not been deleted."""
        return Path(self.paths[0]).is_file()

    def size(self):
        """Bytes of its files."""
        return sum(Path(path).stat().st_size for path in self.paths if Path(path).is_file())


def forget(results):
    """Delete the files of results; None is none of them."""
    for result in results or ():
        for path in result.paths:
            with contextlib.suppress(OSError):
                Path(path).unlink(missing_ok=True)


def added(results, words, paths, fields, taken=None):
    """Give (the new Result, *results) within MOST and MOST_BYTES; the files of those beyond are deleted.

    results: newest first, or None; those whose sound has gone are left out."""
    results = results or ()
    last = results[0].number if results else 0
    number = last + 1
    label = f"{number}. {words}"
    if len(label) > LETTERS:
        label = f"{label[: LETTERS - 1]}…"
    kept, size = [], 0
    for result in (Result(number, label, tuple(paths), tuple(fields), taken), *results):
        size += result.size()
        is_room = len(kept) < MOST and size <= MOST_BYTES
        if not kept or (is_room and result.is_there()):  # the newest is there however long it is
            kept.append(result)
        else:
            forget([result])
    return tuple(kept)


def chosen(results, label):
    """The Result that is called `label`.  Raises WrongField where there is none, or its sound has gone."""
    for result in results or ():
        if result.label == label and result.is_there():
            return result
    raise visitor.WrongField(
        TITLE, "choose one that is still there: they go an hour after they were made."
    )


def present(path):
    """An uploaded clip of an earlier result, or None where it has been deleted."""
    return path if path and Path(path).is_file() else None


def again(taken):
    """Update of the gr.State of a voice from another tab: the one that was used, sent anew."""
    if not taken:
        return gr.skip()
    return taken | {"stamp": uuid.uuid4().hex}


def shown(results):
    """Updates of History.outputs() after `results` changed: none of them is chosen."""
    labels = [result.label for result in results]
    return (
        results,
        gr.Accordion(visible=bool(labels)),
        gr.Radio(labels, value=None),
        gr.Audio(value=None),
    )


class History:
    """The list of one tab, laid out at once inside a gr.Blocks."""

    def __init__(self, hints):
        self.hints = hints
        self.state = gr.State((), time_to_live=context.STATE_SECONDS, delete_callback=forget)
        with gr.Accordion(TITLE, open=False, visible=False) as self.box:
            gr.Markdown(NOTE)
            self.choice = gr.Radio([], label=TITLE, elem_classes="history")
            hints.beside(TITLE)
            self.sound = gr.Audio(
                label=EARLIER,
                interactive=False,
                autoplay=True,
                buttons=["download"],
                waveform_options=context.colours(),
                elem_classes="result",
            )
            with gr.Row():
                self.again = gr.Button("Use its settings again", min_width=120)
                self.clear = gr.Button("Forget all results", min_width=120)

    def outputs(self):
        """What `shown` updates."""
        return [self.state, self.box, self.choice, self.sound]

    def connect(self, fields, clips, consent, results, taken=None, emptied=None):
        """Let the buttons work.

        fields: components in the order of Result.fields; clips: those of them that hold an upload, which may
        be gone.  consent: the box, which an earlier tick does not fill.  taken: the gr.State of a voice from
        another tab, where the tab takes one.  results, emptied: as `connect_list` has them."""
        self.connect_list(results, emptied)
        are_clips = [field in clips for field in fields]
        sends = [taken] if taken else []

        def use(label, kept):
            result = chosen(kept, label)
            values = []
            for value, is_clip in zip(result.fields, are_clips, strict=True):
                if is_clip:
                    value = present(value)
                values.append(value)
            values.append(False)  # the box of consent
            if sends:
                values.append(again(result.taken))
            return values

        self.connect_again(use, [], [*fields, consent, *sends])

    def connect_again(self, use, more, filled):
        """Let the button work that uses a result again: use(label, results, *more) fills the components."""
        self.again.click(
            self.hints.telling(use, len(filled)),
            [self.choice, self.state, *more],
            [*filled, *self.hints.outputs()],
            **context.SENDING,
        )

    def connect_list(self, results, emptied=None):
        """Let the list play, and the button empty it.

        results: components that show the last result, and are emptied with the list.  emptied(): what they
        hold then; by default nothing, each of them."""
        emptied = emptied or (lambda: [None] * len(results))

        def play(label, kept):
            return [chosen(kept, label).paths[0]]

        def empty(kept):
            forget(kept)
            return *emptied(), *shown(())

        self.choice.input(
            self.hints.telling(play, 1),
            [self.choice, self.state],
            [self.sound, *self.hints.outputs()],
            **context.LIGHT,
        )
        self.clear.click(empty, self.state, [*results, *self.outputs()], **context.LIGHT)
        self.hints.watch(TITLE, [self.choice])

