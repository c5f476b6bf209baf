"""The pitch tracker of the codec: frames, octaves, silence, creak; and haste."""
import threading

import numpy as np
import parselmouth
import pytest
import torch

from lib.audio import RATE, praat
from lib.nn.source import pulses

HOP = 200


def voice(hz, seconds=1.0, jitter=0.0, seed=0):
    """Pulses at hz through two resonances: about what a throat does."""
    rng = np.random.default_rng(seed)
    f0 = hz * (1 + jitter * rng.standard_normal(int(seconds * RATE / HOP)))
    wav = pulses(torch.tensor(f0, dtype=torch.float32)[None], HOP)[0].numpy()
    t = np.arange(800) / RATE
    for formant, width in ((600, 80), (1500, 120)):
        ringing = np.exp(-np.pi * width * t) * np.cos(2 * np.pi * formant * t)
        wav = np.convolve(wav, ringing)[: len(wav)]
    return (0.1 * wav / np.abs(wav).max()).astype("float32")


@pytest.mark.parametrize("hz", [72.0, 110.0, 220.0, 430.0])
def test_low_and_high_voices_are_tracked_without_octave_errors(hz):
    f0 = praat.track(voice(hz), HOP)
    assert len(f0) == RATE // HOP
    inside = f0[5:-5]
    assert (inside > 0).mean() > 0.95
    assert np.median(np.abs(np.log2(inside[inside > 0] / hz))) < 0.02


def test_a_noisy_voice_keeps_its_pitch():
    rng = np.random.default_rng(0)
    wav = voice(140.0) + 0.01 * rng.standard_normal(RATE).astype("float32")
    f0 = praat.track(wav, HOP)
    assert np.abs(np.log2(np.median(f0[f0 > 0]) / 140)) < 0.02


def test_an_uneven_voice_is_followed():
    f0 = praat.track(voice(90.0, jitter=0.02), HOP)
    assert np.abs(np.log2(np.median(f0[f0 > 0]) / 90)) < 0.05


@pytest.mark.parametrize("samples", [0, 100, 799, 5000])
def test_silence_and_short_sounds_have_frames_but_no_pitch(samples):
    f0 = praat.track(np.zeros(samples, "float32"), HOP)
    assert f0.shape == (samples // HOP,)
    assert not f0.any()


@pytest.mark.parametrize("speed", [1.05, 1.5, 2.0])
def test_hurried_speech_is_shorter_and_no_higher(speed):
    wav = voice(140.0, jitter=0.02)  # as people are; without, every second pulse is half the pitch
    fast = praat.hurried(wav, speed)
    assert fast.dtype == np.float32
    assert len(fast) == pytest.approx(len(wav) / speed, rel=0.02)
    f0 = praat.track(fast, HOP)
    assert np.median(f0[f0 > 0]) == pytest.approx(140.0, rel=0.02)


@pytest.mark.parametrize("speed", [1.1, 1.5, 2.0])
def test_a_pause_gives_more_than_a_vowel(speed):
    """Case SPEED: pressed alike, fast speech loses its words while its pauses stay."""
    vowel = voice(140.0, jitter=0.02)[:16_000]
    wav = np.concatenate([vowel, np.zeros(8_000, "float32"), vowel])
    kept = praat.shortened(wav, speed)
    assert kept.mean() == pytest.approx(1 / speed, rel=0.01)
    assert kept.min() > 0 and kept.max() <= 1
    pause, spoken = kept[110:140].mean(), kept[20:90].mean()
    assert spoken > 1 / speed > pause >= 0.2 * spoken
    fast = praat.hurried(wav, speed)
    silent = np.abs(fast[: len(fast) // 160 * 160].reshape(-1, 160)).max(1) < 0.01
    assert silent.sum() * 160 < 0.7 * 8_000 / speed
    assert len(fast) == pytest.approx(len(wav) / speed, rel=0.02)


@pytest.mark.parametrize("samples", [3200, 16000])
def test_silence_can_be_hurried_too(samples):
    fast = praat.hurried(np.zeros(samples, "float32"), 2.0)
    assert len(fast) == pytest.approx(samples / 2, rel=0.05)
    assert not fast.any()


@pytest.mark.parametrize("change", [lambda wav: praat.hurried(wav, 1.5),
                                    lambda wav: praat.change_gender(wav, 1.1, 1.0)])
def test_noise_is_changed_alike_each_time(change):
    """Catches Praat's own chance, which knows no seed of ours: the same seed must give the same samples."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype("float32")
    np.testing.assert_array_equal(change(noise), change(noise))


def test_a_sound_too_short_for_a_period_is_not_hurried():
    """Catches an error of Praat's for who asks for one very short sound, fast."""
    click = np.ones(700, "float32")
    np.testing.assert_array_equal(praat.hurried(click, 2.0), click)


def drawn(meanwhile=()):
    """What Praat draws by the same chance, while others do something meanwhile."""
    with praat.same_chance():
        for thread in meanwhile:
            thread.start()
            thread.join(0.3)  # time enough for one that does not wait
        number = parselmouth.praat.run("writeInfo: randomUniform (0, 1)", capture_output=True)[1]
    for thread in meanwhile:
        thread.join()
    return number


def test_two_visitors_do_not_share_their_chance():
    """Catches the same seed that gives other samples while somebody else speaks fast, too."""
    noise = np.random.default_rng(0).normal(0, 0.1, 8000).astype("float32")
    other = threading.Thread(target=praat.hurried, args=(noise, 1.5))
    assert drawn([other]) == drawn()
