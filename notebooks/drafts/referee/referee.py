"""Who speaks, asked by somebody whom no loss has listened to: another network, to judge likeness by."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from lib import audio

QUANTILES = 101  # of the likeness of real pairs, from 0 to 100 %
SQUEEZE = 4  # channels are weighed through a layer so many times narrower


@dataclass(frozen=True)
class RefereeConfig:
    """Sizes: width of the body, dilation of each of its blocks, width of what is pooled, embedding size D."""
    hidden: int = 256
    dilations: tuple = (1, 2, 3, 4)
    pooled: int = 512
    D: int = 128


class Block(nn.Module):
    """A dilated convolution by channel, one across channels, and a weight for each: [B, H, F] -> [B, H, F].

    Source: the blocks of [ECAPA] sec. 3.2.  Differs: depthwise convolutions stand where theirs are split.
    """

    def __init__(self, H, dilation):
        super().__init__()
        self.wide = nn.Conv1d(H, H, 5, padding=2 * dilation, dilation=dilation, groups=H)
        self.mix = nn.Sequential(nn.BatchNorm1d(H), nn.Conv1d(H, H, 1), nn.ReLU(), nn.BatchNorm1d(H))
        narrow, wide = nn.Linear(H, H // SQUEEZE), nn.Linear(H // SQUEEZE, H)
        self.weigh = nn.Sequential(narrow, nn.ReLU(), wide, nn.Sigmoid())

    def forward(self, x):
        h = self.mix(self.wide(x))
        return x + h * self.weigh(h.mean(2))[:, :, None]


class Referee(nn.Module):
    """wav [B, 1, T] -> unit vectors [B, D]: a second opinion on likeness.

    Every loss of this project that asks for likeness asks the speaker encoder, and whoever is asked is also
    deceived: a network learns to please it.  This one is never asked in training.  Source: [ECAPA].  Differs:
    a fourteenth of its size; the average spectrum of a clip is taken away before anything else, so that a
    microphone is no part of a voice (the speaker encoder keeps it).
    """
    NEEDS = ()

    def __init__(self, config=RefereeConfig()):
        super().__init__()
        H, P = config.hidden, config.pooled
        self.config = config
        self.inputs = nn.Sequential(nn.Conv1d(audio.N_MELS, H, 5, padding=2), nn.ReLU(), nn.BatchNorm1d(H))
        self.blocks = nn.ModuleList(Block(H, dilation) for dilation in config.dilations)
        self.join = nn.Sequential(nn.Conv1d(H * len(self.blocks), P, 1), nn.ReLU(), nn.BatchNorm1d(P))
        self.attention = nn.Sequential(nn.Conv1d(P, H // 2, 1), nn.Tanh(), nn.Conv1d(H // 2, P, 1))
        self.out = nn.Sequential(nn.BatchNorm1d(2 * P), nn.Linear(2 * P, config.D))
        self.register_buffer("same", torch.linspace(0, 1, QUANTILES))
        self.register_buffer("other", torch.linspace(-1, 0, QUANTILES))

    def forward(self, wav):
        """Unit vectors [B, D] of wav [B, 1, T] at 16 kHz."""
        return self.embed_mel(audio.mel(wav))

    def embed_mel(self, mel):
        """Unit vectors [B, D] of log-mels mel [B, M, F]."""
        x = self.inputs(mel - mel.mean(2, keepdim=True))
        heard = []
        for block in self.blocks:
            x = block(x)
            heard.append(x)
        x = self.join(torch.cat(heard, 1))
        weight = self.attention(x).float().softmax(2)
        mean = (weight * x).sum(2)
        std = ((weight * x**2).sum(2) - mean**2).clamp_min(1e-4).sqrt()
        return F.normalize(self.out(torch.cat([mean, std], 1)).float(), dim=1)

    @torch.inference_mode()
    def likeness(self, wav, other):
        """Cosine of two clips [1, 1, T]."""
        return float(self(wav)[0] @ self(other)[0])

    def verdict(self, cosine):
        """Shares, 0 to 1, of real pairs that are less alike: of (one person, two people)."""
        return tuple(float((quantiles < cosine).float().mean()) for quantiles in (self.same, self.other))
