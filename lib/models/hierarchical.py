"""The hierarchical synthesiser: from what is said to frames of the codec, by two latents and two flows."""
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from lib import losses
from lib.nn import pitch as pitches
from lib.nn.adaptive import AdaptiveBlock, CrossAttention
from lib.nn.blocks import ConvNeXtStack
from lib.nn.fine import FineContent, without_harmonics
from lib.nn.flows import Flow

LOGS_LOW, LOGS_HIGH = -6.0, 2.0  # of every log standard deviation: beyond them a KL overflows
FIRST_LOGS = -1.0  # of the acoustic posterior before it has learned: less noise than signal
LEAST_SPREAD = 0.05  # of a principal component: a weaker one is not blown up to variance 1
# Shares of rows without any voice, of the others without a reference, and of all with less fine content.
VOICELESS, UNSEEN, COARSE = 0.1, 0.2, 0.25
# Chosen on dev pairs (card of the checkpoint): noise costs words as long as the couplings have learned so
# little (published: .333, or .667 to be expressive); guidance brings the voice nearer.
NOISE_SCALE, GUIDANCE = 0.0, 1.25
MOST_CONTRAST = 3.0  # of a channel of z_a: one that is hardly foreseen at all must not be blown up
# Of a step's losses, the KLs as means over channels.  As published they would weigh 64 / 45, and z_a would
# be mostly noise: right for a waveform decoder with critics, which invents what is lost, not for L1.
WEIGHTS = {"mel": 1.0, "kl_acoustic": 0.25, "kl_semantic": 0.25, "f0": 0.1}


@dataclass(frozen=True)
class HierarchicalConfig:
    """Sizes.

    S: of a semantic vector; D: of an embedding; M: mel bins; C: channels of both latents.
    H: width of the listener; layers: its blocks; looks: after which of them the reference is looked at;
    reference_layers: blocks that read it.
    hidden: width of all else; semantic_layers, acoustic_layers, decoder_layers, f0_layers: ConvNeXt blocks.
    couplings, flow_layers: of the acoustic flow; semantic_couplings: of the other, a block each.
    fine: numbers of `FineContent`; fine_hidden, fine_layers: of its body.
    """
    S: int = 96
    D: int = 128
    M: int = 128
    C: int = 64
    H: int = 256
    layers: int = 3
    looks: tuple = (2,)
    reference_layers: int = 3
    hidden: int = 160
    semantic_layers: int = 2
    acoustic_layers: int = 2
    decoder_layers: int = 4
    f0_layers: int = 2
    couplings: int = 4
    flow_layers: int = 1
    semantic_couplings: int = 2
    fine: int = 48
    fine_hidden: int = 96
    fine_layers: int = 3


class Source(NamedTuple):
    """Speech that vectors were made from: mel [1, M, F], f0 [1, F] in Hz, its voice spk_emb [1, D], and a
    reference of that voice, of `look_at`."""
    mel: torch.Tensor
    f0: torch.Tensor
    spk_emb: torch.Tensor
    ref: torch.Tensor


class Distribution(nn.Module):
    """x [B, inputs, F] and pitch [B, 2, F] -> (m, logs) [B, C, F] of a normal distribution in each frame.

    G: channels of the voice g [B, G, 1], 0 where no voice may enter.  straight: m starts from a linear map
    of x, and the network adds to it.
    """

    def __init__(self, inputs, hidden, layers, C, G=0, straight=False):
        super().__init__()
        self.inputs = nn.Conv1d(inputs + 2, hidden, 5, padding=2)
        self.body = ConvNeXtStack(hidden, layers, G)
        self.out = nn.Conv1d(hidden, 2 * C, 1)
        self.straight = nn.Conv1d(inputs, C, 1) if straight else None
        if straight:
            nn.init.zeros_(self.out.weight)
            nn.init.constant_(self.out.bias[C:], FIRST_LOGS)

    def forward(self, x, pitch, mask, g=None):
        h = self.body(self.inputs(torch.cat([x, pitch], 1) * mask) * mask, mask, g)
        m, logs = self.out(h).float().chunk(2, 1)
        if self.straight is not None:
            m = m + self.straight(x).float()
        return m * mask, logs.clamp(LOGS_LOW, LOGS_HIGH) * mask


