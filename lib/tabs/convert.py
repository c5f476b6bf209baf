"""The tab Convert: what you say, in a borrowed voice."""

import time

import gradio as gr

from lib import audio, show
from lib.tabs import about, context, speak, visitor

NAME, NEEDS = "Convert", ("speaker_encoder", "tts", "flow_vae")
CONSENT = "I may use both voices: they are mine, their owners agreed, or they are virtual."
OCTAVE = 12  # semitones
EARLY = 0.3  # word error rate above which a visitor is warned: a sentence is hard to follow then
OF_LENGTH = ("Only", "The clip has")  # how notes about length begin: a source is used as it is
PICTURE = dict(width=6.4, height=2.0)  # inches: readable on a phone


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


def facts(voices, speech, spk_emb, source, lines):
    """Lines of Markdown for a careful visitor: whose voice it is now, how fast it came; then `lines`."""
    card, own = voices.bundle.card("flow_vae"), voices.embed(source)
    try:
        result = voices.embed((speech.rate, speech.wav))
        alike = f"{result @ spk_emb:.2f} to the voice asked for, {result @ own:.2f} to the source"
    except ValueError:
        alike = "not measured, as the result is too short or silent"
    made = speech.facts
    length = f"{made['seconds']:.1f} s of sound in {made['took']:.2f} s"
    lines = [
        f"**Similarity of the result** {alike} (cosine by our own encoder; "
        f"source and voice: {own @ spk_emb:.2f})",
        f"**Real-time factor** {made['real_time_factor']:.3f} ({length})",
        f"**Strength** {made['strength']:g}, **pitch** {made['pitch']:g} and {made['semitones']:+g} "
        f"semitones, **detail** {made['detail']:g}, **seed** {made['seed']}",
        f"**Checkpoint** {card.get('name', 'flow_vae')}, training budget: {card['budget']}",
        *lines,
    ]
    return "\n".join(f"- {line}" for line in lines)


def picture(sounds):
    """Figure of the spectrograms of {title: (rate, wav [T])}, one above the other on one time axis."""
    fig, axes = show.figure(len(sounds), 1, sharex=True, **PICTURE)
    for axis, (title, (rate, wav)) in zip(axes, sounds.items(), strict=True):
        show.draw_spectrogram(axis, wav, rate)
        axis.set_title(title, fontsize=11, loc="left")
        axis.set_xlabel("time (s)" if axis is axes[-1] else "")
    axes[-1].set_xlim(0, max(len(wav) / rate for rate, wav in sounds.values()))
    return fig


def write(folder, speech, sounds):
    """(path of the sound, path of the picture), files of their own."""
    image = visitor.fresh(folder, ".png")
    picture(sounds).savefig(image, dpi=speak.DPI)
    return visitor.save(speech, folder), image


def target_voice(voices, target, taken, folder):
    """spk_emb [D] of the voice to borrow.  Raises ValueError that says which of the two clips is meant."""
    try:
        _, spk_emb, _ = speak.borrowed(voices, target, taken, folder)
    except ValueError as error:
        raise ValueError(f"The voice to borrow: {error}") from error
    return spk_emb


def callbacks(voices, folder):
    """The functions behind Convert and Stop.  All they keep is when each visitor last pressed Stop."""
    stops = visitor.Stops()

    @visitor.answering
    def convert(
        source,
        target,
        consent,
        strength,
        pitch,
        semitones,
        seed,
        detail,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
        taken=None,
    ):  # noqa: B008  gradio reads the default
        asked = time.monotonic()
        if not source:
            raise ValueError(
                "There is no source: upload or record the words that are to be said in another voice."
            )
        visitor.consent(consent)
        seed = visitor.seed(seed)
        strength = visitor.number(strength, "Strength", 0, 1)
        pitch = visitor.number(pitch, "Pitch", 0, 1)
        semitones = visitor.number(semitones, "Semitones", -OCTAVE, OCTAVE)
        detail = visitor.number(detail, "Detail", 0, 1)
        progress(0, desc="listening to both clips")
        source = audio.load(visitor.clip(source, folder))
        spk_emb = target_voice(voices, target, taken, folder)
        speech = voices.convert(
            source,
            spk_emb,
            strength,
            pitch,
            semitones,
            seed,
            detail,
            progress=lambda share, words: progress(share, desc=words),
            cancelled=lambda: stops.since(request.session_hash, asked),
        )
        voice = audio.load(target) if target else None
        sounds = {"Source": (audio.RATE, audio.source(source))}
        if voice:
            sounds["Voice"] = (audio.RATE, audio.prepare(voice))
        sounds["Result"] = (speech.rate, speech.wav)
        return *write(folder, speech, sounds), facts(voices, speech, spk_emb, source, notes(source, voice))

    return convert, stops.press


