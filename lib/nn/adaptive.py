"""Blocks that are told something from outside: a condition for every channel, a reference to look at."""
import torch
import torch.nn.functional as F
from torch import nn

FIRST_GAIN = 0.2  # of a block, before it has learned anything: ten of them then keep what enters


class AdaptiveBlock(nn.Module):
    """A residual ConvNeXt block: x [B, F, H], mask [B, F, 1], condition [B, H] -> [B, F, H].

    It hears kernel // 2 * dilation frames to either side.
    The condition scales and shifts what leaves the layer norm and weighs the block.  Source: [CONVNEXT];
    adaptive layer norm as in [DIT] sec. 3.2, whose condition starts without effect.
    """

    def __init__(self, H, expand, kernel=7, dilation=1):
        super().__init__()
        edge = kernel // 2 * dilation
        self.wide = nn.Conv1d(H, H, kernel, padding=edge, dilation=dilation, groups=H)
        self.norm = nn.LayerNorm(H, elementwise_affine=False)
        self.up = nn.Linear(H, expand * H)
        self.down = nn.Linear(expand * H, H)
        self.film = nn.Linear(H, 3 * H)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        nn.init.constant_(self.film.bias[2 * H:], FIRST_GAIN)

    def forward(self, x, mask, condition):
        scale, shift, gain = self.film(condition)[:, None].chunk(3, 2)
        h = self.wide((x * mask).transpose(1, 2)).transpose(1, 2)
        h = self.norm(h) * (1 + scale) + shift
        return x + gain * self.down(F.gelu(self.up(h)))


class CrossAttention(nn.Module):
    """A look at a reference: x [B, F, H], ref [B, L, H], ref_mask [B, L] (bool) -> [B, F, H].

    Keys carry no positions: what counts is how a frame sounds, not when.  One learned key, `none`, is always
    there, so that a frame may look away, also where nothing of the reference is left.
    """

    def __init__(self, H, heads=4):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(H)
        self.q = nn.Linear(H, H)
        self.kv = nn.Linear(H, 2 * H)
        self.out = nn.Linear(H, H)
        self.none = nn.Parameter(torch.zeros(1, 1, H))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, ref, ref_mask):
        B, frames, H = x.shape
        ref = torch.cat([self.none.expand(B, 1, H).to(ref.dtype), ref], 1)
        keep = F.pad(ref_mask, (1, 0), value=True)[:, None, None]
        k, v = self.kv(ref).chunk(2, 2)
        q = self.q(self.norm(x))
        q, k, v = self.split(q), self.split(k), self.split(v)
        h = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        return x + self.out(h.transpose(1, 2).reshape(B, frames, H))

    def split(self, x):
        """[B, L, H] -> [B, heads, L, H / heads]."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
