"""Losses of separation, and the permutation that they are taken under."""
import itertools

import torch
import torch.nn.functional as F

SILENT = 1e-8  # energy of a source that is not there
TINY = 1e-10  # keeps logarithms finite


def negative_si_sdr(est_sources, sources, most=30.0):
    """Minus SI-SDR in dB of est_sources against sources, [..., T] each (they broadcast) -> [...].

    Source: [SISDR] eq. (3).  Differs: beyond about `most` dB nothing is gained, so that an easy mixture does
    not outshout a hard one.  A silent source gives 0 and no gradient: there is nothing to find."""
    est = centred(est_sources)
    ref = centred(sources)
    energy = ref.square().sum(-1)
    gain = (est * ref).sum(-1) / energy.clamp_min(SILENT)
    target = gain.unsqueeze(-1) * ref
    kept = target.square().sum(-1)
    error = (est - target).square().sum(-1)
    ratio = (kept + TINY) / (error + 10 ** (-most / 10) * kept + TINY)
    return torch.where(energy > SILENT, -10 * torch.log10(ratio), torch.zeros_like(ratio))


def negative_sdr(est_speech, speech, most=30.0):
    """Minus SDR in dB of est_speech against speech, [..., T] each -> [...].

    Source: [CONVTASNET] names the scale-invariant one; [PERSONAL] sec. 3 trains on this one, which forbids
    another level.  Differs: beyond about `most` dB nothing is gained, as in negative_si_sdr.  Silent speech
    gives 0 and no gradient."""
    speech = speech.float()
    energy = speech.square().sum(-1)
    error = (est_speech.float() - speech).square().sum(-1)
    ratio = (energy + TINY) / (error + 10 ** (-most / 10) * energy + TINY)
    return torch.where(energy > SILENT, -10 * torch.log10(ratio), torch.zeros_like(ratio))


def centred(wav):
    """wav [..., T] without its mean."""
    return wav.float() - wav.float().mean(-1, keepdim=True)


def pairwise(est_sources, sources):
    """Minus SI-SDR of every estimate [B, S, T] against every source [B, S, T]: [B, S (estimate), S
    (source)]."""
    return negative_si_sdr(est_sources.unsqueeze(2), sources.unsqueeze(1))


def pit(losses):
    """The cheapest permutation of pairwise losses [B, S, S]: (its mean loss [B], order [B, S]).

    order: which estimate is source s.  Source: [PITLOSS].  All S! are tried, which is right for S up to 4 or
    so."""
    S = losses.shape[1]
    orders = torch.tensor(list(itertools.permutations(range(S))), device=losses.device)  # [S!, S]
    costs = losses[:, orders, torch.arange(S, device=losses.device)].mean(2)  # [B, S!]
    least, which = costs.min(1)
    return least, orders[which]


def circle(attractors, who, margin=0.25, scale=32.0):
    """Contrastive circle loss of unit attractors [n, D] of people who [n]: one person's together, others'
    apart.

    Source: [CIRCLE] eq. (6), on attractors as in [SATTS] eq. (3).  Each attractor is compared with all
    others; one without a partner only pushes.  Differs: divided by `scale`, so that its size does not depend
    on it; the code of [SANET] has one sum over all pairs."""
    cosine = attractors.float() @ attractors.float().T
    same = who[:, None] == who[None]
    itself = torch.eye(len(who), dtype=torch.bool, device=who.device)
    return pulled_and_pushed(cosine, same & ~itself, ~same, margin, scale)


def circle_of_known(attractors, who, known, margin=0.25, scale=32.0):
    """Circle loss of unit attractors [n, D] of people who [n] against one direction for everybody, known
    [V, D].

    Where `circle` sees the few people of a batch, this sees all.  Source: [CIRCLE], labels of classes,
    with the weights of eq. (6); divided by `scale`, as `circle`."""
    cosine = attractors.float() @ F.normalize(known.float(), dim=1).T
    own = F.one_hot(who, len(known)).bool()
    return pulled_and_pushed(cosine, own, ~own, margin, scale)


def pulled_and_pushed(cosine, pull, push, margin, scale):
    """[CIRCLE] eq. (6), over `scale`, of cosines [n, m]: up under the mask `pull`, down under `push`."""
    pull_weight = (1 + margin - cosine).clamp_min(0).detach()
    push_weight = (cosine + margin).clamp_min(0).detach()
    pulls = log_sum(-scale * pull_weight * (cosine - (1 - margin)), pull)
    pushes = log_sum(scale * push_weight * (cosine - margin), push)
    return F.softplus(pulls + pushes).mean() / scale


def log_sum(values, keep):
    """logsumexp over the columns of values [n, m] where keep is True; 0 for a row that keeps none."""
    lowest = torch.finfo(values.dtype).min
    sums = torch.where(keep, values, lowest).logsumexp(1)
    return torch.where(keep.any(1), sums, torch.zeros_like(sums))


def affinity(v, owners):
    """Deep clustering of unit points v [B, P, D], owners [B, P, S] say whose; both times the root of a
    weight.

    Source: [DPCL] eq. (1), a mean over the batch.  The sum over all pairs of points of (a_i . b_j)^2 is the
    squared size of a small matrix."""
    def pairs(a, b):
        return (a.transpose(1, 2) @ b).float().square().sum((1, 2))
    return (pairs(v, v) - 2 * pairs(v, owners) + pairs(owners, owners)).mean()


def compactness(cosine, weight):
    """Mean of one minus cosine [B, S, ...] of bins and the attractor of their person.

    weight [B, S, ...] sums to one per mixture.  Source: [SATTS] eq. (3), as in the code of [SANET].
    Differs: there only masks over 0.5 count, attractors get no gradient."""
    return ((1 - cosine.float()) * weight.float()).flatten(1).sum(1).mean()
