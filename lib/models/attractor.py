"""Speaker attractors: every bin of a mixture becomes a direction, the bins of one person point one way."""
from collections import namedtuple
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from lib import audio
from lib.nn.tcn import TCN

SILENCE_DB = 40.0  # bins this far under the loudest do not vote where people are searched for
VOTERS = 8000  # bins that are enough to vote; of more, every second, third, ... is asked
SHARPNESS = 5.0  # of the softmax over cosines, before it is learned
STEP = 0.04  # mean cosine that one more person must bring, until counting is learned
SHORTEST = 1e-4  # length of a bin's vector, below which its direction means nothing
# A mixture taken apart, the loudest person first; numpy.
# mix [T], wavs [S, T], attractors [S, D], masks [S, F, N], level [F, N]
Separated = namedtuple("Separated", "mix wavs attractors masks level")


def counting_at_first(most=4):
    """Rows of `most` factors and a bias: row k is the k-th mean cosine, less STEP a person."""
    rows = []
    for k in range(most):
        factors = [float(j == k) for j in range(most)]
        rows.append((*factors, -STEP * k))
    return tuple(rows)


@dataclass(frozen=True)
class AttractorConfig:
    """Sizes: window and hop of the basis in samples, D of an attractor, and those of the TCN.

    counting: how the number of people is read off, learned: see lib.voices.people.people."""
    window: int = 640
    hop: int = 320
    D: int = 40
    channels: int = 192
    hidden: int = 512
    width: int = 96
    repeats: int = 2
    blocks: int = 6
    counting: tuple = counting_at_first()

    @property
    def N(self):
        """Filters of the basis."""
        return self.window // 2 + 1


class Length(torch.autograd.Function):
    """Length [...] of V [..., D].

    The gradient of torch's own walks over V five times, and V is by far the largest tensor here."""

    @staticmethod
    def forward(ctx, V):
        length = torch.linalg.vector_norm(V, dim=-1).float().clamp_min(SHORTEST)
        ctx.save_for_backward(V, length)
        return length

    @staticmethod
    def backward(ctx, grad):
        V, length = ctx.saved_tensors
        return V * (grad / length).to(V.dtype).unsqueeze(-1)


def fourier_basis(window, hop):
    """A basis [2 N, window] of cosines, then sines, under the root of a Hann window; N = window // 2 + 1.

    With its transpose as decoder, frames every `hop` samples add up to the sound again, exactly."""
    N = window // 2 + 1
    time = torch.arange(window) / window
    n = torch.arange(N)[:, None]
    angle = 2 * torch.pi * n * time
    basis = torch.cat([torch.cos(angle), -torch.sin(angle)]) * torch.hann_window(window).sqrt()
    at_an_end = (n == 0) | (n == N - 1)  # no mirror image: counted once
    times = torch.where(at_an_end, 1.0, 2.0).repeat(2, 1)
    gain = (times * 2 * hop).sqrt() / window
    return basis * gain


