"""A mark in sound that a machine made: nobody hears it, a correlation finds it ([SSW]).

Cells of 94 Hz by 32 ms between 312 and 3,406 Hz are made louder or softer by about 1 dB, as a fixed pattern
of +1 and -1 says, which repeats every 1.024 s.  The pattern keeps to the sound's own spectrum: it hides
where the sound is; and it lies where a telephone hears, so that it survives 8 kHz and MP3.

Who has this code can find the mark, and who wants to can destroy it: it tells the honest, and stops nobody.
"""
import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from lib.audio.files import load, resample

RATE = 8000  # Hz: what a telephone carries is all that is used, whatever the rate of the sound
N_FFT = 256  # samples, 32 ms: shorter frames need a stronger mark for the same DNSMOS
STEP = 64  # samples, 8 ms
SHORTEST = 4 * N_FFT  # samples, 128 ms: some cells at every phase; what is shorter is padded
FIRST = 10  # bin of 31.25 Hz where the lowest band begins, 312 Hz: telephones cut below 300
WIDTH = 3  # bins of a band, 94 Hz
BANDS = 33  # up to 3,406 Hz
CELL = 4  # frames of a cell, 32 ms: a search by frames is never more than 4 ms off
CHIPS = 32  # cells until the pattern repeats, 1.024 s: short enough to be found in a second of sound
KEY = b"Voice Atlas: a machine made this."

FLOOR_DB = 50.0  # under the loudest cells: what lies deeper is not heard and does not survive
LOUDEST = 0.98  # quantile of the cells that counts as the loudest
NEAR = 7  # cells in time and in frequency over which the power of surprises is levelled out
CLIP = 2.0  # standard deviations beyond which a surprise tells no more
# How much of a cell [frequency, time] its neighbours tell beforehand, fitted to read speech and to our own.
NEIGHBOURS = (
    (-0.12, 0.29, -0.12),
    (-0.06, 0.17, -0.06),
    (0.40, 0.0, 0.40),
    (-0.06, 0.17, -0.06),
    (-0.12, 0.29, -0.12),
)

ROUNDING = 2**-15  # of 16 bits: what is softer is gone once it is saved
WINDOW = 62  # cells, 2 s: what is to be found by itself after the rest was cut away
START_DB = 1.0  # of the pattern, before the first look
WEAKEST_DB, STRONGEST_DB = 0.5, 3.0  # weaker is not found after MP3, stronger is heard in pauses
SHORT_DB = 6.0  # of a sound shorter than WINDOW: one loud word of half a second needs it, and hides it
ROUNDS = 3  # of looking and correcting: a fourth changes less than 2 %
TARGET = 8.5  # standard deviations in every WINDOW: THRESHOLD, what MP3 takes, and 2.5 for chance
THRESHOLD = 5.5  # standard deviations: by chance once in 400,000 looks (128 places of a normal variable)
LOOK = 125  # cells, 4 s, looked at by themselves in a longer clip, of which only a part may be marked


@dataclass(frozen=True)
class Mark:
    """What was looked for in a clip.  score: standard deviations above chance; found: whether it is there."""
    score: float

    @property
    def found(self):
        """Whether the clip is marked."""
        return self.score >= THRESHOLD


