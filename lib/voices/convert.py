"""What somebody says, in a borrowed voice."""
import time

import numpy as np
import torch

from lib import audio
from lib.data.filling import interpolate
from lib.voices.speech import finished, result, seeded, stop_if

RANGES = {"strength": (0, 1), "pitch": (0, 1), "detail": (0, 1), "semitones": (-12, 12)}


def convert(voices, source, voice, strength=1.0, pitch=1.0, semitones=0.0, seed=0, detail=1.0, progress=None,
            cancelled=None):
    """Say what `source` (a clip of 1 to 60 s) says, at its pace, in `voice` (clip or embedding): Speech.

    strength: share of the way from the voice of the source to `voice`, 0 to 1.  pitch: the same for the
    register; semitones (-12 to 12) are added.  detail: how closely it follows the source, 0 to 1.
    progress(share, message) is told of each stretch of 8 s, cancelled() asked before each; when it says so,
    InterruptedError is raised.
    Raises ValueError for a bad clip, settings out of range, or where the weights of lesson 06 are missing.
    """
    started = time.time()
    check_settings(strength=strength, pitch=pitch, detail=detail, semitones=semitones)
    flow_vae = voices.bundle["flow_vae"]
    wav, cuts = audio.cut_pauses(audio.source(source))  # silence would count as a part of the voice
    own = torch.tensor(voices.embed(source))[None]
    asked = torch.tensor(voices.voice(voice))[None]

    def report(share):
        stop_if(cancelled)
        if progress:
            seconds = len(wav) / audio.RATE
            progress(share, f"{share * seconds:.0f} of {seconds:.0f} s")
    whole = torch.tensor(np.pad(wav, (0, -len(wav) % audio.HOP)))[None, None]
    spk_emb = interpolate(own, asked, strength)
    with seeded(seed):
        wav_hat = flow_vae.convert(whole, own, spk_emb, pitch, semitones, detail, progress=report)
    wav_hat = finished(wav_hat[0, 0, : len(wav)])
    settings = {"seed": seed, "strength": strength, "pitch": pitch, "semitones": semitones, "detail": detail}
    wav_hat = audio.put_pauses(wav_hat, cuts)
    return result(voices.bundle, "flow_vae", wav_hat, started, settings)


def check_settings(**settings):
    """Raise ValueError, with the limits, for a setting out of its range."""
    for name, value in settings.items():
        low, high = RANGES[name]
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}: choose {low} to {high}.")
