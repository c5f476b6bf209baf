"""The discriminators that teach a decoder."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm


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
