"""The tab Extract: take one voice out of a mixture, and speak with it."""

import functools
import tempfile
import uuid
from pathlib import Path

import gradio as gr
import numpy as np

from lib import audio, show
from lib.data import corpus, mixtures
from lib.tabs import about, context, visitor
from lib.tabs import speak as speaking
from lib.voices.speak import LIMIT

NAME, NEEDS = "Extract", ("speaker_encoder", "tts", "attractor")
SAMPLE = "I was only half of what you heard, and now I am all of it."
CONSENT = "I may use these voices: they are mine, their owners agreed, or they are virtual."
# Mixtures of virtual voices, made from the embedded corpus when the app starts.
EXAMPLES = {
    "Birch and Willow, a deep and a high voice": ("va-15", "va-20"),
    "Cedar and Linden, closer together": ("va-21", "va-22"),
    "Alder, Hazel and Willow, three at once": ("va-05", "va-16", "va-20"),
}
ALIKE = 0.72  # of training people two halves of one person are nearer than that, two people seldom
COUNTS = {"Tell me": None, "1": 1, "2": 2, "3": 3, "4": 4}
HUES = ("orange", "blue", "pink", "green")  # names of show.PEOPLE
SENDS = {"speak": "Send this voice to Speak", "atlas": "Show it on the Atlas"}
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
    return paths


def require(mixture, consent, count):
    """Raise ValueError, naming the remedy, for what only the tab knows to refuse."""
    visitor.consent(consent, "these voices are")
    if not mixture:
        raise ValueError("There is no mixture: choose an example, upload a clip or record one.")
    if count not in COUNTS:
        raise ValueError(f"{count!r} people: choose one of {list(COUNTS)}.")


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
    """(rate, samples) of the mixture: one uploaded clip, or two that are played at once."""
    paths = [visitor.clip(path, folder) for path in (mixture, second) if path]
    return mixtures.mixed(paths) if second else audio.load(paths[0])


def shown(people):
    """Updates of the players and of the choice among them, and {label: vectors} for the eye."""
    players = []
    for label in LABELS:
        players.append(gr.Audio(None, label=label, visible=False))
    choice = gr.Radio(LABELS[: len(people)], value=LABELS[0], visible=True)
    numbers = []
    for speech in people:
        numbers.append({name: speech.facts[name].tolist() for name in ("spk_emb", "attractor")})
    return players, choice, numbers


def callbacks(voices, folder):
    """The functions behind the buttons; they keep nothing.

    hand: what was taken apart for this visitor, a list of spk_emb in a gr.State, never sent by the page."""

    @visitor.answering
    def extract(mixture, second, people, consent, progress=gr.Progress()):  # noqa: B008  gradio reads the default
        require(mixture, consent, people)
        progress(0.1, desc="listening")
        clip = listened(mixture, second, folder)
        found = voices.extract(clip, COUNTS[people])
        progress(0.8, desc="drawing")
        figure, image = picture(found), visitor.fresh(folder, ".png")
        figure.savefig(image, dpi=speaking.DPI)
        players, choice, numbers = shown(found)
        for i, speech in enumerate(found):
            players[i] = gr.Audio(visitor.save(speech, folder), visible=True)
        words = facts(voices, found, people == "Tell me", audio.check(clip).problems)
        hand = [row["spk_emb"] for row in numbers]
        return gr.Image(image, label=figure.get_label()), *players, words, numbers, choice, hand

    def chosen(hand, choice, consent):
        """spk_emb of the chosen voice."""
        if consent is not True or not hand or choice not in LABELS[: len(hand)]:
            raise ValueError(
                "There is no voice yet: tick the consent box, take a mixture apart, then choose a voice."
            )
        return visitor.vector(hand[LABELS.index(choice)], voices.encoder.config.D)

    @visitor.answering
    def speak(text, hand, choice, consent):
        spk_emb = chosen(hand, choice, consent)
        speech = speaking.say(voices, text, spk_emb)
        line = f"- {speech.facts['seconds']:.1f} s of speech in {speech.facts['took']:.2f} s"
        return visitor.save(speech, folder), line + speaking.unread(text)

    @visitor.answering
    def take(tab, hand, choice, consent):
        spk_emb = chosen(hand, choice, consent)
        taken = {"name": f"{choice} of a mixture", "spk_emb": spk_emb.tolist(), "stamp": uuid.uuid4().hex}
        return taken, gr.Tabs(selected=tab)

    return extract, speak, take


