"""From latents to waveform: two decoders with one signature."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import remove_parametrizations

from lib import audio
from lib.nn.blocks import ConvNeXtStack


class ISTFTDecoder(nn.Module):
    """z [B, C, F], g [B, G, 1] -> wav [B, 1, F * HOP] by predicting magnitude and phase of every frame.

    Source: [VOCOS]; the voice enters as in [SATTS] sec. 2.1 (transformed linearly and added to z), and in every block.
    """

    def __init__(self, C, G, channels=256, layers=8):
        super().__init__()
        self.voice, self.inputs = nn.Conv1d(G, C, 1), nn.Conv1d(C, channels, 7, padding=3)
        self.norm, self.backbone = nn.LayerNorm(channels), ConvNeXtStack(channels, layers, G)
        self.last, self.head = nn.LayerNorm(channels), nn.Linear(channels, audio.N_FFT + 2)

    def forward(self, z, g):
        return self.inverse(*self.frames(z, g))

    def frames(self, z, g):
        """Log-magnitude and phase, each [B, N_FFT // 2 + 1, F]."""
        x = self.norm(self.inputs(z + self.voice(g)).transpose(1, 2)).transpose(1, 2)
        x = self.backbone(x, None, g).transpose(1, 2)
        return self.head(self.last(x)).transpose(1, 2).float().chunk(2, dim=1)

    @staticmethod
    def inverse(log_mag, phase):
        """Overlap-add of the inverse transforms: F frames give exactly F * HOP samples."""
        spec = torch.polar(torch.exp(log_mag.clamp_max(7.0)), phase)  # the cap keeps an untrained net from shouting
        window = torch.hann_window(audio.N_FFT, device=spec.device)
        frames = torch.fft.irfft(spec, audio.N_FFT, dim=1) * window[None, :, None]
        length, pad = (spec.shape[2] - 1) * audio.HOP + audio.N_FFT, (audio.N_FFT - audio.HOP) // 2

        def add(x):
            return F.fold(x, (1, length), (1, audio.N_FFT), stride=(1, audio.HOP))[:, :, 0, pad:-pad]
        envelope = add((window**2)[None, :, None].expand(1, -1, spec.shape[2]))
        return add(frames) / envelope.clamp_min(1e-8)


class HiFiGANDecoder(nn.Module):
    """z [B, C, F], g [B, G, 1] -> wav [B, 1, F * HOP] by transposed convolutions.  Source: [HIFIGAN] V1, as in [VITS] and [SATTS]."""

    def __init__(self, C, G, channels=512, rates=(8, 8, 2, 2), kernels=(16, 16, 4, 4), layers=None):
        super().__init__()
        self.voice, self.inputs = nn.Conv1d(G, C, 1), weight_norm(nn.Conv1d(C, channels, 7, padding=3))
        self.ups, self.fields = nn.ModuleList(), nn.ModuleList()
        for rate, kernel in zip(rates, kernels, strict=True):
            self.ups.append(weight_norm(nn.ConvTranspose1d(channels, channels // 2, kernel, rate, (kernel - rate) // 2)))
            channels //= 2
            self.fields.append(nn.ModuleList(Field(channels, k) for k in (3, 7, 11)))
        self.last = weight_norm(nn.Conv1d(channels, 1, 7, padding=3))

    def forward(self, z, g):
        x = self.inputs(z + self.voice(g))
        for up, fields in zip(self.ups, self.fields, strict=True):
            x = up(F.leaky_relu(x, 0.1))
            x = sum(field(x) for field in fields) / len(fields)
        return torch.tanh(self.last(F.leaky_relu(x)))


class Field(nn.Module):
    """One residual stack of HiFi-GAN's multi-receptive-field fusion; x [B, c, T] -> [B, c, T].  Source: [HIFIGAN] app. A."""

    def __init__(self, channels, kernel):
        super().__init__()
        def conv(dilation):
            return weight_norm(nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2))
        self.pairs = nn.ModuleList(nn.ModuleList((conv(d), conv(1))) for d in (1, 3, 5))

    def forward(self, x):
        for one, two in self.pairs:
            x = x + two(F.leaky_relu(one(F.leaky_relu(x, 0.1)), 0.1))
        return x


DECODERS = {"istft": ISTFTDecoder, "hifigan": HiFiGANDecoder}


def fuse_weight_norm(net):
    """Fold weight normalisation into plain weights, for inference; returns net."""
    for module in net.modules():
        if hasattr(module, "parametrizations") and "weight" in module.parametrizations:
            remove_parametrizations(module, "weight")
    return net
