"""The shipped weights sound as they did: samples of four tasks, recorded before the codec moved out of tts.

The voices are virtual ones of the embedded corpus.  Whoever ships other weights records anew, by
    PYTHONPATH=. python tests/test_same_sound.py
"""
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest

from lib import audio
from lib.data import corpus
from lib.paths import CHECKPOINTS
from lib.voices import Voices

SAMPLES = Path(__file__).parent / "data" / "sounds.npz"
SECONDS = 1.5  # of what is converted and mixed
FULL = 32767  # samples are kept as int16: off by 1.5e-5 at most


def without_frames():
    """Voices that speak by the decoder of the codec, as they did when the samples were recorded."""
    root = Path(tempfile.mkdtemp())
    for folder in CHECKPOINTS.iterdir():
        if folder.name != "frames":
            (root / folder.name).symlink_to(folder)
    return Voices.load(root)


def sounds():
    """{task: wav [T] or wavs [2, T]} by the shipped weights."""
    voices = without_frames()
    first = {}
    for row in corpus.rows("embedded", split="valid"):
        first.setdefault(row["speaker"], row)
    one, two = (corpus.wav(first[speaker]) for speaker in sorted(first)[:2])
    size = int(SECONDS * audio.RATE)
    source, target = (audio.RATE, one[:size]), (audio.RATE, two)
    apart = voices.extract((audio.RATE, one[:size] + two[:size]), 2)
    made = {
        "speak": voices.speak("Hello there.", (audio.RATE, one), seed=3).wav,
        "extract": np.stack([speech.wav for speech in apart]),
        "refined": voices.convert(source, target, seed=3, model="flow_vae").wav,
    }
    net = voices.flow_vae
    net.config = dataclasses.replace(net.config, rounds=0)
    return made | {"convert": voices.convert(source, target, seed=3, model="flow_vae").wav}


@pytest.fixture(scope="module")
def now():
    return sounds()


@pytest.mark.parametrize("task", ["speak", "extract", "convert"])
def test_the_same_seed_gives_the_same_samples_as_before(now, task):
    """Catches a weight, a constant or an order of noise that changed unawares."""
    before = np.load(SAMPLES)[task] / FULL
    assert now[task].shape == before.shape and np.abs(before).max() > 0.1
    assert np.abs(now[task] - before).max() < 1e-4


def test_refined_conversion_is_the_same_but_for_rounding(now):
    """Catches other steps of `refined`.  Adam divides gradients by their size, which magnifies a rounding:
    another number of threads moves samples by up to 1e-3, so the bound is one on the whole: 1 % of the
    sound."""
    before = np.load(SAMPLES)["refined"] / FULL
    assert now["refined"].shape == before.shape
    off = np.sqrt(np.mean((now["refined"] - before) ** 2) / np.mean(before**2))
    assert off < 0.01
    plain = np.sqrt(np.mean((now["refined"] - now["convert"]) ** 2) / np.mean(before**2))
    assert plain > 0.1, "without refinement it sounds otherwise, so that the bound means something"


if __name__ == "__main__":
    rounded = {task: np.round(wav * FULL).astype("int16") for task, wav in sounds().items()}
    np.savez_compressed(SAMPLES, **rounded)
