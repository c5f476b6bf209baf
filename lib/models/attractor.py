"""Speaker attractors: every bin of a mixture becomes a direction, the bins of one person point one way."""
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lib import audio
from lib.nn.tcn import TCN

SILENCE_DB = 40.0  # bins this far under the loudest do not vote where people are searched for
# A mixture taken apart, loudest first: mix [T], wavs [S, T], attractors [S, D], masks [S, F, N], level [F, N]; numpy.
Separated = namedtuple("Separated", "mix wavs attractors masks level")


@dataclass(frozen=True)
class AttractorConfig:
    """Sizes: window and hop of the basis in samples, D of an attractor, TCN; counting: see lib.voices.people.people."""
    window: int = 640
    hop: int = 320
    D: int = 40
    channels: int = 192
    hidden: int = 512
    width: int = 96
    repeats: int = 2
    blocks: int = 6
    counting: tuple = tuple((*(float(j == k) for j in range(4)), -0.04 * k) for k in range(4))  # until learned: a step must gain 0.04

    @property
    def N(self):  # filters of the basis
        return self.window // 2 + 1


class Length(torch.autograd.Function):
    """Length [...] of V [..., D].  The gradient of torch's own walks over V five times, and V is by far the largest tensor here."""

    @staticmethod
    def forward(ctx, V):
        ctx.save_for_backward(V, length := torch.linalg.vector_norm(V, dim=-1).float().clamp_min(1e-4))
        return length

    @staticmethod
    def backward(ctx, grad):
        V, length = ctx.saved_tensors
        return V * (grad / length).to(V.dtype).unsqueeze(-1)


