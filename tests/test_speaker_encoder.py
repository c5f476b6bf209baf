"""The encoder: unit vectors that depend on the clip alone, with a gradient down to the waveform."""
import pytest
import torch
from conftest import losses_while_learning

from lib import audio
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig, mask

TINY = SpeakerEncoderConfig(channels=(4, 4, 8, 8), blocks=(1, 1, 1, 1), D=12)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = SpeakerEncoder(TINY)
    net.train()(0.1 * torch.randn(8, 1, 16000))  # batch statistics that are not the initial ones
    return net.eval()


@pytest.fixture
def wav():
    torch.manual_seed(1)
    return 0.1 * torch.randn(3, 1, 20000) * torch.linspace(0.2, 2, 20000)


@pytest.mark.parametrize("T", [1024, 1500, 16000, 20001])
def test_embeddings_are_unit_vectors_at_any_length(net, T):
    """Catches strides that leave no frame of a short clip, and an embedding that is not on the sphere
    (cosines would lie)."""
    spk_emb = net(0.1 * torch.randn(2, 1, T))
    assert spk_emb.shape == (2, 12) and spk_emb.dtype == torch.float32
    assert torch.allclose(spk_emb.norm(dim=1), torch.ones(2), atol=1e-5)


def test_gradient_reaches_every_part_of_the_waveform(net, wav):
    """Catches YourTTS's fault: a speaker-consistency loss whose gradient never arrived ([YOURTTS]
    erratum)."""
    wav.requires_grad_()
    (net(wav) @ torch.randn(12)).sum().backward()
    assert torch.isfinite(wav.grad).all() and (wav.grad.abs() > 0).float().mean() > 0.95


def test_a_clip_has_the_same_voice_alone_and_in_a_batch(net, wav):
    """Catches batch statistics used at inference: a visitor's voice would depend on the other visitors."""
    together = net(wav)
    for b in range(3):
        assert torch.allclose(net(wav[b:b + 1])[0], together[b], atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-3)


def test_microphone_colour_and_gain_matter_little(net, wav):
    """Catches the missing mean over time: a fixed gain would move the voice."""
    assert (net(wav) * net(wav * 3)).sum(1).min() > 0.999


def test_windows_are_cut_half_overlapping(net):
    """Catches windows that miss the end of a clip or are shifted."""
    torch.manual_seed(2)
    wav = 0.1 * torch.randn(1, 1, int(7.6 * audio.RATE))
    windows = net.windows(wav)
    assert windows.shape == (4, 12)  # from 0, 1.5, 3 and 4.5 s
    begin = int(3 * audio.RATE)
    assert torch.allclose(windows[2], net(wav[:, :, begin:begin + 3 * audio.RATE])[0], atol=1e-5)


def test_embed_of_a_short_clip_is_its_one_window(net):
    """Catches a clip under 3 s that gives no window and therefore nan."""
    wav = 0.1 * torch.randn(1, 1, 20000)
    assert net.windows(wav).shape == (1, 12)
    assert torch.allclose(net.embed(wav), net(wav)[0], atol=1e-6)


def test_embed_is_the_unit_mean_of_its_windows(net):
    """Catches a mean that is not brought back to the sphere."""
    wav = 0.1 * torch.randn(1, 1, 7 * audio.RATE) * torch.linspace(0.1, 3, 7 * audio.RATE)
    voice, mean = net.embed(wav), net.windows(wav).mean(0)
    assert voice.shape == (12,) and voice.norm().item() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(voice, mean / mean.norm(), atol=1e-6) and not voice.requires_grad


def test_a_few_steps_tell_two_voices_apart():
    """Catches an encoder that cannot learn: two pitches must be separable in a dozen steps."""
    torch.manual_seed(3)
    net, weight = SpeakerEncoder(TINY), torch.nn.Parameter(torch.randn(2, 12))
    t, speaker = torch.arange(8000) / audio.RATE, torch.arange(6) % 2

    def draw():
        hz = torch.tensor([150.0, 260.0])[speaker] * (1 + 0.03 * torch.randn(6))
        return sum(torch.sin(2 * torch.pi * k * hz[:, None] * t) / k for k in range(1, 6))[:, None] * 0.1
    seen = losses_while_learning(net, weight, speaker, draw, steps=12)
    assert sum(seen[-3:]) < 0.3 * sum(seen[:3])


def test_masks_hide_one_band_and_one_stretch_and_only_in_training():
    """Catches a mask that stays on when voices are compared, and one that hides everything or nothing."""
    torch.manual_seed(0)
    mel = torch.randn(64, 80, 100)
    hidden = mask(mel) != mel
    share = hidden.float().mean((1, 2))
    assert share.max() < 0.4 and share.mean() > 0.05
    for one in hidden:
        assert (one.all(1).sum() <= 14) and (one.all(0).sum() <= 20)
        rest = one[~one.all(1)][:, ~one.all(0)]
        assert not rest.any()
    net, wav = SpeakerEncoder(), torch.randn(2, 1, 16000)
    assert torch.equal(net.eval()(wav), net(wav))
