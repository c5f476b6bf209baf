"""The pitch tracker of the codec: frames, octaves, silence, creak."""
import numpy as np
import pytest
import torch

from lib.audio import RATE, praat
from lib.nn.source import pulses

HOP = 200


def voice(hz, seconds=1.0, jitter=0.0, seed=0):
    """Pulses at hz through two resonances: about what a throat does."""
    rng = np.random.default_rng(seed)
    f0 = hz * (1 + jitter * rng.standard_normal(int(seconds * RATE / HOP)))
    wav = pulses(torch.tensor(f0, dtype=torch.float32)[None], HOP)[0].numpy()
    t = np.arange(800) / RATE
    for formant, width in ((600, 80), (1500, 120)):
        ringing = np.exp(-np.pi * width * t) * np.cos(2 * np.pi * formant * t)
        wav = np.convolve(wav, ringing)[: len(wav)]
    return (0.1 * wav / np.abs(wav).max()).astype("float32")


@pytest.mark.parametrize("hz", [72.0, 110.0, 220.0, 430.0])
def test_low_and_high_voices_are_tracked_without_octave_errors(hz):
    f0 = praat.track(voice(hz), HOP)
    assert len(f0) == RATE // HOP
    inside = f0[5:-5]
    assert (inside > 0).mean() > 0.95
    assert np.median(np.abs(np.log2(inside[inside > 0] / hz))) < 0.02


def test_a_noisy_voice_keeps_its_pitch():
    rng = np.random.default_rng(0)
    wav = voice(140.0) + 0.01 * rng.standard_normal(RATE).astype("float32")
    f0 = praat.track(wav, HOP)
    assert np.abs(np.log2(np.median(f0[f0 > 0]) / 140)) < 0.02


def test_an_uneven_voice_is_followed():
    f0 = praat.track(voice(90.0, jitter=0.02), HOP)
    assert np.abs(np.log2(np.median(f0[f0 > 0]) / 90)) < 0.05


@pytest.mark.parametrize("samples", [0, 100, 799, 5000])
def test_silence_and_short_sounds_have_frames_but_no_pitch(samples):
    f0 = praat.track(np.zeros(samples, "float32"), HOP)
    assert f0.shape == (samples // HOP,)
    assert not f0.any()
