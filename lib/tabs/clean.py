"""The tab Clean: noise out of a recording, or everything but one voice."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np

from lib import audio, show
from lib.data import corpus, noisy
from lib.tabs import about, context, convert, endpoints, history, permits, plays, tuning, visitor
from lib.tabs import speak as speaking
from lib.tabs.hints import Hints
from lib.voices.enhance import listened

NAME, NEEDS = "Clean", ("speaker_encoder", "enhancer")
CONSENT = "I may use the voices in the clips that I brought: they are mine, or their owners agreed."
NOISY, KEEP, VOICE, STRENGTH = "Recording", "Keep", "Whose voice", "Strength"  # names of fields
ANYBODY, ONE, TUNED = "All speech", "Only one voice", "The voice it was tuned to"
KEEPS = [ANYBODY, ONE, TUNED]
SNR_DB = 0.0  # of the examples: the noise is as loud as the voice
# label: (speaker, what is in the way: a maker of noise or another speaker).  Nobody stands behind them.
EXAMPLES = {
    "Birch beside a hum": ("va-15", noisy.hum),
    "Willow and strokes of a keyboard": ("va-20", noisy.clicks),
    "Cedar, while Linden talks": ("va-21", "va-22"),
}
DRAWN_SECONDS = 60.0  # of a long recording: more cannot be told apart in a picture


def examples():
    """{label: path of a wav} of virtual voices in noise, made in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="voice-atlas-noisy-"))
    rows = corpus.rows("embedded")
    paths = {}
    for number, (label, (speaker, other)) in enumerate(EXAMPLES.items()):
        wav = corpus.wav(speaking.longest(rows, speaker))
        if isinstance(other, str):
            noise = np.resize(corpus.wav(speaking.longest(rows, other)), len(wav))
        else:
            noise = other(np.random.default_rng(number), len(wav))
        paths[label] = str(folder / f"noisy-{number + 1}.wav")
        audio.save(paths[label], audio.RATE, audio.normalise(noisy.mix(wav, noise, SNR_DB)))
    permits.VIRTUAL.add(paths.values())
    return paths


