"""Which token each frame belongs to: monotonic alignment search, and paths from durations."""
import math

import torch

from lib.nn.blocks import sequence_mask

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)  # of the density of a Gaussian, per channel


def log_likelihood(z_p, m_p, logs_p):
    """log N(z_p frame; m_p, logs_p of token): z_p [B, C, F], m_p and logs_p [B, C, N] -> [B, N, F].

    Source: [VITS] eq. (5).  The square is multiplied out, so that two matrix products do all pairs at
    once."""
    z_p, m_p, logs_p = z_p.float(), m_p.float(), logs_p.float()
    precision = torch.exp(-2 * logs_p)  # [B, C, N]
    constant = (-HALF_LOG_2_PI - logs_p - 0.5 * m_p**2 * precision).sum(1).unsqueeze(2)  # [B, N, 1]
    square = torch.matmul(precision.transpose(1, 2), -0.5 * z_p**2)
    cross = torch.matmul((m_p * precision).transpose(1, 2), z_p)
    return constant + square + cross


def search(score, x_mask, z_mask):
    """Most likely monotonic path [B, N, F] (0 or 1) under score [B, N, F].  Source: [GLOWTTS] alg. 1.

    Every token gets a frame, so F >= N.
    Raises ValueError when a clip has fewer frames than tokens: no path exists."""
    tokens, frames = x_mask.sum((1, 2)), z_mask.sum((1, 2))
    if bool((frames < tokens).any()):
        worst = int((frames - tokens).argmin())
        raise ValueError(f"{int(tokens[worst])} tokens do not fit {int(frames[worst])} frames: "
                         "leave such clips out of the data.")
    from monotonic_alignment_search import maximum_path
    mask = (x_mask.transpose(1, 2) * z_mask).float()
    return maximum_path(score.detach().float(), mask).to(score.dtype)


def path_from(w, z_mask=None):
    """path [B, N, F] that gives token n w[:, 0, n] frames, w [B, 1, N] whole numbers."""
    ends = w.squeeze(1).cumsum(1)  # [B, N]
    most = int(ends[:, -1].max()) if z_mask is None else z_mask.shape[2]
    before_end = sequence_mask(ends.flatten(), most).reshape(*ends.shape, most)
    return torch.diff(before_end, dim=1, prepend=torch.zeros_like(before_end[:, :1]))
