"""The tab Convert: what you say, in a borrowed voice."""
import time
import uuid
from pathlib import Path

import gradio as gr

from lib import audio, show
from lib.tabs import speak


def notes(source, target):
    """What is worth knowing about both clips, as lines; a source is used as it is, so that its length is no problem."""
    ours = [note for note in audio.check(source).problems if not note.startswith(("Only", "The clip has"))]
    return [f"**Source** {note}" for note in ours] + [f"**Voice** {note}" for note in (audio.check(target).problems if target else ())]


def report(source):
    """What is wrong with a source, and what to do about it, in Markdown; nothing for no source."""
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


def facts(voices, speech, spk_emb, source, lines):
    """Lines of Markdown for a careful visitor: whose voice it is now, how fast it came, from what; then the notes about both clips."""
    card, own = voices.cards["flow_vae"], voices.embed(source)
    try:
        result = voices.embed((speech.rate, speech.wav))
        alike = f"{result @ spk_emb:.2f} to the voice asked for, {result @ own:.2f} to the source"
    except ValueError:
        alike = "not measured, as the result is too short or silent"
    said = speech.facts
    return "\n".join(f"- {line}" for line in (
        f"**Similarity of the result** {alike} (cosine by our own encoder; source and voice: {own @ spk_emb:.2f})",
        f"**Real-time factor** {said['real_time_factor']:.3f} ({said['seconds']:.1f} s of sound in {said['took']:.2f} s)",
        f"**Strength** {said['strength']:g}, **pitch** {said['pitch']:g} and {said['semitones']:+g} semitones, "
        f"**detail** {said['detail']:g}, **seed** {said['seed']}",
        f"**Checkpoint** {card.get('name', 'flow_vae')}, training budget: {card['budget']}", *lines))


def picture(sounds):
    """Figure of the spectrograms of {title: (rate, wav [T])}, one above the other on one time axis."""
    fig, axes = show.figure(len(sounds), 1, width=6.4, height=2.0, sharex=True)
    for axis, (title, (rate, wav)) in zip(axes, sounds.items(), strict=True):
        show.draw_spectrogram(axis, wav, rate)
        axis.set_title(title, fontsize=11, loc="left")
        axis.set_xlabel("time (s)" if axis is axes[-1] else "")
    axes[-1].set_xlim(0, max(len(wav) / rate for rate, wav in sounds.values()))
    return fig


def write(folder, speech, sounds):
    """(path of the sound, path of the picture): files of their own, under names nobody can guess."""
    stem = Path(folder) / f"voice-atlas-{uuid.uuid4().hex}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    picture(sounds).savefig(f"{stem}.png", dpi=160)
    return str(speech.save(f"{stem}.wav")), f"{stem}.png"


def callbacks(voices, folder):
    """The functions behind Convert and Stop.  All they keep is when each visitor last pressed Stop."""
    stop, stopped = speak.stopper()

    def run(source, target, consent, strength, pitch, semitones, seed, detail,
            request: gr.Request, progress=gr.Progress(), taken=None):  # noqa: B008  gradio reads the default
        asked, visitor = time.monotonic(), request.session_hash
        try:
            if not source:
                raise ValueError("There is no source: upload or record the words that are to be said in another voice.")
            speak.require(target or taken, consent, seed)
            progress(0, desc="listening to both clips")
            source = audio.load(source)
            ours, voice = audio.source(source), audio.load(target) if target else None
            try:
                spk_emb = voices.voice(voice or taken["spk_emb"])
            except ValueError as error:
                raise ValueError(f"The voice to borrow: {error}") from error
            speech = voices.convert(source, spk_emb, strength, pitch, semitones, seed, detail,
                                    progress=lambda share, words: progress(share, desc=words),
                                    cancelled=lambda: stopped(visitor, asked))
            sounds = {"Source": (audio.RATE, ours)} | ({"Voice": (audio.RATE, audio.prepare(voice))} if voice else {})
            sounds["Result"] = (speech.rate, speech.wav)
            return *write(folder, speech, sounds), facts(voices, speech, spk_emb, source, notes(source, voice))
        except (ValueError, InterruptedError) as error:
            raise gr.Error(str(error), print_exception=False) from error
    return run, stop


