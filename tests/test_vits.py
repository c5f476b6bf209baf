"""VITS and its codec, very small: forward, infer and convert, and the rhythm as a real distribution."""

import dataclasses
import math

import pytest
import torch

from lib import audio, losses
from lib.models.codec import Codec, CodecConfig
from lib.models.vits import Vits, VitsConfig, whole
from lib.nn.blocks import sequence_mask, slices

TINY = VitsConfig(
    12, hidden=16, text_layers=1, flow_channels=8, flow_layers=1, couplings=2, rhythm_channels=8
)
TINY_CODEC = CodecConfig(
    (("verification", 8), ("attractor", 4)),
    C=4,
    G=6,
    hidden=16,
    posterior_layers=1,
    decoder_channels=16,
    decoder_layers=1,
    segment=8,
)


def tiny(**more):
    """An untrained VITS around a codec of its own; more: other sizes of that."""
    return Vits(TINY, Codec(dataclasses.replace(TINY_CODEC, **more)))


def shake(net, std=0.05):
    """Move every weight away from its start: zero-initialised layers would hide faults."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(std * torch.randn_like(parameter))
    return net


@pytest.fixture
def net():
    torch.manual_seed(0)
    return shake(tiny()).eval()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    t = torch.arange(20 * audio.HOP) / audio.RATE
    wav = 0.1 * torch.stack([torch.sin(2 * torch.pi * hz * t) for hz in (200, 330)])[
        :, None
    ] + 0.01 * torch.randn(2, 1, len(t))
    return {
        "x": torch.randint(1, 12, (2, 5)),
        "tokens": torch.tensor([5, 3]),
        "frames": torch.tensor([20, 14]),
        "wav": wav,
        "spec": audio.spectrogram(wav),
        "spk_emb": torch.nn.functional.normalize(torch.randn(2, 8), dim=1),
    }


def cached(batch, net):
    """The batch with the latents of its spec, exact (no noise), in place of the spec."""
    m_q = net(batch, ())["m_q"].detach()
    return {k: v for k, v in batch.items() if k != "spec"} | {
        "m_q": m_q,
        "logs_q": torch.full_like(m_q, -30.0),
    }


def test_forward_gives_what_the_losses_need_in_the_right_shapes(net, batch):
    """Catches a shape or a key that changed under the lessons."""
    out = net(batch)
    shapes = {
        "m_q": (2, 4, 20),
        "logs_q": (2, 4, 20),
        "z_mask": (2, 1, 20),
        "start": (2,),
        "wav_hat": (2, 1, 8 * audio.HOP),
        "z_p": (2, 4, 20),
        "m_p": (2, 4, 20),
        "logs_p": (2, 4, 20),
        "path": (2, 5, 20),
        "w": (2, 1, 5),
        "x_mask": (2, 1, 5),
        "logw": (2, 1, 5),
        "rhythm": (2,),
    }
    assert {name: tuple(value.shape) for name, value in out.items()} == shapes
    assert all(torch.isfinite(value).all() for value in out.values())
    assert (out["start"] >= 0).all() and (out["start"] + 8 <= batch["frames"]).all()
    assert torch.equal(out["path"].sum((1, 2)), batch["frames"].float())
    assert set(net(batch, ("autoencoder",))) == {"start", "wav_hat", "m_q", "logs_q", "z_mask"}
    assert "wav_hat" not in net(batch, ("prior",))


def test_one_objective_trains_on_a_fixed_batch(batch):
    """Catches a loss that does not reach its module: [VITS] in one stage must learn a batch by heart."""
    torch.manual_seed(0)
    net = tiny()
    optim, seen = torch.optim.Adam(net.parameters(), 5e-3), []
    for _ in range(25):
        torch.manual_seed(5)  # the same noise and slices: the loss is a function of the weights alone
        out = net(batch)
        wav = slices(batch["wav"], out["start"] * audio.HOP, out["wav_hat"].shape[2])
        parts = {
            "mel": losses.multi_mel(out["wav_hat"], wav),
            "kl": losses.kl(out["z_p"], out["logs_q"], out["m_p"], out["logs_p"], out["z_mask"]),
            "duration": losses.duration_mse(out["logw"], out["w"], out["x_mask"]),
            "rhythm": out["rhythm"].mean(),
        }
        optim.zero_grad()
        sum(parts.values()).backward()
        unused = ("codec.conditioning.project.attractor", "codec.conditioning.band")
        unreached = [
            name for name, p in net.named_parameters() if p.grad is None and not name.startswith(unused)
        ]
        assert not unreached
        optim.step()
        seen.append({name: value.item() for name, value in parts.items()})
    assert all(seen[-1][name] < seen[0][name] - 0.02 for name in seen[0]), (seen[0], seen[-1])


def test_padding_changes_nothing(net, batch):
    """Catches a frame or token behind the mask that is heard: a clip would be learned differently in every
    batch."""
    alone = {k: v[1:] for k, v in batch.items()} | {
        "x": batch["x"][1:, :3],
        "spec": batch["spec"][1:, :, :14],
    }
    whole_batch, single = net(batch, ()), net(alone, ())
    for name in ("m_q", "logs_q"):
        assert torch.allclose(whole_batch[name][1:, :, :14], single[name], atol=1e-5), name
    with torch.no_grad():
        one, two = net(cached(batch, net), ("prior",)), net(cached(alone, net), ("prior",))
    for name in ("z_p", "m_p", "logs_p"):
        assert torch.allclose(one[name][1:, :, :14], two[name], atol=1e-4), name
        assert not one[name][1, :, 14:].any() or name == "z_p"
    assert torch.equal(one["path"][1:, :3, :14], two["path"])
    assert torch.allclose(one["logw"][1:, :, :3], two["logw"], atol=1e-4) and not one["logw"][1, :, 3:].any()


def test_cached_latents_equal_the_posterior_they_came_from(net, batch):
    """Catches a second stage that trains on other latents than the first stage made."""
    out = net(batch, ())
    torch.manual_seed(7)
    fresh = net(batch, ("prior",))
    torch.manual_seed(7)
    stored = net(
        {k: v for k, v in batch.items() if k != "spec"} | {"m_q": out["m_q"], "logs_q": out["logs_q"]},
        ("prior",),
    )
    assert all(torch.equal(fresh[name], stored[name]) for name in fresh)


def test_rhythm_does_not_pull_the_text_encoder(net, batch):
    """Catches the missing stop-gradient of [VITS] sec. 2.2.3."""
    out = net(batch, ("prior",))
    (out["logw"].sum() + out["rhythm"].sum()).backward()
    assert all(p.grad is None for part in (net.text, net.codec, net.flow) for p in part.parameters())
    assert all(p.grad is not None for part in (net.durations, net.rhythm) for p in part.parameters())


def speaking(net, frames=6.0):
    """The net with durations near `frames` per token."""
    torch.nn.init.constant_(net.durations.out.bias, math.log(frames))
    torch.nn.init.constant_(net.rhythm.shift, math.log(frames))
    return net


@pytest.mark.parametrize("stochastic", [False, True])
def test_infer_repeats_under_a_seed_and_obeys_speed(net, batch, stochastic):
    """Catches hidden randomness, and a speed that multiplies where it should divide."""
    speaking(net)

    def say(seed, **more):
        torch.manual_seed(seed)
        return net.infer(
            batch["x"][:1], batch["spk_emb"][:1], stochastic=stochastic, rhythm_scale=0.8 * stochastic, **more
        )

    wav, path = say(0)
    assert wav.shape == (1, 1, path.shape[2] * audio.HOP) and path.shape[1] == 5
    assert torch.equal(path.sum(1), torch.ones(1, path.shape[2]))
    assert torch.equal(say(0)[0], wav)
    other = say(1)[0]
    assert other.shape != wav.shape or not torch.allclose(other, wav, atol=1e-5)
    slow, fast = say(0, speed=0.5)[0].shape[2], say(0, speed=2.0)[0].shape[2]
    assert slow == pytest.approx(2 * wav.shape[2], abs=2 * audio.HOP) and fast == pytest.approx(
        wav.shape[2] / 2, abs=2 * audio.HOP
    )


def test_infer_without_noise_is_fixed_and_noise_scale_widens_it(net, batch):
    """Catches a temperature that is not applied: expressiveness 0 would still change with the seed."""
    speaking(net)

    def say(seed, noise_scale):
        torch.manual_seed(seed)
        return net.infer(batch["x"][:1], batch["spk_emb"][:1], noise_scale=noise_scale)[0]

    assert torch.equal(say(0, 0.0), say(1, 0.0))
    distance = [(say(0, s) - say(0, 0.0)).abs().mean() for s in (0.1, 0.5, 1.0)]
    assert 0 < distance[0] < distance[1] < distance[2]


def test_infer_says_something_even_when_durations_vanish(net, batch):
    """Catches a crash on zero frames: a hurried net and a short word must still give sound."""
    speaking(net, 1e-4)
    wav, path = net.infer(batch["x"][:1, :1], batch["spk_emb"][:1], speed=2.0)
    assert path.shape[2] >= 1 and wav.shape[2] == path.shape[2] * audio.HOP and torch.isfinite(wav).all()


def test_voice_and_kind_matter_and_unknown_kinds_are_refused(net, batch):
    """Catches a model that speaks in one voice whatever it is given."""
    speaking(net)

    def say(spk_emb, kind="verification"):
        return net.infer(batch["x"][:1], spk_emb, noise_scale=0.0, kind=kind)[0]

    one, two = say(batch["spk_emb"][:1]), say(batch["spk_emb"][1:])
    assert one.shape != two.shape or not torch.allclose(one, two, atol=1e-4)
    assert torch.isfinite(say(torch.randn(1, 4), "attractor")).all()
    with pytest.raises(ValueError, match="'semantic'"):
        say(batch["spk_emb"][:1], "semantic")


def test_band_conditions_training_only_where_it_is_one(net, batch):
    """Catches a bandwidth flag that is ignored: narrow recordings would teach every voice to be dull."""
    torch.nn.init.normal_(net.codec.conditioning.band)
    plain, told = net(batch, ())["m_q"], net(batch | {"band": torch.tensor([0.0, 1.0])}, ())["m_q"]
    assert torch.equal(plain[0], told[0]) and not torch.allclose(plain[1], told[1], atol=1e-4)


def test_convert_keeps_length_and_changes_the_voice(net, batch):
    """Catches conversion that forgets the target, or goes through the flow the wrong way round: to one's
    own voice it is resynthesis."""
    wav, own, to = batch["wav"][:1, :, :5000], batch["spk_emb"][:1], batch["spk_emb"][1:]
    out = net.convert(wav, own, to)
    assert out.shape == (1, 1, 5000 // audio.HOP * audio.HOP)
    with torch.no_grad():
        m_q, _, g = net.codec.encode(wav, own)
        assert torch.allclose(net.convert(wav, own, own), net.codec.decoder(m_q, g), atol=1e-3)
    assert not torch.allclose(out, net.convert(wav, own, own), atol=1e-3)


def test_whole_rounds_without_drift():
    """Catches speech that gets shorter with every token because each duration is rounded on its own."""
    w = torch.full((1, 1, 1000), 2.4)
    out = whole(w)
    assert out.sum() == 2400 and set(out.unique().tolist()) == {2.0, 3.0}
    assert whole(torch.tensor([[[0.2, 0.2, 0.2]]])).tolist() == [[[0, 0, 1]]]


def test_hifigan_is_a_drop_in_decoder(batch):
    """Catches a decoder that one config cannot exchange for the other."""
    torch.manual_seed(0)
    net = tiny(decoder="hifigan", decoder_channels=32)
    assert net(batch, ("autoencoder",))["wav_hat"].shape == (2, 1, 8 * audio.HOP)


# ---------------------------------------------------------------- rhythm


def bend(predictor):
    """Splines that bend a little, and durations that stay below a second."""
    torch.manual_seed(3)
    for coupling in predictor.couplings:
        torch.nn.init.normal_(coupling.out.weight, std=0.05)
        torch.nn.init.normal_(coupling.out.bias, std=0.05)
    torch.nn.init.constant_(predictor.scale, -0.7)


@pytest.fixture
def rhythm(net):
    """The stochastic predictor with splines that bend, one token's context, and a voice."""
    bend(net.rhythm)
    return net.rhythm, torch.randn(1, 16, 1), torch.randn(1, 6, 1)


