"""The tab Speak: your text in a borrowed voice."""

import html
import tempfile
import time
from pathlib import Path

import gradio as gr

from lib import audio, show, text
from lib.data import corpus
from lib.tabs import about, context, visitor
from lib.voices.speak import FASTEST, LIMIT, SLOWEST, check_request

NAME, NEEDS = "Speak", ("speaker_encoder", "tts")
SAMPLE = "The kettle sings, the window is open, and somebody else's voice is saying good morning to you."
# Speakers of the embedded corpus from deep to high; 20, 21 and 22 are voices that no model was trained on.
EXAMPLES = {
    "Alder, deepest": "va-05",
    "Birch, deep": "va-15",
    "Cedar, medium": "va-21",
    "Hazel, bright": "va-16",
    "Linden, high": "va-22",
    "Willow, highest": "va-20",
}
FIRST = "Cedar, medium"
CONSENT = "I may use this voice: it is mine, its owner agreed, or it is virtual."
PICTURE = (6.4, 3)  # inches: narrower than in lessons, readable on a phone
DPI = 160


def longest(rows, speaker):
    """The longest of the rows of a corpus that one speaker spoke."""
    own = [row for row in rows if row["speaker"] == speaker]
    return max(own, key=lambda row: row["seconds"])


def examples():
    """{label: path of a wav} of the example voices, decoded into a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="voice-atlas-examples-"))
    rows = corpus.rows("embedded")
    paths = {}
    for label, speaker in EXAMPLES.items():
        name = label.split(",")[0].lower()
        paths[label] = str(folder / f"{name}.wav")
        audio.save(paths[label], *audio.load(longest(rows, speaker)["audio"]))
    return paths


def report(reference, taken=None):
    """Say in Markdown what is wrong with a reference; without one, which voice was sent here."""
    if not reference:
        return f"**Voice taken along:** {taken['name']}. A clip chosen here goes before it." if taken else ""
    check = audio.check(reference)
    if check.fatal:
        return f"**This clip cannot be used.** {check.problems[0]}"
    if check.problems:
        return "**This clip will work, but:**\n" + "\n".join(f"- {problem}" for problem in check.problems)
    return f"**This clip is fine:** {check.used_seconds:.1f} s of clear sound."


def reporter(report, folder):
    """Make `report` a callback: of uploaded clips only, a few at once, at the door of a queue of its own."""

    @visitor.answering
    @visitor.gently
    def call(clip, taken=None):
        path = visitor.clip(clip, folder) if clip else None
        return report(path, taken)

    return call


def facts(voices, speech, took, spk_emb, notes):
    """Lines of Markdown for a careful visitor: how alike, how fast, from what; then `notes`."""
    card, tts = voices.bundle.card("speaker_encoder"), voices.bundle.card("tts")
    eer = card["figures"].get("eer")
    error = "not measured" if eer is None else f"{100 * eer:.1f} %"
    try:
        alike = f"{voices.similarity(speech, spk_emb):.2f} of 1"
    except ValueError:  # one short word is less than the encoder needs
        alike = "not measured, as the result is too short,"
    seconds = speech.facts["seconds"]
    lines = [
        f"**Similarity to the reference** {alike} (cosine by our own {card.get('name', 'speaker_encoder')}, "
        f"whose equal error rate is {error})",
        f"**Real-time factor** {took / seconds:.3f} ({seconds:.1f} s of speech in {took:.2f} s)",
        f"**Seed** {speech.facts['seed']}",
        f"**Checkpoint** {tts.get('name', 'tts')}, training budget: {tts['budget']}",
    ]
    lines += [f"**Reference** {note}" for note in notes]
    return "\n".join(f"- {line}" for line in lines)


def write(folder, speech):
    """(path of the sound, path of its spectrogram), files of their own."""
    image = visitor.fresh(folder, ".png")
    picture = show.spectrogram(speech.wav, speech.rate, title="Spectrogram of the result")
    picture.set_size_inches(*PICTURE)
    picture.savefig(image, dpi=DPI)
    return visitor.save(speech, folder), image


def say(voices, words, spk_emb):
    """Speech of `words` with the usual settings.  Raises ValueError for text that is too long, or none."""
    check_request(words, 1.0, 0.0)
    visitor.length(words)
    return voices.speak(words, spk_emb)


def borrowed(voices, reference, taken, folder):
    """(voice to speak in, its spk_emb [D], notes) of an uploaded clip or, without one, of what a tab sent.

    A clip is the voice itself, so that `speak` can look at it.

    Raises ValueError where there is neither, or for a clip that cannot be used."""
    if reference:
        clip = audio.load(visitor.clip(reference, folder))
        return clip, voices.embed(clip), audio.check(clip).problems
    if taken:
        spk_emb = visitor.vector(taken["spk_emb"], voices.encoder.config.D)
        spk_emb = voices.voice(spk_emb)
        return spk_emb, spk_emb, [f"none: {taken['name']}, taken along"]
    raise ValueError("There is no voice to borrow: choose an example, upload a clip or record one.")


def unread(words):
    """A line of Markdown on what of the text is not read (emoji, words of another script); else none."""
    lost = text.dropped(words)
    return f"\n- **Not read:** {html.escape(', '.join(lost))}" if lost else ""


def callbacks(voices, folder):
    """The functions behind Speak and Stop.  All they keep is when each visitor last pressed Stop."""
    stops = visitor.Stops()

    @visitor.answering
    def speak(
        text,
        reference,
        consent,
        seed,
        speed,
        expressiveness,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
        taken=None,
    ):  # noqa: B008  gradio reads the default
        asked = time.monotonic()
        visitor.consent(consent)
        seed = visitor.seed(seed)
        speed = visitor.number(speed, "Speed", SLOWEST, FASTEST)
        expressiveness = visitor.number(expressiveness, "Expressiveness", 0, 1)
        check_request(text, speed, expressiveness)
        visitor.length(text, speed)
        progress(0, desc="listening to the reference")
        begun = time.monotonic()
        voice, spk_emb, notes = borrowed(voices, reference, taken, folder)
        speech = voices.speak(
            text,
            voice,
            seed,
            speed,
            expressiveness,
            progress=lambda share, words: progress(share, desc=words),
            cancelled=lambda: stops.since(request.session_hash, asked),
        )
        took = time.monotonic() - begun
        lines = facts(voices, speech, took, spk_emb, notes) + unread(text)
        return *write(folder, speech), lines

    return speak, stops.press


def receive(taken):
    """What the page shows when another tab sends a voice: no example, no clip, whose voice it is."""
    return None, None, report(None, taken)


def settings():
    """The fields of the accordion: seed, speed, expressiveness."""
    with gr.Accordion("Seed, speed, expressiveness", open=False):
        seed = gr.Number(
            0,
            label="Seed",
            info="The same seed gives the same sound.",
            step=1,
            minimum=0,
            maximum=visitor.SEEDS - 1,
        )
        speed = gr.Slider(SLOWEST, FASTEST, 1.0, step=0.05, label="Speed", info="2 is twice as fast.")
        expressiveness = gr.Slider(
            0.0,
            1.0,
            0.1,
            step=0.01,
            label="Expressiveness",
            info="0 is always the same, 1 is lively and risky.",
        )
    return seed, speed, expressiveness


def build(page):
    """Lay out the tab inside a gr.Blocks; page: a context.Context."""
    voices, taken, paths = page.voices, page.taken, examples()
    gr.Markdown(
        "Borrow a voice: pick one below, or bring five seconds of speech, and hear your sentence said in it."
    )
    with gr.Row():
        with gr.Column(min_width=300):
            text = gr.Textbox(
                SAMPLE,
                label="What to say",
                lines=2,
                info=f"English, up to {LIMIT:,} characters and {visitor.LIMIT_SECONDS} seconds of speech",
            )
            reference = context.upload(
                "Voice to borrow (5 to 10 s)", paths[FIRST], elem_id="reference", render=False
            )
            choice = context.example_radio(paths, "Example voices", reference, FIRST)
            reference.render()
            checked = gr.Markdown(report(paths[FIRST]), elem_id="check")
            fields = settings()
        with gr.Column(min_width=300):
            consent = gr.Checkbox(label=CONSENT)
            with gr.Row():
                go = gr.Button("Speak", variant="primary", min_width=120, scale=3)
                halt = gr.Button("Stop", min_width=80)
            result = gr.Audio(
                label="Result",
                interactive=False,
                autoplay=True,
                buttons=["download"],
                waveform_options=context.colours(),
                elem_id="result",
            )
            picture = gr.Image(
                show_label=False,
                label="Spectrogram",
                interactive=False,
                buttons=[],
                min_width=100,
                alt_text="Mel spectrogram of the result: time goes right, frequency goes up",
            )
            line = gr.Markdown(elem_id="facts")
    gr.Markdown(about.model(voices.bundle, "tts"), elem_classes="about")
    speak, stop = callbacks(voices, result.GRADIO_CACHE)
    run = go.click(
        speak,
        [text, reference, consent, *fields, taken],
        [result, picture, line],
        api_name="speak",
        concurrency_limit=context.SPEAKERS_AT_ONCE,
        scroll_to_output=True,
    )
    halt.click(stop, cancels=[run], **context.LIGHT)
    reference.change(reporter(report, result.GRADIO_CACHE), [reference, taken], checked, **context.LIGHT)
    taken.change(receive, taken, [choice, reference, checked], **context.LIGHT)
