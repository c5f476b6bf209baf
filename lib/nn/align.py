"""Which token each frame belongs to: monotonic alignment search, and paths from durations."""
import torch

from lib.nn.blocks import sequence_mask


def log_likelihood(z_p, m_p, logs_p):
    """log N(z_p frame; m_p, logs_p of token): z_p [B, C, F], m_p and logs_p [B, C, N] -> [B, N, F].  Source: [VITS] eq. (5)."""
    z_p, m_p, logs_p = z_p.float(), m_p.float(), logs_p.float()
    precision = torch.exp(-2 * logs_p)  # [B, C, N]
    constant = (-0.9189385 - logs_p - 0.5 * m_p**2 * precision).sum(1).unsqueeze(2)  # [B, N, 1]
    square = torch.matmul(precision.transpose(1, 2), -0.5 * z_p**2)
    return constant + square + torch.matmul((m_p * precision).transpose(1, 2), z_p)


def search(score, x_mask, z_mask):
    """Most likely monotonic path [B, N, F] (0 or 1) under score [B, N, F]; every token gets a frame, so F >= N.  Source: [GLOWTTS] alg. 1.

    Raises ValueError when a clip has fewer frames than tokens: no path exists.
    """
    tokens, frames = x_mask.sum((1, 2)), z_mask.sum((1, 2))
    if bool((frames < tokens).any()):
        worst = int((frames - tokens).argmin())
        raise ValueError(f"{int(tokens[worst])} tokens do not fit {int(frames[worst])} frames: leave such clips out of the data.")
    from monotonic_alignment_search import maximum_path
    mask = (x_mask.transpose(1, 2) * z_mask).float()
    return maximum_path(score.detach().float(), mask).to(score.dtype)


def path_from(w, z_mask=None):
    """path [B, N, F] that gives token n w[:, 0, n] frames, w [B, 1, N] whole numbers."""
    ends = w.squeeze(1).cumsum(1)  # [B, N]
    most = int(ends[:, -1].max()) if z_mask is None else z_mask.shape[2]
    inside = sequence_mask(ends.flatten(), most).reshape(*ends.shape, most)
    return torch.diff(inside, dim=1, prepend=torch.zeros_like(inside[:, :1]))
