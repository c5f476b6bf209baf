"""The one way a voice enters a model."""
import torch
from torch import nn


class Conditioning(nn.Module):
    """spk_emb [B, D] of one kind -> g [B, G, 1].

    kinds: {name: D}.  Each kind of embedding (verification, attractor) has its own projection and all else is
    shared, so that SV2TTS and SATTS are compared on one backbone ([SATTS] sec. 3).
    band [B], optional, is one where a recording has lost its top band (nothing above 5.8 kHz): telling the
    model keeps that fault out of the voice; at inference it is left out.
    Raises ValueError for a kind that the model does not know.
    """

    def __init__(self, kinds, G):
        super().__init__()
        self.project = nn.ModuleDict()
        for name, D in dict(kinds).items():
            self.project[name] = nn.Sequential(nn.Linear(D, G), nn.LayerNorm(G))
        self.band = nn.Parameter(torch.zeros(G))

    def forward(self, spk_emb, kind="verification", band=None):
        if kind not in self.project:
            known = sorted(self.project)
            raise ValueError(f"No projection for {kind!r} embeddings: this model knows {known}.")
        g = self.project[kind](spk_emb)
        if band is not None:
            g = g + band[:, None].to(g.dtype) * self.band
        return g.unsqueeze(2)
