"""make judge TASK=tune: enhancers tuned to one person, beside the one they were tuned from.

People that the enhancer never met: valid ones of SHARED/corpus with much speech, and virtual ones of the
embedded corpus.  Each has five noises, as in [PERSONAL]: three kinds of recordings, babble, and one other
person.  Tuning hears other recordings of these kinds and other people than the test does.  Figures are gains
over the noisy clip, means over people with bootstrap intervals over people.

The questions that [PERSONAL] leaves open: a neighbour is the virtual voice nearest to a person, other than
the person, and its recordings are tuned on in place of the person's; quantity is 13, 40 and 220 sentences
beside each other; which property of the sentences goes with their gain is a rank correlation over people.

TTS="xtts yourtts" in the environment adds these systems of lib/voices/rivals.py, whose servers must run.

OUT/people keeps each person as soon as it is done, under a name made of what it was measured with: who stops
it goes on from there, and twelve people take about half an hour of one core.
"""
import hashlib
import itertools
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from judge_enhance import HEARD_DB, SNR_DB, interval, marks_of, noise_rows

from lib import audio
from lib.data import corpus, noisy
from lib.evaluation import metrics, statistics
from lib.paths import ASSETS
from lib.voices import tune

REAL, VIRTUAL = 6, 6  # people
SECONDS = 5.0  # of the clip to tell a voice by, and of the one to be cleaned
MOST = 60  # clips of a person that are read
OWN_SECONDS = 240.0  # of recorded speech at most: as much as SAID sentences have
KINDS, RECORDINGS = 3, 4  # of recorded noise for a person, and recordings of each to learn from
STEPS = 60  # a quarter of the app's, for the time of it all
FEW, SAID, MANY = 13, 40, 220  # sentences: about 1, 4 and 23 minutes; [PERSONAL] has 40 and 220
CHARACTERS = 80, 120  # of one
SEED = 30_000
NOISY = "the noisy clip"  # its marks are levels, not gains
OURS, FEW_OF_OURS = f"tuned on {SAID} sentences of ours", f"tuned on {FEW} sentences of ours"
MANY_OF_OURS = f"tuned on {MANY} sentences of ours"
EARLIER = f"tuned on {SAID} sentences of lesson 03"  # its voice is less like, its sound duller
OTHER = {f"tuned on {SAID} sentences of {name}": name for name in os.environ.get("TTS", "").split()}
OWN, NEIGHBOUR = "tuned on own recordings", "tuned on a virtual neighbour"
CLIP, BOTH = "tuned on the clip", f"tuned on the clip and {SAID} sentences of ours"
ANYBODY, TOLD = "anybody", "told the voice"
COMPARED = (  # differences of two systems, person by person
    (TOLD, ANYBODY), (OWN, ANYBODY), (OWN, TOLD), (OURS, ANYBODY), (OURS, TOLD), (OURS, FEW_OF_OURS),
    (MANY_OF_OURS, ANYBODY), (MANY_OF_OURS, TOLD), (MANY_OF_OURS, OURS),
    (EARLIER, ANYBODY), (EARLIER, TOLD), (EARLIER, OURS),
    (CLIP, TOLD), (BOTH, ANYBODY), (BOTH, TOLD), (BOTH, CLIP), (NEIGHBOUR, ANYBODY), (NEIGHBOUR, TOLD),
    *itertools.product(OTHER, (ANYBODY, TOLD, OURS)),
)
HEARD = 4  # sentences of a person that the judge listens to
HEARD_FOR = ("secs", "wer", "ovrl")  # likeness, words, and the sound as DNSMOS rates it


@dataclass(frozen=True)
class Person:
    """Speech of one person, wavs [T]: clip to tell the voice by, to be cleaned, and to learn from."""
    clip: np.ndarray
    test: np.ndarray
    own: list


def person(wavs):
    """A Person of many wavs [T]: the first long one to tell by, the next one for the test."""
    T = int(SECONDS * audio.RATE)
    wavs = sorted(wavs, key=lambda wav: len(wav) < T)  # keeps the order but for short ones
    lengths = np.cumsum([len(wav) for wav in wavs[2:]])
    own = [wav for wav, until in zip(wavs[2:], lengths) if until <= OWN_SECONDS * audio.RATE]
    return Person(wavs[0][:T], wavs[1][:T], own)