class SpeakerAttractor(nn.Module):
    """Encoder, TCN, decoder; masks by the cosine of bins and attractors.  Source: [SATTS] sec. 2.2, [SANET].

    Differs: windows of 640 samples (40 ms), half overlapping, for 16: 50 frames a second, not 2,000, so that
    two CPU cores train it and the TCN hears 2.5 s to either side.  In so long a window its phase hides the
    level of a real filter behind a ReLU; so filters come in pairs, the level is their modulus, one mask
    scales both ([FILTERBANK], analytic).  Such masks like long windows, where fewer bins belong to two
    people: ideal ones gain 9.8 dB at 64 samples, 13.5 at 640, 14.1 at 1024 (12 to 24 mixtures of unseen
    people), but there the filters would outgrow 10 MB.  They start as a Fourier basis, which reconstructs
    exactly; the TCN reads log-levels; D is 40, not 128.
    Raises ValueError for a hop that is no half or quarter of the window.
    """
    NEEDS = ()

    def __init__(self, config=AttractorConfig()):
        super().__init__()
        self.config = config
        window, hop, N = config.window, config.hop, config.N
        if window % (2 * hop):
            raise ValueError(f"Windows of {window} samples every {hop} do not add up to one: "
                             "take a hop of a half or a quarter.")
        self.encoder = nn.Linear(window, 2 * N, bias=False)
        self.decoder = nn.Linear(2 * N, window, bias=False)
        basis = fourier_basis(window, hop)
        self.encoder.weight.data = basis
        self.decoder.weight.data = basis.T.contiguous()
        self.inputs = nn.Conv1d(N, config.channels, 1)
        self.body = TCN(config.channels, config.hidden, config.repeats, config.blocks)
        norm = nn.GroupNorm(1, config.channels)
        self.narrow = nn.Sequential(norm, nn.Conv1d(config.channels, config.width, 1))
        self.out = nn.Linear(config.width, N * config.D, bias=False)  # no bias: see `attract`
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS).log())

    def encode(self, wav):
        """Code [..., F, 2, N] of wav [..., T], any T: a pair of numbers for each frame and filter."""
        window, hop = self.config.window, self.config.hop
        edge = window - hop
        frames = F.pad(wav, (edge, edge + -wav.shape[-1] % hop)).unfold(-1, window, hop)
        with torch.autocast(wav.device.type, enabled=False):
            return self.encoder(frames.float()).unflatten(-1, (2, self.config.N))

    def decode(self, code, T):
        """Sound [..., T] of a code [..., F, 2, N]: frames overlap and add."""
        hop = self.config.hop
        times = self.config.window // hop  # frames that overlap at a moment
        with torch.autocast(code.device.type, enabled=False):
            parts = self.decoder(code.float().flatten(-2)).unflatten(-1, (times, hop))
        shifted = [F.pad(parts[..., i, :], (0, 0, i, times - 1 - i)) for i in range(times)]
        wav = sum(shifted).flatten(-2)
        return wav[..., (times - 1) * hop:][..., :T]

    def directions(self):
        """The last layer as a tensor [N, D, width]: from h to the vector of every filter."""
        return self.out.weight.unflatten(0, (-1, self.config.D))

    def vectors(self, h):
        """V [..., N, D] of h [..., width], not of length 1."""
        return self.out(h).unflatten(-1, (-1, self.config.D))

    def bins(self, level):
        """(h [B, F, width], of which `vectors` makes V, length [B, F, N] of V), of level [B, F, N]."""
        # loudness says nothing about who speaks
        level = level / level.mean((1, 2), keepdim=True).clamp_min(1e-7)
        x = torch.log(level + 0.01).transpose(1, 2)
        h = self.narrow(self.body(self.inputs(x))).transpose(1, 2)
        return h, Length.apply(self.vectors(h))

    def attract(self, h, length, weight):
        """Attractors [B, S, D] of length 1: mean direction of bins with weight [B, S, F, N].

        Source: [SATTS] eq. (2), unit bins: [SANET].  V is linear in h, so the sum over frames is taken of h,
        which is far smaller: the same result, hardly any multiplications."""
        per_length = (weight / length[:, None]).transpose(2, 3)
        pulled = torch.matmul(per_length, h[:, None].float())  # [B, S, N, width]
        mean = torch.einsum("bsnw,ndw->bsd", pulled, self.directions())
        return F.normalize(mean.float(), dim=2)

    def masks(self, h, length, attractors):
        """Masks [B, S, F, N] that sum to one over S, and the cosines behind them, of attractors [B, S, D]."""
        aim = torch.einsum("bsd,ndw->bsnw", attractors, self.directions())
        product = torch.matmul(h[:, None].to(aim.dtype), aim.transpose(2, 3))
        cosine = product.float() / length[:, None]
        return (self.sharpness.exp() * cosine).softmax(1), cosine

    @torch.no_grad()
    def search(self, h, level, find):
        """Attractors [S, D] in h [F, width] and level [F, N] of one mixture, without a gradient.

        find: that of `separate`."""
        loud = level >= level.max() * 10 ** (-SILENCE_DB / 20)
        voters = torch.nonzero(loud)
        f, n = voters[:: len(voters) // VOTERS + 1].T
        points = F.normalize(self.vectors(h)[f, n].float(), dim=1)
        return find(points, level[f, n])

    def again(self, h, length, level, attractors):
        """Attractors [B, S, D] of the masks that `attractors` make: a round of k-means with soft borders.

        Source: [DPCL2], one round of the soft k-means that is unrolled there."""
        masks, _ = self.masks(h, length, attractors)
        return self.attract(h, length, masks * level[:, None])

    def forward(self, mix, sources, oracle=False, find=None):
        """What the losses need for mix [B, 1, T] and its sources [B, S, T], as a dict.

        est_sources [B, S, T], attractors [B, S, D]; masks, their cosine and weight (a bin's share of the
        level times its ideal mask), all [B, S, F, N]; V, unit bins [B, F, N, D].
        oracle: apply the ideal masks themselves, which trains encoder and decoder; only here have they a
        gradient, and only masks and est_sources are given.
        find: that of `separate`; then also est_found [B, S, T], what `separate` would give, in any order."""
        with torch.set_grad_enabled(oracle and torch.is_grad_enabled()):
            code = self.encode(mix)
            levels = modulus(self.encode(sources))
            ideal = levels / levels.sum(1, keepdim=True).clamp_min(1e-8)
        if oracle:
            est_sources = self.decode(code * ideal.unsqueeze(3), mix.shape[2])
            return {"masks": ideal, "est_sources": est_sources}
        level = modulus(code)[:, 0]  # [B, F, N]
        share = level / level.sum((1, 2), keepdim=True).clamp_min(1e-8)
        weight = ideal * share[:, None]
        h, length = self.bins(level)
        attractors = self.attract(h, length, weight)
        masks, cosine = self.masks(h, length, attractors)
        found = {}
        if find:
            searched = torch.stack([self.search(*one, find) for one in zip(h, level, strict=True)])
            made, _ = self.masks(h, length, self.again(h, length, level, searched))
            found["est_found"] = self.decode(code * made.unsqueeze(3), mix.shape[2])
        return found | {
            "attractors": attractors,
            "cosine": cosine,
            "weight": weight,
            "V": self.vectors(h) / length.unsqueeze(3).to(h.dtype),
            "masks": masks,
            "est_sources": self.decode(code * masks.unsqueeze(3), mix.shape[2]),
        }

    @torch.no_grad()
    def separate(self, wav, find):
        """Take wav [1, 1, T] apart: Separated.  Source: [SATTS] sec. 2.2, inference.

        find(points [P, D], weight [P]) -> attractors [S, D] looks for people among unit vectors, as
        lib.voices.people.people does."""
        code = self.encode(wav)
        level = modulus(code)[:, 0]  # [1, F, N]
        h, length = self.bins(level)
        searched = self.search(h[0], level[0], find)
        (attractors,) = self.again(h, length, level, searched[None])
        masks = self.masks(h, length, attractors[None])[0][0]
        order = (masks * level).sum((1, 2)).argsort(descending=True)
        wavs = self.decode(code[0] * masks.unsqueeze(2), wav.shape[2])
        parts = (wav[0, 0], wavs[order], attractors[order], masks[order], level[0])
        return Separated(*(part.numpy() for part in parts))

    @torch.no_grad()
    def windows(self, wav, seconds=3.0):
        """Attractors [W, D] of windows, half overlapping, of one clean wav [1, 1, T], as SpeakerEncoder's."""
        size = min(int(seconds * audio.RATE), wav.shape[2])
        pieces = wav[0, 0].unfold(0, size, max(1, size // 2))
        level = modulus(self.encode(pieces))  # [W, F, N]
        h, length = self.bins(level)
        return self.attract(h, length, level[:, None])[:, 0]


def modulus(code):
    """Level [..., N] of a code [..., 2, N]; differentiable at zero."""
    return (code.square().sum(-2) + 1e-14).sqrt()
