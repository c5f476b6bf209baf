"""Text becomes vectors and a melody: shapes, alignment, the flow, prompts, losses, speech made of them."""
import gradio as gr
import numpy as np
import pytest
import torch
from conftest import UNTRAINED, with_frames

from lib import audio
from lib.losses.vectors import text_to_vec
from lib.models.semantic import Semantic, SemanticConfig
from lib.models.text_to_vec import BEYOND, TextToVec, TextToVecConfig, prompt
from lib.nn import align
from lib.nn import pitch as pitches
from lib.nn.blocks import sequence_mask
from lib.tabs import permits
from lib.tabs import speak as tab
from lib.voices import Voices
from lib.voices.speak import MODELS

RATE = 16000
S, D, N_SYMBOLS, LOW = 8, 6, 12, 3
TINY = TextToVecConfig(N_SYMBOLS, S, D, C=4, G=5, low=LOW, hidden=16, text_layers=1, posterior_layers=1,
                       flow_channels=8, flow_layers=1, couplings=2, decoder_layers=1)
WEIGHTS = {"vectors": 10, "pitch": 4, "voiced": 1, "low": 1, "phones": 0.5}


def tiny():
    torch.manual_seed(0)
    semantic = Semantic(SemanticConfig(N_SYMBOLS, S=S, hidden=16, layers=1, attention_layers=1))
    return TextToVec(TINY, semantic.requires_grad_(False))


def shaken(net):
    """A net whose every weight has left its start: layers that begin at zero would hide faults."""
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return net.eval()


@pytest.fixture(scope="module")
def net():
    return shaken(tiny())


@pytest.fixture
def batch():
    torch.manual_seed(1)
    f0 = 100 + 100 * torch.rand(2, 21)
    f0[:, 4:8] = 0
    return {
        "x": torch.randint(1, N_SYMBOLS, (2, 5)), "tokens": torch.tensor([5, 3]),
        "code": torch.tanh(torch.randn(2, S, 21)), "pitch": pitches.channels(f0),
        "frames": torch.tensor([21, 13]), "prosody": torch.randn(2, 3), "spk_emb": torch.randn(2, D),
        "low": torch.randn(2, LOW, 21),
    }


def test_forward_gives_what_the_losses_need(net, batch):
    out = net(batch)
    assert out["heard"]["code_hat"].shape == out["told"]["code_hat"].shape == (2, S, 21)
    assert torch.equal(out["path"].sum((1, 2)), batch["frames"].float())
    terms = text_to_vec(out, batch)
    assert set(terms) == {*WEIGHTS, *(f"told_{name}" for name in WEIGHTS), "kl", "duration", "usual"}
    assert all(torch.isfinite(loss) for loss in terms.values())


def test_durations_that_are_known_take_the_place_of_the_search(net, batch):
    """The same path, found or given, gives the same losses; another gives others."""
    torch.manual_seed(2)
    found = net(batch)
    given = batch | {"path": found["path"], "w": found["w"]}
    torch.manual_seed(2)
    again = net(given)
    torch.testing.assert_close(again["m_p"], found["m_p"])
    torch.testing.assert_close(text_to_vec(again, batch)["kl"], text_to_vec(found, batch)["kl"])
    w = torch.tensor([[[9.0, 1, 9, 1, 1]], [[1, 11, 1, 0, 0]]])
    mask = sequence_mask(batch["frames"])
    other = net(batch | {"path": align.path_from(w, mask), "w": w})
    assert not torch.allclose(other["m_p"], found["m_p"])
    torch.testing.assert_close(other["w"], w)


def test_the_search_finds_durations_that_the_latents_tell(net):
    """Latents that lie where the prior of each token is: the search gives back who was where."""
    torch.manual_seed(3)
    w = torch.tensor([[[3.0, 1, 4, 2, 5]]])
    path = align.path_from(w)
    m_p = 3 * torch.randn(1, TINY.C, 5)
    mask = torch.ones(1, 1, path.shape[2])
    found = net.search(torch.matmul(m_p, path), m_p, torch.zeros_like(m_p), torch.ones(1, 1, 5), mask)
    torch.testing.assert_close(found, path)


def test_the_flow_goes_back_the_way_it_came(net, batch):
    mask = sequence_mask(batch["frames"])
    g = net.manner(net.scaled(batch["prosody"])).unsqueeze(2)
    z = torch.randn(2, TINY.C, 21) * mask
    z_p = net.flow(z, mask, g)
    assert not torch.allclose(z_p, z, atol=1e-2)
    torch.testing.assert_close(net.flow(z_p, mask, g, reverse=True), z, atol=1e-5, rtol=1e-4)


