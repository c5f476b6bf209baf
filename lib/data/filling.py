"""Latent filling: voices nobody has, between known ones and around them, on the unit sphere."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class FillingConfig:
    """tau: chance that a training step is a filling step, 0 < tau < 1.  mix: chance that a voice of such a
    step is interpolated; otherwise it is one known voice with noise.  noise: length of the noise beside a
    unit vector, drawn from U(0, noise).
    """
    tau: float = 0.25
    mix: float = 0.5
    noise: float = 0.5

    def __post_init__(self):
        if not (0 < self.tau < 1 and 0 <= self.mix <= 1 and self.noise >= 0):
            raise ValueError(f"{self}: tau lies strictly between 0 and 1, mix from 0 to 1, "
                             "noise is not negative.")


def interpolate(spk_emb, other, share):
    """The voice `share` [B, 1] or number of the way from spk_emb to other, both [B, D]; unit.
    0 to 1 lies between them, more goes on in the same direction.  Source: [LF], fig. 2a.

    Differs: made unit again, because the encoder only knows the sphere.  Opposite voices have no middle: then
    spk_emb is returned.
    """
    mixed = (1 - share) * spk_emb + share * other
    return torch.where(mixed.norm(dim=-1, keepdim=True) < 1e-4, spk_emb, F.normalize(mixed, dim=-1))


def add_noise(spk_emb, scale, generator=None):
    """A voice near spk_emb [B, D]: Gaussian noise of expected length `scale` [B, 1] or number is added;
    unit.  Source: [LF], fig. 2b.

    Differs: the scale is that of the whole noise vector, not of one coordinate, so that it means the same for
    every D: at 1 the result lies about 45 degrees away.
    """
    noise = torch.randn(spk_emb.shape, generator=generator, dtype=spk_emb.dtype).to(spk_emb.device)
    return F.normalize(spk_emb + scale * noise / spk_emb.shape[-1] ** 0.5, dim=-1)


def fill(spk_emb, speaker, config=FillingConfig()):
    """Augmented voices [B, D] for the voices spk_emb [B, D] of speaker [B] (whole numbers), from torch's
    random state.

    Each is interpolated with one of *another* speaker of the batch, by a share from U(0, 1), or gets noise;
    where the batch has no other speaker, it gets noise.  Source: [LF] sec. "Latent Filling".  Differs: the
    paper's summary gives no values; the config's are ours.
    """
    B = len(spk_emb)
    device = spk_emb.device
    others = (speaker[:, None] != speaker[None]).float()
    alone = others.sum(1) == 0
    partner = torch.multinomial(others + alone[:, None], 1).squeeze(1)
    mixed = interpolate(spk_emb, spk_emb[partner], torch.rand(B, 1, device=device))
    noised = add_noise(spk_emb, config.noise * torch.rand(B, 1, device=device))
    chosen = (torch.rand(B, device=device) < config.mix) & ~alone
    return torch.where(chosen[:, None], mixed, noised)
