"""The tab Extract: take one voice out of a mixture, and speak with it."""

import functools
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np

from lib import audio, show
from lib.data import corpus, mixtures
from lib.tabs import about, context, endpoints, history, permits, plays, visitor
from lib.tabs import speak as speaking
from lib.tabs.hints import Hints
from lib.voices.speak import LIMIT

NAME, NEEDS = "Extract", ("speaker_encoder", "tts", "attractor")
SAMPLE = "I was only half of what you heard, and now I am all of it."
CONSENT = "I may use the voices in the clips that I brought: they are mine, or their owners agreed."
MIXTURE, PEOPLE, VOICE, TEXT = "Mixture", "How many people?", "Speak with", "Text"  # names of fields
# Mixtures of virtual voices, made from the embedded corpus when the app starts.
EXAMPLES = {
    "Birch and Willow, a deep and a high voice": ("va-15", "va-20"),
    "Cedar and Linden, closer together": ("va-21", "va-22"),
    "Alder, Hazel and Willow, three at once": ("va-05", "va-16", "va-20"),
}
ALIKE = 0.72  # of training people two halves of one person are nearer than that, two people seldom
COUNTS = {"Tell me": None, "1": 1, "2": 2, "3": 3, "4": 4}
DPI = 160  # of the picture
HUES = ("orange", "blue", "pink", "green")  # names of show.PEOPLE
SENDS = {"speak": "Send to Speak", "atlas": "Show on Atlas"}
LABELS = [f"Voice {i + 1} ({name})" for i, name in enumerate(HUES)]


