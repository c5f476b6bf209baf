"""Filled voices lie on the sphere, where they should; the loss on them moves the generator and leaves the
encoder alone.
"""

import copy

import pytest
import torch
import torch.nn.functional as F

from lib import losses, training
from lib.data import filling
from lib.models.codec import Codec, CodecConfig
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.models.vits import Vits, VitsConfig
from lib.paths import CHECKPOINTS

TINY = VitsConfig(
    12, hidden=16, text_layers=1, flow_channels=16, flow_layers=1, couplings=2, rhythm_channels=8
)


def tiny(D=16):
    """A tiny generator for embeddings of size D."""
    codec = Codec(
        CodecConfig(
            (("verification", D),),
            C=8,
            G=16,
            hidden=16,
            posterior_layers=1,
            decoder_channels=16,
            decoder_layers=2,
            segment=8,
        )
    )
    return Vits(TINY, codec)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def sphere(*shape):
    return F.normalize(torch.randn(*shape), dim=-1)


def test_interpolation_walks_from_one_voice_to_the_other_on_the_sphere():
    """Catches a share that counts backwards, and a mixture left inside the sphere."""
    a, b = sphere(5, 16), sphere(5, 16)
    for share in (0.0, 0.3, 1.0):
        mixed = filling.interpolate(a, b, share)
        assert torch.allclose(mixed.norm(dim=1), torch.ones(5), atol=1e-6)
        assert torch.allclose(mixed, F.normalize((1 - share) * a + share * b, dim=1), atol=1e-6)
    assert torch.allclose(filling.interpolate(a, b, 0.0), a, atol=1e-6)
    assert torch.allclose(filling.interpolate(a, b, 1.0), b, atol=1e-6)
    each = filling.interpolate(a, b, torch.linspace(0, 1, 5)[:, None])
    assert torch.allclose(each[0], a[0], atol=1e-6) and torch.allclose(each[-1], b[-1], atol=1e-6)


def test_opposite_voices_have_no_middle():
    """Catches a division by zero that would send nan into every weight."""
    a = sphere(3, 16)
    assert torch.allclose(filling.interpolate(a, -a, 0.5), a)


@pytest.mark.parametrize("D", [16, 128, 512])
def test_noise_means_the_same_angle_for_every_size(D):
    """Catches noise measured by the coordinate, which at D = 512 would be six times as long as at 16."""
    a = sphere(4000, D)
    for scale in (0.0, 0.5, 1.0):
        noised = filling.add_noise(a, scale)
        assert torch.allclose(noised.norm(dim=1), torch.ones(4000), atol=1e-5)
        assert (noised * a).sum(1).mean().item() == pytest.approx(1 / (1 + scale**2) ** 0.5, abs=0.02)


def test_fill_mixes_different_speakers_only_and_repeats_under_a_seed():
    """Catches a partner that is the same person under another clip: that fills nothing."""
    spk_emb, speaker = sphere(6, 16), torch.tensor([0, 0, 0, 1, 1, 1])
    spk_emb[:3], spk_emb[3:] = F.one_hot(torch.tensor(0), 16), F.one_hot(torch.tensor(1), 16)
    config = filling.FillingConfig(mix=1.0)
    filled = filling.fill(spk_emb, speaker, config)
    assert (filled[:, :2] > 0).all() and torch.allclose(filled[:, 2:], torch.zeros(6, 14))
    torch.manual_seed(1)
    one = filling.fill(spk_emb, speaker)
    torch.manual_seed(1)
    assert torch.equal(one, filling.fill(spk_emb, speaker))


def test_one_speaker_alone_gets_noise():
    """Catches a draw among no partners, which raises on some machines and picks the clip itself on others."""
    spk_emb = sphere(4, 16)
    filled = filling.fill(
        spk_emb, torch.zeros(4, dtype=torch.long), filling.FillingConfig(mix=1.0, noise=0.5)
    )
    assert (filled * spk_emb).sum(1).min() > 0.85 and not torch.allclose(filled, spk_emb)


@pytest.mark.parametrize("wrong", [dict(tau=0.0), dict(tau=1.0), dict(mix=1.1), dict(noise=-0.1)])
def test_settings_out_of_range_are_refused(wrong):
    """tau = 1 would never see a recording again, tau = 0 never fill: both are mistakes."""
    with pytest.raises(ValueError, match="tau"):
        filling.FillingConfig(**wrong)


@pytest.fixture
def pieces():
    """A tiny generator whose voice reaches its sound, a frozen encoder, a batch of text."""
    net, encoder = (
        tiny(),
        SpeakerEncoder(SpeakerEncoderConfig(channels=(4, 4, 4, 4), blocks=(1, 1, 1, 1), D=16)).eval(),
    )
    torch.nn.init.constant_(net.durations.out.bias, 1.5)
    for p in net.parameters():
        p.data += 0.05 * torch.randn_like(p)
    batch = {"x": torch.randint(1, 12, (4, 9)), "tokens": torch.tensor([9, 9, 8, 7]), "asked": sphere(4, 16)}
    return net, encoder.requires_grad_(False), batch


def lfcl(net, encoder, batch):
    return losses.speaker_consistency(encoder(net(batch, ("speech",))["speech"]), batch["asked"])


def test_the_gradient_of_lfcl_reaches_the_generator_and_nothing_stays_on_the_encoder(pieces):
    """The mistake in YourTTS's published code: a speaker-consistency loss whose gradient never flowed."""
    net, encoder, batch = pieces
    lfcl(net, encoder, batch).backward()
    for part in (net.codec.conditioning, net.text, net.flow, net.codec.decoder):
        assert max(p.grad.abs().max() for p in part.parameters() if p.grad is not None) > 0
    assert all(p.grad is None for p in encoder.parameters())


def test_a_few_hundred_lfcl_steps_move_speech_toward_a_voice_nobody_has():
    """LFCL alone, on one filled voice and the shipped encoder: what is heard must come nearer to it, and the
    encoder stay the same.
    """
    encoder, _ = training.load(CHECKPOINTS / "speaker_encoder", SpeakerEncoder, SpeakerEncoderConfig)
    net, frozen = tiny(128), copy.deepcopy(encoder.state_dict())
    torch.nn.init.constant_(net.durations.out.bias, 1.5)
    known = sphere(2, 128)
    batch = {
        "x": torch.randint(1, 12, (2, 9)),
        "tokens": torch.tensor([9, 8]),
        "asked": filling.interpolate(known[:1], known[1:], 0.5).expand(2, -1),
    }
    optim, heard = torch.optim.Adam(net.parameters(), 3e-3), []
    encoder.requires_grad_(False)
    for _ in range(200):
        optim.zero_grad()
        loss = lfcl(net, encoder, batch)
        loss.backward()
        optim.step()
        heard.append(loss.item())
    assert sum(heard[-10:]) / 10 < sum(heard[:10]) / 10 - 0.15
    assert all(torch.equal(value, frozen[name]) for name, value in encoder.state_dict().items())


def test_generate_says_what_infer_says(pieces):
    """Catches a batch path that drifts from the one users hear: without noise and slicing both must agree."""
    net, _, batch = pieces
    net.eval()
    for i in range(4):
        N = int(batch["tokens"][i])
        wav, path = net.infer(batch["x"][i : i + 1, :N], batch["asked"][i : i + 1], noise_scale=0.0)
        one = {"x": batch["x"][i : i + 1], "tokens": batch["tokens"][i : i + 1]}
        made = net.generate(one, batch["asked"][i : i + 1], size=path.shape[2], noise_scale=0.0)
        assert made.shape == wav.shape and torch.allclose(made, wav, atol=1e-4)
