"""From latents to frames of the codec, by flow matching that may look at a recording of the voice."""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from lib.nn.adaptive import AdaptiveBlock, CrossAttention
from lib.nn.blocks import in_bf16
from lib.text.symbols import SYMBOLS

MIDDLE_HZ, SPREAD = 150.0, 0.35  # log f0 is told as log(hz / 150) / .35: about mean 0, variance 1
LOWEST, HIGHEST = -2.8, 3.4  # of that, when it is heard again: 56 to 493 Hz
TIME_CHANNELS = 128  # sine and cosine of the time at 64 speeds,
TIME_SPEED, TIME_SPAN = 10.0, 1000.0  # the fastest 10 radians in all, the slowest a thousandth of that
# Chosen on 20 lines of accented people whose clips it did not learn from (card of the checkpoint): at noise
# .7 words blur (wer .30 for .12); 6 steps give no more than 4.  The weights have learned guidance: 1.
STEPS, GUIDANCE, NOISE_SCALE = 4, 1.0, 0.1
LATENT_SECONDS, FRAME_SECONDS = 0.016, 0.0125  # of a frame of the latents, of a frame of the codec


@dataclass(frozen=True)
class FramesConfig:
    """Sizes.

    C: latent channels; D: of an embedding; M: mel bins; H: width; layers, expand: of the blocks;
    looks: after which of them the reference is looked at; reference_layers: blocks that read it.
    symbols: of text; one more stands where no text is known.  S: of a semantic vector.
    """
    symbols: int = len(SYMBOLS)
    S: int = 96
    C: int = 96
    D: int = 128
    M: int = 128
    H: int = 256
    layers: int = 9
    expand: int = 3
    looks: tuple = (2, 5, 7)
    reference_layers: int = 3


