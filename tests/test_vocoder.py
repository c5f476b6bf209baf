"""Decoders and critics: exact lengths, exact inverse transforms, and gradients that arrive."""

import pytest
import torch

from lib import audio
from lib.nn.critics import Discriminator, Period
from lib.nn.decoders import DECODERS, ISTFTDecoder, fuse_weight_norm

SIZES = {"istft": dict(channels=16, layers=2), "hifigan": dict(channels=32)}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("frames", [1, 2, 5, 33])
@pytest.mark.parametrize("name", DECODERS)
def test_frames_become_exactly_hop_samples_each(name, frames):
    """Catches a decoder whose output is a few samples off: every loss would compare shifted waveforms."""
    net = DECODERS[name](6, 4, **SIZES[name])
    wav = net(torch.randn(2, 6, frames), torch.randn(2, 4, 1))
    assert wav.shape == (2, 1, frames * audio.HOP)
    assert torch.isfinite(wav).all() and wav.std() > 0


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_hear_the_voice_and_pass_gradient_to_z(name):
    """Catches a decoder deaf to g, and a break between waveform and latents."""
    net = DECODERS[name](6, 4, **SIZES[name])
    z, g = torch.randn(1, 6, 4, requires_grad=True), torch.randn(2, 4, 1)
    one, two = net(z, g[:1]), net(z, g[1:])
    assert not torch.allclose(one, two, atol=1e-4)
    one.square().sum().backward()
    assert (z.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize("frames", [2, 3, 20])
def test_inverse_of_a_true_spectrum_is_the_waveform(frames):
    """Catches a window, a padding or an envelope that is not the one `audio.spectrogram` uses: even true
    phases would sound wrong."""
    wav = torch.randn(2, frames * audio.HOP)
    pad = (audio.N_FFT - audio.HOP) // 2
    padded = torch.nn.functional.pad(wav, (pad, pad), mode="reflect" if wav.shape[1] > pad else "constant")
    spec = torch.stft(
        padded,
        audio.N_FFT,
        audio.HOP,
        window=torch.hann_window(audio.N_FFT),
        center=False,
        return_complex=True,
    )
    assert spec.shape[2] == frames
    assert torch.allclose(spec.abs(), audio.spectrogram(wav[:, None]), atol=1e-3)
    back = ISTFTDecoder.inverse(spec.abs().clamp_min(1e-9).log(), spec.angle())
    assert torch.allclose(back[:, 0], wav, atol=1e-3)


def test_inverse_caps_an_untrained_magnitude():
    """Catches infinity in the first step of a training, when log-magnitudes may be anything."""
    wav = ISTFTDecoder.inverse(torch.full((1, 513, 4), 500.0), torch.zeros(1, 513, 4))
    assert torch.isfinite(wav).all()


def test_fusing_weight_norm_changes_nothing_that_is_heard():
    """Catches weights folded without their norm, and parametrisations left behind (slow, and unsavable
    under their plain names)."""
    net = DECODERS["hifigan"](6, 4, **SIZES["hifigan"])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
    z, g = torch.randn(1, 6, 5), torch.randn(1, 4, 1)
    before, names = net(z, g), list(net.state_dict())
    assert any("parametrizations" in name for name in names)
    after = fuse_weight_norm(net)(z, g)
    assert torch.allclose(before, after, atol=1e-5)
    assert not any("parametrizations" in name for name in net.state_dict())
    assert fuse_weight_norm(net) is net  # a second time is harmless


def test_critics_score_and_pass_gradient_to_the_waveform_and_to_themselves():
    """Catches a critic that does not take part: its score, features or gradient would be missing."""
    net = Discriminator((2, 3), (4, 8), (256, 512), 4)
    wav = torch.randn(2, 1, 2048, requires_grad=True)
    scores, fmaps = net(wav)
    assert len(scores) == len(fmaps) == 4
    assert all(s.shape[0] == 2 and s.dim() == 2 for s in scores) and [len(f) for f in fmaps] == [2, 2, 4, 4]
    for score in scores:
        (grad,) = torch.autograd.grad(score.square().sum(), wav, retain_graph=True)
        assert torch.isfinite(grad).all() and grad.abs().sum() > 0
    sum(s.square().mean() for s in scores).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("T", [511, 512, 513, 514])
def test_period_critic_takes_any_length_and_sees_every_pth_sample(T):
    """Catches a fold along the wrong axis, and samples lost at lengths that p does not divide."""
    net = Period(3, (4,))
    net(torch.randn(1, 1, T))
    impulse = torch.zeros(1, 1, 513)
    impulse[0, 0, 301] = 1.0
    column = (net(impulse)[1][0] - net(torch.zeros(1, 1, 513))[1][0]).abs().sum((0, 1, 2))  # [p]
    assert column[301 % 3] > 0 and column.count_nonzero() == 1
