"""Frames of the codec from latents, by flow matching, with a look at the reference."""
import math
import torch, torch.nn.functional as F
from torch import nn
MELS = 128
class Block(nn.Module):
    def __init__(self, width, expand, film):
        super().__init__()
        self.wide = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.up, self.down = nn.Linear(width, expand * width), nn.Linear(expand * width, width)
        self.film = nn.Linear(film, 3 * width); nn.init.zeros_(self.film.weight); nn.init.zeros_(self.film.bias)
        with torch.no_grad(): self.film.bias[2 * width:] = 0.2
    def forward(self, x, mask, c):  # x [B, F, H]
        scale, shift, gain = self.film(c)[:, None].chunk(3, 2)
        h = self.wide((x * mask).transpose(1, 2)).transpose(1, 2)
        h = self.norm(h) * (1 + scale) + shift
        return x + gain * self.down(F.gelu(self.up(h)))
class Look(nn.Module):
    """Cross-attention from frames to the reference's frames."""
    def __init__(self, width, heads=4):
        super().__init__()
        self.heads, self.norm = heads, nn.LayerNorm(width)
        self.q, self.kv, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.none = nn.Parameter(torch.zeros(1, 1, width))
        nn.init.zeros_(self.out.weight); nn.init.zeros_(self.out.bias)
    def forward(self, x, ref, ref_mask):  # ref [B, L, H], ref_mask [B, L] bool
        B, N, H = x.shape
        ref = torch.cat([self.none.expand(B, 1, H).to(ref.dtype), ref], 1); keep = F.pad(ref_mask, (1, 0), value=True)[:, None, None]
        split = lambda t: t.reshape(B, -1, self.heads, H // self.heads).transpose(1, 2)
        k, v = self.kv(ref).chunk(2, 2)
        h = F.scaled_dot_product_attention(split(self.q(self.norm(x))), split(k), split(v), attn_mask=keep)
        return x + self.out(h.transpose(1, 2).reshape(B, N, H))
class Frames(nn.Module):
    def __init__(self, C=96, D=128, width=256, layers=9, expand=3, attend=(2, 5, 7)):
        super().__init__()
        self.attend = attend
        self.inputs, self.z_in = nn.Linear(MELS + 2, width), nn.Conv1d(C, width, 5, padding=2)
        self.voice, self.no_voice = nn.Linear(D, width), nn.Parameter(torch.zeros(width))
        self.time = nn.Sequential(nn.Linear(128, width), nn.SiLU(), nn.Linear(width, width))
        self.ref_in = nn.Conv1d(MELS + 2, width, 5, padding=2)
        self.ref_blocks = nn.ModuleList(Block(width, 2, width) for _ in range(3))
        self.blocks = nn.ModuleList(Block(width, expand, width) for _ in range(layers))
        self.look = nn.ModuleList(Look(width) for _ in attend)
        self.last, self.out = nn.LayerNorm(width), nn.Linear(width, MELS + 2)
        nn.init.zeros_(self.out.weight); nn.init.zeros_(self.out.bias)
    def refer(self, ref, ref_mask):
        """ref [B, L, 130] -> tokens [B, L / 2, H] and mask."""
        m = ref_mask[..., None].float(); h = self.ref_in((ref * m).transpose(1, 2)).transpose(1, 2); c = torch.zeros(len(h), h.shape[2])
        for b in self.ref_blocks: h = b(h, m, c)
        return h[:, ::2], ref_mask[:, ::2]
    def forward(self, x, t, z, spk, spk_mask, ref, ref_mask, mask, tokens=None):
        """x [B, F, 130], t [B], z [B, C, F], spk [B, D], spk_mask [B] (0: no voice), ref [B, L, 130]."""
        half = torch.exp(-math.log(1000) * torch.arange(64) / 64); a = 1000 * t[:, None] * half / 100
        c = self.time(torch.cat([a.sin(), a.cos()], 1)) + torch.where(spk_mask[:, None] > 0, self.voice(spk), self.no_voice)
        c = F.silu(c)
        h = self.inputs(x) + self.z_in(z).transpose(1, 2)
        r, rm = self.refer(ref, ref_mask) if tokens is None else tokens
        k = 0
        for i, b in enumerate(self.blocks):
            h = b(h, mask, c)
            if i in self.attend: h = self.look[k](h, r, rm); k += 1
        return self.out(self.last(h)).float()
    @torch.inference_mode()
    def sample(self, z, spk, ref, steps=6, guide=1.0, temp=0.7, generator=None, has_voice=1.0):
        B, _, N = z.shape
        x = torch.randn(B, N, MELS + 2, generator=generator) * temp
        rm = torch.ones(B, ref.shape[1], dtype=torch.bool); mask = torch.ones(B, N, 1)
        on = torch.full((B,), has_voice); tok = self.refer(ref, rm)
        if guide != 1: tok2 = (torch.cat([tok[0], tok[0]]), torch.cat([tok[1], torch.zeros_like(tok[1])])); z2, s2, on2, m2 = torch.cat([z, z]), torch.cat([spk, spk]), torch.cat([on, on * 0]), torch.cat([mask, mask])
        grid = torch.linspace(0, 1, steps + 1); grid = 1 - torch.cos(grid * math.pi / 2)
        for a, b in zip(grid[:-1], grid[1:]):
            if guide != 1:
                v, u = self(torch.cat([x, x]), a.expand(2 * B), z2, s2, on2, None, None, m2, tok2).chunk(2)
                v = u + guide * (v - u)
            else: v = self(x, a.expand(B), z, spk, on, None, None, mask, tok)
            x = x + (b - a) * v
        return x
