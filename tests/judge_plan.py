"""make judge: what a stranger would ask of the shipped weights, made through Voices and measured by models we did not train.

    python tests/judge_plan.py speak|extract|convert|filling [SHARED [OUT]]

SHARED (default ../shared) holds eval/plan.jsonl, corpus/ and tools/judge.py with its environment (tools/judge-setup.sh).
speak: every line of the plan.  extract: the same, from the reference mixed with another person's at equal level, of the voices
found the one nearest to the clean reference.  convert: as many valid utterances with human transcripts, each to another
person's reference; beside the result the source itself is judged, against the target and as the top line of WER.
filling: what lesson 04's full run left under runs/04-full (OUT: another folder), paired by reference; writes judged.json there.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import audio, corpus, metrics
from lib.synthesis import CHECKPOINTS, Voices
from lib.tabs.extract import mixed


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


def filling(run, judge):
    """Table and sweeps of lesson 04, by the judge: means over seeds, differences to the baseline by reference, with 95 % intervals."""
    runs = {}
    for manifest in sorted(run.glob("*/manifest.jsonl")):
        test = [json.loads(line)["test"] for line in manifest.read_text().splitlines()]
        lines = judged(manifest, judge)["lines"]
        runs.setdefault(manifest.parent.name.rsplit(" ", 1)[0], []).append([(one["secs"], one["wer"]) for one in lines])
    marks, test, table = {name: np.array(found) for name, found in runs.items()}, np.array(test), []  # [seeds, references, 2]
    for which, name in ((which, name) for which in dict.fromkeys(test) for name in ("Baseline", "+LF", "+PS", "+CS")):
        row = {"test": which, "system": name}
        for k, what in enumerate(("SECS", "WER")):
            mine, base = (marks[one][:, test == which, k] for one in (name, "Baseline"))
            mean, low, high = metrics.bootstrap((mine - base).mean(0))
            verdict = "" if name == "Baseline" else "inside the noise" if low <= 0 <= high else ("worse", "better")[(mean > 0) == (k == 0)]
            row |= {what: round(float(mine.mean()), 4), f"{what} minus baseline": f"{mean:+.4f} [{low:+.4f}, {high:+.4f}] {verdict}"}
        table.append(row | {"SECS over seeds": round(float(marks[name][:, test == which, 0].mean(1).std(ddof=1)), 4)})
    level = marks["Baseline"][:, test == "intra", 0].mean()
    points = {**{name: found for name, found in marks.items() if " " in name}, "tau 0.25": marks["+LF"]}
    sweeps = {kind: {name.split()[1]: round(float(found[0, test == "intra", 0].mean() - level), 4) for name, found in sorted(points.items())
                     if name.startswith(kind)} for kind in ("tau", "noise")}
    (run / "judged.json").write_text(json.dumps({"table": table, "sweeps": sweeps}, indent=1))
    return table, sweeps


def main(task, shared="../shared", out=None):
    shared, out = Path(shared).resolve(), Path(out or ("runs/04-full" if task == "filling" else f"runs/judge-{task}")).resolve()
    if task == "filling":
        return print(*filling(out, shared / "tools" / "judge.py"), sep="\n")
    out.mkdir(parents=True, exist_ok=True)
    home, voices = shared / "eval", Voices.load(os.environ.get("VOICE_ATLAS_CHECKPOINTS", CHECKPOINTS))
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
