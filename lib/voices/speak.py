"""Text in a borrowed voice."""
import time

import numpy as np
import torch

from lib import audio, text
from lib.voices.speech import fade, finished, is_clip, joined, result, seeded, stop_if

LIMIT = 1000  # characters of one request
PAUSE = 0.18  # s of silence between sentences
SLOWEST, FASTEST = 0.5, 2.0  # beyond, words get lost
LOOK = (1.0, 6.0)  # s of a reference that are looked at, besides its voice: more costs time and says no more
SEED_STEP = 7919  # a prime: two sentences of one request, or of neighbouring seeds, draw nothing alike


def speak(voices, words, voice, seed=0, speed=1.0, noise_scale=0.1, progress=None, cancelled=None):
    """Say `words` in `voice` (clip or embedding): Speech at 16 kHz.  The same seed gives the same samples.

    speed: 0.5 to 2.  noise_scale: temperature of the latents, 0 to 1 (expressiveness).
    progress(share, message) is told of every sentence, cancelled() asked before each; when it says so,
    InterruptedError is raised.
    [pause 0.5] in the text is that many seconds of silence, [lead|/lɛd/] is said as its phonemes.
    Raises ValueError for empty or unspeakable text, over 1,000 characters, or settings out of range.
    """
    return joined(list(stream(voices, words, voice, seed, speed, noise_scale, progress, cancelled)))


def stream(voices, words, voice, seed=0, speed=1.0, noise_scale=0.1, progress=None, cancelled=None):
    """Say `words` as `speak` does, and yield each sentence as a Speech as soon as it is finished.

    A sentence brings the silence behind it along: `speech.joined` of all is what `speak` returns.
    """
    check_request(words, speed, noise_scale)
    started = time.time()
    parts = text.parts(words) or [(words, 0.0)]
    sentences = [text.encode(sentence) for sentence, _ in parts]
    say = speaker(voices, voice, noise_scale, speed)
    settings = {"seed": seed, "speed": speed, "noise_scale": noise_scale}
    for i, tokens in enumerate(sentences):
        stop_if(cancelled)
        if progress:
            progress(i / len(sentences), f"sentence {i + 1} of {len(sentences)}")
        with seeded(seed + SEED_STEP * i, had=i):
            wav = say(torch.tensor([tokens]))
        is_last = i == len(sentences) - 1
        wav = np.concatenate([wav, silence(behind(parts[i][1], is_last))])
        yield result(voices.bundle, "tts", wav, started, settings)
        started = time.time()


def speaker(voices, voice, noise_scale, speed):
    """A function that says tokens x [1, N] in `voice`: wav [T].

    Through the frames of the codec where they are installed, and a recording is looked at where there is one;
    else by the decoder that tts was trained with.
    """
    spk_emb = torch.tensor(voices.voice(voice))[None]
    if not voices.bundle.has("frames"):
        def say(x):
            wav, _ = voices.tts.infer(x, spk_emb, noise_scale=noise_scale, speed=speed)
            return finished(wav[0, 0].float())
        return say
    frames = voices.bundle["frames"]
    ref = None
    if is_clip(voice):
        ref = frames.look_at(torch.tensor(audio.prepare(voice, LOOK))[None, None])

    def say_in_frames(x):
        z, path = voices.tts.latents(x, spk_emb, noise_scale=noise_scale)
        symbols = x[:, path[0].argmax(0)]
        wav = frames.render(z, spk_emb, ref, symbols, speed)
        return fade(audio.normalise(wav[0, 0].numpy()))
    return say_in_frames


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
