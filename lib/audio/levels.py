"""Levels, pauses, and the form in which every model hears a clip."""
import numpy as np

from lib.audio.files import load, resample
from lib.audio.frames import HOP, LEVEL_DB, RATE


def frame_db(wav, hop=HOP):
    """Level of each hop of `wav` [T] in dB below full scale, [T // hop]."""
    frames = wav[: len(wav) // hop * hop].reshape(-1, hop)
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-10)


def speech_level(wav):
    """Level in dB of the louder half of the dynamic range: pauses do not count."""
    db = frame_db(wav)
    loud = db[db > db.max() - 30] if len(db) else db
    return float(10 * np.log10(np.mean(10 ** (loud / 10)))) if len(loud) else -100.0


def trim(wav, below=38.0, keep=0.08):
    """Cut edges that lie `below` dB under the loudest frame, keeping `keep` s; float32 [T] -> [<= T]."""
    db = frame_db(wav)
    if not len(db):
        return wav
    loud = np.flatnonzero(db > max(db.max() - below, -65.0))
    if not len(loud):
        return wav[:0]
    pad = int(keep * RATE)
    return wav[max(0, loud[0] * HOP - pad): (loud[-1] + 1) * HOP + pad]


def normalise(wav):
    """Bring speech to LEVEL_DB, peaks at most 0.97; float32 [T] -> [T]."""
    gain = 10 ** ((LEVEL_DB - speech_level(wav)) / 20)
    return (wav * min(gain, 0.97 / max(np.abs(wav).max(), 1e-9))).astype("float32")


def prepare(clip, seconds=(1.0, 30.0)):
    """Make a clip what every model expects: 16 kHz mono float32 [T], no DC, edges trimmed, at LEVEL_DB.

    clip: what `load` takes.  A clip over seconds[1] s gives its loudest stretch of that length free of clipping.
    Raises ValueError for what `load` refuses, for silence, and for less than seconds[0] s of sound.
    """
    rate, samples = load(clip)
    wav = resample(samples, rate, RATE)
    wav = wav - wav.mean()
    if not len(wav) or frame_db(np.pad(wav, (0, HOP))).max() < -60:
        raise ValueError("This clip is silent (nothing above -60 dB): check the microphone and record it again.")
    wav = trim(wav)
    if len(wav) < seconds[0] * RATE:
        found = len(wav) / RATE
        raise ValueError(f"This clip has {found:.1f} s of sound: at least {seconds[0]:g} s is needed, 5 s is good.")
    most = int(seconds[1] * RATE)
    if len(wav) > most:
        wav = trim(wav[_loudest(wav, most):][:most])
    return normalise(wav)


def _loudest(wav, most):
    """First sample of the window of `most` samples with the most energy, clipped frames counting as none."""
    frames = wav[: len(wav) // HOP * HOP].reshape(-1, HOP)
    energy = np.mean(frames**2, axis=1) * (np.abs(frames).max(1) < 0.999)
    total = np.concatenate([[0.0], np.cumsum(energy)])
    width = most // HOP
    return int(np.argmax(total[width:] - total[:-width])) * HOP
