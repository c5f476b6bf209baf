"""Buttons that play one sound each: for a blind test, and for a before and an after in one look."""

import base64
import tempfile
from pathlib import Path

import gradio as gr

from lib import audio
from lib.voices.speech import Speech

TEMPLATE = """<div class="plays">{{#each value}}<button type="button" aria-pressed="false">
<span>{{this.label}}</span></button>{{/each}}</div>"""
SCRIPT = Path(__file__).with_name("plays.js").read_text()


def build(value=None, **more):
    """The gr.HTML of buttons; value: a list of what `button` gives."""
    return gr.HTML(value or [], html_template=TEMPLATE, js_on_load=SCRIPT, apply_default_css=False, **more)


def button(label, sound):
    """What one button says, and the bytes of the wav that it plays."""
    address = f"data:audio/wav;base64,{base64.b64encode(sound).decode()}"
    return {"label": label, "sound": address}


def matched(wav):
    """Bytes of a wav of speech [T] at 16 kHz, marked as made by a machine, at the level of all others."""
    speech = Speech(audio.RATE, audio.normalise(wav))
    with tempfile.TemporaryDirectory(prefix="voice-atlas-") as folder:
        return Path(speech.save(Path(folder) / "sound.wav")).read_bytes()
