"""Losses that compare: voices with voices, frames with frames."""
import torch
import torch.nn.functional as F

from lib.losses.speech import masked_mean


def aam_softmax(spk_emb, weight, speaker, margin=0.2, scale=30.0):
    """Additive angular margin softmax of spk_emb [B, D] (unit) against class weight [S, D] and speaker [B].  Source: [AAM] eq. (3)."""
    cosine = (spk_emb.float() @ F.normalize(weight.float(), dim=1).T).clamp(-1 + 1e-6, 1 - 1e-6)
    own = F.one_hot(speaker, weight.shape[0]).bool()
    return F.cross_entropy(scale * torch.where(own, torch.cos(torch.acos(cosine) + margin), cosine), speaker)


def angular_prototypical(spk_emb, scale, offset):
    """Angular prototypical loss of spk_emb [P, 2, D]: P people, a query and a prototype each.  Source: [ANGPROTO] eq. (6)."""
    cosine = spk_emb[:, 0].float() @ spk_emb[:, 1].float().T
    return F.cross_entropy(scale.clamp_min(1e-6) * cosine + offset, torch.arange(len(cosine), device=cosine.device))


def speaker_consistency(spk_emb_hat, spk_emb):
    """One minus the cosine of unit vectors [B, D]: speech should carry the voice that was asked for.  Source: [YOURTTS] eq. (1)."""
    return 1 - (spk_emb_hat.float() * spk_emb.float()).sum(1).mean()


def frame_contrastive(code, code_hat, mask, temperature=1.0):
    """Same frame of two views alike, all other frames of both unlike: codes [B, K, F], mask [B, 1, F].  Source: [FLOWVAE] eq. (2)-(3).

    Differs: a mean over frames for the sum, and a temperature that divides the cosine (1 as published)."""
    one, two = (F.normalize(c.float(), dim=1).transpose(1, 2) / temperature**0.5 for c in (code, code_hat))  # [B, F, K]
    across, away = one @ two.transpose(1, 2), ~mask.bool() | torch.eye(one.shape[1], dtype=torch.bool, device=one.device)

    def ctr(own, cross):  # log of eq. (3); `away`: the frame itself, and padding
        others = torch.cat([own.masked_fill(away, -torch.inf), cross.masked_fill(away, -torch.inf)], 2).logsumexp(2)
        return cross.diagonal(dim1=1, dim2=2) - others
    both = torch.logaddexp(ctr(one @ one.transpose(1, 2), across), ctr(two @ two.transpose(1, 2), across.transpose(1, 2)))
    return -masked_mean(both.unsqueeze(1), mask)
