"""The attractor network: exact reconstruction, attractors and masks against slow twins, and a real, tiny
training."""
import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lib import audio, losses, training
from lib.models.attractor import AttractorConfig, Length, SpeakerAttractor, modulus
from lib.voices import people
from lib.voices.extract import spoken

TINY = AttractorConfig(window=64, hop=32, D=6, channels=12, hidden=16, width=8, repeats=1, blocks=3)
PEOPLE = functools.partial(people.people, counting=AttractorConfig().counting)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return SpeakerAttractor(TINY)


def batch(B=2, S=2, T=1000, seed=1):
    sources = 0.1 * torch.randn(B, S, T, generator=torch.Generator().manual_seed(seed))
    return sources.sum(1, keepdim=True), sources


def explicit(net, mix):
    """Unit V [B, F, N, D] and level [B, F, N], with nothing saved."""
    level = modulus(net.encode(mix))[:, 0]
    return F.normalize(net.out(net.bins(level)[0]).unflatten(2, (-1, net.config.D)), dim=3), level


@pytest.mark.parametrize("T", [1, 31, 64, 1000, 1001])
@pytest.mark.parametrize("hop", [32, 16])
def test_every_length_comes_back(T, hop):
    """Catches edges that are windowed but never added up, and lengths that are no multiple of the hop."""
    net = SpeakerAttractor(AttractorConfig(window=64, hop=hop, D=4, channels=8, hidden=8, width=4, repeats=1,
                                           blocks=1))
    wav = torch.randn(2, 3, T)
    assert torch.allclose(net.decode(net.encode(wav), T), wav, atol=1e-4)


def test_frames_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="take a hop of a half"):
        SpeakerAttractor(AttractorConfig(window=64, hop=48))


def test_attractors_are_equation_2(net):
    """Catches a weight forgotten or a direction taken before its length is one: the library never makes V for
    this."""
    mix, sources = batch()
    out = net(mix, sources)
    V, level = explicit(net, mix)
    ideal = modulus(net.encode(sources))
    ideal = ideal / ideal.sum(1, keepdim=True)
    w = level / level.sum((1, 2), keepdim=True)
    slow = F.normalize(torch.einsum("bfnd,bsfn->bsd", V, w[:, None] * ideal), dim=2)
    assert torch.allclose(out["attractors"], slow, atol=1e-5)
    assert torch.allclose(out["weight"], w[:, None] * ideal, atol=1e-7)
    assert torch.allclose(out["weight"].sum((1, 2, 3)), torch.ones(2))
    cosine = torch.einsum("bfnd,bsd->bsfn", V, slow)
    assert torch.allclose(out["cosine"], cosine, atol=1e-4)
    assert torch.allclose(out["masks"], (net.sharpness.exp() * cosine).softmax(1), atol=1e-4)


@pytest.mark.parametrize("S", [1, 2, 3])
def test_masks_sum_to_one_so_that_sources_sum_to_the_mixture(net, S):
    """Catches sound that is lost or invented."""
    mix, sources = batch(S=S, T=777)
    for oracle in (False, True):
        out = net(mix, sources, oracle)
        assert torch.allclose(out["masks"].sum(1), torch.ones_like(out["masks"][:, 0]), atol=1e-5)
        assert out["est_sources"].shape == sources.shape
        assert torch.allclose(out["est_sources"].sum(1, keepdim=True), mix, atol=1e-4)


def test_loudness_says_nothing(net):
    """Catches a network that knows a person by the level of the recording."""
    mix, sources = batch()
    one, two = (net(gain * mix, gain * sources) for gain in (1.0, 0.01))
    assert torch.allclose(one["attractors"], two["attractors"], atol=1e-3)


