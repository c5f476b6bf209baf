"""Voices, with tiny untrained nets saved and loaded as the real ones are."""
import itertools
import math
import threading

import numpy as np
import pytest
import torch

from lib import audio, text, training
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.models.vits import Vits, VitsConfig
from lib.voices import synthesis

CARD = {"data": "none", "licence": "CC0", "budget": "untrained", "figures": {}, "name": "tiny"}
WORDS = "A first sentence. And a second one! Is there a third?"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A checkpoint folder with both nets, small and untrained, about five frames to a token."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("checkpoints")
    encoder = SpeakerEncoder(SpeakerEncoderConfig((4, 4, 8, 8), (1, 1, 1, 1), D=16))
    tts = Vits(VitsConfig(len(text.SYMBOLS), (("verification", 16),), C=4, G=6, hidden=16, text_layers=1, posterior_layers=1,
                          flow_channels=8, flow_layers=1, couplings=2, rhythm_channels=8, decoder_channels=16, decoder_layers=1))
    torch.nn.init.constant_(tts.durations.out.bias, math.log(5))
    torch.nn.init.normal_(tts.conditioning.project["verification"][0].weight)
    training.save(root / "speaker_encoder", encoder, encoder.config, CARD)
    training.save(root / "tts", tts, tts.config, CARD)
    return root


@pytest.fixture(scope="module")
def voices(root):
    return synthesis.Voices.load(root)


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
    assert one.shape == (16,) and one.dtype == np.float32 and np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one @ two > 0.999
    assert np.array_equal(voices.embed(clip()), one)


def test_speak_gives_sound_and_says_how(voices, voice):
    """Catches facts that are missing or wrong: the visitor is told them."""
    speech = voices.speak(WORDS, voice, seed=4, speed=1.1, noise_scale=0.2)
    assert speech.rate == 16000 and speech.wav.dtype == np.float32 and speech.wav.ndim == 1
    assert np.isfinite(speech.wav).all() and 0.01 < np.abs(speech.wav).max() <= 0.97 + 1e-4
    facts = speech.facts
    assert (facts["seed"], facts["speed"], facts["noise_scale"]) == (4, 1.1, 0.2)
    assert facts["seconds"] == pytest.approx(len(speech.wav) / 16000)
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
    assert np.array_equal(synthesis.Voices.load(root).speak(WORDS, voice, seed=7).wav, one)
    other = voices.speak(WORDS, voice, seed=8).wav
    assert other.shape != one.shape or not np.allclose(other, one, atol=1e-4)


@pytest.mark.parametrize("seed", [-1, 0, 2**40, 2**64 + 5])
def test_any_whole_number_is_a_seed(voices, voice, seed):
    """Catches a seed typed by a visitor that torch refuses with an overflow."""
    assert np.array_equal(voices.speak("Yes.", voice, seed=seed).wav, voices.speak("Yes.", voice, seed=seed).wav)


def test_voice_speed_and_noise_are_used(voices, voice):
    """Catches a slider that is not connected."""
    plain = voices.speak("Good morning to you all.", voice, noise_scale=0.0)
    assert np.array_equal(plain.wav, voices.speak("Good morning to you all.", voice, seed=9, noise_scale=0.0).wav)
    for more in (dict(voice=-voice), dict(speed=1.5), dict(noise_scale=0.9)):
        changed = voices.speak("Good morning to you all.", **(dict(voice=voice, noise_scale=0.0) | more)).wav
        assert changed.shape != plain.wav.shape or not np.allclose(changed, plain.wav, atol=1e-3), more
    fast = voices.speak("Good morning to you all.", voice, speed=2.0).wav
    assert len(fast) < 0.6 * len(plain.wav)