def warning(card):
    """A line of Markdown where a recogniser mishears more words of this model than EARLY; else ""."""
    wer = card["figures"].get("wer", 0)
    if wer <= EARLY:
        return ""
    return (
        f"**Early weights:** the voice arrives, many words do not. A recogniser misheard {wer:.0%} of them."
    )


def settings():
    """The fields of the accordion: strength, pitch, semitones, seed, detail."""
    with gr.Accordion("Strength, pitch, detail, seed", open=False):
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
        seed = gr.Number(
            0,
            label="Seed",
            info="The same seed gives the same sound.",
            step=1,
            minimum=0,
            maximum=visitor.SEEDS - 1,
        )
    return strength, pitch, semitones, seed, detail


def build(page):
    """Lay out the tab inside a gr.Blocks; page: a context.Context."""
    voices, taken, paths = page.voices, page.taken, speak.examples()
    gr.Markdown(
        "Say something, in your own time and tone, and hear it in another voice. "
        "The words and the timing stay yours."
    )
    gr.Markdown(warning(voices.bundle.card("flow_vae")))
    with gr.Row():
        with gr.Column(min_width=300):
            source = context.upload("Source: what to say, and how (1 to 60 s)", elem_id="source")
            checked = gr.Markdown(elem_id="check-source", elem_classes="check")
        with gr.Column(min_width=300):
            target = context.upload(
                "Voice to borrow (5 to 10 s)", paths[speak.FIRST], elem_id="target", render=False
            )
            choice = context.example_radio(paths, "Example voices", target, speak.FIRST)
            target.render()
            checked_target = gr.Markdown(
                speak.report(paths[speak.FIRST]), elem_id="check-target", elem_classes="check"
            )
    fields = settings()
    consent = gr.Checkbox(label=CONSENT)
    with gr.Row():
        go = gr.Button("Convert", variant="primary", min_width=120, scale=3)
        halt = gr.Button("Stop", min_width=80)
    result = gr.Audio(
        label="Result",
        interactive=False,
        autoplay=True,
        buttons=["download"],
        waveform_options=context.colours(),
        elem_classes="result",
    )
    drawn = gr.Image(
        show_label=False,
        label="Spectrograms",
        interactive=False,
        buttons=[],
        min_width=100,
        alt_text="Mel spectrograms of source, voice and result on one time axis: "
        "time goes right, frequency goes up",
    )
    line = gr.Markdown(elem_classes="check")
    gr.Markdown(about.model(voices.bundle, "flow_vae"), elem_classes="about")
    folder = result.GRADIO_CACHE
    convert, stop = callbacks(voices, folder)
    run = go.click(
        convert,
        [source, target, consent, *fields, taken],
        [result, drawn, line],
        api_name="convert",
        concurrency_limit=context.OTHERS_AT_ONCE,
        scroll_to_output=True,
    )
    halt.click(stop, cancels=[run], **context.LIGHT)
    source.change(speak.reporter(report, folder), source, checked, **context.LIGHT)
    target.change(speak.reporter(speak.report, folder), [target, taken], checked_target, **context.LIGHT)
    taken.change(speak.receive, taken, [choice, target, checked_target], **context.LIGHT)
