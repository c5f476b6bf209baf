"""Frames by flow matching: the way there and back, the reference, the voice, the loss beside its twin."""
import numpy as np
import pytest
import torch
from conftest import with_frames

from lib import text
from lib.audio import praat
from lib.losses import flow_matching as fm
from lib.models.codec import Codec, CodecConfig
from lib.models.frames import Frames, FramesConfig
from lib.models.harmonic import HarmonicCodec, HarmonicCodecConfig
from lib.nn.fine import FINE_NOISE

C, D, M, S = 8, 16, 128, 96
UNTOLD = FramesConfig().symbols


@pytest.fixture(scope="module")
def frames():
    torch.manual_seed(0)
    codec = Codec(CodecConfig(C=C, G=16, hidden=16, decoder_channels=16, decoder_layers=1, posterior_layers=1,
                              embeddings=(("verification", D),)))
    harmonic = HarmonicCodec(HarmonicCodecConfig(channels=16, layers=1))
    net = Frames(FramesConfig(C=C, D=D, H=32, layers=3, looks=(1,), reference_layers=1), codec, harmonic)
    torch.nn.init.normal_(net.out.weight, std=0.1)  # else nothing that enters is heard
    for look in net.looks:
        torch.nn.init.normal_(look.out.weight, std=0.1)
    for block in net.blocks:
        torch.nn.init.normal_(block.film.weight, std=0.1)
    torch.nn.init.normal_(net.phones.weight)
    torch.nn.init.normal_(net.semantic.weight)
    torch.nn.init.normal_(net.fine.out.weight)
    return net.eval()


def test_frames_come_back_as_they_went(frames):
    mel = torch.randn(2, M, 20) - 5
    f0 = torch.rand(2, 20) * 300 + 80
    f0[:, 5:9] = 0
    mel_hat, f0_hat = frames.decode(frames.encode(mel, f0))
    torch.testing.assert_close(mel_hat, mel)
    torch.testing.assert_close(f0_hat, f0, atol=0.01, rtol=1e-4)


def test_the_loss_is_its_naive_twin():
    x, noise, v_hat = torch.randn(3, 2, 5, 4)
    mask = torch.ones(2, 5, 1)
    mask[1, 3:] = 0
    weight = torch.tensor([1.0, 1.0, 2.0, 0.5])
    total, count = 0.0, 0
    for b in range(2):
        for f in range(5):
            if mask[b, f]:
                count += 1
                for k in range(4):
                    total += float(weight[k] * (v_hat[b, f, k] - (x[b, f, k] - noise[b, f, k])) ** 2)
    expected = total / count / 4.5
    assert float(fm.flow_matching(v_hat, x - noise, mask, weight)) == pytest.approx(expected, rel=1e-5)


def test_the_way_begins_at_noise_and_ends_at_the_data():
    x, noise = torch.randn(2, 3, 5, 4)
    torch.testing.assert_close(fm.between(x, torch.zeros(3), noise), noise)
    torch.testing.assert_close(fm.between(x, torch.ones(3), noise), x)
    drawn = fm.times(1000)
    assert 0 < drawn.min() < 0.1
    assert 0.9 < drawn.max() < 1


def velocity(frames, F=12, content=None, **changed):
    torch.manual_seed(1)
    given = {"x": torch.randn(1, F, M + 2), "t": torch.tensor([0.3]), "spk_emb": torch.randn(1, D),
             "known": torch.ones(1), "ref": torch.randn(1, 10, M + 2),
             "ref_mask": torch.ones(1, 10, dtype=torch.bool), "mask": torch.ones(1, F, 1)}
    with torch.no_grad():
        content = frames.told(torch.zeros(1, C, F), **(content or {}))
        return frames(content=content, **(given | changed))


def test_voice_and_reference_are_heard_unless_they_are_hidden(frames):
    told = velocity(frames)
    other = torch.randn(1, 10, M + 2)
    hidden = {"known": torch.zeros(1), "ref_mask": torch.zeros(1, 10, dtype=torch.bool)}
    assert not torch.allclose(told, velocity(frames, ref=other), atol=1e-4)
    assert not torch.allclose(told, velocity(frames, spk_emb=torch.randn(1, D)), atol=1e-4)
    untold = velocity(frames, **hidden)
    torch.testing.assert_close(untold, velocity(frames, ref=other, spk_emb=torch.ones(1, D), **hidden))