def test_sentences_join_without_clicks(voices, voice):
    """Catches a jump where two sentences meet, and sentences that run into each other."""
    wav, pause = voices.speak(WORDS, voice, seed=1).wav, int(synthesis.PAUSE * 16000)
    quiet = [(k, len(list(run))) for k, run in itertools.groupby(wav == 0)]
    ends = np.cumsum([n for _, n in quiet])
    joints = [(end - n, end) for (zero, n), end in zip(quiet, ends) if zero and n >= pause - 2]
    assert len(joints) == 2
    for start, end in joints:
        assert end - start < pause + 100
        for at in (start, end):
            assert np.abs(np.diff(wav[at - 4: at + 4])).max() < 0.05
    assert abs(wav[0]) < 1e-6 and abs(wav[-1]) < 1e-6


def test_join_and_fade_by_hand():
    """Catches a pause before the first or after the last sentence, and a fade longer than its piece."""
    piece = np.ones(1000, "float32")
    pause = int(synthesis.PAUSE * 16000)
    assert np.array_equal(synthesis.join([piece, piece]), np.concatenate([piece, np.zeros(pause), piece]))
    assert np.array_equal(synthesis.join([piece]), piece)
    faded = synthesis.fade(piece)
    assert faded[0] == faded[-1] == 0 and faded[500] == 1 and np.abs(np.diff(faded)).max() < 0.01
    for n in (0, 1, 2, 3):
        assert len(synthesis.fade(np.ones(n, "float32"))) == n


def test_progress_and_cancel(voices, voice):
    """Catches a cancel button that waits for the whole text, and a bar that never moves."""
    told = []
    voices.speak(WORDS, voice, progress=lambda share, message: told.append((share, message)))
    assert [share for share, _ in told] == [0, 1 / 3, 2 / 3] and told[1][1] == "sentence 2 of 3"
    told.clear()
    with pytest.raises(InterruptedError):
        voices.speak(WORDS, voice, progress=lambda share, message: told.append(share), cancelled=lambda: len(told) == 1)
    assert told == [0]
    voices.speak("Still here.", voice)  # the lock was given back


@pytest.mark.parametrize(("words", "more", "said"), [
    ("", {}, "no text"), (" \n\t", {}, "no text"), (None, {}, "no text"), ("?!...", {}, ""), ("x" * 1001, {}, "1,001.*1,000"),
    ("Yes.", dict(speed=0.4), "0.4.*0.5 to 2"), ("Yes.", dict(speed=float("nan")), "0.5 to 2"), ("Yes.", dict(noise_scale=1.1), "0 to 1"),
    ("Yes.", dict(noise_scale=-0.1), "0 to 1"), ("Yes.", dict(voice=np.zeros(16)), "16 finite numbers"),
    ("Yes.", dict(voice=np.ones(15)), "16 finite numbers"), ("Yes.", dict(voice=[float("nan")] * 16), "16 finite numbers"),
    ("Yes.", dict(voice="nowhere.wav"), "no file 'nowhere.wav'"), ("Yes.", dict(voice=(16000, np.zeros(16000))), "silent"),
    ("Yes.", dict(voice=None), ""),
])
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
    """Catches a cosine of vectors that are not unit, and a Speech that cannot be compared with its own voice."""
    assert voices.similarity(clip(), clip()) == pytest.approx(1, abs=1e-5)
    assert voices.similarity(clip(), 5 * voice) == pytest.approx(1, abs=1e-5)
    assert voices.similarity(clip(), -voice) == pytest.approx(-1, abs=1e-5)
    speech = voices.speak(WORDS, voice)
    assert -1 <= voices.similarity(speech, voice) <= 1
    assert voices.similarity(speech, (speech.rate, speech.wav)) == pytest.approx(1, abs=1e-5)


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
    speech = voices.speak("Hello there.", voice)
    path = speech.save(tmp_path / f"hello.{suffix}")
    rate, wav = audio.load(path)
    assert rate == 16000 and abs(len(wav) - len(speech.wav)) < 2500


def test_missing_checkpoints_are_named(root, tmp_path):
    """Catches an app that starts without weights and fails at the first visitor."""
    with pytest.raises(ValueError, match="speaker_encoder.*lacks"):
        synthesis.Voices.load(tmp_path)
    (tmp_path / "speaker_encoder").symlink_to(root / "speaker_encoder")
    with pytest.raises(ValueError, match="tts.*lacks"):
        synthesis.Voices.load(tmp_path)
