"""The decoder of the codec: its pulses, its overlap-add, its shapes."""
import math

import pytest
import torch

from lib.nn.harmonic import HarmonicDecoder, overlap_add
from lib.nn.source import TOP, pulses

RATE, HOP = 16000, 200


def naive_pulses(hz, samples):
    """The same train harmonic by harmonic, at a constant f0."""
    turns = torch.arange(1, samples + 1).double() * hz / RATE
    train = torch.zeros(samples, dtype=torch.float64)
    for harmonic in range(1, int(TOP // hz) + 1):
        train += torch.cos(2 * math.pi * harmonic * turns)
    return train.float()


@pytest.mark.parametrize("hz", [61.0, 120.0, 333.3, 480.0])
def test_pulses_are_the_sum_of_their_harmonics(hz):
    train = pulses(torch.full((1, 20), hz), HOP)[0]
    height = TOP // hz  # of a peak
    torch.testing.assert_close(train, naive_pulses(hz, 20 * HOP), atol=0.02 * height, rtol=0)


def test_pulses_are_silent_where_nothing_is_voiced_and_keep_below_the_band():
    f0 = torch.cat([torch.full((1, 40), 200.0), torch.zeros(1, 40)], 1)
    train = pulses(f0, HOP)[0]
    assert train[40 * HOP:].abs().max() == 0
    spectrum = torch.fft.rfft(train[:38 * HOP] * torch.hann_window(38 * HOP)).abs()
    above = round(7900 * 38 * HOP / RATE)
    assert spectrum[above:].max() < 1e-2 * spectrum.max()


def test_pulses_glide_with_f0():
    f0 = torch.linspace(100, 200, 80)[None]
    train = pulses(f0, HOP)[0]
    peaks = (train > 0.3 * train.max()).float()
    crossings = int(((peaks[1:] - peaks[:-1]) > 0).sum())
    assert abs(crossings - 150 * 80 * HOP / RATE) <= 2  # 150 Hz on average


def test_overlap_add_inverts_its_analysis():
    wav = torch.randn(2, 12 * HOP)
    window = torch.hann_window(800)
    padded = torch.nn.functional.pad(wav[:, None], (300, 300), mode="reflect")[:, 0]
    spec = torch.stft(padded, 800, HOP, window=window, center=False, return_complex=True)
    torch.testing.assert_close(overlap_add(spec, 800, HOP)[:, 0], wav, atol=1e-4, rtol=0)


@pytest.mark.parametrize("frames", [4, 37])
def test_decoder_gives_a_hop_for_every_frame_and_learns(frames):
    torch.manual_seed(0)
    decoder = HarmonicDecoder(128, 800, HOP, channels=32, layers=2)
    wav = decoder(torch.randn(2, 128, frames), torch.rand(2, frames) * 300)
    assert wav.shape == (2, 1, frames * HOP)
    assert torch.isfinite(wav).all()
    wav.square().mean().backward()
    silent = [name for name, p in decoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not silent


def test_a_higher_f0_is_a_higher_sound():
    torch.manual_seed(0)
    decoder = HarmonicDecoder(128, 800, HOP, channels=32, layers=2).eval()
    with torch.no_grad():
        decoder.head.weight.zero_()
        decoder.head.bias.zero_()
        decoder.head.bias[2 * decoder.bins: 4 * decoder.bins] = -9.0  # neither noise nor the free part
    for hz in (110.0, 220.0):
        wav = decoder(torch.zeros(1, 128, 80), torch.full((1, 80), hz))[0, 0].detach()
        spectrum = torch.fft.rfft(wav * torch.hann_window(len(wav))).abs()
        lowest = spectrum[: round(1.5 * hz * len(wav) / RATE)].argmax() * RATE / len(wav)
        assert abs(float(lowest) - hz) < 3
