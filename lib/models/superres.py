"""Super-resolution: speech at 16 kHz gets the band above 8 kHz that it never had."""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from lib.audio import RATE
from lib.nn.blocks import ConvNeXtStack

WIDE = 24000  # Hz that the network learned
WIDEST = 48000  # Hz that are reached without learning, see `octave`
RATES = (RATE, WIDE, WIDEST)
FLOOR = 1e-4  # of magnitudes, before the logarithm: -80 dB and less, nothing in 16-bit speech
# Log-magnitudes of speech lie about -7 +- 2, as many are near the floor.  A mean of zero matters: with
# another one, each step moves all channels alike, and nothing but a constant is learned.
LEVEL_SHIFT, LEVEL_SCALE = 7.0, 0.5
FAINT = -8.0  # log-magnitude of the new band at first: that of most frames
LOUDEST = 3.0  # of log-magnitudes: the cap keeps an untrained net from shouting
SQUARES = 1.5  # sum of squared Hann windows that are a quarter of their length apart
EDGE = 512  # samples that are mirrored at both ends: the whole signal is one period of an FFT
TILT = 18.0  # dB an octave, by which speech goes on falling above 12 kHz


@dataclass(frozen=True)
class SuperResConfig:
    """Sizes.

    hop: of the analysis at 16 kHz (8 ms), in windows of four; channels, layers: of the network.
    """
    hop: int = 128
    channels: int = 160
    layers: int = 5


