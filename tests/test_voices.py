"""Voices, with tiny untrained nets saved and loaded as the real ones are."""

import itertools
import math
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY_CODEC, TINY_VITS

from lib import audio, text, training
from lib.models.codec import Codec, CodecConfig
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.models.vits import Vits, VitsConfig
from lib.voices import Voices, speak, speech
from lib.voices.bundle import Bundle

ROOT = Path(__file__).parent.parent
CARD = {"data": "none", "licence": "CC0", "budget": "untrained", "figures": {}, "name": "tiny"}
WORDS = "A first sentence. And a second one! Is there a third?"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of checkpoints, small and untrained, about five frames to a token."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("checkpoints")
    encoder = SpeakerEncoder(SpeakerEncoderConfig((4, 4, 8, 8), (1, 1, 1, 1), D=16))
    codec = Codec(CodecConfig((("verification", 16),), **TINY_CODEC))
    tts = Vits(VitsConfig(len(text.SYMBOLS), **TINY_VITS), codec)
    torch.nn.init.constant_(tts.durations.out.bias, math.log(5))
    torch.nn.init.normal_(codec.conditioning.project["verification"][0].weight)
    training.save(root / "speaker_encoder", encoder, encoder.config, CARD)
    training.save(root / "codec", codec, codec.config, CARD)
    training.save(root / "tts", tts, tts.config, CARD, lenders={"codec": root / "codec"})
    return root


@pytest.fixture(scope="module")
def voices(root):
    return Voices.load(root)


def clip(seed=0, seconds=2.5, rate=22050):
    """A buzzing tone, as (rate, samples)."""
    rng, t = np.random.default_rng(seed), np.arange(int(seconds * rate)) / rate
    wav = sum(np.sin(2 * np.pi * k * (120 + 60 * seed) * t) / k for k in range(1, 8))
    return rate, (0.1 * wav + 0.01 * rng.standard_normal(len(t))).astype("float32")


@pytest.fixture(scope="module")
def voice(voices):
    return voices.embed(clip())


def test_embed_gives_one_unit_vector_for_any_kind_of_clip(voices, tmp_path):
    """Catches a clip that has another voice as a file than as an array."""
    audio.save(tmp_path / "a.wav", *clip())
    one, two = voices.embed(clip()), voices.embed(tmp_path / "a.wav")
    assert (
        one.shape == (16,) and one.dtype == np.float32 and np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    )
    assert one @ two > 0.999
    assert np.array_equal(voices.embed(clip()), one)


def test_speak_gives_sound_and_says_how(voices, voice):
    """Catches facts that are missing or wrong: the visitor is told them."""
    spoken = voices.speak(WORDS, voice, seed=4, speed=1.1, noise_scale=0.2)
    assert spoken.rate == 16000 and spoken.wav.dtype == np.float32 and spoken.wav.ndim == 1
    assert np.isfinite(spoken.wav).all() and 0.01 < np.abs(spoken.wav).max() <= 0.97 + 1e-4
    facts = spoken.facts
    assert (facts["seed"], facts["speed"], facts["noise_scale"]) == (4, 1.1, 0.2)
    assert facts["seconds"] == pytest.approx(len(spoken.wav) / 16000)
    assert facts["real_time_factor"] == pytest.approx(facts["took"] / facts["seconds"])
    assert (facts["checkpoint"], facts["budget"]) == ("tiny", "untrained") and voices.cards["tts"] == CARD


def test_the_same_seed_gives_the_same_samples_whatever_ran_before(root, voices, voice):
    """Catches hidden randomness, and a process-wide random state that speaking disturbs."""
    one = voices.speak(WORDS, voice, seed=7).wav
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    two = voices.speak(WORDS, voice, seed=7).wav
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(one, two)
    assert np.array_equal(Voices.load(root).speak(WORDS, voice, seed=7).wav, one)
    other = voices.speak(WORDS, voice, seed=8).wav
    assert other.shape != one.shape or not np.allclose(other, one, atol=1e-4)


