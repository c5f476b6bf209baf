"""Semantic vectors: their shape, stretches, what a reader learns from them; conversion that is told them."""
import sys
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch
from conftest import UNTRAINED, with_frames

from lib.data import corpus
from lib.models.semantic import STRETCH, Semantic, SemanticConfig
from lib.models.teacher import teacher
from lib.nn import fine
from lib.tabs import context
from lib.tabs import convert as tab
from lib.voices import Voices, convert, samples
from lib.voices.convert import SPREAD_HIGH, SPREAD_LOW, moved_f0
from lib.voices.speech import seeded

M, S = 128, 96
BF16_ERROR = 0.02  # of numbers from -1 to 1: encode works in bf16 where the processor can


@pytest.fixture(scope="module")
def semantic():
    torch.manual_seed(0)
    return Semantic(SemanticConfig(hidden=32, layers=2, attention_layers=1)).eval()


@pytest.mark.parametrize("frames", [1, 7, STRETCH, STRETCH + 1, 3 * STRETCH - 5])
def test_every_frame_has_a_vector(semantic, frames):
    code = semantic.encode(torch.randn(1, M, frames))
    code = code.clone()  # out of inference mode
    assert code.shape == (1, S, frames)
    assert torch.isfinite(code).all()
    torch.testing.assert_close(semantic.symbols(code).exp().sum(1), torch.ones(1, frames))


def test_a_short_recording_is_read_as_a_whole(semantic):
    mel = torch.randn(1, M, STRETCH)
    whole = semantic(mel, torch.ones(1, 1, STRETCH))
    torch.testing.assert_close(semantic.encode(mel), whole, atol=BF16_ERROR, rtol=0)


def test_a_stretch_hears_what_is_before_and_after_it(semantic):
    """Catches a seam every 6 s, where the sounds around it are not known."""
    mel = torch.randn(1, M, 2 * STRETCH)
    plain = semantic.encode(mel)
    for changed, heard_at in ((STRETCH - 1, STRETCH), (STRETCH, STRETCH - 1)):
        other = mel.clone()
        other[:, :, changed] += 3
        assert not torch.allclose(semantic.encode(other)[:, :, heard_at], plain[:, :, heard_at], atol=1e-2)


def test_what_is_beyond_the_mask_is_not_heard(semantic):
    mel = torch.randn(1, M, 30)
    mask = torch.ones(1, 1, 30)
    mask[:, :, 20:] = 0
    other = mel.clone()
    other[:, :, 20:] += 3
    torch.testing.assert_close(semantic(mel, mask), semantic(other, mask))


def test_it_learns_which_symbol_is_said():
    torch.manual_seed(0)
    net = Semantic(SemanticConfig(symbols=5, hidden=32, layers=1, attention_layers=1))
    sounds = torch.randn(5, M)
    optim = torch.optim.Adam(net.parameters(), 3e-3)
    mask = torch.ones(4, 1, 24)
    for _ in range(60):
        said = torch.randint(5, (4, 24))
        mel = sounds[said].transpose(1, 2) + 0.5 * torch.randn(4, M, 24)
        loss = torch.nn.functional.nll_loss(net.symbols(net(mel, mask)), said)
        optim.zero_grad()
        loss.backward()
        optim.step()
    net.eval()
    read = net.symbols(net(sounds[said].transpose(1, 2), mask)).argmax(1)
    assert (read == said).float().mean() > 0.9  # chance: .2


@pytest.mark.parametrize("semitones", [-12, -3.5, 0, 12])
def test_semitones_do_what_they_say(semitones):
    f0 = torch.tensor([[0.0, 100, 110, 120, 0, 130]])
    moved = moved_f0(f0, f0 * 1.5, 0.0, semitones)
    torch.testing.assert_close(moved, f0 * 2 ** (semitones / 12))


def test_a_melody_is_moved_to_the_register_asked_for():
    f0 = torch.tensor([[0.0, 100, 110, 120, 0, 130, 90]])
    asked = torch.tensor([[200.0, 0, 220, 240]])
    moved = moved_f0(f0, asked, 1.0, 0.0)
    assert moved[moved > 0].median() == pytest.approx(220, rel=0.01)
    assert ((moved > 0) == (f0 > 0)).all()
    halfway = moved_f0(f0, asked, 0.5, 0.0)
    assert halfway[halfway > 0].median() == pytest.approx((110 * 220) ** 0.5, rel=0.01)


