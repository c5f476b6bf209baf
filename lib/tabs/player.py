"""What plays a text sentence by sentence, while the rest of it is still being made."""

import uuid
from pathlib import Path

import gradio as gr

from lib.tabs import visitor

TEMPLATE = """<div class="stream"><span class="now" aria-live="polite"></span>
<button type="button" hidden>Silence</button></div>"""
SCRIPT = Path(__file__).with_name("player.js").read_text()
HUSH = "() => { window.dispatchEvent(new Event('voice-atlas-stop')); return []; }"  # js for the button Stop


def build():
    """The gr.HTML that plays what `Stream.add` gives."""
    return gr.HTML(html_template=TEMPLATE, js_on_load=SCRIPT, elem_classes="streaming")


class Stream:
    """The sentences of one text, as far as they are finished; count: of all."""

    def __init__(self, folder, count):
        self.folder = folder
        self.count = count
        self.pieces = []
        self.sounds = []
        self.run = uuid.uuid4().hex  # another one than before: the player begins anew

    def add(self, piece):
        """Take one more Speech; returns the value for the player."""
        self.pieces.append(piece)
        self.sounds.append(visitor.data_address(piece, self.folder))
        return {"run": self.run, "sounds": list(self.sounds), "of": self.count}
