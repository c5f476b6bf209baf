"""The sound of a throat before the mouth shapes it: a band-limited train of pulses at f0."""
import math

import torch
import torch.nn.functional as F

TOP = 7800.0  # Hz; harmonics end below half of 16 kHz, so that rounding f0 never folds one back
RESTING = 120.0  # Hz that unvoiced frames glide from and to; they are silent: only the glide is heard
LOWEST = 50.0  # Hz; fewer would ask for more than 156 harmonics
NEAR_PEAK = 2e-3  # of 2 sin(phase / 2): below it the closed form divides by nearly 0: take its limit


def pulses(f0, hop, rate=16000):
    """Pulse train [B, F * hop] of f0 [B, F] in Hz (0: silent): every harmonic below 7.8 kHz at amplitude 1.

    The sum of cos(h t) over h = 1 .. H is sin((H + 1/2) t) / (2 sin(t / 2)) - 1/2 (Dirichlet's kernel), so
    that 100 harmonics cost as much as one.  Source: a harmonic source as in [NSF], band-limited: H follows
    f0 from sample to sample.
    """
    voiced = F.interpolate((f0 > 0).float()[:, None], scale_factor=hop, mode="nearest")[:, 0]
    filled = torch.where(f0 > 0, f0, RESTING)[:, None]
    gliding = F.interpolate(filled, scale_factor=hop, mode="linear", align_corners=False)
    hz = gliding[:, 0].clamp_min(LOWEST)
    turns = torch.cumsum(hz.double() / rate, 1)  # in double: a minute of pulses is 10,000 turns
    phase = 2 * math.pi * torch.remainder(turns, 1.0).float()
    harmonics = torch.floor(TOP / hz)
    denominator = 2 * torch.sin(phase / 2)
    at_peak = denominator.abs() < NEAR_PEAK
    denominator = torch.where(at_peak, torch.ones_like(phase), denominator)
    kernel = torch.sin((harmonics + 0.5) * phase) / denominator
    return (torch.where(at_peak, harmonics + 0.5, kernel) - 0.5) * voiced
