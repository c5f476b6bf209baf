"""The tab Extract: take one voice out of a mixture, and speak with it."""
import functools
import tempfile
import uuid
from pathlib import Path

import gradio as gr
import numpy as np

from lib import audio, show
from lib.data import corpus
from lib.voices import synthesis

SAMPLE = "I was only half of what you heard, and now I am all of it."
# Mixtures of virtual voices, made from the embedded corpus when the app starts.
EXAMPLES = {"Birch and Willow, a deep and a high voice": ("va-15", "va-20"),
            "Cedar and Linden, closer together": ("va-21", "va-22"),
            "Alder, Hazel and Willow, three at once": ("va-05", "va-16", "va-20")}
ALIKE = 0.72  # of training people two halves of one person are nearer than that, two people seldom
COUNTS = {"Tell me": None, "1": 1, "2": 2, "3": 3, "4": 4}
HUES = {"orange": show.COLOURS[4], "blue": show.COLOURS[5], "pink": show.COLOURS[3], "green": show.COLOURS[2]}
SENDS = {"speak": "Send this voice to Speak", "atlas": "Show it on the Atlas"}
LABELS = [f"Voice {i + 1} ({name})" for i, name in enumerate(HUES)]


def mixed(clips):
    """(rate, samples [T]) of clips that are brought to one level and played at once; a shorter one is silent at its end."""
    wavs = [audio.prepare(clip) for clip in clips]
    most = max(map(len, wavs))
    return audio.RATE, sum(np.pad(wav, (0, most - len(wav))) for wav in wavs) / len(wavs)


def examples():
    """{label: path of a wav} of the bundled mixtures, made in a temporary folder."""
    folder, found, paths = Path(tempfile.mkdtemp(prefix="voice-atlas-mixtures-")), corpus.rows("embedded"), {}
    for i, (label, speakers) in enumerate(EXAMPLES.items()):
        clips = [max((row for row in found if row["speaker"] == who), key=lambda row: row["seconds"])["audio"] for who in speakers]
        paths[label] = str(folder / f"mixture-{i + 1}.wav")
        audio.save(paths[label], *mixed(clips))
    return paths


def require(mixture, consent, count):
    """Raise ValueError, naming the remedy, for what only the tab knows to refuse."""
    if consent is not True:
        raise ValueError("The consent box is not ticked: borrow voices only when you may, then tick the box.")
    if not mixture:
        raise ValueError("There is no mixture: choose an example, upload a clip or record one.")
    if count not in COUNTS:
        raise ValueError(f"{count!r} people: choose one of {list(COUNTS)}.")


