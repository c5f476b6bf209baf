"""The only door to Praat, loaded when it is used: its pitch tracker, its change of voice, its haste."""
import contextlib
import threading

import numpy as np

from lib.audio.frames import RATE

CHANGE_LOW, CHANGE_HIGH = 65.0, 500.0  # Hz, where "Change gender" looks for the pitch
F0_LOW, F0_HIGH = 60.0, 500.0  # Hz; creaky voices go lower, but their pulses no longer make a pitch
PERIODS = 3  # of the lowest pitch, which Praat looks at at a time
STEP = 0.01  # s
QUIET_DB, LOUD = -35.0, 95  # quiet is so far under a percentile of the levels
QUIET_KEEPS = 0.25  # of what the rest keeps, where speech is hurried
SMOOTH_LEVEL, SMOOTH_SHARE = 3, 5  # steps
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

    What is quiet gives the most, see `shortened`: a listener misses a pause less than a vowel.  Praat leaves
    out periods; where there are none, it leaves out stretches by chance, the same ones each time.  Less than
    46 ms stay as they are.  Source: [PSOLA]; the unevenness after [MACH1].
    """
    import parselmouth
    if len(wav) < PERIODS * RATE / CHANGE_LOW:
        return wav
    call = parselmouth.praat.call
    sound = parselmouth.Sound(wav.astype("float64"), RATE)
    with same_chance():
        spoken = call(sound, "To Manipulation", STEP, CHANGE_LOW, CHANGE_HIGH)
        tier = call("Create DurationTier", "shorter", 0.0, sound.duration)
        for i, share in enumerate(shortened(wav, speed)):
            call(tier, "Add point", (i + 0.5) * STEP, float(share))
        call([spoken, tier], "Replace duration tier")
        shorter = call(spoken, "Get resynthesis (overlap-add)")
    return shorter.values[0].astype("float32")


def shortened(wav, speed):
    """What share of its length every 10 ms of wav [T] keeps, [T // 160], at most 1; their mean is 1 / speed.

    Quiet sound keeps a quarter of what the rest keeps, or more where the rest then need not be shortened.
    """
    hop = round(STEP * RATE)
    power = np.square(wav[: len(wav) // hop * hop].reshape(-1, hop)).mean(1)
    level = np.convolve(np.sqrt(power), np.ones(SMOOTH_LEVEL) / SMOOTH_LEVEL, "same")
    quiet = level < np.percentile(level, LOUD) * 10 ** (QUIET_DB / 20)
    edges = np.pad(quiet.astype(float), SMOOTH_SHARE // 2, mode="edge")
    quiet = np.convolve(edges, np.ones(SMOOTH_SHARE) / SMOOTH_SHARE, "valid")  # no step from one to the other
    loud = (1 / speed) / (1 - quiet.mean() * (1 - QUIET_KEEPS))
    if loud <= 1:
        return loud * (1 - quiet * (1 - QUIET_KEEPS))
    return 1 - quiet * (1 - 1 / speed) / quiet.mean()
