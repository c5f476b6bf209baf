"""What every tab is given: the voices, its neighbours on the page, where the atlas lies."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from lib import show
from lib.paths import ATLAS

STATE_SECONDS = 3600  # what a visitor made is forgotten an hour after the page was closed
GREY = "#737373"  # readable on white and on black
# What answers at once: private, and not on the queue, so that it never waits behind somebody's speech.
LIGHT = dict(api_visibility="private", show_progress="hidden", queue=False)
# What sends a voice to another tab: on the queue, as only there a page is told that a gr.State has changed.
SENDING = dict(api_visibility="private", show_progress="hidden", concurrency_limit=None)
# Voices take turns by sentence, so that a short request is not stuck behind long ones.
SPEAKERS_AT_ONCE = 8
OTHERS_AT_ONCE = 2  # separation and conversion hold more memory and take no turns


@dataclass(frozen=True)
class Context:
    """voices: lib.voices.Voices.  tabs: the gr.Tabs of the page.  atlas: folder of the map.

    taken: the gr.State where a tab puts a voice for Speak and Convert: None or a dict of name, spk_emb (a
    list of D numbers) and a stamp, which makes it differ from the one before."""

    voices: object
    tabs: gr.Tabs
    taken: gr.State
    atlas: Path = ATLAS

    def has(self, need):
        """Whether one of the NEEDS of a tab is there.

        need: a checkpoint; "atlas", the map; or models of which one will do, {model: checkpoints}."""
        if need == "atlas":
            return Path(self.atlas).is_dir()
        if isinstance(need, dict):
            return bool(self.voices.bundle.installed(need))
        return self.voices.bundle.has(need)


def state(value=None):
    """A gr.State for what a visitor made: it stays on the server."""
    return gr.State(value, time_to_live=STATE_SECONDS)


def colours():
    """How a player draws a waveform."""
    return gr.WaveformOptions(waveform_color=GREY, waveform_progress_color=show.COLOURS[0])


def lenient(component):
    """A slider or a number whose limits are checked by our functions, which name the field, not by gradio."""
    component.preprocess = lambda payload: payload
    return component


def upload(label, value=None, **more):
    """A gr.Audio where a visitor brings a clip."""
    return gr.Audio(
        value,
        label=label,
        sources=["upload", "microphone"],
        type="filepath",
        buttons=[],
        waveform_options=colours(),
        elem_classes="reference",
        **more,
    )


def brought(hints, name, label, paths, title, first, **more):
    """An upload under its bundled examples {label: path}, and the line beside it: (upload, choice).

    name: of the field, in messages; title: of the examples, of which `first` is chosen at first."""
    clip = upload(label, paths[first], render=False, **more)
    choice = example_radio(paths, title, clip, first)
    clip.render()
    hints.beside(name)
    return clip, choice


def run_and_stop(hints, label):
    """The button that starts the work of a tab and the one that stops it, and the line under both."""
    with gr.Row():
        go = gr.Button(label, variant="primary", min_width=120, scale=3)
        halt = gr.Button("Stop", min_width=80)
    hints.beside()
    return go, halt


def picture(label, says, **more):
    """A gr.Image of something drawn here; says: what is to be seen, for those who cannot see it."""
    return gr.Image(
        show_label=False,
        label=label,
        interactive=False,
        buttons=[],
        min_width=100,
        alt_text=says,
        **more,
    )


def example_radio(paths, label, clip, value=None):
    """A gr.Radio of bundled examples {label: path} that fills the upload `clip`."""
    choice = gr.Radio(
        list(paths), value=value, label=label, info="Virtual voices: nobody stands behind them."
    )
    choice.input(paths.get, choice, clip, **LIGHT)
    gr.on([clip.upload, clip.stop_recording, clip.clear], None, None, choice, js="() => null", **LIGHT)
    return choice
