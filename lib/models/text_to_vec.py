"""Text becomes semantic vectors and a melody: what is said and how, but not by whom."""
from dataclasses import dataclass

import torch
from torch import nn

from lib.nn import align
from lib.nn import pitch as pitches
from lib.nn.blocks import ConvNeXtStack, sequence_mask
from lib.nn.flows import Flow
from lib.nn.text import DurationPredictor, TextEncoder, whole
from lib.text.symbols import SYMBOLS

PROSODY = ("register", "range", "pace")  # the numbers of a prosody prompt, in this order
BEYOND = 2.5  # standard deviations: a prompt further out is taken for one there, as nothing was learned
LOUD_RANGE_DB = 30  # frames deeper under the loudest are a pause, and say nothing of the pace
DECIBELS = 8.686  # of one neper, in which log-mels are
NOISE_SCALE = 0.333  # temperature of z_p by default, as in vits
TOLD = 0.333  # the same while it learns to say what text alone says
FIRST_LOGS = -1.0  # of the posterior before it has learned: less noise than signal
EDGE = 0.98  # of a vector's numbers, which lie between -1 and 1, before their tanh is undone
LEAST_SPREAD = 0.05  # of a principal component: a weaker one is not blown up to variance 1


@dataclass(frozen=True)
class TextToVecConfig:
    """Sizes.

    symbols: of text; S: of a semantic vector; D: of an embedding; C: latent channels; G: of the prosody
    prompt; low: mel bins that the latents must tell too; the rest: of the parts.
    """
    symbols: int = len(SYMBOLS)
    S: int = 96
    D: int = 128
    C: int = 64
    G: int = 64
    low: int = 20
    hidden: int = 192
    text_layers: int = 4
    posterior_layers: int = 4
    flow_channels: int = 128
    flow_layers: int = 2
    couplings: int = 4
    decoder_layers: int = 4


