"""Whatever is sent to the public functions gets a plain answer, and the app goes on as before."""

import os
import random

import gradio as gr
import numpy as np
import pytest
from conftest import answers, as_file, uploaded

from lib import audio
from lib.tabs import speak

COUNT = int(os.environ.get("FUZZ", 40))  # requests; FUZZ=300 for the table of an issue
SLOW = ("listen_start",)  # makes a set of sounds first
WORDS = "The ferry leaves at noon."
LEAKS = ("Traceback", 'File "', "site-packages")
ODD = (
    None, True, False, "", " ", "0", "nan", "True", "Hello.", WORDS, "½" * 40, "a" * 5000, "😀", "東京",
    "[pause 99]", "[a|/zzz/]", "<b>x</b>", "../../etc/passwd", "file:///etc/passwd", "dot 01", "my voice",
    "PCA", "UMAP", {"path": None},
    0, -1, 1, 0.5, 2, 7, 1e308, -1e308, 2**31, 2**63, 44100, [], {}, [None], [[0.1] * 16],
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"path": 5}, {"spk_emb": [1.0]},
)  # fmt: skip


@pytest.fixture(scope="module")
def public(server):
    """The public functions of the running app."""
    functions = [fn for fn in server[1].fns.values() if fn.api_visibility == "public"]
    return [fn for fn in functions if fn.api_name not in SLOW]


@pytest.fixture
def clips(server, tmp_path):
    """Uploads: an example, silence, a file that is no sound."""
    silence, broken = tmp_path / "silence.wav", tmp_path / "broken.wav"
    audio.save(silence, audio.RATE, np.zeros(audio.RATE, "float32"))
    broken.write_bytes(b"RIFF" + bytes(200))
    paths = [next(iter(speak.examples().values())), silence, broken]
    return [uploaded(server[0], path) for path in paths]


def drawn(rng, block, clips):
    """A value for a field: often one of its kind, else anything."""
    if isinstance(block, gr.State):
        return None
    if isinstance(block, gr.Audio) and rng.random() < 0.6:
        return rng.choice(clips)
    if rng.random() < 0.3:
        return block.value if isinstance(block.value, (str, int, float, bool)) else None
    return rng.choice(ODD)


def spoken(server, clip):
    """wav [T] of an ordinary request."""
    run = next(fn for fn in server[1].fns.values() if fn.api_name == "speak")
    given = [WORDS, clip, True, 3, 1.0, 0.1, audio.RATE, None]
    answer = answers(server[0], run._id, given, "ordinary")[-1]
    assert answer["success"], answer
    return audio.load(answer["output"]["data"][0]["path"])[1]


def test_odd_values_get_an_answer_and_leave_the_app_as_it_was(server, public, clips, tiny_voices):
    """Catches a request that never ends, words of Python that a visitor sees, and what stays behind."""
    rng = random.Random(20)
    before = spoken(server, clips[0])
    for number in range(COUNT):
        function = rng.choice(public)
        given = [drawn(rng, block, clips) for block in function.inputs]
        answer = answers(server[0], function._id, given, f"fuzz-{number}")[-1]
        told = str(answer["output"].get("error"))
        assert not any(leak in told for leak in LEAKS), (function.api_name, given, told)
    np.testing.assert_array_equal(spoken(server, clips[0]), before)
    speech = tiny_voices.speak(WORDS, next(iter(speak.examples().values())), seed=3)
    np.testing.assert_allclose(before, as_file(speech), atol=2e-4)
