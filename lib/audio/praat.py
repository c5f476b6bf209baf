"""The only door to Praat, loaded when it is used: its pitch tracker, its change of voice, its haste."""
import contextlib
import threading

import numpy as np

from lib.audio.frames import RATE

CHANGE_LOW, CHANGE_HIGH = 65.0, 500.0  # Hz, where "Change gender" looks for the pitch
F0_LOW, F0_HIGH = 60.0, 500.0  # Hz; creaky voices go lower, but their pulses no longer make a pitch
PERIODS = 3  # of the lowest pitch, which Praat looks at at a time
_ONE_AT_A_TIME = threading.Lock()


def track(wav, hop):
    """f0 [T // hop] in Hz of wav [T] at 16 kHz, one value for the middle of each frame; 0 where unvoiced.

    Praat's autocorrelation method with its own settings.  Source: [BOERSMA].
    """
    import parselmouth
    frames = len(wav) // hop
    if len(wav) < PERIODS * RATE / F0_LOW:
        return np.zeros(frames, "float32")
    sound = parselmouth.Sound(np.asarray(wav, dtype="float64"), RATE)
    pitch = sound.to_pitch_ac(time_step=hop / RATE, pitch_floor=F0_LOW, pitch_ceiling=F0_HIGH)
    hz = pitch.selected_array["frequency"]
    times = pitch.xs()
    middle = (np.arange(frames) + 0.5) * hop / RATE
    nearest = np.clip(np.round((middle - times[0]) / (hop / RATE)).astype(int), 0, len(times) - 1)
    beyond = (middle < times[0] - hop / RATE) | (middle > times[-1] + hop / RATE)
    return np.where(beyond, 0.0, hz[nearest]).astype("float32")


@contextlib.contextmanager
def same_chance():
    """Let Praat, which cuts unvoiced sound by chance of its own, do so alike each time.

    That chance is one for all threads: they wait for each other.
    """
    import parselmouth
    with _ONE_AT_A_TIME:
        parselmouth.praat.run("random_initializeWithSeedUnsafelyButPredictably (0)")
        yield


def change_gender(wav, formants, pitch):
    """Scale formants and median pitch of wav [T] at 16 kHz by two factors: "Change gender"; about as long."""
    import parselmouth
    sound = parselmouth.Sound(wav.astype("float64"), RATE)
    track = sound.to_pitch(pitch_floor=CHANGE_LOW, pitch_ceiling=CHANGE_HIGH)
    median = parselmouth.praat.call(track, "Get quantile", 0.0, 0.0, 0.5, "Hertz")
    median = 0.0 if np.isnan(median) else median * pitch  # 0 leaves the pitch as it is: nothing is voiced
    with same_chance():
        changed = parselmouth.praat.call((sound, track), "Change gender", formants, median, 1.0, 1.0)
    return changed.values[0]


def hurried(wav, speed):
    """Say wav [T] at 16 kHz `speed` times as fast, at the same pitch; about [T / speed].

    Praat's "Lengthen (overlap-add)", which leaves out periods; where there are none, it leaves out stretches
    by chance, the same ones each time.  Less than 46 ms stay as they are.  Source: [PSOLA].
    """
    import parselmouth
    if len(wav) < PERIODS * RATE / CHANGE_LOW:
        return wav
    sound = parselmouth.Sound(wav.astype("float64"), RATE)
    with same_chance():
        shorter = parselmouth.praat.call(sound, "Lengthen (overlap-add)", CHANGE_LOW, CHANGE_HIGH, 1 / speed)
    return shorter.values[0].astype("float32")
