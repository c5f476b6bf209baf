"""What happens to speech between a mouth and a file: rooms, noise, lost bands."""
import numpy as np

from lib.audio.frames import RATE

T60 = (0.1, 0.6)  # s in which a room falls by 60 dB: from a padded booth to a bare kitchen
DIRECT = (0.3, 1.0)  # amplitude of the direct sound
DECAY = 6.9  # exp(-6.9) is 60 dB
SNR_DB = (5, 25)  # of noise: from a street to an office
BAND = (0.45, 0.95)  # of the band is what an old codec leaves
GAIN_DB = (-6, 6)


def room(rng, wav):
    """Convolve wav [T] with a simulated room; same length, same energy.

    Direct sound, then noise whose decay is 60 dB in 0.1 to 0.6 s.
    """
    t60 = rng.uniform(*T60)
    direct = rng.uniform(*DIRECT)
    t = np.arange(int(t60 * RATE)) / RATE
    tail = rng.standard_normal(len(t)) * np.exp(-DECAY * t / t60)
    unit = np.sqrt(2 * DECAY / (t60 * RATE))  # of which the tail's energy becomes one
    response = tail * unit * (1 - direct)
    response[0] += direct
    n = 1 << int(np.ceil(np.log2(len(wav) + len(response))))
    wet = np.fft.irfft(np.fft.rfft(wav, n) * np.fft.rfft(response, n), n)[: len(wav)]
    return (wet * np.sqrt((wav**2).mean() / ((wet**2).mean() + 1e-12))).astype("float32")


def narrow(wav, hz):
    """Remove what lies above `hz` from wav [T], as an old mp3 or a telephone does."""
    spectrum = np.fft.rfft(wav)
    spectrum[int(hz * len(wav) / RATE):] = 0
    return np.fft.irfft(spectrum, len(wav)).astype("float32")


def _decibels(db):
    return 10 ** (db / 20)


def augment(rng, wav, noises, chance=0.4):
    """Do to wav [T] what happens between a mouth and a file: room, noise, loss of the top band, level; [T].

    noises: list of float32 arrays at 16 kHz.  Each change comes with probability chance / 2, noise with
    `chance`.
    """
    if rng.random() < chance / 2:
        wav = room(rng, wav)
    if noises and rng.random() < chance:
        noise = noises[rng.integers(len(noises))]
        start = rng.integers(max(1, len(noise) - len(wav)))
        noise = np.resize(noise[start:], len(wav))
        snr = _decibels(-rng.uniform(*SNR_DB))
        wav = wav + snr * np.sqrt((wav**2).mean() / ((noise**2).mean() + 1e-9)) * noise
    if rng.random() < chance / 2:
        wav = narrow(wav, rng.uniform(*BAND) * RATE / 2)
    return (wav * _decibels(rng.uniform(*GAIN_DB))).astype("float32")
