"""A second opinion on who speaks: a network that no loss ever asks, to judge likeness by."""
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lib import audio

QUANTILES = 101  # of the likeness of real pairs: from 0 to 100 %
KERNEL = 5  # frames that a convolution sees: 80 ms, about a phoneme
SQUEEZE = 4  # channels are weighed through a layer so many times narrower
LEAST_VARIANCE = 1e-4  # a square root has no gradient at 0


@dataclass(frozen=True)
class RefereeConfig:
    """Sizes: width of the body, dilation of each of its blocks, width of what is pooled, embedding size D."""
    hidden: int = 256
    dilations: tuple = (1, 2, 3, 4)
    pooled: int = 512
    D: int = 128


class Verdict(NamedTuple):
    """Which share, 0 to 1, of real pairs of clips are less alike than the two that were judged.

    same: of pairs of one person: real recordings are at 0.5 on average.  other: of pairs of two people."""
    same: float
    other: float


class Block(nn.Module):
    """A dilated convolution in each channel, one across channels, a weight for each: [B, H, F] -> [B, H, F].

    Source: the blocks of [ECAPA] sec. 3.2.  Differs: depthwise convolutions stand where theirs are split.
    """

    def __init__(self, H, dilation):
        super().__init__()
        pad = dilation * (KERNEL // 2)
        self.wide = nn.Conv1d(H, H, KERNEL, padding=pad, dilation=dilation, groups=H)
        self.mix = nn.Sequential(nn.BatchNorm1d(H), nn.Conv1d(H, H, 1), nn.ReLU(), nn.BatchNorm1d(H))
        narrow = nn.Linear(H, H // SQUEEZE)
        wide = nn.Linear(H // SQUEEZE, H)
        self.weigh = nn.Sequential(narrow, nn.ReLU(), wide, nn.Sigmoid())

    def forward(self, x):
        h = self.mix(self.wide(x))
        weight = self.weigh(h.mean(2))
        return x + h * weight[:, :, None]


class Referee(nn.Module):
    """wav [B, 1, T] -> unit vectors [B, D], and a verdict on how alike two clips are.

    Every loss of this project that wants likeness asks the speaker encoder, and networks learn to please
    whom they are asked to please.  The referee is never asked in training.  Source: [ECAPA].  Differs: a
    tenth of its size; of the average spectrum of a clip, which they take away, only the level goes.  The
    shipped weights learned at last to place sounds as GE2E [GE2E] does: their D is its 256.
    """
    NEEDS = ()

    def __init__(self, config=RefereeConfig()):
        super().__init__()
        H, P = config.hidden, config.pooled
        self.config = config
        into = nn.Conv1d(audio.N_MELS, H, KERNEL, padding=KERNEL // 2)
        self.inputs = nn.Sequential(into, nn.ReLU(), nn.BatchNorm1d(H))
        self.blocks = nn.ModuleList(Block(H, dilation) for dilation in config.dilations)
        self.join = nn.Sequential(nn.Conv1d(H * len(self.blocks), P, 1), nn.ReLU(), nn.BatchNorm1d(P))
        self.attention = nn.Sequential(nn.Conv1d(P, H // 2, 1), nn.Tanh(), nn.Conv1d(H // 2, P, 1))
        self.out = nn.Sequential(nn.BatchNorm1d(2 * P), nn.Linear(2 * P, config.D))
        self.register_buffer("same", torch.linspace(0, 1, QUANTILES))  # until it is calibrated
        self.register_buffer("other", torch.linspace(-1, 0, QUANTILES))

    def forward(self, wav):
        """Unit vectors [B, D] of wav [B, 1, T], T of at least 1024 samples (16 kHz)."""
        return self.embed_mel(audio.mel(wav))

    def embed_mel(self, mel):
        """Unit vectors [B, D] of log-mels mel [B, M, F]."""
        x = self.inputs(mel - mel.mean((1, 2), keepdim=True))
        depths = []
        for block in self.blocks:
            x = block(x)
            depths.append(x)
        x = self.join(torch.cat(depths, 1))
        weight = self.attention(x).float().softmax(2)
        mean = (weight * x).sum(2)
        variance = (weight * x**2).sum(2) - mean**2
        statistics = torch.cat([mean, variance.clamp_min(LEAST_VARIANCE).sqrt()], 1)
        return F.normalize(self.out(statistics).float(), dim=1)

    @torch.no_grad()
    def embed(self, wav):
        """The voice of one clip: a unit vector [D] of wav [1, 1, T]."""
        return self(wav)[0]

    def verdict(self, wav, other):
        """Judge how alike the voices of two clips [1, 1, T] are: a Verdict."""
        return self.compared(self.embed(wav), self.embed(other))

    def compared(self, spk_emb, other):
        """Judge how alike two of its unit vectors [D] are: a Verdict."""
        cosine = float(spk_emb @ other)
        return Verdict(share_below(self.same, cosine), share_below(self.other, cosine))

    def calibrate(self, same, other):
        """Take the scale of the verdicts from quantiles [QUANTILES] of the cosines of real pairs."""
        self.same.copy_(torch.as_tensor(same))
        self.other.copy_(torch.as_tensor(other))


def share_below(quantiles, cosine):
    """Which share, 0 to 1, of what the quantiles [QUANTILES] describe lies under a cosine."""
    shares = np.linspace(0, 1, QUANTILES)
    return float(np.interp(cosine, quantiles.cpu().numpy(), shares))
