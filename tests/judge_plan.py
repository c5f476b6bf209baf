"""make judge: what a stranger would ask of the shipped weights, judged by models that we did not train.

    python tests/judge_plan.py TASK [SHARED [OUT]] [--set plan|studio] [--model NAME]

SHARED (default ../shared) holds eval/, corpus/ and tools/judge.py with its environment
(tools/judge-setup.sh).
speak: every line of the set.  extract: the same, from the reference mixed with another person's at equal
level, of the voices found the one nearest to the clean reference.  attractor: as extract, but the attractor
tells the voice, not the encoder of what was separated.  convert: an utterance to another person's
reference; beside the result the source itself is judged, against the target and as the top line of WER.
Sets: plan, 84 lines of strangers from LibriSpeech (convert takes its sources from the valid rows of the
corpus), and studio, strangers of another corpus.  SPEED=n speaks n times as fast.  EVERY=n takes every n-th
line, LIMIT=n at most n: for a look, not for a figure.

filling, satts, situations: what the full runs of lessons 04, 05 and 06 left under runs/ (OUT: another
folder), paired by reference.  The clips of situations come from lesson 06 run in full with
VOICE_ATLAS_START=kept; its table goes to assets/situations.json.

enhance, tune: the tables of tests/judge_enhance.py and judge_tune.py, mixtures of SHARED/corpus; no judge
but SDR, eSTOI and PESQ.

Figures stay in OUT/judged.json.
"""
import argparse
import functools
import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import RidgeCV

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import judge_enhance
import judge_tune

from lib import audio
from lib.data import corpus
from lib.data.mixtures import mixed
from lib.evaluation import metrics, statistics
from lib.paths import ASSETS
from lib.voices import Voices

SOURCE_SECONDS = (3, 12)  # of an utterance to convert
MARKS = ("SECS", "WER")
WORST = 5  # lines to print
SENTENCES = 2  # of each stranger in lesson 05
DOOR_FROM = ("speech-0", "speech-1", "accented", "voices")
CLIPS_EACH = 3  # of each person


def read(path):
    """The dicts in a JSON-lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path, lines):
    """Write dicts as JSON lines; returns the path."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def judged(manifest, judge):
    """{"figures": ..., "lines": ...} of tools/judge.py on a manifest."""
    home = Path(os.environ.get("VOICE_JUDGE", Path.home() / ".cache" / "voice-judge"))
    answer = manifest.with_suffix(".json")
    command = [home / "bin" / "python", judge, manifest, "--json", answer]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads(answer.read_text())


def judged_once(manifest, judge):
    """`judged`, or what it said before of a manifest of the same recordings and texts."""
    digest = hashlib.sha256(judge.read_bytes())
    for line in read(manifest):
        digest.update(line.get("text", "").encode())
        for name in ("wav", "reference"):
            digest.update((manifest.parent / line[name]).read_bytes())
    answer = manifest.with_name(f"{manifest.stem}-{digest.hexdigest()[:12]}.json")
    if not answer.exists():
        answer.write_text(json.dumps(judged(manifest, judge)))
    return json.loads(answer.read_text())


# ---------------------------------------------------------------- made now, by the shipped weights


def some(lines):
    """Every EVERY-th line, at most LIMIT; all where neither is set."""
    chosen = lines[:: int(os.environ.get("EVERY", 1))]
    return chosen[: int(os.environ.get("LIMIT", len(chosen)))]


def asked(task, which, shared, out):
    """Lines {reference, text, ...} of one task on one set; paths are absolute.

    Those of convert have a source, those of extract another person's reference."""
    home = shared / "eval"
    file = "studio_convert.jsonl" if which == "studio" and task == "convert" else f"{which}.jsonl"
    lines = read(home / file)
    for line in lines:
        line["reference"] = str(home / line["reference"])
        if "source" in line:
            line["source"] = str(home / line["source"])
    if task in ("extract", "attractor"):
        for line, other in zip(lines, others(lines), strict=True):
            line["other"] = other
    lines = some(lines)
    if task == "convert" and which == "plan":
        lines = with_sources(lines, shared, out)
    return lines


