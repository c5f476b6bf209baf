"""One door for the voice: one projection per kind of embedding, and a switch for bandwidth."""
import pytest
import torch

from lib.nn.conditioning import Conditioning


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Conditioning((("verification", 8), ("attractor", 4)), 6)


def test_each_kind_has_its_own_projection_and_one_shape(net):
    """Catches SV2TTS and SATTS sharing, or exchanging, their first layer."""
    assert net(torch.randn(2, 8)).shape == net(torch.randn(2, 4), "attractor").shape == (2, 6, 1)
    net(torch.randn(2, 4), "attractor").square().sum().backward()
    assert all(p.grad is None for p in net.project["verification"].parameters())
    assert all(p.grad is not None for p in net.project["attractor"].parameters())


def test_unknown_kind_is_refused_by_name(net):
    """Catches a KeyError from inside torch when a lesson asks for an embedding this checkpoint never saw."""
    with pytest.raises(ValueError, match="'semantic'.*attractor.*verification"):
        net(torch.randn(1, 8), "semantic")


def test_band_moves_only_the_rows_it_marks(net):
    """Catches a bandwidth flag that changes every voice of the batch, or none."""
    torch.nn.init.normal_(net.band)
    spk_emb = torch.randn(3, 8)
    plain, told = net(spk_emb), net(spk_emb, band=torch.tensor([0.0, 1, 0]))
    assert torch.equal(plain[[0, 2]], told[[0, 2]])
    assert torch.allclose(told[1] - plain[1], net.band[:, None], atol=1e-6)
    told.sum().backward()
    assert net.band.grad is not None and net.band.grad.abs().sum() > 0


def test_gradient_reaches_the_embedding(net):
    """Catches a detach: a voice could no longer be optimised, nor an encoder be trained through the model."""
    spk_emb = torch.randn(2, 8, requires_grad=True)
    net(spk_emb)[:, 0].sum().backward()
    assert (spk_emb.grad.abs().sum(1) > 0).all()
