"""Text in a borrowed voice."""
import time

import numpy as np
import torch

from lib import audio, text
from lib.audio import praat
from lib.models.text_to_vec import prompt
from lib.nn import pitch
from lib.voices.speech import fade, finished, is_clip, joined, result, seeded, stop_if

LIMIT = 1000  # characters of one request
PAUSE = 0.18  # s of silence between sentences
SLOWEST, FASTEST = 0.5, 2.0  # beyond, words get lost
LOOK = (1.0, 6.0)  # s of a reference that are looked at, besides its voice: more costs time and says no more
PROMPT = (1.0, 12.0)  # s of a clip whose melody is taken: two or three sentences tell it
# The better one by the judge comes first; where frames are missing, tts speaks by its own decoder.
NEEDS = {"text_to_vec": ("text_to_vec", "frames"), "frames": ("tts",)}
MODELS = tuple(NEEDS)
CHECKPOINTS = {"frames": "tts", "text_to_vec": "text_to_vec"}  # in whose card stands how each speaks
SEED_STEP = 7919  # a prime: two sentences of one request, or of neighbouring seeds, draw nothing alike


def speak(voices, words, voice, seed=0, speed=1.0, noise_scale=0.1, progress=None, cancelled=None,
          model=None, melody=None):
    """Say `words` in `voice` (clip or embedding): Speech at 16 kHz.  The same seed gives the same samples.

    speed: 0.5 to 2; slow speech has longer sounds, fast speech is pressed when it is finished, its pauses
    most, as sounds that are made short lose their words.
    noise_scale: temperature of the latents, 0 to 1 (expressiveness).
    progress(share, message) is told of every sentence, cancelled() asked before each; when it says so,
    InterruptedError is raised.
    melody: a clip whose register, range and pace are taken, while the voice stays; text_to_vec alone can.
    model: one of MODELS; by default the first that can do it.
    [pause 0.5] in the text is that many seconds of silence, [lead|/lɛd/] is said as its phonemes.
    Raises ValueError for empty or unspeakable text, over 1,000 characters, settings out of range, a melody
    without a voice in it, or a model that is not installed.
    """
    pieces = stream(voices, words, voice, seed, speed, noise_scale, progress, cancelled, model, melody)
    return joined(list(pieces))


def stream(voices, words, voice, seed=0, speed=1.0, noise_scale=0.1, progress=None, cancelled=None,
           model=None, melody=None):
    """Say `words` as `speak` does, and yield each sentence as a Speech as soon as it is finished.

    A sentence brings the silence behind it along: `speech.joined` of all is what `speak` returns.
    """
    check_request(words, speed, noise_scale)
    started = time.time()
    model = chosen(voices, model, melody)
    parts = text.parts(words) or [(words, 0.0)]
    sentences = [text.encode(sentence) for sentence, _ in parts]
    say = speaker(voices, voice, model, melody, noise_scale, min(speed, 1.0))
    settings = {"seed": seed, "speed": speed, "noise_scale": noise_scale, "model": model}
    for i, tokens in enumerate(sentences):
        stop_if(cancelled)
        if progress:
            progress(i / len(sentences), f"sentence {i + 1} of {len(sentences)}")
        with seeded(seed + SEED_STEP * i, had=i):
            wav = say(torch.tensor([tokens]))
        if speed > 1:
            wav = praat.hurried(wav, speed)
        is_last = i == len(sentences) - 1
        wav = np.concatenate([wav, silence(behind(parts[i][1], is_last))])
        yield result(voices.bundle, CHECKPOINTS[model], wav, started, settings)
        started = time.time()


def chosen(voices, model, melody):
    """The model asked for, else the first that is installed and, where there is a melody, can follow it.

    Raises ValueError for a model that is unknown, not installed, or cannot follow a melody.
    """
    if melody is None:
        return voices.bundle.choose(NEEDS, model)
    if model not in (None, "text_to_vec"):
        raise ValueError(f"{model} follows no melody: leave it out, or choose text_to_vec.")
    return voices.bundle.choose(NEEDS, "text_to_vec")


def speaker(voices, voice, model, melody, noise_scale, speed):
    """A function that says tokens x [1, N] in `voice`: wav [T].  A recording of the voice is looked at."""
    spk_emb = torch.tensor(voices.voice(voice))[None]
    settings = {"noise_scale": noise_scale, "speed": speed}
    has_frames = voices.bundle.has("frames")
    heard = None
    if is_clip(voice) and has_frames:
        heard = analysed(voices, voice, LOOK)
    if model == "text_to_vec":
        prosody = manner(voices, spk_emb, heard, melody)
        return lambda x: by_vectors(voices, x, spk_emb, heard, prosody, **settings)
    if has_frames:
        return lambda x: by_latents(voices, x, spk_emb, heard, **settings)
    return lambda x: by_tts(voices, x, spk_emb, **settings)


