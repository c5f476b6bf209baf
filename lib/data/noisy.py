"""Speech in noise, mixed as it is drawn: for the enhancer, its lesson, its judge and its tuning."""
import contextlib
import hashlib
import re
from dataclasses import dataclass

import numpy as np
import torch

from lib import audio

SNR_DB = (-5.0, 5.0)  # of training mixtures, as in [PERSONAL] sec. 3
EASY, EASY_DB = 0.15, (5.0, 30.0)  # share of mixtures that hardly need help, so that clean speech stays
TOLD = 0.5  # share of mixtures whose voice is told
RIVAL = 0.5  # share of those where the noise is one other person
GAIN_DB = (-6.0, 6.0)  # of a whole mixture
LEAST = 1e-4  # RMS of a noise that can be mixed in
SHORTEST = 0.5  # s of a recording of noise
HELD_OUT = 5  # every fifth recording of noise is kept for measuring
CUT = re.compile(r"-([A-Z]|\d\d?)\.\w+$")  # in names of ESC: 1-100032-A.ogg is a cut of recording 1-100032
HELD_KINDS = ("Chainsaw", "Rooster")  # and every one of a steady kind and of a sparse one
BABBLE = 0.2  # share of mixtures without a rival whose noise is several people, others each time
SECOND = 0.3  # share of the other noises to which a second one is added
SPEED = (0.7, 1.4)  # a noise is played slower or faster by such a factor
EQUALISER_DB, KNOTS = 8.0, 8  # and through an equaliser: at most so many dB, at so many frequencies
THROATS = (0.85, 1.18)  # speech is played slower or faster by such a factor: another throat, another pitch
MICROPHONE_DB = 3.0  # and heard through an equaliser, whose gains have this standard deviation
HUM_HZ = (45.0, 65.0)  # mains, everywhere, and what turns with it
VOICES_OF_BABBLE = (4, 9)
CLICKS_A_SECOND = (1.0, 12.0)


@dataclass(frozen=True)
class Pool:
    """Clean speech to mix: pieces, each float32 [T]; speaker and spk_emb [P, D] of each piece.

    spk_emb belongs to *another* piece of the same speaker: nobody is told by what is to be found."""
    pieces: list
    speaker: np.ndarray
    spk_emb: np.ndarray


def pool(rows_by_speaker, embed):
    """A Pool of {speaker: list of wavs [T]}; a single wav is cut into halves.  embed(wav) -> spk_emb [D].
    """
    pieces, speakers, voices = [], [], []
    for number, wavs in enumerate(rows_by_speaker.values()):
        mine = list(wavs) if len(wavs) > 1 else np.array_split(wavs[0], 2)
        own = [embed(wav) for wav in mine]
        pieces += mine
        speakers += [number] * len(mine)
        voices += own[1:] + own[:1]
    return Pool(pieces, np.array(speakers), np.stack(voices).astype("float32"))


def held_out(row):
    """Whether a recording of noise is kept from training: every fifth, and two kinds whole."""
    return row["text"] in HELD_KINDS or is_fifth(row)


def is_fifth(row):
    """Whether a recording is one of the fifth kept for measuring: by what it was cut from, not by the cut."""
    take = CUT.sub("", row["id"].split("/")[-1])
    return int(hashlib.sha256(take.encode()).hexdigest(), 16) % HELD_OUT == 0


def recorded(rows):
    """Recordings of noise, float32 [T] each at 16 kHz, silent edges cut; left out: under half a second, and
    what libsndfile cannot read."""
    noises = []
    for row in rows:
        with contextlib.suppress(ValueError):
            rate, samples = audio.load(row["audio"])
            wav = audio.trim(audio.resample(samples, rate, audio.RATE))
            if len(wav) >= SHORTEST * audio.RATE:
                noises.append(wav)
    return noises