def test_what_is_beyond_the_end_is_not_heard(net, batch):
    other = {name: value.clone() for name, value in batch.items()}
    other["code"][1, :, 13:] = 1
    other["pitch"][1, :, 13:] = 1
    other["low"][1, :, 13:] = 9
    other["x"][1, 3:] = 7
    torch.manual_seed(4)
    terms = text_to_vec(net(batch), batch)
    torch.manual_seed(4)
    for name, loss in text_to_vec(net(other), other).items():
        torch.testing.assert_close(loss, terms[name], msg=name)


@pytest.mark.parametrize("tokens", [1, 2, 7, 31])
@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_text_of_any_length_is_said(net, tokens, speed):
    code, f0, path = net.infer(torch.randint(1, N_SYMBOLS, (1, tokens)), torch.zeros(1, 3), speed=speed)
    frames = path.shape[2]
    assert frames >= 1
    assert code.shape == (1, S, frames)
    assert f0.shape == (1, frames)
    assert torch.isfinite(code).all()
    assert ((f0 == 0) | ((f0 > 50) & (f0 < 500))).all()
    assert (path.sum(1) == 1).all()  # each frame belongs to one token


def test_slow_speech_has_longer_tokens(net):
    x = torch.randint(1, N_SYMBOLS, (1, 20))
    plain, slow = (net.infer(x, torch.zeros(1, 3), speed=speed)[2] for speed in (1.0, 0.5))
    assert slow.shape[2] == pytest.approx(2 * plain.shape[2], abs=1)
    assert (slow.sum(2) >= plain.sum(2)).all()


def test_a_seed_gives_one_melody_and_no_noise_gives_the_same_always(net):
    x = torch.randint(1, N_SYMBOLS, (1, 9))

    def said(seed, noise_scale):
        torch.manual_seed(seed)
        return net.infer(x, torch.zeros(1, 3), noise_scale)[0]
    torch.testing.assert_close(said(0, 1.0), said(0, 1.0))
    assert not torch.allclose(said(0, 1.0), said(1, 1.0))
    torch.testing.assert_close(said(0, 0.0), said(1, 0.0))


def test_a_prompt_out_of_range_is_taken_for_the_last_within():
    net = tiny()
    net.middle.copy_(torch.tensor([0.0, 0.6, 0.3]))
    net.spread.copy_(torch.tensor([1.0, 0.2, 0.05]))
    far = torch.tensor([[99.0, -99, 0.3]])
    torch.testing.assert_close(net.scaled(far), torch.tensor([[BEYOND, -BEYOND, 0.0]]))


def test_a_usual_prompt_is_on_the_scale_of_a_measured_one():
    """Catches a guess that is left at mean 0 and deviation 1, and one that is the same for every voice."""
    net = tiny()
    net.middle.copy_(torch.tensor([0.0, 0.6, 0.3]))
    net.spread.copy_(torch.tensor([1.0, 0.2, 0.05]))
    spk_emb = torch.randn(2, D)
    guessed = net.usual_prompt(spk_emb)
    torch.testing.assert_close((guessed - net.middle) / net.spread, net.usual(spk_emb))
    assert not torch.allclose(guessed[0], guessed[1], atol=1e-3)


def test_a_prompt_is_measured():
    """Register, range and pace, each by a sound of its own."""
    torch.manual_seed(0)
    mel, code = torch.zeros(10, 40), torch.randn(S, 40)
    deep = 100 + 10 * torch.rand(1, 40)
    high = 2 * deep
    lively = deep**2 / 105

    def measured(f0, code=code, mel=mel):
        return prompt(mel, pitches.channels(f0)[0], code)
    octave = torch.log(torch.tensor(2.0)) / pitches.SPREAD
    torch.testing.assert_close(measured(high) - measured(deep), torch.stack([octave, octave * 0, octave * 0]))
    assert measured(lively)[1] == pytest.approx(2 * float(measured(deep)[1]), rel=1e-3)
    slow = code.repeat_interleave(2, 1)[:, :40]
    assert measured(deep, slow)[2] < 0.6 * measured(deep)[2]
    paused = mel.clone()
    paused[:, 20:] = -9  # a pause as long as the speech: it says nothing of the pace
    still = torch.cat([code[:, :20], code[:, 19:20].expand(-1, 20)], 1)
    assert measured(deep, still, paused)[2] == pytest.approx(float(measured(deep)[2]), rel=0.2)
    with pytest.raises(ValueError, match="no voice is heard"):
        measured(torch.zeros(1, 40))