def people(shared):
    """({name: Person} real and virtual ones in turn, {name: Person} of all virtual voices)."""
    rows = corpus.rows(str(shared / "corpus" / "speech-1.parquet"), "valid")
    places = corpus.by_speaker(rows)
    talkative = sorted(places, key=lambda name: -len(places[name]))[:REAL]
    real = {name: person_of(rows, places[name]) for name in talkative}
    rows = corpus.rows("embedded")
    voices = {name: person_of(rows, mine) for name, mine in corpus.by_speaker(rows).items()}
    asked = sorted(voices)[-VIRTUAL:]
    in_turn = itertools.chain(*itertools.zip_longest(real, asked))
    return {name: real.get(name) or voices[name] for name in in_turn if name}, voices


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


def systems(voices, one, said, by, neighbour, unwanted):
    """{system: what Voices.enhance is told} for a Person.

    said: MANY sentences in that person's voice, wavs [T]; by: {system: SAID of them by another synthesiser};
    neighbour: the Person whose recordings stand in."""
    def tuned(clip, speech, recorded=None):
        spk_emb = voices.embed((audio.RATE, clip))
        recipe = tune.Recipe(steps=STEPS, seconds=math.inf)  # a busy machine makes no other figures
        generalist = voices.bundle["enhancer"]
        net, facts = tune.tuned(generalist, spk_emb, speech, unwanted, recipe, recorded=recorded)
        return tune.Specialist(net, spk_emb, facts)
    return {
        ANYBODY: None,
        TOLD: voices.embed((audio.RATE, one.clip)),
        OWN: tuned(one.clip, one.own),
        FEW_OF_OURS: tuned(one.clip, said[:FEW]),
        OURS: tuned(one.clip, said[:SAID]),
        MANY_OF_OURS: tuned(one.clip, said),
        **{system: tuned(one.clip, speech) for system, speech in by.items()},
        CLIP: tuned(one.clip, np.array_split(one.clip, tune.HELD)),
        BOTH: tuned(one.clip, said[:SAID], recorded=one.clip),
        NEIGHBOUR: tuned(neighbour.clip, neighbour.own),  # nothing of the person goes into this one
    }


def nearest(voices, one, neighbours):
    """The Person of the list `neighbours` whose clip is nearest to that of `one`."""
    wanted = voices.embed((audio.RATE, one.clip))
    cosines = [metrics.secs(wanted, voices.embed((audio.RATE, other.clip))) for other in neighbours]
    return neighbours[int(np.argmax(cosines))]


def measured(voices, made, one, to_ask):
    """{kind of noise: {system: gains over the noisy clip [MARKS]}} of a Person; kind "all": every noise
    counts once."""
    rows = {}
    for kind, its_noises in to_ask.items():
        for noise, snr_db in itertools.product(its_noises, SNR_DB):
            mixed = noisy.mix(one.test, np.resize(noise, len(one.test)), snr_db).astype("float32")
            base = marks_of(mixed, one.test, snr_db == HEARD_DB)
            rows.setdefault(("all", NOISY), []).append(base)
            for system, told in made.items():
                est = voices.enhance((audio.RATE, mixed), told).wav
                gained = marks_of(est, one.test, snr_db == HEARD_DB) - base
                rows.setdefault((kind, system), []).append(gained)
                rows.setdefault(("all", system), []).append(gained)
    table = {}
    for (kind, system), marks in rows.items():
        table.setdefault(kind, {})[system] = np.nanmean(marks, 0).tolist()
    return table


def key():
    """What a figure of this table depends on, as a few letters: all weights, the code of the measure."""
    weights = sorted((ASSETS / "checkpoints").glob("*/model.safetensors"))
    digest = hashlib.sha256()
    for path in [*weights, Path(__file__), Path(tune.__file__), Path(noisy.__file__)]:
        digest.update(path.read_bytes())
    digest.update(" ".join(OTHER).encode())
    return digest.hexdigest()[:12]


def texts(shared):
    """MANY sentences that people of the training read aloud, the same ones for everybody."""
    rows = corpus.rows([*sorted((shared / "corpus").glob("speech-*.parquet"))], "train")
    shortest, longest = CHARACTERS
    fitting = {row["text"] for row in rows if row["text_kind"] == "human"}
    fitting = sorted(words for words in fitting if shortest <= len(words) < longest)
    chosen = np.random.default_rng(SEED).choice(fitting, MANY, replace=False)
    return [words.capitalize() + "." for words in chosen]


