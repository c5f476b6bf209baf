"""The tab Clean: noise out of a recording, or everything but one voice."""

import tempfile
from pathlib import Path

import gradio as gr
import numpy as np

from lib import audio
from lib.data import corpus, noisy
from lib.tabs import about, context, convert, endpoints, permits, visitor
from lib.tabs import speak as speaking
from lib.tabs.hints import Hints

NAME, NEEDS = "Clean", ("speaker_encoder", "enhancer")
CONSENT = "I may use the voices in the clips that I brought: they are mine, or their owners agreed."
NOISY, KEEP, VOICE, STRENGTH = "Recording", "Keep", "Whose voice", "Strength"  # names of fields
ANYBODY, ONE = "All speech", "Only one voice"
SNR_DB = 0.0  # of the examples: the noise is as loud as the voice
# label: (speaker, what is in the way: a maker of noise or another speaker).  Nobody stands behind them.
EXAMPLES = {
    "Birch beside a hum": ("va-15", noisy.hum),
    "Willow and strokes of a keyboard": ("va-20", noisy.clicks),
    "Cedar, while Linden talks": ("va-21", "va-22"),
}
LIMITS = (
    "Early weights: ten minutes of training. Hums, keys and steady noise go; babble and other people hardly, "
    "and clean speech loses a little. Echo stays. 16 kHz."
)
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
    image = visitor.fresh(folder, ".png")
    convert.picture(sounds).savefig(image, dpi=speaking.DPI)
    return visitor.save(speech, folder, f"{Path(recording).stem} clean"), image


