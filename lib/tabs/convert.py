"""The tab Convert: what you say, in a borrowed voice."""

import functools
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from lib import audio, show
from lib.tabs import about, context, endpoints, history, likeness, permits, plays, rates, speak, visitor
from lib.tabs.hints import Hints
from lib.voices.convert import JUDGED
from lib.voices.convert import NEEDS as MODELS

NAME, NEEDS = "Convert", ("speaker_encoder", "tts", MODELS)
CONSENT = "I may use the voices in the clips that I brought: they are mine, or their owners agreed."
FIRST = "Linden, high"  # of the example sources: far from the voice that is chosen first
SOURCE = "Source"  # name of a field, on the page and in messages
OCTAVE = 12  # semitones
EARLY = 0.3  # word error rate above which a visitor is warned: a sentence is hard to follow then
OF_LENGTH = ("Only", "The clip has")  # how notes about length begin: a source is used as it is
SHOWN = 8  # components in which the page shows a result: those of `results` and of the history
ROW = 2.0  # inches of each spectrogram


def notes(source, target):
    """What is worth knowing about both clips, as lines."""
    lines = []
    for note in audio.check(source).problems:
        if not note.startswith(OF_LENGTH):
            lines.append(f"**Source** {note}")
    if target:
        lines += [f"**Voice** {note}" for note in audio.check(target).problems]
    return lines


def report(source, taken=None):
    """Say in Markdown what is wrong with a source, and what to do about it; nothing for no source."""
    if not source:
        return ""
    try:
        seconds = len(audio.source(source)) / audio.RATE
    except ValueError as error:
        return f"**This source cannot be used.** {error}"
    problems = notes(source, None)
    if problems:
        return "**This source will work, but:**\n" + "\n".join(f"- {problem}" for problem in problems)
    return f"**This source is fine:** {seconds:.1f} s."


def facts(voices, speech, voice, source, lines):
    """Lines of Markdown for a careful visitor: whose voice it is now, how fast it came; then `lines`."""
    card = voices.bundle.card(speech.facts["model"])
    made = speech.facts
    length = f"{made['seconds']:.1f} s of sound in {made['took']:.2f} s"
    lines = [
        likeness.between(voices, speech, voice, source),
        f"**Real-time factor** {made['real_time_factor']:.3f} ({length})",
        f"**Strength** {made['strength']:g}, **pitch** {made['pitch']:g} and {made['semitones']:+g} "
        f"semitones, **detail** {made['detail']:g}, **seed** {made['seed']}",
        f"**Checkpoint** {card.get('name', speech.facts['model'])}, training budget: {card['budget']}",
        *lines,
    ]
    return "\n".join(f"- {line}" for line in lines)


def write(folder, speech, sounds, words):
    """(path of the sound, called after `words`, path of the picture), files of their own."""
    sound = visitor.save(speech, folder, words)
    return sound, visitor.keep(show.spectrograms(sounds, ROW), folder, ".png", words)


def check_settings(strength, pitch, semitones, seed, detail):
    """The settings of voices.convert by name.  Raises WrongField for the first that is out of range."""
    return {
        "strength": visitor.number(strength, "Strength", 0, 1),
        "pitch": visitor.number(pitch, "Pitch", 0, 1),
        "semitones": visitor.number(semitones, "Semitones", -OCTAVE, OCTAVE),
        "seed": visitor.seed(seed),
        "detail": visitor.number(detail, "Detail", 0, 1),
    }


def heard(source, folder):
    """(rate, samples) of the source.  Raises WrongField for one that is missing or cannot be used."""
    with visitor.field(SOURCE):
        if not source:
            raise ValueError(
                "There is no source: upload or record the words that are to be said in another voice."
            )
        clip = audio.load(visitor.clip(source, folder))
        audio.source(clip)
    return clip


@dataclass(frozen=True)
class Converted:
    """What was made for a visitor.

    paths: of the sound, and of the picture.  words: facts.  sounds: {title: (rate, wav [T])}, source, voice
    where it is a clip, and result.  name: what it is called."""

    paths: tuple
    words: str
    sounds: dict
    name: str


