"""A blind listening test: which sounds to play to whom, what they said, and what that amounts to.

Sounds: folder/SYSTEM/CLIP.wav (.flac, .ogg, .mp3), the same clip names in every system; a system called
`reference`, if there is one, holds another recording of the voice of each clip.
Votes: votes/SESSION.csv, COLUMNS, a line each.  SESSION is drawn at random when a test starts; nothing else
is kept of a listener.  other: the second system of an ABX trial; right: whether its X was found, 1 or 0.
"""
import csv
import math
import tempfile
from pathlib import Path

import numpy as np

from lib import audio
from lib.evaluation import statistics

COLUMNS = ("session", "number", "kind", "clip", "system", "other", "answer", "right")
KINDS = {
    "mos": "How natural does it sound?",
    "similarity": "Is it the voice of the reference?",
    "abx": "X is another sentence, made the way that A or B was made: which?",
}
REFERENCE = "reference"
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
SCALE = tuple(np.arange(1, 5.5, 0.5).tolist())
SESSION_LETTERS = 32  # of uuid4().hex
LONGEST_SECONDS = 6.0  # of what is played: enough to judge, and twelve trials stay short
FADE_SECONDS = 0.1  # where a clip is cut
KEPT = 0.85  # of the shortest: else one clip ends by itself and the others in the middle of a word
LIMITS = {"mos": (SCALE[0], SCALE[-1]), "similarity": (SCALE[0], SCALE[-1]), "abx": (0.0, 1.0)}


def systems(folder):
    """{system: {clip: path}} of a folder of sounds, the reference included.

    Raises ValueError unless two systems share a clip."""
    sounds = {}
    for path in sorted(Path(folder).glob("*/*")):
        if path.suffix in SUFFIXES:
            sounds.setdefault(path.parent.name, {})[path.stem] = path
    rated = [set(clips) for name, clips in sounds.items() if name != REFERENCE]
    if len(rated) < 2 or not set.intersection(*rated):
        raise ValueError(f"{folder} holds {len(rated)} systems without a common clip; "
                         "two or more need one: folder/SYSTEM/CLIP.wav.")
    return sounds


def shared_clips(sounds):
    """Names, sorted, of the clips that all systems {system: {clip: path}} have."""
    return sorted(set.intersection(*(set(clips) for clips in sounds.values())))


def trials(folder, kind, rng, count=12):
    """Give `count` trials of one kind in random order, systems equally often.

    Each is a dict of kind, clip, system, other ("" unless abx), x ("A" or "B", "" unless abx), sounds, the
    paths to play (mos [clip], similarity [reference, clip], abx [A, B, X]), and seconds, for how long.
    X says another sentence than A and B: its samples are nowhere in them, so that only what it sounds like
    tells what it is.  seconds depends on the sentences, never on the systems.
    Raises ValueError for an unknown kind, for similarity without references, abx without two clips."""
    sounds = systems(folder)
    references = sounds.pop(REFERENCE, {})
    clips = shared_clips(sounds)
    if kind == "similarity":
        clips = [clip for clip in clips if clip in references]
    if kind not in KINDS or not clips:
        raise ValueError(f"{kind!r} with {len(clips)} clips: kinds are {list(KINDS)}, "
                         "and similarity needs a folder `reference`.")
    names = sorted(sounds)
    plan = []
    for i in range(count):
        if i % len(names) == 0:  # a new round: every system once
            turn = rng.permutation(len(names))
            order = rng.permutation(len(clips))
        system = names[turn[i % len(names)]]
        clip = clips[order[i % len(clips)]]
        trial = {"kind": kind, "clip": clip, "system": system, "other": "", "x": "",
                 "sounds": [sounds[system][clip]]}
        if kind == "similarity":
            trial["sounds"].insert(0, references[clip])
        if kind == "abx":
            trial |= compared(sounds, clips, trial, rng)
        trial["seconds"] = shortest(sounds, references, trial)
        plan.append(trial)
    return plan


def compared(sounds, clips, trial, rng):
    """What an abx trial adds: A and B say its clip in two systems, X says another clip in one of the two.

    Raises ValueError where there is no other clip."""
    if len(clips) < 2:
        raise ValueError(f"abx needs two clips that all systems have; here is {len(clips)}.")
    system, clip = trial["system"], trial["clip"]
    other = str(rng.choice([name for name in sounds if name != system]))
    pair = [system, other]
    rng.shuffle(pair)
    x = "AB"[rng.integers(2)]
    others = [name for name in clips if name != clip]
    its_clip = others[rng.integers(len(others))]
    paths = [sounds[name][clip] for name in pair]
    paths.append(sounds[pair["AB".index(x)]][its_clip])
    return {"other": other, "x": x, "sounds": paths}


