"""Pitch, stretches, Voices.convert and the tab Convert, with tiny untrained nets saved and loaded as the
real ones are."""

import dataclasses
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch

from lib import audio, training
from lib.models.codec import Codec, CodecConfig
from lib.models.flow_vae import FlowVAE, FlowVAEConfig
from lib.tabs import context, permits, visitor
from lib.tabs import convert as tab
from lib.voices import Voices


def buzz(hz, noise=0.003):
    """wav [T] with the fundamental hz [T] and falling harmonics."""
    phase = 2 * np.pi * np.cumsum(hz) / audio.RATE
    wav = sum(np.sin(k * phase) / k for k in range(1, 12))
    return (0.1 * wav + noise * np.random.default_rng(0).standard_normal(len(hz))).astype("float32")


@pytest.mark.parametrize(("low", "high"), [(75, 110), (140, 260), (300, 400)])
def test_pitch_follows_a_glide(low, high):
    """Catches octave errors and a track that is late against the frames of the spectrogram."""
    hz = np.linspace(low, high, 2 * audio.RATE)
    f0 = audio.pitch(buzz(hz))
    true = hz[audio.HOP // 2 :: audio.HOP][: len(f0)]
    assert len(f0) == 2 * audio.RATE // audio.HOP and (f0[4:-4] > 0).all()
    assert np.abs(np.log2(f0[4:-4] / true[4:-4])).max() < 0.03
    assert audio.register(f0) == pytest.approx(np.log2((low + high) / 2), abs=0.05)


def test_what_has_no_pitch_has_none():
    """Catches noise and silence taken for a voice, and a register of nothing."""
    noise = np.random.default_rng(0).standard_normal(16000).astype("float32")
    assert (audio.pitch(noise) > 0).mean() < 0.15 and not audio.pitch(np.zeros(8000, "float32")).any()
    assert audio.register(np.zeros(5)) == 7.3 and audio.pitch(np.zeros(100, "float32")).shape == (0,)
    mixed = audio.pitch(np.concatenate([buzz(np.full(16000, 150.0)), np.zeros(16000, "float32")]))
    assert (mixed[:58] > 0).all() and not mixed[66:].any()


@pytest.mark.parametrize("frames", [1, 63, 64, 65, 128, 129, 300, 1001])
def test_stretches_join_to_what_they_were_cut_from(frames):
    """Catches gaps, gains that do not add up to one, and stretches longer than asked for, at awkward
    lengths."""
    wav, asked = np.random.default_rng(0).standard_normal(frames * audio.HOP).astype("float32"), []

    def run(start, end):
        asked.append(end - start)
        return wav[start * audio.HOP : end * audio.HOP]

    assert np.allclose(audio.chunked(run, frames, 128, 64), wav, atol=1e-5)
    assert max(asked) <= 128


def test_a_source_keeps_its_timing_and_has_a_limit():
    """Catches a source that is trimmed, and one that fills the memory."""
    wav = np.concatenate([np.zeros(8000), buzz(np.full(24000, 150.0)), np.zeros(8000)]).astype("float32")
    assert len(audio.source((audio.RATE, wav))) == 40000
    assert len(audio.source((8000, wav))) == 80000
    for clip, said in (
        ((audio.RATE, np.resize(wav, 61 * audio.RATE)), "61 s.*60 s"),
        ((audio.RATE, 0 * wav), "silent"),
        ((audio.RATE, wav[6000:12000]), "at least 1 s"),
        ("nowhere.wav", "no file"),
    ):
        with pytest.raises(ValueError, match=said):
            audio.source(clip)


@pytest.fixture(scope="module")
def root(tiny_root, tmp_path_factory):
    """The tiny checkpoints of conftest.py with a conversion model beside them."""
    root = tmp_path_factory.mktemp("with-conversion")
    for name in ("speaker_encoder", "codec", "tts"):
        shutil.copytree(tiny_root / name, root / name)
    codec, _ = training.load(root / "codec", Codec, CodecConfig)
    torch.manual_seed(0)
    vc = FlowVAE(
        FlowVAEConfig(
            D=16,
            hidden=16,
            residual_layers=1,
            code=8,
            tones=6,
            layers=1,
            segment=16,
            flow_channels=8,
            flow_layers=1,
            couplings=2,
        ),
        codec,
    )
    for coupling in vc.flow.couplings:
        torch.nn.init.normal_(coupling.shift.weight, std=0.3)
    card = dict(data="none", licence="Apache-2.0", budget="0 steps", figures={}, name="tiny-vc")
    training.save(root / "flow_vae", vc, vc.config, card, lenders={"codec": root / "codec"})
    return root


@pytest.fixture(scope="module")
def voices(root):
    return Voices.load(root)


SOURCE = (audio.RATE, buzz(np.linspace(110, 150, 40000)))
VOICE = (audio.RATE, buzz(np.linspace(250, 220, 40000)))


def test_conversion_keeps_length_and_says_how(voices):
    """Catches a result that is shorter than its source, and facts that are missing."""
    speech = voices.convert(SOURCE, VOICE, strength=0.8, pitch=0.5, semitones=2, seed=3)
    assert speech.rate == audio.RATE and len(speech.wav) == 40000 and speech.wav.dtype == np.float32
    assert np.isfinite(speech.wav).all() and 0.01 < np.abs(speech.wav).max() <= 0.97 + 1e-4
    facts = speech.facts
    assert (facts["strength"], facts["pitch"], facts["semitones"], facts["seed"]) == (0.8, 0.5, 2, 3)
    assert (
        facts["seconds"] == 2.5
        and facts["real_time_factor"] > 0
        and (facts["checkpoint"], facts["budget"]) == ("tiny-vc", "0 steps")
    )


def test_a_long_pause_stays_where_it_is_and_changes_nothing_else(voices, monkeypatch):
    """Catches silence that counts as a part of the voice, and words that move when a pause is cut."""
    plainly = dataclasses.replace(voices.flow_vae.config, rounds=0)  # steps of Adam magnify a rounding
    monkeypatch.setattr(voices.flow_vae, "config", plainly)
    wav = SOURCE[1][: 156 * audio.HOP]  # pauses begin with a frame
    wav = wav - wav.mean()  # whatever is taken from the whole is nothing
    room = np.zeros(8 * audio.RATE, "float32")
    breath = room[: int(0.5 * audio.RATE)]
    paused = voices.convert((audio.RATE, np.concatenate([wav, room, wav])), VOICE, seed=1).wav
    plain = voices.convert((audio.RATE, np.concatenate([wav, breath, wav])), VOICE, seed=1).wav
    assert len(paused) == 2 * len(wav) + len(room)
    assert not paused[len(wav) + audio.RATE : -len(wav) - audio.RATE].any()
    for part in (slice(0, len(wav)), slice(-len(wav), None)):
        np.testing.assert_allclose(paused[part], plain[part], atol=0.01 * np.abs(plain).max())


def test_seed_strength_pitch_and_voice_are_used(voices):
    """Catches a slider that is not connected, hidden randomness, and strength 0 that still converts."""
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    plain = voices.convert(SOURCE, VOICE, seed=1).wav
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(plain, voices.convert(SOURCE, VOICE, seed=1).wav)
    for more in (
        dict(seed=2),
        dict(seed=1, strength=0.3),
        dict(seed=1, pitch=0.0),
        dict(seed=1, semitones=-5),
        dict(seed=1, detail=0.0),
    ):
        assert not np.allclose(plain, voices.convert(SOURCE, VOICE, **more).wav, atol=1e-4), more
    kept = voices.convert(SOURCE, VOICE, strength=0.0, pitch=0.0, seed=1).wav
    assert np.allclose(kept, voices.convert(SOURCE, SOURCE, pitch=0.0, seed=1).wav, atol=1e-4)
    assert not np.allclose(kept, voices.convert(SOURCE, VOICE, pitch=0.0, seed=1).wav, atol=1e-4)


def test_a_minute_goes_through_in_stretches(voices):
    """Catches a source that is seen all at once: what the model holds at a time must not grow with the
    minute."""
    told, seen = [], []
    handle = voices.flow_vae.content.register_forward_hook(
        lambda module, given, out: seen.append(given[0].shape[2])
    )
    speech = voices.convert(
        (audio.RATE, np.resize(SOURCE[1], 59 * audio.RATE)),
        VOICE,
        progress=lambda share, words: told.append(share),
    )
    handle.remove()
    assert len(speech.wav) == 59 * audio.RATE and max(seen) <= audio.CHUNK and len(seen) == len(told) == 9
    assert told[0] == 0 and told == sorted(told) and told[-1] < 1


def test_conversion_can_be_stopped(voices):
    """Catches a Stop that waits for the end, and a lock that is not given back."""
    told = []
    with pytest.raises(InterruptedError):
        voices.convert(
            (audio.RATE, np.resize(SOURCE[1], 20 * audio.RATE)),
            VOICE,
            progress=lambda *a: told.append(a),
            cancelled=lambda: len(told),
        )
    assert len(told) == 1
    voices.convert(SOURCE, VOICE)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (dict(strength=1.1), "strength is 1.1: choose 0 to 1"),
        (dict(pitch=-0.1), "0 to 1"),
        (dict(semitones=13), "-12 to 12"),
        (dict(strength=float("nan")), "strength"),
        (dict(detail=2), "detail is 2"),
        (dict(voice=np.zeros(16)), "16 finite"),
        (dict(source=(16000, np.zeros(16000))), "silent"),
    ],
)
def test_bad_requests_are_refused_with_the_limit(voices, more, said):
    """Catches a request that runs although it cannot be served."""
    with pytest.raises(ValueError, match=said):
        voices.convert(**(dict(source=SOURCE, voice=VOICE) | more))


