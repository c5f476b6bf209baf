"""The pitch of a voice: fundamental frequency by autocorrelation."""
import numpy as np

from lib.audio.frames import HOP, N_FFT, RATE

LOW = 60.0  # Hz, the lowest pitch of speech that is looked for
HIGH = 420.0  # Hz, the highest
CANDIDATES = 4  # voiced candidates a frame

# [BOERSMA] sec. 3.3: what the path pays, in units of the autocorrelation's peak.
OCTAVE_COST = 0.02  # for each octave by which a candidate lies lower
UNVOICED = 0.5  # score of "unvoiced" in a frame with sound
SILENT = 2.0  # the same in a frame without: more than any peak reaches
JUMP_COST = 0.35  # for each octave between two voiced frames
SWITCH_COST = 0.14  # for going from voiced to unvoiced or back
SILENCE_DB = 40  # what lies so far under the loudest frame is silent
NO_REGISTER = 7.3  # log2 of 158 Hz, between men and women: the register of a sound without any voiced frame


def pitch(wav):
    """Give the fundamental frequency f0 [T // HOP] in Hz of wav [T] at 16 kHz, one value a frame; 0 where
    unvoiced.

    Source: [BOERSMA]: peaks of the autocorrelation, divided by that of the window, then the cheapest path
    through them. Differs: four voiced candidates a frame, a parabola for the sinc at a peak, and silence is
    what lies 40 dB under the loudest frame.
    """
    frames = _frames(wav)
    hz, score = _candidates(_autocorrelation(frames))
    level = 10 * np.log10((frames**2).mean(1) + 1e-10)
    audible = level > level.max(initial=-100) - SILENCE_DB
    unvoiced = np.where(audible, UNVOICED, SILENT)[:, None]
    return _cheapest(np.concatenate([hz, 0 * unvoiced], 1), np.concatenate([score, unvoiced], 1))


def register(f0):
    """Say where a voice lies: the median of log2 f0 over the voiced frames of f0 [F]; NO_REGISTER without
    any.
    """
    voiced = f0[f0 > 0]
    if not len(voiced):
        return NO_REGISTER
    return float(np.median(np.log2(voiced)))


def _frames(wav):
    """Frames [F, N_FFT] of wav [T], centred as those of the spectrogram are."""
    pad = (N_FFT - HOP) // 2
    padded = np.pad(np.asarray(wav, dtype="float32"), (pad, pad + HOP))
    every = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)
    return every[:: HOP][: len(wav) // HOP]


def _autocorrelation(frames):
    """Autocorrelation [F, lags] of frames [F, N_FFT], 1 at lag 0, freed from that of the window."""
    size = frames.shape[1]
    lags = int(RATE / LOW) + 2

    def raw(x):
        power = np.abs(np.fft.rfft(x, 2 * size)) ** 2
        return np.fft.irfft(power)[..., :lags]

    window = np.hanning(size).astype("float32")
    of_window = raw(window)
    r = raw((frames - frames.mean(1, keepdims=True)) * window)
    return r / (r[:, :1] + 1e-9) / (of_window / of_window[0])


def _candidates(r):
    """The best peaks of r [F, lags]: hz and score [F, CANDIDATES]; 0 Hz and -1 where there are fewer."""
    lags = np.arange(r.shape[1])
    inner = r[:, 1:-1]
    peak = np.zeros(r.shape, bool)
    peak[:, 1:-1] = (inner > r[:, :-2]) & (inner >= r[:, 2:]) & (lags[1:-1] >= RATE / HIGH)
    lower = np.log2(np.maximum(lags, 1) * LOW / RATE)  # octaves, up to a constant
    score = np.where(peak, r - OCTAVE_COST * lower, -1.0)
    best = np.argpartition(-score, CANDIDATES, axis=1)[:, :CANDIDATES]
    rows = np.arange(len(r))[:, None]
    before = r[rows, best - 1]
    at = r[rows, best]
    after = r[rows, np.minimum(best + 1, r.shape[1] - 1)]
    curvature = np.minimum(before - 2 * at + after, -1e-6)
    top = best + 0.5 * (before - after) / curvature  # of the parabola through these three
    in_range = np.clip(top, RATE / HIGH, RATE / LOW)
    hz = np.where(score[rows, best] > -1, RATE / in_range, 0.0)
    return hz, score[rows, best]


def _cheapest(hz, score):
    """Choose one of the candidates hz [F, K] (0: unvoiced) a frame: high scores, few jumps; [F].  Viterbi's
    path.
    """
    frames = len(hz)
    path = np.zeros(frames, "float32")
    if not frames:
        return path
    octave = np.log2(np.maximum(hz, 1.0))
    voiced = hz > 0
    back = np.zeros(hz.shape, int)
    total = score[0]
    for f in range(1, frames):
        both = voiced[f - 1][:, None] & voiced[f]
        jump = JUMP_COST * np.abs(octave[f - 1][:, None] - octave[f])
        switch = SWITCH_COST * (voiced[f - 1][:, None] != voiced[f])
        ways = total[:, None] - np.where(both, jump, switch)
        back[f] = ways.argmax(0)
        total = ways.max(0) + score[f]
    k = int(total.argmax())
    for f in reversed(range(frames)):
        path[f] = hz[f, k]
        k = back[f, k]
    return path