@pytest.mark.parametrize("content", ["phones", "code"])
def test_what_is_said_in_a_frame_is_heard_there(frames, content):
    """In its neighbourhood, and nowhere else."""
    untold = {"phones": torch.full((1, 40), UNTOLD), "code": torch.zeros(1, S, 40)}
    told = {name: value.clone() for name, value in untold.items()}
    told[content][..., 0] = 7
    change = (velocity(frames, 40, told) - velocity(frames, 40, untold)).abs().amax(2)[0]
    assert change[0] > 1e-3
    assert change[-1] < 1e-6


def sampled(frames, **settings):
    torch.manual_seed(2)
    return frames.sample(frames.told(torch.randn(1, C, 30)), torch.ones(1, D), **settings)


@pytest.mark.parametrize("count", [1, 7, 40])
def test_fine_content_is_deaf_to_level_equaliser_and_dynamics(frames, count):
    mel = torch.randn(1, M, count) - 5
    fine = frames.fine(mel)
    assert fine.shape == (1, frames.config.fine, count)
    assert fine.abs().max() <= 1
    equalised = mel + torch.linspace(-2, 2, M)[:, None]
    torch.testing.assert_close(frames.fine(equalised), fine, atol=1e-4, rtol=1e-3)
    if count > 1:
        livelier = mel.mean(2, keepdim=True) + 1.3 * (mel - mel.mean(2, keepdim=True))
        torch.testing.assert_close(frames.fine(livelier), fine, atol=1e-3, rtol=1e-2)
    assert count == 1 or not torch.allclose(frames.fine(torch.randn(1, M, count)), fine, atol=1e-2)


def test_fine_content_does_not_hear_beyond_its_mask_and_is_noisy_while_it_learns(frames):
    mel = torch.randn(1, M, 30)
    mask = torch.ones(1, 1, 30)
    mask[:, :, 20:] = 0
    other = mel.clone()
    other[:, :, 20:] += 3
    torch.testing.assert_close(frames.fine(mel, mask), frames.fine(other, mask))
    try:
        noisy = frames.fine.train()(mel, mask)
    finally:
        frames.fine.eval()
    difference = (noisy - frames.fine(mel, mask)).detach()[:, :, :20]
    assert difference.std() == pytest.approx(FINE_NOISE, rel=0.15)


def test_fine_content_changes_what_is_said(frames):
    z = torch.zeros(1, C, 12)
    nothing = torch.zeros(1, frames.config.fine, 12)
    torch.testing.assert_close(frames.told(z, fine=nothing), frames.told(z))
    assert not torch.allclose(frames.told(z, fine=nothing + 0.5), frames.told(z), atol=1e-3)


def test_a_seed_gives_one_sample_and_guidance_one_is_the_plain_way(frames):
    torch.testing.assert_close(sampled(frames), sampled(frames))
    assert not torch.allclose(sampled(frames, guidance=1.0), sampled(frames, guidance=2.0), atol=1e-3)
    assert sampled(frames, ref=torch.randn(1, 9, M + 2)).shape == (1, 30, M + 2)


