"""Noise out of a recording; or everything but one voice."""
import time
from dataclasses import dataclass, field

import numpy as np
import torch

from lib import audio
from lib.models.enhancer import Enhancer
from lib.voices.speech import result, stop_if


@dataclass(frozen=True)
class Specialist:
    """An enhancer for one person: its network, that person's spk_emb [D], and facts about the tuning.

    facts: sentences and seconds of speech, steps, took, and the SDR gained in dB on mixtures of sentences
    that it did not learn from: before and after."""
    enhancer: Enhancer
    spk_emb: np.ndarray
    facts: dict = field(default_factory=dict)


def enhance(voices, noisy, voice=None, strength=1.0, progress=None, cancelled=None):
    """Take noise from a clip of 1 s to 10 minutes: Speech of its length, timing and level, at 16 kHz.

    voice: whose speech is kept, a clip, an embedding, or a Specialist of `tune`, which brings a network of
    its own; None: anybody's.  strength: 0 gives the clip as it is, 1 all that the network does.
    progress(share, message) is told how far it is, cancelled() asked as often; when it says so,
    InterruptedError is raised.
    Raises ValueError as audio.prepare does, for a longer clip, for a strength out of range, and where no
    enhancer is installed.
    """
    started = time.time()
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}: choose 0 to 1.")
    enhancer = voices.bundle["enhancer"]
    is_tuned = isinstance(voice, Specialist)
    if is_tuned:
        enhancer = voice.enhancer
        voice = voice.spk_emb
    wav = torch.tensor(listened(noisy))
    spk_emb = None if voice is None else torch.tensor(voices.voice(voice))

    def report(share):
        stop_if(cancelled)
        if progress:
            seconds = len(wav) / audio.RATE
            progress(share, f"{share * seconds:.0f} of {seconds:.0f} s")
    stop_if(cancelled)
    clean = enhancer.enhance(wav, spk_emb, progress=report)
    speech = (strength * clean + (1 - strength) * wav).numpy()
    settings = {"strength": strength, "told": voice is not None, "tuned": is_tuned}
    return result(voices.bundle, "enhancer", speech, started, settings)


def listened(clip):
    """All of a clip, float32 [T] at 16 kHz, neither trimmed nor brought to a level.

    Raises ValueError as audio.prepare does, and for more than audio.MAX_SECONDS.
    """
    rate, samples = audio.load(clip)
    if len(samples) > audio.MAX_SECONDS * rate:
        minutes = len(samples) / rate / 60
        raise ValueError(f"This clip has {minutes:.1f} minutes; the limit is "
                         f"{audio.MAX_SECONDS // 60}: clean it in parts.")
    audio.prepare((rate, samples))  # refuses silence and less than a second of sound
    wav = audio.resample(samples, rate, audio.RATE)
    return wav - wav.mean()
