"""Noisy speech becomes clean speech; told whose voice to keep, the network keeps that one."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from lib import audio
from lib.nn.adaptive import AdaptiveBlock

KERNEL = 3  # frames of a convolution: dilation makes it hear far
QUIET = 1e-4  # RMS under which a clip counts as that loud: -80 dB, the noise of a converter
FLOOR = 1e-2  # added to levels before the logarithm: 40 dB under a clip's mean is nothing
SPREAD = 2.0  # log-levels are divided by it, which brings them to about one deviation
CHUNK_SECONDS = 30.0  # of a long clip at once: 60 MB


@dataclass(frozen=True)
class EnhancerConfig:
    """Sizes: window and hop of the spectrogram in samples (50 ms every 25 ms), D of spk_emb, H channels,
    blocks in a repeat (dilations 1, 2, 4, ...), repeats, and how much wider a block is inside."""
    window: int = 800
    hop: int = 400
    D: int = 128
    H: int = 128
    blocks: int = 5
    repeats: int = 2
    expand: int = 2

    @property
    def N(self):
        """Bins of the spectrogram."""
        return self.window // 2 + 1

    @property
    def reach(self):
        """Frames that the network hears to either side."""
        return self.repeats * (2**self.blocks - 1) * (KERNEL // 2)


class Enhancer(nn.Module):
    """A mask for every bin of a spectrogram: noisy [B, 1, T] -> speech [B, 1, T], any T.

    One set of weights for two tasks: without spk_emb it keeps speech and takes away the rest; with one it
    keeps that voice, also beside another.  Source: [PERSONAL] sec. 3; [VOICEFILTER] for the idea to tell a
    mask network whose voice is wanted; blocks of [CONVNEXT] with the dilations of [CONVTASNET], told of the
    voice as in [FILM].
    Differs: [PERSONAL] masks a learned basis of 16 samples, 2,000 frames a second; this one masks a
    spectrogram of 40 frames a second, so that one CPU core trains it in an hour: a tenth of the
    multiplications of its `tiny` (lesson 09 counts them).  Norms are over the channels of one frame, not over
    the clip: so a long clip in chunks gives what the whole one gives.
    """
    NEEDS = ()

    def __init__(self, config=EnhancerConfig()):
        super().__init__()
        self.config = config
        H = config.H
        self.inputs = nn.Linear(config.N, H)
        self.voice = nn.Sequential(nn.Linear(config.D, H), nn.LayerNorm(H))
        self.nobody = nn.Parameter(torch.zeros(H))  # the condition where no voice is given
        dilations = [2**i for i in range(config.blocks)] * config.repeats
        blocks = [AdaptiveBlock(H, config.expand, KERNEL, dilation) for dilation in dilations]
        self.blocks = nn.ModuleList(blocks)
        self.out = nn.Sequential(nn.LayerNorm(H), nn.Linear(H, config.N))
        self.register_buffer("hann", torch.hann_window(config.window).sqrt(), persistent=False)

    def condition(self, spk_emb, told):
        """What the blocks are told, [B, H], of spk_emb [B, D] where told [B] is one, else of nobody."""
        return torch.where(told[:, None] > 0, self.voice(spk_emb), self.nobody)

    def masks(self, spec, level, condition):
        """Masks [B, N, F], 0 to 1, of spec [B, N, F] (complex) of clips of RMS level [B]."""
        x = spec.abs() / level[:, None, None]
        x = (torch.log(x + FLOOR) / SPREAD).transpose(1, 2)
        h = self.inputs(x)
        everywhere = torch.ones_like(h[..., :1])
        for block in self.blocks:
            h = block(h, everywhere, condition)
        return torch.sigmoid(self.out(h).float()).transpose(1, 2)

    def forward(self, noisy, spk_emb=None, told=None, level=None):
        """Speech [B, 1, T] in noisy [B, 1, T].

        spk_emb [B, D]: whose; None: anybody's.  told [B]: 1 where spk_emb counts (None: everywhere).
        level [B]: RMS of the clips that noisy was cut from; None: that of noisy itself."""
        wav = noisy[:, 0].float()
        B, T = wav.shape
        if level is None:
            level = rms(wav)
        if spk_emb is None:
            spk_emb = wav.new_zeros(B, self.config.D)
            told = wav.new_zeros(B)
        if told is None:
            told = wav.new_ones(B)
        frames = dict(n_fft=self.config.window, hop_length=self.config.hop, window=self.hann)
        padded = F.pad(wav, (0, -T % self.config.hop))
        spec = torch.stft(padded, **frames, pad_mode="constant", return_complex=True)
        masks = self.masks(spec, level, self.condition(spk_emb, told))
        return torch.istft(spec * masks, **frames, length=padded.shape[1])[:, None, :T]

    @torch.no_grad()
    def enhance(self, wav, spk_emb=None, seconds=CHUNK_SECONDS, progress=None):
        """Speech [T] in a clip wav [T] of any length; spk_emb [D]: whose, None: anybody's.

        Chunks of `seconds` with what the network hears around them: as the whole clip would be, in the
        memory of a chunk.  progress(share) is called after each, and may raise to stop."""
        hop = self.config.hop
        # what a frame hears, and the frames that share a sample with it
        edge = (self.config.reach + self.config.window // hop + 1) * hop
        size = max(1, round(seconds * audio.RATE / hop)) * hop
        level = rms(wav[None])
        if spk_emb is not None:
            spk_emb = spk_emb[None]
        speech = torch.empty_like(wav)
        for begin in range(0, len(wav), size):
            end = min(begin + size, len(wav))
            first = max(0, begin - edge)
            heard = wav[first: end + edge]
            clean = self(heard[None, None], spk_emb, level=level)[0, 0]
            speech[begin:end] = clean[begin - first: end - first]
            if progress:
                progress(end / len(wav))
        return speech


def rms(wav):
    """Root of the mean square of wav [B, T], at least QUIET: [B]."""
    return wav.square().mean(-1).sqrt().clamp_min(QUIET)