def converted(voices, folder, fields, settings, taken, cancelled, progress):
    """The Converted that a visitor asked for.

    fields: source, target, whether the box of consent is ticked, rate in Hz.  Raises WrongField."""
    source, target, ticked, rate = fields
    settings = check_settings(*settings)
    rate = rates.check(voices, rate)
    clip = heard(source, folder)
    sent = None if target else taken
    with visitor.field(speak.VOICE):
        needs_consent = permits.asks([source, target], folder, sent)
    if needs_consent:
        permits.require(ticked)
    progress(0, desc="listening to both clips")
    voice, _, _ = speak.borrowed(voices, target, taken, folder)
    speech = voices.convert(
        clip,
        voice,
        **settings,
        progress=lambda share, words: progress(share, desc=words),
        cancelled=cancelled,
    )
    speech = voices.upsample(speech, rate)
    sounds = {"Source": (audio.RATE, audio.source(clip))}
    problems = notes(clip, None)
    if target:
        sounds["Voice"] = (audio.RATE, audio.prepare(voice))
        problems = notes(clip, voice)
    sounds["Result"] = (speech.rate, speech.wav)
    name = f"{Path(source).stem} as {speak.named(target, taken)}"
    lines = facts(voices, speech, voice, clip, problems)
    lines += rates.line(voices, speech)
    return Converted(write(folder, speech, sounds, name), lines, sounds, name)


def compared(made):
    """Update of the buttons that play source, voice and result, equally loud; the result as it was saved."""
    sounds = made.sounds | {"Result": audio.load(made.paths[0])}
    return plays.compared(sounds)