def with_sources(lines, shared, out):
    """Each line with the sound and words of a valid utterance that somebody else said, drawn with seed 0."""
    rows = corpus.rows([*(shared / "corpus").glob("speech-*.parquet")], "valid")
    shortest, longest = SOURCE_SECONDS
    rows = [row for row in rows if row["text_kind"] == "human" and shortest < row["seconds"] < longest]
    rng = np.random.default_rng(0)
    chosen = []
    for i, line in enumerate(lines):
        pool = [row for row in rows if row["speaker"] != line["speaker"]]
        row = pool[rng.integers(len(pool))]
        source = out / f"source-{i:03d}.wav"
        audio.save(source, *audio.load(row["audio"]))
        chosen.append(line | {"text": row["text"], "source": str(source)})
    return chosen


def others(lines):
    """For every line the reference of the next other person: fixed, and each person is borrowed equally
    often."""
    names = sorted({line["reference"] for line in lines})
    borrowed = []
    for i, line in enumerate(lines):
        step = 1 + i % (len(names) - 1)
        borrowed.append(names[(names.index(line["reference"]) + step) % len(names)])
    return borrowed


def speak(voices, lines, model=None):
    """Speech of every line, in the voice of its reference; in the environment: SPEED."""
    speed = float(os.environ.get("SPEED", 1))
    for line in lines:
        yield voices.speak(line["text"], line["reference"], model=model, speed=speed)


def extract(voices, lines, model=None):
    """The same, by the voice that was found in a mixture of the reference and another one."""
    for line in lines:
        clean = voices.embed(line["reference"])
        people = voices.extract(mixed([line["reference"], line["other"]]), 2)
        nearest = max(people, key=lambda speech: float(speech.facts["spk_emb"] @ clean))
        yield voices.speak(line["text"], nearest.facts["spk_emb"], model=model)


def satts_speak(voices, lines, model=None, *, folder):
    """As extract, but by the attractor that was found, through a door (see lesson 05) fitted on a corpus."""
    door = fitted_door(voices, folder)
    for line in lines:
        clean = voices.embed(line["reference"])
        people = voices.extract(mixed([line["reference"], line["other"]]), 2)
        nearest = max(people, key=lambda speech: float(speech.facts["spk_emb"] @ clean))
        yield voices.speak(line["text"], door.predict(nearest.facts["attractor"][None])[0], model=model)


def fitted_door(voices, folder):
    """From attractors [n, D'] to spk_emb [n, D]: ridge regression on clips of training people; its price by
    a fifth of the clips left out."""
    rows = corpus.rows([str(folder / f"{name}.parquet") for name in DOOR_FROM], "train")
    attractors, spk_embs = [], []
    for mine in corpus.by_speaker(rows).values():
        for i in mine[:CLIPS_EACH]:
            wav = torch.tensor(corpus.wav(rows[i]))[None, None]
            vectors = voices.attractor.windows(wav).mean(0)
            attractors.append((vectors / vectors.norm()).numpy())
            spk_embs.append(voices.embed(rows[i]["audio"]))
    door = RidgeCV(np.geomspace(0.01, 100, 13), cv=5).fit(attractors, spk_embs)
    print(f"door from {len(attractors)} clips, price {door.alpha_:.3g}, "
          f"explains {door.score(attractors, spk_embs):.2f}")
    return door


def convert(voices, lines, model=None):
    """The source of every line in the voice of its reference."""
    for line in lines:
        yield voices.convert(line["source"], line["reference"], model=model)


TASKS = {"speak": speak, "extract": extract, "attractor": satts_speak, "convert": convert}


def shipped(task, which, shared, out, model=None):
    """Make and judge one task on one set, by a model or the default one; returns {name: figures}."""
    out.mkdir(parents=True, exist_ok=True)
    judge = shared / "tools" / "judge.py"
    lines = asked(task, which, shared, out)
    factors = []
    make = TASKS[task]
    if task == "attractor":
        make = functools.partial(make, folder=shared / "corpus")
    for i, speech in enumerate(make(Voices.load(), lines, model)):
        lines[i]["wav"] = f"{i:03d}.wav"
        speech.save(out / lines[i]["wav"])
        factors.append(speech.facts["real_time_factor"])
    result = judged(write(out / "manifest.jsonl", lines), judge)
    for line in sorted(result["lines"], key=lambda line: -line["wer"])[:WORST]:
        print("worst:", line)
    pace = {"real_time_factor": round(float(np.mean(factors)), 3)}
    figures = {f"{task}, {which}": result["figures"] | pace}
    if task == "convert":
        figures |= about_sources(result, lines, out, judge)
    return figures


