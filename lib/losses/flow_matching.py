"""Flow matching: a network learns the velocity on straight ways from noise to data."""
import torch


def between(x, t, noise):
    """The point at time t [B] on the straight way from noise to x, [B, F, K].  Source: [MATCHA] eq. (3)."""
    t = t[:, None, None]
    return (1 - t) * noise + t * x


def flow_matching(v_hat, x, noise, mask, weight):
    """Squared error of the velocity v_hat [B, F, K] against that of the straight way, x - noise.

    A mean over frames where mask [B, F, 1] is one, weighted by channel with weight [K].
    Source: [MATCHA] eq. (4).
    """
    error = (v_hat.float() - (x - noise)).square() * mask
    return (error * weight).sum() / (mask.sum().clamp_min(1) * weight.sum())


def times(B, device=None):
    """Times t [B] from 0 to 1, most about the middle, where the way is hardest.  Source: [SD3] sec. 3.1."""
    return torch.sigmoid(torch.randn(B, device=device))