def shortest(sounds, references, trial):
    """Seconds to play: fewer than any system has of any sentence of a trial, LONGEST_SECONDS at most."""
    names = {path.stem for path in trial["sounds"]}
    paths = [clips[name] for clips in sounds.values() for name in names]
    if trial["kind"] == "similarity":
        paths.append(references[trial["clip"]])
    return min(LONGEST_SECONDS, *(KEPT * len(speech_of(path)) / audio.RATE for path in paths))


def speech_of(path):
    """wav [T] of a sound at 16 kHz without silence at its edges, which systems leave more or less of."""
    rate, samples = audio.load(path)
    return audio.trim(audio.resample(samples, rate, audio.RATE))


def play(trial):
    """Bytes of a wav for each sound of a trial: 16 kHz, cut to one length, at one level, without a label.

    Neither loudness nor length, the size of a file or its name gives a system away."""
    size = int(trial["seconds"] * audio.RATE)
    ramp = np.minimum(1, np.arange(size)[::-1] / (FADE_SECONDS * audio.RATE))
    wavs = [audio.normalise(speech_of(path)[:size] * ramp) for path in trial["sounds"]]
    levels = [audio.speech_level(wav) for wav in wavs]
    lowest = min(levels)  # peaks keep one or the other below what is wanted: then all stay there
    gains = [10 ** ((lowest - level) / 20) for level in levels]
    return [as_file(wav * gain) for wav, gain in zip(wavs, gains, strict=True)]


def as_file(wav):
    """Bytes of a wav file of wav [T] at 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        audio.save(path, audio.RATE, wav)
        return path.read_bytes()


def vote(folder, session, number, trial, answer):
    """Append one answer (1 to 5 by 0.5, or "A" or "B") to the file of its session, else raise ValueError.

    session: 32 letters and digits."""
    assert len(session) == SESSION_LETTERS and session.isalnum(), "drawn by us, never sent by anybody"
    if trial["kind"] == "abx":
        allowed = ("A", "B")
        choice = "A or B"
        right = int(answer == trial["x"])
    else:
        allowed = SCALE
        choice = "1 to 5 in halves"
        right = ""
    if answer not in allowed:
        raise ValueError(f"{answer!r} is no answer here: choose {choice}.")
    about = [trial[column] for column in ("kind", "clip", "system", "other")]
    Path(folder).mkdir(parents=True, exist_ok=True)
    with open(Path(folder) / f"{session}.csv", "a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if file.tell() == 0:
            writer.writerow(COLUMNS)
        writer.writerow([session, number, *about, answer, right])


def report(folder):
    """What all listeners said: a list of dicts of kind, system, mean, low, high (95 %), votes, listeners.

    Each listener counts once, with a mean; a single one, vote by vote; one vote has no interval (nan).
    abx: the share in which X was found, and Wilson's interval over the votes."""
    rows = []
    for (kind, name), sessions in collected(folder).items():
        votes = [value for values in sessions.values() for value in values]
        mean, low, high = interval(kind, list(sessions.values()))
        rows.append({"kind": kind, "system": name, "mean": mean, "low": low, "high": high,
                     "votes": len(votes), "listeners": len(sessions)})
    return sorted(rows, key=lambda row: (row["kind"], -row["mean"]))


def collected(folder):
    """{(kind, system, or "system or other"): {session: [values]}} of a folder of votes."""
    votes = {}
    for path in sorted(Path(folder).glob("*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                names = sorted(name for name in (line["system"], line["other"]) if name)
                sessions = votes.setdefault((line["kind"], " or ".join(names)), {})
                sessions.setdefault(path.stem, []).append(float(line["right"] or line["answer"]))
    return votes


def interval(kind, sessions):
    """(mean, low, high) of the values [[...], ...] of all listeners; no interval leaves the scale."""
    votes = [value for values in sessions for value in values]
    if len(votes) == 1 and kind != "abx":
        return votes[0], math.nan, math.nan
    if kind == "abx":
        mean, low, high = statistics.wilson(sum(votes), len(votes))
    elif len(sessions) == 1:
        mean, low, high = statistics.mos_ci(votes)
    else:
        mean, low, high = statistics.mos_ci([float(np.mean(values)) for values in sessions])
    lowest, highest = LIMITS[kind]
    return mean, max(low, lowest), min(high, highest)
