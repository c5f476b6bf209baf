"""The temporal convolution network: shapes, reach, the norm over the whole clip."""
import pytest
import torch

from lib.nn.tcn import TCN


@pytest.fixture
def net():
    torch.manual_seed(0)
    return TCN(channels=6, hidden=10, repeats=2, blocks=3)


@pytest.mark.parametrize("frames", [1, 2, 7, 64])
def test_any_number_of_frames_comes_back(net, frames):
    """Catches a padding that is not that of the dilation: frames would be lost, or the sum of a block would
    not fit."""
    assert net(torch.randn(2, 6, frames)).shape == (2, 6, frames)


def test_reach_is_what_it_says(net):
    """Catches wrong dilations: a frame must feel its neighbours up to `reach` to either side, and none beyond
    (without the norm)."""
    net.norm = torch.nn.ModuleList(torch.nn.Identity() for _ in net.norm)
    assert net.reach == 2 * (1 + 2 + 4)
    x = torch.randn(1, 6, 61, requires_grad=True)
    net(x)[0, :, 30].sum().backward()
    felt = x.grad.abs().sum((0, 1)).nonzero().flatten()
    assert felt.min() == 30 - net.reach and felt.max() == 30 + net.reach


def test_the_norm_sees_the_whole_clip(net):
    """Catches a norm per frame: with Conv-TasNet's, a far frame changes the scale here."""
    x = torch.randn(1, 6, 200)
    louder = x.clone()
    louder[:, :, 190:] *= 30
    assert (net(x) - net(louder))[0, :, :100].abs().max() > 1e-3


def test_clips_of_a_batch_do_not_mix(net):
    """Catches statistics over the batch: a visitor's voice would depend on another's."""
    x = torch.randn(3, 6, 20)
    assert torch.allclose(net(x)[1:2], net(x[1:2]), atol=1e-6)


def test_every_weight_learns(net):
    """Catches a block whose output never reaches the end."""
    net(torch.randn(2, 6, 20)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