@torch.inference_mode()
def by_vectors(voices, x, spk_emb, heard, prosody, noise_scale, speed):
    """wav [T] of tokens x [1, N]: vectors and f0 as a prompt [1, 3] asks, frames in spk_emb [1, D].

    heard: of `analysed`, or None.
    """
    frames = voices.bundle["frames"]
    code, f0, _ = voices.bundle["text_to_vec"].infer(x, prosody, noise_scale, speed)
    content = frames.told(code.new_zeros(1, frames.config.C, code.shape[2]), code=code)
    lead = pitch.channels(f0).transpose(1, 2)
    drawn = frames.sample(content, spk_emb, looked(frames, heard), lead)
    return sound(frames.harmonic(*frames.decode(drawn)))


@torch.inference_mode()
def by_latents(voices, x, spk_emb, heard, noise_scale, speed):
    """wav [T] of tokens x [1, N]: latents of tts, frames in spk_emb [1, D].  heard: as for by_vectors."""
    frames = voices.bundle["frames"]
    z, path = voices.tts.latents(x, spk_emb, noise_scale=noise_scale)
    symbols = x[:, path[0].argmax(0)]
    return sound(frames.render(z, spk_emb, looked(frames, heard), symbols, speed))


def by_tts(voices, x, spk_emb, noise_scale, speed):
    """wav [T] of tokens x [1, N] in spk_emb [1, D], by the decoder that tts was trained with."""
    wav, _ = voices.tts.infer(x, spk_emb, noise_scale=noise_scale, speed=speed)
    return finished(wav[0, 0].float())


def looked(frames, heard):
    """What frames look at of what was heard of a voice, as `Frames.look_at` gives it; or None."""
    return None if heard is None else frames.encode(*heard)


def sound(wav):
    """Level and fade what the codec gives, wav [1, 1, T]: [T]."""
    return fade(audio.normalise(wav[0, 0].numpy()))


def manner(voices, spk_emb, heard, melody):
    """The prosody prompt [1, 3] of the clip `melody`; without one, of what was heard of the voice.

    heard: of `analysed`, or None where there is no recording of the voice: then what is usual for spk_emb
    [1, D].  Raises ValueError for a melody that is no clip, or in which no voice is heard.
    """
    if melody is not None:
        return prosody_of(voices, melody)
    if heard is not None:
        try:
            return measured(voices, *heard)
        except ValueError:  # nothing but whispers: what is usual for such a voice
            pass
    return voices.bundle["text_to_vec"].usual_prompt(spk_emb)


def prosody_of(voices, clip):
    """The prosody prompt [1, 3] of a clip.  Raises ValueError where none is, or no voice is heard in it."""
    if not is_clip(clip):
        raise ValueError("A melody is taken from a recording: give a clip of 1 s or more, 5 s is good.")
    return measured(voices, *analysed(voices, clip, PROMPT))


@torch.inference_mode()
def analysed(voices, clip, seconds):
    """Frames (mel [1, M, F], f0 [1, F]) of a clip, of `seconds` (least, most)."""
    return voices.bundle["harmonic"].analyse(torch.tensor(audio.prepare(clip, seconds))[None, None])


@torch.inference_mode()
def measured(voices, mel, f0):
    """The prosody prompt [1, 3] of frames.  Raises ValueError where no voice is heard in them."""
    code = voices.bundle["semantic"].encode(mel)
    return prompt(mel[0], pitch.channels(f0)[0], code[0])[None]


def check_request(words, speed, noise_scale):
    """Raise ValueError, with the limit, for what `speak` will not do."""
    if not isinstance(words, str) or not words.strip():
        raise ValueError("There is no text: type a sentence to speak.")
    if len(words) > LIMIT:
        raise ValueError(f"The text has {len(words):,} characters; the limit is {LIMIT:,}. Send it in parts.")
    if not SLOWEST <= speed <= FASTEST:
        raise ValueError(f"Speed {speed} is out of range: choose {SLOWEST:g} to {FASTEST:g}.")
    if not 0.0 <= noise_scale <= 1.0:
        raise ValueError(f"Expressiveness {noise_scale} is out of range: choose 0 to 1.")


def behind(pause, is_last):
    """Seconds of silence behind a sentence: those asked for, else PAUSE, but none at the end."""
    if is_last:
        return pause
    return pause or PAUSE


def silence(seconds):
    """Give `seconds` of nothing, float32 [T]."""
    return np.zeros(int(seconds * audio.RATE), "float32")
