"""The codec of frames: sound becomes log-mels and f0, 80 frames a second, and they become sound."""
from dataclasses import dataclass

import torch
from torch import nn

from lib import audio
from lib.audio import praat
from lib.nn.harmonic import HarmonicDecoder


@dataclass(frozen=True)
class HarmonicCodecConfig:
    """Sizes.

    M: mel bins; window: samples that a mel frame looks at; n_fft: of the decoder's spectrum; hop: samples of
    a frame (200: 12.5 ms at 16 kHz); channels, layers: of the decoder.
    """
    M: int = 128
    window: int = 1024
    n_fft: int = 800
    hop: int = 200
    channels: int = 256
    layers: int = 8


class HarmonicCodec(nn.Module):
    """Frames are log-mels mel [B, M, F] and f0 [B, F] in Hz (0: unvoiced); no voice enters.

    Only the decoder is learned: what lies between is known before any training, so that whatever predicts
    frames can learn beside it.
    """
    NEEDS = ()

    def __init__(self, config=HarmonicCodecConfig()):
        super().__init__()
        self.config = config
        self.decoder = HarmonicDecoder(config.M, config.n_fft, config.hop, config.channels, config.layers)

    def forward(self, mel, f0):
        """wav [B, 1, F * hop] of mel [B, M, F], f0 [B, F]; its noise comes from torch's random state."""
        return self.decoder(mel, f0)

    def mel(self, wav):
        """Log-mels [B, M, T // hop] of wav [B, 1, T]; differentiable."""
        return audio.mel(wav, self.config.window, self.config.M, self.config.hop)

    def f0(self, wav):
        """f0 [B, T // hop] in Hz of wav [B, 1, T]."""
        tracks = [praat.track(one[0].cpu().numpy(), self.config.hop) for one in wav]
        return torch.stack([torch.tensor(track) for track in tracks]).to(wav.device)

    @torch.inference_mode()
    def analyse(self, wav):
        """Frames (mel [B, M, F], f0 [B, F]) of wav [B, 1, T], F = T // hop."""
        return self.mel(wav), self.f0(wav)