@torch.no_grad()
def probability(predictor, h, g, w, count=3000):
    """P(duration is w frames), by importance sampling over what `forward` draws itself: u (dequantisation),
    then two normals."""
    w = torch.full((count, 1, 1), float(w))
    torch.manual_seed(int(w[0, 0, 0]))
    nll = predictor(h.expand(count, -1, -1), torch.ones(count, 1, 1), g.expand(count, -1, -1), w)
    torch.manual_seed(int(w[0, 0, 0]))
    u, free = torch.rand_like(w).clamp(1e-3, 1 - 1e-3), torch.randn_like(w)
    log_free = -0.5 * (free**2 + math.log(2 * math.pi))
    return (
        (-nll - (log_free + torch.log(w + u))[:, 0, 0]).exp().mean().item()
    )  # the density was of log(w + u)


def test_rhythm_is_a_distribution_and_samples_come_from_it(rhythm):
    """Catches a missing log-determinant, a flip undone in the wrong order, or a sampler of another model
    than the one trained."""
    predictor, h, g = rhythm
    shares = [probability(predictor, h, g, w) for w in range(50)]
    assert sum(shares) == pytest.approx(1, abs=0.03)
    torch.manual_seed(0)
    with torch.no_grad():
        logw = predictor.sample(h.expand(8000, -1, -1), torch.ones(8000, 1, 1), g.expand(8000, -1, -1), 1.0)
    drawn = (logw.exp() + 0.5).floor().flatten()
    for w in range(1, 8):
        assert (drawn == w).float().mean().item() == pytest.approx(shares[w], abs=0.025), w