def sinc(wav, ratio):
    """Resample wav [B, 1, T] by `ratio` without any filter: ideal sinc interpolation of one period.

    [B, 1, T * ratio]; T * ratio must be whole and even.  Every frequency below half of the lower rate is
    exact, all others are nothing.
    """
    size = round(wav.shape[2] * ratio)
    spec = torch.fft.rfft(wav.float())[:, :, : size // 2 + 1]
    return torch.fft.irfft(spec, size) * ratio


def above(wav, share):
    """Keep of wav [B, 1, T] what lies above `share` of half its rate; sharp, with no phase."""
    spec = torch.fft.rfft(wav.float())
    spec[:, :, : int(share * (wav.shape[2] // 2)) + 1] = 0
    return torch.fft.irfft(spec, wav.shape[2])


def joined(low, high):
    """sinc(low) + what `high` [B, 1, T'] has above the band of low [B, 1, T]: [B, 1, T'], T' > T.

    One FFT there and one back, where the sum of `sinc` and `above` takes two."""
    spec = torch.fft.rfft(high)
    below = torch.fft.rfft(low.float()) * (high.shape[2] / low.shape[2])
    return torch.fft.irfft(torch.cat([below, spec[:, :, below.shape[2]:]], 2), high.shape[2])


def spectrum(wav, hop):
    """Complex spectrum [B, 2 hop + 1, F] of wav [B, 1, F * hop] in windows of 4 hop.

    A sine of amplitude 1 has size 1."""
    n_fft = 4 * hop
    padded = F.pad(wav.float(), ((n_fft - hop) // 2,) * 2, mode="reflect")[:, 0]
    window = torch.hann_window(n_fft, device=wav.device) / (n_fft / 4)
    return torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)


def waveform(spec, hop):
    """Undo `spectrum` of windows of 4 hop: wav [B, 1, F * hop], exact but for 3 hop at both ends.

    Differs from nn.harmonic.overlap_add: a hop of a quarter, so that a frame is four blocks that are shifted
    and added, ten times as fast as a fold; and windows at the ends that lack neighbours stay weak."""
    n_fft = 4 * hop
    frames = spec.shape[2]
    window = torch.hann_window(n_fft, device=spec.device) * (n_fft / 4 / SQUARES)
    pieces = torch.fft.irfft(spec.transpose(1, 2), n_fft) * window
    blocks = pieces.unflatten(2, (4, hop))  # [B, F, 4, hop]
    total = blocks.new_zeros(len(spec), frames + 3, hop)
    for i in range(4):
        total[:, i: i + frames] += blocks[:, :, i]
    wav = total.flatten(1)[:, None]
    start = (n_fft - hop) // 2
    return wav[:, :, start: start + frames * hop]


class SuperRes(nn.Module):
    """wav [B, 1, T] at 16 kHz -> wav at 24 kHz, whose band below 8 kHz is the input itself.

    One ConvNeXt stack reads log-magnitudes and predicts, for each bin above 8 kHz, a log-magnitude and a turn
    of a phase.  The phase that is turned is that of the band 4 kHz below: pulses of a voice stay where they
    are in time.  What it makes is cut sharply at 8 kHz and added to the sinc interpolation of the input.
    Source: magnitudes and phases of the missing band alone, by ConvNeXt, as in [APBWE].  Differs: phases are
    borrowed and turned, where [APBWE] predicts them from nothing with a second stream; its critics hear the
    new band only.
    """
    NEEDS = ()

    def __init__(self, config=SuperResConfig()):
        super().__init__()
        self.config = config
        bins = 2 * config.hop + 1
        self.high = config.hop  # bins of the band from 8 to 12 kHz, and of the band that lends phases
        self.inputs = nn.Conv1d(bins, config.channels, 3, padding=1)
        self.norm = nn.LayerNorm(config.channels)
        self.backbone = ConvNeXtStack(config.channels, config.layers)
        self.last = nn.LayerNorm(config.channels)
        self.head = nn.Linear(config.channels, 2 * self.high)
        nn.init.constant_(self.head.bias[: self.high], FAINT)

    def forward(self, wav):
        """wav [B, 1, T], T a multiple of hop -> [B, 1, T * 3 / 2]."""
        return joined(wav, self.uncut(wav))

    def band(self, wav):
        """The new band, 8 to 12 kHz, of wav [B, 1, T]: [B, 1, T * 3 / 2]."""
        return above(self.uncut(wav), RATE / WIDE)

    def uncut(self, wav):
        """The new band with what its windows leak below 8 kHz."""
        level, turn, spec = self.parts(wav)
        lent = spec[:, -1 - self.high: -1]  # 4 to 8 kHz
        unit = lent / lent.abs().clamp_min(1e-8)
        made = torch.polar(level.clamp_max(LOUDEST).exp(), math.pi * torch.tanh(turn)) * unit
        nothing = torch.zeros_like(spec)  # DC to 8 kHz
        return waveform(torch.cat([nothing, made], 1), self.config.hop * WIDE // RATE)

    def parts(self, wav):
        """(log-magnitude [B, K, F], turn [B, K, F] of the K new bins; spectrum of wav)."""
        spec = spectrum(wav, self.config.hop)
        seen = (spec.abs().clamp_min(FLOOR).log() + LEVEL_SHIFT) * LEVEL_SCALE
        x = self.norm(self.inputs(seen).transpose(1, 2)).transpose(1, 2)
        x = self.backbone(x).transpose(1, 2)
        level, turn = self.head(self.last(x)).transpose(1, 2).float().chunk(2, 1)
        return level, turn, spec

    @torch.inference_mode()
    def upsample(self, wav, rate=WIDE):
        """wav [B, 1, T] at 16 kHz of any length -> [B, 1, T * rate / 16000] (rounded up) at 24 or 48 kHz.

        Raises ValueError for another rate.
        """
        if rate not in (WIDE, WIDEST):
            raise ValueError(f"{rate} Hz is not made here: choose {WIDE} or {WIDEST}.")
        length = wav.shape[2]
        padded = mirrored(wav, self.config.hop)
        wide = self(padded)
        if rate == WIDEST:
            wide = octave(wide, self.config.hop * WIDE // RATE)
        start = EDGE * rate // RATE
        return wide[:, :, start: start + math.ceil(length * rate / RATE)]


def mirrored(wav, hop):
    """wav [B, 1, T] with EDGE samples before it and at least as many behind, to a multiple of 2 hop.

    Mirrored where it is long enough, else silent."""
    behind = EDGE + (-wav.shape[2] - 2 * EDGE) % (2 * hop)
    mode = "reflect" if wav.shape[2] > behind else "constant"
    return F.pad(wav, (EDGE, behind), mode=mode)


def octave(wav, hop):
    """wav [B, 1, T] at 24 kHz -> [B, 1, 2 T] at 48 kHz.  Nothing here is learned.

    The band from 6 to 12 kHz is heard again from 12 to 18 and from 18 to 24 kHz, TILT dB weaker an octave: it
    is there in the same instants, and as weak as such bands are.  hop: at 24 kHz; T is a multiple of it.
    """
    spec = spectrum(wav, hop)
    upper = spec[:, hop + 1:]  # 6 to 12 kHz
    bins = torch.arange(2 * hop, device=wav.device)
    octaves = torch.log2((bins + 1 + 2 * hop) / (bins % hop + 1 + hop))
    gain = 10 ** (-TILT * octaves / 20)
    made = torch.cat([upper, upper], 1) * gain[None, :, None]
    return joined(wav, waveform(torch.cat([torch.zeros_like(spec), made], 1), 2 * hop))
