"""Blocks: what stands behind a mask must not be heard, and positions must count by distance."""
import pytest
import torch

from lib.nn.blocks import Attention, ConvNeXtStack, Transformer, sequence_mask, slices


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_sequence_mask_by_hand():
    """Catches a mask that is one too long, or of the wrong rank."""
    mask = sequence_mask(torch.tensor([0, 2, 3]))
    assert mask.tolist() == [[[0, 0, 0]], [[1, 1, 0]], [[1, 1, 1]]]
    assert mask.dtype == torch.float32
    assert sequence_mask(torch.tensor([1]), 4).tolist() == [[[1, 0, 0, 0]]]


def test_slices_equal_indexing_and_carry_gradient():
    """Catches a slice taken from another row, or detached: then the decoder teaches the encoder nothing."""
    x, starts = torch.randn(3, 4, 10, requires_grad=True), torch.tensor([0, 3, 6])
    cut = slices(x, starts, 4)
    assert torch.equal(cut, torch.stack([x[b, :, s:s + 4] for b, s in enumerate(starts)]))
    cut.sum().backward()
    assert x.grad.sum() == 3 * 4 * 4


@pytest.mark.parametrize("G", [0, 6])
def test_convnext_ignores_padding(G):
    """Catches a block that lets padding leak into the last frames: a clip would sound different in another
    batch."""
    net = ConvNeXtStack(8, 3, G)
    x, g = torch.randn(2, 8, 12), torch.randn(2, 6, 1) if G else None
    alone = net(x[1:, :, :7], torch.ones(1, 1, 7), g[1:] if G else None)
    padded = x.clone()
    padded[1, :, 7:] = 1e3  # what stands there must not matter, however loud
    out = net(padded, sequence_mask(torch.tensor([12, 7])), g)
    assert torch.allclose(out[1:, :, :7], alone, atol=1e-5)
    assert not out[1, :, 7:].any()
    assert torch.equal(net(x, None, g), net(x, torch.ones(2, 1, 12), g))


def test_convnext_hears_its_own_voice_only():
    """Catches conditioning that is dropped, or mixed between the rows of a batch."""
    net = ConvNeXtStack(8, 2, 6)
    torch.nn.init.normal_(net.voice.bias)
    x, g = torch.randn(1, 8, 9).repeat(2, 1, 1), torch.randn(2, 6, 1)
    out = net(x, None, g)
    assert not torch.allclose(out[0], out[1])
    assert torch.allclose(out[1:], net(x[1:], None, g[1:]), atol=1e-6)


def test_transformer_ignores_padding():
    """Catches attention to padding, or a convolution that reads it: the same sentence would get other
    durations in a batch."""
    net = Transformer(16, 3, heads=2).eval()
    x = torch.randn(2, 16, 11)
    x[0, :, 6:] = 1e3
    out = net(x, sequence_mask(torch.tensor([6, 11])))
    assert torch.allclose(out[:1, :, :6], net(x[:1, :, :6], torch.ones(1, 1, 6)), atol=1e-4)
    assert not out[0, :, 6:].any() and torch.isfinite(out).all()


def test_transformer_knows_order():
    """Catches positions that were forgotten: shuffled phonemes would be read alike."""
    net = Attention(16, 2)
    x, mask, order = torch.randn(1, 6, 16), torch.ones(1, 1, 6), torch.tensor([3, 1, 5, 0, 2, 4])
    assert not torch.allclose(net(x[:, order], mask), net(x, mask)[:, order], atol=1e-3)


def test_rotary_scores_depend_on_distance_only():
    """Catches angles that do not add up: attention would drift along the sentence.  [ROPE] eq. (11)."""
    q, k = torch.randn(2, 8).double()
    def score(i, j, L=40):
        a, b = torch.zeros(2, 1, 1, L, 8).double()
        a[0, 0, i], b[0, 0, j] = q, k
        return float((Attention.rotate(a)[0, 0, i] * Attention.rotate(b)[0, 0, j]).sum())
    assert score(2, 5) == pytest.approx(score(30, 33), abs=1e-5)
    assert score(5, 2) == pytest.approx(score(33, 30), abs=1e-5)
    assert abs(score(2, 5) - score(2, 9)) > 1e-3
    assert score(0, 0) == pytest.approx(float(q @ k), abs=1e-5)


def test_rotation_keeps_length():
    """Catches a rotation that scales: far tokens would be heard louder."""
    x = torch.randn(2, 2, 30, 8)
    assert torch.allclose(Attention.rotate(x).norm(dim=-1), x.norm(dim=-1), atol=1e-4)


def test_attention_equals_a_naive_twin():
    """Catches heads that are mixed up in the reshape, or a missing scale."""
    net = Attention(8, 2)
    x, mask = torch.randn(1, 5, 8), torch.tensor([[[1.0, 1, 1, 1, 0]]])
    q, k, v = net.qkv(x)[0].chunk(3, dim=1)
    heads = []
    for h in range(2):
        cut = slice(4 * h, 4 * h + 4)
        a, b = (Attention.rotate(t[:, cut][None, None])[0, 0] for t in (q, k))
        weights = (a @ b.T / 2).masked_fill(mask[0] == 0, -1e9).softmax(1)
        heads.append(weights @ v[:, cut])
    assert torch.allclose(net(x, mask)[0], net.out(torch.cat(heads, 1)), atol=1e-5)