def test_length_has_the_gradient_of_torch():
    V = torch.randn(3, 4, 5, requires_grad=True)
    ours, theirs = (torch.autograd.grad((f(V) * torch.arange(4)).sum(), V)[0] for f in (
        Length.apply, lambda V: torch.linalg.vector_norm(V, dim=-1)))
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_gradients_flow_where_they_should(net):
    """Catches a pretraining that leaves the basis alone, and a second stage that moves it or misses a
    layer."""
    mix, sources = batch()
    losses.negative_si_sdr(net(mix, sources, oracle=True)["est_sources"], sources).mean().backward()
    assert net.encoder.weight.grad.abs().sum() > 0
    assert net.decoder.weight.grad.abs().sum() > 0
    assert net.out.weight.grad is None
    net.zero_grad(set_to_none=True)
    net.encoder.requires_grad_(False), net.decoder.requires_grad_(False)
    out = net(mix, sources)
    (losses.negative_si_sdr(out["est_sources"],
                            sources).mean() + losses.compactness(out["cosine"], out["weight"])).backward()
    learned = {name for name, p in net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert learned == {name for name, _ in net.named_parameters()} - {"encoder.weight", "decoder.weight"}


def test_silence_and_a_click_are_survived(net):
    """Catches division by nothing: a batch may hold a silent source, a visitor may send a click."""
    mix, sources = batch()
    sources[:, 0] = 0
    out = net(sources.sum(1, keepdim=True), sources)
    assert all(torch.isfinite(value).all() for value in out.values())
    click = torch.zeros(1, 1, 4000)
    click[0, 0, 2000] = 0.5
    for wav in (click, torch.zeros(1, 1, 4000)):
        found = net.separate(wav, PEOPLE)
        assert all(np.isfinite(value).all() for value in found)


@pytest.mark.parametrize("K", [1, 2, 3, 4])
def test_separate_gives_what_was_asked_loudest_first(net, K):
    """Catches an order that the masks do not follow, and sound that does not add up to the mixture."""
    mix, _ = batch(1, 2, 3001)
    found = net.separate(mix, functools.partial(PEOPLE, speakers=K))
    assert found.wavs.shape == (K, 3001)
    assert found.attractors.shape == (K, 6)
    assert found.masks.shape[1:] == found.level.shape
    np.testing.assert_allclose(found.wavs.sum(0), mix[0, 0].numpy(), atol=1e-4)
    share = (found.masks * found.level).sum((1, 2))
    assert (np.diff(share) <= 0).all()
    np.testing.assert_allclose(np.linalg.norm(found.attractors, axis=1), 1, atol=1e-5)


def test_one_person_is_returned_whole(net):
    """Catches K = 1 that filters: the attractor of a clean clip is equation 2 with a mask of ones."""
    mix, _ = batch(1, 1, 4000)
    found = net.separate(mix, functools.partial(PEOPLE, speakers=1))
    np.testing.assert_allclose(found.wavs[0], mix[0, 0], atol=1e-4)
    loud = net(mix, mix)["attractors"][0, 0]  # leaves no bin out, so equal only nearly
    assert float(torch.tensor(found.attractors[0]) @ loud.detach()) > 0.99


def test_a_soft_round_is_equation_2_with_its_own_masks(net):
    """Catches masks of other attractors, and a mixture's level forgotten."""
    mix, _ = batch()
    V, level = explicit(net, mix)
    h, length = net.bins(level)
    start = F.normalize(torch.randn(2, 2, 6, generator=torch.Generator().manual_seed(3)), dim=2)
    masks = (net.sharpness.exp() * torch.einsum("bfnd,bsd->bsfn", V, start)).softmax(1)
    slow = F.normalize(torch.einsum("bfnd,bsfn->bsd", V, masks * level[:, None]), dim=2)
    assert torch.allclose(net.again(h, length, level, start), slow, atol=1e-5)


def test_what_is_found_in_training_is_what_separate_gives(net):
    """Catches a search that differs from that of use, exchanged mixtures, and a dead gradient."""
    mix, sources = batch()
    find = functools.partial(PEOPLE, speakers=2)
    est_found = net(mix, sources, find=find)["est_found"]
    for b in range(2):
        found = net.separate(mix[b: b + 1], find).wavs
        np.testing.assert_allclose(np.sort(est_found[b].detach(), 0), np.sort(found, 0), atol=1e-5)
    losses.negative_si_sdr(est_found, sources).sum().backward()
    assert net.out.weight.grad.abs().max() > 0


def test_windows_are_cut_half_overlapping(net):
    wav = torch.randn(1, 1, int(7.6 * audio.RATE)) * 0.1
    windows = net.windows(wav)
    assert windows.shape == (4, 6) and not windows.requires_grad
    cut = wav[:, :, 3 * audio.RATE: 6 * audio.RATE]
    assert torch.allclose(windows[2], net(cut, cut)["attractors"][0, 0], atol=1e-5)
    assert net.windows(wav[:, :, :5000]).shape == (1, 6)


def test_spoken_cuts_the_rests():
    """Catches a voice vector made mostly of what leaked from others."""
    wav = 1e-4 * np.random.default_rng(0).standard_normal(48_000).astype("float32")
    wav[16_000:32_000] += 0.1 * np.sin(np.arange(16_000) * 0.3).astype("float32")
    kept = spoken(wav)
    assert 16_000 <= len(kept) <= 16_000 + 26 * audio.HOP
    assert len(spoken(wav[17_000:20_000])) > 1024


def test_saved_and_loaded_it_separates_alike(net, tmp_path):
    """Catches sizes or the threshold lost on the way to the app."""
    training.save(tmp_path, net, TINY, {"data": "none", "licence": "none", "budget": "none", "figures": {}})
    again, _ = training.load(tmp_path, SpeakerAttractor, AttractorConfig)
    mix, sources = batch(1, 2, 2000)
    assert again.config == TINY
    with torch.no_grad():
        assert torch.allclose(again(mix, sources)["est_sources"], net(mix, sources)["est_sources"], atol=0.02)


def tones(seed):
    """Four mixtures of two harmonic tones from a low and a high range; people 0 and 1."""
    rng, t = np.random.default_rng(seed), np.arange(4000) / audio.RATE
    hz = rng.uniform((150, 420), (200, 520), (4, 2))
    sources = sum(np.sin(2 * np.pi * k * hz[..., None] * t + rng.uniform(0, 6, (4, 2, 1))) / k
                  for k in range(1, 6))
    sources = torch.tensor(0.1 * sources * (0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(2, 9, (4, 2, 1)) * t)),
                           dtype=torch.float32)
    return {"mix": sources.sum(1, keepdim=True), "sources": sources, "who": torch.tensor([[0, 1]] * 4)}


