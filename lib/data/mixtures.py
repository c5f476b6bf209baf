"""People who talk at once: mixtures of clips, for lessons, the tab Extract and the judge."""
import numpy as np

from lib import audio


def mixed(clips):
    """Play clips at once: (rate, samples [T]), each brought to one level; a shorter one is silent at its end.

    clips: what audio.load takes.  Raises ValueError as audio.prepare does.
    """
    wavs = [audio.prepare(clip) for clip in clips]
    longest = max(len(wav) for wav in wavs)
    padded = [np.pad(wav, (0, longest - len(wav))) for wav in wavs]
    return audio.RATE, sum(padded) / len(padded)


def sources(wavs, seconds):
    """Bring wavs (float32 [T] each) to one length and level: [S, seconds * RATE]; a shorter one starts again.
    """
    length = int(seconds * audio.RATE)
    return np.stack([audio.normalise(np.resize(wav, length)) for wav in wavs])


def disturbed(wav, other, level=0.0):
    """Play `other` all the while beside wav [T], `level` dB louder: float32 [T] at LEVEL_DB."""
    distractor = audio.normalise(np.resize(other, len(wav)))
    return audio.normalise(wav + 10 ** (level / 20) * distractor)
