"""VITS: text and a voice become the codec's frames.  forward, generate and infer go the same way."""
from dataclasses import dataclass

import torch
from torch import nn

from lib.nn import align
from lib.nn.blocks import random_slices, sequence_mask
from lib.nn.flows import Flow
from lib.nn.text import DurationPredictor, StochasticDurationPredictor, TextEncoder, whole

NOISE_SCALE = 0.333  # temperature of z_p by default: with more, words get lost
GENERATED = 112  # frames (1.8 s) that `generate` speaks: enough to know a voice by
LONGEST = 50  # frames of one token in `generate`: an untrained net must not ask for hours


@dataclass(frozen=True)
class VitsConfig:
    """Sizes; those of z and g are the codec's.  symbols: number of token kinds."""
    symbols: int
    hidden: int = 192
    text_layers: int = 4
    flow_channels: int = 160
    flow_layers: int = 3
    couplings: int = 4
    rhythm_channels: int = 64


class Vits(nn.Module):
    """Conditional VAE with a flow between text and the latents of a codec.

    Source: [VITS], conditioned as in [SATTS] fig. 1.  Differs: posterior, decoder and conditioning are
    those of a codec that is lent (lesson 03 trains both, in one step or one after the other).
    """
    NEEDS = ("codec",)

    def __init__(self, config, codec):
        super().__init__()
        C, G = codec.config.C, codec.config.G
        self.config = config
        self.codec = codec
        self.text = TextEncoder(config, C)
        self.flow = Flow(C, config.flow_channels, config.flow_layers, config.couplings, G)
        self.durations = DurationPredictor(config, G)
        self.rhythm = StochasticDurationPredictor(config, G)

    def forward(self, batch, parts=("autoencoder", "prior"), kind="verification"):
        """Give what the losses need, as a dict, for a batch of spk_emb [B, D], frames [B] and, by part:

        "autoencoder": spec [B, 513, F] -> m_q, logs_q, z_mask, and a slice wav_hat [B, 1, segment * HOP]
            from start [B].
        "prior": x [B, N], tokens [B] and either spec or the cached m_q, logs_q -> z_p, m_p, logs_p
            (expanded), path, logw, w, rhythm.
        "speech" (alone): x, tokens and asked [B, D] -> speech, see `generate`.
        """
        if parts == ("speech",):
            return {"speech": self.generate(batch, batch["asked"], kind=kind)}
        g = self.codec.conditioning(batch["spk_emb"], kind, batch.get("band"))
        z_mask = sequence_mask(batch["frames"], self.codec.width(batch))
        m_q, logs_q = self.codec.latents(batch, z_mask, g)
        z = (m_q + torch.randn_like(m_q) * torch.exp(logs_q)) * z_mask
        out = {"m_q": m_q, "logs_q": logs_q, "z_mask": z_mask}
        if "autoencoder" in parts:
            part, out["start"] = random_slices(z, batch["frames"], self.codec.config.segment)
            out["wav_hat"] = self.codec.decoder(part, g)
        if "prior" in parts:
            out |= self.prior(batch, z, z_mask, g)
        return out

    def prior(self, batch, z, z_mask, g):
        """Align text with z [B, C, F] and expand the prior to its frames."""
        x_mask = sequence_mask(batch["tokens"], batch["x"].shape[1])
        h, m_p, logs_p = self.text(batch["x"], x_mask)
        z_p = self.flow(z, z_mask, g)
        with torch.autocast(z.device.type, enabled=False):  # 16 bits are too few to compare paths
            with torch.no_grad():
                path = align.search(align.log_likelihood(z_p, m_p, logs_p), x_mask, z_mask)
            m_p = torch.matmul(m_p, path)
            logs_p = torch.matmul(logs_p, path)
        w = path.sum(2).unsqueeze(1)
        h, voice = h.detach(), g.detach()  # rhythm must not pull the text encoder about, [VITS] sec. 2.2.3
        logw = self.durations(h, x_mask, voice)
        rhythm = self.rhythm(h, x_mask, voice, w)
        return {"z_p": z_p, "m_p": m_p, "logs_p": logs_p, "path": path, "w": w, "x_mask": x_mask,
                "logw": logw, "rhythm": rhythm}

    def generate(self, batch, spk_emb, size=GENERATED, noise_scale=NOISE_SCALE, kind="verification"):
        """Say what `infer` would in any voices spk_emb [B, D], with gradients: wav_hat [B, 1, size * HOP].

        batch: x [B, N], tokens [B].  Of each, `size` frames are spoken.  Differs from `infer`: durations are
        taken as predicted and get no gradient, and the flow sees no more than the slice, so that a step of a
        speaker-consistency loss stays cheap.
        """
        g = self.codec.conditioning(spk_emb, kind)
        x_mask = sequence_mask(batch["tokens"], batch["x"].shape[1])
        h, m_p, logs_p = self.text(batch["x"], x_mask)
        with torch.no_grad():
            w = torch.exp(self.durations(h, x_mask, g).float()).clamp(max=LONGEST)
            w = whole(w * x_mask)
        path, _ = random_slices(align.path_from(w), w.sum((1, 2)), size)
        with torch.autocast(g.device.type, enabled=False):
            m_p = torch.matmul(m_p, path)
            logs_p = torch.matmul(logs_p, path)
        z_p = (m_p + torch.randn_like(m_p) * torch.exp(logs_p) * noise_scale) * path.sum(1, keepdim=True)
        z = self.flow(z_p, torch.ones_like(z_p[:, :1]), g, reverse=True)
        return self.codec.decoder(z, g)

    @torch.inference_mode()
    def infer(self, x, spk_emb, noise_scale=NOISE_SCALE, rhythm_scale=0.0, speed=1.0, kind="verification",
              stochastic=False):
        """Speak tokens x [1, N] in the voice spk_emb [1, D]: wav [1, 1, T], path [1, N, F]; see `latents`."""
        z, path = self.latents(x, spk_emb, noise_scale, rhythm_scale, speed, kind, stochastic)
        return self.codec.decoder(z, self.codec.conditioning(spk_emb, kind)), path

    @torch.inference_mode()
    def latents(self, x, spk_emb, noise_scale=NOISE_SCALE, rhythm_scale=0.0, speed=1.0, kind="verification",
                stochastic=False):
        """Say in latents z [1, C, F], and along which path [1, N, F], what `infer` says in sound.

        noise_scale: the temperature of z.  stochastic: draw the rhythm, with the temperature rhythm_scale.
        """
        g = self.codec.conditioning(spk_emb, kind)
        x_mask = torch.ones(1, 1, x.shape[1], device=x.device)
        h, m_p, logs_p = self.text(x, x_mask)
        if stochastic:
            logw = self.rhythm.sample(h, x_mask, g, rhythm_scale)
        else:
            logw = self.durations(h, x_mask, g)
        path = align.path_from(whole(torch.exp(logw.float()) / speed))
        m_p = torch.matmul(m_p, path)
        logs_p = torch.matmul(logs_p, path)
        z_p = m_p + torch.randn_like(m_p) * torch.exp(logs_p) * noise_scale
        return self.flow(z_p, torch.ones_like(z_p[:, :1]), g, reverse=True), path

    @torch.inference_mode()
    def convert(self, wav, spk_emb, to_emb, noise_scale=0.0, kind="verification"):
        """Say wav [1, 1, T] of the voice spk_emb [1, D] in the voice to_emb [1, D]: [1, 1, T // HOP * HOP].

        Source: [VITS] sec. 2.4.
        """
        m_q, logs_q, g = self.codec.encode(wav, spk_emb, kind=kind)
        to_g = self.codec.conditioning(to_emb, kind)
        mask = torch.ones_like(m_q[:, :1])
        z_p = self.flow(m_q + torch.randn_like(m_q) * torch.exp(logs_q) * noise_scale, mask, g)
        z = self.flow(z_p, mask, to_g, reverse=True)
        return self.codec.decoder(z, to_g)
