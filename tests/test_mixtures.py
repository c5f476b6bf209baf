"""People who talk at once."""

import numpy as np
import pytest
from test_audio import tone

from lib import audio
from lib.data import mixtures


def test_a_mixture_is_as_long_as_its_longest_clip():
    """Catches a clip that is cut, repeated, or louder than the other."""
    one, two = tone(300, 2), tone(500, 3, level=0.02)
    rate, mix = mixtures.mixed([(16000, one), (16000, two)])
    assert rate == audio.RATE and len(mix) == len(audio.prepare((16000, two)))
    spectrum = np.abs(np.fft.rfft(mix[:32000] * np.hanning(32000)))
    assert spectrum[600] == pytest.approx(spectrum[1000], rel=0.05)  # 300 and 500 Hz in bins of half a hertz
    assert audio.speech_level(mix[34000:]) == pytest.approx(audio.LEVEL_DB - 6, abs=0.5)


def test_sources_fill_the_seconds_at_one_level():
    """Catches a short clip that leaves the other alone, and unequal gains."""
    pair = mixtures.sources([tone(seconds=1), tone(seconds=5, level=0.01)], 3.0)
    assert pair.shape == (2, 48000) and pair.dtype == np.float32
    assert [audio.speech_level(wav) for wav in pair] == pytest.approx([audio.LEVEL_DB] * 2, abs=0.1)
    assert np.abs(pair[0, 40000:]).max() > 0.05


@pytest.mark.parametrize("level", [-10.0, 0.0, 10.0])
def test_a_distractor_has_the_level_it_was_given(level):
    """Catches decibels of power taken for those of amplitude."""
    wav, other = audio.normalise(tone(300)), tone(500, seconds=1)
    mix = mixtures.disturbed(wav, other, level)
    spectrum = np.abs(np.fft.rfft(mix * np.hanning(len(mix))))
    assert 20 * np.log10(spectrum[1000] / spectrum[600]) == pytest.approx(level, abs=0.3)
    assert len(mix) == len(wav) and audio.speech_level(mix) == pytest.approx(audio.LEVEL_DB, abs=0.1)
