"""Blocks that every speech model here is built from."""
import torch
import torch.nn.functional as F
from torch import nn


def sequence_mask(lengths, most=None):
    """lengths [B] -> mask [B, 1, most], one where a position is inside."""
    most = int(lengths.max()) if most is None else most
    return (torch.arange(most, device=lengths.device)[None] < lengths[:, None]).unsqueeze(1).float()


def slices(x, starts, size):
    """Cut x [B, C, L] to [B, C, size] from starts [B] on."""
    index = starts[:, None] + torch.arange(size, device=x.device)[None]
    return torch.gather(x, 2, index.unsqueeze(1).expand(-1, x.shape[1], -1))


def random_slices(x, frames, size):
    """(slices of x [B, c, L], `size` long or all L, starts [B]): where they begin is drawn within the first `frames` [B] of each row."""
    size = min(size, x.shape[2])
    starts = (torch.rand(len(x), device=x.device) * (frames - size + 1).clamp_min(1)).long()
    return slices(x, starts, size), starts


class ConvNeXtStack(nn.Module):
    """Residual ConvNeXt blocks: x [B, C, F], mask [B, 1, F], g [B, G, 1] or None -> [B, C, F].

    Source: [CONVNEXT], in one dimension as in [VOCOS].  The voice g scales and shifts each block after its layer norm.
    Differs: stands where [VITS] has WaveNet blocks, at about half of their multiplications for the same width.
    """

    def __init__(self, channels, layers, G=0, kernel=7, expand=3):
        super().__init__()
        self.wide = nn.ModuleList(nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels) for _ in range(layers))
        self.norm = nn.ModuleList(nn.LayerNorm(channels, elementwise_affine=not G, eps=1e-6) for _ in range(layers))
        self.up = nn.ModuleList(nn.Linear(channels, channels * expand) for _ in range(layers))
        self.down = nn.ModuleList(nn.Linear(channels * expand, channels) for _ in range(layers))
        self.gain = nn.ParameterList(nn.Parameter(torch.full((channels,), 1.0 / layers)) for _ in range(layers))
        self.voice = nn.Linear(G, 2 * layers * channels) if G else None
        if G:
            nn.init.normal_(self.voice.weight, std=0.02)
            nn.init.zeros_(self.voice.bias)

    def forward(self, x, mask=None, g=None):
        film = self.voice(g.squeeze(2)).unsqueeze(1).chunk(2 * len(self.up), dim=2) if self.voice else None  # each [B, 1, C]
        for i, wide in enumerate(self.wide):
            h = wide(x if mask is None else x * mask).transpose(1, 2)  # [B, F, C]
            h = self.norm[i](h)
            if film:
                h = h * (1 + film[2 * i]) + film[2 * i + 1]
            h = self.down[i](F.gelu(self.up[i](h))) * self.gain[i]
            x = x + h.transpose(1, 2)
        return x if mask is None else x * mask


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions: x [B, L, C], mask [B, 1, L] -> [B, L, C].

    Source: rotary embeddings of [ROPE].  Differs: [VITS] uses learned relative positions; rotary ones need no table and reach any length.
    """

    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x, mask):
        B, L, C = x.shape
        q, k, v = self.qkv(x).reshape(B, L, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        keep = mask[:, :, None, :].bool()  # [B, 1, 1, L]
        h = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, attn_mask=keep)
        return self.out(h.transpose(1, 2).reshape(B, L, C))

    @staticmethod
    def rotate(x):
        """Turn pairs of x [B, H, L, d] by angles that grow with position."""
        d, position = x.shape[-1] // 2, torch.arange(x.shape[2], device=x.device)
        angle = position[:, None] * 10000 ** (-torch.arange(d, device=x.device) / d)
        a, b, cos, sin = x[..., :d], x[..., d:], angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class Transformer(nn.Module):
    """Pre-norm transformer with convolutional feed-forward: x [B, C, L], mask [B, 1, L] -> [B, C, L].  Source: [VITS] app. A."""

    def __init__(self, channels, layers, heads=2, kernel=3, expand=4, dropout=0.1):
        super().__init__()
        self.norm1, self.norm2 = (nn.ModuleList(nn.LayerNorm(channels) for _ in range(layers)) for _ in range(2))
        self.attention = nn.ModuleList(Attention(channels, heads) for _ in range(layers))
        self.up = nn.ModuleList(nn.Conv1d(channels, channels * expand, kernel, padding=kernel // 2) for _ in range(layers))
        self.down = nn.ModuleList(nn.Conv1d(channels * expand, channels, kernel, padding=kernel // 2) for _ in range(layers))
        self.norm, self.drop = nn.LayerNorm(channels), nn.Dropout(dropout)

    def forward(self, x, mask):
        x, inside = x.transpose(1, 2), mask.transpose(1, 2)
        for i, attention in enumerate(self.attention):
            x = x + self.drop(attention(self.norm1[i](x), mask))
            h = (self.norm2[i](x) * inside).transpose(1, 2)
            h = self.down[i](self.drop(F.gelu(self.up[i](h))) * mask)
            x = x + self.drop(h.transpose(1, 2))
        return self.norm(x).transpose(1, 2) * mask
