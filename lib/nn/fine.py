"""What semantic vectors leave out of the words, through a bottleneck that little of a voice fits through."""
import torch
import torch.nn.functional as F
from torch import nn

from lib.nn.blocks import ConvNeXtStack

BAND_GROUP = 4  # mel bins that are taken together: harmonics of a voice are no longer told apart
REST_BINS = 4  # mel bins that a rest is averaged over, for the same reason
LEAST_SPREAD = 0.2  # of a band, in log units: silence is not blown up to speech
FINE_NOISE = 0.1  # beside numbers from -1 to 1


class FineContent(nn.Module):
    """Frames mel [B, M, F] of a source -> what semantic vectors leave out of its words, [B, fine, F].

    Bands by fours, each at mean 0 and variance 1 over the recording, so that hardly any equaliser, level or
    pitch gets through; then few numbers, with noise while it learns: a bottleneck that little of the voice
    fits through.  It is learned with what hears it, through `out`, from copies with another throat.
    config: M, H (of `out`), fine, fine_hidden, fine_layers.
    Source: the information bottleneck of [AUTOVC] sec. 3; instance normalisation as in [ADAIN].
    """

    def __init__(self, config):
        super().__init__()
        H = config.fine_hidden
        self.inputs = nn.Conv1d(config.M // BAND_GROUP, H, 5, padding=2)
        self.body = ConvNeXtStack(H, config.fine_layers)
        self.narrow = nn.Conv1d(H, config.fine, 1)
        self.out = nn.Conv1d(config.fine, config.H, 5, padding=2, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, mel, mask=None):
        """[B, fine, F] of mel [B, M, F], where mask [B, 1, F] is one."""
        mask = torch.ones_like(mel[:, :1]) if mask is None else mask
        groups = mel.unflatten(1, (-1, BAND_GROUP)).mean(2)
        size = mask.sum(2, keepdim=True).clamp_min(1)
        mean = (groups * mask).sum(2, keepdim=True) / size
        spread = (((groups - mean) * mask).square().sum(2, keepdim=True) / size).sqrt()
        even = (groups - mean) / spread.clamp_min(LEAST_SPREAD) * mask
        fine = torch.tanh(self.narrow(self.body(self.inputs(even), mask))).float()
        if self.training:
            fine = fine + FINE_NOISE * torch.randn_like(fine)
        return fine * mask


def without_harmonics(rest):
    """rest [B, M, F] of log-mels averaged over REST_BINS, its mean over time taken away.

    For what is carried over from one voice to another: harmonics lie elsewhere there, and a mean is voice."""
    rest = rest - rest.mean(2, keepdim=True)
    before = REST_BINS // 2
    wide = F.pad(rest.transpose(1, 2), (before, REST_BINS - 1 - before), mode="replicate")
    return F.avg_pool1d(wide, REST_BINS, 1).transpose(1, 2)
