"""A blind listening test: which sounds to play to whom, what they said, and what that amounts to.

Sounds: folder/SYSTEM/CLIP.wav (.flac, .ogg, .mp3), the same clip names in every system; a system called
`reference`, if there is one, holds another recording of the voice of each clip.
Votes: votes/SESSION.csv, COLUMNS, a line each.  SESSION is drawn at random when a test starts; nothing else
is kept of a listener.  other: the second system of an ABX trial; right: whether its X was found, 1 or 0.
"""
import csv
import math
import uuid
from pathlib import Path

import numpy as np

from lib import audio
from lib.evaluation import statistics

COLUMNS = ("session", "number", "kind", "clip", "system", "other", "answer", "right")
KINDS = {
    "mos": "How natural does it sound?",
    "similarity": "Is it the voice of the reference?",
    "abx": "X is A or B: which?",
}
REFERENCE = "reference"
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
SCALE = tuple(np.arange(1, 5.5, 0.5).tolist())
SESSION_LETTERS = 32  # of uuid4().hex


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

    Each is a dict of kind, clip, system, other ("" unless abx), and sounds, the paths to play: mos [clip],
    similarity [reference, clip], abx [A, B, X].
    Raises ValueError for an unknown kind, or for similarity without references."""
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
        trial = {"kind": kind, "clip": clip, "system": system, "other": "", "sounds": [sounds[system][clip]]}
        if kind == "similarity":
            trial["sounds"].insert(0, references[clip])
        if kind == "abx":
            trial["other"] = str(rng.choice([name for name in names if name != system]))
            pair = [sounds[system][clip], sounds[trial["other"]][clip]]
            trial["sounds"] = [*pair, pair[rng.integers(2)]]
        plan.append(trial)
    return plan


def play(path, folder):
    """Path of a copy at LEVEL_DB, 16 kHz, under a random name.

    Neither loudness nor the name of a file gives a system away."""
    rate, samples = audio.load(path)
    Path(folder).mkdir(parents=True, exist_ok=True)
    blind = Path(folder) / f"voice-atlas-{uuid.uuid4().hex}.wav"
    audio.save(blind, audio.RATE, audio.normalise(audio.resample(samples, rate, audio.RATE)))
    return str(blind)


def vote(folder, session, number, trial, answer):
    """Append one answer (1 to 5 by 0.5, or "A" or "B") to the file of its session, else raise ValueError.

    session: 32 letters and digits."""
    assert len(session) == SESSION_LETTERS and session.isalnum(), "drawn by us, never sent by anybody"
    abx = trial["kind"] == "abx"
    if answer not in (("A", "B") if abx else SCALE):
        raise ValueError(f"{answer!r} is no answer here: choose {'A or B' if abx else '1 to 5 in halves'}.")
    right = ""
    if abx:
        a, b, x = trial["sounds"]
        right = int(x == (a if answer == "A" else b))
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
    """(mean, low, high) of the values [[...], ...] of all listeners."""
    votes = [value for values in sessions for value in values]
    if kind == "abx":
        return statistics.wilson(sum(votes), len(votes))
    if len(votes) == 1:
        return votes[0], math.nan, math.nan
    if len(sessions) == 1:
        return statistics.mos_ci(votes)
    return statistics.mos_ci([float(np.mean(values)) for values in sessions])
