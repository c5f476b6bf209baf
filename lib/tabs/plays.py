"""Buttons that play one sound each: for a blind test, and for a before and an after in one look."""

import base64
import tempfile
from pathlib import Path

import gradio as gr
import numpy as np

from lib import audio
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


def side_by_side(sounds):
    """Buttons that play the beginnings of {label: (rate, wav [T])} at one level.

    Nothing is marked here: a result carries its mark, and what a visitor brought was not made here."""
    cut = {label: (rate, wav[: COMPARED_SECONDS * rate]) for label, (rate, wav) in sounds.items()}
    loud = {label: audio.normalise(wav) for label, (_, wav) in cut.items()}
    level = min(audio.speech_level(wav) for wav in loud.values())  # which all can reach without clipping
    buttons = []
    for label, (rate, _) in cut.items():
        gain = 10 ** ((level - audio.speech_level(loud[label])) / 20)
        sound = audio.encoded(loud[label] * np.float32(gain), rate)
        buttons.append(button(f"Compare: {label.lower()}", sound, "flac"))
    return buttons


def matched(wav):
    """Bytes of a wav of speech [T] at 16 kHz, marked as made by a machine, at the level of all others."""
    speech = Speech(audio.RATE, audio.normalise(wav))
    with tempfile.TemporaryDirectory(prefix="voice-atlas-") as folder:
        return Path(speech.save(Path(folder) / "sound.wav")).read_bytes()
