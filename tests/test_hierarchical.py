"""The hierarchical synthesiser: both flows there and back, twins of what it is built from, lengths, learning,
conversion by it."""
import math

import numpy as np
import pytest
import torch
from conftest import UNTRAINED

from lib import losses, training
from lib.models import hierarchical
from lib.models.harmonic import HarmonicCodec, HarmonicCodecConfig
from lib.models.hierarchical import MOST_CONTRAST, WEIGHTS, Hierarchical, HierarchicalConfig, hidden_at_random
from lib.models.semantic import Semantic, SemanticConfig
from lib.nn import fine, pitch
from lib.nn.adaptive import AdaptiveBlock
from lib.voices import Voices

M, S, D, C = 128, 96, 16, 6
TINY = HierarchicalConfig(D=D, C=C, H=16, layers=2, looks=(1,), reference_layers=1, hidden=16,
                          semantic_layers=1, acoustic_layers=1, decoder_layers=1, f0_layers=1, couplings=3)


def built(heard=True):
    """A small synthesiser; heard: every part that starts without effect has one."""
    torch.manual_seed(0)
    net = Hierarchical(TINY, HarmonicCodec(HarmonicCodecConfig(channels=16, layers=1)))
    if heard:
        for name, weight in net.named_parameters():
            if not name.startswith("harmonic") and weight.dim() > 1 and not weight.any():
                torch.nn.init.normal_(weight, std=0.1)
    return net.eval()


@pytest.fixture(scope="module")
def net():
    return built()


def batch(B=3, F=21, L=9):
    """A step's batch of random frames; the second row is shorter, the third has no reference."""
    mask = torch.ones(B, F, 1)
    mask[1, F - 5:] = 0
    ref_mask = torch.ones(B, L, dtype=torch.bool)
    ref_mask[2] = False
    f0 = 100 + 200 * torch.rand(B, F)
    f0[:, ::4] = 0
    return {"mel": torch.randn(B, M, F) - 5, "f0": f0, "mask": mask, "code": torch.randn(B, S, F),
            "code_copy": torch.randn(B, S, F), "mel_copy": torch.randn(B, M, F) - 5,
            "spk_emb": torch.randn(B, D),
            "ref_mel": torch.randn(B, M, L) - 5, "ref_f0": 100 + torch.rand(B, L), "ref_mask": ref_mask}


# ---------------------------------------------------------------- pitch

def test_a_pitch_crosses_gaps_on_a_straight_line():
    f0 = torch.tensor([[0, 0, 100, 110, 0, 0, 0, 200, 0.0], [0, 80, 0, 0, 90, 0, 0, 0, 300]])
    told = pitch.channels(f0)
    for row, line in zip(f0.numpy(), told[:, 0].numpy(), strict=True):
        at = np.arange(len(row))
        voiced = row > 0
        twin = np.interp(at, at[voiced], np.log(row[voiced] / pitch.MIDDLE_HZ) / pitch.SPREAD)
        np.testing.assert_allclose(line, twin, atol=1e-5)
    assert torch.equal(told[:, 1] > 0, f0 > 0)
    torch.testing.assert_close(pitch.hertz(told[:, 0])[f0 > 0], f0[f0 > 0])


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_a_whisper_has_a_level_pitch(frames):
    told = pitch.channels(torch.zeros(2, frames))
    assert not told[:, 0].any()
    assert (told[:, 1] == -1).all()


def test_a_melody_has_no_register():
    f0 = 100 + 50 * torch.rand(1, 12)
    f0[:, 3:6] = 0
    mask = torch.ones(1, 1, 12)
    low, high = (pitch.melody(pitch.channels(f0 * times), mask) for times in (1.0, 1.6))
    torch.testing.assert_close(low, high, atol=1e-4, rtol=1e-4)
    assert abs(float(low[:, 0][f0 > 0].mean())) < 1e-4


# ---------------------------------------------------------------- twins

