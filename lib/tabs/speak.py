"""The tab Speak: your text in a borrowed voice."""

import html
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from lib import audio, show, text
from lib.data import corpus
from lib.tabs import (
    about,
    context,
    endpoints,
    history,
    likeness,
    permalink,
    permits,
    player,
    plays,
    rates,
    visitor,
)
from lib.tabs.hints import Hints
from lib.voices.speak import CHECKPOINTS, FASTEST, LIMIT, SLOWEST, check_request, prosody_of
from lib.voices.speech import is_clip, joined

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
CONSENT = "I may use this voice: it is mine, or its owner agreed."
TEXT, VOICE = "What to say", "Voice to borrow"  # names of fields, on the page and in messages
MELODY = "Melody of another clip"
FOLLOWS = ("text_to_vec", "frames")  # models that can take a melody
SHOWN = 9  # components in which the page shows a result: those of `results` and of the history


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
    permits.VIRTUAL.add(paths.values())
    return paths


def report(reference, taken=None):
    """Say in Markdown what is wrong with a reference; without one, which voice was sent here."""
    if not reference:
        return sent(taken) if taken else ""
    check = audio.check(reference)
    if check.fatal:
        return f"**This clip cannot be used.** {check.problems[0]}"
    if check.problems:
        return "**This clip will work, but:**\n" + "\n".join(f"- {problem}" for problem in check.problems)
    return f"**This clip is fine:** {check.used_seconds:.1f} s of clear sound."


def sent(taken):
    """Say in Markdown which voice another tab sent here."""
    return f"**Voice: {taken['name']}**, sent from another tab. An example or a clip takes its place."


def named(reference, taken):
    """What a borrowed voice is called: as its clip or, without one, as the tab that sent it says."""
    return Path(reference).stem if reference else taken["name"]


def reporter(report, folder):
    """Make `report` a callback: of uploaded clips only, a few at once, at the door of a queue of its own."""

    @visitor.answering
    @visitor.gently
    def call(clip, taken=None):
        path = visitor.clip(clip, folder) if clip else None
        return report(path, taken)

    return call


def facts(voices, speech, took, voice, notes):
    """Lines of Markdown for a careful visitor: how alike, how fast, from what; then `notes`."""
    tts = voices.bundle.card(CHECKPOINTS[speech.facts["model"]])
    seconds = speech.facts["seconds"]
    lines = [
        likeness.to_reference(voices, speech, voice),
        f"**Real-time factor** {took / seconds:.3f} ({seconds:.1f} s of speech in {took:.2f} s)",
        f"**Seed** {speech.facts['seed']}",
        f"**Checkpoint** {tts.get('name', 'tts')}, training budget: {tts['budget']}",
    ]
    lines += [f"**Reference** {note}" for note in notes]
    return "\n".join(f"- {line}" for line in lines)


def write(folder, speech, words=""):
    """(path of the sound, called after `words`, path of its spectrogram), files of their own."""
    sound = visitor.save(speech, folder, words)
    picture = show.spectrograms({"Spectrogram of the result": (speech.rate, speech.wav)})
    return sound, visitor.keep(picture, folder, ".png", words)


def check_text(words, speed=1.0, name=TEXT):
    """Raise WrongField, by the name of its field, for text that is missing, unspeakable or too long."""
    speed = visitor.number(speed, "Speed", SLOWEST, FASTEST)
    with visitor.field(name):
        check_request(words, speed, 0.0)
        visitor.length(words, speed)


def say(voices, words, spk_emb, name=TEXT):
    """Speech of `words` with the usual settings.  Raises WrongField for text that is too long, or none."""
    check_text(words, name=name)
    return voices.speak(words, spk_emb)


def usable(clip):
    """What is worth knowing about a reference.  Raises ValueError for one that cannot be used: noise."""
    check = audio.check(clip)
    if check.fatal:
        raise ValueError(check.problems[0])
    return check.problems


