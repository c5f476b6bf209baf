"""The tab Speak: your text in a borrowed voice."""
import tempfile
import time
import uuid
from pathlib import Path

import gradio as gr

from lib import audio, show
from lib.data import corpus
from lib.voices import synthesis

SAMPLE = "The kettle sings, the window is open, and somebody else's voice is saying good morning to you."
# Speakers of the embedded corpus from deep to high; 20, 21 and 22 are voices that no model was trained on.
EXAMPLES = {"Alder, deepest": "va-05", "Birch, deep": "va-15", "Cedar, medium": "va-21", "Hazel, bright": "va-16",
            "Linden, high": "va-22", "Willow, highest": "va-20"}
FIRST = "Cedar, medium"
SEEDS = 2**31


def examples():
    """{label: path of a wav} of the example voices, decoded from the embedded corpus into a temporary folder."""
    folder, found = Path(tempfile.mkdtemp(prefix="voice-atlas-examples-")), corpus.rows("embedded")
    paths = {}
    for label, speaker in EXAMPLES.items():
        row = max((row for row in found if row["speaker"] == speaker), key=lambda row: row["seconds"])
        paths[label] = str(folder / f"{label.split(',')[0].lower()}.wav")
        audio.save(paths[label], *audio.load(row["audio"]))
    return paths


def report(reference, taken=None):
    """What is wrong with a reference, and what to do about it, in Markdown; without one, which voice was sent here."""
    if not reference:
        return f"**Voice taken along:** {taken['name']}. A clip chosen here goes before it." if taken else ""
    found = audio.check(reference)
    if found.fatal:
        return f"**This clip cannot be used.** {found.problems[0]}"
    if found.problems:
        return "**This clip will work, but:**\n" + "\n".join(f"- {problem}" for problem in found.problems)
    return f"**This clip is fine:** {found.used_seconds:.1f} s of clear sound."


def require(voice, consent, seed):
    """Raise ValueError, naming the remedy, for what only the tab knows to refuse."""
    if consent is not True:
        raise ValueError("The consent box is not ticked: borrow a voice only when you may, then tick the box.")
    if not voice:
        raise ValueError("There is no voice to borrow: choose an example, upload a clip or record one.")
    if not isinstance(seed, int) or not 0 <= seed < SEEDS:
        raise ValueError(f"Seed {seed} is out of range: choose a whole number from 0 to {SEEDS - 1:,}.")


def facts(voices, speech, took, spk_emb, notes):
    """Lines of Markdown for a careful visitor: how alike, how fast, from what; then the notes about the reference."""
    card, tts = voices.cards["speaker_encoder"], voices.cards["tts"]
    eer = card["figures"].get("eer")
    error = "not measured" if eer is None else f"{100 * eer:.1f} %"
    try:
        alike = f"{voices.similarity(speech, spk_emb):.2f} of 1"
    except ValueError:  # one short word is less than the encoder needs
        alike = "not measured, as the result is too short,"
    seconds = speech.facts["seconds"]
    lines = [f"**Similarity to the reference** {alike} (cosine by our own {card.get('name', 'speaker_encoder')}, "
             f"whose equal error rate is {error})",
             f"**Real-time factor** {took / seconds:.3f} ({seconds:.1f} s of speech in {took:.2f} s)",
             f"**Seed** {speech.facts['seed']}",
             f"**Checkpoint** {tts.get('name', 'tts')}, training budget: {tts['budget']}",
             *(f"**Reference** {note}" for note in notes)]
    return "\n".join(f"- {line}" for line in lines)


def write(folder, speech):
    """(path of the sound, path of its spectrogram): files of their own, under names nobody can guess."""
    stem = Path(folder) / f"voice-atlas-{uuid.uuid4().hex}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    picture = show.spectrogram(speech.wav, speech.rate, title="Spectrogram of the result")
    picture.set_size_inches(6.4, 3)  # narrower than in lessons: readable on a phone
    picture.savefig(f"{stem}.png", dpi=160)
    return str(speech.save(f"{stem}.wav")), f"{stem}.png"


def stopper():
    """(stop, stopped) of one tab: `stop` is the button's callback; stopped(visitor, asked) says whether that visitor pressed it since."""
    stops = {}

    def stop(request: gr.Request):
        now = time.monotonic()
        for visitor in [visitor for visitor, when in list(stops.items()) if when < now - 600]:
            stops.pop(visitor, None)
        stops[request.session_hash] = now
    return stop, lambda visitor, asked: stops.get(visitor, 0) > asked