class FrameDecoder(nn.Module):
    """z_a [B, C, F], pitch [B, 2, F], voice g [B, G, 1] -> bands [B, M, F], each of mean 0 and variance 1."""

    def __init__(self, C, hidden, layers, M, G):
        super().__init__()
        self.inputs = nn.Conv1d(C + 2, hidden, 5, padding=2)
        self.body = ConvNeXtStack(hidden, layers, G)
        self.out = nn.Conv1d(hidden, M, 1)
        self.straight = nn.Conv1d(C, M, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, z, pitch, mask, g):
        h = self.body(self.inputs(torch.cat([z, pitch], 1) * mask) * mask, mask, g)
        return (self.straight(z) + self.out(h)).float() * mask


class Listener(nn.Module):
    """How a voice says it: what is said, a pitch, a voice and a reference -> h [B, H, F].

    Listening once for all couplings costs a fraction of a look in each, both ways.
    """

    def __init__(self, config):
        super().__init__()
        H = config.H
        self.looks_after = config.looks
        self.vectors = nn.Conv1d(config.S, H, 5, padding=2, bias=False)
        self.pitch = nn.Conv1d(2, H, 1)
        self.reference = nn.Conv1d(config.M + 2, H, 5, padding=2)
        self.reader = ConvNeXtStack(H, config.reference_layers, expand=2)
        self.blocks = nn.ModuleList(AdaptiveBlock(H, 3) for _ in range(config.layers))
        self.looks = nn.ModuleList(CrossAttention(H) for _ in config.looks)
        self.norm = nn.LayerNorm(H, elementwise_affine=False)

    def forward(self, code, pitch, mask, g, ref, ref_mask, fine=None):
        """Listen to ref [B, M + 2, L] where ref_mask [B, L] (bool), for code [B, S, F], g [B, H, 1].

        fine [B, H, F]: what else is known of the words."""
        seen, seen_mask = self.read(ref, ref_mask)
        look = dict(zip(self.looks_after, self.looks, strict=True))
        inside = mask.transpose(1, 2)
        h = self.vectors(code * mask) + self.pitch(pitch)
        if fine is not None:
            h = h + fine
        h = h.transpose(1, 2)
        for i, block in enumerate(self.blocks):
            h = block(h, inside, g[:, :, 0])
            if i in look:
                h = look[i](h, seen, seen_mask)
        return self.norm(h).transpose(1, 2)

    def read(self, ref, ref_mask):
        """What there is to look at, [B, L / 2, H], and where."""
        inside = ref_mask[:, None].to(ref.dtype)
        h = self.reader(self.reference(ref * inside), inside)
        return h[:, :, ::2].transpose(1, 2), ref_mask[:, ::2]