def pattern():
    """The chips, +1 and -1, float32 [BANDS, CHIPS]: drawn from KEY by SHAKE-256, the same everywhere."""
    drawn = hashlib.shake_256(KEY).digest(BANDS * CHIPS // 8)
    bits = np.unpackbits(np.frombuffer(drawn, "uint8"))
    return (2.0 * bits - 1).reshape(BANDS, CHIPS).astype("float32")


def embed(wav, rate):
    """Give wav float32 [T] with the mark in it; silence comes back as it is, as there is nothing to mark.

    The pattern is as strong as each 2 s need to be found by themselves.
    Raises ValueError for sound that cannot be marked: it must not be given out.
    """
    wav = np.asarray(wav, "float32")
    if np.all(np.abs(wav) < ROUNDING):
        return wav
    spec = spectrum(wav, rate)
    frames = spec.shape[1]
    chips = np.repeat(repeated(frames // CELL + 1), CELL, axis=1)[:, :frames]
    strength = np.full(frames, START_DB, "float32")
    for _ in range(ROUNDS):
        marked = wav + change(spec, chips * strength, rate, len(wav))
        strength = corrected(strength, marked, rate)
    marked = wav + change(spec, chips * strength, rate, len(wav))
    score = detect((rate, marked)).score
    if score < THRESHOLD:
        raise ValueError(f"This sound cannot be marked as made by a machine ({score:.1f} of {THRESHOLD}), "
                         "so it is not given out: ask for more words.")
    return marked


def detect(clip):
    """Look for the mark in a clip (path, bytes, (rate, samples)): a Mark.

    The whole clip is looked at, and of a longer one every 4 s.  Raises ValueError as audio.load does.
    """
    rate, wav = load(clip)
    level = cells(spectrum(wav, rate))
    scores = [0.0]
    for phase in range(CELL):
        odd = surprises(level[:, phase::CELL])
        scores.append(correlation(odd))
        for start in range(0, odd.shape[1] - LOOK, LOOK // 2):
            scores.append(correlation(odd[:, start: start + LOOK]))
    return Mark(max(scores))


def spectrum(wav, rate):
    """Short-time spectrum of wav [T], brought to RATE: complex [N_FFT / 2 + 1, frames]."""
    narrow = resample(wav, rate, RATE)
    narrow = torch.from_numpy(np.pad(narrow, (0, max(0, SHORTEST - len(narrow)))))
    return torch.stft(narrow, N_FFT, STEP, window=torch.hann_window(N_FFT), pad_mode="constant",
                      return_complex=True)


def change(spec, gain_db, rate, T):
    """What is added to a sound [T] at `rate` so that the bands of its spectrum change by gain_db [BANDS,
    frames]."""
    gain = torch.zeros(spec.shape)
    bands = torch.from_numpy(10 ** (gain_db / 20) - 1).repeat_interleave(WIDTH, dim=0)
    gain[FIRST: FIRST + BANDS * WIDTH] = bands
    size = STEP * (spec.shape[1] - 1)
    wav = torch.istft(gain * spec, N_FFT, STEP, window=torch.hann_window(N_FFT), length=size)
    wav = resample(wav.numpy(), RATE, rate)[:T]
    return np.pad(wav, (0, T - len(wav)))


def cells(spec):
    """Level in dB of the cells that begin at each frame: [BANDS, frames - CELL + 1], not below the floor."""
    power = spec[FIRST: FIRST + BANDS * WIDTH].abs() ** 2
    power = power.reshape(BANDS, WIDTH, -1).sum(1)
    db = 10 * torch.log10(power + 1e-9)
    floor = torch.quantile(db.flatten()[:: 1 + db.numel() // 1_000_000], LOUDEST) - FLOOR_DB
    return F.avg_pool1d(db.clamp(min=floor)[None], CELL, 1)[0]


def surprises(level):
    """What its neighbours do not tell of each cell of level [BANDS, J], all about equally strong."""
    around = F.pad(level[None, None], (1, 1, 2, 2), mode="replicate")
    odd = level - F.conv2d(around, torch.tensor(NEIGHBOURS)[None, None])[0, 0]
    power = F.avg_pool2d(odd[None] ** 2, NEAR, 1, NEAR // 2, count_include_pad=False)[0]
    odd = odd / (power + 1)
    most = CLIP * odd.square().mean().sqrt()
    return odd.clamp(-most, most).numpy()


def correlation(odd):
    """The best of the CHIPS places of the pattern in surprises [BANDS, J], in standard deviations.

    The chips are as good as random, so a sum of surprises with their signs has the variance of their squares,
    whatever the sound.
    """
    J = odd.shape[1]
    whole = np.pad(odd, ((0, 0), (0, -J % CHIPS)))
    folded = whole.reshape(BANDS, -1, CHIPS).sum(1)
    spread = np.sqrt((folded ** 2).sum())
    if spread == 0:
        return 0.0
    product = np.fft.rfft(folded) * np.conj(np.fft.rfft(pattern()))
    return float(np.fft.irfft(product.sum(0), CHIPS).max() / spread)


def repeated(J):
    """The pattern over J cells: [BANDS, J]."""
    return np.tile(pattern(), -(-J // CHIPS))[:, :J]


def corrected(strength, marked, rate):
    """Strength in dB [frames], changed so that each WINDOW of the marked sound is found with TARGET."""
    odd = surprises(cells(spectrum(marked, rate))[:, ::CELL])
    J = odd.shape[1]
    size = min(J, WINDOW)
    starts = np.arange(0, J - size + 1, max(1, size // 2))
    right = np.cumsum(np.pad((odd * repeated(J)).sum(0), (1, 0)))
    power = np.cumsum(np.pad((odd ** 2).sum(0), (1, 0)))
    ends = starts + size
    scores = (right[ends] - right[starts]) / np.sqrt(power[ends] - power[starts] + 1e-9)
    wanted = TARGET / np.maximum(scores, 1)
    middles = (starts + size / 2) * CELL
    factor = np.interp(np.arange(len(strength)), middles, wanted)
    strongest = SHORT_DB if J < WINDOW else STRONGEST_DB
    return np.clip(strength * factor, WEAKEST_DB, strongest).astype("float32")
