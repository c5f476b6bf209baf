"""Flow-VAE VC: the same words in another voice.  forward and convert read one below the other."""
import copy
import math
from dataclasses import dataclass

import torch
from torch import nn

from lib import audio
from lib.nn.blocks import ConvNeXtStack, Transformer, random_slices, sequence_mask


@dataclass(frozen=True)
class FlowVAEConfig:
    """Sizes.  D, C, G: those of the lender; code: channels of the content code; tones: bumps on the axis of pitch; rounds: steps of
    `refined`; guidance: how far beyond the new voice's conditioning the decoder is led, as a share of the way from the old one's."""
    D: int = 128
    C: int = 96
    G: int = 128
    hidden: int = 192
    residual_layers: int = 4
    code: int = 64
    tones: int = 24
    layers: int = 3
    segment: int = 48
    rounds: int = 6
    guidance: float = 0.2


def standardise(x, mask):
    """Give every channel of x [B, c, F] mean 0 and variance 1 over its frames in mask [B, 1, F].  Source: [ADAIN], there between layers."""
    share = mask / mask.sum(2, keepdim=True).clamp_min(1)
    x = x - (x * share).sum(2, keepdim=True)
    return x * torch.rsqrt((x**2 * share).sum(2, keepdim=True) + 1e-3) * mask


class ContentEncoder(nn.Module):
    """What is said: mel [B, M, F] -> code [B, K, F]; then, at a pitch, by a voice -> m_p, logs_p [B, C, F].  Source: [FLOWVAE] sec. 2.1.2.

    Differs: mels, each band standardised over time, which takes a voice's average spectrum away; ConvNeXt for residual blocks; K channels,
    as the cosine of one is a sign; pitch goes beside the code, and can be chosen; the voice helps the prior, as flows only shift."""

    def __init__(self, c):
        super().__init__()
        self.inputs, self.body = nn.Conv1d(audio.N_MELS, c.hidden, 5, padding=2), ConvNeXtStack(c.hidden, c.residual_layers)
        self.code = nn.Conv1d(c.hidden, c.code, 1, bias=False)
        self.register_buffer("tones", torch.linspace(math.log2(audio.LOW / 1.2), math.log2(audio.HIGH * 1.2), c.tones), False)
        self.join, self.voice = nn.Conv1d(c.code + c.tones, c.hidden, 3, padding=1), nn.Conv1d(c.G, c.hidden, 1)
        self.prior, self.out = Transformer(c.hidden, c.layers, expand=2), nn.Conv1d(c.hidden, 2 * c.C, 1)

    def forward(self, mel, mask):
        """Content code of a mel that was standardised."""
        return self.code(self.body(self.inputs(mel) * mask, mask)) * mask

    def distribution(self, code, f0, mask, g):
        """Prior of the code at the pitch f0 [B, F] in Hz, 0 where unvoiced, in the voice g."""
        near = (torch.log2(f0.clamp_min(1.0))[:, None] - self.tones[None, :, None]) / (self.tones[1] - self.tones[0])
        pitch = torch.exp(-0.5 * near**2) * (f0 > 0)[:, None]
        h = self.prior((self.join(torch.cat([code, pitch.to(code.dtype)], 1)) + self.voice(g)) * mask, mask)
        m_p, logs_p = (self.out(h) * mask).float().chunk(2, dim=1)
        return m_p, logs_p.clamp(-6, 3)


def narrow(spec):
    """[B], one where spec [B, 513, F] has nothing above 6.2 kHz (40 dB under 3 to 5 kHz), as after an old MP3; else zero."""
    return (spec[:, 397:500].square().mean((1, 2)) < 1e-4 * spec[:, 192:320].square().mean((1, 2))).float()


def refined(decoder, z, g, wav, rounds, windows=((256, 40), (1024, 160))):
    """z [B, C, F] after a few steps of Adam on the mel loss of decoder(z, g) to wav [B, 1, F * HOP]; it carries no gradient.

    windows: samples and bands of the mels, a short and a long one.  Source: [SAVAE] sec. 3: a posterior guesses for all, such steps are
    for this one.  Differs: no KL loss, but few and short steps."""
    with torch.inference_mode(False), torch.enable_grad():
        z, g, goals = z.detach().clone().requires_grad_(True), g.detach().clone(), [audio.mel(wav.clone(), *one) for one in windows]
        optim = torch.optim.Adam([z], 0.05, (0.8, 0.9), 1e-9)
        for _ in range(rounds):
            said = decoder(z, g).float()
            loss = sum((audio.mel(said, *one) - goal).abs().mean() for one, goal in zip(windows, goals, strict=True))
            z.grad, = torch.autograd.grad(loss, [z])
            optim.step()
    return z.detach()


