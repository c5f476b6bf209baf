"""Flows: there and back, and log-determinants that autograd agrees with."""
import pytest
import torch

from lib.nn.flows import Coupling, Flow, SplineCoupling, spline


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def shaken(net, std=0.3):
    """The net with weights that are not at their (identity) start."""
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return net


def knobs(*shape, K=10, spread=2.0):
    return spread * torch.randn(*shape,
                                K), spread * torch.randn(*shape, K), spread * torch.randn(*shape, K - 1)


def test_spline_and_its_inverse_meet():
    """Catches a wrong root of the quadratic, or a bin chosen by the wrong edges: sampled rhythm would not be
    learned rhythm."""
    x = torch.linspace(-6, 6, 400)
    raw = knobs(400)
    image, logdet = spline(x, *raw)
    back, minus = spline(image, *raw, reverse=True)
    # where the map is flat, float32 cannot say where it came from
    assert ((back - x).abs() * logdet.exp().clamp(max=1)).max() < 2e-5
    gentle = knobs(400, spread=0.5)
    image, logdet = spline(x, *gentle)
    back, minus = spline(image, *gentle, reverse=True)
    assert torch.allclose(back, x, atol=1e-4) and torch.allclose(minus, -logdet, atol=1e-3)


def test_spline_log_derivative_equals_autograd():
    """Catches a log-determinant that is not the map's own: the likelihood would reward nonsense."""
    x = torch.linspace(-4.9, 4.9, 301, requires_grad=True)
    image, logdet = spline(x, *knobs(301))
    slope, = torch.autograd.grad(image.sum(), x)
    assert torch.allclose(slope.log(), logdet, atol=2e-3)


def test_spline_rises_and_stays_inside():
    """Catches a spline that folds back: it would have no inverse."""
    raw = [k.expand(2000, -1) for k in knobs(1)]
    image, logdet = spline(torch.linspace(-5, 5, 2000), *raw)
    assert (image.diff() > 0).all() and image.abs().max() <= 5 + 1e-4
    assert torch.isfinite(logdet).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_spline_is_the_identity_outside_its_bound(reverse):
    """Catches long silences (durations beyond the bound) mapped to nan, and a jump where the identity
    begins."""
    x = torch.tensor([-1e4, -7.0, -5.0, 5.0, 6.5, 1e4])
    image, logdet = spline(x, *knobs(6), reverse)
    assert torch.equal(image, x) and not logdet.any()
    edge = torch.tensor([-5 + 1e-4, 5 - 1e-4])
    image, logdet = spline(edge, *knobs(2, spread=0.5), reverse)
    assert torch.allclose(image, edge, atol=1e-3) and logdet.abs().max() < 0.05


def test_spline_gradients_are_finite_everywhere():
    """Catches a where() whose unused branch is nan and poisons the gradient of the used one."""
    raw = [k.requires_grad_() for k in knobs(7, spread=5.0)]
    x = torch.tensor([-1e3, -5.0, -4.999, 0.0, 4.999, 5.0, 1e3], requires_grad=True)
    for reverse in (False, True):
        image, logdet = spline(x, *raw, reverse)
        for grad in torch.autograd.grad(image.sum() + logdet.sum(), [x, *raw]):
            assert torch.isfinite(grad).all()


def test_spline_keeps_any_shape():
    """Catches boolean indexing that flattens: the usual code fails on more than one axis."""
    x = torch.randn(2, 1, 3)
    image, logdet = spline(x, *knobs(2, 1, 3, K=4))
    assert image.shape == logdet.shape == x.shape


def test_flow_and_its_inverse_meet():
    """Catches couplings undone in the wrong order: synthesis would use another map than training."""
    flow = shaken(Flow(6, 8, 2, 4, G=5), 0.2)
    z, g, mask = torch.randn(2, 6, 9), torch.randn(2, 5, 1), torch.ones(2, 1, 9)
    z_p = flow(z, mask, g)
    assert not torch.allclose(z_p, z, atol=0.1) and z_p.shape == z.shape
    assert torch.allclose(flow(z_p, mask, g, reverse=True), z, atol=1e-4)


def test_flow_keeps_volume_and_starts_as_a_permutation():
    """Catches a coupling that scales: the KL term leaves out the log-determinant because it is zero."""
    flow = Flow(4, 6, 1, 3, G=3)
    g, mask, z = torch.randn(1, 3, 1), torch.ones(1, 1, 3), torch.randn(1, 4, 3)
    assert torch.equal(flow(z, mask, g), z.flip(1))  # three couplings, three flips
    shaken(flow, 0.4)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v.view(1, 4, 3), mask, g).flatten(),
                                                  z.flatten())
    assert float(torch.linalg.det(jacobian.double()).abs()) == pytest.approx(1, abs=1e-4)
    assert (jacobian - torch.eye(12)).abs().max() > 0.1


def test_flow_moves_every_channel_and_listens_to_the_voice():
    """Catches a forgotten flip (half of the channels never change) and a flow deaf to g (conversion would do
    nothing)."""
    flow = shaken(Flow(6, 8, 1, 2, G=5))
    z, mask, g = torch.randn(1, 6, 8), torch.ones(1, 1, 8), torch.randn(2, 5, 1)
    moved = (flow(z, mask, g[:1]) - z).abs().amax(2)
    assert (moved > 1e-4).all()
    assert not torch.allclose(flow(z, mask, g[:1]), flow(z, mask, g[1:]), atol=1e-3)


def test_flow_ignores_padding():
    """Catches a flow whose frames depend on how long the batch is."""
    flow = shaken(Flow(6, 8, 2, 4, G=5), 0.2)
    z, g = torch.randn(1, 6, 12), torch.randn(1, 5, 1)
    mask = torch.ones(1, 1, 12)
    mask[:, :, 7:] = 0
    assert torch.allclose(flow(z, mask, g)[:, :, :7], flow(z[:, :, :7], mask[:, :, :7], g), atol=1e-5)


def test_coupling_starts_as_the_identity():
    """Catches a random start: the prior then chases a moving target for its first thousand steps."""
    z = torch.randn(1, 6, 5)
    assert torch.equal(Coupling(6, 8, 2, 5)(z, torch.ones(1, 1, 5), torch.randn(1, 5, 1)), z)


def test_spline_coupling_inverts_and_counts_its_log_determinant():
    """Catches a log-determinant summed over padding or over the wrong axes."""
    net, H = shaken(SplineCoupling(4)), 4
    x, h, mask = torch.randn(2, 2, 3), torch.randn(2, H, 3), torch.ones(2, 1, 3)
    out, logdet = net(x, mask, h)
    back, minus = net(out, mask, h, True)
    assert torch.allclose(back, x, atol=1e-3) and torch.allclose(minus, -logdet, atol=1e-2)
    for b in range(2):
        jacobian = torch.autograd.functional.jacobian(
            lambda v, b=b: net(v.view(1, 2, 3), mask[:1], h[b:b + 1])[0].flatten(), x[b].flatten())
        assert float(torch.linalg.slogdet(jacobian.double()).logabsdet) == pytest.approx(logdet[b].item(),
                                                                                         abs=1e-2)
    mask[1, :, 2:] = 0
    short = net(x[1:, :, :2], mask[1:, :, :2], h[1:, :, :2])[1]
    assert torch.allclose(net(x, mask, h)[1][1:], short, atol=1e-5)
