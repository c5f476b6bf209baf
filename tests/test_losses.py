"""Every loss against a slow twin, and against what stands behind the mask."""
import math

import pytest
import torch

from lib import audio, losses
from lib.losses import flow_matching
from lib.nn.blocks import sequence_mask


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def mask():
    return sequence_mask(torch.tensor([5, 3]))


def latents(count):
    return [torch.randn(2, 4, 5) for _ in range(count)]


def inside(values, mask):
    """Mean over channels and valid frames, one number at a time."""
    kept = [values[b, c, f] for b in range(2) for c in range(values.shape[1]) for f in range(5)
            if mask[b, 0, f]]
    return sum(kept) / len(kept)


def loud_padding(x, mask):
    return torch.where(mask.bool(), x, torch.tensor(50.0))


def test_total_weighs_by_name_and_refuses_unknown_names():
    """Catches a loss that silently counts nothing because its name was misspelt."""
    parts = {"mel": torch.tensor(2.0), "kl": torch.tensor(3.0)}
    assert losses.total(parts, {"mel": 10.0, "kl": 0.5, "unused": 1.0}) == 21.5
    with pytest.raises(KeyError, match="rythm.*table has"):
        losses.total({"rythm": torch.tensor(1.0)}, {"rhythm": 1.0})


def test_masked_mean_counts_valid_values_only(mask):
    """Catches a mean over padding: short clips would weigh less, and an empty mask would be nan."""
    values, = latents(1)
    assert losses.masked_mean(values, mask).item() == pytest.approx(inside(values, mask).item(), abs=1e-6)
    assert losses.masked_mean(loud_padding(values, mask),
                              mask).item() == pytest.approx(inside(values, mask).item(), abs=1e-6)
    assert losses.masked_mean(values, torch.zeros_like(mask)) == 0


def test_kl_equals_its_expectation_and_ignores_padding(mask):
    """Catches a standard deviation taken for a variance in [VITS] eq. (3), or a sign: the mean over samples
    is the exact KL."""
    m_q, logs_q, m_p, logs_p = latents(4)
    logs_q, logs_p = 0.3 * logs_q, 0.3 * logs_p
    z = m_q + torch.randn(4000, *m_q.shape) * logs_q.exp()
    twin = torch.distributions.kl_divergence(torch.distributions.Normal(m_q, logs_q.exp()),
                                             torch.distributions.Normal(m_p, logs_p.exp()))
    found = torch.stack([losses.kl(one, logs_q, m_p, logs_p, mask) for one in z]).mean().item()
    assert found == pytest.approx(inside(twin, mask).item(), rel=0.02)
    one = losses.kl(z[0], logs_q, m_p, logs_p, mask)
    assert torch.allclose(one, losses.kl(z[0], logs_q, loud_padding(m_p, mask), logs_p, mask))


def test_kl_standard_equals_torchs(mask):
    """Catches a wrong constant: z would be pulled to another scale than the flow expects."""
    m_q, logs_q = latents(2)
    normal = torch.distributions.Normal
    twin = torch.distributions.kl_divergence(normal(m_q, logs_q.exp()),
                                             normal(torch.zeros(()), torch.ones(())))
    assert losses.kl_standard(m_q, logs_q, mask).item() == pytest.approx(inside(twin, mask).item(), rel=1e-5)
    assert torch.allclose(losses.kl_standard(loud_padding(m_q, mask), logs_q, mask),
                          losses.kl_standard(m_q, logs_q, mask))
    assert losses.kl_standard(torch.zeros(2, 4, 5), torch.zeros(2, 4, 5), mask) == 0


def test_aam_softmax_equals_a_naive_twin_and_the_margin_hurts():
    """Catches a margin added to the wrong class, to the cosine instead of the angle, or after the scale."""
    spk_emb, weight = torch.nn.functional.normalize(torch.randn(3, 6), dim=1), torch.randn(4, 6)
    speaker, total = torch.tensor([2, 0, 3]), 0.0
    for row, own in zip(spk_emb, speaker.tolist()):
        logits = []
        for s in range(4):
            angle = math.acos(float(row @ weight[s] / weight[s].norm()))
            logits.append(30 * math.cos(angle + 0.2 * (s == own)))
        total += math.log(sum(math.exp(v - logits[own]) for v in logits)) / 3
    assert losses.aam_softmax(spk_emb, weight, speaker).item() == pytest.approx(total, rel=1e-4)
    assert losses.aam_softmax(spk_emb, weight,
                              speaker) > losses.aam_softmax(spk_emb, weight, speaker, margin=0.0)


def test_aam_softmax_has_a_gradient_where_vectors_coincide():
    """Catches the infinite slope of acos at one: a perfect embedding would turn the weights to nan."""
    weight = torch.eye(4, requires_grad=True)
    losses.aam_softmax(torch.eye(4), weight, torch.arange(4)).backward()
    assert torch.isfinite(weight.grad).all()