def sources():
    """What a visitor brings: the mixture, or a second clip to be mixed with the first."""
    paths = examples()
    first = next(iter(paths))
    mixture = context.upload("Mixture, 1 to 30 s", paths[first], elem_id="mixture", render=False)
    context.example_radio(paths, "Example mixtures", mixture, first)
    mixture.render()
    with gr.Accordion("Or let the app mix: add a second clip", open=False):
        second = context.upload("Second clip, played at the same time", elem_id="second")
    return mixture, second


def question():
    """How many people, whether one may, the button, and the picture of the answer."""
    people = gr.Radio(list(COUNTS), value="Tell me", label="How many people?")
    consent = gr.Checkbox(label=CONSENT)
    go = gr.Button("Take apart", variant="primary")
    image = gr.Image(
        show_label=False,
        label="Who speaks where",
        interactive=False,
        buttons=[],
        min_width=100,
        alt_text="Spectrogram of the mixture, each point in the colour of its speaker",
    )
    return people, consent, go, image


def speech(page):
    """Which voice is to say what, the button Speak, and {id of a tab: button that sends the voice there}."""
    voice = gr.Radio([], label="Speak with", visible=False)
    text = gr.Textbox(SAMPLE, label="Text", lines=2, max_length=LIMIT)
    sends = {}
    with gr.Row():
        say = gr.Button("Speak", min_width=120)
        for tab, label in SENDS.items():
            is_there = tab != "atlas" or page.has("atlas")
            sends[tab] = gr.Button(label, min_width=120, visible=is_there)
    return voice, text, say, sends


def build(page):
    """Lay out the tab inside a gr.Blocks; page: a context.Context."""
    sound = dict(interactive=False, buttons=["download"], waveform_options=context.colours())
    gr.Markdown("Two people talk at once. Take them apart, choose one, and hear your text in that voice.")
    with gr.Row():
        with gr.Column(min_width=300):
            mixture, second = sources()
        with gr.Column(min_width=300):
            people, consent, go, image = question()
    players = [gr.Audio(label=label, visible=False, elem_classes="result", **sound) for label in LABELS]
    line = gr.Markdown(elem_id="people")
    with gr.Row():
        with gr.Column(min_width=300):
            voice, text, say, sends = speech(page)
        with gr.Column(min_width=300):
            result = gr.Audio(label="Your text in that voice", autoplay=True, elem_classes="result", **sound)
            took = gr.Markdown()
    with gr.Accordion("The vectors", open=False):
        numbers = gr.JSON(label="For each voice: spk_emb by the encoder of lesson 01, attractor by lesson 02")
    gr.Markdown(about.model(page.voices.bundle, "attractor"), elem_classes="about")
    extract, speak, take = callbacks(page.voices, result.GRADIO_CACHE)
    hand = context.state()
    found = [image, *players, line, numbers, voice, hand]
    apart = dict(api_name="extract", concurrency_limit=context.OTHERS_AT_ONCE, scroll_to_output=True)
    go.click(extract, [mixture, second, people, consent], found, **apart)
    spoken = dict(api_visibility="private", concurrency_limit=context.SPEAKERS_AT_ONCE)
    say.click(speak, [text, hand, voice, consent], [result, took], **spoken)
    for tab, send in sends.items():
        send_it = functools.partial(take, tab)
        send.click(send_it, [hand, voice, consent], [page.taken, page.tabs], **context.SENDING)
