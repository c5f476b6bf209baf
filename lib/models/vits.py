"""VITS: text and a voice become speech.  forward, infer and convert read one below the other."""
import math
from dataclasses import dataclass

import torch
from torch import nn

from lib import audio
from lib.nn import align
from lib.nn.blocks import ConvNeXtStack, Transformer, random_slices, sequence_mask
from lib.nn.conditioning import Conditioning
from lib.nn.decoders import DECODERS
from lib.nn.flows import Flow, SplineCoupling


@dataclass(frozen=True)
class VitsConfig:
    """Sizes.  symbols: number of token kinds; embeddings: ((kind, D), ...) that may condition the model; decoder: "istft" or "hifigan"."""
    symbols: int
    embeddings: tuple = (("verification", 128),)
    C: int = 96
    G: int = 128
    hidden: int = 192
    text_layers: int = 4
    posterior_layers: int = 4
    flow_channels: int = 160
    flow_layers: int = 3
    couplings: int = 4
    rhythm_channels: int = 64
    decoder: str = "istft"
    decoder_channels: int = 256
    decoder_layers: int = 6
    segment: int = 32  # frames that the decoder sees in training, as in [SATTS] sec. 3


class TextEncoder(nn.Module):
    """x [B, N] tokens -> h [B, H, N], m_p, logs_p [B, C, N].  Source: [VITS] sec. 2.2.2."""

    def __init__(self, c):
        super().__init__()
        self.embed = nn.Embedding(c.symbols, c.hidden)
        nn.init.normal_(self.embed.weight, std=c.hidden**-0.5)
        self.body, self.out = Transformer(c.hidden, c.text_layers, expand=2), nn.Conv1d(c.hidden, 2 * c.C, 1)

    def forward(self, x, x_mask):
        h = self.embed(x).transpose(1, 2) * math.sqrt(self.embed.embedding_dim)
        h = self.body(h * x_mask, x_mask)
        m_p, logs_p = (self.out(h) * x_mask).float().chunk(2, dim=1)
        return h, m_p, logs_p


class PosteriorEncoder(nn.Module):
    """spec [B, 513, F] -> m_q, logs_q [B, C, F].  Source: [VITS] sec. 2.2.1.  Differs: log-magnitudes in, ConvNeXt for WaveNet blocks."""

    def __init__(self, c):
        super().__init__()
        self.inputs, self.body = nn.Conv1d(audio.N_FFT // 2 + 1, c.hidden, 1), ConvNeXtStack(c.hidden, c.posterior_layers, c.G)
        self.out = nn.Conv1d(c.hidden, 2 * c.C, 1)

    def forward(self, spec, mask, g):
        h = self.body(self.inputs(torch.log(spec.clamp_min(1e-4)) * 0.3) * mask, mask, g)
        m_q, logs_q = (self.out(h) * mask).float().chunk(2, dim=1)
        return m_q, logs_q.clamp(-6, 3)


class DurationPredictor(nn.Module):
    """h [B, H, N] -> logw [B, 1, N], log of frames per token.  Source: [GLOWTTS] sec. 2.2; the voice enters as in [VITS] sec. 2.4."""

    def __init__(self, c):
        super().__init__()
        self.body, self.out = ConvNeXtStack(c.hidden, 2, c.G, kernel=3, expand=2), nn.Conv1d(c.hidden, 1, 1)

    def forward(self, h, x_mask, g):
        return self.out(self.body(h, x_mask, g)) * x_mask


class StochasticDurationPredictor(nn.Module):
    """The distribution of rhythm: a flow over (log duration, one free channel).  Source: [VITS] sec. 2.2.3 and app. B.

    Differs: durations are dequantised by uniform noise instead of a second, variational flow: less code; the two were not compared.
    """

    def __init__(self, c, couplings=4):
        super().__init__()
        H = c.rhythm_channels
        self.inputs, self.context = nn.Conv1d(c.hidden, H, 1), ConvNeXtStack(H, 2, c.G, kernel=3, expand=2)
        self.couplings = nn.ModuleList(SplineCoupling(H) for _ in range(couplings))
        self.shift, self.scale = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(0.0))

    def forward(self, h, x_mask, g, w):
        """Negative log-likelihood per token [B] of w [B, 1, N] frames."""
        h = self.context(self.inputs(h) * x_mask, x_mask, g)
        x = torch.log(w.float() + torch.rand_like(w.float()).clamp(1e-3, 1 - 1e-3))  # dequantised: w + u in [w, w + 1)
        x = torch.cat([(x - self.shift) * torch.exp(-self.scale), torch.randn_like(x)], 1) * x_mask
        logdet = -self.scale * x_mask.sum((1, 2))
        for coupling in self.couplings:
            x, bend = coupling(x, x_mask, h)
            x, logdet = x.flip(1), logdet + bend
        normal = 0.5 * (math.log(2 * math.pi) + x**2) * x_mask
        return (normal.sum((1, 2)) - logdet) / x_mask.sum((1, 2))

    def sample(self, h, x_mask, g, noise_scale):
        """logw [B, 1, N] drawn with the given temperature; 0 gives one fixed rhythm."""
        h = self.context(self.inputs(h) * x_mask, x_mask, g)
        x = torch.randn(h.shape[0], 2, h.shape[2], device=h.device) * noise_scale * x_mask
        for coupling in reversed(self.couplings):
            x, _ = coupling(x.flip(1), x_mask, h, True)
        return torch.log(torch.exp(x[:, :1] * torch.exp(self.scale) + self.shift).sub(0.5).clamp_min(0.2)) * x_mask