def test_the_bidirectional_kl_is_its_naive_twin():
    B, F = 2, 4
    forth, m_q, logs_q, back, m_p, logs_p = 0.5 * torch.randn(6, B, C, F)
    mask = torch.ones(B, 1, F)
    mask[1, :, 2:] = 0
    total, count = 0.0, 0
    for b in range(B):
        for c in range(C):
            for f in range(F):
                if not mask[b, 0, f]:
                    continue
                std_q, std_p = math.exp(logs_q[b, c, f]), math.exp(logs_p[b, c, f])
                up, down = float(forth[b, c, f] - m_p[b, c, f]), float(back[b, c, f] - m_q[b, c, f])
                total += math.log(std_p / std_q) - 0.5 + up**2 / (2 * std_p**2)
                total += 0.5 * (math.log(std_q / std_p) - 0.5 + down**2 / (2 * std_q**2))
                count += 1
    found = losses.bidirectional_kl(forth, (m_q, logs_q), back, (m_p, logs_p), mask)
    assert float(found) == pytest.approx(total / count, rel=1e-4)


def test_it_is_least_where_both_are_the_same():
    """With many draws: equal distributions cost 0 (but for chance), others more, either way."""
    torch.manual_seed(0)
    mask = torch.ones(1, 1, 20_000)
    same = torch.zeros(1, C, 20_000)

    def cost(m, logs):
        q, p = (m, logs), (same, same)
        forth, back = m + torch.randn_like(m) * logs.exp(), torch.randn_like(m)
        return float(losses.bidirectional_kl(forth, q, back, p, mask))
    assert abs(cost(same, same)) < 0.02
    assert cost(same + 0.5, same) == pytest.approx(1.5 * 0.125, abs=0.02)
    assert cost(same, same - 0.5) > 0.1
    assert cost(same, same + 0.5) > 0.1


def test_an_adaptive_layer_norm_is_its_naive_twin():
    torch.manual_seed(0)
    H, F = 6, 5
    block = AdaptiveBlock(H, 2)
    torch.nn.init.normal_(block.film.weight, std=0.3)
    x, condition, mask = torch.randn(1, F, H), torch.randn(1, H), torch.ones(1, F, 1)
    with torch.no_grad():
        found = block(x, mask, condition)
        film = block.film(condition)[0]
        wide = block.wide(x.transpose(1, 2)).transpose(1, 2)[0]
        for f in range(F):
            mean = sum(float(value) for value in wide[f]) / H
            variance = sum((float(value) - mean) ** 2 for value in wide[f]) / H
            told = torch.zeros(H)
            for c in range(H):
                plain = (float(wide[f, c]) - mean) / math.sqrt(variance + 1e-5)
                told[c] = plain * (1 + film[c]) + film[H + c]
            inner = torch.nn.functional.gelu(block.up(told))
            torch.testing.assert_close(found[0, f], x[0, f] + film[2 * H:] * block.down(inner))


# ---------------------------------------------------------------- the model

