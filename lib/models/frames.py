"""From what is said to frames of the codec, by flow matching that may look at a recording of the voice."""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from lib.nn import pitch as pitches
from lib.nn.adaptive import AdaptiveBlock, CrossAttention
from lib.nn.blocks import in_bf16
from lib.nn.fine import FineContent
from lib.text.symbols import SYMBOLS

TIME_CHANNELS = 128  # sine and cosine of the time at 64 speeds,
TIME_SPEED, TIME_SPAN = 10.0, 1000.0  # the fastest 10 radians in all, the slowest a thousandth of that
# Chosen on 20 lines of accented people whose clips it did not learn from (card of the checkpoint): at noise
# .7 words blur (wer .30 for .12); 6 steps give no more than 3.  The weights have learned guidance: 1.  What
# is drawn so varies less than speech does; contrast makes up for it.
STEPS, GUIDANCE, NOISE_SCALE, CONTRAST = 3, 1.0, 0.1, 1.2
LATENT_SECONDS, FRAME_SECONDS = 0.016, 0.0125  # of a frame of the latents, of a frame of the codec


@dataclass(frozen=True)
class FramesConfig:
    """Sizes.

    C: latent channels; D: of an embedding; M: mel bins; H: width; layers, expand: of the blocks;
    looks: after which of them the reference is looked at; reference_layers: blocks that read it.
    symbols: of text; one more stands where no text is known.  S: of a semantic vector.  fine: numbers of
    `FineContent`; fine_hidden, fine_layers: of its body.
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
    fine: int = 48
    fine_hidden: int = 96
    fine_layers: int = 3


class Frames(nn.Module):
    """x [B, F, M + 2] of what is told (see `told`), a voice and a reference, by conditional flow matching.

    x holds log-mels, each band at mean 0 and variance 1, then log f0 (on a straight line through unvoiced
    frames), then +1 where voiced and -1 elsewhere.  A loss on frames learns a mean, which is nobody's voice;
    flow matching learns to draw from them.  Source: [MATCHA] sec. 2.2; a share of steps without voice or
    reference, so that sampling can go beyond what was learned, as in [CFG].  Differs: told latents of a VAE,
    or semantic vectors, in place of a mean of the mels; cross-attention to frames of the voice.
    """
    NEEDS = ("codec", "harmonic")

    def __init__(self, config, codec, harmonic):
        super().__init__()
        H, K = config.H, config.M + 2
        self.config = config
        self.codec = codec
        self.harmonic = harmonic
        self.register_buffer("mean", torch.zeros(config.M))
        self.register_buffer("std", torch.ones(config.M))
        self.inputs = nn.Linear(K, H)
        self.latents = nn.Conv1d(config.C, H, 5, padding=2)
        self.phones = nn.Embedding(config.symbols + 1, H)
        self.semantic = nn.Conv1d(config.S, H, 5, padding=2, bias=False)
        self.fine = FineContent(config)
        nn.init.zeros_(self.phones.weight)
        nn.init.zeros_(self.semantic.weight)
        self.voice = nn.Linear(config.D, H)
        self.no_voice = nn.Parameter(torch.zeros(H))
        self.time = nn.Sequential(nn.Linear(TIME_CHANNELS, H), nn.SiLU(), nn.Linear(H, H))
        self.reference = nn.Conv1d(K, H, 5, padding=2)
        self.readers = nn.ModuleList(AdaptiveBlock(H, 2) for _ in range(config.reference_layers))
        self.blocks = nn.ModuleList(AdaptiveBlock(H, config.expand) for _ in range(config.layers))
        self.looks = nn.ModuleList(CrossAttention(H) for _ in config.looks)
        self.last = nn.LayerNorm(H)
        self.out = nn.Linear(H, K)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t, content, spk_emb, known, ref, ref_mask, mask):
        """Velocity [B, F, K] at x [B, F, K] and time t [B], for content [B, F, H] and spk_emb [B, D].

        content: of `told`.  known [B]: one where the voice is told.  ref [B, L, K] and ref_mask [B, L]
        (bool): frames of the same voice.  mask [B, F, 1].
        """
        return self.velocity(x, t, content, spk_emb, known, self.read(ref, ref_mask), mask)

    def told(self, z, phones=None, code=None, fine=None):
        """What is to be said in each frame, [B, F, H]: the sum of what is known.

        z [B, C, F]: latents, zero where there are none.  phones [B, F]: number of the symbol that a frame
        belongs to, config.symbols where there is no text.  code [B, S, F]: semantic vectors of speech, zero
        where there is none.  fine [B, fine, F]: of `FineContent`, where there is a recording of the words.
        """
        if phones is None:
            phones = torch.full((len(z), z.shape[2]), self.config.symbols, device=z.device)
        content = self.latents(z).transpose(1, 2) + self.phones(phones)
        if code is not None:
            content = content + self.semantic(code).transpose(1, 2)
        if fine is not None:
            content = content + self.fine.out(fine).transpose(1, 2)
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
        return torch.cat([bands, pitches.channels(f0).transpose(1, 2).to(mel)], 2)

    def decode(self, x):
        """Frames (mel [B, M, F], f0 [B, F]) of x [B, F, M + 2]."""
        bands, line, voicing = x.split([self.config.M, 1, 1], 2)
        mel = (bands * self.std + self.mean).transpose(1, 2)
        f0 = torch.where(voicing > 0, pitches.hertz(line), 0.0)
        return mel, f0[..., 0]

    @torch.inference_mode()
    def look_at(self, wav):
        """A reference [1, L, K] for `sample`, of wav [1, 1, T] at 16 kHz."""
        return self.encode(*self.harmonic.analyse(wav))

    @torch.inference_mode()
    def sample(self, content, spk_emb, ref=None, lead=None, close=1.0, steps=STEPS, guidance=GUIDANCE,
               noise_scale=NOISE_SCALE, contrast=CONTRAST, progress=None):
        """Draw x [1, F, K] for content [1, F, H] (of `told`) and spk_emb [1, D], from torch's random state.

        ref: of `look_at`, or None where there is a voice but no recording.  lead [1, F, 2]: what the
        last channels of x are led to, on the straight way, as closely as `close` says (0 to 1).  steps: of
        Euler's method, shorter at the start, where the way bends.  guidance: how far to go beyond the
        velocity without voice and reference; 1 is as learned.  noise_scale: of the start.  contrast: how far
        each band goes from its mean over time, 1: as drawn.  progress(share) is told before each step.
        Source: [CFG] eq. (6); contrast as [GV] restores a variance.
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
            if lead is not None:
                led = (1 - end) * noise[:, :, bands:] + end * lead
                x = torch.cat([x[:, :, :bands], torch.lerp(x[:, :, bands:], led, close)], 2)
        mean = x[:, :, :bands].mean(1, keepdim=True)
        return torch.cat([torch.lerp(mean, x[:, :, :bands], contrast), x[:, :, bands:]], 2)

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
