"""From latents to waveform: two decoders with one signature, and the discriminators that teach them."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import remove_parametrizations

from lib import audio
from lib.nn import ConvNeXtStack


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


class Period(nn.Module):
    """Looks at every p-th sample: wav [B, 1, T] -> score [B, *], features.  Source: [HIFIGAN] sec. 2.3."""

    def __init__(self, period, channels):
        super().__init__()
        self.period, widths = period, (1, *channels)
        self.convs = nn.ModuleList(weight_norm(nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0))) for a, b in zip(widths, channels))
        self.last = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), 1, (1, 0)))

    def forward(self, wav):
        x = F.pad(wav, (0, -wav.shape[2] % self.period), mode="reflect")
        x, fmap = x.unflatten(2, (-1, self.period)), []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            fmap.append(x)
        return self.last(x).flatten(1), fmap


class Resolution(nn.Module):
    """Looks at a log-magnitude spectrogram: wav [B, 1, T] -> score [B, *], features.  Source: [UNIVNET] sec. 2.2, on log-magnitudes."""

    def __init__(self, n_fft, channels):
        super().__init__()
        self.n_fft, inputs = n_fft, (1, *(channels,) * 4)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        strides = ((2, 1), (2, 1), (2, 2), (2, 2))
        self.convs = nn.ModuleList(weight_norm(nn.Conv2d(a, channels, (5, 3), s, (2, 1))) for a, s in zip(inputs, strides))
        self.last = weight_norm(nn.Conv2d(channels, 1, 3, 1, 1))

    def forward(self, wav):
        spec = torch.stft(wav.squeeze(1).float(), self.n_fft, self.n_fft // 4, window=self.window, return_complex=True)
        x, fmap = torch.log(spec.abs().clamp_min(1e-4)).unsqueeze(1), []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            fmap.append(x)
        return self.last(x).flatten(1), fmap


class Discriminator(nn.Module):
    """Several slim critics: wav [B, 1, T] -> (list of scores, list of feature lists).

    Source: multi-period as in [HIFIGAN] and [SATTS] sec. 2.1.  Differs: 32..256 channels (1.1 M parameters in all instead of 41 M), and
    two spectrogram critics, which hear what a period of samples does not.
    """

    def __init__(self, periods=(2, 3, 5, 7, 11), channels=(32, 64, 128, 256), resolutions=(512, 1024), width=16):
        super().__init__()
        self.critics = nn.ModuleList([Period(p, channels) for p in periods] + [Resolution(n, width) for n in resolutions])

    def forward(self, wav):
        scores, fmaps = zip(*(critic(wav) for critic in self.critics))
        return list(scores), list(fmaps)
