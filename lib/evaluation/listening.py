"""A blind listening test: which sounds to play to whom, what they said, and what that amounts to.

Sounds: folder/SYSTEM/CLIP.wav (.flac, .ogg, .mp3), the same clip names in every system; a system called `reference`, if there is one,
holds another recording of the voice of each clip.  Votes: votes/SESSION.csv, COLUMNS, a line each.  SESSION is drawn at random when a
test starts; nothing else is kept of a listener.  other: the second system of an ABX trial; right: whether its X was found, 1 or 0.
"""
import csv
import math
import uuid
from pathlib import Path

import numpy as np
import torch
from scipy.stats import binomtest

from lib import audio
from lib.data import corpus
from lib.evaluation import statistics
from lib.paths import LISTENING

COLUMNS = ("session", "number", "kind", "clip", "system", "other", "answer", "right")
KINDS = {"mos": "How natural does it sound?", "similarity": "Is it the voice of the reference?", "abx": "X is A or B: which?"}
MADE = LISTENING  # SYSTEM/CLIP.ogg: what models said that are not shipped
SCALE = tuple(np.arange(1, 5.5, 0.5).tolist())


def systems(folder):
    """{system: {clip: path}} of a folder of sounds, the reference included.  ValueError unless two systems share a clip."""
    found = {}
    for path in sorted(Path(folder).glob("*/*")):
        if path.suffix in (".wav", ".flac", ".ogg", ".mp3"):
            found.setdefault(path.parent.name, {})[path.stem] = path
    rated = [set(clips) for name, clips in found.items() if name != "reference"]
    if len(rated) < 2 or not set.intersection(*rated):
        raise ValueError(f"{folder} holds {len(rated)} systems without a common clip; two or more need one: folder/SYSTEM/CLIP.wav.")
    return found


def trials(folder, kind, rng, count=12):
    """Give `count` trials of one kind in random order, systems equally often: dicts of kind, clip, system, other, and sounds, the paths
    to play: mos [clip], similarity [reference, clip], abx [A, B, X].  ValueError for an unknown kind, or without references."""
    found = systems(folder)
    reference, names, plan = found.pop("reference", {}), sorted(found), []
    clips = sorted(set.intersection(*map(set, found.values()), *([set(reference)] if kind == "similarity" else [])))
    if kind not in KINDS or not clips:
        raise ValueError(f"{kind!r} with {len(clips)} clips: kinds are {list(KINDS)}, and similarity needs a folder `reference`.")
    for i in range(count):
        if i % len(names) == 0:
            turn, order = rng.permutation(len(names)), rng.permutation(len(clips))
        system, clip = names[turn[i % len(names)]], clips[order[i % len(clips)]]
        other = str(rng.choice([name for name in names if name != system])) if kind == "abx" else ""
        sounds = [found[name][clip] for name in (system, other) if name]
        sounds = {"mos": sounds, "similarity": [reference.get(clip), *sounds], "abx": [*sounds, sounds[rng.integers(len(sounds))]]}[kind]
        plan.append({"kind": kind, "clip": clip, "system": system, "other": other, "sounds": sounds})
    return plan


def play(path, folder):
    """Path of a copy at LEVEL_DB, 16 kHz, under a random name: neither loudness nor the name of a file gives a system away."""
    rate, samples = audio.load(path)
    (blind := Path(folder) / f"voice-atlas-{uuid.uuid4().hex}.wav").parent.mkdir(parents=True, exist_ok=True)
    audio.save(blind, audio.RATE, audio.normalise(audio.resample(samples, rate, audio.RATE)))
    return str(blind)


def vote(folder, session, number, trial, answer):
    """Append one answer (1 to 5 by 0.5, or "A" or "B") to the file of its session (32 letters and digits); else ValueError."""
    assert len(session) == 32 and session.isalnum(), "drawn by us, never sent by anybody"
    if answer not in (("A", "B") if trial["kind"] == "abx" else SCALE):
        raise ValueError(f"{answer!r} is no answer here: choose {'A or B' if trial['kind'] == 'abx' else '1 to 5 in halves'}.")
    Path(folder).mkdir(parents=True, exist_ok=True)
    right = int(trial["sounds"]["AB".index(answer)] == trial["sounds"][2]) if trial["kind"] == "abx" else ""
    with open(Path(folder) / f"{session}.csv", "a", newline="", encoding="utf-8") as file:
        lines = [[session, number, *(trial[c] for c in COLUMNS[2:6]), answer, right]]
        csv.writer(file).writerows(lines if file.tell() else [COLUMNS, *lines])


def report(folder):
    """Dicts of kind, system, mean, low, high (95 %; not for one vote), votes, listeners.  Each listener counts once, with a mean; a single
    one, vote by vote.  abx: the share in which X was found, and Wilson's interval over the votes."""
    heard, rows = {}, []
    for path in sorted(Path(folder).glob("*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                name = " or ".join(sorted(filter(None, (line["system"], line["other"]))))
                heard.setdefault((line["kind"], name), {}).setdefault(path.stem, []).append(float(line["right"] or line["answer"]))
    for (kind, name), by_session in heard.items():
        votes, means = sum(by_session.values(), []), [float(np.mean(one)) for one in by_session.values()]
        mean, low, high = statistics.mos_ci(means if len(means) > 1 else votes) if len(votes) > 1 else (votes[0], math.nan, math.nan)
        if kind == "abx":
            mean, (low, high) = float(np.mean(votes)), binomtest(int(sum(votes)), len(votes)).proportion_ci(method="wilson")
        rows.append({"kind": kind, "system": name, "mean": mean, "low": low, "high": high, "votes": len(votes), "listeners": len(means)})
    return sorted(rows, key=lambda row: (row["kind"], -row["mean"]))


def own_set(voices, folder, clips=6):
    """Make sounds of our own systems, once, as `folder`: virtual voices recorded, coded and decoded, by TTS, and converted if we can.

    Clips are called as their rows in the corpus.  To them come the clips in MADE: TTS with and without latent filling, of lesson 04."""
    found, part = corpus.rows("embedded"), Path(f"{folder}.{uuid.uuid4().hex}")
    held_out = [row for row in found if row["split"] == "valid" and sum(row["text"] == other["text"] for other in found) > 9]
    for row in held_out[:: max(1, len(held_out) // clips)][: 0 if Path(folder).is_dir() else clips]:
        mine, wav = [other for other in found if other["speaker"] == row["speaker"] and other["id"] != row["id"]], corpus.wav(row)
        voice = voices.embed(mine[-1]["audio"])
        m_q, _, g = voices.tts.encode(torch.tensor(wav)[None, None], torch.tensor(voice)[None])
        coded = torch.inference_mode()(voices.tts.decoder)(m_q, g)[0, 0].numpy()
        sounds = {"recorded": wav, "coded": coded, "tts": voices.speak(row["text"], voice).wav, "reference": corpus.wav(mine[-1])}
        if getattr(voices, "flow_vae", None):
            source = next(other for other in found if other["text"] == row["text"] and other["speaker"] != row["speaker"])
            sounds["conversion"] = voices.convert(source["audio"], voice).wav
        sounds |= {path.parent.name: audio.load(path)[1] for path in MADE.glob(f"*/{row['id']}.ogg")}
        for system, sound in sounds.items():
            (part / system).mkdir(parents=True, exist_ok=True)
            audio.save(part / system / f"{row['id']}.wav", audio.RATE, sound)
    if part.is_dir():  # whole or not at all
        part.rename(folder)
    return folder