@pytest.mark.parametrize("seed", [-1, 0, 2**40, 2**64 + 5])
def test_any_whole_number_is_a_seed(voices, voice, seed):
    """Catches a seed typed by a visitor that torch refuses with an overflow."""
    assert np.array_equal(
        voices.speak("Yes.", voice, seed=seed).wav, voices.speak("Yes.", voice, seed=seed).wav
    )


def test_voice_speed_and_noise_are_used(voices, voice):
    """Catches a slider that is not connected."""
    plain = voices.speak("Good morning to you all.", voice, noise_scale=0.0)
    assert np.array_equal(
        plain.wav, voices.speak("Good morning to you all.", voice, seed=9, noise_scale=0.0).wav
    )
    for more in (dict(voice=-voice), dict(speed=1.5), dict(noise_scale=0.9)):
        changed = voices.speak("Good morning to you all.", **(dict(voice=voice, noise_scale=0.0) | more)).wav
        assert changed.shape != plain.wav.shape or not np.allclose(changed, plain.wav, atol=1e-3), more
    fast = voices.speak("Good morning to you all.", voice, speed=2.0).wav
    assert len(fast) < 0.6 * len(plain.wav)


def test_sentences_join_without_clicks(voices, voice):
    """Catches a jump where two sentences meet, and sentences that run into each other."""
    wav, pause = voices.speak(WORDS, voice, seed=1).wav, int(speak.PAUSE * 16000)
    quiet = [(k, len(list(run))) for k, run in itertools.groupby(wav == 0)]
    ends = np.cumsum([n for _, n in quiet])
    joints = [(end - n, end) for (zero, n), end in zip(quiet, ends) if zero and n >= pause - 2]
    assert len(joints) == 2
    for start, end in joints:
        assert end - start < pause + 100
        for at in (start, end):
            assert np.abs(np.diff(wav[at - 4 : at + 4])).max() < 0.05
    assert abs(wav[0]) < 1e-6 and abs(wav[-1]) < 1e-6


def test_pauses_and_fade_by_hand():
    """Catches a pause after the last sentence, one asked for that is lost, a fade longer than its piece."""
    assert [speak.behind(*given) for given in ((0.0, False), (0.5, False), (0.0, True), (0.5, True))] == [
        speak.PAUSE,
        0.5,
        0.0,
        0.5,
    ]
    faded = speech.fade(np.ones(1000, "float32"))
    assert faded[0] == faded[-1] == 0 and faded[500] == 1 and np.abs(np.diff(faded)).max() < 0.01
    for n in (0, 1, 2, 3):
        assert len(speech.fade(np.ones(n, "float32"))) == n


def test_a_stream_hands_out_each_sentence_before_the_next_is_begun(voices, voice):
    """Catches a first sentence that waits for the last, and pieces that are not the whole."""
    begun = []
    pieces = []
    parts = voices.stream(WORDS, voice, seed=7, progress=lambda share, message: begun.append(message))
    for piece in parts:
        pieces.append(piece)
        assert len(begun) == len(pieces)
    whole = voices.speak(WORDS, voice, seed=7)
    assert len(pieces) == 3 and np.array_equal(np.concatenate([piece.wav for piece in pieces]), whole.wav)
    facts = speech.joined(pieces).facts
    assert facts["took"] == pytest.approx(sum(piece.facts["took"] for piece in pieces))
    assert {key: facts[key] for key in ("seed", "speed", "seconds")} == {
        "seed": 7,
        "speed": 1.0,
        "seconds": len(whole.wav) / whole.rate,
    }