def about_sources(result, lines, out, judge):
    """How near conversions are to target and source, and what the sources themselves get."""
    swapped = [{"wav": line["wav"], "reference": line["source"]} for line in lines]
    to_source = judged(write(out / "own.jsonl", swapped), judge)
    raw = judged_once(write(out / "sources.jsonl", [line | {"wav": line["source"]} for line in lines]), judge)
    pairs = zip(result["lines"], to_source["lines"], strict=True)
    nearer = [target["secs"] > source["secs"] for target, source in pairs]
    where = {"secs to target": result["figures"]["secs"], "secs to source": to_source["figures"]["secs"],
             "nearer to target": round(float(np.mean(nearer)), 3)}
    return {"target and source": where, "source itself, against the target": raw["figures"]}


# ---------------------------------------------------------------- left behind by a full run of a lesson


def marks_of(run, judge):
    """{folder: [lines, 2] of SECS and WER} for every folder of a run that has a manifest; nothing is judged
    twice."""
    marks = {}
    for manifest in sorted(run.glob("**/manifest.jsonl")):
        answer = manifest.with_suffix(".json")
        fresh = answer.exists() and answer.stat().st_mtime > manifest.stat().st_mtime
        result = json.loads(answer.read_text()) if fresh else judged(manifest, judge)
        marks[manifest.parent.name] = np.array([(line["secs"], line["wer"]) for line in result["lines"]])
    return marks


def against(marks, base):
    """Cells of a table for marks [n, 2] of n independent people, paired with those of another system.

    Differences have 95 % intervals; those of the base itself have no verdict."""
    row = {}
    for k, name in enumerate(MARKS):
        gain = statistics.paired(marks[:, k], base[:, k], higher=name == "SECS")
        verdict = "" if marks is base else gain.verdict
        row[name] = round(float(marks[:, k].mean()), 4)
        row[f"{name} minus first"] = f"{gain.text()} {verdict}"
    return row


def filling(run, judge):
    """Table and sweeps of lesson 04: means over seeds, differences to the baseline by reference."""
    runs = {}
    for folder, marks in marks_of(run, judge).items():
        system, _ = folder.rsplit(" ", 1)  # the seed
        runs.setdefault(system, []).append(marks)
    marks = {system: np.array(of_seeds) for system, of_seeds in runs.items()}  # [seeds, references, 2]
    means = {system: of_seeds.mean(0) for system, of_seeds in marks.items()}
    test = np.array([line["test"] for line in read(run / "Baseline 0" / "manifest.jsonl")])
    table = []
    for which in dict.fromkeys(test.tolist()):
        base = means["Baseline"][test == which]
        for system in ("Baseline", "+LF", "+PS", "+CS"):
            mine = base if system == "Baseline" else means[system][test == which]
            spread = marks[system][:, test == which, 0].mean(1).std(ddof=1)
            row = {"test": which, "system": system} | against(mine, base)
            table.append(row | {"SECS over seeds": round(float(spread), 4)})
    points = {system: of_seeds[0] for system, of_seeds in marks.items() if " " in system}
    points["tau 0.25"] = marks["+LF"][0]
    sweeps = {"tau": {}, "noise": {}}
    for system, found in sorted(points.items()):
        kind, value = system.split()
        gain = (found - means["Baseline"])[test == "intra", 0]
        sweeps[kind][value] = round(float(gain.mean()), 4)
    return {"table": table, "sweeps": sweeps}