@pytest.mark.parametrize("factor, most", [(3.0, SPREAD_HIGH), (0.2, SPREAD_LOW), (1.1, 1.1)])
def test_a_melody_is_widened_and_narrowed_within_reason(factor, most):
    """Catches a monotonous speaker who sings in the voice of an actor."""
    torch.manual_seed(0)
    log_f0 = 5 + 0.1 * torch.randn(1, 50)
    asked = 5 + factor * (log_f0 - 5)
    moved = moved_f0(log_f0.exp(), asked.exp(), 1.0, 0.0).log()
    assert float(moved.std() / log_f0.std()) == pytest.approx(most, rel=1e-3)


@pytest.mark.parametrize("nothing", [torch.zeros(1, 5), torch.tensor([[0.0, 0, 0, 0, 100]])])
def test_a_melody_without_voice_stays_finite(nothing):
    f0 = torch.tensor([[100.0, 0, 120, 130, 110]])
    assert torch.isfinite(moved_f0(f0, nothing, 1.0, 0.0)).all()
    assert torch.isfinite(moved_f0(nothing, f0, 1.0, 0.0)).all()
    assert ((moved_f0(nothing, f0, 1.0, 0.0) > 0) == (nothing > 0)).all()


@pytest.fixture(scope="module")
def converting(tiny_root, semantic):
    """Voices that convert by frames; untrained, and heard."""
    torch.manual_seed(0)
    voices = Voices.load(tiny_root)
    net = with_frames(voices)
    for weight in (net.out.weight, net.semantic.weight, net.fine.out.weight, net.looks[0].out.weight):
        torch.nn.init.normal_(weight, std=0.1)
    voices.bundle.put("semantic", semantic, UNTRAINED)
    return voices


RATE = 16000
SOURCE = RATE, (0.3 * np.sin(np.arange(2 * RATE + 77) * 0.06)).astype("float32")
VOICE = RATE, (0.3 * np.sin(np.arange(2 * RATE) * 0.03)).astype("float32")


def test_conversion_goes_by_frames_where_they_are(converting):
    speech = converting.convert(SOURCE, VOICE, seed=3)
    assert speech.facts["model"] == "frames"
    assert len(speech.wav) == len(SOURCE[1])
    np.testing.assert_array_equal(speech.wav, converting.convert(SOURCE, VOICE, seed=3).wav)
    for more in ({"seed": 4}, {"strength": 0.4}, {"semitones": 5}, {"detail": 0.2}, {"pitch": 0.0}):
        other = converting.convert(SOURCE, VOICE, **({"seed": 3} | more)).wav
        assert not np.allclose(speech.wav, other, atol=1e-4), more


def test_fine_content_counts_as_much_as_detail_says(converting):
    weight = converting.bundle["frames"].fine.out.weight
    told = weight.detach().clone()
    whole, none = (converting.convert(SOURCE, VOICE, seed=3, detail=detail).wav for detail in (1, 0))
    try:
        torch.nn.init.zeros_(weight)
        assert not np.allclose(converting.convert(SOURCE, VOICE, seed=3).wav, whole, atol=1e-4)
        np.testing.assert_array_equal(converting.convert(SOURCE, VOICE, seed=3, detail=0).wav, none)
    finally:
        weight.data.copy_(told)


def test_what_is_left_out_of_a_source_is_put_back(converting, monkeypatch):
    """All of it, in the source's own voice and with the bands apart, is the source, but for a mean."""
    monkeypatch.setattr(fine, "REST_BINS", 1)
    frames = converting.bundle["frames"]
    x = frames.look_at(torch.tensor(SOURCE[1])[None, None])
    bands = frames.config.M
    content = torch.randn(1, x.shape[1], frames.config.H)
    own = torch.tensor(converting.embed(SOURCE))[None]
    with seeded(3), torch.inference_mode():
        rest = convert.left_out(frames, x, content, own)
        again = frames.sample(content, own, x[:, : convert.LOOKED], x[:, :, bands:], contrast=1.0)
    assert not rest[:, :, bands:].any()
    offset = (again + rest - x)[:, :, :bands]
    torch.testing.assert_close(offset, offset.mean(1, keepdim=True).expand_as(offset), atol=1e-3, rtol=1e-3)


def test_what_is_left_out_counts_as_much_as_detail_says(converting, monkeypatch):
    some, none = (converting.convert(SOURCE, VOICE, seed=3, detail=detail).wav for detail in (1, 0))
    monkeypatch.setitem(convert.REST, "frames", 0.0)
    assert not np.allclose(converting.convert(SOURCE, VOICE, seed=3).wav, some, atol=1e-4)
    np.testing.assert_array_equal(converting.convert(SOURCE, VOICE, seed=3, detail=0).wav, none)


