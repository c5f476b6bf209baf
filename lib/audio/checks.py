"""What is wrong with a reference, in plain words."""
from dataclasses import dataclass

import numpy as np

from lib.audio.files import load, resample
from lib.audio.frames import RATE
from lib.audio.levels import frame_db, prepare, speech_level


@dataclass(frozen=True)
class Check:
    """What `check` found in a clip: seconds of sound, level in dB, share of clipped samples, estimated SNR in dB."""
    seconds: float
    used_seconds: float
    level_db: float
    clipped: float
    snr_db: float
    problems: tuple
    fatal: bool


def check(clip):
    """Say in plain words what is wrong with a reference, before anyone waits; raises nothing for a bad clip."""
    try:
        rate, samples = load(clip)
        used = prepare((rate, samples))
    except ValueError as error:
        return Check(0.0, 0.0, -100.0, 0.0, 0.0, (str(error),), True)
    wav = resample(samples, rate, RATE)
    db = frame_db(wav)
    db, peak = db[db > -90], np.abs(samples).max()  # digital silence says nothing about the room
    level, clipped = speech_level(wav), float(np.mean(np.abs(samples) > 0.985 * peak)) if peak > 0.5 else 0.0
    snr = float(np.percentile(db, 90) - np.percentile(db, 5))
    problems = []
    if len(used) < 3 * RATE:
        problems.append(f"Only {len(used) / RATE:.1f} s of sound: 5 to 10 s give a closer voice.")
    if len(wav) > 30.5 * RATE:
        problems.append(f"The clip has {len(wav) / RATE:.0f} s: its loudest clean {len(used) / RATE:.0f} s are used.")
    if level < -45:
        problems.append(f"Very quiet ({level:.0f} dB): speak closer to the microphone.")
    if clipped > 0.001:
        problems.append(f"Clipped ({100 * clipped:.1f} % of samples at the limit): lower the recording level.")
    if snr < 20:
        problems.append(f"Noisy (speech only about {snr:.0f} dB above the background): record in a quieter room.")
    return Check(len(wav) / RATE, len(used) / RATE, level, clipped, snr, tuple(problems), False)