def picture(found):
    """Figure of what Voices.extract found: each bin as bright as the mixture there, in the colour of the person it belongs to."""
    level, masks = found[0].facts["level"], np.stack([speech.facts["mask"] for speech in found])
    hues = np.array([[int(hue[i: i + 2], 16) / 255 for i in (1, 3, 5)] for hue in HUES.values()])[: len(found)]
    light = np.clip(1 + np.log10(level / max(level.max(), 1e-9) + 1e-9) / 3, 0, 1)[..., None]  # 60 dB
    image = (light * np.einsum("sfn,sc->fnc", masks, hues)).transpose(1, 0, 2)
    fig, axis = show.figure(width=6.4, height=3)
    seconds, khz = len(found[0].wav) / audio.RATE, audio.RATE / 2000
    axis.imshow(image[: len(image) * 5 // 8], origin="lower", aspect="auto", extent=(0, seconds, 0, khz * 5 / 8))
    show.label(axis, "time (s)", "frequency (kHz)", "Who speaks where: " + ", ".join(LABELS[: len(found)]))
    return fig


def facts(voices, found, counted, notes):
    """Lines of Markdown: who was found and how sure, how fast; then the notes about the recording."""
    card, S = voices.cards["attractor"], len(found)
    lines = [f"**{S} {'voice' if S == 1 else 'voices'}** {'found' if counted else 'asked for'}"
             + ("; a mixture of one person is returned as it is" if S == 1 else ""),
             *(f"**{label}** {100 * speech.facts['share']:.0f} % of the level" for label, speech in zip(LABELS, found))]
    attractors = np.stack([speech.facts["attractor"] for speech in found])
    near = (attractors @ attractors.T - 2 * np.eye(S))
    if S > 1 and near.max() >= ALIKE:
        a, b = sorted(np.unravel_index(near.argmax(), near.shape))
        lines.append(f"**Careful:** voices {a + 1} and {b + 1} are alike (cosine {near.max():.2f}): perhaps fewer people speak here")
    figures = card["figures"]
    if "si_sdri_2" in figures:
        lines.append(f"**Checkpoint** {card.get('name', 'attractor')}: {figures['si_sdri_2']:.1f} dB better than nothing on two strangers, "
                     f"counts {100 * figures.get('speakers_right', 0):.0f} % of mixtures right; budget: {card['budget']}")
    lines.append(f"**Real-time factor** {found[0].facts['took'] / (len(found[0].wav) / audio.RATE):.3f}")
    return "\n".join(f"- {line}" for line in [*lines, *(f"**Recording** {note}" for note in notes)])


def callbacks(voices, folder):
    """The functions behind the two buttons; they keep nothing."""
    def path(kind):
        Path(folder).mkdir(parents=True, exist_ok=True)
        return Path(folder) / f"voice-atlas-{uuid.uuid4().hex}.{kind}"

    def extract(mixture, second, people, consent, progress=gr.Progress()):  # noqa: B008  gradio reads the default
        try:
            require(mixture, consent, people)
            progress(0.1, desc="listening")
            clip = mixed([mixture, second]) if second else audio.load(mixture)
            notes = audio.check(clip).problems
            found = voices.extract(clip, COUNTS[people])
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error
        progress(0.8, desc="drawing")
        (fig := picture(found)).savefig(image := path("png"), dpi=160)
        players = [gr.Audio(str(speech.save(path("wav"))), visible=True) for speech in found]
        numbers = [{name: speech.facts[name].tolist() for name in ("spk_emb", "attractor")} for speech in found]
        choice = gr.Radio(LABELS[: len(found)], value=LABELS[0], visible=True)
        players += [gr.Audio(None, visible=False)] * (len(LABELS) - len(found))
        return gr.Image(str(image), label=fig.get_label()), *players, facts(voices, found, people == "Tell me", notes), numbers, choice

    def chosen(numbers, choice, consent):
        """spk_emb of the chosen voice: what the page sends back is checked like any other input."""
        if consent is not True or not isinstance(numbers, list) or choice not in LABELS[: len(numbers)]:
            raise gr.Error("There is no voice yet: tick the consent box, take a mixture apart, then choose a voice.", print_exception=False)
        return voices.voice(numbers[LABELS.index(choice)]["spk_emb"])

    def speak(text, numbers, choice, consent):
        try:
            speech = voices.speak(text, chosen(numbers, choice, consent))
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return str(speech.save(path("wav"))), f"{speech.facts['seconds']:.1f} s of speech in {speech.facts['took']:.2f} s"

    def take(tab, numbers, choice, consent):
        voice = {"name": f"{choice} of a mixture", "spk_emb": chosen(numbers, choice, consent).tolist(), "stamp": uuid.uuid4().hex}
        return voice, gr.Tabs(selected=tab)
    return extract, speak, take


def build(voices, tabs, taken, atlas=False):
    """Lay out the tab and connect it to `voices`; `taken` is the gr.State of the tab Speak, on the gr.Tabs `tabs`; atlas: one of them."""
    paths, colours = examples(), gr.WaveformOptions(waveform_color="#737373", waveform_progress_color=show.COLOURS[0])
    look = dict(sources=["upload", "microphone"], type="filepath", buttons=[], waveform_options=colours, elem_classes="reference")
    sound = dict(interactive=False, buttons=["download"], waveform_options=colours)
    gr.Markdown("Two people talk at once. Take them apart, choose one, and hear your text in that voice.")
    with gr.Row():
        with gr.Column(min_width=300):
            choice = gr.Radio(list(paths), value=next(iter(paths)), label="Example mixtures",
                              info="Virtual voices: nobody stands behind them.")
            mixture = gr.Audio(next(iter(paths.values())), label="Mixture, 1 to 30 s", elem_id="mixture", **look)
            with gr.Accordion("Or let the app mix: add a second clip", open=False):
                second = gr.Audio(label="Second clip, played at the same time", elem_id="second", **look)
        with gr.Column(min_width=300):
            people = gr.Radio(list(COUNTS), value="Tell me", label="How many people?")
            consent = gr.Checkbox(label="I may use these voices: they are mine, their owners agreed, or they are virtual.")
            go = gr.Button("Take apart", variant="primary")
            image = gr.Image(show_label=False, label="Who speaks where", interactive=False, buttons=[], min_width=100,
                             alt_text="Spectrogram of the mixture, each point in the colour of its speaker")
    players = [gr.Audio(label=label, visible=False, **sound) for label in LABELS]
    line = gr.Markdown(elem_id="people")
    with gr.Row():
        with gr.Column(min_width=300):
            voice = gr.Radio([], label="Speak with", visible=False)
            text = gr.Textbox(SAMPLE, label="Text", lines=2, max_length=synthesis.LIMIT)
            with gr.Row():
                say = gr.Button("Speak", min_width=120)
                sends = {tab: gr.Button(label, min_width=120, visible=tab != "atlas" or atlas) for tab, label in SENDS.items()}
        with gr.Column(min_width=300):
            result = gr.Audio(label="Your text in that voice", autoplay=True, **sound)
            took = gr.Markdown()
    with gr.Accordion("The vectors", open=False):
        numbers = gr.JSON(label="For each voice: spk_emb by the encoder of lesson 01, attractor by lesson 02")
    extract, speak, take = callbacks(voices, result.GRADIO_CACHE)
    own = dict(api_visibility="private", show_progress="hidden", concurrency_limit=None)
    go.click(extract, [mixture, second, people, consent], [image, *players, line, numbers, voice], api_name="extract",
             concurrency_limit=1, scroll_to_output=True)
    say.click(speak, [text, numbers, voice, consent], [result, took], api_visibility="private", concurrency_limit=2)
    for tab, send in sends.items():
        send.click(functools.partial(take, tab), [numbers, voice, consent], [taken, tabs], **own)
    choice.input(paths.get, choice, mixture, **own)
    gr.on([mixture.upload, mixture.stop_recording, mixture.clear], None, None, choice, js="() => null", **own)
