"""Pitch as a network is told it: a line that never breaks, and beside it where there is a voice."""
import torch

MIDDLE_HZ, SPREAD = 150.0, 0.35  # log f0 is told as log(hz / 150) / .35: about mean 0, variance 1
LOWEST, HIGHEST = -2.8, 3.4  # of that, when it is heard again: 56 to 493 Hz


def channels(f0):
    """[B, 2, F] of f0 [B, F] in Hz (0: unvoiced): its scaled logarithm, then +1 where voiced, -1 elsewhere.

    Gaps are crossed on a straight line, and before the first voiced frame and after the last the line is
    level; where nothing is voiced it is 0.
    """
    frames = f0.shape[1]
    voiced = f0 > 0
    at = torch.arange(frames, device=f0.device).expand_as(f0)
    left = torch.where(voiced, at, -1).cummax(1).values  # the last voiced frame up to here, -1: none
    right = torch.where(voiced, at, frames).flip(1).cummin(1).values.flip(1)
    first = torch.where(left < 0, right, left).clamp(0, frames - 1)
    last = torch.where(right == frames, left, right).clamp(0, frames - 1)
    level = torch.where(voiced, torch.log(f0.clamp_min(1.0) / MIDDLE_HZ) / SPREAD, 0.0)
    share = (at - first) / (last - first).clamp_min(1)
    line = torch.lerp(level.gather(1, first), level.gather(1, last), share.clamp(0, 1))
    return torch.stack([line, voiced.to(f0) * 2 - 1], 1)


def hertz(line):
    """Hz of a scaled logarithm of any shape, kept to where voices are."""
    return MIDDLE_HZ * torch.exp(SPREAD * line.clamp(LOWEST, HIGHEST))


def melody(pitch, mask):
    """The channels pitch [B, 2, F] without the register: the line less its mean over voiced frames.

    mask [B, 1, F].
    """
    line, voicing = pitch.chunk(2, 1)
    inside = (voicing > 0) * mask
    mean = (line * inside).sum(2, keepdim=True) / inside.sum(2, keepdim=True).clamp_min(1)
    return torch.cat([line - mean, voicing], 1)
