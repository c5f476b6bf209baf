"""Spectrograms: what the models see."""
import functools

import numpy as np
import torch
import torch.nn.functional as F

from lib.audio.frames import N_FFT, N_MELS, RATE

FLOOR = 1e-5  # of a mel band, before the logarithm: -100 dB
SUBTRACTION_FFT = 512  # samples: 32 ms, in which speech stands still
SUBTRACTION_HOP = 128
SMOOTH = 5  # frames over which the power is averaged before noise is looked for

# The Slaney scale: 66.7 Hz a step up to 1 kHz, which is step 15; above, a factor of 6.4 in 27 steps.
BEND_HZ, BEND = 1000, 15
STEPS, TIMES = 27, np.log(6.4)


def spectral_subtraction(wav, share=0.1, over=3.0, floor=0.15):
    """Take from wav [T] the hiss that never pauses; [T].

    Of a band's power, `over` times what its quietest `share` of frames has is taken away, down to `floor` of
    the amplitude.  Source: [BOLL].  Differs: a third of the mean is the most, so that a held vowel stays.
    """
    wav = torch.as_tensor(wav)
    window = torch.hann_window(SUBTRACTION_FFT)
    sizes = {"n_fft": SUBTRACTION_FFT, "hop_length": SUBTRACTION_HOP, "window": window}
    spec = torch.stft(wav, **sizes, pad_mode="constant", return_complex=True)
    power = F.avg_pool1d(spec.abs().square(), SMOOTH, 1, SMOOTH // 2, count_include_pad=False)
    rank = 1 + int(share * (power.shape[1] - 1))
    quiet = power.kthvalue(rank, 1, keepdim=True).values
    noise = torch.minimum(over * quiet, power.mean(1, keepdim=True) / 3)
    gain = (1 - noise / power.clamp_min(1e-12)).clamp_min(floor**2).sqrt()
    return torch.istft(spec * gain, **sizes, length=len(wav)).numpy()


def spectrogram(wav, n_fft=N_FFT, hop=None):
    """Give the magnitudes of wav [B, 1, T] as spec [B, n_fft // 2 + 1, F], F = T // hop; hop: n_fft // 4.

    Differentiable, also where nothing sounds.
    """
    hop = hop or n_fft // 4
    pad = (n_fft - hop) // 2
    wav = F.pad(wav.squeeze(1).float(), (pad, pad), mode="reflect")
    window = torch.hann_window(n_fft, device=wav.device)
    spec = torch.stft(wav, n_fft, hop, n_fft, window, center=False, return_complex=True)
    return (spec.real**2 + spec.imag**2 + 1e-9).sqrt()


def _to_mel(hz):
    low = hz * 3 / 200
    high = BEND + STEPS * np.log(np.maximum(hz, 1e-9) / BEND_HZ) / TIMES
    return np.where(hz < BEND_HZ, low, high)


def _to_hz(steps):
    low = steps * 200 / 3
    high = BEND_HZ * np.exp(TIMES * (steps - BEND) / STEPS)
    return np.where(steps < BEND, low, high)


@functools.cache
def mel_filters(rate=RATE, n_fft=N_FFT, n_mels=N_MELS):
    """Make triangular filters of equal area on the Slaney mel scale, [n_mels, n_fft // 2 + 1]."""
    edges = _to_hz(np.linspace(0, _to_mel(np.array(rate / 2.0)), n_mels + 2))
    width = np.diff(edges)[:, None]
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)
    rise = (bins - edges[:-2, None]) / width[:-1]
    fall = (edges[2:, None] - bins) / width[1:]
    area = (edges[2:] - edges[:-2])[:, None] / 2
    filters = np.maximum(0, np.minimum(rise, fall)) * (1 / area)
    with torch.inference_mode(False):  # a cached inference tensor would break the training that comes after
        return torch.tensor(filters, dtype=torch.float32)


def mel(wav, n_fft=N_FFT, n_mels=N_MELS, hop=None):
    """Give the log-mel spectrogram of wav [B, 1, T] as mel [B, n_mels, F] (natural log, floor 1e-5);
    differentiable.
    """
    filters = mel_filters(RATE, n_fft, n_mels).to(wav.device)
    with torch.autocast(wav.device.type, enabled=False):  # 16 bits are too few for a sum over 513 bins
        return torch.log(torch.matmul(filters, spectrogram(wav, n_fft, hop)).clamp_min(FLOOR))