def callbacks(voices, folder):
    """The functions behind Speak and Stop.  All they keep is when each visitor last pressed Stop."""
    stop, stopped = stopper()

    def speak(text, reference, consent, seed, speed, expressiveness,
              request: gr.Request, progress=gr.Progress(), taken=None):  # noqa: B008  gradio reads the default
        asked, visitor = time.monotonic(), request.session_hash
        try:
            require(reference or taken, consent, seed)
            synthesis.check_request(text, speed, expressiveness)
            progress(0, desc="listening to the reference")
            clip = audio.load(reference) if reference else None
            notes = audio.check(clip).problems if reference else [f"none: {taken['name']}, taken along"]
            begun = time.monotonic()
            spk_emb = voices.embed(clip) if reference else voices.voice(taken["spk_emb"])
            speech = voices.speak(text, spk_emb, seed, speed, expressiveness,
                                  progress=lambda share, words: progress(share, desc=words),
                                  cancelled=lambda: stopped(visitor, asked))
            return *write(folder, speech), facts(voices, speech, time.monotonic() - begun, spk_emb, notes)
        except (ValueError, InterruptedError) as error:
            raise gr.Error(str(error), print_exception=False) from error
    return speak, stop


def build(voices):
    """Lay out the tab inside a gr.Blocks and connect it to `voices`; returns the gr.State where other tabs put a voice to
    speak with: a dict of its name, spk_emb (list of D numbers) and anything that makes it differ from the one before."""
    paths = examples()
    taken = gr.State(time_to_live=3600)
    colours = gr.WaveformOptions(waveform_color="#737373", waveform_progress_color=show.COLOURS[0])
    gr.Markdown("Borrow a voice: pick one below, or bring five seconds of speech, and hear your sentence said in it.")
    with gr.Row():
        with gr.Column(min_width=300):
            text = gr.Textbox(SAMPLE, label="What to say", lines=2,
                              info=f"English, up to {synthesis.LIMIT:,} characters")
            choice = gr.Radio(list(paths), value=FIRST, label="Example voices",
                              info="Virtual voices: nobody stands behind them.")
            reference = gr.Audio(paths[FIRST], label="Voice to borrow (5 to 10 s)", sources=["upload", "microphone"],
                                 type="filepath", buttons=[], waveform_options=colours, elem_id="reference",
                                 elem_classes="reference")
            checked = gr.Markdown(report(paths[FIRST]), elem_id="check")
            with gr.Accordion("Seed, speed, expressiveness", open=False):
                seed = gr.Number(0, label="Seed", info="The same seed gives the same sound.", precision=0,
                                 minimum=0, maximum=SEEDS - 1)
                speed = gr.Slider(0.5, 2.0, 1.0, step=0.05, label="Speed", info="2 is twice as fast.")
                expressiveness = gr.Slider(0.0, 1.0, 0.1, step=0.01, label="Expressiveness",
                                           info="0 is always the same, 1 is lively and risky.")
        with gr.Column(min_width=300):
            consent = gr.Checkbox(label="I may use this voice: it is mine, its owner agreed, or it is virtual.")
            with gr.Row():
                go = gr.Button("Speak", variant="primary", min_width=120, scale=3)
                halt = gr.Button("Stop", min_width=80)
            result = gr.Audio(label="Result", interactive=False, autoplay=True, buttons=["download"],
                              waveform_options=colours, elem_id="result")
            picture = gr.Image(show_label=False, label="Spectrogram", interactive=False, buttons=[], min_width=100,
                               alt_text="Mel spectrogram of the result: time goes right, frequency goes up")
            line = gr.Markdown(elem_id="facts")
    speak, stop = callbacks(voices, result.GRADIO_CACHE)
    own = dict(api_visibility="private", show_progress="hidden", concurrency_limit=None)
    run = go.click(speak, [text, reference, consent, seed, speed, expressiveness, taken], [result, picture, line],
                   api_name="speak", concurrency_limit=2, scroll_to_output=True)
    halt.click(stop, cancels=[run], **own)
    choice.input(paths.get, choice, reference, **own)
    reference.change(report, [reference, taken], checked, **own)
    taken.change(lambda voice: (None, None, report(None, voice)), taken, [choice, reference, checked], **own)
    gr.on([reference.upload, reference.stop_recording, reference.clear], None, None, choice, js="() => null", **own)
    return taken
