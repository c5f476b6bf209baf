"""Information perturbation: the same words from a throat of another size, at another pitch, through another
microphone.
"""
from pathlib import Path

import numpy as np
import torch

from lib import audio
from lib.audio import praat

MOST = 1.4  # the largest factor of formants and pitch.  Source: [NANSY]
BELLS = 10  # of the equaliser, the two at the ends being shelves
EQ_LOW, EQ_HIGH = 60, 7000  # Hz, the first and the last of them
EQ_DB = 12  # the most that each adds or takes
Q_LOW, Q_HIGH = 2, 5  # how narrow a bell is
SHELF_SLOPE = 4  # of a logistic curve, per octave
THROAT = 0.1  # the share of its place by which a mel band moves at most: a throat is not half as long
BEND_DB = 3.5  # deviation of a mel equaliser,
BENDS = 6  # which is a straight line between that many points


def factor(rng):
    """Draw from U(1, 1.4), inverted with probability one half.  Source: [FLOWVAE] sec. 2.1.2, after [NANSY].
    """
    value = rng.uniform(1.0, MOST)
    return value if rng.random() < 0.5 else 1 / value


def shift(wav, formants, pitch):
    """Scale the formants and the median pitch of wav [T] at 16 kHz by two factors; same length."""
    changed = praat.change_gender(wav, formants, pitch)
    missing = max(0, len(wav) - len(changed))
    return np.pad(changed, (0, missing))[: len(wav)].astype("float32")


def equalise(rng, wav):
    """Colour wav [T] by eight bells and two shelves, 60 Hz to 7 kHz, U(-12, 12) dB each.  Source: [NANSY].

    Differs: there up to 10 kHz, with phase.
    """
    hz = np.fft.rfftfreq(len(wav), 1 / audio.RATE) + 1e-3
    centres = np.geomspace(EQ_LOW, EQ_HIGH, BELLS)[:, None]
    octave = np.log2(hz / centres)
    gain = rng.uniform(-EQ_DB, EQ_DB, (BELLS, 1))
    q = Q_LOW * (Q_HIGH / Q_LOW) ** rng.random((BELLS, 1))
    shape = np.exp(-0.5 * (q * octave) ** 2)
    shape[0] = 1 / (1 + np.exp(SHELF_SLOPE * octave[0]))
    shape[-1] = 1 / (1 + np.exp(-SHELF_SLOPE * octave[-1]))
    curve = 10 ** ((gain * shape).sum(0) / 20)
    return np.fft.irfft(np.fft.rfft(wav) * curve, len(wav)).astype("float32")


def perturb(rng, wav):
    """Do all three to wav [T]: the words stay, who says them does not; same length, at LEVEL_DB.

    The equaliser comes last ([NANSY]: first).
    """
    formants = factor(rng)
    pitch = factor(rng)
    return audio.normalise(equalise(rng, shift(wav, formants, pitch)))


def other_throat(rng, mel):
    """Give log-mels [B, M, F] as other throats and microphones might have left them, each its own.

    Bands move up or down together, and an equaliser bends what is left: what `shift` and `equalise` do to
    sound, at no cost, though harmonics move along.  Source: the idea of [NANSY].
    """
    B, M, _ = mel.shape
    bands = np.arange(M)
    moved = torch.empty_like(mel)
    for b in range(B):
        at = np.clip(bands * rng.uniform(1 - THROAT, 1 + THROAT), 0, M - 1)
        below = np.minimum(at.astype(int), M - 2)
        share = torch.tensor(at - below, dtype=mel.dtype)[:, None]
        points = rng.normal(0, BEND_DB, BENDS) * np.log(10) / 20
        curve = np.interp(bands, np.linspace(0, M - 1, BENDS), points)
        colour = torch.tensor(curve, dtype=mel.dtype)[:, None]
        moved[b] = torch.lerp(mel[b, below], mel[b, below + 1], share) + colour
    return moved


def views(clips, folder, copies=1):
    """Make log-mels and f0 of all clips (lib.data.clips.Clips) and mels of perturbed copies, once.

    Returns mels [1 + copies, sum F, M] and f0 [sum F].
    """
    def whole(i):
        return clips.wav(i)[: clips.frames[i] * audio.HOP]

    def mels(i):
        sounds = [whole(i)]
        for k in range(copies):
            sounds.append(perturb(np.random.default_rng([i, k]), sounds[0]))
        batch = torch.tensor(np.stack(sounds))[:, None]
        return audio.mel(batch).permute(2, 0, 1)  # [F, 1 + copies, M]

    def f0(i):
        return audio.pitch(whole(i))

    folder = Path(folder)
    kept_mels = clips.kept(folder / f"views-{copies}-mels.npy", mels)
    kept_f0 = clips.kept(folder / "f0.npy", f0)
    return kept_mels.transpose(1, 0, 2), kept_f0
