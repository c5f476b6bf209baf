"""make judge TASK=tune: enhancers tuned to one person, beside the one they were tuned from.

People that the enhancer never met: valid ones of SHARED/corpus with much speech, and virtual ones of the
embedded corpus.  Each has five noises, as in [PERSONAL]: three kinds of recordings, babble, and one other
person.  Tuning hears other recordings of these kinds and other people than the test does.  Figures are gains
over the noisy clip, means over people with bootstrap intervals over people.
"""
import functools
import itertools
import os
from dataclasses import dataclass

import numpy as np
from judge_enhance import HEARD_DB, SNR_DB, interval, marks_of, noise_rows

from lib import audio
from lib.data import corpus, noisy
from lib.voices import tune

REAL, VIRTUAL = 6, 6  # people
CLIPS, SECONDS = 2, 5.0  # of a person to be cleaned, and their length
MOST = 20  # clips of a person that are read
OWN_SECONDS = 75.0  # of real speech at most: as much as so many sentences have
KINDS, RECORDINGS = 3, 4  # of recorded noise for a person, and recordings of each to learn from
STEPS, SAID = 60, 20  # a quarter of the app's steps, half of its sentences: for the time of the whole
LRS = (1e-6, 1e-3)  # beside the recipe's own
RATED = 2  # people for whom these are tried
SEED = 30_000
NOISY = "the noisy clip"  # its marks are levels, not gains


@dataclass(frozen=True)
class Person:
    """Speech of one person, wavs [T]: clip to tell the voice by, to be cleaned, and to learn from."""
    clip: np.ndarray
    test: list
    own: list


def person(wavs):
    """A Person of many wavs [T]: the first long one to tell by, the next ones for the test."""
    T = int(SECONDS * audio.RATE)
    wavs = sorted(wavs, key=lambda wav: len(wav) < T)  # keeps the order but for short ones
    lengths = np.cumsum([len(wav) for wav in wavs[1 + CLIPS:]])
    own = [wav for wav, until in zip(wavs[1 + CLIPS:], lengths) if until <= OWN_SECONDS * audio.RATE]
    return Person(wavs[0][:T], [wav[:T] for wav in wavs[1: 1 + CLIPS]], own)


def people(shared):
    """{name: Person}, real and virtual ones in turn."""
    real = corpus.rows(str(shared / "corpus" / "speech-1.parquet"), "valid")
    virtual = corpus.rows("embedded")
    places = corpus.by_speaker(real)
    talkative = sorted(places, key=lambda name: -len(places[name]))[:REAL]
    groups = [[(name, person_of(real, places[name])) for name in talkative]]
    places = corpus.by_speaker(virtual)
    groups.append([(name, person_of(virtual, places[name])) for name in sorted(places)[-VIRTUAL:]])
    in_turn = itertools.chain(*itertools.zip_longest(*groups))
    return dict(pair for pair in in_turn if pair)


def person_of(rows, places):
    """The Person whose rows lie at `places`."""
    return person([corpus.wav(rows[i]) for i in places[:MOST]])


def recordings(shared):
    """({kind: rows to learn from}, {kind: rows to ask with}) of recorded noise; kinds kept whole are not
    among them."""
    learned, asked = {}, {}
    for row in noise_rows(shared):
        if row["text"] and row["text"] not in noisy.HELD_KINDS:
            side = asked if noisy.held_out(row) else learned
            side.setdefault(row["text"], []).append(row)
    return learned, asked


def five(rng, sides, others):
    """({kind: list of noises [T] to ask with}, noises to learn from); others: wavs of other people."""
    learned, asked = sides
    T = int(SECONDS * audio.RATE)
    to_ask, to_learn = {"recorded": []}, []
    for kind in rng.choice(sorted(asked), KINDS, replace=False):
        to_learn += noisy.recorded(learned[kind][:RECORDINGS])
        its = noisy.recorded(asked[kind])
        to_ask["recorded"].append(noisy.stretch(rng, its[rng.integers(len(its))], T))
    to_ask["babble"] = [noisy.babble(rng, others, T)]
    to_ask["one other person"] = [noisy.stretch(rng, others[rng.integers(len(others))], T)]
    virtual = tune.others(SEED)[-tune.OTHERS:]
    to_learn += [noisy.babble(rng, virtual, T) for _ in range(RECORDINGS)]
    return to_ask, to_learn + virtual[:RECORDINGS]