def test_angular_prototypical_equals_a_naive_twin():
    """Catches queries compared with queries, and a negative scale that would turn the loss round."""
    spk_emb, scale, offset = torch.nn.functional.normalize(torch.randn(4, 2, 6),
                                                           dim=2), torch.tensor(10.0), torch.tensor(-5.0)
    twin = 0.0
    for p in range(4):
        logits = [10 * float(spk_emb[p, 0] @ spk_emb[q, 1]) - 5 for q in range(4)]
        twin -= math.log(math.exp(logits[p]) / sum(map(math.exp, logits))) / 4
    assert losses.angular_prototypical(spk_emb, scale, offset).item() == pytest.approx(twin, rel=1e-4)
    assert losses.angular_prototypical(spk_emb, torch.tensor(-10.0),
                                       offset).item() == pytest.approx(math.log(4), rel=1e-3)


def test_mel_losses_are_zero_on_equal_sound_and_grow_with_the_difference():
    """Catches a sum for a mean, and windows that are left out of the multi-resolution loss."""
    mel_hat, mel = torch.randn(2, 80, 7), torch.randn(2, 80, 7)
    assert losses.mel_l1(mel_hat, mel).item() == pytest.approx((mel_hat - mel).abs().mean().item(), rel=1e-5)
    wav = 0.1 * torch.randn(2, 1, 4096)
    assert losses.multi_mel(wav, wav) == 0
    small, large = losses.multi_mel(wav * 0.9, wav), losses.multi_mel(wav * 0.5, wav)
    assert 0 < small < large and large.item() == pytest.approx(math.log(2), rel=0.05)
    twin = sum((audio.mel(wav * 0.5, n, m) - audio.mel(wav, n, m)).abs().mean()
               for n, m in ((512, 40), (1024, 80), (2048, 80))) / 3
    assert torch.allclose(large, twin)


def test_duration_mse_equals_a_naive_twin(mask):
    """Catches frames compared with log frames, and padded tokens (w = 0) that would dominate everything."""
    logw_hat, w = torch.randn(2, 1, 5), torch.tensor([[[1.0, 2, 3, 9, 1]], [[4, 1, 2, 0, 0]]])
    twin = sum((logw_hat[b, 0, n] - math.log(w[b, 0, n])) ** 2 for b, N in ((0, 5), (1, 3))
               for n in range(N)) / 8
    assert losses.duration_mse(logw_hat, w, mask).item() == pytest.approx(twin.item(), rel=1e-4)
    assert torch.isfinite(losses.duration_mse(logw_hat, torch.zeros_like(w), mask))


def test_adversarial_losses_equal_naive_twins():
    """Catches real and fake exchanged: the critic would learn the opposite."""
    real, fake = [torch.randn(2, 3), torch.randn(2, 5)], [torch.randn(2, 3), torch.randn(2, 5)]
    twin = sum(((r - 1) ** 2).mean() + (f**2).mean() for r, f in zip(real, fake)) / 2
    assert torch.allclose(losses.discriminator_adv(real, fake), twin)
    assert torch.allclose(losses.generator_adv(fake), sum(((f - 1) ** 2).mean() for f in fake) / 2)
    perfect = [torch.ones(2, 3)], [torch.zeros(2, 3)]
    assert losses.discriminator_adv(*perfect) == 0 and losses.generator_adv(perfect[0]) == 0
    with pytest.raises(ValueError, match="shorter|longer"):
        losses.discriminator_adv(real, fake[:1])


def test_feature_matching_teaches_the_generator_only():
    """Catches a gradient that reaches the real features: the critic would learn to blur them."""
    fmap_r, fmap_g = ([[torch.randn(2, 3, requires_grad=True), torch.randn(2, 4, requires_grad=True)]]
                      for _ in range(2))
    loss = losses.feature_matching(fmap_r, fmap_g)
    assert torch.allclose(loss, sum((r - g).abs().mean() for r, g in zip(fmap_r[0], fmap_g[0])) / 2)
    loss.backward()
    assert all(r.grad is None for r in fmap_r[0]) and all(g.grad is not None for g in fmap_g[0])


def test_speaker_consistency_is_one_minus_the_cosine():
    """Catches a sign: the voice would be pushed away from the one that was asked for."""
    one = torch.nn.functional.normalize(torch.randn(3, 6), dim=1)
    assert losses.speaker_consistency(one, one).item() == pytest.approx(0, abs=1e-6)
    assert losses.speaker_consistency(one, -one).item() == pytest.approx(2, abs=1e-6)
    other = torch.nn.functional.normalize(torch.randn(3, 6), dim=1)
    twin = 1 - sum(float(a @ b) for a, b in zip(one, other)) / 3
    assert losses.speaker_consistency(one, other).item() == pytest.approx(twin, abs=1e-6)


def test_losses_are_float32_whatever_they_are_given(mask):
    """Catches sums in 16 bits under autocast, which stop changing after a few hundred terms."""
    half = [t.bfloat16() for t in latents(4)]
    assert losses.kl(*half, mask).dtype == torch.float32
    assert losses.kl_standard(*half[:2], mask).dtype == torch.float32
    assert losses.generator_adv(half[:1]).dtype == losses.mel_l1(*half[:2]).dtype == torch.float32


def test_one_pass_learns_to_go_where_guidance_leads_two():
    """Of a teacher that knows the data by heart; with a guidance of one nothing is added to the data."""
    v, untold = latents(2)
    by_two_passes = untold + 1.5 * (v - untold)
    torch.testing.assert_close(flow_matching.guided(v, v, untold, 1.5), by_two_passes)
    torch.testing.assert_close(flow_matching.guided(v, v, untold, 1.0), v)
