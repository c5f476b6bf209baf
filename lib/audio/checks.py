"""What is wrong with a reference, in plain words."""
from dataclasses import dataclass

import numpy as np

from lib.audio.f0 import pitch
from lib.audio.files import load, resample
from lib.audio.frames import RATE
from lib.audio.levels import NOTHING_DB, frame_db, prepare, speech_level, trim, without_pauses

SHORT = 3  # s; a voice vector of less is off by more than a neighbour is away
USED = 30.5  # s; what prepare uses of a long clip, and its edges
QUIET_DB = -45  # speech so low lies near the noise of a laptop's converter
AT_LIMIT = 0.985  # of the peak; samples above are at the limit
HALF_SCALE = 0.5  # a clip with a lower peak was not clipped by its recorder
CLIPPED_SHARE = 0.001  # of samples at the limit; speech that is whole has fewer
NOISY_DB = 20  # between speech and background
DIGITAL_SILENCE_DB = -90  # says nothing about the room
OFFSET = 0.002  # a mean beyond that is the offset of a sound card and no part of speech
STEADY_DB = 8  # between loud and quiet frames; speech has more, white noise 3
VOICED_SHARE = 0.15  # of the frames; speech has 0.3 and more, hiss none, rumble a twentieth
STEADY_OCTAVES = 0.02  # between high and low pitches; 153 recordings of speech have 0.19 and more, a hum none


@dataclass(frozen=True)
class Check:
    """What `check` found in a clip: seconds of sound, level in dB, share of clipped samples, estimated SNR in
    dB.
    """
    seconds: float
    used_seconds: float
    level_db: float
    clipped: float
    snr_db: float
    problems: tuple
    fatal: bool


def check(clip):
    """Say in plain words what is wrong with a reference, before anyone waits; raises nothing for a bad clip.
    """
    try:
        rate, samples = load(clip)
        used = prepare((rate, samples))
    except ValueError as error:
        return Check(0.0, 0.0, NOTHING_DB, 0.0, 0.0, (str(error),), True)
    wav = _centred(resample(samples, rate, RATE))
    seconds = len(wav) / RATE
    used_seconds = len(used) / RATE
    level = speech_level(wav)
    clipped = _clipped(samples)
    snr = _snr(wav)
    f0 = pitch(used)
    no_voice = _no_voice(f0, snr)
    if no_voice:
        return Check(seconds, used_seconds, level, clipped, snr, (no_voice,), True)
    problems = []
    if (f0 > 0).mean() < VOICED_SHARE:
        problems.append("Hardly any voice found, as in a whisper or in noise: speak a sentence aloud.")
    cut = _cut_seconds(wav)
    if used_seconds < SHORT:
        problems.append(f"Only {used_seconds:.1f} s of sound: 5 to 10 s give a closer voice.")
    if seconds > USED:
        problems.append(f"The clip has {seconds:.0f} s: its loudest clean {used_seconds:.0f} s are used.")
    if cut:
        problems.append(f"Long pauses, {cut:.0f} s in all, are cut out: the voice is taken from the speech.")
    if level < QUIET_DB:
        problems.append(f"Very quiet ({level:.0f} dB): speak closer to the microphone.")
    if clipped > CLIPPED_SHARE:
        problems.append(f"Clipped ({100 * clipped:.1f} % of samples at the limit): "
                        "lower the recording level.")
    if snr < NOISY_DB:
        problems.append(f"Noisy (speech only about {snr:.0f} dB above the background): "
                        "record in a quieter room.")
    return Check(seconds, used_seconds, level, clipped, snr, tuple(problems), False)


def _centred(wav):
    """wav [T] without the offset of a sound card."""
    return wav - wav.mean() if abs(wav.mean()) > OFFSET else wav


def _no_voice(f0, snr):
    """What a clip holds in place of a voice, and the remedy, in words; "" for one that may hold a voice.

    f0 [F] in Hz, 0 unvoiced; snr in dB.  A whisper has no pitch, but its level comes and goes."""
    voiced = f0[f0 > 0]
    what = ""
    if len(voiced) < VOICED_SHARE * len(f0):
        what = "noise" if snr < STEADY_DB else ""
    elif np.ptp(np.log2(np.percentile(voiced, (5, 95)))) < STEADY_OCTAVES:
        what = "a steady tone"
    if not what:
        return ""
    return f"No voice found, only {what}: check the microphone, and record somebody who speaks."


def _clipped(samples):
    """Share of samples at the limit, 0 where the limit is not that of a recorder."""
    peak = np.abs(samples).max()
    if peak <= HALF_SCALE:
        return 0.0
    return float(np.mean(np.abs(samples) > AT_LIMIT * peak))


def _cut_seconds(wav):
    """Seconds of pauses that prepare cuts out of wav [T]; 0.0 for none."""
    speech = trim(wav)
    return (len(speech) - len(without_pauses(speech))) / RATE


def _snr(wav):
    """Distance in dB of the loud frames of wav [T] from its quiet ones."""
    db = frame_db(wav)
    db = db[db > DIGITAL_SILENCE_DB]
    return float(np.percentile(db, 90) - np.percentile(db, 5))
