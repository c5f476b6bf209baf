"""make judge TASK=enhance: what the shipped enhancer gains on people and noises that it never met.

Speech of the valid people of SHARED/corpus, recordings of noise that lib.data.noisy holds out, generated
noise and babble of these people, and one other person; each person at -2.5, 0 and 2.5 dB with every noise.
Figures are means over people, with bootstrap intervals over people.  A table by kind of recording has two
kinds that no training heard.
"""
import itertools
import os

import numpy as np

from lib import audio
from lib.data import corpus, noisy
from lib.evaluation import metrics, statistics

SNR_DB = (-2.5, 0.0, 2.5)
HEARD_DB = 0.0  # eSTOI and PESQ, which are slow, are taken at this ratio only
SECONDS = 5.0  # of a mixture
RECORDED = 2  # recordings of noise for each person, beside one of every generated kind
SEED, KIND_SEED = 20_000, 1  # no training draws from them
MARKS = ("sdri", "estoi_gain", "pesq_gain")


def people(shared):
    """{speaker: (wav to be cleaned [T], another clip of that person, to tell the voice by)}."""
    rows = corpus.rows(str(shared / "corpus" / "speech-1.parquet"), "valid")
    chosen = {}
    for speaker, places in corpus.by_speaker(rows).items():
        wavs = [corpus.wav(rows[i]) for i in places[:2]]
        if len(wavs) == 1:
            wavs = np.array_split(wavs[0], 2)
        T = int(SECONDS * audio.RATE)
        chosen[speaker] = wavs[0][:T], (audio.RATE, wavs[1][:T])
    return chosen


def noise_rows(shared):
    """Rows of recorded noise."""
    os.environ["VOICE_ATLAS_CORPUS"] = str(shared / "corpus")  # where corpus.noise_rows looks
    return corpus.noise_rows()


def recorded(shared):
    """Every fifth recording of noise, none of which training heard, float32 [T] each."""
    return noisy.recorded(row for row in noise_rows(shared) if noisy.is_fifth(row))


def by_kind(voices, chosen, shared):
    """{kind of recording: {"kind was learned": ..., "sdri": [mean, low, high]}} at 0 dB, for anybody."""
    kinds = {}
    for row in noise_rows(shared):
        if row["text"] and noisy.held_out(row):
            kinds.setdefault(row["text"], []).append(row)
    result = {}
    for kind, rows in kinds.items():
        its_noises = noisy.recorded(rows)
        gains = []
        for number, (speech, _) in enumerate(chosen.values()):
            rng = np.random.default_rng([SEED, KIND_SEED, number])
            noise = noisy.stretch(rng, its_noises[rng.integers(len(its_noises))], len(speech))
            mixed = noisy.mix(speech, noise, HEARD_DB).astype("float32")
            est = voices.enhance((audio.RATE, mixed)).wav
            gains.append([metrics.sdr(est, speech) - metrics.sdr(mixed, speech)])
        result[kind] = interval(np.array(gains)) | {"kind was learned": kind not in noisy.HELD_KINDS}
    return result


def noises(rng, others, recordings, T):
    """{kind: list of noises [T]} for one person; others: speech of the other people."""
    picked = rng.choice(len(recordings), RECORDED, replace=False)
    return {
        "recorded": [noisy.stretch(rng, recordings[i], T) for i in picked],
        "generated": [noisy.coloured(rng, T), noisy.hum(rng, T), noisy.clicks(rng, T)],
        "babble": [noisy.babble(rng, others, T)],
        "one other person": [noisy.stretch(rng, others[rng.integers(len(others))], T)],
    }


def marks_of(est, speech, is_heard):
    """SDR, eSTOI and PESQ of est against speech, [T] each; the last two only where is_heard, else NaN."""
    if not is_heard:
        return np.array([metrics.sdr(est, speech), np.nan, np.nan])
    return np.array([metrics.sdr(est, speech), metrics.estoi(est, speech), metrics.pesq(est, speech)])


def measured(voices, voice, speech, kinds):
    """{(kind, system): MARKS, a mean over noises and ratios} for one person, whose spk_emb is `voice`."""
    marks = {}
    for kind, its_noises in kinds.items():
        for noise, snr_db in itertools.product(its_noises, SNR_DB):
            is_heard = snr_db == HEARD_DB
            mixed = noisy.mix(speech, noise, snr_db).astype("float32")
            base = marks_of(mixed, speech, is_heard)
            for system, told in (("anybody", None), ("told the voice", voice)):
                est = voices.enhance((audio.RATE, mixed), told).wav
                marks.setdefault((kind, system), []).append(marks_of(est, speech, is_heard) - base)
    return {key: np.nanmean(rows, 0) for key, rows in marks.items()}


def table(voices, shared):
    """{kind: {system: {mark: [mean, low, high]}, "told minus anybody": ...}} over the valid people.

    LIMIT=n in the environment: over the first n of them."""
    chosen, recordings = people(shared), recorded(shared)
    most = int(os.environ.get("LIMIT", len(chosen)))
    everyone, clean = [], []
    for number, (speaker, (speech, clip)) in enumerate(list(chosen.items())[:most]):
        rng = np.random.default_rng([SEED, number])
        others = [wav for name, (wav, _) in chosen.items() if name != speaker]
        kinds = noises(rng, others, recordings, len(speech))
        everyone.append(measured(voices, voices.embed(clip), speech, kinds))
        clean.append(metrics.sdr(voices.enhance((audio.RATE, speech)).wav, speech))
    some = dict(list(chosen.items())[:most])
    return tabulated(everyone, clean) | {"by kind": by_kind(voices, some, shared)}


def tabulated(everyone, clean):
    """The table of `measured` of everyone, and of the SDR of clean speech that went through."""
    result = {"people": len(everyone), "clean speech, sdr": round(float(np.mean(clean)), 2)}
    for kind, system in everyone[0]:
        marks = np.array([person[kind, system] for person in everyone])
        result.setdefault(kind, {})[system] = interval(marks)
        if system != "anybody":
            base = np.array([person[kind, "anybody"] for person in everyone])
            result[kind]["told minus anybody"] = interval(marks - base)
    return result


def interval(marks):
    """{mark: [mean, low, high]} of marks [n people, the first of MARKS]."""
    row = {}
    for k, name in enumerate(MARKS[: marks.shape[1]]):
        row[name] = [round(value, 3) for value in statistics.bootstrap(marks[:, k])]
    return row
