"""Losses against slow twins and brute force; people found among synthetic directions."""
import itertools

import numpy as np
import pytest
import torch

from lib import losses
from lib.evaluation import metrics
from lib.voices import people

# one more must bring points nearer by 0.1
COUNTING = [[float(j == k) for j in range(4)] + [-0.1 * k] for k in range(4)]


@pytest.fixture
def noise():
    return torch.Generator().manual_seed(0)


def clusters(K, P=400, D=12, spread=0.3, seed=0, weights=None):
    """(points [P, D], owner [P]) around K directions at right angles."""
    rng = torch.Generator().manual_seed(seed)
    owner = torch.multinomial(torch.tensor(weights or [1.0] * K), P, replacement=True, generator=rng)
    points = torch.eye(D)[owner] + spread * torch.randn(P, D, generator=rng) / D**0.5
    return torch.nn.functional.normalize(points, dim=1), owner


@pytest.mark.parametrize("T", [257, 1000])
def test_si_sdr_is_that_of_the_metrics(noise, T):
    """Catches a missing mean, a square too many, a wrong sign: the loss must be minus what is reported, far
    below its ceiling."""
    ref, est = torch.randn(3, T, generator=noise), torch.randn(3, T, generator=noise)
    ours = -losses.negative_si_sdr(ref + 2 * est + 0.3, ref, most=90.0)
    np.testing.assert_allclose(ours.numpy(), metrics.si_sdr((ref + 2 * est + 0.3).numpy(), ref.numpy()),
                               atol=0.01)


def test_scale_does_not_matter_and_perfection_stops_at_the_ceiling(noise):
    """Catches an easy mixture that outshouts all others."""
    ref = torch.randn(2, 500, generator=noise)
    assert torch.allclose(losses.negative_si_sdr(7 * ref, ref), torch.tensor(-30.0), atol=0.01)
    est = ref + 0.5 * torch.randn(2, 500, generator=noise)
    assert torch.allclose(losses.negative_si_sdr(est, ref), losses.negative_si_sdr(0.01 * est, ref),
                          atol=1e-3)


def test_silence_costs_nothing_and_breaks_nothing():
    """Catches nan from a silent source, or from silence as an answer."""
    est = torch.randn(2, 2, 100, requires_grad=True)
    sources = torch.stack([torch.zeros(2, 100), torch.randn(2, 100)], 1)
    loss = losses.negative_si_sdr(est, sources)
    assert torch.equal(loss[:, 0], torch.zeros(2))
    loss.sum().backward()
    assert torch.isfinite(est.grad).all()
    assert est.grad[:, 0].abs().max() == 0
    assert est.grad[:, 1].abs().max() > 0
    assert torch.isfinite(losses.negative_si_sdr(torch.zeros(1, 100), torch.randn(1, 100))).all()


def test_pairwise_is_every_estimate_against_every_source(noise):
    """Catches exchanged axes: rows are estimates."""
    est, sources = torch.randn(2, 3, 200, generator=noise), torch.randn(2, 3, 200, generator=noise)
    table = losses.pairwise(est, sources)
    assert table.shape == (2, 3, 3)
    for b, e, s in itertools.product(range(2), range(3), range(3)):
        assert torch.isclose(table[b, e, s], losses.negative_si_sdr(est[b, e], sources[b, s]), atol=1e-4)


@pytest.mark.parametrize("S", [1, 2, 3, 4])
def test_pit_against_brute_force(noise, S):
    """Catches an order that is the inverse of the right one, which two people never show."""
    table = torch.randn(20, S, S, generator=noise)
    least, order = losses.pit(table)
    for b in range(20):
        tried = {p: np.mean([float(table[b, e, s]) for s, e in enumerate(p)])
                 for p in itertools.permutations(range(S))}
        best = min(tried, key=tried.get)
        assert tuple(order[b].tolist()) == best and float(least[b]) == pytest.approx(tried[best], abs=1e-5)


def row_of_naive_circle(attractors, who, i=0, margin=0.25, scale=32.0):
    """[CIRCLE] eq. (6) for attractor i, one partner at a time, in double precision."""
    pull = push = 0.0
    a = attractors.double()
    for j in range(len(a)):
        s = float(a[i] @ a[j])
        if j != i and who[i] == who[j]:
            pull += np.exp(-scale * max(1 + margin - s, 0) * (s - (1 - margin)))
        elif who[i] != who[j]:
            push += np.exp(scale * max(s + margin, 0) * (s - margin))
    return np.log1p((pull or 1.0) * (push or 1.0)) / scale


def naive_circle(attractors, who):
    return np.mean([row_of_naive_circle(attractors, who, i) for i in range(len(who))])


