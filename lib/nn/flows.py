"""Invertible maps: mean-only couplings for z, spline couplings for durations."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from lib.nn.blocks import ConvNeXtStack

BOUND = 5.0  # splines bend the numbers between -BOUND and BOUND, as in [VITS] app. B
LEAST = 1e-3  # share of a bin, and slope at a knot: keeps a spline invertible
# softplus(END_SLOPE) + LEAST = 1: slope one where the identity begins
END_SLOPE = math.log(math.exp(1 - LEAST) - 1)


class Coupling(nn.Module):
    """Shift one half of the channels by what the other half and the voice say; volume-preserving.

    H: channels of what else is known of each frame, 0 for nothing.  Source: [NICE], as in [VITS] app. A.
    """

    def __init__(self, C, channels, layers, G, H=0):
        super().__init__()
        self.inputs = nn.Conv1d(C // 2, channels, 1)
        self.known = nn.Conv1d(H, channels, 1) if H else None
        self.stack = ConvNeXtStack(channels, layers, G, kernel=5, expand=2)
        self.shift = nn.Conv1d(channels, C // 2, 1)
        nn.init.zeros_(self.shift.weight)
        nn.init.zeros_(self.shift.bias)

    def forward(self, z, mask, g, reverse=False, h=None):
        keep, change = z.chunk(2, dim=1)
        entry = self.inputs(keep)
        if h is not None:
            entry = entry + self.known(h)
        h = self.stack(entry * mask, mask, g)
        shift = (self.shift(h) * mask).float()
        moved = change - shift if reverse else change + shift
        return torch.cat([keep, moved], 1)


class Flow(nn.Module):
    """z [B, C, F] -> z_p [B, C, F], and back with reverse=True; conditioned on g [B, G, 1].

    Where it was made with H channels, also on h [B, H, F], which says of each frame what is known.
    Source: [VITS] sec. 2.2.2, [SATTS] sec. 2.1: affine couplings, here mean-only so that the log-determinant
    is zero, with the channels reversed between them.
    """

    def __init__(self, C, channels=192, layers=3, couplings=4, G=256, H=0):
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(C, channels, layers, G, H) for _ in range(couplings))

    def forward(self, z, mask, g, reverse=False, h=None):
        z = z.float()
        if reverse:
            for coupling in reversed(self.couplings):
                z = coupling(z.flip(1), mask, g, reverse=True, h=h)
            return z
        for coupling in self.couplings:
            z = coupling(z, mask, g, h=h).flip(1)
        return z


def knots(raw):
    """Edges [..., K + 1] of K bins from -BOUND to BOUND, of unnormalised sizes raw [..., K]."""
    K = raw.shape[-1]
    share = LEAST + (1 - LEAST * K) * raw.float().softmax(-1)
    edges = F.pad(2 * BOUND * share.cumsum(-1), (1, 0)) - BOUND
    last = torch.full_like(edges[..., -1:], BOUND)  # exactly, not but for rounding
    return torch.cat([edges[..., :-1], last], -1)


def spline(x, width, height, slope, reverse=False):
    """Monotone rational-quadratic spline on [-BOUND, BOUND], the identity outside.  Source: [NEURALSPLINE]
    eq. (4)-(8).

    x [...]; width, height [..., K] and slope [..., K - 1] unnormalised.
    Returns (image [...], log derivative [...]).
    Differs: shapes are fixed (no boolean indexing), so that there are fewer kernel launches."""
    xs, ys = knots(width), knots(height)
    slopes = LEAST + F.softplus(F.pad(slope.float(), (1, 1), value=END_SLOPE))
    inside = x.abs() < BOUND
    v = x.float().clamp(-BOUND, BOUND)
    inner = (ys if reverse else xs)[..., 1:-1]
    k = (v[..., None] >= inner).sum(-1, keepdim=True)  # the bin of v

    def at(values, offset=0):
        return values.gather(-1, k + offset).squeeze(-1)

    x0, y0 = at(xs), at(ys)
    w, h = at(xs, 1) - x0, at(ys, 1) - y0
    d0, d1 = at(slopes), at(slopes, 1)
    s = h / w
    curve = d0 + d1 - 2 * s
    if reverse:  # eq. (6)-(8): the root of a quadratic
        rise = v - y0
        a = h * (s - d0) + rise * curve
        b = h * d0 - rise * curve
        c = -s * rise
        t = 2 * c / (-b - (b**2 - 4 * a * c).clamp_min(0).sqrt())
    else:
        t = (v - x0) / w
    t = t.clamp(0, 1)
    below = s + curve * t * (1 - t)
    if reverse:
        image = t * w + x0
    else:
        image = y0 + h * (s * t**2 + d0 * t * (1 - t)) / below  # eq. (4)
    above = s**2 * (d1 * t**2 + 2 * s * t * (1 - t) + d0 * (1 - t) ** 2)
    slope_log = torch.log(above) - 2 * torch.log(below)  # of eq. (5)
    if reverse:
        slope_log = -slope_log
    image = torch.where(inside, image, x.float())
    slope_log = torch.where(inside, slope_log, torch.zeros_like(slope_log))
    return image, slope_log


class SplineCoupling(nn.Module):
    """Bend one channel of a pair by a spline that the other and the context h [B, H, N] choose; x [B, 2, N].

    Source: [VITS] app. B.
    """

    def __init__(self, H, bins=10):
        super().__init__()
        self.bins = bins
        self.inputs = nn.Conv1d(1, H, 1)
        self.stack = ConvNeXtStack(H, 2, kernel=3, expand=2)
        self.out = nn.Conv1d(H, 3 * bins - 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, mask, h, reverse=False):
        keep, change = x[:, :1], x[:, 1:]
        raw = self.out(self.stack((self.inputs(keep) + h) * mask, mask))
        raw = raw.transpose(1, 2).unsqueeze(1).float()  # [B, 1, N, 3 K - 1]
        width, height, slope = raw.split([self.bins, self.bins, self.bins - 1], dim=3)
        change, logdet = spline(change, width, height, slope, reverse)
        return torch.cat([keep, change], 1) * mask, (logdet * mask).sum((1, 2))