def callbacks(voices, folder):
    """(function behind the API, the one behind the page, Stop).

    All they keep is when each visitor last pressed Stop."""
    stops = visitor.Stops()

    def convert(
        source,
        target,
        consent,
        strength,
        pitch,
        semitones,
        seed,
        detail,
        output_rate,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """Say what a source says, at its pace, in the voice of another clip."""
        fields = (source, target, consent, output_rate)
        settings = (strength, pitch, semitones, seed, detail)
        made = converted(voices, folder, fields, settings, None, stops.asked(request), progress)
        return *made.paths, made.words

    def convert_on_page(
        source,
        target,
        consent,
        strength,
        pitch,
        semitones,
        seed,
        detail,
        output_rate,
        taken,
        kept,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """The same, where a voice may have been sent from another tab; kept: results of this visit."""
        fields = (source, target, consent, output_rate)
        settings = (strength, pitch, semitones, seed, detail)
        made = converted(voices, folder, fields, settings, taken, stops.asked(request), progress)
        examples = (speak.example_of(source), speak.example_of(target))
        used = (source, target, *examples, *settings, output_rate)
        sent = None if target else taken
        kept = history.added(kept, made.name, made.paths, used, sent)
        return *made.paths, made.words, compared(made), *history.shown(kept)

    return convert, convert_on_page, stops.press


def warning(card):
    """A line of Markdown where a recogniser mishears more words of this model than EARLY; else ""."""
    wer = card["figures"].get("wer", 0)
    if wer <= EARLY:
        return ""
    return (
        f"**Early weights:** the voice arrives, many words do not. A recogniser misheard {wer:.0%} of them."
    )


def settings(voices, hints):
    """The fields of the accordion: strength, pitch, semitones, seed, detail, rate, each with its line."""
    with gr.Accordion("Strength, pitch, detail, seed, rate", open=False):
        strength = gr.Slider(
            0.0,
            1.0,
            1.0,
            step=0.05,
            label="Strength",
            info="0 keeps the voice of the source, 1 is the other.",
        )
        pitch = gr.Slider(
            0.0,
            1.0,
            1.0,
            step=0.05,
            label="Pitch",
            info="0 keeps the register of the source, 1 is that of the voice.",
        )
        semitones = gr.Slider(
            -OCTAVE, OCTAVE, 0, step=0.5, label="Semitones", info="Added to it; 12 are an octave."
        )
        detail = gr.Slider(
            0.0,
            1.0,
            1.0,
            step=0.05,
            label="Detail",
            info="How closely the result follows the source: "
            "more keeps words clear, less keeps the old voice out.",
        )
        seed = gr.Number(0, label="Seed", info="The same seed gives the same sound.", step=1)
        for name in ("Strength", "Pitch", "Semitones", "Detail", "Seed"):
            hints.beside(name)
        rate = rates.build(voices, hints)
    for slider, low in ((strength, 0), (pitch, 0), (semitones, -OCTAVE), (detail, 0)):
        check = functools.partial(visitor.number, name=slider.label, low=low, high=slider.maximum)
        hints.watch(slider.label, [context.lenient(slider)], check)
    hints.watch("Seed", [seed], visitor.seed)
    return strength, pitch, semitones, seed, detail, rate


def publish(convert, example):
    """Make /convert public; example: path of the clip whose voice is taken where none is given."""
    with endpoints.hidden():
        takes = [
            endpoints.clip(SOURCE, "A clip of 1 to 60 s: what is to be said, and how"),
            endpoints.clip(speak.VOICE, "A clip of one person; without one a virtual voice", example),
            endpoints.tick("Consent", "True: I may use these voices. Not needed for virtual ones"),
            endpoints.number("Strength", "0 keeps the voice of the source, 1 is the other", 1.0),
            endpoints.number("Pitch", "0 keeps the register of the source, 1 is that of the voice", 1.0),
            endpoints.number("Semitones", f"Added to the pitch, {-OCTAVE} to {OCTAVE}", 0),
            endpoints.number("Seed", f"A whole number from 0 to {visitor.SEEDS - 1:,}", 0),
            endpoints.number("Detail", "0 to 1: how closely the result follows the source", 1.0),
            rates.published(),
        ]
        gives = [
            endpoints.sound("Speech", "The sound, a wav file"),
            endpoints.picture("Spectrograms", "Mel spectrograms of source, voice and result, a png file"),
            endpoints.words("Facts", "Markdown: likeness, real-time factor, settings, notes on the clips"),
        ]
        endpoints.publish(convert, takes, gives, "convert", concurrency_limit=context.OTHERS_AT_ONCE)


def results():
    """The sound, its picture, its facts, and it beside source and voice."""
    result = gr.Audio(
        label="Result",
        interactive=False,
        autoplay=True,
        buttons=["download"],
        waveform_options=context.colours(),
        elem_classes="result",
    )
    pair = plays.build(visible=False, padding=False)
    drawn = context.picture(
        "Spectrograms",
        "Mel spectrograms of source, voice and result on one time axis: "
        "time goes right, frequency goes up",
        elem_classes="drawn",
    )
    line = gr.Markdown(elem_classes="check")
    return result, drawn, line, pair


def clips(hints, paths):
    """Both uploads with their examples {label: path}, and what is said about each.

    Returns (source, target, the choices among their examples, the reports on both)."""
    with gr.Row():
        with gr.Column(min_width=300):
            label = f"{SOURCE}: what to say, and how (1 to 60 s)"
            source, own = context.brought(
                hints, SOURCE, label, paths, "Example sources", FIRST, elem_id="source"
            )
            checked = gr.Markdown(report(paths[FIRST]), elem_id="check-source", elem_classes="check")
        with gr.Column(min_width=300):
            label = f"{speak.VOICE} (one person, 3 s or more)"
            target, choice = context.brought(
                hints, speak.VOICE, label, paths, "Example voices", speak.FIRST, elem_id="target"
            )
            checked_target = gr.Markdown(
                speak.report(paths[speak.FIRST]), elem_id="check-target", elem_classes="check"
            )
    return source, target, own, choice, checked, checked_target


def build(page):
    """Lay out the tab inside a gr.Blocks; page: a context.Context."""
    voices, taken, paths = page.voices, page.taken, speak.examples()
    gr.Markdown(
        "Say something, in your own time and tone, and hear it in another voice. "
        "The words and the timing stay yours."
    )
    judged = JUDGED[voices.bundle.choose(MODELS)]
    gr.Markdown(warning(voices.bundle.card(judged)))
    hints = Hints()
    source, target, own, choice, checked, checked_target = clips(hints, paths)
    fields = settings(voices, hints)
    consent = permits.box(CONSENT)
    hints.beside("Consent")
    go, halt = context.run_and_stop(hints, "Convert")
    shown = results()
    made = history.History(hints)
    about.build(about.model(voices.bundle, judged), "convert")
    folder = source.GRADIO_CACHE
    convert, convert_on_page, stop = callbacks(voices, folder)
    publish(convert, paths[speak.FIRST])
    run = go.click(
        hints.telling(convert_on_page, results=SHOWN),
        [source, target, consent, *fields, taken, made.state],
        [*shown, *made.outputs(), *hints.outputs()],
        api_visibility="private",
        concurrency_limit=context.OTHERS_AT_ONCE,
        scroll_to_output=True,
        show_progress_on=shown[:1],
    )
    hints.stop(halt, stop, run)
    made.connect([source, target, own, choice, *fields], [source, target], consent, shown, taken)
    hints.watch(SOURCE, [source])
    hints.watch(speak.VOICE, [target, taken])
    hints.watch("Consent", [consent, source, target, taken])
    permits.connect(consent, [source, target], folder, taken)
    source.change(speak.reporter(report, folder), source, checked, **context.LIGHT)
    target.change(speak.reporter(speak.report, folder), [target, taken], checked_target, **context.LIGHT)
    taken.change(speak.receive, taken, [choice, target, checked_target], **context.LIGHT)