def test_progress_and_cancel(voices, voice):
    """Catches a cancel button that waits for the whole text, and a bar that never moves."""
    told = []
    voices.speak(WORDS, voice, progress=lambda share, message: told.append((share, message)))
    assert [share for share, _ in told] == [0, 1 / 3, 2 / 3] and told[1][1] == "sentence 2 of 3"
    told.clear()
    with pytest.raises(InterruptedError):
        voices.speak(
            WORDS, voice, progress=lambda share, message: told.append(share), cancelled=lambda: len(told) == 1
        )
    assert told == [0]
    voices.speak("Still here.", voice)  # the lock was given back


@pytest.mark.parametrize(
    ("words", "more", "said"),
    [
        ("", {}, "no text"),
        (" \n\t", {}, "no text"),
        (None, {}, "no text"),
        ("?!...", {}, ""),
        ("x" * 1001, {}, "1,001.*1,000"),
        ("Yes.", dict(speed=0.4), "0.4.*0.5 to 2"),
        ("Yes.", dict(speed=float("nan")), "0.5 to 2"),
        ("Yes.", dict(noise_scale=1.1), "0 to 1"),
        ("Yes.", dict(noise_scale=-0.1), "0 to 1"),
        ("Yes.", dict(voice=np.zeros(16)), "16 finite numbers"),
        ("Yes.", dict(voice=np.ones(15)), "16 finite numbers"),
        ("Yes.", dict(voice=[float("nan")] * 16), "16 finite numbers"),
        ("Yes.", dict(voice="nowhere.wav"), "no file 'nowhere.wav'"),
        ("Yes.", dict(voice=(16000, np.zeros(16000))), "silent"),
        ("Yes.", dict(voice=None), ""),
    ],
)
def test_bad_requests_are_refused_with_the_limit(voices, voice, words, more, said):
    """Catches a request that runs although it cannot be served, or fails without telling the visitor why."""
    with pytest.raises(ValueError, match=said):
        voices.speak(words, **(dict(voice=voice) | more))


def test_a_text_of_exactly_the_limit_is_spoken(voices, voice):
    """Catches an off-by-one in the limit, and long text that is not split."""
    words = ("A short sentence here. " * 44)[:999] + "."
    assert len(words) == 1000
    assert voices.speak(words, voice, speed=2.0).facts["seconds"] > 10


def test_similarity_knows_speech_clips_and_embeddings(voices, voice):
    """Catches a cosine of vectors that are not unit, and a Speech that cannot be compared with its own
    voice."""
    assert voices.similarity(clip(), clip()) == pytest.approx(1, abs=1e-5)
    assert voices.similarity(clip(), 5 * voice) == pytest.approx(1, abs=1e-5)
    assert voices.similarity(clip(), -voice) == pytest.approx(-1, abs=1e-5)
    spoken = voices.speak(WORDS, voice)
    assert -1 <= voices.similarity(spoken, voice) <= 1
    assert voices.similarity(spoken, (spoken.rate, spoken.wav)) == pytest.approx(1, abs=1e-5)


