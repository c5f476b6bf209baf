"""Flow matching: a network learns the velocity on straight ways from noise to data."""
import torch


def between(x, t, noise):
    """The point at time t [B] on the straight way from noise to x, [B, F, K].  Source: [MATCHA] eq. (3)."""
    t = t[:, None, None]
    return (1 - t) * noise + t * x


def flow_matching(v_hat, v, mask, weight):
    """Squared error of the velocity v_hat [B, F, K] against v, which is x - noise on the straight way.

    A mean over frames where mask [B, F, 1] is one, weighted by channel with weight [K].
    Source: [MATCHA] eq. (4).
    """
    error = (v_hat.float() - v).square() * mask
    return (error * weight).sum() / (mask.sum().clamp_min(1) * weight.sum())


def guided(v, told, untold, guidance):
    """Velocity [B, F, K] to learn so that one pass goes where guidance would lead two.

    v: of the straight way.  told, untold: velocities of a teacher that does not learn, with voice and
    reference and without them.  A network that learns this needs no second pass when it is used.
    Source: [CFG] eq. (6), learned as in [DISTILLED].  Differs: added to the velocity of the data, for the
    whole of the teacher's, so that the student goes on learning from speech.
    """
    return v + (guidance - 1) * (told - untold)


def times(B, device=None):
    """Times t [B] from 0 to 1, most about the middle, where the way is hardest.  Source: [SD3] sec. 3.1."""
    return torch.sigmoid(torch.randn(B, device=device))
