"""Blocks that every speech model here is built from."""
import torch
import torch.nn.functional as F
from torch import nn

VOICE_STD = 0.02  # of the weights that a voice enters by: near nothing at first
ROPE_BASE = 10000  # of the slowest turning pair, as in [ROPE]


def sequence_mask(lengths, most=None):
    """lengths [B] -> mask [B, 1, most], one where a position is inside."""
    most = int(lengths.max()) if most is None else most
    position = torch.arange(most, device=lengths.device)
    return (position[None] < lengths[:, None]).unsqueeze(1).float()


def slices(x, starts, size):
    """Cut x [B, C, L] to [B, C, size] from starts [B] on."""
    index = starts[:, None] + torch.arange(size, device=x.device)[None]
    return torch.gather(x, 2, index.unsqueeze(1).expand(-1, x.shape[1], -1))


def random_slices(x, frames, size):
    """(slices of x [B, c, L], `size` long or all L; starts [B], drawn within the first `frames` [B] of each
    row)."""
    size = min(size, x.shape[2])
    room = (frames - size + 1).clamp_min(1)
    starts = (torch.rand(len(x), device=x.device) * room).long()
    return slices(x, starts, size), starts


class ConvNeXtStack(nn.Module):
    """Residual ConvNeXt blocks: x [B, C, F], mask [B, 1, F], g [B, G, 1] or None -> [B, C, F].

    Source: [CONVNEXT], in one dimension as in [VOCOS].  The voice g scales and shifts each block after its
    layer norm.  Differs: stands where [VITS] has WaveNet blocks, at about half of their multiplications for
    the same width.
    """

    def __init__(self, channels, layers, G=0, kernel=7, expand=3):
        super().__init__()
        depthwise = dict(padding=kernel // 2, groups=channels)
        hidden = channels * expand
        self.wide = nn.ModuleList(nn.Conv1d(channels, channels, kernel, **depthwise) for _ in range(layers))
        own = not G  # scale and shift of its own; else they come from the voice
        self.norm = nn.ModuleList(nn.LayerNorm(channels, 1e-6, elementwise_affine=own) for _ in range(layers))
        self.up = nn.ModuleList(nn.Linear(channels, hidden) for _ in range(layers))
        self.down = nn.ModuleList(nn.Linear(hidden, channels) for _ in range(layers))
        gains = [nn.Parameter(torch.full((channels,), 1.0 / layers)) for _ in range(layers)]
        self.gain = nn.ParameterList(gains)
        self.voice = nn.Linear(G, 2 * layers * channels) if G else None
        if G:
            nn.init.normal_(self.voice.weight, std=VOICE_STD)
            nn.init.zeros_(self.voice.bias)

    def forward(self, x, mask=None, g=None):
        film = self.film(g) if self.voice else None
        for i, wide in enumerate(self.wide):
            inside = x if mask is None else x * mask
            h = wide(inside).transpose(1, 2)  # [B, F, C]
            h = self.norm[i](h)
            if film:
                scale, shift = film[2 * i], film[2 * i + 1]
                h = h * (1 + scale) + shift
            h = self.down[i](F.gelu(self.up[i](h))) * self.gain[i]
            x = x + h.transpose(1, 2)
        return x if mask is None else x * mask

    def film(self, g):
        """What the voice g [B, G, 1] does to the blocks: scale and shift of each in turn, [B, 1, C]."""
        return self.voice(g.squeeze(2)).unsqueeze(1).chunk(2 * len(self.up), dim=2)


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions: x [B, L, C], mask [B, 1, L] -> [B, L, C].

    Source: rotary embeddings of [ROPE].  Differs: [VITS] uses learned relative positions; rotary ones need no
    table and reach any length.
    """

    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x, mask):
        B, L, C = x.shape
        q, k, v = self.qkv(x).reshape(B, L, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        keep = mask[:, :, None, :].bool()  # [B, 1, 1, L]
        h = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, attn_mask=keep)
        return self.out(h.transpose(1, 2).reshape(B, L, C))

    @staticmethod
    def rotate(x):
        """Turn pairs of x [B, H, L, d] by angles that grow with position."""
        pairs = x.shape[-1] // 2
        position = torch.arange(x.shape[2], device=x.device)
        slowing = ROPE_BASE ** (-torch.arange(pairs, device=x.device) / pairs)
        angle = position[:, None] * slowing
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        a, b = x[..., :pairs], x[..., pairs:]
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class Transformer(nn.Module):
    """Pre-norm transformer with convolutional feed-forward: x [B, C, L], mask [B, 1, L] -> [B, C, L].

    Source: [VITS] app. A.
    """

    def __init__(self, channels, layers, heads=2, kernel=3, expand=4, dropout=0.1):
        super().__init__()
        hidden = channels * expand
        edge = kernel // 2
        self.norm1 = nn.ModuleList(nn.LayerNorm(channels) for _ in range(layers))
        self.norm2 = nn.ModuleList(nn.LayerNorm(channels) for _ in range(layers))
        self.attention = nn.ModuleList(Attention(channels, heads) for _ in range(layers))
        self.up = nn.ModuleList(nn.Conv1d(channels, hidden, kernel, padding=edge) for _ in range(layers))
        self.down = nn.ModuleList(nn.Conv1d(hidden, channels, kernel, padding=edge) for _ in range(layers))
        self.norm = nn.LayerNorm(channels)
        self.drop = nn.Dropout(dropout)

    def forward(self, x, mask):
        x = x.transpose(1, 2)  # [B, L, C]
        inside = mask.transpose(1, 2)
        for i, attention in enumerate(self.attention):
            x = x + self.drop(attention(self.norm1[i](x), mask))
            h = (self.norm2[i](x) * inside).transpose(1, 2)
            h = self.down[i](self.drop(F.gelu(self.up[i](h))) * mask)
            x = x + self.drop(h.transpose(1, 2))
        return self.norm(x).transpose(1, 2) * mask


def in_bf16(device):
    """A context of bf16, in which most models here were trained, where a processor multiplies it faster."""
    is_faster = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)  # torch has no public name for it
    return torch.autocast("cpu", torch.bfloat16, enabled=device.type == "cpu" and is_faster())
