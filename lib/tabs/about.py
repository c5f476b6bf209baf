"""True words about a model, read from its card: what it learned from, what a judge measured, its licence."""

import gradio as gr

REPOSITORY = "https://github.com/voice-atlas/voice-atlas"
OF_CLIPS = (
    "The figures are of voices borrowed from a clip, which the model looks at while it speaks. A voice "
    "without a clip (a dot, a mixture of two, one out of a mixture) comes a little less close."
)
# For each tab its lesson, and what its model cannot do.
TABS = {
    "speak": (
        "07_hierarchical_speech",
        f"English only. {OF_CLIPS} Lesson 11 makes frames and sound of what lesson 07 wants to say; lesson "
        "03 is where to begin.",
    ),
    "atlas": ("10_the_atlas", "400 dots in two dimensions cannot keep all distances of 128."),
    "extract": ("02_speaker_attractors", "Up to four people, quiet rooms, 30 s; alike voices are mixed up."),
    "convert": (
        "11_codec_and_frames",
        "Clean speech of one person, 60 s; one word in four is lost. Lesson 07 makes the vectors that tell "
        "the words, lesson 06 another model for the same task.",
    ),
    "clean": (
        "09_enhancement",
        "Hums, keys and steady noise go; a few people at once or one other person only in part, also where "
        "it is told or tuned to a voice. Clean speech stays as it is. Echo stays. 16 kHz.",
    ),
    "listen": (
        "10_the_atlas",
        f"Few sentences, virtual voices only. {OF_CLIPS}",
    ),
}

# Key of a figure, and its words; what a card does not hold is not said.
MEASURES = {
    "wer": "a recogniser mishears {:.0%} of the words",
    "secs": "likeness to the voice asked for {:.2f} of 1",
    "ovrl": "sound quality {:.1f} of 5 (DNSMOS)",
    "si_sdri_2": "two strangers are {:.1f} dB better apart than together",
    "speakers_right": "counts the people right in {:.0%} of mixtures",
    "sdri": "recordings of strangers are {:.1f} dB cleaner after than before",
    "trustworthiness_umap": "{:.0%} of what is near on the map is near in truth",
}
SHARES = ("wer", "speakers_right", "trustworthiness_umap")


def is_number(value):
    """Whether a figure of a card is one: cards hold words and tables, too."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def recordings(figures):
    """{key: figure} of real recordings under the same judge, as far as a card knows them."""
    real = dict(figures.get("of_the_recordings") or {})
    if "wer_of_the_source" in figures:
        real["wer"] = figures["wer_of_the_source"]
    return real


def measured(figures, real):
    """A sentence on what was measured, beside the same of real recordings; "" where there is no figure."""
    parts = []
    for key, words in MEASURES.items():
        if not is_number(figures.get(key)):
            continue
        part = words.format(figures[key])
        if is_number(real.get(key)):
            beside = f"{real[key]:.0%}" if key in SHARES else f"{real[key]:.1f}"
            part += f" (real recordings: {beside})"
        parts.append(part)
    return f"Measured: {', '.join(parts)}." if parts else ""


def line(card, name, real=None):
    """One line of Markdown on the model `name`; real: figures of recordings where its own card has none."""
    figures = card.get("figures") or {}
    parts = [
        f"**{card.get('name', name)}** learned from {card['data']}.",
        measured(figures, (real or {}) | recordings(figures)),
        f"Licence: {card['licence'].split(';')[0]}.",
    ]
    if card.get("source"):
        parts.append(f"Recipe: `{card['source']}`.")
    return " ".join(part for part in parts if part)


def model(bundle, name):
    """One line of Markdown on a model of a lib.voices.Bundle, beside the recordings in the codec's card."""
    real = recordings(bundle.card("codec").get("figures") or {}) if bundle.has("codec") else {}
    return line(bundle.card(name), name, real)


def speaking(bundle):
    """Name of the model in whose card stands how the tab Speak sounds."""
    return "frames" if bundle.has("frames") else "tts"


def links(tab):
    """Links of Markdown to the lesson of a tab and to the repository."""
    lesson = TABS[tab][0]
    number = lesson.split("_")[0]
    return (
        f"[Lesson {number}: how it was made]({REPOSITORY}/blob/main/notebooks/{lesson}.ipynb) · "
        f"[all the code]({REPOSITORY})"
    )


def build(words, tab):
    """Lay out what is to be known under a tab: `words` on its model, limits, lesson, repository."""
    with gr.Accordion("How good is it, what is it made of, where is its lesson?", open=False):
        gr.Markdown(f"{words}\n\n**Limits:** {TABS[tab][1]}\n\n{links(tab)}", elem_classes="about")
