"""Long sounds in overlapping stretches."""
import numpy as np

from lib import audio

CHUNK = 512  # frames: 8.2 s at once
OVERLAP = 64  # frames: 1 s, shared with the next stretch
SOURCE_SECONDS = 60.0  # of a source that is to be converted


def chunked(decode, frames, chunk=CHUNK, overlap=OVERLAP):
    """Join what decode(start, end) -> wav [(end - start) * HOP] gives for stretches of at most `chunk`
    frames.

    Neighbours are cross-faded in the inner half of their overlap, where both have heard what comes before and
    after. Returns wav [frames * HOP].
    """
    rise = np.clip(np.linspace(-0.5, 1.5, overlap * audio.HOP), 0, 1).astype("float32")
    wav = np.zeros(frames * audio.HOP, "float32")
    for start in range(0, max(1, frames - overlap), chunk - overlap):
        end = min(start + chunk, frames)
        piece = np.array(decode(start, end), dtype="float32")
        if start:
            piece[: len(rise)] *= rise
        if end < frames:
            piece[-len(rise):] *= 1 - rise
        wav[start * audio.HOP: end * audio.HOP] += piece
    return wav


def source(clip, most=SOURCE_SECONDS):
    """Give all of a clip that is to be converted: float32 [T] at 16 kHz and LEVEL_DB; not trimmed, so its
    timing stays.

    Raises ValueError for what audio.prepare refuses, and for more than `most` s.
    """
    rate, samples = audio.load(clip)
    if len(samples) > most * rate:
        seconds = len(samples) / rate
        raise ValueError(f"The source has {np.ceil(seconds):.0f} s; the limit is {most:g} s: "
                         "convert it in parts.")
    audio.prepare((rate, samples))  # refuses silence and less than a second of sound
    wav = audio.resample(samples, rate, audio.RATE)
    return audio.normalise(wav - wav.mean())