def test_loading_a_model_draws_nothing():
    """The shipped weights: what is said first, while they are loaded, is what is said again."""
    voices = Voices.load()
    first = voices.convert(SOURCE, VOICE, seed=3)
    assert first.facts["model"] == "hierarchical"
    np.testing.assert_array_equal(first.wav, voices.convert(SOURCE, VOICE, seed=3).wav)


def test_a_voice_without_a_recording_converts_too(converting):
    spk_emb = converting.embed(VOICE)
    speech = converting.convert(SOURCE, spk_emb)
    assert np.isfinite(speech.wav).all()
    assert not np.allclose(speech.wav, converting.convert(SOURCE, VOICE).wav, atol=1e-4)


def test_the_other_model_is_a_choice(converting):
    with pytest.raises(ValueError, match="lesson 06"):  # it is not installed here
        converting.convert(SOURCE, VOICE, model="flow_vae")
    with pytest.raises(ValueError, match="hierarchical, frames, flow_vae"):
        converting.convert(SOURCE, VOICE, model="magic")


def test_one_model_that_converts_is_enough(converting, tiny_voices):
    """Catches a tab, and a system of the tab Listen, that ask for a model which others replace."""
    rows = corpus.rows("embedded")
    row = samples.chosen(rows, 1)[0]
    for voices, is_there in ((converting, True), (tiny_voices, False)):
        page = context.Context(voices, None, gr.State(), Path("nowhere"))
        assert all(page.has(need) for need in tab.NEEDS) == is_there
        assert ("conversion" in samples.sounds(voices, rows, row)) == is_there
    with gr.Blocks() as page:
        tab.build(context.Context(converting, None, gr.State()))
    assert "convert" in {fn.api_name for fn in page.fns.values()}


def test_a_conversion_by_frames_can_be_stopped(converting):
    asked = []

    def cancelled():
        asked.append(True)
        return len(asked) > 2
    with pytest.raises(InterruptedError):
        converting.convert(SOURCE, VOICE, cancelled=cancelled)


def written(kind, folder):
    """A tiny model of another people's kind, never trained, in a folder as the hub has them."""
    package = pytest.importorskip("transformers", reason="pip install transformers")
    torch.manual_seed(0)
    small = {"num_hidden_layers": 3, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16,
             "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "conv_dim": (8,) * 7}
    if kind == "Whisper":
        config = package.WhisperConfig(vocab_size=60, d_model=16, encoder_layers=2, decoder_layers=1,
                                       encoder_attention_heads=2, decoder_attention_heads=2,
                                       encoder_ffn_dim=16, decoder_ffn_dim=16, pad_token_id=0,
                                       bos_token_id=1, eos_token_id=2, decoder_start_token_id=3)
        package.WhisperFeatureExtractor().save_pretrained(folder)
    else:
        config = getattr(package, f"{kind}Config")(**small)
        package.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    getattr(package, f"{kind}Model")(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("kind", ["Wav2Vec2", "Hubert", "Whisper"])
def test_a_teacher_gives_a_vector_every_20_ms(kind, tmp_path):
    """MMS is of the kind Wav2Vec2."""
    teach = teacher(written(kind, tmp_path), layer=2)
    wav = 0.1 * torch.randn(1, 1, 16_000)
    states = teach(wav)
    assert states.shape == (1, teach.channels, 50)
    assert torch.isfinite(states).all()
    assert teach(wav[:, :, :7_777]).shape == (1, 16, 24)
    late = wav.clone()
    late[:, :, 12_000:] = 0.1 * torch.sin(torch.arange(4_000) * 0.5)
    change = (teach(late) - states).abs().sum(1)[0]
    assert change[45:].mean() > change[:20].mean()  # where the sound changed, most


def test_a_teacher_hears_long_sounds_in_stretches(tmp_path):
    teach = teacher(written("Hubert", tmp_path), layer=1)
    assert teach(0.1 * torch.randn(1, 1, 31 * RATE)).shape == (1, 16, 31 * 50)


def test_a_teacher_that_is_not_there_names_the_remedy(tmp_path, monkeypatch):
    folder = written("Hubert", tmp_path / "hubert")
    with pytest.raises(ValueError, match="0 to 3"):
        teacher(folder, layer=9)
    with pytest.raises(ValueError, match="0 to 3"):
        teacher(folder)  # of a folder nobody knows the layer
    with pytest.raises(ValueError, match="mms, wav2vec2, hubert, whisper"):
        teacher(str(tmp_path / "nothing"))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match="pip install transformers"):
        teacher("mms")
