"""What happens to speech between a mouth and a file: rooms, noise, lost bands."""
import numpy as np

from lib.audio.frames import RATE


def room(rng, wav):
    """Convolve wav [T] with a simulated room: direct sound, then noise whose decay is 60 dB in 0.1 to 0.6 s; same length, same energy."""
    t60, direct = rng.uniform(0.1, 0.6), rng.uniform(0.3, 1.0)
    t = np.arange(int(t60 * RATE)) / RATE
    response = rng.standard_normal(len(t)) * np.exp(-6.9 * t / t60) * np.sqrt(13.8 / (t60 * RATE)) * (1 - direct)
    response[0] += direct
    n = 1 << int(np.ceil(np.log2(len(wav) + len(response))))
    wet = np.fft.irfft(np.fft.rfft(wav, n) * np.fft.rfft(response, n), n)[: len(wav)]
    return (wet * np.sqrt((wav**2).mean() / ((wet**2).mean() + 1e-12))).astype("float32")


def narrow(wav, hz):
    """Remove what lies above `hz` from wav [T], as an old mp3 or a telephone does."""
    spectrum = np.fft.rfft(wav)
    spectrum[int(hz * len(wav) / RATE):] = 0
    return np.fft.irfft(spectrum, len(wav)).astype("float32")


def augment(rng, wav, noises, chance=0.4):
    """What happens to speech between a mouth and a file: room, noise at 5 to 25 dB SNR, loss of the top band, level; [T] -> [T].

    noises: list of float32 arrays at 16 kHz.  Each change comes with probability chance / 2, noise with `chance`.
    """
    if rng.random() < chance / 2:
        wav = room(rng, wav)
    if noises and rng.random() < chance:
        noise = noises[rng.integers(len(noises))]
        start = rng.integers(max(1, len(noise) - len(wav)))
        noise = np.resize(noise[start:], len(wav))
        gain = 10 ** (-rng.uniform(5, 25) / 20) * np.sqrt((wav**2).mean() / ((noise**2).mean() + 1e-9))
        wav = wav + gain * noise
    if rng.random() < chance / 2:
        wav = narrow(wav, rng.uniform(0.45, 0.95) * RATE / 2)
    return (wav * 10 ** (rng.uniform(-6, 6) / 20)).astype("float32")