@pytest.mark.parametrize("frames", [1, 2, 17])
def test_both_flows_are_undone_by_their_way_back(net, frames):
    z, mask = torch.randn(2, C, frames), torch.ones(2, 1, frames)
    g, h = torch.randn(2, TINY.H, 1), torch.randn(2, TINY.H, frames)
    with torch.no_grad():
        up = net.up(z, mask, g, h)
        torch.testing.assert_close(net.down(up, mask, g, h), z, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(up, net.up(z, mask, g, torch.randn_like(h)), atol=1e-3)
        assert not torch.allclose(up, net.up(z, mask, torch.randn_like(g), h), atol=1e-4)
        z_p = net.semantic_flow(z, mask, g)
        back = net.semantic_flow(z_p, mask, g, reverse=True)
        torch.testing.assert_close(back, z, atol=1e-4, rtol=1e-4)


def test_a_step_has_the_losses_that_are_weighed(net):
    terms = net.losses(batch())
    assert set(terms) == set(WEIGHTS)
    assert all(torch.isfinite(term) and term.dim() == 0 for term in terms.values())
    losses.total(terms, WEIGHTS)


def step(net, given):
    """Losses of one step; the same chance each time."""
    torch.manual_seed(1)
    with torch.no_grad():
        return net.losses(given)


def test_what_is_beyond_the_mask_teaches_nothing(net):
    plain, changed = batch(), {}
    for name, value in plain.items():
        changed[name] = value.clone()
    for name in ("mel", "mel_copy", "code", "code_copy"):
        changed[name][1, :, -5:] += 3
    terms, others = step(net, plain), step(net, changed)
    for name, term in terms.items():
        torch.testing.assert_close(term, others[name], msg=name)


@pytest.mark.parametrize(("coarse", "deaf"), [(0.0, False), (1e9, True)])
def test_a_step_hears_fine_content_unless_it_is_to_do_with_less(net, monkeypatch, coarse, deaf):
    """At 1e9 the share of the fine content that is left, from 0 to 1 / coarse, is next to nothing."""
    monkeypatch.setattr(hierarchical, "COARSE", coarse)
    given = batch()
    terms, others = step(net, given), step(net, given | {"mel_copy": torch.randn(3, M, 21) - 5})
    assert torch.allclose(terms["kl_acoustic"], others["kl_acoustic"], rtol=1e-6) == deaf


def test_fine_content_changes_what_is_sampled(net):
    code, f0, spk_emb = torch.randn(1, S, 12), torch.full((1, 12), 150.0), torch.randn(1, D)
    nothing = torch.zeros(1, net.config.fine, 12)
    without = net.sample(code, f0, spk_emb)
    torch.testing.assert_close(net.sample(code, f0, spk_emb, fine=nothing), without)
    assert not torch.allclose(net.sample(code, f0, spk_emb, fine=nothing + 0.5), without, atol=1e-3)


def test_some_steps_have_no_voice_and_some_no_reference():
    torch.manual_seed(0)
    known, seen = hidden_at_random(torch.ones(4000, 3, dtype=torch.bool))
    assert float(known.mean()) == pytest.approx(0.9, abs=0.02)
    assert not seen[known == 0].any()
    assert float(seen[known > 0].float().mean()) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_step_hides_what_it_should_hide(net, monkeypatch, share):
    """Catches a network that never learns to speak without a voice, which guidance needs."""
    monkeypatch.setattr(hierarchical, "VOICELESS", share)
    monkeypatch.setattr(hierarchical, "UNSEEN", 0.0)
    given = batch()
    other = given | {"spk_emb": torch.randn(3, D), "ref_mel": torch.randn(3, M, 9)}
    terms, others = step(net, given), step(net, other)
    assert all(torch.equal(terms[name], others[name]) for name in WEIGHTS) == (share == 1.0)


def test_frames_are_compared_as_the_codec_has_them():
    """A band that moves little must not count as much as one that moves by three times as much."""
    net, given = built(), batch()
    net.start_from(given["mel"])
    net.std.mul_(torch.linspace(0.5, 2, M))
    seen = []
    handle = net.decoder.register_forward_hook(lambda module, asked, bands_hat: seen.append(bands_hat))
    found = step(net, given)["mel"]
    handle.remove()
    mel_hat = seen[0] * net.std[:, None] + net.mean[:, None]
    inside = given["mask"][:, :, 0] > 0
    error = (mel_hat - given["mel"]).abs().mean(1)[inside].mean()
    assert float(found) == pytest.approx(float(error), rel=1e-4)


def test_a_melody_is_learned_where_there_is_a_voice(net, monkeypatch):
    """A naive twin: the mean error of the line over voiced frames within the mask, and no others."""
    monkeypatch.setattr(hierarchical, "VOICELESS", 0.0)
    given = batch()
    inside = given["mask"].transpose(1, 2)
    with torch.no_grad():
        line_hat = net.line(given["code_copy"], inside, net.told(given["spk_emb"], torch.ones(3)))[:, 0]
    line = pitch.channels(given["f0"])[:, 0]
    errors = []
    for b in range(3):
        for f in range(21):
            if inside[b, 0, f] and given["f0"][b, f] > 0:
                errors.append(abs(float(line_hat[b, f] - line[b, f])))
    assert float(step(net, given)["f0"]) == pytest.approx(np.mean(errors), rel=1e-4)


def test_it_begins_as_principal_components():
    """Before it has learned anything frames come back, the better the more channels there are."""
    torch.manual_seed(0)
    mel = (torch.randn(4, M, 5) @ torch.randn(5, 60)) * 2 - 5  # five directions
    with_few, with_all = (Hierarchical(config, HarmonicCodec(HarmonicCodecConfig(channels=16, layers=1)))
                          for config in (HierarchicalConfig(C=4), HierarchicalConfig(C=32)))
    errors = []
    for net in (with_few, with_all):
        net.start_from(mel)
        mel_hat = net.resynthesise(mel[:1], torch.full((1, 60), 120.0), torch.zeros(1, 128))
        errors.append(float((mel_hat - mel[:1]).abs().mean()))
    assert errors[1] < 0.1 * mel.std()
    assert errors[1] < 0.5 * errors[0]


def sampled(net, frames=23, **changed):
    torch.manual_seed(3)
    given = {"code": torch.randn(1, S, frames), "f0": 100 + 50 * torch.rand(1, frames),
             "spk_emb": torch.randn(1, D), "ref": torch.randn(1, M + 2, 10)} | changed
    torch.manual_seed(4)
    return net.sample(**given)


@pytest.mark.parametrize("frames", [1, 2, 3, 80, 481])
def test_every_length_is_spoken(net, frames):
    mel = sampled(net, frames)
    assert mel.shape == (1, M, frames)
    assert torch.isfinite(mel).all()


def test_all_that_it_is_told_is_heard(net):
    plain = sampled(net)
    torch.testing.assert_close(plain, sampled(net))
    for change in ({"code": torch.randn(1, S, 23)}, {"f0": torch.full((1, 23), 210.0)}, {"ref": None},
                   {"spk_emb": torch.ones(1, D)}, {"ref": torch.randn(1, M + 2, 5)},
                   {"noise_scale": 1.0}, {"guidance": 2.0}):
        assert not torch.allclose(plain, sampled(net, **change), atol=1e-4), list(change)


def test_guidance_goes_on_from_nobody_to_somebody(net):
    """z_a is on one line with guidance: none hears nobody, one is as learned."""
    def latents(**changed):
        seen = []
        handle = net.decoder.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        sampled(net, **changed)
        handle.remove()
        return seen[0]
    nobody, somebody, more = (latents(guidance=guidance) for guidance in (0.0, 1.0, 2.5))
    torch.testing.assert_close(more, nobody + 2.5 * (somebody - nobody), atol=1e-4, rtol=1e-4)
    other = {"spk_emb": torch.ones(1, D), "ref": torch.randn(1, M + 2, 10)}
    torch.testing.assert_close(nobody, latents(guidance=0.0, **other), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(somebody, latents(guidance=1.0, **other), atol=1e-3)


def spoken(F=23):
    """(code, `Source`) of random speech."""
    torch.manual_seed(5)
    f0 = 100 + 50 * torch.rand(1, F)
    source = hierarchical.Source(torch.randn(1, M, F) - 5, f0, torch.randn(1, D), torch.randn(1, M + 2, 8))
    return torch.randn(1, S, F), source


def test_what_is_left_out_brings_a_source_back(net):
    """In its own voice all of it gives the source's own z_s again, but for a mean over time."""
    code, source = spoken()
    seen = []
    handle = net.decoder.register_forward_pre_hook(lambda module, given: seen.append(given))
    net.sample(code, source.f0, source.spk_emb, source.ref, source=source)
    handle.remove()
    z_a, told, mask, g = seen[0]
    with torch.inference_mode():
        m_a, _ = net.acoustic(net.bands(source.mel), told, mask, g)
        _, h = net.heard_as(code, told, source.spk_emb, source.ref, None)
        offset = net.up(z_a, mask, g, h) - net.up(m_a, mask, g, h)
    torch.testing.assert_close(offset, offset.mean(2, keepdim=True).expand_as(offset), atol=1e-3, rtol=1e-3)


def test_what_is_not_decoded_brings_the_frames_back(net, monkeypatch):
    """Bin by bin it is all that z_a loses but a mean over time; averaged over bins it has no harmonics."""
    _, source = spoken()
    again = net.resynthesise(source.mel, source.f0, source.spk_emb)
    comb = torch.tensor([1.0, -1.0]).repeat(M // 2)[None, :, None] * torch.randn(1, 1, 23)
    inner = slice(fine.REST_BINS, -fine.REST_BINS)
    with torch.inference_mode():
        assert fine.without_harmonics(comb)[:, inner].abs().max() < 1e-5
        monkeypatch.setattr(fine, "REST_BINS", 1)
        offset = again + net.undecoded(source) - source.mel
    torch.testing.assert_close(offset, offset.mean(2, keepdim=True).expand_as(offset), atol=1e-4, rtol=1e-4)


def test_a_source_is_kept_as_closely_as_asked(net):
    code, source = spoken()
    other = source._replace(mel=torch.randn(1, M, 23) - 5)
    spk_emb = torch.randn(1, D)

    def said(source, close):
        return net.sample(code, source.f0, spk_emb, source=source, close=close)
    torch.testing.assert_close(said(source, 0.0), said(other, 0.0))
    assert not torch.allclose(said(source, 0.5), said(other, 0.5), atol=1e-3)
    assert not torch.allclose(said(source, 0.5), said(source, 1.0), atol=1e-3)


def test_guidance_goes_away_from_the_voice_of_a_source(net):
    """Where both voices are one there is nowhere to go."""
    code, source = spoken()

    def said(spk_emb, ref, guidance):
        return net.sample(code, source.f0, spk_emb, ref, source=source, close=0.0, guidance=guidance)
    torch.testing.assert_close(said(source.spk_emb, source.ref, 1.0), said(source.spk_emb, source.ref, 3.0))
    other = torch.randn(1, D), source.ref
    assert not torch.allclose(said(*other, 1.0), said(*other, 3.0), atol=1e-3)


def test_contrast_restores_the_spread_of_what_is_foreseen():
    """It is the ratio of two deviations, kept between one and MOST_CONTRAST, and `sample` applies it."""
    net = built()
    given = batch(B=6, F=30)
    given["mask"][:] = 1
    net.start_from(given["mel"])
    muffled = sampled(net)
    net.measure_contrast(given)
    assert (net.contrast >= 1).all() and (net.contrast <= MOST_CONTRAST).all()
    assert (net.contrast > 1).any()
    assert not torch.allclose(muffled, sampled(net), atol=1e-3)
    with torch.no_grad():
        net.acoustic.straight.weight.zero_()  # now real frames move less than what is foreseen
        net.acoustic.out.weight.zero_()
    net.measure_contrast(given)
    torch.testing.assert_close(net.contrast, torch.ones(C))
    torch.testing.assert_close(sampled(net), muffled)


def test_the_register_enters_after_the_prior(net):
    """Codes and melody alone make z_p: another octave changes frames only through pitch and flows."""
    code, mask = torch.randn(1, S, 9), torch.ones(1, 1, 9)
    f0 = 100 + 50 * torch.rand(1, 9)
    with torch.no_grad():
        low, high = (net.prior(code, pitch.melody(pitch.channels(f0 * times), mask), mask)[0]
                     for times in (1.0, 2.0))
    torch.testing.assert_close(low, high, atol=1e-4, rtol=1e-4)


def test_a_melody_that_is_expected_of_a_voice_is_silent_where_the_source_is(net):
    code = torch.randn(1, S, 12)
    f0 = 100 + 50 * torch.rand(1, 12)
    f0[:, 3:6] = 0
    expected = net.predict_f0(code, f0, torch.randn(1, D))
    assert torch.equal(expected > 0, f0 > 0)
    assert ((expected == 0) | ((expected > 50) & (expected < 500))).all()
    assert not torch.allclose(expected, net.predict_f0(code, f0, torch.ones(1, D)), atol=1e-2)


def test_it_learns_a_tiny_batch():
    net = built(heard=False).train()
    given = batch(B=4, F=16)
    net.start_from(given["mel"])
    parts = [part for name, part in net.named_parameters() if not name.startswith("harmonic")]
    optim = torch.optim.Adam(parts, 3e-3)
    errors = []
    for _ in range(40):
        terms = net.losses(given)
        loss = losses.total(terms, WEIGHTS)
        optim.zero_grad()
        loss.backward()
        optim.step()
        errors.append([loss.item(), terms["kl_acoustic"].item()])
    first, last = np.mean(errors[:5], 0), np.mean(errors[-5:], 0)
    assert (last < 0.8 * first).all(), (first, last)


def test_sizes_that_nobody_knows_are_refused(net, tmp_path):
    training.save(tmp_path / "h", net, net.config, UNTRAINED, lenders={"harmonic": net.harmonic})
    loaded, _ = training.load(tmp_path / "h", Hierarchical, HierarchicalConfig, harmonic=net.harmonic)
    assert loaded.config == net.config
    path = tmp_path / "h" / "config.json"
    path.write_text(path.read_text().replace('"couplings"', '"copulings"'))
    with pytest.raises(ValueError, match="copulings"):
        training.load(tmp_path / "h", Hierarchical, HierarchicalConfig, harmonic=net.harmonic)


# ---------------------------------------------------------------- conversion

@pytest.fixture(scope="module")
def converting(tiny_root, net):
    """Voices that can convert by the hierarchical synthesiser; untrained, and heard."""
    voices = Voices.load(tiny_root)
    semantic = Semantic(SemanticConfig(hidden=32, layers=2, attention_layers=1))
    for name, part in (("harmonic", net.harmonic), ("semantic", semantic), ("hierarchical", net)):
        voices.bundle.put(name, part, UNTRAINED)
    return voices


RATE = 16000
SOURCE = RATE, (0.3 * np.sin(np.arange(2 * RATE + 77) * 0.06)).astype("float32")
VOICE = RATE, (0.3 * np.sin(np.arange(2 * RATE) * 0.03)).astype("float32")


def test_conversion_by_it_is_a_choice(converting):
    speech = converting.convert(SOURCE, VOICE, seed=3, model="hierarchical")
    assert speech.facts["model"] == "hierarchical"
    assert len(speech.wav) == len(SOURCE[1])
    again = converting.convert(SOURCE, VOICE, seed=3, model="hierarchical").wav
    np.testing.assert_array_equal(speech.wav, again)
    for more in ({"seed": 4}, {"strength": 0.4}, {"semitones": 5}, {"detail": 0.2}, {"pitch": 0.0}):
        other = converting.convert(SOURCE, VOICE, model="hierarchical", **({"seed": 3} | more)).wav
        assert not np.allclose(speech.wav, other, atol=1e-4), more


def test_a_voice_without_a_recording_gets_a_register_too(converting):
    spk_emb = converting.embed(VOICE)
    speech = converting.convert(SOURCE, spk_emb, model="hierarchical")
    assert np.isfinite(speech.wav).all()
    by_clip = converting.convert(SOURCE, VOICE, model="hierarchical").wav
    assert not np.allclose(speech.wav, by_clip, atol=1e-4)


def test_a_conversion_by_it_can_be_stopped(converting):
    asked = []

    def cancelled():
        asked.append(True)
        return len(asked) > 1
    with pytest.raises(InterruptedError):
        converting.convert(SOURCE, VOICE, cancelled=cancelled, model="hierarchical")


def test_where_it_is_not_installed_it_says_so(tiny_root, net):
    voices = Voices.load(tiny_root)
    voices.bundle.put("harmonic", net.harmonic, UNTRAINED)
    with pytest.raises(ValueError, match="hierarchical is not there: make it with lesson 07"):
        voices.convert(SOURCE, VOICE, model="hierarchical")
