"""The pitch of a voice: fundamental frequency by autocorrelation."""
import numpy as np

from lib import audio

LOW, HIGH = 60.0, 420.0  # Hz, the pitch of speech


def pitch(wav):
    """Fundamental frequency f0 [T // HOP] in Hz of wav [T] at 16 kHz, one value a frame of the spectrogram; 0 where nothing is voiced.

    Source: [BOERSMA]: peaks of the autocorrelation, divided by that of the window, then the cheapest path through them.
    Differs: four voiced candidates a frame, a parabola for the sinc at a peak, and silence is what lies 40 dB under the loudest frame."""
    size, pad = audio.N_FFT, (audio.N_FFT - audio.HOP) // 2
    padded = np.pad(np.asarray(wav, dtype="float32"), (pad, pad + audio.HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: audio.HOP][: len(wav) // audio.HOP]
    window = np.hanning(size).astype("float32")
    level = 10 * np.log10((frames**2).mean(1) + 1e-10)

    def autocorrelation(x):
        return np.fft.irfft(np.abs(np.fft.rfft(x, 2 * size)) ** 2)[..., : int(audio.RATE / LOW) + 2]
    bare = autocorrelation(window)
    r = autocorrelation((frames - frames.mean(1, keepdims=True)) * window)
    r = r / (r[:, :1] + 1e-9) / (bare / bare[0])
    lags = np.arange(r.shape[1])
    peak = np.zeros(r.shape, bool)
    peak[:, 1:-1] = (r[:, 1:-1] > r[:, :-2]) & (r[:, 1:-1] >= r[:, 2:]) & (lags[1:-1] >= audio.RATE / HIGH)
    score = np.where(peak, r - 0.02 * np.log2(np.maximum(lags, 1) * LOW / audio.RATE), -1.0)  # of two octaves the higher
    best = np.argpartition(-score, 4, axis=1)[:, :4]
    rows = np.arange(len(r))[:, None]
    before, at, after = r[rows, best - 1], r[rows, best], r[rows, np.minimum(best + 1, r.shape[1] - 1)]
    finer = best + 0.5 * (before - after) / np.minimum(before - 2 * at + after, -1e-6)  # the top of a parabola
    hz = np.where(score[rows, best] > -1, audio.RATE / np.clip(finer, audio.RATE / HIGH, audio.RATE / LOW), 0.0)
    none = np.where(level > level.max(initial=-100) - 40, 0.5, 2.0)[:, None]
    return _cheapest(np.concatenate([hz, 0 * none], 1), np.concatenate([score[rows, best], none], 1))


def _cheapest(hz, score):
    """One of the candidates hz [F, K] (0: unvoiced) a frame, so that scores are high and jumps between octaves rare: [F]."""
    octave, voiced = np.log2(np.maximum(hz, 1.0)), hz > 0
    total, back = score[0] if len(hz) else score, np.zeros(hz.shape, int)
    for f in range(1, len(hz)):
        both = voiced[f - 1][:, None] & voiced[f]
        jump = np.where(both, 0.35 * np.abs(octave[f - 1][:, None] - octave[f]), 0.14 * (voiced[f - 1][:, None] != voiced[f]))
        ways = total[:, None] - jump
        back[f], total = ways.argmax(0), ways.max(0) + score[f]
    path, k = np.zeros(len(hz), "float32"), int(total.argmax()) if len(hz) else 0
    for f in range(len(hz) - 1, -1, -1):
        path[f], k = hz[f, k], back[f, k]
    return path


def register(f0):
    """Where a voice lies: the median of log2 f0 over the voiced frames of f0 [F]; 7.3 (158 Hz) when nothing is voiced."""
    return float(np.median(np.log2(f0[f0 > 0]))) if (f0 > 0).any() else 7.3