def test_without_its_weights_all_else_works(tiny_root):
    """Catches an app that does not start where conversion was not installed."""
    voices = Voices.load(tiny_root)
    assert not voices.bundle.has("flow_vae") and len(voices.speak("Yes.", VOICE).wav)
    with pytest.raises(ValueError, match="flow_vae"):
        voices.convert(SOURCE, VOICE)


# ---------------------------------------------------------------- the tab


@pytest.fixture
def run(voices, tmp_path):
    """The function behind the button, for a visitor of its own."""
    function, on_page, _ = tab.callbacks(voices, tmp_path)
    paths = [str(tmp_path / f"{name}.wav") for name in ("source", "voice")]
    for path, clip in zip(paths, (SOURCE, VOICE)):
        audio.save(path, *clip)

    def ask(
        source=paths[0],
        target=paths[1],
        consent=True,
        strength=1.0,
        pitch=1.0,
        semitones=0,
        seed=0,
        detail=0.5,
        rate=audio.RATE,
        taken=None,
    ):
        given = (source, target, consent, strength, pitch, semitones, seed, detail, rate)
        request = SimpleNamespace(session_hash="a")
        return on_page(*given, taken, None, request) if taken else function(*given, request)

    return ask


def test_the_tab_gives_what_the_library_gives(run, voices):
    """The tab adds nothing of its own: same samples, a picture of all three, and the facts."""
    sound, picture, facts = run(seed=4)
    _, samples = audio.load(sound)
    source, target = (
        (audio.RATE, np.round(np.clip(wav, -1, 1) * 32767) / 32768) for _, wav in (SOURCE, VOICE)
    )
    assert (
        len(samples) == 40000
        and np.corrcoef(samples, voices.convert(source, target, seed=4, detail=0.5).wav)[0, 1] > 0.99
    )
    assert Path(picture).read_bytes()[:4] == b"\x89PNG" and "voice-atlas-source-as-voice-" in sound
    for wanted in (
        r"-?\d\.\d\d to the voice asked for, -?\d\.\d\d to the source",
        r"Real-time factor\*\* \d\.\d+",
        "tiny-vc",
        r"seed\*\* 4",
        r"detail\*\* 0.5",
    ):
        assert re.search(wanted, facts), (wanted, facts)


