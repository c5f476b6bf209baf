"""Conversion as it was before anything was learned from many voices: the statistics of WORLD.  The only door
to pyworld, which nobody needs but who wants to hear that.
"""
import importlib.util

import numpy as np

from lib.audio.frames import RATE
from lib.audio.levels import normalise

ORDER = 24  # numbers of a coded spectral envelope; the first is its level


def installed():
    """Say whether pyworld is there: pip install pyworld-prebuilt."""
    return importlib.util.find_spec("pyworld") is not None


def convert(wav, ref_wav):
    """Say wav [T] in the voice of ref_wav [T'], both 16 kHz: float32 of about T samples, at LEVEL_DB.

    Mean and spread of log-pitch and of each number of the envelope become those of ref_wav; level and noise
    stay.  Source: [WORLD] for the parts.  Raises ImportError without pyworld.
    """
    import pyworld
    f0, envelope, noise = analysed(wav)
    to_f0, to_envelope, _ = analysed(ref_wav)
    voiced, to_voiced = f0 > 0, to_f0 > 0
    if voiced.any() and to_voiced.any():
        f0[voiced] = np.exp(moved(np.log(f0[voiced]), np.log(to_f0[to_voiced])))
    changed = moved(envelope, to_envelope)
    changed[:, 0] = envelope[:, 0]
    spectra = pyworld.decode_spectral_envelope(changed, RATE, pyworld.get_cheaptrick_fft_size(RATE))
    return normalise(pyworld.synthesize(f0, spectra, noise, RATE).astype("float32"))


def analysed(wav):
    """Take wav [T] apart: f0 [F] in Hz (0: unvoiced), envelope [F, ORDER], noise [F, bins]; F is 5 ms."""
    import pyworld
    wav = np.asarray(wav, dtype="float64")
    f0, seconds = pyworld.harvest(wav, RATE)
    spectra = pyworld.cheaptrick(wav, f0, seconds, RATE)
    noise = pyworld.d4c(wav, f0, seconds, RATE)
    return f0, pyworld.code_spectral_envelope(spectra, RATE, ORDER), noise


def moved(values, goal):
    """Give values [n, ...] the mean and the spread of goal [m, ...]; what stands still only moves."""
    spread = values.std(0)
    standard = (values - values.mean(0)) / np.where(spread > 0, spread, 1)
    return np.ascontiguousarray(standard * goal.std(0) + goal.mean(0))
