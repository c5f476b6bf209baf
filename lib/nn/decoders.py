"""From latents to waveform: two decoders with one signature."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import remove_parametrizations

from lib import audio
from lib.nn.blocks import ConvNeXtStack

LOUDEST = 7.0  # of log-magnitudes: the cap keeps an untrained net from shouting
SLOPE = 0.1  # of leaky ReLUs, as in [HIFIGAN]


class ISTFTDecoder(nn.Module):
    """z [B, C, F], g [B, G, 1] -> wav [B, 1, F * HOP] by predicting magnitude and phase of every frame.

    Source: [VOCOS]; the voice enters as in [SATTS] sec. 2.1 (transformed linearly and added to z), and in
    every block.
    """

    def __init__(self, C, G, channels=256, layers=8):
        super().__init__()
        self.voice = nn.Conv1d(G, C, 1)
        self.inputs = nn.Conv1d(C, channels, 7, padding=3)
        self.norm = nn.LayerNorm(channels)
        self.backbone = ConvNeXtStack(channels, layers, G)
        self.last = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, audio.N_FFT + 2)

    def forward(self, z, g):
        log_mag, phase = self.frames(z, g)
        return self.inverse(log_mag, phase)

    def frames(self, z, g):
        """Log-magnitude and phase, each [B, N_FFT // 2 + 1, F]."""
        x = self.norm(self.inputs(z + self.voice(g)).transpose(1, 2)).transpose(1, 2)
        x = self.backbone(x, None, g).transpose(1, 2)
        return self.head(self.last(x)).transpose(1, 2).float().chunk(2, dim=1)

    @staticmethod
    def inverse(log_mag, phase):
        """Overlap-add of the inverse transforms: F frames give exactly F * HOP samples."""
        spec = torch.polar(torch.exp(log_mag.clamp_max(LOUDEST)), phase)
        window = torch.hann_window(audio.N_FFT, device=spec.device)
        frames = torch.fft.irfft(spec, audio.N_FFT, dim=1) * window[None, :, None]
        squares = (window**2)[None, :, None].expand(1, -1, spec.shape[2])
        return overlap_add(frames) / overlap_add(squares).clamp_min(1e-8)


def overlap_add(frames):
    """Sum of frames [B, N_FFT, F], a frame every HOP samples, without the edges: [B, 1, F * HOP]."""
    length = (frames.shape[2] - 1) * audio.HOP + audio.N_FFT
    edge = (audio.N_FFT - audio.HOP) // 2
    return F.fold(frames, (1, length), (1, audio.N_FFT), stride=(1, audio.HOP))[:, :, 0, edge:-edge]


class HiFiGANDecoder(nn.Module):
    """z [B, C, F], g [B, G, 1] -> wav [B, 1, F * HOP] by transposed convolutions.

    Source: [HIFIGAN] V1, as in [VITS] and [SATTS].
    """

    def __init__(self, C, G, channels=512, rates=(8, 8, 2, 2), kernels=(16, 16, 4, 4), layers=None):
        super().__init__()
        self.voice = nn.Conv1d(G, C, 1)
        self.inputs = weight_norm(nn.Conv1d(C, channels, 7, padding=3))
        self.ups = nn.ModuleList()
        self.fields = nn.ModuleList()
        for rate, kernel in zip(rates, kernels, strict=True):
            up = nn.ConvTranspose1d(channels, channels // 2, kernel, rate, (kernel - rate) // 2)
            self.ups.append(weight_norm(up))
            channels //= 2
            self.fields.append(nn.ModuleList(Field(channels, size) for size in (3, 7, 11)))
        self.last = weight_norm(nn.Conv1d(channels, 1, 7, padding=3))

    def forward(self, z, g):
        x = self.inputs(z + self.voice(g))
        for up, fields in zip(self.ups, self.fields, strict=True):
            x = up(F.leaky_relu(x, SLOPE))
            x = sum(field(x) for field in fields) / len(fields)
        return torch.tanh(self.last(F.leaky_relu(x)))


class Field(nn.Module):
    """One residual stack of HiFi-GAN's multi-receptive-field fusion; x [B, c, T] -> [B, c, T].

    Source: [HIFIGAN] app. A.
    """

    def __init__(self, channels, kernel):
        super().__init__()
        self.pairs = nn.ModuleList()
        for dilation in (1, 3, 5):
            pair = (dilated(channels, kernel, dilation), dilated(channels, kernel, 1))
            self.pairs.append(nn.ModuleList(pair))

    def forward(self, x):
        for first, second in self.pairs:
            h = first(F.leaky_relu(x, SLOPE))
            x = x + second(F.leaky_relu(h, SLOPE))
        return x


def dilated(channels, kernel, dilation):
    """A convolution with weight norm that keeps the length."""
    padding = dilation * (kernel - 1) // 2
    return weight_norm(nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding))


DECODERS = {"istft": ISTFTDecoder, "hifigan": HiFiGANDecoder}


def fuse_weight_norm(net):
    """Fold weight normalisation into plain weights, for inference; returns net."""
    for module in net.modules():
        if hasattr(module, "parametrizations") and "weight" in module.parametrizations:
            remove_parametrizations(module, "weight")
    return net
