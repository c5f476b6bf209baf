"""Losses of separation, and the permutation that they are taken under."""
import itertools

import torch
import torch.nn.functional as F


def negative_si_sdr(est_sources, sources, most=30.0):
    """Minus SI-SDR in dB of est_sources against sources, [..., T] each (they broadcast) -> [...].  Source: [SISDR] eq. (3).

    Differs: beyond about `most` dB nothing is gained, so that an easy mixture does not outshout a hard one.
    A silent source gives 0 and no gradient: there is nothing to find."""
    est, ref = (x.float() - x.float().mean(-1, keepdim=True) for x in (est_sources, sources))
    energy = ref.square().sum(-1)
    target = ((est * ref).sum(-1) / energy.clamp_min(1e-8)).unsqueeze(-1) * ref
    heard, error = target.square().sum(-1), (est - target).square().sum(-1)
    ratio = (heard + 1e-10) / (error + 10 ** (-most / 10) * heard + 1e-10)
    return torch.where(energy > 1e-8, -10 * torch.log10(ratio), torch.zeros_like(ratio))


def pairwise(est_sources, sources):
    """Minus SI-SDR of every estimate [B, S, T] against every source [B, S, T]: [B, S (estimate), S (source)]."""
    return negative_si_sdr(est_sources.unsqueeze(2), sources.unsqueeze(1))


def pit(losses):
    """The cheapest permutation of pairwise losses [B, S, S]: (its mean loss [B], order [B, S]: which estimate is source s).

    Source: [PITLOSS].  All S! are tried, which is right for S up to 4 or so."""
    S = losses.shape[1]
    orders = torch.tensor(list(itertools.permutations(range(S))), device=losses.device)  # [S!, S]
    each = losses[:, orders, torch.arange(S, device=losses.device)].mean(2)  # [B, S!]
    least, which = each.min(1)
    return least, orders[which]


def circle(attractors, who, margin=0.25, scale=32.0):
    """Contrastive circle loss of unit attractors [n, D] of people who [n]: one person's together, others' apart.

    Source: [CIRCLE] eq. (6), on attractors as in [SATTS] eq. (3).  Each attractor is compared with all others; one without a partner
    only pushes.  Differs: divided by `scale`, so that its size does not depend on it; the code of [SANET] has one sum over all pairs."""
    cosine = attractors.float() @ attractors.float().T
    same = who[:, None] == who[None]
    own, other = same & ~torch.eye(len(who), dtype=torch.bool, device=who.device), ~same
    near = -scale * (1 + margin - cosine).clamp_min(0).detach() * (cosine - (1 - margin))
    far = scale * (cosine + margin).clamp_min(0).detach() * (cosine - margin)
    lowest = torch.finfo(cosine.dtype).min
    pulls, pushes = (torch.where(keep, x, lowest).logsumexp(1) for keep, x in ((own, near), (other, far)))
    pulls = torch.where(own.any(1), pulls, torch.zeros_like(pulls))
    each = F.softplus(pulls + torch.where(other.any(1), pushes, torch.zeros_like(pushes)))
    return each.mean() / scale


def compactness(cosine, weight):
    """Mean of one minus cosine [B, S, ...] of bins and the attractor of their person; weight [B, S, ...] sums to one per mixture.

    Source: [SATTS] eq. (3), as in the code of [SANET].  Differs: there only masks over 0.5 count, attractors get no gradient."""
    return ((1 - cosine.float()) * weight.float()).flatten(1).sum(1).mean()
