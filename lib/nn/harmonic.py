"""From frames to waveform by harmonics, noise and a free part: the decoder of the codec."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from lib.nn.blocks import ConvNeXtStack, in_bf16
from lib.nn.source import LOWEST, pulses

LOUDEST = 7.0  # of log-amplitudes: the cap keeps an untrained net from shouting
MIDDLE_HZ = 150.0  # log f0 is told relative to a middle voice,
UNVOICED = -1.5  # and this where there is none: 33 Hz, which no voice has
MEL_SHIFT, MEL_SCALE = 5.0, 0.3  # log-mels lie about -5 +- 3
TINY = 1e-8  # keeps a division finite where no window reaches


def overlap_add(spec, n_fft, hop):
    """Waveform [B, 1, F * hop] of a complex spectrum spec [B, n_fft // 2 + 1, F], under a Hann window.

    F frames give exactly F * hop samples, which `torch.istft` (it trims by half a window) does not."""
    window = torch.hann_window(n_fft, device=spec.device)[None, :, None]
    pieces = torch.fft.irfft(spec, n_fft, dim=1) * window
    envelope = (window**2).expand(1, -1, spec.shape[2])  # what the windows alone add up to
    return added(pieces, hop) / added(envelope, hop).clamp_min(TINY)


def added(pieces, hop):
    """Sum of pieces [B, n_fft, F], one every hop samples, without the edges: [B, 1, F * hop]."""
    n_fft, frames = pieces.shape[1:]
    length = (frames - 1) * hop + n_fft
    edge = (n_fft - hop) // 2
    return F.fold(pieces, (1, length), (1, n_fft), stride=(1, hop))[:, :, 0, edge:-edge]


class HarmonicDecoder(nn.Module):
    """mel [B, M, F], f0 [B, F] in Hz (0: unvoiced) -> wav [B, 1, F * hop].  No voice enters: these carry it.

        S = exp(lh) e^{i pi tanh(theta)} E + exp(ln) Z + exp(lr) e^{i phi}

    E is the spectrum of `pulses` at f0, Z complex Gaussian noise; the third part is free, as in [VOCOS].  One
    network predicts lh, theta, ln, lr and phi; the waveform is the inverse STFT of S.  Harmonics and their
    phases come from the pulses for nothing, so that the network learns only what a mouth does to them.
    Source: harmonics plus noise as in [NSF] and [HIFTNET], in the spectrum as in [VOCOS].
    """

    def __init__(self, M, n_fft, hop, channels=256, layers=8):
        super().__init__()
        self.n_fft = n_fft
        self.hop = hop
        self.bins = n_fft // 2 + 1
        self.inputs = nn.Conv1d(M + 1, channels, 7, padding=3)
        self.norm = nn.LayerNorm(channels)
        self.backbone = ConvNeXtStack(channels, layers)
        self.last = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, 5 * self.bins)

    def forward(self, mel, f0):
        harmonic, turn, noise, free, phase = self.parts(mel, f0)
        excitation = self.spectrum(pulses(f0, self.hop))
        gaussian = torch.randn(*noise.shape, 2, device=mel.device) / math.sqrt(2)
        voiced = torch.polar(amplitude(harmonic), math.pi * torch.tanh(turn)) * excitation
        breath = amplitude(noise) * torch.view_as_complex(gaussian)
        spec = voiced + breath + torch.polar(amplitude(free), phase)
        return overlap_add(spec, self.n_fft, self.hop)

    def parts(self, mel, f0):
        """Five [B, K, F]: log-amplitude and turn of the harmonics, log-amplitude of the noise, and of the
        free part, with its phase."""
        pitch = torch.where(f0 > 0, torch.log(f0.clamp_min(LOWEST) / MIDDLE_HZ), UNVOICED)[:, None]
        x = torch.cat([(mel + MEL_SHIFT) * MEL_SCALE, pitch.to(mel.dtype)], 1)
        x = self.norm(self.inputs(x).transpose(1, 2)).transpose(1, 2)
        if torch.is_grad_enabled():
            x = self.backbone(x)
        else:
            with in_bf16(x.device):
                x = self.backbone(x)
        x = self.last(x.float().transpose(1, 2))
        return self.head(x).transpose(1, 2).float().chunk(5, 1)  # phases need more than the 8 bits of bf16

    def spectrum(self, wav):
        """Spectrum [B, K, F] of wav [B, F * hop], scaled: a pulse train has amplitudes of about one."""
        edge = (self.n_fft - self.hop) // 2
        padded = F.pad(wav[:, None], (edge, edge), mode="reflect")[:, 0]
        window = torch.hann_window(self.n_fft, device=wav.device) / (self.n_fft / 4)
        return torch.stft(padded, self.n_fft, self.hop, window=window, center=False, return_complex=True)


def amplitude(log_amplitude):
    """exp of log-amplitudes, capped."""
    return log_amplitude.clamp_max(LOUDEST).exp()