class SpeakerAttractor(nn.Module):
    """Encoder, TCN, decoder; masks by the cosine of bins and attractors.  Source: [SATTS] sec. 2.2, [SANET].

    Differs: windows of 640 samples (40 ms), half overlapping, for 16: 50 frames a second, not 2,000, so that two CPU cores train it and
    the TCN hears 2.5 s to either side.  In so long a window its phase hides the level of a real filter behind a ReLU; so filters come in
    pairs, the level is their modulus, one mask scales both ([FILTERBANK], analytic).  Such masks like long windows, where fewer bins
    belong to two people: ideal ones gain 9.8 dB at 64 samples, 13.5 at 640, 14.1 at 1024 (12 to 24 mixtures of unseen people), but there
    the filters would outgrow 10 MB.  They start as a Fourier basis, which reconstructs exactly; the TCN reads log-levels; D is 40, not 128.
    """

    def __init__(self, config=AttractorConfig()):
        super().__init__()
        self.config = c = config
        if c.window % (2 * c.hop):
            raise ValueError(f"Windows of {c.window} samples every {c.hop} do not add up to one: take a hop of a half or a quarter.")
        self.encoder, self.decoder = nn.Linear(c.window, 2 * c.N, bias=False), nn.Linear(2 * c.N, c.window, bias=False)
        t, n = torch.arange(c.window) / c.window, torch.arange(c.N)[:, None]
        basis = torch.cat([torch.cos(2 * torch.pi * n * t), -torch.sin(2 * torch.pi * n * t)]) * torch.hann_window(c.window).sqrt()
        basis *= (torch.where((n == 0) | (n == c.N - 1), 1.0, 2.0).repeat(2, 1) * 2 * c.hop).sqrt() / c.window
        self.encoder.weight.data, self.decoder.weight.data = basis, basis.T.contiguous()
        self.inputs, self.body = nn.Conv1d(c.N, c.channels, 1), TCN(c.channels, c.hidden, c.repeats, c.blocks)
        self.narrow = nn.Sequential(nn.GroupNorm(1, c.channels), nn.Conv1d(c.channels, c.width, 1))
        self.out = nn.Linear(c.width, c.N * c.D, bias=False)  # no bias: see `attract`
        self.sharpness = nn.Parameter(torch.tensor(5.0).log())  # of the softmax over cosines, learned

    def encode(self, wav):
        """Code [..., F, 2, N] of wav [..., T], any T: a pair of numbers for each frame and filter."""
        window, hop = self.config.window, self.config.hop
        frames = F.pad(wav, (window - hop, window - hop + -wav.shape[-1] % hop)).unfold(-1, window, hop)
        with torch.autocast(wav.device.type, enabled=False):
            return self.encoder(frames.float()).unflatten(-1, (2, self.config.N))

    def decode(self, code, T):
        """Sound [..., T] of a code [..., F, 2, N]: frames overlap and add."""
        hop, times = self.config.hop, self.config.window // self.config.hop
        with torch.autocast(code.device.type, enabled=False):
            parts = self.decoder(code.float().flatten(-2)).unflatten(-1, (times, hop))
        wav = sum(F.pad(parts[..., i, :], (0, 0, i, times - 1 - i)) for i in range(times)).flatten(-2)
        return wav[..., (times - 1) * hop:][..., :T]

    def bins(self, level):
        """h [B, F, width], of which `self.out` makes the bins V [B, F, N, D], and their lengths [B, F, N], of level [B, F, N]."""
        level = level / level.mean((1, 2), keepdim=True).clamp_min(1e-7)  # loudness says nothing about who speaks
        h = self.narrow(self.body(self.inputs(torch.log(level + 0.01).transpose(1, 2)))).transpose(1, 2)
        return h, Length.apply(self.out(h).unflatten(2, (-1, self.config.D)))

    def attract(self, h, length, weight):
        """Attractors [B, S, D] of length 1: mean direction of bins with weight [B, S, F, N].  Source: [SATTS] eq. (2), unit bins: [SANET].

        V is linear in h, so the sum over frames is taken of h, which is far smaller: the same result, hardly any multiplications."""
        pulled = torch.matmul((weight / length[:, None]).transpose(2, 3), h[:, None].float())  # [B, S, N, width]
        return F.normalize(torch.einsum("bsnw,ndw->bsd", pulled, self.out.weight.unflatten(0, (-1, self.config.D))).float(), dim=2)

    def masks(self, h, length, attractors):
        """Masks [B, S, F, N] that sum to one over S, and the cosines of bins and attractors [B, S, D] that they come from."""
        aim = torch.einsum("bsd,ndw->bsnw", attractors, self.out.weight.unflatten(0, (-1, self.config.D)))
        cosine = torch.matmul(h[:, None].to(aim.dtype), aim.transpose(2, 3)).float() / length[:, None]
        return (self.sharpness.exp() * cosine).softmax(1), cosine

    def forward(self, mix, sources, oracle=False):
        """What the losses need for mix [B, 1, T] and its sources [B, S, T], as a dict: est_sources [B, S, T], attractors [B, S, D],
        masks, their cosine and weight (a bin's share of the level times its ideal mask), all [B, S, F, N]; V, unit bins [B, F, N, D].

        oracle: apply the ideal masks themselves, which trains encoder and decoder; only here have they a gradient."""
        with torch.set_grad_enabled(oracle and torch.is_grad_enabled()):
            code, levels = self.encode(mix), modulus(self.encode(sources))
            masks, out = levels / levels.sum(1, keepdim=True).clamp_min(1e-8), {}  # the ideal ones
        if not oracle:
            level = modulus(code)[:, 0]  # [B, F, N]
            weight = masks * (level / level.sum((1, 2), keepdim=True).clamp_min(1e-8))[:, None]
            h, length = self.bins(level)
            attractors = self.attract(h, length, weight)
            masks, cosine = self.masks(h, length, attractors)
            V = self.out(h).unflatten(2, (-1, self.config.D)) / length.unsqueeze(3).to(h.dtype)
            out = {"attractors": attractors, "cosine": cosine, "weight": weight, "V": V}
        return out | {"masks": masks, "est_sources": self.decode(code * masks.unsqueeze(3), mix.shape[2])}

    @torch.no_grad()
    def separate(self, wav, find):
        """Take wav [1, 1, T] apart: Separated.  Source: [SATTS] sec. 2.2, inference.

        find(points [P, D], weight [P]) -> attractors [S, D] looks for people among unit vectors: lib.voices.people.people."""
        code = self.encode(wav)
        level = modulus(code)[:, 0]  # [1, F, N]
        h, length = self.bins(level)
        f, n = torch.nonzero(level[0] >= level.max() * 10 ** (-SILENCE_DB / 20)).T
        f, n = (x[:: len(x) // 8000 + 1] for x in (f, n))  # enough to vote
        points = F.normalize(self.out(h[0]).unflatten(1, (-1, self.config.D))[f, n], dim=1)
        found = find(points, level[0, f, n])
        masks = self.masks(h, length, found[None])[0][0]
        order = (masks * level).sum((1, 2)).argsort(descending=True)
        wavs = self.decode(code[0] * masks.unsqueeze(2), wav.shape[2])[order]
        return Separated(*(x.numpy() for x in (wav[0, 0], wavs, found[order], masks[order], level[0])))

    @torch.no_grad()
    def windows(self, wav, seconds=3.0):
        """Attractors [W, D] (K = 1) of half overlapping windows of one clean wav [1, 1, T], as SpeakerEncoder.windows."""
        size = min(int(seconds * audio.RATE), wav.shape[2])
        level = modulus(self.encode(wav[0, 0].unfold(0, size, max(1, size // 2))))  # [W, F, N]
        return self.attract(*self.bins(level), level[:, None])[:, 0]


def modulus(code):
    """Level [..., N] of a code [..., 2, N]; differentiable at zero."""
    return (code.square().sum(-2) + 1e-14).sqrt()


def spoken(wav, below=30.0):
    """The parts of a separated wav [T] where its person speaks: what lies `below` dB under the loudest frame is a rest of the others."""
    db = audio.frame_db(wav)
    keep = np.convolve(db > db.max() - below, np.ones(13))[6: 6 + len(db)] > 0  # and 0.1 s around
    return wav[: len(db) * audio.HOP][np.repeat(keep, audio.HOP)]