def keep_heard(folder, name, one, said, sentences):
    """Keep the clip of a Person and HEARD sentences in that voice, with a manifest for the judge."""
    audio.save(folder / f"{name}.wav", audio.RATE, one.clip)
    lines = []
    for i, wav in enumerate(said[:HEARD]):
        line = {"wav": f"{name}-{i}.wav", "text": sentences[i], "reference": f"{name}.wav"}
        audio.save(folder / line["wav"], audio.RATE, wav)
        lines.append(json.dumps(line) + "\n")
    (folder / f"{name}.jsonl").write_text("".join(lines))


def tables(voices, shared, out, judged):
    """Yield {"everybody": table, "real": ..., "virtual": ...} after every person, from the second one on; at
    last with "properties" of the sentences, which judged(manifest) tells as tools/judge.py does.

    A table: {kind of noise: {system: {mark: [mean, low, high]}}}.  In the environment: LIMIT=n people, and
    JUDGE=no leaves the properties out."""
    chosen, virtual = people(shared)
    folder = out / "people" / key()
    folder.mkdir(parents=True, exist_ok=True)
    given = voices, chosen, virtual, recordings(shared), texts(shared), folder
    names = list(chosen)[: int(os.environ.get("LIMIT", len(chosen)))]
    everyone = {}
    for name in names:
        everyone[name] = once(folder / f"{name}.json", asked_of, name, *given)
        if len(everyone) > 1:
            yield grouped(everyone)
    if os.environ.get("JUDGE") != "no":
        heard = [once(folder / f"{name}-heard.json", judged, folder / f"{name}.jsonl") for name in names]
        yield grouped(everyone) | {"properties": properties(everyone, [said["figures"] for said in heard])}


def asked_of(name, voices, chosen, virtual, sides, sentences, folder):
    """`measured` of one person, whose voice says sentences; some of them stay in folder for the judge."""
    one = chosen[name]
    rng = np.random.default_rng([SEED, list(chosen).index(name)])
    to_ask, unwanted = five(rng, sides, [its.test for who, its in chosen.items() if who != name])
    said = tune.spoken(voices, (audio.RATE, one.clip), SEED, sentences=sentences)
    by = {system: tune.spoken(voices, (audio.RATE, one.clip), SEED, sentences=sentences[:SAID], model=model)
          for system, model in {EARLIER: "frames", **OTHER}.items()}
    keep_heard(folder, name, one, said, sentences)
    neighbour = nearest(voices, one, [its for who, its in virtual.items() if who != name])
    made = systems(voices, one, said, by, neighbour, unwanted)
    return measured(voices, made, one, to_ask)


def once(path, make, *given):
    """What make(*given) gives, as JSON holds it; from `path` if it was made before."""
    if not path.exists():
        begun = path.with_suffix(".part")  # who stops it leaves no half of a file
        begun.write_text(json.dumps(make(*given)))
        begun.replace(path)
    return json.loads(path.read_text())


def grouped(everyone):
    """The tables of everybody, of real and of virtual people; groups of one are left out."""
    real = [name for name in everyone if not name.startswith("va-")]
    virtual = [name for name in everyone if name not in real]
    groups = {"everybody": list(everyone), "real": real, "virtual": virtual}
    enough = {group: names for group, names in groups.items() if len(names) > 1}
    return {group: tabulated(everyone, names) for group, names in enough.items()}


def tabulated(everyone, names):
    """The table of `measured` of the people `names`."""
    result = {"people": names}
    for kind, its_systems in everyone[names[0]].items():
        cells = result.setdefault(kind, {})
        marks = {}
        for system in its_systems:
            marks[system] = np.array([everyone[name][kind][system] for name in names])
            cells[system] = interval(marks[system])
        for better, base in COMPARED:
            cells[f"{better} minus {base}"] = interval(marks[better] - marks[base])
    return result


def properties(everyone, heard):
    """{property of the sentences: rank correlation over people with the SDR that tuning on them gained}.

    heard: the judge's figures for each person's sentences."""
    gains = [rows["all"][OURS][0] - rows["all"][TOLD][0] for rows in everyone.values()]
    result = {}
    for mark in HEARD_FOR:
        marks = [figures[mark] for figures in heard]
        if len(set(marks)) > 1:  # equal ones have no ranks
            result[mark] = statistics.rank_correlation(marks, gains)
    return result
