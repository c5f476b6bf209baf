"""The public functions of the app: fields of their own, each with a name and a description.

A page has sliders, players and pictures that change; a script wants plain values that mean the same tomorrow.
So every public function has hidden fields, apart from the page."""

import gradio as gr

from lib.tabs import context, visitor


def described(component, words):
    """Make `component` one that says what it holds wherever the API is described."""
    info = component.api_info() | {"description": words, "additional_description": words}
    component.api_info = lambda: info
    return component


def clip(name, words, value=None):
    """An uploaded sound."""
    return described(gr.Audio(value, label=name, type="filepath"), words)


def words(name, description, value=None):
    """A text or a name."""
    return described(gr.Textbox(value, label=name, max_length=None), description)


def number(name, description, value=None):
    """A number; its limits are checked by the function, which names the field."""
    return described(context.lenient(gr.Number(value, label=name)), description)


def tick(name, description):
    """Yes or no; no where nothing is said."""
    return described(gr.Checkbox(False, label=name), description)


def sound(name, description):
    """A sound that was made."""
    return described(gr.Audio(label=name, type="filepath", interactive=False), description)


def picture(name, description):
    """A picture that was drawn."""
    return described(gr.Image(label=name, type="filepath", interactive=False), description)


def file(name, description):
    """A file that was made."""
    return described(gr.File(label=name, type="filepath", interactive=False), description)


def values(name, description):
    """Numbers and names, as JSON."""
    return described(gr.JSON(label=name), description)


def choice(name, description, choices, value):
    """One of several words, checked by the function."""
    return described(context.lenient(gr.Radio(choices, value=value, label=name)), description)


def hidden():
    """Where the fields of a public function lie."""
    return gr.Group(visible=False)


def publish(function, takes, gives, name, **limits):
    """Make `function` public as /name, from the fields `takes` to the fields `gives`, inside of `hidden`.

    What a visitor can cause comes as an error whose words begin with the name of the field."""
    trigger = gr.Button(name)
    answer = visitor.answering(function)
    trigger.click(answer, takes, gives, api_name=name, show_progress="hidden", **limits)
