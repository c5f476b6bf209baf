"""make judge: what a stranger would ask of the shipped weights, made through Voices and measured by models we did not train.

    python tests/judge_plan.py speak|extract|convert|filling|satts|situations [SHARED [OUT]]

SHARED (default ../shared) holds eval/plan.jsonl, corpus/ and tools/judge.py with its environment (tools/judge-setup.sh).
speak: every line of the plan.  extract: the same, from the reference mixed with another person's at equal level, of the voices
found the one nearest to the clean reference.  convert: as many valid utterances with human transcripts, each to another
person's reference; beside the result the source itself is judged, against the target and as the top line of WER.
situations: the clips that lesson 06 left under runs/ when run in full, VOICE_ATLAS_START=kept; table to assets/situations.json.
filling, satts: what the full runs of lessons 04 and 05 left under runs/ (OUT: another folder), paired by reference; judged.json says it.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import audio
from lib.data import corpus
from lib.data.mixtures import mixed
from lib.evaluation import metrics, statistics
from lib.paths import CHECKPOINTS
from lib.voices import Voices


def others(plan):
    """For every line the reference of the next other person: fixed, and each person is borrowed equally often."""
    names = sorted({line["reference"] for line in plan})
    return [names[(names.index(line["reference"]) + 1 + i % (len(names) - 1)) % len(names)] for i, line in enumerate(plan)]


def spoken(voices, plan, home):
    for line in plan:
        yield line, voices.speak(line["text"], str(home / line["reference"]))


def extracted(voices, plan, home):
    for line, other in zip(plan, others(plan), strict=True):
        clean = voices.embed(str(home / line["reference"]))
        found = voices.extract(mixed([str(home / line["reference"]), str(home / other)]), 2)
        best = max(found, key=lambda speech: float(speech.facts["spk_emb"] @ clean))
        yield line, voices.speak(line["text"], best.facts["spk_emb"])


def sources(plan, shared):
    """As many (utterance, line) as the plan has lines: valid rows with human text, never of the line's own person."""
    found = corpus.rows([*(shared / "corpus").glob("speech-*.parquet")], "valid")
    rows = [row for row in found if row["text_kind"] == "human" and 3 < row["seconds"] < 12]
    rng = np.random.default_rng(0)
    for line in plan:
        pool = [row for row in rows if row["speaker"] != line["speaker"]]
        yield pool[rng.integers(len(pool))], line


def converted(voices, plan, home, out):
    for i, (row, line) in enumerate(sources(plan, home.parent)):
        source = out / f"source-{i:03d}.wav"
        audio.save(source, *audio.load(row["audio"]))
        speech = voices.convert(str(source), str(home / line["reference"]))
        yield line | {"text": row["text"], "source": source.name}, speech


def judged(manifest, judge):
    """Figures and lines of tools/judge.py on a manifest."""
    python = Path(os.environ.get("VOICE_JUDGE", Path.home() / ".cache" / "voice-judge")) / "bin" / "python"
    answer = manifest.with_suffix(".json")
    subprocess.run([python, judge, manifest, "--json", answer], check=True, stdout=subprocess.DEVNULL)
    return json.loads(answer.read_text())


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def heard(run, judge):
    """{folder: [lines, 2] of SECS and WER} for every folder of a run that has a manifest; nothing is judged twice."""
    found = {}
    for manifest in sorted(run.glob("**/manifest.jsonl")):
        answer = manifest.with_suffix(".json")
        fresh = answer.exists() and answer.stat().st_mtime > manifest.stat().st_mtime
        lines = (json.loads(answer.read_text()) if fresh else judged(manifest, judge))["lines"]
        found[manifest.parent.name] = np.array([(line["secs"], line["wer"]) for line in lines])
    return found


def against(mine, base):
    """Cells of a table for marks [n, 2] of n independent people, paired with those of another system; 95 % intervals."""
    row = {}
    for k, what in enumerate(("SECS", "WER")):
        mean, low, high = statistics.bootstrap((mine - base)[:, k])
        verdict = "" if mine is base else "inside the noise" if low <= 0 <= high else ("worse", "better")[(mean > 0) == (k == 0)]
        row |= {what: round(float(mine[:, k].mean()), 4), f"{what} minus first": f"{mean:+.4f} [{low:+.4f}, {high:+.4f}] {verdict}"}
    return row


def filling(run, judge):
    """Table and sweeps of lesson 04: means over seeds, differences to the baseline by reference."""
    runs = {}
    for folder, marks in heard(run, judge).items():
        runs.setdefault(folder.rsplit(" ", 1)[0], []).append(marks)
    marks = {name: np.array(found) for name, found in runs.items()}  # [seeds, references, 2]
    test = np.array([json.loads(line)["test"] for line in (run / "Baseline 0" / "manifest.jsonl").read_text().splitlines()])
    means, table = {name: found.mean(0) for name, found in marks.items()}, []
    for which, name in ((which, name) for which in dict.fromkeys(test.tolist()) for name in ("Baseline", "+LF", "+PS", "+CS")):
        base = means["Baseline"][test == which]
        spread = marks[name][:, test == which, 0].mean(1).std(ddof=1)
        table.append({"test": which, "system": name} | against(base if name == "Baseline" else means[name][test == which], base)
                     | {"SECS over seeds": round(float(spread), 4)})
    points = {**{name: found for name, found in marks.items() if " " in name}, "tau 0.25": marks["+LF"]}
    sweeps = {kind: {name.split()[1]: round(float((found[0] - means["Baseline"])[test == "intra", 0].mean()), 4)
                     for name, found in sorted(points.items()) if name.startswith(kind)} for kind in ("tau", "noise")}
    return {"table": table, "sweeps": sweeps}