def test_it_begins_as_principal_components():
    """Where there is no more to tell than latents can hold, it comes back before a single step."""
    torch.manual_seed(0)
    basis = torch.randn(S, 3)
    code = torch.tanh(basis @ torch.randn(3, 400) + 0.05 * torch.randn(S, 400)) * 0.97
    line = pitches.channels(150 + 50 * torch.rand(1, 400))[0]
    net = tiny()
    net.start_from(code, line)
    mask, g = torch.ones(1, 1, 400), torch.zeros(1, TINY.G, 1)
    with torch.no_grad():
        m_q, _ = net.encode(code[None], line[None], mask, g)
        said = net.decode(m_q, mask, g)
    torch.testing.assert_close(m_q.std(2), torch.ones(1, TINY.C), atol=0.1, rtol=0)
    lost = (said["code_hat"][0] - code).square().mean() / code.square().mean()
    assert lost < 0.05
    assert (said["voiced"] > 0).all()


def learned(steps=200):
    """A tiny net that has learned prompts: register and pace of what it hears are those of its prompt."""
    net = tiny()
    optim = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 4e-3)
    sounds = torch.tanh(torch.randn(N_SYMBOLS, S))
    first = last = None
    for step in range(steps):
        torch.manual_seed(step)
        x = torch.randint(1, N_SYMBOLS, (8, 6))
        register, pace = torch.randn(8, 1), torch.randn(8, 1).clamp(-1.5, 1.5)
        w = (4 * torch.exp(-0.5 * pace)).round().clamp(1)[:, None].expand(8, 1, 6)
        frames = w.sum((1, 2)).long()
        mask = sequence_mask(frames)
        path = align.path_from(w, mask)
        code = (sounds[x].transpose(1, 2) @ path) * mask
        line = register[..., None].expand(-1, -1, mask.shape[2]) * mask
        batch = {"x": x, "tokens": torch.full((8,), 6), "frames": frames, "code": code,
                 "pitch": torch.cat([line, mask * 2 - 1], 1), "low": torch.zeros(8, LOW, mask.shape[2]),
                 "path": path, "w": w, "prosody": torch.cat([register, 0 * pace, pace], 1),
                 "spk_emb": torch.randn(8, D)}
        terms = text_to_vec(net(batch), batch)
        loss = sum(WEIGHTS.get(name.removeprefix("told_"), 1.0) * term for name, term in terms.items())
        first = first or loss.item()
        last = loss.item()
        optim.zero_grad()
        loss.backward()
        optim.step()
    return net.eval(), first, last


def test_it_learns_and_follows_its_prosody_prompt():
    net, first, last = learned()
    assert last < 0.7 * first
    x = torch.tensor([[1, 4, 7, 2, 9, 5]])

    def said(register, pace):
        code, f0, _ = net.infer(x, torch.tensor([[register, 0.0, pace]]), noise_scale=0.0)
        return code.shape[2], float(f0[f0 > 0].log().median())
    quick, deep = said(-1.0, 1.0)
    slow, high = said(1.0, -1.0)
    assert slow > 1.5 * quick
    assert high - deep > pitches.SPREAD  # of the two deviations between the prompts, one at least


@pytest.fixture(scope="module")
def speaking(tiny_root):
    """Voices that speak by vectors; untrained, and heard; prompts are followed exactly."""
    torch.manual_seed(0)
    voices = Voices.load(tiny_root)
    frames = with_frames(voices)
    semantic = Semantic(SemanticConfig(hidden=16, layers=1, attention_layers=1))
    net = shaken(TextToVec(TextToVecConfig(D=16, hidden=16, text_layers=1, posterior_layers=1,
                                           flow_channels=8, flow_layers=1, couplings=2, decoder_layers=1),
                           semantic))
    torch.nn.init.constant_(net.durations.out.bias, 1.5)  # about five frames a token, as in speech
    torch.nn.init.normal_(net.out.weight, std=0.5)
    for weight in (frames.out.weight, frames.semantic.weight, frames.looks[0].out.weight):
        torch.nn.init.normal_(weight, std=0.1)
    voices.bundle.put("semantic", semantic, UNTRAINED)
    voices.bundle.put("text_to_vec", net, UNTRAINED)
    return voices


def hum(hz, seconds=2.0):
    """A voice that hums, and not on one note: a clip with a register."""
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(hz * (1 + 0.05 * np.sin(7 * t))) / RATE
    tones = sum(np.sin(k * phase) / k for k in range(1, 8))
    return RATE, (0.1 * tones * (1.2 + np.sin(9 * t))).astype("float32")


WORDS = "The ferry leaves at noon."


def test_it_speaks_where_it_is_asked_to(speaking):
    speech = speaking.speak(WORDS, hum(120), seed=3, model="text_to_vec")
    assert speech.facts["model"] == "text_to_vec"
    assert np.isfinite(speech.wav).all()
    again = speaking.speak(WORDS, hum(120), seed=3, model="text_to_vec")
    np.testing.assert_array_equal(speech.wav, again.wav)
    assert speaking.speak(WORDS, hum(120), seed=3).facts["model"] == MODELS[0]
    by_vector = speaking.speak(WORDS, speaking.embed(hum(120)), model="text_to_vec")
    assert np.isfinite(by_vector.wav).all()


