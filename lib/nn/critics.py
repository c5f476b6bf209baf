"""The discriminators that teach a decoder."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

SLOPE = 0.1  # of leaky ReLUs, as in [HIFIGAN]
FLOOR = 1e-4  # of magnitudes, before the logarithm


def listen(x, convs, last):
    """(score [B, *], [features after each layer]) of x [B, 1, ...]."""
    features = []
    for conv in convs:
        x = F.leaky_relu(conv(x), SLOPE)
        features.append(x)
    return last(x).flatten(1), features


class Period(nn.Module):
    """Looks at every p-th sample: wav [B, 1, T] -> score [B, *], features.  Source: [HIFIGAN] sec. 2.3."""

    def __init__(self, period, channels):
        super().__init__()
        self.period = period
        inputs = (1, *channels)
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0))) for a, b in zip(inputs, channels))
        self.last = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), 1, (1, 0)))

    def forward(self, wav):
        padded = F.pad(wav, (0, -wav.shape[2] % self.period), mode="reflect")
        rows = padded.unflatten(2, (-1, self.period))  # [B, 1, T / p, p]
        return listen(rows, self.convs, self.last)


class Resolution(nn.Module):
    """Looks at a log-magnitude spectrogram: wav [B, 1, T] -> score [B, *], features.

    Source: [UNIVNET] sec. 2.2, on log-magnitudes.
    """

    def __init__(self, n_fft, channels):
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        inputs = (1, channels, channels, channels)
        strides = ((2, 1), (2, 1), (2, 2), (2, 2))
        self.convs = nn.ModuleList()
        for a, stride in zip(inputs, strides, strict=True):
            self.convs.append(weight_norm(nn.Conv2d(a, channels, (5, 3), stride, (2, 1))))
        self.last = weight_norm(nn.Conv2d(channels, 1, 3, 1, 1))

    def forward(self, wav):
        spec = torch.stft(wav.squeeze(1).float(), self.n_fft, self.n_fft // 4, window=self.window,
                          return_complex=True)
        level = torch.log(spec.abs().clamp_min(FLOOR))
        return listen(level.unsqueeze(1), self.convs, self.last)


class Discriminator(nn.Module):
    """Several slim critics: wav [B, 1, T] -> (list of scores, list of feature lists).

    Source: multi-period as in [HIFIGAN] and [SATTS] sec. 2.1.  Differs: 32..256 channels (1.1 M parameters in
    all instead of 41 M), and two spectrogram critics, which hear what a period of samples does not.
    """

    def __init__(self, periods=(2, 3, 5, 7, 11), channels=(32, 64, 128, 256), resolutions=(512, 1024),
                 width=16):
        super().__init__()
        by_period = [Period(period, channels) for period in periods]
        by_resolution = [Resolution(n_fft, width) for n_fft in resolutions]
        self.critics = nn.ModuleList(by_period + by_resolution)

    def forward(self, wav):
        scores, fmaps = [], []
        for critic in self.critics:
            score, features = critic(wav)
            scores.append(score)
            fmaps.append(features)
        return scores, fmaps
