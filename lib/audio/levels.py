"""Levels, pauses, and the form in which every model hears a clip."""
import numpy as np

from lib.audio.files import load, resample
from lib.audio.frames import HOP, LEVEL_DB, RATE

NOTHING_DB = -100.0  # level of a sound without any frame
PEAK = 0.97  # the highest sample that is handed on: a codec overshoots
CLIPPED = 0.999  # a sample as high as that was cut off by the recorder
SILENT_DB = -60.0  # a clip without one frame above that holds nothing but the noise of its converter
FAINT_DB = -65.0  # an edge under that is cut, however quiet the rest is
LOUD_RANGE_DB = 30  # what lies deeper under the loudest frame is a pause
PAUSE_SECONDS = 2.0  # a longer pause is not one for breath: the recorder ran on
PAUSE_LEFT = 0.25  # s of such a pause that stay on either side of it
PAUSE_FADE = 0.02  # s, beside a pause that is put back


def frame_db(wav, hop=HOP):
    """Give the level of each hop of wav [T] in dB below full scale, [T // hop]."""
    frames = wav[: len(wav) // hop * hop].reshape(-1, hop)
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-10)


def speech_level(wav):
    """Give the level in dB of the louder half of the dynamic range: pauses do not count."""
    db = frame_db(wav)
    if not len(db):
        return NOTHING_DB
    loud = db[db > db.max() - LOUD_RANGE_DB]
    return float(10 * np.log10(np.mean(10 ** (loud / 10))))


def trim(wav, below=38.0, keep=0.08):
    """Cut edges that lie `below` dB under the loudest frame, keeping `keep` s; float32 [T] -> [<= T]."""
    db = frame_db(wav)
    if not len(db):
        return wav
    loud = np.flatnonzero(db > max(db.max() - below, FAINT_DB))
    if not len(loud):
        return wav[:0]
    pad = int(keep * RATE)
    first = max(0, loud[0] * HOP - pad)
    last = (loud[-1] + 1) * HOP + pad
    return wav[first:last]


def pauses(wav, longer=PAUSE_SECONDS):
    """Find where wav [T] at 16 kHz pauses for more than `longer` s: list of (first sample, end)."""
    db = frame_db(wav)
    if not len(db):
        return []
    quiet = db < max(db.max() - LOUD_RANGE_DB, FAINT_DB)
    steps = np.diff(np.concatenate([[0], quiet.astype(int), [0]]))
    begins = np.flatnonzero(steps == 1) * HOP
    ends = np.flatnonzero(steps == -1) * HOP
    found = zip(begins.tolist(), ends.tolist(), strict=True)
    return [(begin, end) for begin, end in found if end - begin > longer * RATE]


def without_pauses(wav):
    """Shorten pauses of more than PAUSE_SECONDS in wav [T] to twice PAUSE_LEFT; [<= T].  A voice is not in
    them.
    """
    return cut_pauses(wav)[0]


def cut_pauses(wav):
    """Shorten wav [T] as `without_pauses` does: (wav [<= T], list of (sample where it was cut, how many)).
    """
    left = int(PAUSE_LEFT * RATE)
    kept, cuts = [], []
    start = at = 0
    for begin, end in pauses(wav):
        kept.append(wav[start: begin + left])
        at += begin + left - start
        start = end - left
        cuts.append((at, start - begin - left))
    return np.concatenate([*kept, wav[start:]]), cuts


def put_pauses(wav, cuts):
    """Put silence back where `cut_pauses` took something out: [T]; what is beside it fades out and in."""
    ramp = np.linspace(1, 0, int(PAUSE_FADE * RATE), dtype="float32")
    wav = wav.copy()
    for at, _ in cuts:
        wav[at - len(ramp): at] *= ramp
        wav[at: at + len(ramp)] *= ramp[::-1]
    parts = []
    start = 0
    for at, count in cuts:
        parts += [wav[start:at], np.zeros(count, wav.dtype)]
        start = at
    return np.concatenate([*parts, wav[start:]])


def normalise(wav):
    """Bring speech to LEVEL_DB, peaks at most PEAK; float32 [T] -> [T]."""
    gain = 10 ** ((LEVEL_DB - speech_level(wav)) / 20)
    highest = max(np.abs(wav).max(), 1e-9)
    return (wav * min(gain, PEAK / highest)).astype("float32")


def prepare(clip, seconds=(1.0, 30.0)):
    """Make a clip what every model expects: 16 kHz mono float32 [T], no DC, edges trimmed, long pauses
    shortened, at LEVEL_DB.

    clip: what `load` takes.  A clip over seconds[1] s gives its loudest stretch of that length free of
    clipping. Raises ValueError for what `load` refuses, for silence, and for less than seconds[0] s of sound.
    """
    least, most = seconds
    rate, samples = load(clip)
    wav = resample(samples, rate, RATE)
    wav = wav - wav.mean()
    if frame_db(np.pad(wav, (0, HOP))).max() < SILENT_DB:
        raise ValueError("This clip is silent (nothing above -60 dB): "
                         "check the microphone and record it again.")
    wav = without_pauses(trim(wav))
    if len(wav) < least * RATE:
        length = len(wav) / RATE
        raise ValueError(f"This clip has {length:.1f} s of sound: "
                         f"at least {least:g} s is needed, 5 s is good.")
    limit = int(most * RATE)
    if len(wav) > limit:
        start = _loudest(wav, limit)
        wav = trim(wav[start: start + limit])
    return normalise(wav)


def _loudest(wav, length):
    """First sample of the window of `length` samples with the most energy, clipped frames counting as none.
    """
    frames = wav[: len(wav) // HOP * HOP].reshape(-1, HOP)
    whole = np.abs(frames).max(1) < CLIPPED
    energy = np.mean(frames**2, axis=1) * whole
    total = np.concatenate([[0.0], np.cumsum(energy)])
    width = length // HOP
    return int(np.argmax(total[width:] - total[:-width])) * HOP
