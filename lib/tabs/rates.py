"""The rate of what leaves: 16 kHz as the models speak, or with the band above, which a network adds."""

import gradio as gr

from lib import audio
from lib.tabs import context, endpoints, visitor
from lib.voices.upsample import RATES

NAME = "Output rate"  # of the field, on the page and in messages
CHOICES = [(f"{rate // 1000} kHz", rate) for rate in RATES]
# 16 kHz stays the default while superres has learned from no real recordings (its card).
INFO = "The models speak 16 kHz. A network that learned from synthetic voices guesses the rest."


def check(voices, rate):
    """Give a rate as int, in Hz.  Raises WrongField for another, and for one whose model is not installed."""
    known = RATES if voices.bundle.has("superres") else (audio.RATE,)
    if isinstance(rate, bool) or rate not in known:
        given = "it is empty" if rate is None else f"{rate!r} Hz is not made here"
        raise visitor.WrongField(NAME, f"{given}: choose {', '.join(str(one) for one in known)}.")
    return int(rate)


def line(voices, speech):
    """A line of Markdown on the rate of a Speech that is not that of the models; else none."""
    if speech.rate == audio.RATE:
        return ""
    card = voices.bundle.card("superres")
    name = card.get("name", "superres")
    return (
        f"\n- **Rate** {speech.rate / 1000:g} kHz; what lies above 8 kHz is guessed by {name}, "
        f"training budget: {card['budget']}"
    )


def build(voices, hints):
    """Lay out the field, where there is a choice, with its line of hints."""
    is_there = voices.bundle.has("superres")
    field = gr.Radio(CHOICES, value=audio.RATE, label=NAME, info=INFO, visible=is_there)
    hints.beside(NAME)
    hints.watch(NAME, [context.lenient(field)])
    return field


def published():
    """The same as a parameter of a public function."""
    known = ", ".join(str(rate) for rate in RATES)
    return endpoints.number(NAME, f"Samples a second of the sound: one of {known} Hz", audio.RATE)
