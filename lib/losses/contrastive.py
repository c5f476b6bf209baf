"""Losses that compare: voices with voices, frames with frames."""
import torch
import torch.nn.functional as F

from lib.losses.speech import masked_mean

EDGE = 1e-6  # of cosines, whose arc cosine has no gradient at 1


def aam_softmax(spk_emb, weight, speaker, margin=0.2, scale=30.0):
    """Additive angular margin softmax of spk_emb [B, D] (unit) against class weight [S, D] and speaker [B].

    Source: [AAM] eq. (3)."""
    cosine = spk_emb.float() @ F.normalize(weight.float(), dim=1).T
    cosine = cosine.clamp(-1 + EDGE, 1 - EDGE)
    own = F.one_hot(speaker, weight.shape[0]).bool()
    harder = torch.cos(torch.acos(cosine) + margin)
    return F.cross_entropy(scale * torch.where(own, harder, cosine), speaker)


def angular_prototypical(spk_emb, scale, offset):
    """Angular prototypical loss of spk_emb [P, 2, D]: P people, a query and a prototype each.

    Source: [ANGPROTO] eq. (6)."""
    query, prototype = spk_emb[:, 0].float(), spk_emb[:, 1].float()
    cosine = query @ prototype.T
    own = torch.arange(len(cosine), device=cosine.device)
    return F.cross_entropy(scale.clamp_min(EDGE) * cosine + offset, own)


def speaker_consistency(spk_emb_hat, spk_emb):
    """One minus the cosine of unit vectors [B, D]: speech should carry the voice that was asked for.

    Source: [YOURTTS] eq. (1)."""
    return 1 - (spk_emb_hat.float() * spk_emb.float()).sum(1).mean()


def frame_contrastive(code, code_hat, mask, temperature=1.0):
    """Same frame of two views alike, all other frames of both unlike: codes [B, K, F], mask [B, 1, F].

    Source: [FLOWVAE] eq. (2)-(3).  Differs: a mean over frames for the sum, and a temperature that divides
    the cosine (1 as published)."""
    first = directions(code) / temperature**0.5  # [B, F, K]
    second = directions(code_hat) / temperature**0.5
    across = first @ second.transpose(1, 2)  # [B, F, F]
    itself = torch.eye(across.shape[1], dtype=torch.bool, device=across.device)
    left_out = itself | ~mask.bool()  # the frame itself, and padding
    forth = frame_ctr(first @ first.transpose(1, 2), across, left_out)
    back = frame_ctr(second @ second.transpose(1, 2), across.transpose(1, 2), left_out)
    return -masked_mean(torch.logaddexp(forth, back).unsqueeze(1), mask)


def directions(code):
    """Unit frames [B, F, K] of a code [B, K, F]."""
    return F.normalize(code.float(), dim=1).transpose(1, 2)


def frame_ctr(own, cross, left_out):
    """Logarithm [B, F] of [FLOWVAE] eq. (3), of cosines [B, F, F] within one view and across both."""
    within = own.masked_fill(left_out, -torch.inf)
    between = cross.masked_fill(left_out, -torch.inf)
    others = torch.cat([within, between], 2)
    return cross.diagonal(dim1=1, dim2=2) - others.logsumexp(2)