def systems(voices, one, unwanted, number):
    """{system: what Voices.enhance is told} for a Person."""
    spk_emb = voices.embed((audio.RATE, one.clip))
    said = tune.spoken(voices, (audio.RATE, one.clip), SEED, count=SAID)
    make = functools.partial(tune.tuned, voices.bundle["enhancer"], spk_emb)

    def tuned(speech, **more):
        net, facts = make(speech, unwanted, tune.Recipe(steps=STEPS, **more))
        return tune.Specialist(net, spk_emb, facts)
    made = {
        "anybody": None,
        "told the voice": spk_emb,
        "tuned on real speech": tuned(one.own),
        "tuned on ours": tuned(said),
    }
    for lr in LRS if number < RATED else ():
        made[f"tuned on ours, {lr:g}"] = tuned(said, lr=lr)
    return made


def measured(voices, made, one, to_ask):
    """{(kind of noise, system): gains over the noisy clip} of a Person; kind "all": every noise counts once.
    """
    rows = {}
    for kind, its_noises in to_ask.items():
        for noise, speech, snr_db in itertools.product(its_noises, one.test, SNR_DB):
            mixed = noisy.mix(speech, np.resize(noise, len(speech)), snr_db).astype("float32")
            base = marks_of(mixed, speech, snr_db == HEARD_DB)
            rows.setdefault(("all", NOISY), []).append(base)
            for system, told in made.items():
                est = voices.enhance((audio.RATE, mixed), told).wav
                gained = marks_of(est, speech, snr_db == HEARD_DB) - base
                rows.setdefault((kind, system), []).append(gained)
                rows.setdefault(("all", system), []).append(gained)
    return {key: np.nanmean(marks, 0) for key, marks in rows.items()}


def tables(voices, shared):
    """Yield {"everybody": table, "real": ..., "virtual": ...} after every person; of two people or more.

    A table: {kind of noise: {system: {mark: [mean, low, high]}}}; LIMIT=n in the environment: n people."""
    chosen, sides = people(shared), recordings(shared)
    most = int(os.environ.get("LIMIT", len(chosen)))
    everyone = {}
    for number, (name, one) in enumerate(list(chosen.items())[:most]):
        rng = np.random.default_rng([SEED, number])
        others = [wav for other, its in chosen.items() if other != name for wav in its.test]
        to_ask, unwanted = five(rng, sides, others)
        made = systems(voices, one, unwanted, number)
        everyone[name] = measured(voices, made, one, to_ask)
        virtual = [who for who in everyone if who.startswith("va-")]
        real = [who for who in everyone if who not in virtual]
        groups = {"everybody": list(everyone), "real": real, "virtual": virtual}
        enough = {group: names for group, names in groups.items() if len(names) > 1}
        if enough:
            yield {group: tabulated(everyone, names) for group, names in enough.items()}


def tabulated(everyone, names):
    """The table of `measured` of the people `names`; a system that some lack: over those who have it."""
    result = {"people": names}
    for kind, system in dict.fromkeys(itertools.chain(*(everyone[name] for name in names))):
        with_it = [everyone[name] for name in names if (kind, system) in everyone[name]]
        if len(with_it) < 2:  # has no interval
            continue
        marks = np.array([rows[kind, system] for rows in with_it])
        cells = result.setdefault(kind, {})
        cells[system] = interval(marks) | {"people": len(with_it)}
        if system.startswith("tuned"):
            for base in ("anybody", "told the voice"):
                before = np.array([rows[kind, base] for rows in with_it])
                cells[f"{system} minus {base}"] = interval(marks - before)
    return result
