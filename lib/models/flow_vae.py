"""Flow-VAE VC: the same words in another voice.  forward trains the way that convert goes."""
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from lib import audio, losses
from lib.nn.blocks import ConvNeXtStack, Transformer, random_slices, sequence_mask
from lib.nn.flows import Flow

MIDDLE_REGISTER = 7.3  # log2 of 158 Hz, between men and women: what a voice's register is told relative to
CALM = 0.15  # share of the posterior's noise in sound, at most: all of it is louder than most channels of z
LOGS_LOW, LOGS_HIGH = -6.0, 3.0  # of the prior's log standard deviation, as the codec's
SOFT = 1e-3  # of a variance of log-mels: a band that stands still is not blown up

# A recording that has lost its top band, in bins of the spectrogram (15.6 Hz each).
TOP_BINS = slice(397, 500)  # 6.2 to 7.8 kHz: above what old MP3s keep, below where resamplers cut
MIDDLE_BINS = slice(192, 320)  # 3 to 5 kHz, of consonants, which every recording has
TOP_LOST = 1e-4  # of the middle's power: 40 dB

# Steps of `refined`.  A short window sees the pulses of a voice, a long one its harmonics; more cost more.
REFINE_WINDOWS = ((256, 40), (1024, 160))  # samples, bands
REFINE_RATE = 0.05
REFINE_BETAS = (0.8, 0.9)  # a memory as short as the few steps
REFINE_EPS = 1e-9


@dataclass(frozen=True)
class FlowVAEConfig:
    """Sizes; those of z and g are the codec's.

    D: size of spk_emb; code: channels of the content code; tones: bumps on the axis of pitch; flow_channels,
    flow_layers, couplings: as in VitsConfig, so that lesson 06 can start from that flow; rounds: steps of
    `refined`; guidance: how far beyond the new voice's conditioning the decoder is led, as a share of the way
    from the old one's.
    """
    D: int = 128
    hidden: int = 192
    residual_layers: int = 4
    code: int = 64
    tones: int = 24
    layers: int = 3
    flow_channels: int = 160
    flow_layers: int = 3
    couplings: int = 4
    segment: int = 48
    rounds: int = 6
    guidance: float = 0.2


def standardise(x, mask):
    """Give every channel of x [B, c, F] mean 0 and variance 1 over its frames in mask [B, 1, F].

    Source: [ADAIN], there between layers.
    """
    share = mask / mask.sum(2, keepdim=True).clamp_min(1)
    x = x - (x * share).sum(2, keepdim=True)
    variance = (x**2 * share).sum(2, keepdim=True)
    return x * torch.rsqrt(variance + SOFT) * mask


class ContentEncoder(nn.Module):
    """What is said: mel [B, M, F] -> code [B, K, F]; then, at a pitch, by a voice -> m_p, logs_p [B, C, F].

    Source: [FLOWVAE] sec. 2.1.2.  Differs: mels, each band standardised over time, which takes a voice's
    average spectrum away; ConvNeXt for residual blocks; K channels, as the cosine of one is a sign; pitch
    goes beside the code, and can be chosen; the voice helps the prior, as flows only shift.
    """

    def __init__(self, config, C, G):
        super().__init__()
        self.inputs = nn.Conv1d(audio.N_MELS, config.hidden, 5, padding=2)
        self.body = ConvNeXtStack(config.hidden, config.residual_layers)
        self.code = nn.Conv1d(config.hidden, config.code, 1, bias=False)
        low = math.log2(audio.LOW / 1.2)
        high = math.log2(audio.HIGH * 1.2)  # beyond what is found by as much as conversion moves most voices
        self.register_buffer("tones", torch.linspace(low, high, config.tones), False)
        self.join = nn.Conv1d(config.code + config.tones, config.hidden, 3, padding=1)
        self.voice = nn.Conv1d(G, config.hidden, 1)
        self.prior = Transformer(config.hidden, config.layers, expand=2)
        self.out = nn.Conv1d(config.hidden, 2 * C, 1)

    def forward(self, mel, mask):
        """Give the content code of a mel that was standardised."""
        return self.code(self.body(self.inputs(mel) * mask, mask)) * mask

    def distribution(self, code, f0, mask, g):
        """Give the prior of the code at the pitch f0 [B, F] in Hz, 0 where unvoiced, in the voice g."""
        octave = torch.log2(f0.clamp_min(1.0))[:, None]  # [B, 1, F]
        steps = (octave - self.tones[None, :, None]) / (self.tones[1] - self.tones[0])
        pitch = torch.exp(-0.5 * steps**2) * (f0 > 0)[:, None]  # [B, tones, F]
        h = self.join(torch.cat([code, pitch.to(code.dtype)], 1)) + self.voice(g)
        h = self.prior(h * mask, mask)
        m_p, logs_p = (self.out(h) * mask).float().chunk(2, dim=1)
        return m_p, logs_p.clamp(LOGS_LOW, LOGS_HIGH)