def test_visitors_at_once_hear_what_they_would_hear_alone(voices):
    """Catches state shared between threads: one visitor's seed or voice in another's sound."""
    wishes = [(f"Visitor number {i} speaks. Twice.", clip(i % 2), i) for i in range(4)]
    alone = [voices.speak(words, ref, seed=seed).wav for words, ref, seed in wishes]
    heard = [None] * len(wishes)

    def visit(i):
        words, ref, seed = wishes[i]
        heard[i] = voices.speak(words, ref, seed=seed).wav

    threads = [threading.Thread(target=visit, args=(i,)) for i in range(len(wishes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert all(np.array_equal(a, b) for a, b in zip(alone, heard))


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_speech_can_be_downloaded_and_heard_again(voices, voice, tmp_path, suffix):
    """Catches a download that cannot be opened, and a save that does not say where."""
    spoken = voices.speak("Hello there.", voice)
    path = spoken.save(tmp_path / f"hello.{suffix}")
    rate, wav = audio.load(path)
    assert rate == 16000 and abs(len(wav) - len(spoken.wav)) < 2500


def test_missing_checkpoints_are_named(root, tmp_path):
    """Catches an app that starts without weights and fails at the first visitor."""
    for name, lesson in (("speaker_encoder", "01"), ("codec", "03"), ("tts", "03")):
        with pytest.raises(ValueError, match=f"{name} is not there: make it with lesson {lesson}"):
            Voices.load(tmp_path)
        (tmp_path / name).symlink_to(root / name)
    assert Voices.load(tmp_path).cards.keys() == {"speaker_encoder", "codec", "tts"}


# ---------------------------------------------------------------- the registry


def test_models_are_loaded_when_first_used_once_and_beside_their_lender(root):
    """Catches a start that loads what nobody asked for, a second copy of the codec, and threads that load
    twice."""
    bundle = Bundle(root)
    assert bundle.names() == ["speaker_encoder", "codec", "tts"] and not bundle.has("flow_vae")
    assert bundle.card("tts") == CARD and not bundle.loaded
    models = [None] * 4

    def ask(i):
        models[i] = bundle["tts"]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(model is bundle["tts"] for model in models) and not bundle["tts"].training
    assert bundle["tts"].codec is bundle["codec"] and set(bundle.loaded) == {"codec", "tts"}


def test_a_model_that_is_first_used_in_inference_mode_can_be_trained(tiny_root):
    bundle = Bundle(tiny_root)
    with torch.inference_mode():
        net = bundle["codec"]
    assert not any(weight.is_inference() for weight in net.parameters())
    net.requires_grad_(False).requires_grad_(True)


def test_a_model_without_its_lender_is_not_there(root, tmp_path):
    """Catches a tab that is shown although what its model needs is missing."""
    (tmp_path / "tts").symlink_to(root / "tts")
    assert not Bundle(tmp_path).has("tts")
    (tmp_path / "codec").symlink_to(root / "codec")
    assert Bundle(tmp_path).has("tts")


def test_the_environment_says_where_the_weights_are(root, monkeypatch):
    """Catches a setting that only the app reads."""
    monkeypatch.setenv("VOICE_ATLAS_CHECKPOINTS", str(root))
    assert Voices.load().cards["tts"] == CARD


def test_what_is_broken_is_said_at_the_start(root, tmp_path):
    """Catches an app that opens, and fails at the first visitor who wants a model that it loads late."""
    shutil.copytree(root, tmp_path / "all")
    (tmp_path / "all" / "attractor").mkdir()
    voices = Voices.load(tmp_path / "all")
    with pytest.raises(ValueError, match="attractor lacks"):
        voices.bundle.check()


def test_the_app_refuses_broken_weights_in_one_line(root, tmp_path):
    """Catches a start that ends in a page of traceback, or does not end."""
    shutil.copytree(root, tmp_path / "weights")
    (tmp_path / "weights" / "tts" / "model.safetensors").unlink()
    env = os.environ | {
        "VOICE_ATLAS_CHECKPOINTS": str(tmp_path / "weights"),
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=env, text=True, capture_output=True, timeout=120
    )
    assert done.returncode == 1
    assert (
        done.stderr.strip().splitlines()[-1].endswith("restore it from git.")
        and "Traceback" not in done.stderr
    )
    assert "tts lacks ['model.safetensors']" in done.stderr


def test_a_model_can_be_put_in_place_of_a_checkpoint(root, voice):
    """Catches a lesson that listens to the shipped weights instead of its own."""
    voices = Voices.load(root)
    before = voices.speak("Yes.", voice).wav
    other = Vits(voices.tts.config, voices.codec)
    torch.nn.init.constant_(other.durations.out.bias, math.log(9))
    voices.bundle.put("tts", other, CARD | {"name": "just trained"})
    after = voices.speak("Yes.", voice)
    assert len(after.wav) > len(before) and after.facts["checkpoint"] == "just trained"