class Vits(nn.Module):
    """Conditional VAE with a flow between text and latents.  Source: [VITS], conditioned as in [SATTS] fig. 1."""

    def __init__(self, config):
        super().__init__()
        self.config = c = config
        self.conditioning = Conditioning(c.embeddings, c.G)
        self.text = TextEncoder(c)
        self.posterior = PosteriorEncoder(c)
        self.flow = Flow(c.C, c.flow_channels, c.flow_layers, c.couplings, c.G)
        self.durations, self.rhythm = DurationPredictor(c), StochasticDurationPredictor(c)
        self.decoder = DECODERS[c.decoder](c.C, c.G, c.decoder_channels, layers=c.decoder_layers)

    def forward(self, batch, parts=("autoencoder", "prior"), kind="verification"):
        """What the losses need, as a dict, for a batch of spk_emb [B, D], frames [B] and, by part:

        "autoencoder": spec [B, 513, F] -> m_q, logs_q, z_mask, and a slice wav_hat [B, 1, segment * HOP] from start [B].
        "prior": x [B, N], tokens [B] and either spec or the cached m_q, logs_q -> z_p, m_p, logs_p (expanded), path, logw, w, rhythm.
        "speech" (alone): x, tokens and asked [B, D] -> speech, see `generate`.
        """
        if parts == ("speech",):
            return {"speech": self.generate(batch, batch["asked"], kind=kind)}
        g = self.conditioning(batch["spk_emb"], kind, batch.get("band"))
        z_mask, out = sequence_mask(batch["frames"], batch.get("spec", batch.get("m_q")).shape[2]), {}
        if "m_q" in batch:
            m_q, logs_q = batch["m_q"].float(), batch["logs_q"].float()
        else:
            m_q, logs_q = self.posterior(batch["spec"], z_mask, g)
        z = (m_q + torch.randn_like(m_q) * torch.exp(logs_q)) * z_mask
        if "autoencoder" in parts:
            part, out["start"] = random_slices(z, batch["frames"], self.config.segment)
            out["wav_hat"] = self.decoder(part, g)
        if "prior" in parts:
            out.update(self.prior(batch, z, z_mask, g))
        return out | {"m_q": m_q, "logs_q": logs_q, "z_mask": z_mask}

    def prior(self, batch, z, z_mask, g):
        """Align text with z [B, C, F] and expand the prior to its frames."""
        x_mask = sequence_mask(batch["tokens"], batch["x"].shape[1])
        h, m_p, logs_p = self.text(batch["x"], x_mask)
        z_p = self.flow(z, z_mask, g)
        with torch.autocast(z.device.type, enabled=False):  # 16 bits are too few to compare paths, or to hold a mean
            with torch.no_grad():
                path = align.search(align.log_likelihood(z_p, m_p, logs_p), x_mask, z_mask)
            m_p, logs_p, w = torch.matmul(m_p, path), torch.matmul(logs_p, path), path.sum(2).unsqueeze(1)
        h, voice = h.detach(), g.detach()  # rhythm must not pull the text encoder about, [VITS] sec. 2.2.3
        return {"z_p": z_p, "m_p": m_p, "logs_p": logs_p, "path": path, "w": w, "x_mask": x_mask,
                "logw": self.durations(h, x_mask, voice), "rhythm": self.rhythm(h, x_mask, voice, w)}

    def generate(self, batch, spk_emb, size=112, noise_scale=0.333, kind="verification"):
        """What `infer` would say in any voices spk_emb [B, D], with gradients: `size` frames (1.8 s) of each, wav_hat [B, 1, size * HOP].

        batch: x [B, N], tokens [B].  Differs from `infer`: durations are taken as predicted and get no gradient, and the flow sees no
        more than the slice, so that a step of a speaker-consistency loss stays cheap.
        """
        g = self.conditioning(spk_emb, kind)
        x_mask = sequence_mask(batch["tokens"], batch["x"].shape[1])
        h, m_p, logs_p = self.text(batch["x"], x_mask)
        with torch.no_grad():
            w = whole(torch.exp(self.durations(h, x_mask, g).float()).clamp(max=50) * x_mask)
        path, _ = random_slices(align.path_from(w), w.sum((1, 2)), size)
        with torch.autocast(g.device.type, enabled=False):
            m_p, logs_p = torch.matmul(m_p, path), torch.matmul(logs_p, path)
        z_p = (m_p + torch.randn_like(m_p) * torch.exp(logs_p) * noise_scale) * path.sum(1, keepdim=True)
        return self.decoder(self.flow(z_p, torch.ones_like(z_p[:, :1]), g, reverse=True), g)

    @torch.inference_mode()
    def infer(self, x, spk_emb, noise_scale=0.333, rhythm_scale=0.0, speed=1.0, kind="verification", stochastic=False):
        """Speak tokens x [1, N] in the voice spk_emb [1, D]: (wav [1, 1, T], path [1, N, F]).  noise_scale is the temperature of z."""
        g = self.conditioning(spk_emb, kind)
        x_mask = torch.ones(1, 1, x.shape[1], device=x.device)
        h, m_p, logs_p = self.text(x, x_mask)
        logw = self.rhythm.sample(h, x_mask, g, rhythm_scale) if stochastic else self.durations(h, x_mask, g)
        path = align.path_from(whole(torch.exp(logw.float()) / speed))
        m_p, logs_p = torch.matmul(m_p, path), torch.matmul(logs_p, path)
        z_p = m_p + torch.randn_like(m_p) * torch.exp(logs_p) * noise_scale
        z = self.flow(z_p, torch.ones_like(z_p[:, :1]), g, reverse=True)
        return self.decoder(z, g), path

    @torch.inference_mode()
    def encode(self, wav, spk_emb, band=None, kind="verification"):
        """The code of wav [1, 1, T] in the voice spk_emb [1, D], band [1] or None: m_q, logs_q [1, C, T // HOP] and g [1, G, 1]."""
        g, spec = self.conditioning(spk_emb, kind, band), audio.spectrogram(wav)
        return *self.posterior(spec, torch.ones_like(spec[:, :1]), g), g

    @torch.inference_mode()
    def convert(self, wav, spk_emb, to_emb, noise_scale=0.0, kind="verification"):
        """Say wav [1, 1, T] of the voice spk_emb [1, D] in the voice to_emb [1, D]: [1, 1, T // HOP * HOP].  Source: [VITS] sec. 2.4."""
        m_q, logs_q, g = self.encode(wav, spk_emb, kind=kind)
        to_g, mask = self.conditioning(to_emb, kind), torch.ones_like(m_q[:, :1])
        z_p = self.flow(m_q + torch.randn_like(m_q) * torch.exp(logs_q) * noise_scale, mask, g)
        return self.decoder(self.flow(z_p, mask, to_g, reverse=True), to_g)


def whole(w):
    """Round durations w [B, 1, N] so that their running sum stays true: each alone would drift; at least one frame in all."""
    ends = w.cumsum(2).round()
    ends = torch.cat([ends[:, :, :-1], ends[:, :, -1:].clamp_min(1)], 2)
    return torch.diff(ends, dim=2, prepend=torch.zeros_like(ends[:, :, :1])).clamp_min(0)
