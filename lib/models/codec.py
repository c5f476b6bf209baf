"""The codec: sound becomes frames z, frames become sound.

Speech from text and conversion differ only in how they predict z.
"""
from dataclasses import dataclass

import torch
from torch import nn

from lib import audio
from lib.nn.blocks import ConvNeXtStack
from lib.nn.conditioning import Conditioning
from lib.nn.decoders import DECODERS

MAGNITUDE_FLOOR = 1e-4  # under that a bin is silent
LOG_SCALE = 0.3  # brings log-magnitudes to a variance of about one
LOGS_LOW, LOGS_HIGH = -6.0, 3.0  # of a log standard deviation: beyond, losses overflow


@dataclass(frozen=True)
class CodecConfig:
    """Sizes.

    embeddings: ((kind, D), ...) of the vectors that may say whose voice it is; decoder: "istft" or "hifigan";
    segment: frames that the decoder sees at a time in training, as in [SATTS] sec. 3.
    """
    embeddings: tuple = (("verification", 128),)
    C: int = 96
    G: int = 128
    hidden: int = 192
    posterior_layers: int = 4
    decoder: str = "istft"
    decoder_channels: int = 256
    decoder_layers: int = 6
    segment: int = 32


class PosteriorEncoder(nn.Module):
    """spec [B, 513, F] -> m_q, logs_q [B, C, F].

    Source: [VITS] sec. 2.2.1.  Differs: log-magnitudes in, ConvNeXt for WaveNet blocks.
    """

    def __init__(self, config):
        super().__init__()
        self.inputs = nn.Conv1d(audio.N_FFT // 2 + 1, config.hidden, 1)
        self.body = ConvNeXtStack(config.hidden, config.posterior_layers, config.G)
        self.out = nn.Conv1d(config.hidden, 2 * config.C, 1)

    def forward(self, spec, mask, g):
        log_magnitude = torch.log(spec.clamp_min(MAGNITUDE_FLOOR)) * LOG_SCALE
        h = self.body(self.inputs(log_magnitude) * mask, mask, g)
        m_q, logs_q = (self.out(h) * mask).float().chunk(2, dim=1)
        return m_q, logs_q.clamp(LOGS_LOW, LOGS_HIGH)


class Codec(nn.Module):
    """Conditional autoencoder: a posterior and a decoder that know the voice.

    Source: [VITS] sec. 2.2.1 and 2.4.

    conditioning: spk_emb [B, D] -> g [B, G, 1].  posterior: spec, mask, g -> m_q, logs_q.
    decoder: z [B, C, F], g -> wav [B, 1, F * HOP].  It is lent to all models that predict z.
    """
    NEEDS = ()

    def __init__(self, config=CodecConfig()):
        super().__init__()
        self.config = config
        self.conditioning = Conditioning(config.embeddings, config.G)
        self.posterior = PosteriorEncoder(config)
        decoder = DECODERS[config.decoder]
        self.decoder = decoder(config.C, config.G, config.decoder_channels, layers=config.decoder_layers)

    @staticmethod
    def width(batch):
        """Frames F of a batch that holds spec [B, 513, F] or cached latents m_q [B, C, F]."""
        name = "spec" if "spec" in batch else "m_q"
        return batch[name].shape[2]

    def latents(self, batch, mask, g):
        """Give m_q, logs_q [B, C, F] of a batch: by the posterior where it holds spec, else as cached."""
        if "spec" in batch:
            return self.posterior(batch["spec"], mask, g)
        return batch["m_q"].float(), batch["logs_q"].float()

    @torch.inference_mode()
    def encode(self, wav, spk_emb, band=None, kind="verification"):
        """Encode wav [1, 1, T] of the voice spk_emb [1, D]: m_q, logs_q [1, C, T // HOP] and g [1, G, 1].

        band: [1], one for a recording that has lost its top band (see Conditioning), or None.
        """
        g = self.conditioning(spk_emb, kind, band)
        spec = audio.spectrogram(wav)
        m_q, logs_q = self.posterior(spec, torch.ones_like(spec[:, :1]), g)
        return m_q, logs_q, g
