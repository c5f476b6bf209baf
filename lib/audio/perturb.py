"""Information perturbation: the same words from a throat of another size, at another pitch, through another microphone.
The only door to Praat, loaded when it is used: the app does without it.
"""
from pathlib import Path

import numpy as np
import torch

from lib import audio


def factor(rng):
    """A number from U(1, 1.4), inverted with probability one half.  Source: [FLOWVAE] sec. 2.1.2, after [NANSY]."""
    value = rng.uniform(1.0, 1.4)
    return value if rng.random() < 0.5 else 1 / value


def shift(wav, formants, pitch):
    """Scale the formants and the median pitch of wav [T] at 16 kHz by two factors; same length.  Praat's "Change gender"."""
    import parselmouth
    sound = parselmouth.Sound(wav.astype("float64"), audio.RATE)
    track = sound.to_pitch(pitch_floor=65.0, pitch_ceiling=500.0)
    median = parselmouth.praat.call(track, "Get quantile", 0.0, 0.0, 0.5, "Hertz")
    median = 0.0 if np.isnan(median) else median * pitch  # 0 leaves the pitch as it is: nothing is voiced
    changed = parselmouth.praat.call((sound, track), "Change gender", formants, median, 1.0, 1.0).values[0]
    return np.resize(np.pad(changed, (0, max(0, len(wav) - len(changed)))), len(wav)).astype("float32")


def equalise(rng, wav):
    """Eight bells and two shelves, 60 Hz to 7 kHz, U(-12, 12) dB each, on wav [T].  Source: [NANSY].  Differs: there 10 kHz, with phase."""
    hz = np.fft.rfftfreq(len(wav), 1 / audio.RATE) + 1e-3
    octave = np.log2(hz / np.geomspace(60, 7000, 10)[:, None])
    gain, q = rng.uniform(-12, 12, (10, 1)), 2 * (5 / 2) ** rng.random((10, 1))
    shape = np.exp(-0.5 * (q * octave) ** 2)
    shape[0], shape[-1] = 1 / (1 + np.exp(4 * octave[0])), 1 / (1 + np.exp(-4 * octave[-1]))
    return np.fft.irfft(np.fft.rfft(wav) * 10 ** ((gain * shape).sum(0) / 20), len(wav)).astype("float32")


def perturb(rng, wav):
    """All three on wav [T], the equaliser last ([NANSY]: first): the words stay, who says them does not; same length, at LEVEL_DB."""
    return audio.normalise(equalise(rng, shift(wav, factor(rng), factor(rng))))


def views(clips, folder, copies=1):
    """Log-mels and f0 of all clips (lib.clips.Clips) and mels of perturbed copies, made once: mels [1 + copies, sum F, M], f0 [sum F]."""
    def mels(i):
        wav = clips.wav(i)[: clips.frames[i] * audio.HOP]
        sounds = [wav] + [perturb(np.random.default_rng([i, k]), wav) for k in range(copies)]
        return audio.mel(torch.tensor(np.stack(sounds))[:, None]).permute(2, 0, 1)  # [F, 1 + copies, M]
    made = clips.kept(Path(folder) / f"views-{copies}-mels.npy", mels)
    f0 = clips.kept(Path(folder) / "f0.npy", lambda i: audio.pitch(clips.wav(i)[: clips.frames[i] * audio.HOP]))
    return made.transpose(1, 0, 2), f0