def borrowed(voices, reference, taken, folder, name=VOICE):
    """(voice to speak in, its spk_emb [D], notes) of an uploaded clip or, without one, of what a tab sent.

    A clip is the voice itself, so that `speak` can look at it.

    Raises WrongField where there is neither, or for a clip that cannot be used."""
    with visitor.field(name):
        if reference:
            clip = audio.load(visitor.clip(reference, folder))
            return clip, voices.embed(clip), usable(clip)
        if taken:
            spk_emb = visitor.vector(taken["spk_emb"], voices.encoder.config.D)
            spk_emb = voices.voice(spk_emb)
            return spk_emb, spk_emb, [f"none: {taken['name']}, sent from another tab"]
        raise ValueError("There is no voice to borrow: choose an example, upload a clip or record one.")


def followed(voices, melody, folder):
    """The clip whose melody is asked for, or None.  Raises WrongField for one in which no voice is heard."""
    if not melody:
        return None
    with visitor.field(MELODY):
        clip = audio.load(visitor.clip(melody, folder))
        usable(clip)
        voices.bundle.check(*FOLLOWS)
        prosody_of(voices, clip)
    return clip


def parts_of(words):
    """The sentences of a text, as it is spoken."""
    return text.parts(words) or [(words, 0.0)]


def unread(words):
    """A line of Markdown on what of the text is not read (emoji, words of another script); else none."""
    lost = text.dropped(words)
    return f"\n- **Not read:** {html.escape(', '.join(lost))}" if lost else ""


@dataclass(frozen=True)
class Wish:
    """What a visitor asked for, after all checks; rate: Hz; took: s that they needed; name: of the voice."""

    words: str
    voice: object  # a clip or an embedding
    notes: tuple
    settings: dict
    rate: int
    took: float
    name: str


def wished(voices, folder, fields, taken):
    """The Wish in the fields (text, reference, consent, seed, speed, expressiveness, rate, melody).

    Raises WrongField for the first that is wrong."""
    words, reference, ticked, seed, speed, expressiveness, rate, melody = fields
    settings = {
        "seed": visitor.seed(seed),
        "speed": visitor.number(speed, "Speed", SLOWEST, FASTEST),
        "noise_scale": visitor.number(expressiveness, "Expressiveness", 0, 1),
    }
    rate = rates.check(voices, rate)
    check_text(words, settings["speed"])
    begun = time.monotonic()
    sent_here = None if reference else taken
    with visitor.field(VOICE):
        needs_consent = permits.asks([reference, melody], folder, sent_here)
    if needs_consent:
        permits.require(ticked)
    voice, _, notes = borrowed(voices, reference, taken, folder)
    settings["melody"] = followed(voices, melody, folder)
    took = time.monotonic() - begun
    return Wish(words, voice, tuple(notes), settings, rate, took, named(reference, taken))


def example_of(clip):
    """Label of the example voice that a clip is; None for any other clip, and for none."""
    names = {label.split(",")[0].lower(): label for label in EXAMPLES}
    is_example = bool(clip) and permits.VIRTUAL.holds(clip)
    return names.get(Path(clip).stem) if is_example else None


def compared(voice, sound):
    """Update of the buttons that play a clip of the voice and the file of the result, equally loud.

    They are not there for a voice without a clip."""
    sounds = {"Result": audio.load(sound)}
    if is_clip(voice):
        sounds = {"Voice": (audio.RATE, audio.prepare(voice))} | sounds
    return plays.compared(sounds)


def sentences(voices, wish, cancelled, progress):
    """Yield a Speech for each sentence of a Wish."""
    stream = voices.stream(
        wish.words,
        wish.voice,
        **wish.settings,
        progress=lambda share, words: progress(share, desc=words),
        cancelled=cancelled,
    )
    for piece in stream:
        yield voices.upsample(piece, wish.rate)


