"""Spectrograms: what the models see."""
import functools

import numpy as np
import torch
import torch.nn.functional as F

from lib.audio.frames import N_FFT, N_MELS, RATE


def spectral_subtraction(wav, share=0.1, over=3.0, floor=0.15):
    """wav [T] with less of the hiss that never pauses: of a band's power, `over` times what its quietest `share` of frames has is taken
    away, down to `floor` of the amplitude.  Source: [BOLL].  Differs: a third of the mean is the most, so that a held vowel stays."""
    wav, window = torch.as_tensor(wav), torch.hann_window(512)
    spec = torch.stft(wav, 512, 128, window=window, pad_mode="constant", return_complex=True)
    power = F.avg_pool1d(spec.abs().square(), 5, 1, 2, count_include_pad=False)
    noise = (over * power.kthvalue(1 + int(share * (power.shape[1] - 1)), 1, keepdim=True).values).minimum(power.mean(1, keepdim=True) / 3)
    gain = (1 - noise / power.clamp_min(1e-12)).clamp_min(floor**2).sqrt()
    return torch.istft(spec * gain, 512, 128, window=window, length=len(wav)).numpy()


def spectrogram(wav, n_fft=N_FFT):
    """Magnitudes of wav [B, 1, T] as spec [B, n_fft // 2 + 1, F], hop n_fft // 4, F = T // hop; differentiable."""
    wav = F.pad(wav.squeeze(1).float(), ((n_fft - n_fft // 4) // 2,) * 2, mode="reflect")
    window = torch.hann_window(n_fft, device=wav.device)
    spec = torch.stft(wav, n_fft, n_fft // 4, n_fft, window, center=False, return_complex=True)
    return (spec.real**2 + spec.imag**2 + 1e-9).sqrt()


@functools.cache
def mel_filters(rate=RATE, n_fft=N_FFT, n_mels=N_MELS):
    """Triangular filters of equal area on the Slaney mel scale, [n_mels, n_fft // 2 + 1]."""
    def to_mel(hz):
        return np.where(hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1e-9) / 1000) / np.log(6.4))

    def to_hz(m):
        return np.where(m < 15, m * 200 / 3, 1000 * np.exp(np.log(6.4) * (m - 15) / 27))
    edges = to_hz(np.linspace(0, to_mel(np.array(rate / 2.0)), n_mels + 2))
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    filters = np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    with torch.inference_mode(False):  # a cached inference tensor would break the training that comes after
        return torch.tensor(filters, dtype=torch.float32)


def mel(wav, n_fft=N_FFT, n_mels=N_MELS):
    """Log-mel spectrogram of wav [B, 1, T] as mel [B, n_mels, F] (natural log, floor 1e-5); differentiable."""
    filters = mel_filters(RATE, n_fft, n_mels).to(wav.device)
    with torch.autocast(wav.device.type, enabled=False):  # 16 bits are too few for a sum over 513 bins
        return torch.log(torch.matmul(filters, spectrogram(wav, n_fft)).clamp_min(1e-5))