def test_circle_twin(noise):
    """Catches a forgotten partner or an attractor compared with itself; person 9 has no partner."""
    attractors = torch.nn.functional.normalize(torch.randn(7, 5, generator=noise), dim=1)
    who = torch.tensor([4, 2, 4, 2, 2, 9, 4])
    assert float(losses.circle(attractors, who)) == pytest.approx(naive_circle(attractors, who), abs=1e-4)


def test_circle_of_known_twin(noise):
    """Catches a direction that is not made unit, or one's own among those that push."""
    attractors = torch.nn.functional.normalize(torch.randn(4, 5, generator=noise), dim=1)
    known = 3 * torch.randn(6, 5, generator=noise)
    who = torch.tensor([5, 0, 5, 2])
    everybody = torch.arange(6)
    each = []
    for i in range(4):
        alone = torch.cat([attractors[i: i + 1], torch.nn.functional.normalize(known, dim=1)])
        each.append(row_of_naive_circle(alone, torch.cat([who[i: i + 1], everybody])))
    assert float(losses.circle_of_known(attractors, who, known)) == pytest.approx(np.mean(each), abs=1e-4)


def test_circle_pulls_people_together_and_strangers_apart():
    """Catches a sign: some steps along the gradient must order the sphere."""
    torch.manual_seed(0)
    raw, who = torch.nn.Parameter(torch.randn(8, 6)), torch.arange(8) // 2
    optim = torch.optim.SGD([raw], 2.0)
    for _ in range(200):
        unit = torch.nn.functional.normalize(raw, dim=1)
        optim.zero_grad()
        losses.circle(unit, who).backward()
        optim.step()
    cosine, same = (unit @ unit.T).detach(), who[:, None] == who
    assert cosine[same].min() > 0.7 and cosine[~same].max() < 0.4


def test_affinity_is_over_all_pairs(noise):
    """Catches a pair forgotten, and a cross term of the wrong size."""
    v, y = torch.randn(1, 40, 5, generator=noise), torch.rand(1, 40, 2, generator=noise)
    gaps = [v[0, i] @ v[0, j] - y[0, i] @ y[0, j] for i in range(40) for j in range(40)]
    assert torch.isclose(losses.affinity(v, y), torch.stack(gaps).square().sum(), rtol=1e-4)


def test_compactness_is_one_minus_the_weighted_cosine():
    cosine, weight = torch.tensor([[[1.0, 0.0]], [[0.5, -1.0]]]), torch.tensor([[[0.5, 0.5]], [[1.0, 0.0]]])
    assert float(losses.compactness(cosine, weight)) == pytest.approx((0.5 + 0.5) / 2)


@pytest.mark.parametrize("K", [1, 2, 3, 4])
def test_kmeans_finds_the_clusters(K):
    """Catches a start that leaves two clusters as one, and centres off the sphere."""
    points, owner = clusters(K)
    centres, nearest, mean = people.spherical_kmeans(points, torch.ones(len(points)), K)
    assert torch.allclose(centres.norm(dim=1), torch.ones(K), atol=1e-5)
    assert len({(int(a), int(b)) for a, b in zip(owner, nearest)}) == K, "every cluster is one person's"
    again, _, _ = people.spherical_kmeans(points, torch.ones(len(points)), K)
    assert torch.equal(centres, again), "no chance in it"


def test_kmeans_listens_to_loud_points():
    """Catches ignored weights: a crowd of quiet points must not own a centre."""
    points, owner = clusters(3)
    weight = torch.where(owner == 2, 1e-6, 1.0)
    centres, _, _ = people.spherical_kmeans(points, weight, 2)
    assert (centres @ torch.eye(12)[:3].T).amax(0)[2] < 0.3


@pytest.mark.parametrize("K", [1, 2, 3, 4])
def test_people_are_counted(K):
    """Catches one person taken for two, and two for one."""
    points, _ = clusters(K, P=600, spread=0.6)
    weight = torch.rand(600, generator=torch.Generator().manual_seed(1))
    assert len(people.people(points, weight, COUNTING)) == K
    assert len(people.people(points, weight, COUNTING, speakers=2)) == 2


def test_a_trace_of_somebody_is_nobody():
    """Catches crumbs counted as people: 2 % of the level is a door, or a mistake."""
    points, _ = clusters(2, P=1000, weights=[0.98, 0.02])
    assert len(people.people(points, torch.ones(1000), COUNTING)) == 1


@pytest.mark.parametrize("speakers", [0, 5, -1, "two"])
def test_impossible_numbers_are_refused(speakers):
    with pytest.raises(ValueError, match="choose 1 to 4"):
        people.people(torch.eye(3), torch.ones(3), COUNTING, speakers)