class Frames(nn.Module):
    """x [B, F, M + 2] of latents z [B, C, F], a voice and a reference, by conditional flow matching.

    x holds log-mels, each band at mean 0 and variance 1, then log f0 (on a straight line through unvoiced
    frames), then +1 where voiced and -1 elsewhere.  A loss on frames learns a mean, which is nobody's voice;
    flow matching learns to draw from them.  Source: [MATCHA] sec. 2.2; a share of steps without voice or
    reference, so that sampling can go beyond what was learned, as in [CFG].  Differs: latents of a VAE for
    the mean of the mels, and cross-attention to frames of the voice.
    """
    NEEDS = ("codec", "harmonic")

    def __init__(self, config, codec, harmonic):
        super().__init__()
        H, K = config.H, config.M + 2
        self.config, self.codec, self.harmonic = config, codec, harmonic
        self.register_buffer("mean", torch.zeros(config.M))
        self.register_buffer("std", torch.ones(config.M))
        self.inputs, self.latents = nn.Linear(K, H), nn.Conv1d(config.C, H, 5, padding=2)
        self.phones = nn.Embedding(config.symbols + 1, H)
        self.semantic = nn.Conv1d(config.S, H, 5, padding=2, bias=False)
        nn.init.zeros_(self.phones.weight)
        nn.init.zeros_(self.semantic.weight)
        self.voice, self.no_voice = nn.Linear(config.D, H), nn.Parameter(torch.zeros(H))
        self.time = nn.Sequential(nn.Linear(TIME_CHANNELS, H), nn.SiLU(), nn.Linear(H, H))
        self.reference = nn.Conv1d(K, H, 5, padding=2)
        self.readers = nn.ModuleList(AdaptiveBlock(H, 2) for _ in range(config.reference_layers))
        self.blocks = nn.ModuleList(AdaptiveBlock(H, config.expand) for _ in range(config.layers))
        self.looks = nn.ModuleList(CrossAttention(H) for _ in config.looks)
        self.last, self.out = nn.LayerNorm(H), nn.Linear(H, K)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t, content, spk_emb, known, ref, ref_mask, mask):
        """Velocity [B, F, K] at x [B, F, K] and time t [B], for content [B, F, H] and spk_emb [B, D].

        content: of `told`.  known [B]: one where the voice is told.  ref [B, L, K] and ref_mask [B, L]
        (bool): frames of the same voice.  mask [B, F, 1].
        """
        return self.velocity(x, t, content, spk_emb, known, self.read(ref, ref_mask), mask)

    def told(self, z, phones=None, code=None):
        """What is to be said in each frame, [B, F, H]: the sum of what is known.

        z [B, C, F]: latents, zero where there are none.  phones [B, F]: number of the symbol that a frame
        belongs to, config.symbols where there is no text.  code [B, S, F]: semantic vectors of speech, zero
        where there is none.
        """
        if phones is None:
            phones = torch.full((len(z), z.shape[2]), self.config.symbols, device=z.device)
        content = self.latents(z).transpose(1, 2) + self.phones(phones)
        if code is not None:
            content = content + self.semantic(code).transpose(1, 2)
        return content

    def read(self, ref, ref_mask):
        """What there is to look at, [B, L / 2, H], and where, of ref [B, L, K] and ref_mask [B, L]."""
        mask = ref_mask[..., None].to(ref.dtype)
        h = self.reference((ref * mask).transpose(1, 2)).transpose(1, 2)
        condition = torch.zeros(len(h), h.shape[2], device=h.device)
        for block in self.readers:
            h = block(h, mask, condition)
        return h[:, ::2], ref_mask[:, ::2]

    def velocity(self, x, t, content, spk_emb, known, seen, mask):
        """As forward, with seen: what `read` gave."""
        voice = torch.where(known[:, None] > 0, self.voice(spk_emb), self.no_voice)
        condition = F.silu(self.time(clock(t)) + voice)
        h = self.inputs(x) + content
        look = dict(zip(self.config.looks, self.looks, strict=True))
        for i, block in enumerate(self.blocks):
            h = block(h, mask, condition)
            if i in look:
                h = look[i](h, *seen)
        return self.out(self.last(h)).float()

    def encode(self, mel, f0):
        """x [B, F, M + 2] of frames mel [B, M, F] and f0 [B, F] in Hz, 0 where unvoiced."""
        bands = (mel.transpose(1, 2) - self.mean) / self.std
        pitch = torch.stack([through_gaps(one) for one in f0]).to(mel)
        voiced = (f0 > 0).to(mel) * 2 - 1
        return torch.cat([bands, pitch[..., None], voiced[..., None]], 2)

    def decode(self, x):
        """Frames (mel [B, M, F], f0 [B, F]) of x [B, F, M + 2]."""
        bands, pitch, voiced = x.split([self.config.M, 1, 1], 2)
        mel = (bands * self.std + self.mean).transpose(1, 2)
        hz = MIDDLE_HZ * torch.exp(SPREAD * pitch.clamp(LOWEST, HIGHEST))
        return mel, torch.where(voiced > 0, hz, 0.0)[..., 0]

    @torch.inference_mode()
    def look_at(self, wav):
        """A reference [1, L, K] for `sample`, of wav [1, 1, T] at 16 kHz."""
        return self.encode(*self.harmonic.analyse(wav))

    @torch.inference_mode()
    def sample(self, content, spk_emb, ref=None, pitch=None, close=1.0, steps=STEPS, guidance=GUIDANCE,
               noise_scale=NOISE_SCALE, progress=None):
        """Draw x [1, F, K] for content [1, F, H] (of `told`) and spk_emb [1, D], from torch's random state.

        ref: of `look_at`, or None where there is a voice but no recording.  pitch [1, F, 2]: what the
        last channels of x are led to, on the straight way, as closely as `close` says (0 to 1).  steps: of
        Euler's method, shorter at the start, where the way bends.  guidance: how far to go beyond the
        velocity without voice and reference; 1 is as learned.  noise_scale: of the start.  progress(share)
        is told before each step.  Source: [CFG] eq. (6).
        """
        bands = self.config.M
        if ref is None:
            ref = content.new_zeros(1, 2, bands + 2)
            ref_mask = torch.zeros(1, 2, dtype=torch.bool, device=content.device)
        else:
            ref_mask = torch.ones(ref.shape[:2], dtype=torch.bool, device=content.device)
        seen, seen_mask = self.read(ref, ref_mask)
        rows = 1 if guidance == 1 else 2  # the second is told neither voice nor reference
        masks = torch.cat([seen_mask, torch.zeros_like(seen_mask)])[:rows]
        look = seen.expand(rows, -1, -1), masks
        content, spk_emb = content.expand(rows, -1, -1), spk_emb.expand(rows, -1)
        known = torch.tensor([1.0, 0.0], device=content.device)[:rows]
        mask = torch.ones(rows, content.shape[1], 1, device=content.device)
        noise = torch.randn(1, content.shape[1], bands + 2, device=content.device) * noise_scale
        x = noise
        grid = 1 - torch.cos(torch.linspace(0, math.pi / 2, steps + 1))
        for start, end in zip(grid[:-1].tolist(), grid[1:].tolist(), strict=True):
            if progress:
                progress(start)
            t = torch.full((rows,), start, device=content.device)
            with in_bf16(content.device):
                v_hat = self.velocity(x.expand(rows, -1, -1), t, content, spk_emb, known, look, mask)
            told, untold = v_hat[:1], v_hat[-1:]
            x = x + (end - start) * (untold + guidance * (told - untold))
            if pitch is not None:
                led = (1 - end) * noise[:, :, bands:] + end * pitch
                x = torch.cat([x[:, :, :bands], torch.lerp(x[:, :, bands:], led, close)], 2)
        return x

    @torch.inference_mode()
    def render(self, z, spk_emb, ref=None, symbols=None, speed=1.0, **settings):
        """wav [1, 1, T] of latents z [1, C, F] at 16 ms a frame; settings: see `sample`.

        symbols: of text, for each frame of z, [1, F].  speed: latents are pressed together or drawn apart in
        time, so that none is lost.
        """
        frames = max(1, round(z.shape[2] * LATENT_SECONDS / FRAME_SECONDS / speed))
        phones = None
        if symbols is not None:
            at = (torch.arange(frames, device=z.device) + 0.5) * z.shape[2] / frames
            phones = symbols[:, at.long()]
        z = F.interpolate(z, size=frames, mode="linear")
        return self.harmonic(*self.decode(self.sample(self.told(z, phones), spk_emb, ref, **settings)))


def clock(t):
    """Time t [B] from 0 to 1 as sines and cosines [B, 128]."""
    half = TIME_CHANNELS // 2
    speeds = TIME_SPEED * TIME_SPAN ** (-torch.arange(half, device=t.device) / half)
    angle = t[:, None] * speeds
    return torch.cat([angle.sin(), angle.cos()], 1)


def through_gaps(f0):
    """Scaled log f0 [F] of f0 [F] in Hz, a straight line through gaps; 0 where nothing is voiced."""
    voiced = torch.nonzero(f0 > 0)[:, 0]
    if not len(voiced):
        return torch.zeros_like(f0)
    pitch = torch.log(f0[voiced] / MIDDLE_HZ) / SPREAD
    at = torch.arange(len(f0), device=f0.device)
    right = torch.searchsorted(voiced, at).clamp(max=len(voiced) - 1)
    left = (right - 1).clamp(min=0)
    left = torch.where(voiced[right] <= at, right, left)
    span = (voiced[right] - voiced[left]).clamp_min(1)
    share = ((at - voiced[left]) / span).clamp(0, 1)
    return pitch[left] + share * (pitch[right] - pitch[left])
