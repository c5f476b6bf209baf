"""Who speaks: a clip becomes one unit vector, by a small ResNet on log-mels; gradients reach the sound."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from lib import audio

SHRINKS = 16  # bands of a mel become one: strides of 2 in the stem and in three stages
ATTENTION = 128  # channels of the little network that weighs frames
MEL_SHIFT, MEL_SCALE = 5.0, 0.5  # bring log-mels to about zero mean and one deviation


@dataclass(frozen=True)
class SpeakerEncoderConfig:
    """Sizes: channels of the four stages, residual blocks in each, embedding size D."""
    channels: tuple = (32, 64, 128, 256)
    blocks: tuple = (1, 2, 2, 1)
    D: int = 128


class ResBlock(nn.Module):
    """Two 3x3 convolutions, batch norm, a shortcut; [B, c, M, F] -> [B, c', M / stride, F / stride]."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.short = nn.Identity()
        if stride > 1 or c_in != c_out:
            self.short = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.short(x))


def stretch(count, size, most, device):
    """Masks [count, size]: one random stretch each, shorter than `most`, is True."""
    drawn = torch.rand(2, count, 1, device=device)
    start = (drawn[0] * size).floor()
    width = (drawn[1] * most).floor()
    at = torch.arange(size, device=device)
    return (at >= start) & (at < start + width)


def mask(mel, bands=14, frames=20):
    """Hide a random band and a random stretch of each mel [B, M, F] behind its mean.

    Source: [SPECAUGMENT] sec. 2."""
    B, M, length = mel.shape
    band = stretch(B, M, bands, mel.device)[:, :, None]
    time = stretch(B, length, frames, mel.device)[:, None]
    return torch.where(band | time, mel.mean((1, 2), keepdim=True), mel)


class SpeakerEncoder(nn.Module):
    """wav [B, 1, T] -> spk_emb [B, D] on the unit sphere.

    Source: ResNet backbone as in [ANGPROTO] and the [SV2TTS] baseline of [SATTS] sec. 3; statistics weighted
    by attention [ECAPA].  Differs: strides 2 in the stem too, so that an hour of CPU trains it.
    """
    NEEDS = ()

    def __init__(self, config=SpeakerEncoderConfig()):
        super().__init__()
        self.config = config
        channels = config.channels[0]
        stem = nn.Conv2d(1, channels, 3, (2, 1), 1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(channels), nn.ReLU())
        stages = []
        for stage, (width, depth) in enumerate(zip(config.channels, config.blocks, strict=True)):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(ResBlock(channels, width, stride))
                channels = width
        self.stages = nn.Sequential(*stages)
        width = config.channels[-1] * (audio.N_MELS // SHRINKS)
        narrow = nn.Conv1d(width, ATTENTION, 1)
        wide = nn.Conv1d(ATTENTION, width, 1)
        self.attention = nn.Sequential(narrow, nn.Tanh(), wide)
        self.out = nn.Sequential(nn.BatchNorm1d(2 * width), nn.Linear(2 * width, config.D))

    def forward(self, wav):
        """Unit embeddings spk_emb [B, D] of wav [B, 1, T], T of at least 1024 samples (16 kHz)."""
        mel = audio.mel(wav)
        if self.training:
            mel = mask(mel)
        return self.embed_mel(mel)

    def embed_mel(self, mel):
        """Unit embeddings spk_emb [B, D] of log-mels mel [B, M, F]."""
        x = (mel + MEL_SHIFT) * MEL_SCALE  # the average spectrum stays in: it is part of a timbre
        x = self.stages(self.stem(x.unsqueeze(1))).flatten(1, 2)
        weight = self.attention(x).float().softmax(2)
        mean = (weight * x).sum(2)
        std = ((weight * x**2).sum(2) - mean**2).clamp_min(1e-4).sqrt()
        return F.normalize(self.out(torch.cat([mean, std], 1)).float(), dim=1)

    @torch.no_grad()
    def windows(self, wav, seconds=3.0):
        """Embeddings [W, D] of windows of `seconds` s, half overlapping, of one wav [1, 1, T].

        A shorter clip is one window.  Source: [GE2E] sec. 3.2 and [SV2TTS] embed a clip so; the mean of the
        rows, made unit again, is the voice."""
        size = min(int(seconds * audio.RATE), wav.shape[2])
        pieces = wav[0, 0].unfold(0, size, max(1, size // 2))  # [W, size]
        return self(pieces[:, None])

    def embed(self, wav):
        """The voice of one clip: spk_emb [D] of wav [1, 1, T]."""
        return F.normalize(self.windows(wav).mean(0), dim=0)
