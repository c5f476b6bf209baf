"""The competitor of the 1990s: statistics are moved, and with pyworld a voice is."""
import numpy as np
import pytest

from lib import audio
from lib.audio import world
from lib.data import corpus


def test_statistics_become_those_of_the_goal():
    """Catches mean or spread of the wrong side, or over the wrong axis."""
    rng = np.random.default_rng(0)
    values = 3 + 2 * rng.standard_normal((200, 4))
    goal = rng.standard_normal((90, 4)) * [1, 2, 3, 4] - 5
    found = world.moved(values, goal)
    assert np.allclose(found.mean(0), goal.mean(0))
    assert np.allclose(found.std(0), goal.std(0))
    assert np.corrcoef(found[:, 2], values[:, 2])[0, 1] == pytest.approx(1)


def height(wav):
    """Register of wav [T], log2 of Hz."""
    return audio.register(audio.pitch(wav))


def test_what_stands_still_stays_finite():
    found = world.moved(np.full((5, 1), 7.0), np.arange(4.0)[:, None])
    assert np.allclose(found, 1.5)


@pytest.mark.skipif(not world.installed(), reason="pyworld is optional")
def test_a_low_voice_takes_the_pitch_of_a_high_one_and_keeps_its_length():
    rows = {row["speaker"]: row for row in corpus.rows()}
    wavs = sorted((corpus.wav(row) for row in rows.values()), key=height)
    low, high = wavs[0], wavs[-1]
    converted = world.convert(low, high)
    assert abs(height(converted) - height(high)) < 0.3 < height(converted) - height(low)
    assert abs(len(converted) - len(low)) < 0.02 * audio.RATE
