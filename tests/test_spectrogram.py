"""Spectrograms and mels against slow twins; augmentation."""

import numpy as np
import pytest
import torch
from test_audio import tone

from lib import audio


def test_spectrogram_equals_a_naive_dft():
    """Catches a wrong window, a wrong padding or frames shifted by half a hop."""
    wav = np.random.default_rng(2).standard_normal(1900).astype("float32")
    pad = (audio.N_FFT - audio.HOP) // 2
    padded = np.concatenate([wav[1 : pad + 1][::-1], wav, wav[-pad - 1 : -1][::-1]]).astype("float64")
    n = np.arange(audio.N_FFT)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / audio.N_FFT)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(audio.N_FFT // 2 + 1), n) / audio.N_FFT)
    twin = [
        np.abs(waves @ (window * padded[f * audio.HOP : f * audio.HOP + audio.N_FFT]))
        for f in range(len(wav) // audio.HOP)
    ]
    spec = audio.spectrogram(torch.tensor(wav)[None, None])
    assert spec.shape == (1, 513, 7)
    assert np.allclose(spec[0].numpy(), np.stack(twin, 1), atol=2e-3)


@pytest.mark.parametrize("T", [1024, 1025, 1279, 1280, 1281, 15999, 16000, 16001, 40961])
def test_frames_are_samples_over_hop_at_awkward_lengths(T):
    """Catches the off-by-one frame that makes a mask, a latent and a waveform disagree."""
    wav = torch.randn(2, 1, T, generator=torch.Generator().manual_seed(T))
    assert audio.spectrogram(wav).shape == (2, 513, T // audio.HOP)
    assert audio.mel(wav).shape == (2, 80, T // audio.HOP)
    assert audio.mel(wav, 512, 40).shape == (2, 40, T // 128)
    assert T < 2048 or audio.mel(wav, 2048, 80).shape == (2, 80, T // 512)


def test_mel_filters_have_equal_area_and_cover_the_band():
    """Catches filters normalised by height, a gap between filters, or a mel scale that is not Slaney's."""
    filters = audio.mel_filters()
    assert filters.shape == (80, 513) and filters.min() >= 0
    area = filters.sum(1) * audio.RATE / audio.N_FFT
    assert (area > 0.5).all() and torch.allclose(area[30:], torch.ones(50), atol=0.03)
    assert (filters.sum(0)[5:-1] > 0).all()
    centres = filters.argmax(1)
    assert (centres.diff() >= 0).all()
    gap = centres[1:28].float().mul(audio.RATE / audio.N_FFT).diff().mean()  # linear below 1 kHz
    assert gap == pytest.approx(float(centres[1] * audio.RATE / audio.N_FFT) / 2, abs=4)


def test_mel_follows_pitch_and_floor():
    """Catches filters applied transposed, and a logarithm of zero."""
    low, high = (audio.mel(torch.tensor(tone(hz))[None, None])[0].mean(1).argmax() for hz in (300, 2000))
    assert low < high
    silent = audio.mel(torch.zeros(1, 1, 2048))
    assert torch.isfinite(silent).all() and silent.min() >= np.log(1e-5) - 1e-4


def test_gradient_reaches_the_waveform_even_of_silence():
    """Catches a square root of zero or a detach: the speaker-consistency loss would then be nan, or teach
    nothing.
    """
    for wav in (torch.tensor(tone(seconds=0.2))[None, None], torch.zeros(1, 1, 3200)):
        wav.requires_grad_()
        audio.mel(wav).sum().backward()
        assert torch.isfinite(wav.grad).all()
    voiced = torch.tensor(tone(seconds=0.2))[None, None].requires_grad_()
    audio.mel(voiced).sum().backward()
    assert (voiced.grad.abs() > 0).float().mean() > 0.9


def test_mel_stays_in_float32_under_autocast():
    """Catches mels in 16 bits, whose sum over 513 bins loses the quiet half of speech."""
    wav = torch.tensor(tone())[None, None]
    with torch.autocast("cpu", torch.bfloat16):
        low = audio.mel(wav)
    assert low.dtype == torch.float32 and torch.equal(low, audio.mel(wav))


# ---------------------------------------------------------------- augmentation


@pytest.mark.parametrize("T", [8001, 48000])
def test_augment_keeps_length_and_is_seeded(T):
    """Catches crops of unequal length in a batch, and an augmentation that a resumed run cannot repeat."""
    wav = audio.normalise(tone(seconds=4)[:T])
    noises = [np.random.default_rng(n).standard_normal(n).astype("float32") for n in (5000, 90000)]
    seen = []
    for seed in range(12):
        one, two = (audio.augment(np.random.default_rng(seed), wav, noises) for _ in range(2))
        assert one.shape == wav.shape and one.dtype == np.float32 and np.isfinite(one).all()
        assert np.array_equal(one, two)
        seen.append(one)
    assert sum(not np.allclose(a, b) for a, b in zip(seen, seen[1:])) > 8
    assert audio.augment(np.random.default_rng(3), wav, []).shape == wav.shape


def test_room_keeps_energy_and_adds_a_tail():
    """Catches a reverberation that changes loudness or comes before the sound."""
    wav = np.zeros(16000, "float32")
    wav[4000:4800] = tone(seconds=0.05)
    wet = audio.room(np.random.default_rng(0), wav)
    assert len(wet) == len(wav) and (wet**2).sum() == pytest.approx(float((wav**2).sum()), rel=1e-3)
    assert np.abs(wet[:3990]).max() < 1e-4 and np.abs(wet[4900:6000]).max() > 1e-4