def coloured(rng, T):
    """Noise [T] whose spectrum falls by 0 to 9 dB an octave, and whose level wanders."""
    spectrum = np.fft.rfft(rng.standard_normal(T))
    hz = np.linspace(0, audio.RATE / 2, len(spectrum))
    spectrum *= (hz + 20) ** -rng.uniform(0, 1.5)
    noise = np.fft.irfft(spectrum, T)
    knots = rng.uniform(-4, 4, 2 + T // audio.RATE)
    db = np.interp(np.linspace(0, len(knots) - 1, T), np.arange(len(knots)), knots)
    return unit(noise * 10 ** (db / 20))


def hum(rng, T):
    """Harmonics of something that turns, [T]."""
    t = np.arange(T) / audio.RATE
    f0 = rng.uniform(*HUM_HZ) * rng.integers(1, 5)
    noise = np.zeros(T)
    for n in range(1, 20):
        noise += rng.exponential() / n * np.sin(2 * np.pi * (n * f0 * t + rng.random()))
    return unit(noise + 0.1 * rng.standard_normal(T))


def clicks(rng, T):
    """Keys and drops, [T]: short ringing strokes at random times."""
    strokes = rng.random(T) < rng.uniform(*CLICKS_A_SECOND) / audio.RATE
    t = np.arange(int(0.05 * audio.RATE)) / audio.RATE
    ring = np.exp(-t * rng.uniform(80, 600)) * np.sin(2 * np.pi * rng.uniform(300, 5000) * t)
    ring += np.exp(-t * 400) * rng.standard_normal(len(t))
    stroked = strokes * rng.exponential(size=T)
    n = T + len(ring)
    noise = np.fft.irfft(np.fft.rfft(stroked, n) * np.fft.rfft(ring, n), n)[:T]
    return unit(noise + 0.01 * rng.standard_normal(T))


def babble(rng, pieces, T):
    """Several people at once, [T]."""
    count = rng.integers(*VOICES_OF_BABBLE)
    return unit(sum(unit(stretch(rng, pieces[rng.integers(len(pieces))], T)) for _ in range(count)))


def varied(rng, noise, T):
    """A stretch [T] of a noise, slower or faster and through an equaliser: few recordings become many."""
    wav = played(rng, noise, rng.uniform(*SPEED), T)
    return unit(equalised(wav, rng.uniform(-EQUALISER_DB, EQUALISER_DB, KNOTS)))


def played(rng, wav, speed, T):
    """A random stretch of wav, `speed` times as fast: [T]."""
    piece = stretch(rng, wav, int(T * speed) + 2)
    return np.interp(np.arange(T) * speed, np.arange(len(piece)), piece)


def equalised(wav, gains_db):
    """wav [T] through an equaliser of so many gains in dB, evenly spaced in octaves."""
    knots = np.geomspace(50, audio.RATE / 2, len(gains_db))
    hz = np.fft.rfftfreq(len(wav), 1 / audio.RATE)
    gain = 10 ** (np.interp(hz, knots, gains_db) / 20)
    return np.fft.irfft(np.fft.rfft(wav) * gain, len(wav)).astype("float32")


def unit(wav):
    """wav [T] at an RMS of one; silence stays silence."""
    return (wav / max(np.sqrt(np.mean(wav**2)), LEAST)).astype("float32")


def stretch(rng, wav, T):
    """A random stretch [T] of wav; a shorter one starts again."""
    start = rng.integers(max(1, len(wav) - T))
    return np.resize(wav[start:], T)


def generated(rng, pieces, each, seconds=8.0):
    """A list of `each` noises of every kind we can make: coloured, hum, clicks, babble of `pieces`."""
    T = int(seconds * audio.RATE)
    noises = []
    for _ in range(each):
        noises += [coloured(rng, T), hum(rng, T), clicks(rng, T), babble(rng, pieces, T)]
    return noises


def mix(speech, noise, snr_db):
    """Speech [T] with noise [T] `snr_db` under it: noisy [T]."""
    return speech + 10 ** (-snr_db / 20) * np.sqrt(np.mean(speech**2)) * unit(noise)


class Noisy:
    """Draws batches of mixtures: draw(rng) for lib.training.fit.

    A batch: noisy and speech [B, 1, T], spk_emb [B, D], told [B] (1: the network is told whose voice).
    vary: share of mixtures whose speech has another throat (where no voice is told) or microphone."""

    def __init__(self, speech, noises, B=12, seconds=3.0, snr_db=SNR_DB, told=TOLD, vary=0.0):
        self.speech = speech
        self.noises = noises
        self.B = B
        self.T = int(seconds * audio.RATE)
        self.snr_db = snr_db
        self.told = told
        self.vary = vary
        self.by_speaker = [np.flatnonzero(speech.speaker == s) for s in np.unique(speech.speaker)]

    def draw(self, rng):
        rows = [self.mixture(rng) for _ in range(self.B)]
        columns = list(zip(*rows, strict=True))
        noisy, speech = (torch.tensor(np.stack(wavs))[:, None] for wavs in columns[:2])
        spk_emb = torch.tensor(np.stack(columns[2]))
        told = torch.tensor(columns[3], dtype=torch.float32)
        return {"noisy": noisy, "speech": speech, "spk_emb": spk_emb, "told": told}

    def mixture(self, rng):
        """(noisy [T], speech [T], spk_emb [D], told)."""
        mine = rng.integers(len(self.by_speaker))
        i = rng.choice(self.by_speaker[mine])
        told = rng.random() < self.told
        speech = self.spoken(rng, self.speech.pieces[i], told)
        others = len(self.by_speaker) > 1
        if others and told and rng.random() < RIVAL:
            noise = self.rival(rng, mine)
        elif others and rng.random() < BABBLE:
            noise = self.babble(rng, mine)
        else:
            noise = self.noise(rng)
        low_db, high_db = EASY_DB if rng.random() < EASY else self.snr_db
        snr_db = rng.uniform(low_db, high_db)
        gain = 10 ** (rng.uniform(*GAIN_DB) / 20)
        noisy = (gain * mix(speech, noise, snr_db)).astype("float32")
        return noisy, (gain * speech).astype("float32"), self.speech.spk_emb[i], float(told)

    def spoken(self, rng, piece, told):
        """A stretch [T] of a piece of speech; varied, it is like that of another person."""
        wav = stretch(rng, piece, self.T)
        if not told and rng.random() < self.vary:
            wav = played(rng, piece, rng.uniform(*THROATS), self.T)
        if rng.random() < self.vary:
            wav = equalised(wav, rng.normal(0, MICROPHONE_DB, KNOTS))
        return wav.astype("float32")

    def noise(self, rng):
        """One of the noises, or two of them, varied."""
        noise = varied(rng, self.noises[rng.integers(len(self.noises))], self.T)
        if rng.random() < SECOND:
            noise = noise + varied(rng, self.noises[rng.integers(len(self.noises))], self.T)
        return noise

    def babble(self, rng, mine):
        """Several people at once, and not the one who is to be kept."""
        count = rng.integers(*VOICES_OF_BABBLE)
        return sum(unit(self.rival(rng, mine)) for _ in range(count))

    def rival(self, rng, mine):
        """A stretch of one other person."""
        other = (mine + rng.integers(1, len(self.by_speaker))) % len(self.by_speaker)
        return stretch(rng, self.speech.pieces[rng.choice(self.by_speaker[other])], self.T)
