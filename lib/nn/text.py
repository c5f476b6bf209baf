"""What reads text: an encoder of its symbols, and what says how long each of them lasts."""
import math

import torch
from torch import nn

from lib.nn.blocks import ConvNeXtStack, Transformer
from lib.nn.flows import SplineCoupling

SHORTEST = 0.2  # frames of a token that is drawn


class TextEncoder(nn.Module):
    """x [B, N] tokens -> h [B, H, N], m_p, logs_p [B, C, N].  Source: [VITS] sec. 2.2.2."""

    def __init__(self, config, C):
        super().__init__()
        self.embed = nn.Embedding(config.symbols, config.hidden)
        nn.init.normal_(self.embed.weight, std=config.hidden**-0.5)
        self.body = Transformer(config.hidden, config.text_layers, expand=2)
        self.out = nn.Conv1d(config.hidden, 2 * C, 1)

    def forward(self, x, x_mask):
        h = self.embed(x).transpose(1, 2) * math.sqrt(self.embed.embedding_dim)
        h = self.body(h * x_mask, x_mask)
        m_p, logs_p = (self.out(h) * x_mask).float().chunk(2, dim=1)
        return h, m_p, logs_p


class DurationPredictor(nn.Module):
    """h [B, H, N] -> logw [B, 1, N], log of frames per token.

    Source: [GLOWTTS] sec. 2.2; the voice enters as in [VITS] sec. 2.4.
    """

    def __init__(self, config, G):
        super().__init__()
        self.body = ConvNeXtStack(config.hidden, 2, G, kernel=3, expand=2)
        self.out = nn.Conv1d(config.hidden, 1, 1)

    def forward(self, h, x_mask, g):
        return self.out(self.body(h, x_mask, g)) * x_mask


class StochasticDurationPredictor(nn.Module):
    """The distribution of rhythm: a flow over (log duration, one free channel).

    Source: [VITS] sec. 2.2.3 and app. B.  Differs: durations are dequantised by uniform noise instead of a
    second, variational flow: less code; the two were not compared.
    """

    def __init__(self, config, G, couplings=4):
        super().__init__()
        H = config.rhythm_channels
        self.inputs = nn.Conv1d(config.hidden, H, 1)
        self.context = ConvNeXtStack(H, 2, G, kernel=3, expand=2)
        self.couplings = nn.ModuleList(SplineCoupling(H) for _ in range(couplings))
        self.shift = nn.Parameter(torch.tensor(1.0))
        self.scale = nn.Parameter(torch.tensor(0.0))

    def forward(self, h, x_mask, g, w):
        """Give the negative log-likelihood per token [B] of w [B, 1, N] frames."""
        h = self.context(self.inputs(h) * x_mask, x_mask, g)
        w = w.float()
        within = torch.rand_like(w).clamp(1e-3, 1 - 1e-3)  # dequantised: w + within lies in [w, w + 1)
        x = torch.log(w + within)
        x = torch.cat([(x - self.shift) * torch.exp(-self.scale), torch.randn_like(x)], 1) * x_mask
        logdet = -self.scale * x_mask.sum((1, 2))
        for coupling in self.couplings:
            x, bend = coupling(x, x_mask, h)
            x = x.flip(1)
            logdet = logdet + bend
        normal = 0.5 * (math.log(2 * math.pi) + x**2) * x_mask
        return (normal.sum((1, 2)) - logdet) / x_mask.sum((1, 2))

    def sample(self, h, x_mask, g, noise_scale):
        """Draw logw [B, 1, N] with the given temperature; 0 gives one fixed rhythm."""
        h = self.context(self.inputs(h) * x_mask, x_mask, g)
        x = torch.randn(h.shape[0], 2, h.shape[2], device=h.device) * noise_scale * x_mask
        for coupling in reversed(self.couplings):
            x, _ = coupling(x.flip(1), x_mask, h, True)
        w = torch.exp(x[:, :1] * torch.exp(self.scale) + self.shift) - 0.5  # the mean of what was added
        return torch.log(w.clamp_min(SHORTEST)) * x_mask


def whole(w):
    """Round durations w [B, 1, N] so that their running sum stays true; at least one frame in all.

    Each rounded alone, they would drift."""
    ends = w.cumsum(2).round()
    ends = torch.cat([ends[:, :, :-1], ends[:, :, -1:].clamp_min(1)], 2)
    return torch.diff(ends, dim=2, prepend=torch.zeros_like(ends[:, :, :1])).clamp_min(0)