def test_rhythm_learns_a_duration():
    """Catches a likelihood that falls while the durations it was shown become less likely."""
    torch.manual_seed(0)
    net = tiny()
    h, g, mask, w = (
        torch.randn(4, 16, 3),
        torch.randn(4, 6, 1),
        torch.ones(4, 1, 3),
        torch.tensor([2.0, 8, 4]).expand(4, 1, 3),
    )
    optim = torch.optim.Adam(net.rhythm.parameters(), 2e-2)
    for _ in range(80):
        optim.zero_grad()
        net.rhythm(h, mask, g, w).mean().backward()
        optim.step()
    said = net.rhythm.sample(h, mask, g, 0.0).exp().mean(0)[0]
    assert (torch.log(said / w[0, 0]).abs() < 0.45).all(), said


def test_rhythm_ignores_padding(net):
    """Catches a likelihood per token that depends on the length of the longest sentence in the batch."""
    bend(net.rhythm)
    h, g, w, mask = (
        torch.randn(2, 16, 6),
        torch.randn(2, 6, 1),
        torch.full((2, 1, 6), 3.0),
        sequence_mask(torch.tensor([6, 2])),
    )
    w = w * mask

    def mean(h, mask, g, w):
        with torch.no_grad():
            many = net.rhythm(*(t.repeat(3000, 1, 1) for t in (h, mask, g, w)))
        return many.view(3000, -1).mean(0)

    padded, alone = mean(h, mask, g, w)[1], mean(h[1:, :, :2], mask[1:, :, :2], g[1:], w[1:, :, :2])[0]
    assert padded.item() == pytest.approx(alone.item(), abs=0.08)