class TextToVec(nn.Module):
    """VITS with semantic vectors in the place of the spectrogram; melody and pace follow a prosody prompt.

    A melody is pitch [B, 2, F]: the channels of lib.nn.pitch.  A prosody prompt is [B, 3]: see `prompt`.
    Source: text-to-vec of [HIERSPEECH2] sec. 3.3: text encoder, alignment search, flow, vectors by L1, log
    f0, a reader of the vectors that keeps the phones, and prosody distillation (20 low mel bins); vectors are
    also decoded from what text says through the flow, as its bidirectional loss asks of the synthesiser.
    Differs: the prosody prompt is three measured numbers in place of a learned style encoder, so that it can
    be read, set and learned from few voices; the reader is that of the semantic vectors, asked frame by
    frame, as the alignment is known, in place of CTC; durations are predicted and not drawn; 6 M parameters
    for 107 M.
    """
    NEEDS = ("semantic",)

    def __init__(self, config, semantic):
        super().__init__()
        H, C, G = config.hidden, config.C, config.G
        self.config = config
        self.semantic = semantic
        self.register_buffer("middle", torch.zeros(len(PROSODY)))
        self.register_buffer("spread", torch.ones(len(PROSODY)))
        self.manner = nn.Sequential(nn.Linear(len(PROSODY), G), nn.SiLU(), nn.Linear(G, G))
        self.usual = nn.Linear(config.D, len(PROSODY))
        self.text = TextEncoder(config, C)
        self.durations = DurationPredictor(config, G)
        self.inputs = nn.Conv1d(config.S + 2, H, 5, padding=2)
        self.posterior = ConvNeXtStack(H, config.posterior_layers, G)
        self.latents = nn.Conv1d(H, 2 * C, 1)
        self.straight_in = nn.Conv1d(config.S + 2, C, 1)
        self.flow = Flow(C, config.flow_channels, config.flow_layers, config.couplings, G)
        self.entry = nn.Conv1d(C, H, 5, padding=2)
        self.decoder = ConvNeXtStack(H, config.decoder_layers, G)
        self.out = nn.Conv1d(H, config.S + 2 + config.low, 1)
        self.straight_out = nn.Conv1d(C, config.S + 2, 1)
        for layer in (self.latents, self.out):  # they begin without effect beside the straight ways
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.constant_(self.latents.bias[C:], FIRST_LOGS)

    @torch.no_grad()
    def start_from(self, code, pitch):
        """Let the way to the latents and back begin as principal components of code and pitch [S or 2, F].

        Before anything is learned vectors and melodies then come back but for their weakest components.
        """
        known = lifted(code, pitch).T.float()
        mean, spread = known.mean(0), known.std(0).clamp_min(LEAST_SPREAD)
        power, axes = torch.linalg.eigh(torch.cov(((known - mean) / spread).T))
        size = power[-self.config.C:].clamp_min(0).sqrt().clamp_min(LEAST_SPREAD)
        axes = axes[:, -self.config.C:]
        there = (axes / size).T / spread  # [C, S + 2]
        self.straight_in.weight.copy_(there[..., None])
        self.straight_in.bias.copy_(-there @ mean)
        self.straight_out.weight.copy_(((axes * size) * spread[:, None])[..., None])
        self.straight_out.bias.copy_(mean)

    def forward(self, batch):
        """Give what the losses need, as a dict, for a batch of

        x [B, N] and tokens [B]; code [B, S, F], pitch [B, 2, F] and frames [B]; prosody [B, 3] (`prompt`),
        spk_emb [B, D]; where they are known, w [B, 1, N] frames of each token and path [B, N, F].

        heard: what the decoder makes of the latents of the recording, and told: of what text says; each a
        dict of code_hat, pitch_hat [B, 1, F], voiced (logits [B, 1, F]), low_hat and symbols (log
        probabilities of the reader).
        """
        x_mask = sequence_mask(batch["tokens"], batch["x"].shape[1])
        mask = sequence_mask(batch["frames"], batch["code"].shape[2])
        prosody = self.scaled(batch["prosody"])
        g = self.manner(prosody).unsqueeze(2)
        h, m_p, logs_p = self.text(batch["x"], x_mask)
        m_q, logs_q = self.encode(batch["code"], batch["pitch"], mask, g)
        z = (m_q + torch.randn_like(m_q) * torch.exp(logs_q)) * mask
        z_p = self.flow(z, mask, g)
        path = batch.get("path")
        if path is None:
            path = self.search(z_p, m_p, logs_p, x_mask, mask)
        w = batch.get("w")
        if w is None:
            w = path.sum(2).unsqueeze(1)
        with torch.autocast(z.device.type, enabled=False):  # 16 bits blur a product with ones and zeros
            m_p, logs_p = torch.matmul(m_p, path), torch.matmul(logs_p, path)
        z_said = (m_p + torch.randn_like(m_p) * torch.exp(logs_p) * TOLD) * mask
        return {
            "z_p": z_p, "logs_q": logs_q, "m_p": m_p, "logs_p": logs_p, "mask": mask,
            "heard": self.decode(z, mask, g),
            "told": self.decode(self.flow(z_said, mask, g, reverse=True), mask, g),
            "path": path, "w": w, "x_mask": x_mask, "logw": self.durations(h.detach(), x_mask, g),
            "prosody": prosody, "usual": self.usual(batch["spk_emb"]),
        }

    def scaled(self, prosody):
        """Give a prosody prompt [B, 3] at mean 0 and deviation 1 over what was learned, none far beyond."""
        return ((prosody - self.middle) / self.spread).clamp(-BEYOND, BEYOND)

    def search(self, z_p, m_p, logs_p, x_mask, mask):
        """Find the most likely path [B, N, F] of text through latents z_p [B, C, F]."""
        with torch.no_grad(), torch.autocast(z_p.device.type, enabled=False):
            return align.search(align.log_likelihood(z_p, m_p, logs_p), x_mask, mask)

    def encode(self, code, pitch, mask, g):
        """Posterior m_q, logs_q [B, C, F] of vectors code [B, S, F] and their melody pitch [B, 2, F]."""
        h = self.inputs(torch.cat([code, pitch], 1) * mask)
        m_q, logs_q = self.latents(self.posterior(h, mask, g)).float().chunk(2, 1)
        m_q = m_q + self.straight_in(lifted(code, pitch)).float()
        return m_q * mask, logs_q * mask

    def decode(self, z, mask, g):
        """What latents z [B, C, F] say, a dict: see forward."""
        h, low_hat = self.out(self.decoder(self.entry(z * mask), mask, g)).float().split(
            [self.config.S + 2, self.config.low], 1)
        straight = self.straight_out(z).float()
        code, pitch_hat, voiced = (h + straight).split([self.config.S, 1, 1], 1)
        code_hat = torch.tanh(code)
        return {"code_hat": code_hat, "pitch_hat": pitch_hat, "voiced": voiced, "low_hat": low_hat,
                "symbols": self.semantic.symbols(code_hat)}

    @torch.inference_mode()
    def infer(self, x, prosody, noise_scale=NOISE_SCALE, speed=1.0):
        """Say tokens x [1, N] as the prompt prosody [1, 3] asks: code [1, S, F], f0 [1, F], path [1, N, F].

        f0 in Hz, 0 where unvoiced; path: which token a frame belongs to.  noise_scale: temperature of the
        latents.
        """
        g = self.manner(self.scaled(prosody)).unsqueeze(2)
        x_mask = torch.ones(1, 1, x.shape[1], device=x.device)
        h, m_p, logs_p = self.text(x, x_mask)
        logw = self.durations(h, x_mask, g)
        path = align.path_from(whole(torch.exp(logw.float()) / speed))
        m_p, logs_p = torch.matmul(m_p, path), torch.matmul(logs_p, path)
        z_p = m_p + torch.randn_like(m_p) * torch.exp(logs_p) * noise_scale
        mask = torch.ones_like(z_p[:, :1])
        said = self.decode(self.flow(z_p, mask, g, reverse=True), mask, g)
        f0 = torch.where(said["voiced"] > 0, pitches.hertz(said["pitch_hat"]), 0.0)
        return said["code_hat"], f0[:, 0], path

    @torch.inference_mode()
    def usual_prompt(self, spk_emb):
        """Guess the prosody prompt [1, 3] of a voice spk_emb [1, D] of which there is no recording."""
        return self.usual(spk_emb) * self.spread + self.middle


def lifted(code, pitch):
    """Vectors without their tanh, and a melody: [..., S + 2, F] of code [..., S, F] and pitch [..., 2, F]."""
    return torch.cat([torch.atanh(code.clamp(-EDGE, EDGE)), pitch], -2)


def prompt(mel, pitch, code):
    """Measure the prosody prompt [3] of frames mel [M, F], pitch [2, F] and semantic vectors code [S, F].

    register: median of log f0 where voiced, on the scale of lib.nn.pitch; range: its deviation there; pace:
    how much the vectors change in all, for each frame that is no pause (on 70 clips it follows phones a
    second of speech with a correlation of .89).
    Raises ValueError where nothing is voiced.
    """
    f0 = pitch[0][pitch[1] > 0]
    if len(f0) < 2:
        raise ValueError("There is no melody in this clip: no voice is heard. Give one of somebody who "
                         "speaks.")
    level = DECIBELS * mel.logsumexp(0)
    loud = (level > level.max() - LOUD_RANGE_DB).float()
    change = torch.diff(code, dim=1).abs().mean(0)
    return torch.stack([f0.median(), f0.std(), change.sum() / loud.sum()])
