"""The reference check: what is wrong with a clip, in plain words; and what is cut out of it."""
import numpy as np
import pytest

from lib import audio
from lib.data import corpus, noisy


@pytest.fixture(scope="module")
def speech():
    """(rate, samples) of one embedded clip of more than 3 s."""
    row = next(row for row in corpus.rows() if row["seconds"] > 4)
    return audio.load(row["audio"])


def test_check_finds_nothing_wrong_with_good_speech(speech):
    """Catches a check that cries wolf: visitors would learn to ignore it."""
    report = audio.check(speech)
    assert report.problems == () and not report.fatal
    assert report.seconds > 3 and report.used_seconds > 2.5 and report.snr_db > 20 and report.clipped < 0.001


def test_check_names_each_fault_in_plain_words(speech):
    """Catches a fault the visitor is never told about, or is told about under another fault's name."""
    rate, samples = speech
    rng = np.random.default_rng(1)
    faults = {
        "Only": samples[: int(2.2 * rate)],
        "Very quiet": samples * 10 ** ((-50 - audio.speech_level(samples)) / 20),
        "Clipped": np.clip(samples * 30, -1, 1),
        "Noisy": samples + 0.5 * samples.std() * rng.standard_normal(len(samples)),
        "loudest clean": np.tile(samples, int(np.ceil(33 * rate / len(samples)))),
    }
    for word, bad in faults.items():
        report = audio.check((rate, bad.astype("float32")))
        assert any(word in problem for problem in report.problems), (word, report)
        assert not report.fatal


def test_check_is_not_misled_by_the_offset_of_a_sound_card(speech):
    """Catches "Noisy" for a good clip of which every sample is a little too high."""
    rate, samples = speech
    assert audio.check((rate, samples + np.float32(0.05))).problems == ()


@pytest.mark.parametrize("level", [0.01, 0.3])
def test_check_finds_no_voice_in_noise(level):
    """Catches a detuned radio accepted as somebody's voice."""
    noise = level * np.random.default_rng(0).standard_normal(80000).astype("float32")
    for wav in (noise, audio.narrow(noise, 1000)):
        report = audio.check((16000, wav))
        assert report.fatal and "No voice found" in report.problems[0]


def test_check_finds_no_voice_in_what_hums_or_beeps():
    """Catches a test tone that is somebody's voice; what may be a whisper is taken, and told about."""
    rng = np.random.default_rng(0)
    beep = np.sin(2 * np.pi * 440 * np.arange(80000) / 16000)
    for wav in (beep, noisy.hum(rng, 80000)):
        report = audio.check((16000, (0.1 * wav).astype("float32")))
        assert report.fatal and "only a steady tone" in report.problems[0]
    syllables = np.repeat([0.1, 1e-3] * 10, 4000)
    whisper = syllables * rng.standard_normal(80000)
    report = audio.check((16000, whisper.astype("float32")))
    assert not report.fatal and "Hardly any voice found" in report.problems[0]


def test_check_raises_nothing_for_hopeless_clips():
    """Catches an exception that reaches the app before the visitor has pressed anything."""
    report = audio.check((16000, np.zeros(16000)))
    assert report.fatal and len(report.problems) == 1 and report.used_seconds == 0


def test_long_pauses_are_cut_and_short_ones_stay(speech):
    """Catches a voice taken from ten seconds of an empty room, and a change to ordinary clips, which pause to
    breathe.
    """
    rate, samples = speech
    room = 1e-4 * np.random.default_rng(0).standard_normal(10 * rate).astype("float32")
    whole = audio.prepare((rate, np.concatenate([samples, room, samples])))
    twice = audio.prepare((rate, np.concatenate([samples, samples])))
    assert abs(len(whole) - len(twice)) < 1.1 * audio.RATE
    report = audio.check((rate, np.concatenate([samples, room, samples])))
    assert [problem for problem in report.problems if "Long pauses, 1" in problem] and not report.fatal
    breath = audio.prepare((rate, np.concatenate([samples, room[: rate // 2], samples])))
    assert len(breath) > len(twice) + 0.4 * audio.RATE
    assert audio.pauses(whole) == audio.pauses(np.zeros(0, "float32")) == []


def test_pauses_that_were_cut_come_back(speech):
    """Catches words that move, and a jump where a pause is put back."""
    rate, samples = speech
    wav = audio.resample(samples, rate, audio.RATE)
    room = 1e-4 * np.random.default_rng(0).standard_normal(9 * audio.RATE).astype("float32")
    for parts in ([wav, room, wav, room[: 3 * audio.RATE], wav], [room, wav, room], [wav]):
        whole = np.concatenate(parts)
        short, cuts = audio.cut_pauses(whole)
        again = audio.put_pauses(short, cuts)
        assert len(cuts) == sum(part is not wav for part in parts) and len(again) == len(whole)
        assert len(short) <= len(parts) * len(wav) and np.abs(again - whole).max() < 1e-3
        for at, _ in cuts:
            assert short[at - 1] != 0