def answer(voices, folder, wish, pieces):
    """(path of the sound, path of its spectrogram, facts) of the sentences of a Wish."""
    speech = joined(pieces)
    took = wish.took + speech.facts["took"]
    lines = facts(voices, speech, took, wish.voice, wish.notes)
    lines += rates.line(voices, speech) + unread(wish.words)
    return *write(folder, speech, f"{wish.name} {wish.words}"), lines


def callbacks(voices, folder):
    """(function behind the API, the one behind the page, which yields, Stop).

    All they keep is when each visitor last pressed Stop."""
    stops = visitor.Stops()

    def speak(
        text,
        reference,
        consent,
        seed,
        speed,
        expressiveness,
        output_rate,
        melody=None,
        request: gr.Request = None,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """Say a text in the voice of a clip, or in a virtual voice."""
        fields = (text, reference, consent, seed, speed, expressiveness, output_rate, melody)
        wish = wished(voices, folder, fields, None)
        pieces = list(sentences(voices, wish, stops.asked(request), progress))
        return answer(voices, folder, wish, pieces)

    def speak_on_page(
        text,
        reference,
        consent,
        seed,
        speed,
        expressiveness,
        output_rate,
        melody,
        taken,
        kept,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """Yield what the player and the results show after every sentence, and at the end.

        kept: results of this visit."""
        progress(0, desc="listening to the reference")
        fields = (text, reference, consent, seed, speed, expressiveness, output_rate, melody)
        wish = wished(voices, folder, fields, taken)
        stream = player.Stream(folder, len(parts_of(text)))
        for piece in sentences(voices, wish, stops.asked(request), progress):
            yield stream.add(piece), *[gr.skip()] * (SHOWN - 1)
        sound, image, lines = answer(voices, folder, wish, stream.pieces)
        used = (text, reference, example_of(reference), seed, speed, expressiveness, output_rate, melody)
        sent = None if reference else taken
        kept = history.added(kept, f"{wish.name}: {text}", (sound, image), used, sent)
        yield gr.skip(), sound, image, lines, compared(wish.voice, sound), *history.shown(kept)

    return speak, speak_on_page, stops.press


def receive(taken):
    """What the page shows when another tab sends a voice: no example, no clip, whose voice it is."""
    return None, None, report(None, taken)


def settings(voices, hints):
    """The fields of the accordion: seed, speed, expressiveness, output rate, each with its line of hints."""
    with gr.Accordion("Seed, speed, expressiveness, rate", open=False):
        seed = gr.Number(0, label="Seed", info="The same seed gives the same sound.", step=1)
        hints.beside("Seed")
        speed = gr.Slider(SLOWEST, FASTEST, 1.0, step=0.05, label="Speed", info="2 is twice as fast.")
        hints.beside("Speed")
        expressiveness = gr.Slider(
            0.0,
            1.0,
            0.1,
            step=0.01,
            label="Expressiveness",
            info="0 is always the same, 1 is lively and risky.",
        )
        hints.beside("Expressiveness")
        rate = rates.build(voices, hints)
    hints.watch("Seed", [seed], visitor.seed)
    fields = [seed, context.lenient(speed), context.lenient(expressiveness), rate]
    hints.watch("Speed", [speed], lambda value: visitor.number(value, "Speed", SLOWEST, FASTEST))
    hints.watch(
        "Expressiveness", [expressiveness], lambda value: visitor.number(value, "Expressiveness", 0, 1)
    )
    return fields


def melody_of(voices, hints):
    """The upload of a clip whose melody is followed, with its line of hints; not seen where no model can."""
    with gr.Accordion(MELODY, open=False, visible=all(map(voices.bundle.has, FOLLOWS))):
        clip = context.upload("Its register, range and pace, in the voice above", elem_id="melody")
        hints.beside(MELODY)
    hints.watch(MELODY, [clip])
    return clip


def publish(speak, example):
    """Make /speak public; example: path of the clip that is taken where none is given."""
    with endpoints.hidden():
        takes = [
            endpoints.words(TEXT, f"English; at most {LIMIT:,} characters, {visitor.LIMIT_SECONDS} s"),
            endpoints.clip(VOICE, "A clip of one person, 3 s or more; without one a virtual voice", example),
            endpoints.tick("Consent", "True: I may use this voice. Not needed for a virtual one"),
            endpoints.number("Seed", f"A whole number from 0 to {visitor.SEEDS - 1:,}", 0),
            endpoints.number("Speed", f"{SLOWEST:g} to {FASTEST:g}; 2 is twice as fast", 1.0),
            endpoints.number("Expressiveness", "0, always the same, to 1, lively and risky", 0.1),
            rates.published(),
            endpoints.clip(MELODY, "A clip whose register, range and pace are taken; may be left out"),
        ]
        gives = [
            endpoints.sound("Speech", "The sound, a wav file"),
            endpoints.picture("Spectrogram", "Its mel spectrogram, a png file"),
            endpoints.words("Facts", "Markdown: likeness, real-time factor, seed, notes on the clip"),
        ]
        endpoints.publish(speak, takes, gives, "speak", concurrency_limit=context.SPEAKERS_AT_ONCE)


def results():
    """What plays at once, the sound, its picture, its facts, and it beside the voice."""
    playing = player.build()
    result = gr.Audio(
        label="Result",
        interactive=False,
        buttons=["download"],
        waveform_options=context.colours(),
        elem_id="result",
        elem_classes="result",
    )
    pair = plays.build(visible=False, padding=False)
    picture = context.picture(
        "Spectrogram", "Mel spectrogram of the result: time goes right, frequency goes up"
    )
    line = gr.Markdown(elem_id="facts")
    return playing, result, picture, line, pair


def build(page):
    """Lay out the tab inside a gr.Blocks; page: a context.Context."""
    voices, taken, paths = page.voices, page.taken, examples()
    hints = Hints()
    gr.Markdown(
        "Borrow a voice: pick one below, or bring five seconds of speech, and hear your sentence said in it."
    )
    with gr.Row():
        with gr.Column(min_width=300):
            text = gr.Textbox(
                SAMPLE,
                label=TEXT,
                lines=2,
                info=f"English, up to {LIMIT:,} characters and {visitor.LIMIT_SECONDS} seconds of speech",
            )
            hints.beside(TEXT)
            label = f"{VOICE} (one person, 3 s or more)"
            reference, choice = context.brought(
                hints, VOICE, label, paths, "Example voices", FIRST, elem_id="reference"
            )
            checked = gr.Markdown(report(paths[FIRST]), elem_id="check")
            melody = melody_of(voices, hints)
            fields = settings(voices, hints)
        with gr.Column(min_width=300):
            consent = permits.box(CONSENT)
            hints.beside("Consent")
            go, halt = context.run_and_stop(hints, "Speak")
            playing, *shown = results()
            made = history.History(hints)
            permalink.build(text, choice, fields, reference, paths)
    about.build(about.model(voices.bundle, about.speaking(voices.bundle)), "speak")
    folder = reference.GRADIO_CACHE
    speak, speak_on_page, stop = callbacks(voices, folder)
    publish(speak, paths[FIRST])
    run = go.click(
        hints.telling(speak_on_page, results=SHOWN),
        [text, reference, consent, *fields, melody, taken, made.state],
        [playing, *shown, *made.outputs(), *hints.outputs()],
        api_visibility="private",
        concurrency_limit=context.SPEAKERS_AT_ONCE,
        scroll_to_output=True,
        show_progress_on=shown[:1],
    )
    hints.stop(halt, stop, run)
    made.connect([text, reference, choice, *fields, melody], [reference, melody], consent, shown, taken)
    reference.change(reporter(report, folder), [reference, taken], checked, **context.LIGHT)
    permits.connect(consent, [melody, reference], folder, taken)
    hints.watch(TEXT, [text, fields[1]], check_text)
    hints.watch(VOICE, [reference, taken])
    hints.watch("Consent", [consent, reference, melody, taken])
    taken.change(receive, taken, [choice, reference, checked], **context.LIGHT)