def satts(run, judge):
    """Tables of lesson 05: every folder is called "reference, system"; a mean over the sentences of each stranger."""
    marks = {}
    for folder, found in heard(run, judge).items():
        where, name = folder.split(", ", 1)
        marks.setdefault(where, {})[name] = found.reshape(-1, int(os.environ.get("SENTENCES", 2)), 2).mean(1)
    tables = {}
    for where, systems in marks.items():
        first = next(name for name in ("SV2TTS", "SV2TTS, separated") if name in systems)
        order = sorted(systems, key=lambda name: name != first)
        tables[where] = [{"system": name} | against(systems[name], systems[first]) for name in order]
    return tables


def situations(run, judge):
    """Table of lesson 06: every folder is called "situation, system"; 95 % intervals over clips; WER and CER over all words of a folder."""
    found, table = heard(run, judge), []
    own = [{"wav": f"{folder}/{i}.wav", "reference": f"{folder.split(', ', 1)[0]}, the source/{i}.wav"}
           for folder, marks in found.items() for i in range(len(marks))]
    to_source = (line["secs"] for line in judged(write(run / "own.jsonl", own), judge)["lines"])
    for folder, marks in found.items():
        of, answer = np.array([next(to_source) for _ in marks]), json.loads((run / folder / "manifest.json").read_text())
        asked = [json.loads(line)["text"] for line in (run / folder / "manifest.jsonl").read_text().splitlines()]
        cer = [min(metrics.cer(text, line["heard"]), 1) for text, line in zip(asked, answer["lines"], strict=True)]
        to, wer, said = marks[:, 0], np.minimum(marks[:, 1], 1), answer["figures"]
        columns = {"SECS to target": to, "to source": of, "nearer to target": to > of, "WER of a clip": wer, "CER of a clip": cer}
        row = {what: "{:.2f} ({:.2f} to {:.2f})".format(*statistics.bootstrap(column)) for what, column in columns.items()}
        table.append(dict(zip(("situation", "system"), folder.split(", ", 1), strict=True)) | row
                     | {"WER": said["wer"], "CER": said["cer"], "clips": len(marks)})
    table.sort(key=lambda row: (row["situation"], row["WER"]))
    (CHECKPOINTS.parent / "situations.json").write_text(json.dumps(table, indent=1) + "\n")
    return table


RUNS = {"situations": ("runs/06-full/tables", situations), "filling": ("runs/04-full", filling), "satts": ("runs/05-full", satts)}


def main(task, shared="../shared", out=None):
    shared, out = Path(shared).resolve(), Path(out or (RUNS[task][0] if task in RUNS else f"runs/judge-{task}")).resolve()
    if task in RUNS:
        if not out.is_dir():
            sys.exit(f"{out} is not there: it holds what a full run of the lesson leaves behind (see the top of this file).")
        found = RUNS[task][1](out, shared / "tools" / "judge.py")
        (out / "judged.json").write_text(json.dumps(found, indent=1))
        return print(json.dumps(found, indent=1))
    out.mkdir(parents=True, exist_ok=True)
    home, voices = shared / "eval", Voices.load()
    plan = [json.loads(line) for line in (home / "plan.jsonl").read_text().splitlines()][:: int(os.environ.get("EVERY", 1))]
    made = {"speak": spoken, "extract": extracted, "convert": lambda *given: converted(*given, out)}[task](voices, plan, home)
    lines, factors = [], []
    for i, (line, speech) in enumerate(made):
        factors.append(speech.facts["real_time_factor"])
        lines.append(line | {"wav": Path(speech.save(out / f"{i:03d}.wav")).name, "reference": str(home / line["reference"])})
    found = judged(write(out / "manifest.jsonl", lines), shared / "tools" / "judge.py")
    print(task, found["figures"], f"real-time factor {np.mean(factors):.3f}")
    for line in sorted(found["lines"], key=lambda line: -line["wer"])[:5]:
        print("worst:", line)
    if task == "convert":
        judge = shared / "tools" / "judge.py"
        raw = judged(write(out / "sources.jsonl", [line | {"wav": line["source"]} for line in lines]), judge)
        own = judged(write(out / "own.jsonl", [line | {"reference": line["source"], "text": ""} for line in lines]), judge)
        near = np.mean([a["secs"] > b["secs"] for a, b in zip(found["lines"], own["lines"], strict=True)])
        print("source itself, against the target:", raw["figures"])
        print(f"result against its source: secs {own['figures']['secs']}; nearer to the target than to the source: {100 * near:.0f} %")


if __name__ == "__main__":
    main(*sys.argv[1:])