def facts(voices, speech, before):
    """Lines of Markdown: what was kept, how much was taken away, how fast; before: wav [T]."""
    made = speech.facts
    card = voices.bundle.card("enhancer")
    power = np.mean(before**2)
    removed = 10 * np.log10(max(np.mean((speech.wav - before) ** 2) / power, 1e-10))
    kept = "one voice" if made["told"] else "all speech"
    if made["tuned"]:
        kept = "the voice it was tuned to"
    lines = [
        f"**Kept** {kept}, strength {made['strength']:g}",
        f"**Taken away** {removed:.1f} dB against the recording",
        f"**Real-time factor** {made['real_time_factor']:.3f} "
        f"({made['seconds']:.1f} s of sound in {made['took']:.2f} s)",
        f"**Checkpoint** {card.get('name', 'enhancer')}, training budget: {card['budget']}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def heard(recording, folder):
    """(rate, samples) of the recording.  Raises WrongField for one that is missing or not uploaded here."""
    with visitor.field(NOISY):
        if not recording:
            raise ValueError("There is no recording: choose an example, upload one or record it.")
        return audio.load(visitor.clip(recording, folder))


def write(folder, speech, before, recording):
    """Paths of the result, called after `recording`, and of a picture of it under the sound before [T]."""
    most = int(DRAWN_SECONDS * speech.rate)
    sounds = {"Before": (speech.rate, before[:most]), "After": (speech.rate, speech.wav[:most])}
    words = f"{Path(recording).stem} clean"
    sound = visitor.save(speech, folder, words)
    return sound, visitor.keep(show.spectrograms(sounds, convert.ROW), folder, ".png", words)


def wanted(voices, folder, shelf, keep, voice, taken, hand):
    """What Voices.enhance is to keep: None, an embedding, or what was tuned.  Raises WrongField."""
    if keep == TUNED:
        return shelf.take(hand, KEEP)
    if keep == ANYBODY:
        return None
    return speaking.borrowed(voices, voice, taken, folder, VOICE)[1]


@dataclass(frozen=True)
class Cleaned:
    """What was made for a visitor: paths of the sound and of the picture, facts; before: wav [T]."""

    paths: tuple
    words: str
    before: np.ndarray

    def compared(self):
        """Update of the buttons that play before and after, equally loud; the result as it was saved."""
        return plays.compared({"Before": (audio.RATE, self.before), "After": audio.load(self.paths[0])})


def cleaned(voices, folder, shelf, fields, taken, cancelled, progress):
    """The Cleaned that a visitor asked for.

    fields: recording, keep, voice, whether the box of consent is ticked, strength, what was tuned.
    Raises WrongField."""
    recording, keep, voice, ticked, strength, hand = fields
    if keep not in KEEPS:
        raise visitor.WrongField(KEEP, f"{keep!r} is none of {', '.join(KEEPS)}: choose one.")
    strength = visitor.number(strength, STRENGTH, 0, 1)
    clip = heard(recording, folder)
    target = voice if keep == ONE else None
    spoken = {ANYBODY: None, ONE: None if voice else taken, TUNED: hand}[keep]
    with visitor.field(VOICE):
        is_person = permits.asks([recording, target], folder, spoken)
    if is_person:
        permits.require(ticked, "these voices are")
    kept = wanted(voices, folder, shelf, keep, target, spoken, hand)
    progress(0, desc="listening")
    with visitor.field(NOISY):
        speech = voices.enhance(
            clip,
            kept,
            strength,
            progress=lambda share, words: progress(share, desc=words),
            cancelled=cancelled,
        )
        before = listened(clip)
    paths = write(folder, speech, before, recording)
    return Cleaned(paths, facts(voices, speech, before), before)


def callbacks(voices, folder, shelf, stops):
    """(function behind the API, the one behind the page); shelf: of what was tuned."""

    def clean(
        recording,
        keep,
        voice,
        consent,
        strength,
        tuned,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """Take the noise out of a recording, or everything but one voice."""
        fields = (recording, keep, voice, consent, strength, tuned)
        made = cleaned(voices, folder, shelf, fields, None, stops.asked(request), progress)
        return *made.paths, made.words

    def clean_on_page(
        recording,
        keep,
        voice,
        consent,
        strength,
        tuned,
        taken,
        example,
        kept,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """The same with the recording before it, where a voice may have been sent from another tab.

        example: label of the example that the recording is, or None.  kept: results of this visit."""
        fields = (recording, keep, voice, consent, strength, tuned)
        made = cleaned(voices, folder, shelf, fields, taken, stops.asked(request), progress)
        name = f"{example or Path(recording).stem}: {keep}"
        used = (recording, example, keep, voice, strength)
        sent = taken if keep == ONE and not voice else None
        kept = history.added(kept, name, made.paths, used, sent)
        return recording, *made.paths, made.words, made.compared(), *history.shown(kept)

    return clean, clean_on_page


def publish(clean, hand):
    """Make /clean public; hand: the gr.State of what was tuned in this visit."""
    with endpoints.hidden():
        takes = [
            endpoints.clip(NOISY, "A clip of 1 s to 10 minutes in which somebody speaks"),
            endpoints.choice(KEEP, "What stays; the last after /tune", KEEPS, ANYBODY),
            endpoints.clip(VOICE, "A clip of that person, 3 s or more; only for one voice"),
            endpoints.tick("Consent", "True: I may use these voices. Not needed for virtual ones"),
            endpoints.number(STRENGTH, "0 leaves the recording as it is, 1 takes away all that can go", 1.0),
            hand,
        ]
        gives = [
            endpoints.sound("After", "The result, as loud as the voice was in the recording, a wav file"),
            endpoints.picture("Spectrograms", "Both on one time axis, a png file"),
            endpoints.words("Facts", "Markdown: what was kept, how much went, real-time factor"),
        ]
        endpoints.publish(clean, takes, gives, "clean", concurrency_limit=context.OTHERS_AT_ONCE)


def sources(hints, paths):
    """What a visitor brings: the recording (with the choice among examples), what is to stay, whose voice."""
    first = next(iter(paths))
    with gr.Row():
        with gr.Column(min_width=300):
            label = f"{NOISY}, 1 s to 10 minutes"
            recording, choice = context.brought(
                hints, NOISY, label, paths, "Example recordings", first, elem_id="noisy"
            )
        with gr.Column(min_width=300):
            keep = gr.Radio(KEEPS, value=ANYBODY, label=KEEP)
            hints.beside(KEEP)
            voice = context.upload(f"{VOICE} (one person, 3 s or more)", elem_id="kept", visible=False)
            hints.beside(VOICE)
            strength = gr.Slider(
                0.0, 1.0, 1.0, step=0.05, label=STRENGTH, info="0 is the recording, 1 the result alone."
            )
            hints.beside(STRENGTH)
    keep.change(lambda choice: gr.Audio(visible=choice != ANYBODY), keep, voice, **context.LIGHT)
    hints.watch(NOISY, [recording])
    hints.watch(KEEP, [context.lenient(keep)])
    hints.watch(
        STRENGTH, [context.lenient(strength)], lambda value: visitor.number(value, STRENGTH, 0, 1)
    )
    return recording, choice, keep, voice, strength


def results():
    """Both players, the picture, the facts, and both sounds at one level."""
    sound = dict(interactive=False, buttons=["download"], waveform_options=context.colours())
    with gr.Row():
        before = gr.Audio(label="Before", elem_classes="result", min_width=300, **sound)
        after = gr.Audio(label="After", elem_classes="result", min_width=300, **sound)
    pair = plays.build(visible=False, padding=False)
    drawn = context.picture(
        "Spectrograms",
        "Mel spectrograms of the recording and of the result on one time axis: "
        "time goes right, frequency goes up",
        elem_classes="drawn",
    )
    return before, after, drawn, gr.Markdown(elem_classes="check"), pair


def build(page):
    """Lay out the tab inside a gr.Blocks; page: a context.Context."""
    gr.Markdown(
        "Less noise in a recording; or, with a clip of somebody, more of that voice and less of others. "
        "A voice that another tab sent will do as well."
    )
    hints = Hints()
    recording, choice, keep, voice, strength = sources(hints, examples())
    consent = permits.box(CONSENT)
    hints.beside("Consent")
    go, halt = context.run_and_stop(hints, "Clean")
    part, noise, tune_it, halt_it, tuned_line = tuning.build(hints)
    shown = results()
    made = history.History(hints)
    about.build(about.model(page.voices.bundle, "enhancer"), "clean")
    folder, hand = shown[0].GRADIO_CACHE, context.state()
    shelf, stops = tuning.Shelf(), visitor.Stops()
    clean, clean_on_page = callbacks(page.voices, folder, shelf, stops)
    publish(clean, hand)
    run = go.click(
        hints.telling(clean_on_page, results=len(shown) + len(made.outputs())),
        [recording, keep, voice, consent, strength, hand, page.taken, choice, made.state],
        [*shown, *made.outputs(), *hints.outputs()],
        api_visibility="private",
        concurrency_limit=context.OTHERS_AT_ONCE,
        scroll_to_output=True,
        show_progress_on=[shown[1]],
    )
    hints.stop(halt, stops.press, run)
    fields = [recording, choice, keep, voice, strength]
    made.connect(fields, [recording, voice], consent, shown, page.taken)
    tuned = tuning.tuner(page.voices, folder, shelf, stops, VOICE)
    tune, tune_on_page = tuning.callbacks(tuned, TUNED)
    tuning.publish(tune, hand, VOICE)
    takes = [voice, noise, consent, page.taken]
    tuning.connect(part, tune_it, halt_it, tune_on_page, stops.press, takes, [hand, tuned_line, keep])
    hints.watch(VOICE, [voice, keep, page.taken])
    hints.watch("Consent", [consent, recording, voice, page.taken])
    permits.connect(consent, [recording, noise, voice], folder, page.taken, held=hand)