class FlowVAE(nn.Module):
    """Conditional VAE between content and latents.  Source: [FLOWVAE].  shared: a Vits, which lends posterior, decoder, conditioning and,
    to start from, its flow; in a list, where torch does not look: neither saved here nor trained, unless lesson 06 frees a part."""

    def __init__(self, config, shared):
        super().__init__()
        self.config, self.shared = config, [shared.requires_grad_(False)]
        self.content, self.flow = ContentEncoder(config), copy.deepcopy(shared.flow).requires_grad_(True)
        self.register = nn.Sequential(nn.Linear(config.D, 64), nn.GELU(), nn.Linear(64, 1))

    def forward(self, batch, sound=False):
        """Dict of both codes, m_q, m_p, logs_p, z_p, logs_q, mask, register_hat for a batch of spk_emb [B, D], frames [B], mel and its
        perturbed mel_hat [B, M, F], f0 [B, F], its register [B], and spec or the cached m_q, logs_q [B, C, F].  sound, for its wav
        [B, 1, F * HOP], adds a slice wav_hat [B, 1, segment * HOP], start; as in conversion wav_other (twice that), start_other, asked."""
        lent, frames = self.shared[0], batch["frames"]
        mask = sequence_mask(frames, batch["mel"].shape[2])
        own_g = lent.conditioning(batch["spk_emb"], "verification", batch.get("band"))
        m_q, logs_q = lent.posterior(batch["spec"], mask, own_g) if "spec" in batch else (batch["m_q"].float(), batch["logs_q"].float())
        z_p = self.flow((m_q + torch.randn_like(m_q) * torch.exp(logs_q)) * mask, mask, own_g)
        code, code_hat = (self.content(standardise(batch[name].float(), mask), mask) for name in ("mel", "mel_hat"))
        m_p, logs_p = self.content.distribution(code_hat, batch["f0"], mask, own_g)
        out = {"code": code, "code_hat": code_hat, "m_q": m_q, "m_p": m_p, "logs_p": logs_p, "z_p": z_p, "logs_q": logs_q, "mask": mask,
               "register_hat": 7.3 + self.register(batch["spk_emb"])[:, 0]}
        if not sound:
            return out
        # little of the posterior's noise, as conversion has none: all of it is louder than most channels of z
        calm = m_q + torch.randn_like(m_q) * torch.exp(logs_q.detach()) * 0.15 * torch.rand(len(m_q), 1, 1, device=m_q.device)
        z = (calm + refined(lent.decoder, calm, own_g, batch["wav"], self.config.rounds) - calm.detach()) * mask
        part, out["start"] = random_slices(z, frames, self.config.segment)
        out["wav_hat"] = lent.decoder(part, own_g)
        f0 = batch["f0"] * 2 ** (out["register_hat"].detach().roll(1, 0) - batch["register"])[:, None]
        out["asked"], g = batch["spk_emb"].roll(1, 0), lent.conditioning(batch["spk_emb"].roll(1, 0))
        (m_own, _), (m_p, _) = (self.content.distribution(code, *one) for one in ((batch["f0"], mask, own_g), (f0, mask, g)))
        z = self.flow((m_p + self.flow(z, mask, own_g) - m_own) * mask, mask, g, reverse=True)
        part, out["start_other"] = random_slices(z, frames, 2 * self.config.segment)
        return out | {"wav_other": lent.decoder(part, g + self.config.guidance * (g - own_g))}

    @torch.inference_mode()
    def convert(self, wav, own_emb, spk_emb, pitch=1.0, semitones=0.0, detail=1.0, noise_scale=0.1, chunk=audio.CHUNK, told=None):
        """Say wav [1, 1, T] of own_emb [1, D] in the voice spk_emb [1, D]: [1, 1, T // HOP * HOP], in stretches of `chunk` frames.

        pitch: share of the way, in octaves, from the source's register to the voice's, plus semitones.  Of z_p, detail: the share of
        what the prior did not foresee that is carried over; noise_scale: the temperature of noise.  told(share) is called before each
        stretch.  Differs: [FLOWVAE] has detail 0, the conversion of [VITS] sec. 2.4 has 1."""
        lent, f0, mel, spec = self.shared[0], audio.pitch(wav[0, 0].cpu().numpy()), audio.mel(wav), audio.spectrogram(wav)
        g, own_g = lent.conditioning(spk_emb), lent.conditioning(own_emb, band=narrow(spec))
        move = pitch * (7.3 + float(self.register(spk_emb)) - audio.register(f0)) + semitones / 12
        f0, mel = torch.tensor(f0, device=wav.device)[None], standardise(mel, torch.ones_like(mel[:, :1]))
        noise = torch.randn(1, self.config.C, mel.shape[2], device=wav.device) * noise_scale
        def run(start, end):
            _ = told and told(start / mel.shape[2])
            mask, hz = torch.ones(1, 1, end - start, device=wav.device), f0[:, start:end]
            code = self.content(mel[:, :, start:end], mask)
            m_q, said = lent.posterior(spec[:, :, start:end], mask, own_g)[0], wav[:, :, start * audio.HOP: end * audio.HOP]
            z = refined(lent.decoder, m_q, own_g, said, self.config.rounds)
            (m_p, logs_p), (m_own, _) = (self.content.distribution(code, *one) for one in ((hz * 2**move, mask, g), (hz, mask, own_g)))
            z_p = m_p + detail * (self.flow(z, mask, own_g) - m_own) + noise[:, :, start:end] * torch.exp(logs_p)
            z = self.flow(z_p, mask, g, reverse=True)
            return lent.decoder(z, g + self.config.guidance * (g - own_g))[0, 0].float().cpu().numpy()
        return torch.tensor(audio.chunked(run, mel.shape[2], chunk))[None, None]