def callbacks(voices, folder):
    """(function behind the API, the one behind the page, Stop); they keep when each visitor pressed Stop."""
    stops = visitor.Stops()

    def cleaned(recording, keep, voice, ticked, strength, taken, request, progress):
        """(path of the result, path of the picture, facts)."""
        if keep not in (ANYBODY, ONE):
            raise visitor.WrongField(KEEP, f"{keep!r} is neither {ANYBODY} nor {ONE}: choose one.")
        strength = visitor.number(strength, STRENGTH, 0, 1)
        clip = heard(recording, folder)
        told = keep == ONE
        target = voice if told else None
        sent = taken if told and not voice else None
        with visitor.field(VOICE):
            is_person = permits.asks([recording, target], folder, sent)
        if is_person:
            permits.require(ticked, "these voices are")
        spk_emb = None
        if told:
            _, spk_emb, _ = speaking.borrowed(voices, target, sent, folder, VOICE)
        progress(0, desc="listening")
        with visitor.field(NOISY):
            speech = voices.enhance(
                clip,
                spk_emb,
                strength,
                progress=lambda share, words: progress(share, desc=words),
                cancelled=stops.asked(request),
            )
            before = voices.enhance(clip, strength=0.0).wav
        return *write(folder, speech, before, recording), facts(voices, speech, before)

    def clean(
        recording,
        keep,
        voice,
        consent,
        strength,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """Take the noise out of a recording, or everything but one voice."""
        return cleaned(recording, keep, voice, consent, strength, None, request, progress)

    def clean_on_page(
        recording,
        keep,
        voice,
        consent,
        strength,
        taken,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """The same with the recording before it, where a voice may have been sent from another tab."""
        given = cleaned(recording, keep, voice, consent, strength, taken, request, progress)
        return recording, *given

    return clean, clean_on_page, stops.press


def publish(clean):
    """Make /clean public."""
    with endpoints.hidden():
        takes = [
            endpoints.clip(NOISY, "A clip of 1 s to 10 minutes in which somebody speaks"),
            endpoints.choice(KEEP, "What stays", [ANYBODY, ONE], ANYBODY),
            endpoints.clip(VOICE, "A clip of that person, 3 s or more; only for one voice"),
            endpoints.tick("Consent", "True: I may use these voices. Not needed for virtual ones"),
            endpoints.number(STRENGTH, "0 leaves the recording as it is, 1 takes away all that can go", 1.0),
        ]
        gives = [
            endpoints.sound("After", "The result, as loud as the voice was in the recording, a wav file"),
            endpoints.picture("Spectrograms", "Both on one time axis, a png file"),
            endpoints.words("Facts", "Markdown: what was kept, how much went, real-time factor"),
        ]
        endpoints.publish(clean, takes, gives, "clean", concurrency_limit=context.OTHERS_AT_ONCE)


def sources(hints, paths):
    """What a visitor brings: the recording, what is to stay, and whose voice."""
    first = next(iter(paths))
    with gr.Row():
        with gr.Column(min_width=300):
            recording = context.upload(
                f"{NOISY}, 1 s to 10 minutes", paths[first], elem_id="noisy", render=False
            )
            context.example_radio(paths, "Example recordings", recording, first)
            recording.render()
            hints.beside(NOISY)
        with gr.Column(min_width=300):
            keep = gr.Radio([ANYBODY, ONE], value=ANYBODY, label=KEEP)
            hints.beside(KEEP)
            voice = context.upload(f"{VOICE} (one person, 3 s or more)", elem_id="kept", visible=False)
            hints.beside(VOICE)
            strength = gr.Slider(
                0.0, 1.0, 1.0, step=0.05, label=STRENGTH, info="0 is the recording, 1 the result alone."
            )
            hints.beside(STRENGTH)
    keep.change(lambda choice: gr.Audio(visible=choice == ONE), keep, voice, **context.LIGHT)
    hints.watch(NOISY, [recording])
    hints.watch(KEEP, [context.lenient(keep)])
    hints.watch(
        STRENGTH, [context.lenient(strength)], lambda value: visitor.number(value, STRENGTH, 0, 1)
    )
    return recording, keep, voice, strength


def results():
    """Both players, the picture and the facts."""
    sound = dict(interactive=False, buttons=["download"], waveform_options=context.colours())
    with gr.Row():
        before = gr.Audio(label="Before", elem_classes="result", min_width=300, **sound)
        after = gr.Audio(label="After", elem_classes="result", min_width=300, **sound)
    drawn = gr.Image(
        show_label=False,
        label="Spectrograms",
        interactive=False,
        buttons=[],
        min_width=100,
        alt_text="Mel spectrograms of the recording and of the result on one time axis: "
        "time goes right, frequency goes up",
    )
    return before, after, drawn, gr.Markdown(elem_classes="check")


def build(page):
    """Lay out the tab inside a gr.Blocks; page: a context.Context."""
    gr.Markdown(
        "Less noise in a recording; or, with a clip of somebody, more of that voice and less of others. "
        "A voice that another tab sent will do as well. The weights are early ones: see the limits below."
    )
    hints = Hints()
    recording, keep, voice, strength = sources(hints, examples())
    consent = permits.box(CONSENT)
    hints.beside("Consent")
    with gr.Row():
        go = gr.Button("Clean", variant="primary", min_width=120, scale=3)
        halt = gr.Button("Stop", min_width=80)
    hints.beside()
    shown = results()
    words = about.model(page.voices.bundle, "enhancer")
    gr.Markdown(f"{words}\n\n**Limits:** {LIMITS}", elem_classes="about")
    folder = shown[0].GRADIO_CACHE
    clean, clean_on_page, stop = callbacks(page.voices, folder)
    publish(clean)
    run = go.click(
        hints.telling(clean_on_page, results=len(shown)),
        [recording, keep, voice, consent, strength, page.taken],
        [*shown, *hints.outputs()],
        api_visibility="private",
        concurrency_limit=context.OTHERS_AT_ONCE,
        scroll_to_output=True,
        show_progress_on=[shown[1]],
    )
    hints.stop(halt, stop, run)
    hints.watch(VOICE, [voice, keep, page.taken])
    hints.watch("Consent", [consent, recording, voice, page.taken])
    permits.connect(consent, [recording, voice], folder, page.taken)