def lacks_top(spec):
    """Tell [B], one where spec [B, 513, F] has nothing above 6.2 kHz, as after an old MP3; else zero."""
    top = spec[:, TOP_BINS].square().mean((1, 2))
    middle = spec[:, MIDDLE_BINS].square().mean((1, 2))
    return (top < TOP_LOST * middle).float()


def refined(decoder, z, g, wav, rounds):
    """Better z [B, C, F] by a few steps of Adam on the mel loss of decoder(z, g) to wav [B, 1, F * HOP].

    The result carries no gradient.  Source: [SAVAE] sec. 3: a posterior guesses for all, such steps are for
    this one.  Differs: no KL loss, but few and short steps.
    """
    with torch.inference_mode(False), torch.enable_grad():
        z = z.detach().clone().requires_grad_(True)
        g = g.detach().clone()
        wav = wav.clone()
        goals = [audio.mel(wav, n_fft, bands) for n_fft, bands in REFINE_WINDOWS]
        optim = torch.optim.Adam([z], REFINE_RATE, REFINE_BETAS, REFINE_EPS)
        for _ in range(rounds):
            wav_hat = decoder(z, g).float()
            loss = 0.0
            for (n_fft, bands), goal in zip(REFINE_WINDOWS, goals, strict=True):
                loss = loss + losses.mel_l1(audio.mel(wav_hat, n_fft, bands), goal)
            (z.grad,) = torch.autograd.grad(loss, [z])
            optim.step()
    return z.detach()


class Source(NamedTuple):
    """A recording for conversion: wav [1, 1, F * HOP], spec, standardised mel, f0 [1, F], its own g."""
    wav: torch.Tensor
    spec: torch.Tensor
    mel: torch.Tensor
    f0: torch.Tensor
    g: torch.Tensor

    def cut(self, start, end):
        """Give the frames from start to end alone."""
        wav = self.wav[:, :, start * audio.HOP: end * audio.HOP]
        spec = self.spec[:, :, start:end]
        mel = self.mel[:, :, start:end]
        return Source(wav, spec, mel, self.f0[:, start:end], self.g)