def test_a_voice_from_the_atlas_will_do(run):
    """Catches a target that must be a clip although another tab sent a voice."""
    taken = {"name": "a point", "spk_emb": np.eye(16)[0].tolist()}
    sound, _, _, pair, kept, *_ = run(target=None, taken=taken)
    assert len(audio.load(sound)[1]) == 40000 and "source-as-a-point" in sound
    assert [button["label"] for button in pair["value"]] == ["Compare: source", "Compare: result"]
    assert kept[0].paths[0] == sound and kept[0].taken == taken and kept[0].fields[1] is None


def test_a_result_stands_beside_source_and_voice_and_in_the_list(voices, tmp_path):
    """Catches settings that come back in another order than the fields of the page."""
    _, on_page, _ = tab.callbacks(voices, tmp_path)
    paths = [str(tmp_path / f"{name}.wav") for name in ("source", "voice")]
    for path, clip in zip(paths, (SOURCE, VOICE), strict=True):
        audio.save(path, *clip)
    settings = (0.9, 0.8, -1, 3, 0.7)
    given = (*paths, True, *settings, audio.RATE, None, None, SimpleNamespace(session_hash="a"))
    *_, pair, kept, _, _, _ = on_page(*given)
    assert [button["label"] for button in pair["value"]] == [
        "Compare: source",
        "Compare: voice",
        "Compare: result",
    ]
    assert kept[0].fields == (*paths, None, None, *settings, audio.RATE)
    with gr.Blocks() as page:
        tab.build(context.Context(voices, None, gr.State()))
    use = next(fn for fn in page.fns.values() if fn.api_name == "use")
    run = next(fn for fn in page.fns.values() if fn.api_name == "convert_on_page")
    fields = use.outputs[: len(kept[0].fields)]
    assert [fields[0], fields[1], *fields[4:]] == [*run.inputs[:2], *run.inputs[3:-2]]
    assert use.outputs[len(fields)] == run.inputs[2], "the box of consent"