def satts(run, judge):
    """Tables of lesson 05: every folder is called "reference, system"; a mean over the sentences of each
    stranger."""
    sentences = int(os.environ.get("SENTENCES", SENTENCES))
    systems = {}
    for folder, marks in marks_of(run, judge).items():
        reference, system = folder.split(", ", 1)
        systems.setdefault(reference, {})[system] = marks.reshape(-1, sentences, 2).mean(1)
    tables = {}
    for reference, marks in systems.items():
        first = next(name for name in ("SV2TTS", "SV2TTS, separated") if name in marks)
        order = [first, *(name for name in marks if name != first)]
        tables[reference] = [{"system": name} | against(marks[name], marks[first]) for name in order]
    return tables


def situations(run, judge):
    """Table of lesson 06: every folder is called "situation, system"; WER and CER over all words of a folder.

    95 % intervals are over clips."""
    table = []
    marks = marks_of(run, judge)
    to_source = secs_to_source(run, judge, {folder: len(values) for folder, values in marks.items()})
    for folder, values in marks.items():
        answer = json.loads((run / folder / "manifest.json").read_text())
        texts = [line["text"] for line in read(run / folder / "manifest.jsonl")]
        pairs = zip(texts, answer["lines"], strict=True)
        cer = [min(metrics.cer(text, line["heard"]), 1) for text, line in pairs]
        to_target, source = values[:, 0], to_source[folder]
        columns = {"SECS to target": to_target, "to source": source, "nearer to target": to_target > source,
                   "WER of a clip": np.minimum(values[:, 1], 1), "CER of a clip": cer}
        situation, system = folder.split(", ", 1)
        row = {"situation": situation, "system": system}
        for name, column in columns.items():
            row[name] = statistics.shown(statistics.bootstrap(column))
        over_all = {"WER": answer["figures"]["wer"], "CER": answer["figures"]["cer"], "clips": len(values)}
        table.append(row | over_all)
    table.sort(key=lambda row: (row["situation"], row["WER"]))
    (ASSETS / "situations.json").write_text(json.dumps(table, indent=1) + "\n")
    return table


def secs_to_source(run, judge, counts):
    """SECS to the sources of folders {name: clips}: {folder: [clips]}.

    A situation has its sources in the folder "situation, the source"."""
    lines = []
    for folder, count in counts.items():
        sources = f"{folder.split(', ', 1)[0]}, the source"
        lines += [{"wav": f"{folder}/{i}.wav", "reference": f"{sources}/{i}.wav"} for i in range(count)]
    secs = iter(line["secs"] for line in judged(write(run / "own.jsonl", lines), judge)["lines"])
    return {folder: np.array(list(itertools.islice(secs, count))) for folder, count in counts.items()}


RUNS = {
    "filling": ("runs/04-full", filling),
    "satts": ("runs/05-full", satts),
    "situations": ("runs/06-full/tables", situations),
}


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("task", choices=[*TASKS, *RUNS, "enhance", "tune"])
    parser.add_argument("shared", nargs="?", default="../shared")
    parser.add_argument("out", nargs="?")
    parser.add_argument("--set", default="plan", choices=["plan", "studio"])
    parser.add_argument("--model", help="instead of the default one")
    given = parser.parse_args()
    shared = Path(given.shared).resolve()
    if given.task in RUNS:
        folder, tabulate = RUNS[given.task]
        out = Path(given.out or folder).resolve()
        if not out.is_dir():
            sys.exit(f"{out} is not there: a full run of the lesson leaves it (see the top of this file).")
        result = tabulate(out, shared / "tools" / "judge.py")
    elif given.task == "enhance":
        out = Path(given.out or "runs/judge-enhance").resolve()
        out.mkdir(parents=True, exist_ok=True)
        result = judge_enhance.table(Voices.load(), shared)
    elif given.task == "tune":
        out = Path(given.out or "runs/judge-tune").resolve()
        out.mkdir(parents=True, exist_ok=True)
        listen = functools.partial(judged, judge=shared / "tools" / "judge.py")
        # who stops it has a table of fewer people, and goes on from there
        for result in judge_tune.tables(Voices.load(), shared, out, listen):
            (out / "judged.json").write_text(json.dumps(result, indent=1) + "\n")
    else:
        name = "-".join(["judge", given.task, given.set, *([given.model] if given.model else [])])
        out = Path(given.out or f"runs/{name}").resolve()
        result = shipped(given.task, given.set, shared, out, given.model)
    (out / "judged.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