class Hierarchical(nn.Module):
    """Semantic vectors, f0, a voice and its reference -> frames of the codec.

    A conditional VAE of two levels: frames <-> z_a (acoustic) <-> z_s (semantic, in a register) <-> z_p (in
    none), a flow between neighbours, each told the voice.  Learning goes up both ways, speaking goes down
    from z_p.  Source: [HIERSPEECH2] sec. 3.2.  Differs: frames, not sound, are what is decoded, so that
    nothing but an L1 loss is needed and a critic is not; the couplings of the acoustic flow are also told
    what one network heard, frame by frame, in the reference; what else is left out stands in lesson 07.
    """
    NEEDS = ("harmonic",)

    def __init__(self, config, harmonic):
        super().__init__()
        M, C, G, hidden = config.M, config.C, config.H, config.hidden
        self.config = config
        self.harmonic = harmonic
        self.register_buffer("mean", torch.zeros(M))
        self.register_buffer("std", torch.ones(M))
        self.register_buffer("contrast", torch.ones(C))
        self.voice = nn.Linear(config.D, G)
        self.no_voice = nn.Parameter(torch.zeros(G))
        self.listener = Listener(config)
        self.fine = FineContent(config)
        self.acoustic = Distribution(M, hidden, config.acoustic_layers, C, G, straight=True)
        self.decoder = FrameDecoder(C, hidden, config.decoder_layers, M, G)
        self.semantic = Distribution(config.S, hidden, config.semantic_layers, C)
        self.prior = Distribution(config.S, hidden, config.semantic_layers, C)
        self.heard = nn.Conv1d(config.H, C, 1)
        self.acoustic_flow = Flow(C, hidden, config.flow_layers, config.couplings, G, H=config.H)
        self.semantic_flow = Flow(C, hidden // 2, 1, config.semantic_couplings, G)
        self.f0_inputs = nn.Conv1d(config.S, hidden, 5, padding=2)
        self.f0_body = ConvNeXtStack(hidden, config.f0_layers, G)
        self.f0_out = nn.Conv1d(hidden, 1, 1)

    @torch.no_grad()
    def start_from(self, mel):
        """Let the way to z_a and back begin as principal components of frames mel [B, M, F].

        Before anything is learned frames then come back but for their weakest components.
        """
        bands = mel.transpose(1, 2).reshape(-1, self.config.M).float()
        self.mean.copy_(bands.mean(0))
        self.std.copy_(bands.std(0).clamp_min(LEAST_SPREAD))
        power, axes = torch.linalg.eigh(torch.cov(((bands - self.mean) / self.std).T))
        spread = power[-self.config.C:].clamp_min(0).sqrt().clamp_min(LEAST_SPREAD)
        axes = axes[:, -self.config.C:]
        self.acoustic.straight.weight.copy_((axes / spread).T[..., None])
        self.decoder.straight.weight.copy_((axes * spread)[..., None])
        for straight in (self.acoustic.straight, self.decoder.straight):
            straight.bias.zero_()

    def told(self, spk_emb, known):
        """The voice g [B, G, 1] of spk_emb [B, D], nobody's where known [B] is zero."""
        voice = torch.where(known[:, None] > 0, self.voice(spk_emb), self.no_voice)
        return F.silu(voice)[..., None]

    def bands(self, mel):
        """Log-mels [B, M, F], each band at mean 0 and variance 1."""
        return (mel - self.mean[:, None]) / self.std[:, None]

    def seen(self, mel, f0):
        """A reference [B, M + 2, L] as the listener reads it, of frames mel [B, M, L] and f0 [B, L]."""
        return torch.cat([self.bands(mel), pitches.channels(f0)], 1)

    def up(self, z_a, mask, g, h):
        """z_s [B, C, F] of z_a [B, C, F]: less what was heard, then through the couplings."""
        return self.acoustic_flow((z_a - self.heard(h)) * mask, mask, g, h=h)

    def down(self, z_s, mask, g, h):
        """z_a of z_s: `up` undone."""
        return (self.acoustic_flow(z_s, mask, g, reverse=True, h=h) + self.heard(h).float()) * mask

    def line(self, code, mask, g):
        """Scaled log f0 [B, 1, F] that the voice g would give to vectors code [B, S, F]."""
        h = self.f0_body(self.f0_inputs(code * mask) * mask, mask, g)
        return self.f0_out(h).float() * mask

    def losses(self, batch):
        """Losses of one step, {name: scalar}, to be weighed by WEIGHTS.

        batch: mel [B, M, F] and f0 [B, F] of speech, mask [B, F, 1], code [B, S, F]: its vectors,
        code_copy [B, S, F]: those of a copy in another throat, mel_copy [B, M, F]: frames of one, spk_emb
        [B, D], and a reference of the same voice: ref_mel [B, M, L], ref_f0 [B, L], ref_mask [B, L] (bool).
        """
        mask = batch["mask"].transpose(1, 2)
        known, ref_mask = hidden_at_random(batch["ref_mask"])
        g = self.told(batch["spk_emb"], known)
        bands = self.bands(batch["mel"])
        pitch = pitches.channels(batch["f0"])
        copy = batch["code_copy"]
        ref = self.seen(batch["ref_mel"], batch["ref_f0"])
        fine = self.fine.out(self.fine(batch["mel_copy"], mask))
        chance = torch.rand(len(fine), 1, 1, device=fine.device)
        fine = fine * (chance / COARSE).clamp(max=1)
        h = self.listener(copy, pitch, mask, g, ref, ref_mask, fine)
        q_a = self.acoustic(bands, pitch, mask, g)
        q_s = self.semantic(batch["code"], pitch, mask)
        p = self.prior(copy, pitches.melody(pitch, mask), mask)
        z_a, z_s, z_p = draw(*q_a), draw(*q_s), draw(*p)
        forth = self.up(z_a, mask, g, h)
        back = self.down(z_s, mask, g, h)
        forth_s = self.semantic_flow(z_s, mask, g)
        back_s = self.semantic_flow(z_p, mask, g, reverse=True)
        bands_hat = self.decoder(z_a, pitch, mask, g)
        voiced = mask * (pitch[:, 1:] > 0)
        line_hat = self.line(copy, mask, g)
        return {
            "mel": losses.masked_mean((bands_hat - bands).abs() * self.std[:, None], mask),
            "kl_acoustic": losses.bidirectional_kl(forth, q_a, back, q_s, mask),
            "kl_semantic": losses.bidirectional_kl(forth_s, q_s, back_s, p, mask),
            "f0": losses.masked_mean((line_hat - pitch[:, :1]).abs(), voiced),
        }

    @torch.no_grad()
    def measure_contrast(self, batch):
        """Find by how much z_a moves less on the way down than z_a of real frames, channel by channel.

        What cannot be foreseen is a mean, and speech of means is muffled: `sample` restores the spread.  To
        be called when all is learned; batch: as of `losses`.  Source: [GV], there of cepstra, one utterance
        at a time.  Differs: `sample` spreads about zero; about the mean of an utterance it was no better (28
        pairs of `make judge`: secs .740 for .741, p808 3.26 for 3.30).
        """
        mask = batch["mask"].transpose(1, 2)
        g = self.told(batch["spk_emb"], torch.ones_like(mask[:, 0, 0]))
        pitch = pitches.channels(batch["f0"])
        copy = batch["code_copy"]
        ref = self.seen(batch["ref_mel"], batch["ref_f0"])
        fine = self.fine.out(self.fine(batch["mel_copy"], mask))
        h = self.listener(copy, pitch, mask, g, ref, batch["ref_mask"], fine)
        m_p, _ = self.prior(copy, pitches.melody(pitch, mask), mask)
        foreseen = self.down(self.semantic_flow(m_p, mask, g, reverse=True), mask, g, h)
        real, _ = self.acoustic(self.bands(batch["mel"]), pitch, mask, g)
        inside = mask[:, 0] > 0
        spread, less = (z.transpose(1, 2)[inside].std(0) for z in (real, foreseen))
        self.contrast.copy_((spread / less.clamp_min(LEAST_SPREAD)).clamp(1.0, MOST_CONTRAST))

    @torch.inference_mode()
    def predict_f0(self, code, f0, spk_emb):
        """f0 [1, F] in Hz that a voice [1, D] would give to vectors code [1, S, F], where f0 is voiced."""
        mask = torch.ones_like(code[:, :1])
        line = self.line(code, mask, self.told(spk_emb, torch.ones_like(spk_emb[:, 0])))
        return torch.where(f0 > 0, pitches.hertz(line[:, 0]), 0.0)

    @torch.inference_mode()
    def sample(self, code, f0, spk_emb, ref=None, fine=None, source=None, close=1.0, noise_scale=NOISE_SCALE,
               guidance=GUIDANCE):
        """Log-mels [1, M, F] of vectors code [1, S, F] at f0 [1, F] in Hz, in a voice [1, D].

        ref: of `look_at`, or None where there is a voice but no recording.  fine [1, fine, F]: of `fine`, for
        the frames that code was made from, or None.  source: the `Source` of the vectors, or None; close says
        how much is kept, 0 to 1, of what they and z_a leave out of it.  noise_scale: of the draw from the
        prior, whose numbers come from torch's random state.  guidance: how far z_a goes beyond that of the
        source's voice, or of nobody's; 1 is as learned.  Source: [CFG] eq. (6), there of a score; [VITS]
        sec. 4.4 for what is kept.  Differs: only what is unforeseen goes through the flow, and a share of it.
        """
        pitch = pitches.channels(f0)
        mask = torch.ones_like(code[:, :1])
        m_p, logs_p = self.prior(code, pitches.melody(pitch, mask), mask)
        z_p = draw(m_p, logs_p, noise_scale)

        def foreseen(g, h, rest=0.0):
            return self.down(self.semantic_flow(z_p, mask, g, reverse=True) + rest, mask, g, h)
        g, h = self.heard_as(code, pitch, spk_emb, ref, fine)
        told = foreseen(g, h)
        if source is None:
            away = self.heard_as(code, pitch, None, None, fine)
        else:
            away = self.heard_as(code, pitch, source.spk_emb, source.ref, fine)
        untold = foreseen(*away)
        z_a = (untold + guidance * (told - untold)) * self.contrast[:, None]
        if source is not None:
            z_a = z_a + foreseen(g, h, close * self.unforeseen(source, code, fine)) - told
        mel_hat = self.frames(z_a, pitch, mask, g)
        if source is not None:
            mel_hat = mel_hat + close * self.undecoded(source)
        return mel_hat

    def heard_as(self, code, pitch, spk_emb, ref, fine):
        """(g [1, G, 1], h [1, H, F]) of a voice spk_emb [1, D], None: nobody's, and of its ref or None."""
        known = code.new_ones(1)
        if spk_emb is None:
            known, spk_emb = 0 * known, code.new_zeros(1, self.config.D)
        if ref is None:
            ref = code.new_zeros(1, self.config.M + 2, 1)
            heard = torch.zeros(1, 1, dtype=torch.bool, device=code.device)
        else:
            heard = torch.ones(1, ref.shape[2], dtype=torch.bool, device=code.device)
        if fine is not None:
            fine = self.fine.out(fine)
        g = self.told(spk_emb, known)
        return g, self.listener(code, pitch, torch.ones_like(code[:, :1]), g, ref, heard, fine)

    def unforeseen(self, source, code, fine):
        """What z_s [1, C, F] of a source holds beyond what its vectors and its voice foretell, of mean 0."""
        mask = torch.ones_like(code[:, :1])
        pitch = pitches.channels(source.f0)
        g, h = self.heard_as(code, pitch, source.spk_emb, source.ref, fine)
        m_a, _ = self.acoustic(self.bands(source.mel), pitch, mask, g)
        m_p, _ = self.prior(code, pitches.melody(pitch, mask), mask)
        rest = self.up(m_a, mask, g, h) - self.semantic_flow(m_p, mask, g, reverse=True)
        return rest - rest.mean(2, keepdim=True)

    def undecoded(self, source):
        """What log-mels [1, M, F] of a source hold beyond what z_a keeps of them."""
        return without_harmonics(source.mel - self.resynthesise(source.mel, source.f0, source.spk_emb))

    @torch.inference_mode()
    def resynthesise(self, mel, f0, spk_emb):
        """Log-mels [1, M, F] that went through z_a: what conversion cannot be better than."""
        mask = torch.ones_like(mel[:, :1])
        g = self.told(spk_emb, torch.ones_like(spk_emb[:, 0]))
        pitch = pitches.channels(f0)
        m_q, _ = self.acoustic(self.bands(mel), pitch, mask, g)
        return self.frames(m_q, pitch, mask, g)

    def frames(self, z_a, pitch, mask, g):
        """Log-mels [B, M, F] of z_a [B, C, F]."""
        return self.decoder(z_a, pitch, mask, g) * self.std[:, None] + self.mean[:, None]

    @torch.inference_mode()
    def look_at(self, wav):
        """A reference [1, M + 2, L] for `sample`, of wav [1, 1, T] at 16 kHz."""
        return self.seen(*self.harmonic.analyse(wav))


def draw(m, logs, scale=1.0):
    """A draw from N(m, exp(logs)^2), all [B, C, F], its noise scaled."""
    return m + torch.randn_like(m) * torch.exp(logs) * scale


def hidden_at_random(ref_mask):
    """(known [B], ref_mask [B, L]) of a step: VOICELESS of its rows have neither voice nor reference, UNSEEN
    of the others no reference."""
    known = torch.rand(len(ref_mask), device=ref_mask.device) > VOICELESS
    looks = torch.rand(len(ref_mask), device=ref_mask.device) > UNSEEN
    return known.float(), ref_mask & (known & looks)[:, None]
