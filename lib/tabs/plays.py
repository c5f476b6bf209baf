"""Buttons that play one sound each: for a blind test, and for a before and an after in one look."""

import base64
import tempfile
from pathlib import Path

import gradio as gr
import numpy as np

from lib import audio
from lib.audio.levels import SILENT_DB
from lib.voices.speech import Speech

COMPARED_SECONDS = 10  # of each of several sounds side by side: more is not compared, and takes long to send
TEMPLATE = """<div class="plays">{{#each value}}<button type="button" aria-pressed="false">
<span>{{this.label}}</span></button>{{/each}}</div>"""
SCRIPT = Path(__file__).with_name("plays.js").read_text()


def build(value=None, **more):
    """The gr.HTML of buttons; value: a list of what `button` gives."""
    return gr.HTML(value or [], html_template=TEMPLATE, js_on_load=SCRIPT, apply_default_css=False, **more)


def button(label, sound, kind="wav"):
    """What one button says, and the bytes of the wav (or flac) that it plays."""
    address = f"data:audio/{kind};base64,{base64.b64encode(sound).decode()}"
    return {"label": label, "sound": address}


def levelled(wavs):
    """{label: wav [T]} at the highest level that all can reach without clipping.

    What holds hardly any sound stays as it is: it would be hiss, and the others would be as quiet as it."""
    loud = {}
    for label, wav in wavs.items():
        if audio.speech_level(wav) > SILENT_DB:
            loud[label] = audio.normalise(wav)
    levels = {label: audio.speech_level(wav) for label, wav in loud.items()}
    made = dict(wavs)
    for label, wav in loud.items():
        gain = 10 ** ((min(levels.values()) - levels[label]) / 20)
        made[label] = wav * np.float32(gain)
    return made


def side_by_side(sounds):
    """Buttons that play the beginnings of {label: (rate, wav [T])} at one level.

    Nothing is marked here: a result carries its mark, and what a visitor brought was not made here."""
    cut = {label: wav[: COMPARED_SECONDS * rate] for label, (rate, wav) in sounds.items()}
    buttons = []
    for label, wav in levelled(cut).items():
        rate, _ = sounds[label]
        buttons.append(button(f"Compare: {label.lower()}", audio.encoded(wav, rate), "flac"))
    return buttons


def compared(sounds):
    """Update of `build` for {label: (rate, wav [T])} side by side; one alone is not compared."""
    if len(sounds) < 2:
        return gr.update(value=[], visible=False)
    return gr.update(value=side_by_side(sounds), visible=True)


def matched(wav):
    """Bytes of a wav of speech [T] at 16 kHz, marked as made by a machine, at the level of all others."""
    speech = Speech(audio.RATE, audio.normalise(wav))
    with tempfile.TemporaryDirectory(prefix="voice-atlas-") as folder:
        return Path(speech.save(Path(folder) / "sound.wav")).read_bytes()
