"""What is said, frame by frame, and not by whom: semantic vectors of speech."""
from dataclasses import dataclass

import torch
from torch import nn

from lib.nn.blocks import ConvNeXtStack, Transformer, in_bf16
from lib.text.symbols import SYMBOLS

STRETCH, SIDE = 480, 80  # frames that are read at a time, and what is heard before and after: 6 s and 1 s


@dataclass(frozen=True)
class SemanticConfig:
    """Sizes.

    symbols: of text; M: mel bins; S: of a semantic vector; hidden, layers: width and ConvNeXt blocks of the
    body; attention_layers: behind them.
    """
    symbols: int = len(SYMBOLS)
    M: int = 128
    S: int = 96
    hidden: int = 224
    layers: int = 7
    attention_layers: int = 2


class Semantic(nn.Module):
    """Frames mel [B, M, F] of the codec -> semantic vectors [B, S, F] -> which symbol is said in each.

    A narrow layer before the reader of symbols is what leaves: what it keeps is what tells sounds apart.
    Source: the place of MMS in [HIERSPEECH2] sec. 3.1; bottleneck features of a phone recogniser as in
    [PPGVC].  Differs: learned from our own texts, aligned by lesson 03, and from voices with other throats
    and equalisers, which must not change what is said.
    """
    NEEDS = ()

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.M))
        self.register_buffer("std", torch.ones(config.M))
        self.inputs = nn.Conv1d(config.M, config.hidden, 5, padding=2)
        self.body = ConvNeXtStack(config.hidden, config.layers)
        self.attention = Transformer(config.hidden, config.attention_layers, expand=2)
        self.code = nn.Conv1d(config.hidden, config.S, 1)
        self.reader = nn.Conv1d(config.S, config.symbols, 1)

    def forward(self, mel, mask):
        """Semantic vectors [B, S, F] of mel [B, M, F], where mask [B, 1, F] is one."""
        x = (mel - self.mean[:, None]) / self.std[:, None]
        h = self.body(self.inputs(x * mask) * mask, mask)
        return torch.tanh(self.code(self.attention(h, mask))) * mask

    @torch.inference_mode()
    def encode(self, mel):
        """Semantic vectors [1, S, F] of frames mel [1, M, F] of any length, in stretches of 6 s."""
        codes = []
        for start in range(0, mel.shape[2], STRETCH):
            low = max(0, start - SIDE)
            part = mel[:, :, low: start + STRETCH + SIDE]
            with in_bf16(part.device):
                code = self(part, torch.ones_like(part[:, :1]))
            codes.append(code.float()[:, :, start - low: start - low + STRETCH])
        return torch.cat(codes, 2)

    def symbols(self, code):
        """Log probabilities [B, symbols, F] of what is said in vectors [B, S, F]."""
        return self.reader(code).float().log_softmax(1)
