"""PESQ's two disturbances of torch_pesq 0.1.2 (Apache-2.0) as a loss, without torchaudio: its IIR filters by FFT."""
import sys, types
import numpy as np, scipy.signal, torch
sys.path.insert(0, "/root/tp")
def lfilter(x, a, b, clamp=False):
    n = 1 << (x.shape[-1] + 4000).bit_length()
    _, h = scipy.signal.freqz(b.detach().double().numpy(), a.detach().double().numpy(), np.pi * np.arange(n // 2 + 1) / (n // 2))
    return torch.fft.irfft(torch.fft.rfft(x, n) * torch.tensor(h, dtype=torch.complex64), n)[..., : x.shape[-1]]
class Spectrogram(torch.nn.Module):
    def __init__(self, win_length, n_fft, hop_length, **_):
        super().__init__(); self.n, self.hop = n_fft, hop_length; self.w = torch.hann_window(n_fft)
    def forward(self, x):
        s = torch.stft(x, self.n, self.hop, window=self.w, center=False, return_complex=True)
        return s.real.square() + s.imag.square()
class Resample(torch.nn.Identity):
    def __init__(self, *_): super().__init__()
def module(name, **parts):
    m = types.ModuleType(name); m.__dict__.update(parts); sys.modules[name] = m
class Tensor:
    def __class_getitem__(cls, _): return torch.Tensor
module("torchaudio"); module("torchaudio.functional", lfilter=lfilter); module("torchaudio.transforms", Spectrogram=Spectrogram, Resample=Resample)
module("typeguard", typechecked=lambda f: f); module("torchtyping", TensorType=Tensor)
from torch_pesq import PesqLoss
LOSS = PesqLoss(1.0, sample_rate=16000).float()
def loss(speech, est):
    """[B] of [B, T] each: 0 where nothing is heard of a difference."""
    return LOSS(speech.clone(), est.clone())
def mos(speech, est): return LOSS.mos(speech.clone(), est.clone())