def told(speaking, monkeypatch, **asked):
    """(prosody prompt, embedding) that reach the models when something is said."""
    handed = {}
    net, frames = speaking.bundle["text_to_vec"], speaking.bundle["frames"]
    infer, sample = net.infer, frames.sample

    def hear_infer(x, prosody, *rest):
        handed["prosody"] = prosody
        return infer(x, prosody, *rest)

    def hear_sample(content, spk_emb, ref, lead):
        handed["voice"] = spk_emb
        return sample(content, spk_emb, ref, lead)
    with monkeypatch.context() as patched:
        patched.setattr(net, "infer", hear_infer)
        patched.setattr(frames, "sample", hear_sample)
        speaking.speak(WORDS, model="text_to_vec", **asked)
    return handed["prosody"], handed["voice"]


def test_melody_and_voice_come_each_from_its_own_clip(speaking, monkeypatch):
    low, high = hum(110), hum(220)
    own, low_voice = told(speaking, monkeypatch, voice=low)
    crossed, same_voice = told(speaking, monkeypatch, voice=low, melody=high)
    swapped, high_voice = told(speaking, monkeypatch, voice=high, melody=low)
    octave = float(np.log(2)) / pitches.SPREAD
    assert float(crossed[0, 0] - own[0, 0]) == pytest.approx(octave, abs=0.1)
    torch.testing.assert_close(swapped, own)
    torch.testing.assert_close(same_voice, low_voice)
    assert not torch.allclose(high_voice, low_voice, atol=1e-4)


def test_a_voice_that_nobody_heard_speaks_as_is_usual_for_it(speaking, monkeypatch):
    """A voice without a recording, and a recording in which somebody only whispers."""
    whisper = RATE, (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype("float32")
    for voice in (speaking.embed(hum(220)), whisper):
        prosody, spk_emb = told(speaking, monkeypatch, voice=voice)
        torch.testing.assert_close(prosody, speaking.bundle["text_to_vec"].usual_prompt(spk_emb))


def test_a_melody_is_heard(speaking):
    plain = speaking.speak(WORDS, hum(110))
    other = speaking.speak(WORDS, hum(110), melody=hum(220))
    assert other.facts["model"] == "text_to_vec"
    assert plain.wav.shape != other.wav.shape or not np.allclose(plain.wav, other.wav, atol=1e-3)


def test_what_cannot_be_done_is_told(speaking, tiny_voices):
    noise = RATE, (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype("float32")
    with pytest.raises(ValueError, match="text_to_vec, frames"):
        speaking.speak(WORDS, hum(110), model="magic")
    with pytest.raises(ValueError, match="follows no melody"):
        speaking.speak(WORDS, hum(110), model="frames", melody=hum(220))
    with pytest.raises(ValueError, match="from a recording"):
        speaking.speak(WORDS, hum(110), melody=speaking.embed(hum(220)))
    with pytest.raises(ValueError, match="no voice is heard"):
        speaking.speak(WORDS, hum(110), melody=noise)
    with pytest.raises(ValueError, match="lesson 07"):  # it is not installed there
        tiny_voices.speak(WORDS, hum(110), model="text_to_vec")


def said_in_the_tab(voices, folder, melody, consent=True):
    """Facts that the tab Speak gives for a voice that nobody has and the clip `melody`."""
    example = folder / "voice.wav"
    audio.save(example, *hum(110))
    permits.VIRTUAL.add([example])
    function, *_ = tab.callbacks(voices, folder)
    given = (WORDS, str(example), consent, 0, 1.0, 0.1, RATE, melody)
    return function(*given, gr.Request(session_hash="a"), lambda *told, **more: None)


def test_the_tab_follows_a_melody_that_may_be_used(speaking, tmp_path):
    melody, noise = tmp_path / "melody.wav", tmp_path / "noise.wav"
    audio.save(melody, *hum(220))
    audio.save(noise, RATE, (0.1 * np.random.default_rng(0).standard_normal(3 * RATE)).astype("float32"))
    plain, *_ = said_in_the_tab(speaking, tmp_path, None, consent=False)
    sound, *_ = said_in_the_tab(speaking, tmp_path, str(melody))
    plain, sound = audio.load(plain)[1], audio.load(sound)[1]
    assert len(plain) != len(sound) or not np.allclose(plain, sound, atol=1e-3)
    with pytest.raises(ValueError, match="consent"):
        said_in_the_tab(speaking, tmp_path, str(melody), consent=False)
    with pytest.raises(ValueError, match=tab.MELODY):
        said_in_the_tab(speaking, tmp_path, str(noise))