def test_a_tiny_training_separates():
    """Catches losses that fight or gradients that do not arrive: real steps, judged on mixtures not trained
    on, with K-means."""
    torch.manual_seed(0)
    net = SpeakerAttractor(AttractorConfig(window=256, hop=128, D=6, channels=16, hidden=24, width=12,
                                           repeats=1, blocks=2))

    def step(nets, one):
        out = nets["net"](one["mix"], one["sources"])
        yield "net", {"recon": losses.negative_si_sdr(out["est_sources"], one["sources"]).mean(),
                      "circle": losses.circle(out["attractors"].flatten(0, 1), one["who"].flatten()),
                      "compact": losses.compactness(out["cosine"], out["weight"])}

    def judge():
        one = tones(999)
        est = torch.stack([torch.tensor(net.separate(mix[None], functools.partial(PEOPLE, speakers=2)).wavs)
                           for mix in one["mix"]])
        return -float(losses.pit(losses.pairwise(est, one["sources"]))[0].mean())

    before = judge()
    optim = torch.optim.AdamW([p for name, p in net.named_parameters() if "coder" not in name], 1e-2)
    result = training.fit(step, {"net": net}, {"net": optim}, lambda rng: tones(int(rng.integers(500))), 120,
                          weights={
        "recon": 1.0, "circle": 5.0, "compact": 2.0}, log_every=10, mixed="no")
    first, last = result["log"][0], result["log"][-1]
    assert last["recon"] < first["recon"] - 2
    assert last["circle"] < first["circle"]
    assert last["compact"] < first["compact"]
    assert judge() > before + 3
