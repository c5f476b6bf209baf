"""The temporal convolution network that separators are built from."""
import torch.nn.functional as F
from torch import nn


class TCN(nn.Module):
    """Residual blocks of dilated convolutions: x [B, C, F] -> [B, C, F], any F, nothing is cut or padded
    away.

    Each repeat has `blocks` blocks with dilations 1, 2, 4, ...: with kernel 3, `reach` frames to either side
    are heard.  The norm is Conv-TasNet's global one (one mean and variance per clip, over channels and
    frames).
    Source: [CONVTASNET] sec. II-D.  Differs: the depthwise convolution and one norm stand before the widening
    1x1 convolution, as in [CONVNEXT], not between the two wide ones; ReLU for PReLU; no skip path.
    """

    def __init__(self, channels, hidden, repeats=2, blocks=7, kernel=3):
        super().__init__()
        dilations = [2**i for i in range(blocks)] * repeats
        half = kernel // 2
        self.reach = sum(dilations) * half
        depthwise = dict(kernel_size=kernel, groups=channels)
        self.wide = nn.ModuleList(nn.Conv1d(channels, channels, padding=d * half, dilation=d, **depthwise)
                                  for d in dilations)
        self.norm = nn.ModuleList(nn.GroupNorm(1, channels, eps=1e-5) for _ in dilations)
        self.up = nn.ModuleList(nn.Linear(channels, hidden) for _ in dilations)
        self.down = nn.ModuleList(nn.Linear(hidden, channels) for _ in dilations)

    def forward(self, x):
        for wide, norm, up, down in zip(self.wide, self.norm, self.up, self.down, strict=True):
            h = norm(wide(x)).transpose(1, 2)  # [B, F, C]
            x = x + down(F.relu(up(h))).transpose(1, 2)
        return x