def test_contrast_goes_from_the_mean_of_each_band_and_leaves_the_melody(frames):
    plain, livelier = (sampled(frames, contrast=contrast) for contrast in (1.0, 1.3))
    torch.testing.assert_close(livelier[..., :M].mean(1), plain[..., :M].mean(1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(livelier[..., :M].std(1), 1.3 * plain[..., :M].std(1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(livelier[..., M:], plain[..., M:])


def test_a_pitch_that_is_known_is_kept(frames):
    pitch = torch.randn(1, 30, 2)
    x = sampled(frames, lead=pitch)
    torch.testing.assert_close(x[:, :, M:], pitch)
    assert not torch.allclose(x[:, :, :M], sampled(frames)[:, :, :M], atol=1e-3)  # and it is heard


def test_render_gives_sound_at_the_length_of_the_latents(frames):
    wav = frames.render(torch.randn(1, C, 50), torch.ones(1, D))
    assert wav.shape == (1, 1, round(50 * 0.016 / 0.0125) * 200)
    assert torch.isfinite(wav).all()


@pytest.fixture(scope="module")
def speaking(tiny_root):
    """Voices whose words go through frames of the codec."""
    from lib.voices import Voices
    torch.manual_seed(0)
    voices = Voices.load(tiny_root)
    net = with_frames(voices)
    torch.nn.init.normal_(net.out.weight, std=0.1)
    for block in net.looks:
        torch.nn.init.normal_(block.out.weight, std=0.1)
    return voices


WORDS = "The ferry leaves at noon, so pack your lunch."


def test_speech_goes_through_the_frames_that_are_installed(speaking, tiny_voices, clip):
    speech = speaking.speak(WORDS, str(clip))
    plain = tiny_voices.speak(WORDS, str(clip))
    assert abs(len(speech.wav) - len(plain.wav)) < 400  # as long, in frames of another size
    assert not np.allclose(speech.wav[:10_000], plain.wav[:10_000], atol=1e-3)
    np.testing.assert_array_equal(speech.wav, speaking.speak(WORDS, str(clip)).wav)


def test_every_frame_is_told_its_symbol(speaking, tiny_voices, clip, monkeypatch):
    """The symbols that `speak` hands on are the text's own, in order, each as long as its latents."""
    frames = speaking.bundle["frames"]
    handed = []
    render = frames.render
    monkeypatch.setattr(frames, "render", lambda *given: handed.append(given) or render(*given))
    speaking.speak(WORDS, str(clip))
    z, _, _, symbols, _ = handed[0]
    assert symbols.shape == (1, z.shape[2])
    spoken = torch.unique_consecutive(symbols[0]).tolist()
    tokens = text.encode(WORDS)
    assert len(spoken) > 0.9 * len(tokens)  # a symbol may be too short for a frame
    rest = iter(tokens)
    assert all(symbol in rest for symbol in spoken)  # in order, none of them new


def test_a_voice_without_a_clip_speaks_by_frames_too(speaking, tiny_voices, clip):
    spk_emb = speaking.embed(str(clip))
    by_vector = speaking.speak(WORDS, spk_emb).wav[:10_000]
    assert not np.allclose(by_vector, tiny_voices.speak(WORDS, spk_emb).wav[:10_000], atol=1e-3)
    assert not np.allclose(by_vector, speaking.speak(WORDS, str(clip)).wav[:10_000], atol=1e-3)


@pytest.mark.parametrize("speed", [0.5, 1.5, 2.0])
def test_speed_presses_frames_together(speaking, clip, speed):
    plain, fast = (speaking.speak(WORDS, str(clip), speed=s) for s in (1.0, speed))
    assert len(fast.wav) == pytest.approx(len(plain.wav) / speed, rel=0.02)


def test_fast_speech_is_the_plain_one_pressed(speaking, clip):
    """Case SPEED: a token that is made shorter than a frame is lost, and every second word was at speed 2."""
    plain, fast = (speaking.speak(WORDS, str(clip), speed=s).wav for s in (1.0, 1.5))
    np.testing.assert_allclose(fast, praat.hurried(plain, 1.5), atol=2e-4)


def test_it_learns_frames_from_latents():
    torch.manual_seed(0)
    codec = Codec(CodecConfig(C=C, G=16, hidden=16, decoder_channels=16, decoder_layers=1, posterior_layers=1,
                              embeddings=(("verification", D),)))
    net = Frames(FramesConfig(C=C, D=D, H=32, layers=2, looks=(1,), reference_layers=1), codec, HarmonicCodec(
        HarmonicCodecConfig(channels=16, layers=1)))
    parts = [p for name, p in net.named_parameters() if not name.startswith(("codec", "harmonic"))]
    optim = torch.optim.Adam(parts, 3e-3)
    z = torch.randn(4, C, 16)
    x = torch.randn(C, M + 2).T @ z / 3  # [4, K, 16]: data that the latents tell
    x = x.transpose(1, 2)
    errors = []
    for _ in range(120):
        t, noise = fm.times(4), torch.randn_like(x)
        ref, ref_mask = torch.zeros(4, 4, M + 2), torch.zeros(4, 4, dtype=torch.bool)
        v_hat = net(fm.between(x, t, noise), t, net.told(z), torch.ones(4, D), torch.ones(4), ref, ref_mask,
                    torch.ones(4, 16, 1))
        loss = fm.flow_matching(v_hat, x - noise, torch.ones(4, 16, 1), torch.ones(M + 2))
        optim.zero_grad()
        loss.backward()
        optim.step()
        errors.append(loss.item())
    assert np.mean(errors[-10:]) < 0.6 * np.mean(errors[:10])