def test_consent_is_asked_where_somebody_may_speak(run, tmp_path):
    """Catches a box that must be ticked for virtual voices, and a real one that passes beside a virtual."""
    source, target = (str(tmp_path / f"{name}.wav") for name in ("source", "voice"))
    virtual, person = ({"name": "a point", "spk_emb": [1.0] * 16, "person": flag} for flag in (False, True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(permits, "VIRTUAL", permits.Virtual())
        permits.VIRTUAL.add([source])
        assert run(consent=False, target=None, taken=virtual)
        for brought in (dict(), dict(target=None, taken=person), dict(source=target, target=source)):
            with pytest.raises(ValueError, match="Consent: the consent box is not ticked"):
                run(consent=False, **brought)
        permits.VIRTUAL.add([target])
        assert run(consent=False)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (dict(consent=False), "consent"),
        (dict(consent="yes"), "consent"),
        (dict(source=None), "no source"),
        (dict(target=None), "no voice"),
        (dict(seed=-1), "Seed"),
        (dict(strength=2), "Strength"), (dict(pitch=None), "Pitch"),
        (dict(source="gone.wav"), "not uploaded here"),
        (dict(target="/etc/hostname"), "Voice to borrow: .*not uploaded here"),
        (dict(semitones=13), "Semitones: 13 is out of range"),
        (dict(rate=44100), "Output rate: 44100 Hz is not made here"),
        (dict(rate=None), "Output rate: it is empty"),
    ],
)
def test_the_tab_refuses_in_words(run, more, said):
    """Consent and limits hold on the server, whatever the page sends."""
    with pytest.raises(ValueError, match=said):
        run(**more)


def test_a_bad_clip_is_named(run, tmp_path):
    """Catches a message that leaves open which of the two clips is meant."""
    audio.save(tmp_path / "short.wav", audio.RATE, VOICE[1][:8000])
    with pytest.raises(visitor.WrongField, match="Voice to borrow: .*at least 1 s"):
        run(target=str(tmp_path / "short.wav"))
    assert "cannot be used" in tab.report(str(tmp_path / "short.wav"))
    assert "cannot" not in tab.report(run()[0]) and tab.report(None) == ""


def test_the_page_can_be_built(voices):
    """Catches a component that this gradio does not know, and an endpoint under another name."""
    with gr.Blocks() as page:
        tab.build(context.Context(voices, None, gr.State()))
    assert "convert" in {fn.api_name for fn in page.fns.values()}


@pytest.mark.parametrize(("wer", "warned"), [(0.41, True), (0.2, False)])
def test_early_weights_say_so(voices, monkeypatch, wer, warned):
    """Catches a visitor who is left to find out that words are lost; the card knows, and the page must tell
    while it is so."""
    monkeypatch.setitem(voices.bundle.card("flow_vae"), "figures", {"wer": wer})
    with gr.Blocks() as page:
        tab.build(context.Context(voices, None, gr.State()))
    lines = [block.value or "" for block in page.blocks.values() if isinstance(block, gr.Markdown)]
    warnings = [line for line in lines if "Early weights" in line]
    assert bool(warnings) == warned and (not warned or "41%" in warnings[0])