def build(voices, taken=None):
    """Lay out the tab inside a gr.Blocks and connect it to `voices`; taken: the gr.State of a voice sent here by another tab."""
    paths = speak.examples()
    taken = gr.State(time_to_live=3600) if taken is None else taken
    colours = gr.WaveformOptions(waveform_color="#737373", waveform_progress_color=show.COLOURS[0])
    clip = dict(sources=["upload", "microphone"], type="filepath", buttons=[], waveform_options=colours, elem_classes="reference")
    gr.Markdown("Say something, in your own time and tone, and hear it in another voice. The words and the timing stay yours.")
    lost = voices.cards["flow_vae"]["figures"].get("wer", 0)
    if lost > 0.3:
        gr.Markdown(f"**Early weights:** the voice arrives, many words do not. A recogniser misheard {100 * lost:.0f} % of them.")
    with gr.Row():
        with gr.Column(min_width=300):
            source = gr.Audio(label="Source: what to say, and how (1 to 60 s)", elem_id="source", **clip)
            checked = gr.Markdown(elem_id="check-source", elem_classes="check")
        with gr.Column(min_width=300):
            choice = gr.Radio(list(paths), value=speak.FIRST, label="Example voices", info="Virtual voices: nobody stands behind them.")
            target = gr.Audio(paths[speak.FIRST], label="Voice to borrow (5 to 10 s)", elem_id="target", **clip)
            checked_target = gr.Markdown(speak.report(paths[speak.FIRST]), elem_id="check-target", elem_classes="check")
    with gr.Accordion("Strength, pitch, detail, seed", open=False):
        strength = gr.Slider(0.0, 1.0, 1.0, step=0.05, label="Strength", info="0 keeps the voice of the source, 1 is the other.")
        pitch = gr.Slider(0.0, 1.0, 1.0, step=0.05, label="Pitch", info="0 keeps the register of the source, 1 is that of the voice.")
        semitones = gr.Slider(-12, 12, 0, step=0.5, label="Semitones", info="Added to it; 12 are an octave.")
        detail = gr.Slider(0.0, 1.0, 1.0, step=0.05, label="Detail",
                           info="How closely the result follows the source: more keeps words clear, less keeps the old voice out.")
        seed = gr.Number(0, label="Seed", info="The same seed gives the same sound.", precision=0, minimum=0, maximum=speak.SEEDS - 1)
    consent = gr.Checkbox(label="I may use both voices: they are mine, their owners agreed, or they are virtual.")
    with gr.Row():
        go = gr.Button("Convert", variant="primary", min_width=120, scale=3)
        halt = gr.Button("Stop", min_width=80)
    result = gr.Audio(label="Result", interactive=False, autoplay=True, buttons=["download"], waveform_options=colours,
                      elem_classes="result")
    drawn = gr.Image(show_label=False, label="Spectrograms", interactive=False, buttons=[], min_width=100,
                     alt_text="Mel spectrograms of source, voice and result on one time axis: time goes right, frequency goes up")
    line = gr.Markdown(elem_classes="check")
    run, stop = callbacks(voices, result.GRADIO_CACHE)
    own = dict(api_visibility="private", show_progress="hidden", concurrency_limit=None)
    running = go.click(run, [source, target, consent, strength, pitch, semitones, seed, detail, taken], [result, drawn, line],
                       api_name="convert", concurrency_limit=2, scroll_to_output=True)
    halt.click(stop, cancels=[running], **own)
    choice.input(paths.get, choice, target, **own)
    source.change(report, source, checked, **own)
    target.change(speak.report, [target, taken], checked_target, **own)
    taken.change(lambda voice: (None, None, speak.report(None, voice)), taken, [choice, target, checked_target], **own)
    gr.on([target.upload, target.stop_recording, target.clear], None, None, choice, js="() => null", **own)