def examples():
    """{label: path of a wav} of the bundled mixtures, made in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="voice-atlas-mixtures-"))
    rows = corpus.rows("embedded")
    paths = {}
    for i, (label, speakers) in enumerate(EXAMPLES.items()):
        clips = [speaking.longest(rows, speaker)["audio"] for speaker in speakers]
        paths[label] = str(folder / f"mixture-{i + 1}.wav")
        audio.save(paths[label], *mixtures.mixed(clips))
    permits.VIRTUAL.add(paths.values())
    return paths


def picture(people):
    """Figure of what Voices.extract found: each point of the spectrogram in the colour of its person."""
    masks = [speech.facts["mask"] for speech in people]
    seconds = len(people[0].wav) / audio.RATE
    title = "Who speaks where: " + ", ".join(LABELS[: len(people)])
    fig, axis = show.figure(width=6.4, height=3)
    show.draw_mixture(axis, people[0].facts["level"], masks, seconds, title=title)
    return fig


def alike(people):
    """A line where the two nearest of several people are nearer than two people usually are; else none."""
    if len(people) == 1:
        return []
    attractors = np.stack([speech.facts["attractor"] for speech in people])
    cosines = attractors @ attractors.T - 2 * np.eye(len(people))  # nobody counts as alike to oneself
    if cosines.max() < ALIKE:
        return []
    a, b = sorted(np.unravel_index(cosines.argmax(), cosines.shape))
    return [
        f"**Careful:** voices {a + 1} and {b + 1} are alike (cosine {cosines.max():.2f}): "
        "perhaps fewer people speak here"
    ]


def facts(voices, people, counted, notes):
    """Lines of Markdown: who was found and how sure, how fast; then the notes about the recording."""
    card = voices.bundle.card("attractor")
    noun = "voice" if len(people) == 1 else "voices"
    first = f"**{len(people)} {noun}** {'found' if counted else 'asked for'}"
    if len(people) == 1:
        first += "; a mixture of one person is returned as it is"
    lines = [first]
    for label, speech in zip(LABELS, people):
        lines.append(f"**{label}** {100 * speech.facts['share']:.0f} % of the level")
    lines += alike(people)
    lines.append(f"**Checkpoint** {card.get('name', 'attractor')}, training budget: {card['budget']}")
    seconds = len(people[0].wav) / audio.RATE
    lines.append(f"**Real-time factor** {people[0].facts['took'] / seconds:.3f}")
    lines += [f"**Recording** {note}" for note in notes]
    return "\n".join(f"- {line}" for line in lines)


def listened(mixture, second, folder):
    """(rate, samples) of the mixture: one uploaded clip, or two that are played at once.

    Raises WrongField for none, and for one that cannot be used."""
    with visitor.field(MIXTURE):
        if not mixture:
            raise ValueError("There is no mixture: choose an example, upload a clip or record one.")
        paths = [visitor.clip(path, folder) for path in (mixture, second) if path]
        return mixtures.mixed(paths) if second else audio.load(paths[0])


@dataclass(frozen=True)
class Found:
    """What was taken apart for one visitor.

    clip: (rate, samples) of the mixture.  people: a Speech each.  image: path of the picture, which label
    describes.  words: facts.  name: what was taken apart.
    hand: what a gr.State keeps, {"voices": lists of D numbers, "person": whether one may be somebody's,
    "fields": what the fields held}; `shown` adds "sounds", paths of what was taken out."""

    clip: tuple
    people: list
    image: str
    label: str
    words: str
    name: str
    hand: dict

    def sounds(self, folder):
        """Paths of the sounds, one for each of LABELS, None where there are fewer people."""
        paths = [None] * len(LABELS)
        for i, speech in enumerate(self.people):
            paths[i] = visitor.save(speech, folder, f"{self.name} voice {i + 1}")
        return paths

    def numbers(self):
        """The vectors of each voice, for the eye."""
        rows = []
        for speech in self.people:
            rows.append({name: speech.facts[name].tolist() for name in ("spk_emb", "attractor")})
        return rows


def beside(found, sounds):
    """Update of the buttons that play the mixture and each voice in it, equally loud."""
    compared = {"Mixture": (audio.RATE, audio.prepare(found.clip))}
    for label, path in zip(LABELS, sounds[: len(found.people)]):
        compared[label] = audio.load(path)
    return plays.compared(compared)


def shown(found, sounds):
    """Updates of everything on the page that shows who was found; sounds: a path, or None, for each label."""
    players = []
    for path, label in zip(sounds, LABELS, strict=True):
        players.append(gr.Audio(path, label=label, visible=path is not None))
    choice = gr.Radio(LABELS[: len(found.people)], value=LABELS[0], visible=True)
    image = gr.Image(found.image, label=found.label)
    hand = found.hand | {"sounds": sounds}
    return image, *players, beside(found, sounds), found.words, found.numbers(), choice, hand


def hidden():
    """Updates of the same after all results were forgotten, and of what was said in a voice."""
    players = [gr.Audio(value=None, visible=False) for _ in LABELS]
    none = plays.compared({})
    choice = gr.Radio([], value=None, visible=False)
    return None, *players, none, None, None, choice, None, None, none, None


def spoken_beside(hand, choice, sound):
    """Update of the buttons that play a voice taken out, unless its file has gone, and the file `sound`."""
    voice = history.present(hand["sounds"][LABELS.index(choice)])
    sounds = {"Result": audio.load(sound)}
    if voice:
        sounds = {choice: audio.load(voice)} | sounds
    return plays.compared(sounds)


def remembered(kept, found, sounds, title, text):
    """The results `kept` and, before them, every voice Found, called after the mixture, `title`.

    The first holds the picture.  text: what the field of the words to say held."""
    fields = (*found.hand["fields"], text)
    for i in reversed(range(len(found.people))):
        paths = (sounds[i], found.image) if i == 0 else (sounds[i],)
        kept = history.added(kept, f"{LABELS[i]} of {title}", paths, fields)
    return kept


def apart(voices, folder, mixture, second, people, ticked, progress, example=None):
    """The people Found in a mixture.

    ticked: the box of consent.  example: label of the bundled one that the mixture is.  Raises WrongField."""
    if people not in COUNTS:
        raise visitor.WrongField(PEOPLE, f"{people!r} is none of {', '.join(COUNTS)}: choose one.")
    clip = listened(mixture, second, folder)
    is_person = permits.asks([mixture, second], folder)
    if is_person:
        permits.require(ticked, "these voices are")
    progress(0.1, desc="listening")
    with visitor.field(MIXTURE):
        heard = voices.extract(clip, COUNTS[people])
    progress(0.8, desc="drawing")
    figure, image = picture(heard), visitor.fresh(folder, ".png")
    figure.savefig(image, dpi=DPI)
    words = facts(voices, heard, people == "Tell me", audio.check(clip).problems)
    hand = {"voices": [speech.facts["spk_emb"].tolist() for speech in heard], "person": is_person}
    hand["fields"] = (mixture, example, second, people)
    return Found(clip, heard, image, figure.get_label(), words, Path(mixture).stem, hand)


def callbacks(voices, folder):
    """(function behind the API, then those behind the buttons of the page); they keep nothing.

    hand: that of a Found, in a gr.State, never sent by the page."""

    def extract(
        mixture,
        second,
        people,
        consent,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """Take the people who talk at once in a mixture apart."""
        found = apart(voices, folder, mixture, second, people, consent, progress)
        return found.image, *found.sounds(folder), found.words, found.numbers()

    def extract_on_page(
        mixture,
        second,
        people,
        consent,
        example,
        text,
        kept,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """The same, as updates of the page; kept: results of this visit."""
        found = apart(voices, folder, mixture, second, people, consent, progress, example)
        sounds = found.sounds(folder)
        kept = remembered(kept, found, sounds, example or found.name, text)
        return *shown(found, sounds), *history.shown(kept)

    def chosen(hand, choice, ticked):
        """spk_emb [D] of the chosen voice."""
        found = hand["voices"] if hand else []
        if choice not in LABELS[: len(found)]:
            raise visitor.WrongField(VOICE, "there is no voice yet: take a mixture apart, then choose one.")
        if hand["person"]:
            permits.require(ticked, "these voices are")
        return visitor.vector(found[LABELS.index(choice)], voices.encoder.config.D)

    def speak(text, hand, choice, consent, kept):
        """The sound, it beside the voice that was taken out, a line, and the results of this visit."""
        spk_emb = chosen(hand, choice, consent)
        speech = speaking.say(voices, text, spk_emb, TEXT)
        line = f"- {speech.facts['seconds']:.1f} s of speech in {speech.facts['took']:.2f} s"
        name = f"voice {LABELS.index(choice) + 1} {text}"
        sound = visitor.save(speech, folder, name)
        kept = history.added(kept, f"{choice}: {text}", (sound,), (*hand["fields"], text))
        pair = spoken_beside(hand, choice, sound)
        return sound, pair, line + speaking.unread(text), *history.shown(kept)

    def take(tab, hand, choice, consent):
        """The voice for another tab, and the tab."""
        spk_emb = chosen(hand, choice, consent)
        taken = {"name": f"{choice} of a mixture", "spk_emb": spk_emb.tolist(), "person": hand["person"]}
        return taken | {"stamp": uuid.uuid4().hex}, gr.Tabs(selected=tab)

    return extract, extract_on_page, speak, take


def publish(extract, example):
    """Make /extract public; example: path of the mixture that is taken where none is given."""
    with endpoints.hidden():
        takes = [
            endpoints.clip(MIXTURE, "A clip of 1 to 30 s in which 1 to 4 people talk at once", example),
            endpoints.clip("Second clip", "Played at the same time as the mixture; may be left out"),
            endpoints.choice(PEOPLE, "How many people talk; Tell me: the network counts", COUNTS, "Tell me"),
            endpoints.tick("Consent", "True: I may use these voices. Not needed for virtual ones"),
        ]
        gives = [endpoints.picture("Who speaks where", "Spectrogram in the colours of people, a png file")]
        for label in LABELS:
            gives.append(endpoints.sound(label, "One person alone, a wav file; null where there are fewer"))
        gives += [
            endpoints.words("Facts", "Markdown: how many people, their shares, notes on the recording"),
            endpoints.values("Vectors", "For each voice spk_emb and attractor, lists of numbers"),
        ]
        endpoints.publish(extract, takes, gives, "extract", concurrency_limit=context.OTHERS_AT_ONCE)


def sources(hints):
    """What a visitor brings: the mixture, or a second clip to be mixed with the first.

    Returns (mixture, the choice among its examples, second, path of the first example)."""
    paths = examples()
    first = next(iter(paths))
    label = f"{MIXTURE}, 1 to 30 s"
    mixture, choice = context.brought(
        hints, MIXTURE, label, paths, "Example mixtures", first, elem_id="mixture"
    )
    with gr.Accordion("Or let the app mix: add a second clip", open=False):
        second = context.upload("Second clip, played at the same time", elem_id="second")
    hints.watch(MIXTURE, [mixture, second])
    return mixture, choice, second, paths[first]


def question(hints):
    """How many people, whether one may, the button, and the picture of the answer."""
    people = gr.Radio(list(COUNTS), value="Tell me", label=PEOPLE)
    hints.beside(PEOPLE)
    consent = permits.box(CONSENT)
    hints.beside("Consent")
    go, halt = context.run_and_stop(hints, "Take apart")
    image = context.picture(
        "Who speaks where", "Spectrogram of the mixture, each point in the colour of its speaker"
    )
    hints.watch(PEOPLE, [context.lenient(people)])
    return people, consent, go, halt, image


def people_found(sound):
    """A player for each voice, mixture and voices at one level, and the facts; sound: how players look."""
    with gr.Row():
        each = dict(visible=False, elem_classes="result", min_width=300) | sound
        players = [gr.Audio(label=label, **each) for label in LABELS]
    pairs = plays.build(visible=False, padding=False)
    return *players, pairs, gr.Markdown(elem_id="people")


def speech(page, hints):
    """Which voice is to say what, the button Speak, and {id of a tab: button that sends the voice there}."""
    voice = gr.Radio([], label=VOICE, visible=False)
    hints.beside(VOICE)
    text = gr.Textbox(SAMPLE, label=TEXT, lines=2, max_length=LIMIT)
    hints.beside(TEXT)
    sends = {}
    with gr.Row():
        say = gr.Button("Speak", min_width=120)
        for tab, label in SENDS.items():
            is_there = tab != "atlas" or page.has("atlas")
            sends[tab] = gr.Button(label, min_width=120, visible=is_there)
    hints.watch(VOICE, [context.lenient(voice)])
    hints.watch(TEXT, [text], lambda words: speaking.check_text(words, name=TEXT))
    return voice, text, say, sends


def build(page):
    """Lay out the tab inside a gr.Blocks; page: a context.Context."""
    sound = dict(interactive=False, buttons=["download"], waveform_options=context.colours())
    hints = Hints()
    gr.Markdown("Two people talk at once. Take them apart, choose one, and hear your text in that voice.")
    with gr.Row():
        with gr.Column(min_width=300):
            mixture, choice, second, example = sources(hints)
        with gr.Column(min_width=300):
            people, consent, go, halt, image = question(hints)
    *players, pairs, line = people_found(sound)
    with gr.Row():
        with gr.Column(min_width=300):
            voice, text, say, sends = speech(page, hints)
        with gr.Column(min_width=300):
            result = gr.Audio(label="Your text in that voice", autoplay=True, elem_classes="result", **sound)
            pair = plays.build(visible=False, padding=False)
            took = gr.Markdown()
    made = history.History(hints)
    with gr.Accordion("The vectors", open=False):
        numbers = gr.JSON(label="For each voice: spk_emb by the encoder of lesson 01, attractor by lesson 02")
    about.build(about.model(page.voices.bundle, "attractor"), "extract")
    folder = result.GRADIO_CACHE
    extract, extract_on_page, speak, take = callbacks(page.voices, folder)
    publish(extract, example)
    hand = context.state()
    found = [image, *players, pairs, line, numbers, voice, hand]
    spoken = [result, pair, took]
    listed = made.outputs()
    private = dict(api_visibility="private", concurrency_limit=context.OTHERS_AT_ONCE)
    run = go.click(
        hints.telling(extract_on_page, results=len(found) + len(listed)),
        [mixture, second, people, consent, choice, text, made.state],
        [*found, *listed, *hints.outputs()],
        scroll_to_output=True,
        show_progress_on=[image],
        **private,
    )
    hints.stop(halt, lambda request: visitor.STOPPED, run)
    say.click(
        hints.telling(speak, results=len(spoken) + len(listed)),
        [text, hand, voice, consent, made.state],
        [*spoken, *listed, *hints.outputs()],
        show_progress_on=[result],
        **private | dict(concurrency_limit=context.SPEAKERS_AT_ONCE),
    )
    for tab, send in sends.items():
        send_it = hints.telling(functools.partial(take, tab), results=2)
        send.click(
            send_it, [hand, voice, consent], [page.taken, page.tabs, *hints.outputs()], **context.SENDING
        )
    fields = [mixture, choice, second, people, text]
    made.connect(fields, [mixture, second], consent, [*found, *spoken], emptied=hidden)
    hints.watch("Consent", [consent, mixture, second])
    permits.connect(consent, [mixture, second], folder, held=hand)