class FlowVAE(nn.Module):
    """Conditional VAE between content and the latents of a codec.  Source: [FLOWVAE].

    codec: lent and frozen; lesson 06 frees a part of it.
    """
    NEEDS = ("codec",)

    def __init__(self, config, codec):
        super().__init__()
        C, G = codec.config.C, codec.config.G
        self.config = config
        self.codec = codec.requires_grad_(False)
        self.content = ContentEncoder(config, C, G)
        self.flow = Flow(C, config.flow_channels, config.flow_layers, config.couplings, G)
        self.register = nn.Sequential(nn.Linear(config.D, 64), nn.GELU(), nn.Linear(64, 1))

    def register_of(self, spk_emb):
        """Guess where voices spk_emb [B, D] lie, as audio.register measures it: log2 of Hz, [B]."""
        return MIDDLE_REGISTER + self.register(spk_emb)[:, 0]

    def forward(self, batch, sound=False):
        """Give what the losses need, as a dict.

        batch: spk_emb [B, D], frames [B], mel and its perturbed mel_hat [B, M, F], f0 [B, F], its register
        [B], and spec or the cached m_q, logs_q [B, C, F].
        Always: both codes, m_q, logs_q, m_p, logs_p, z_p, mask, register_hat.
        sound, for a batch with wav [B, 1, F * HOP]: also a slice wav_hat [B, 1, segment * HOP] from start;
        and, as in conversion, wav_other (twice as long) from start_other, in the voices asked [B, D].
        """
        mask = sequence_mask(batch["frames"], batch["mel"].shape[2])
        own_g = self.codec.conditioning(batch["spk_emb"], "verification", batch.get("band"))
        m_q, logs_q = self.codec.latents(batch, mask, own_g)
        z = (m_q + torch.randn_like(m_q) * torch.exp(logs_q)) * mask
        z_p = self.flow(z, mask, own_g)
        code = self.content(standardise(batch["mel"].float(), mask), mask)
        code_hat = self.content(standardise(batch["mel_hat"].float(), mask), mask)
        m_p, logs_p = self.content.distribution(code_hat, batch["f0"], mask, own_g)
        out = {"code": code, "code_hat": code_hat, "m_q": m_q, "logs_q": logs_q, "m_p": m_p, "logs_p": logs_p,
               "z_p": z_p, "mask": mask, "register_hat": self.register_of(batch["spk_emb"])}
        if sound:
            z = self.calm(batch, out, own_g)
            out |= self.own_voice(batch, z, own_g)
            out |= self.other_voice(batch, z, own_g, out)
        return out

    def calm(self, batch, out, own_g):
        """z [B, C, F] as conversion has it: little of the posterior's noise, then refined.

        Its value is the refined one, its gradient goes to the posterior as if nothing had been refined.
        """
        m_q, logs_q = out["m_q"], out["logs_q"].detach()
        noise = torch.randn_like(m_q) * torch.exp(logs_q)
        share = CALM * torch.rand(len(m_q), 1, 1, device=m_q.device)
        z = m_q + noise * share
        better = refined(self.codec.decoder, z, own_g, batch["wav"], self.config.rounds)
        return (z + (better - z.detach())) * out["mask"]

    def own_voice(self, batch, z, own_g):
        """Decode a slice of z [B, C, F] in its own voice: wav_hat and start."""
        part, start = random_slices(z, batch["frames"], self.config.segment)
        return {"wav_hat": self.codec.decoder(part, own_g), "start": start}

    def other_voice(self, batch, z, own_g, out):
        """Convert z [B, C, F] to the voice of the next row and decode a slice: wav_other, start_other."""
        asked = batch["spk_emb"].roll(1, 0)
        octaves = out["register_hat"].detach().roll(1, 0) - batch["register"]
        g = self.codec.conditioning(asked)
        z = self.moved(z, out["code"], batch["f0"], octaves[:, None], out["mask"], own_g, g)
        part, start = random_slices(z, batch["frames"], 2 * self.config.segment)
        wav_other = self.codec.decoder(part, self.led(g, own_g))
        return {"wav_other": wav_other, "start_other": start, "asked": asked}

    def moved(self, z, code, f0, octaves, mask, own_g, g, detail=1.0, noise=None):
        """Give the z [B, C, F] of the same words by the voice g, `octaves` higher.

        What the prior did not foresee in the own voice, times detail, is carried over to the new one.  noise
        [B, C, F]: drawn already, scaled here by the prior's deviation.
        """
        m_p, logs_p = self.content.distribution(code, f0 * 2**octaves, mask, g)
        m_own, _ = self.content.distribution(code, f0, mask, own_g)
        z_p = m_p + detail * (self.flow(z, mask, own_g) - m_own)
        if noise is not None:
            z_p = z_p + noise * torch.exp(logs_p)
        return self.flow(z_p * mask, mask, g, reverse=True)

    def led(self, g, own_g):
        """Conditioning [B, G, 1] of the decoder: g, led away from the old voice."""
        return g + self.config.guidance * (g - own_g)

    @torch.inference_mode()
    def convert(self, wav, own_emb, spk_emb, pitch=1.0, semitones=0.0, detail=1.0, noise_scale=0.1,
                chunk=audio.CHUNK, progress=None):
        """Say wav [1, 1, T] of own_emb [1, D] in the voice spk_emb [1, D]: [1, 1, T // HOP * HOP].

        pitch: share of the way, in octaves, from the source's register to the voice's, plus semitones.
        detail: the share of what the prior did not foresee that is carried over.  noise_scale: the
        temperature of noise in z_p.  It goes in stretches of `chunk` frames; progress(share) is called
        before each.  Differs: [FLOWVAE] has detail 0, the conversion of [VITS] sec. 2.4 has 1.
        """
        source = self.source(wav, own_emb)
        frames = source.mel.shape[2]
        g = self.codec.conditioning(spk_emb)
        way = float(self.register_of(spk_emb)) - audio.register(source.f0[0].cpu().numpy())
        octaves = pitch * way + semitones / 12
        noise = torch.randn(1, self.codec.config.C, frames, device=wav.device) * noise_scale

        def decode(start, end):
            if progress:
                progress(start / frames)
            part = source.cut(start, end)
            mask = torch.ones_like(part.mel[:, :1])
            code = self.content(part.mel, mask)
            z, _ = self.codec.posterior(part.spec, mask, part.g)
            if detail:  # else nothing of z is carried over
                z = refined(self.codec.decoder, z, part.g, part.wav, self.config.rounds)
            z = self.moved(z, code, part.f0, octaves, mask, part.g, g, detail, noise[:, :, start:end])
            return self.codec.decoder(z, self.led(g, part.g))[0, 0].float().cpu().numpy()
        return torch.tensor(audio.chunked(decode, frames, chunk))[None, None]

    def source(self, wav, own_emb):
        """Analyse a recording wav [1, 1, T] of the voice own_emb [1, D] as a whole: Source."""
        spec = audio.spectrogram(wav)
        mel = audio.mel(wav)
        f0 = torch.tensor(audio.pitch(wav[0, 0].cpu().numpy()), device=wav.device)[None]
        g = self.codec.conditioning(own_emb, band=lacks_top(spec))
        return Source(wav, spec, standardise(mel, torch.ones_like(mel[:, :1])), f0, g)
