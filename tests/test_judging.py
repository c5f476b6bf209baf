"""What is kept for the judge is what it reads, and what it said can be shown."""
import json

import judge_plan
import numpy as np
import pytest

from lib import audio
from lib.data import corpus
from lib.evaluation import judging, metrics


def test_a_manifest_names_what_lies_beside_it(tmp_path):
    """Catches a text beside another sound, and a reference that is the sound itself."""
    low, high, voice = (0.1 * np.sin(2 * np.pi * hz * np.arange(8000) / audio.RATE) for hz in (200, 400, 900))
    asked = [(low, "one", voice), (high, "two", voice)]
    judging.keep(tmp_path / "seen to unseen, ours", asked)
    folder = tmp_path / "seen to unseen, ours"
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == ["one", "two"]
    for line, (wav, _, ref_wav) in zip(lines, asked, strict=True):
        for name, samples in (("wav", wav), ("reference", ref_wav)):
            rate, loaded = audio.load(folder / line[name])
            assert rate == audio.RATE
            assert np.allclose(loaded, samples, atol=1e-3)


def test_what_the_judge_said_of_conversions_is_a_table():
    rows = judging.said("situations")
    assert all(list(row) == list(rows[0]) for row in rows)
    assert {"situation", "system", "SECS to target", "WER"} <= set(rows[0])
    with pytest.raises(FileNotFoundError):
        judging.said("nothing")


def test_conversions_are_measured_from_both_ends():
    """Catches target and source exchanged, and MCD of clips that do not say the same words."""
    held_out = corpus.rows(split="valid")
    same = corpus.couples(held_out, held_out, 2)
    odd = held_out[0], next(row for row in held_out if row["speaker"] != held_out[0]["speaker"]
                            and row["text"] != held_out[0]["text"])

    def embed(wav):
        """Loudness in four parts: enough to tell clips apart."""
        return np.array([[np.abs(part).mean() for part in np.array_split(wav, 4)]])
    pairs = [*same, odd]
    sounds = {
        "the source": [corpus.wav(row) for row, _ in pairs],
        "the target": [corpus.wav(other) for _, other in pairs],
    }
    source, target = judging.conversions(sounds, pairs, embed)
    assert source["system"] == "the source"
    assert source["to source"] == target["SECS to target"] == "1.00 (1.00 to 1.00)"
    assert source["SECS to target"] == target["to source"] != "1.00 (1.00 to 1.00)"
    assert (source["nearer to target (%)"], target["nearer to target (%)"]) == (0, 100)
    apart = np.mean([metrics.mcd(corpus.wav(row), corpus.wav(other)) for row, other in same])
    assert source["MCD (dB)"].startswith(f"{apart:.2f}")
    assert target["MCD (dB)"].startswith("0.00")
    alone = judging.conversions({"the source": sounds["the source"][1:]}, pairs[1:], embed)
    assert alone[0]["MCD (dB)"] == "no text twice"


def test_what_was_judged_is_judged_again_only_when_it_changes(tmp_path, monkeypatch):
    """Catches figures of other recordings that had the same names."""
    heard = []

    def judged(manifest, judge):
        heard.append(manifest)
        return {"figures": {"n": len(heard)}}
    monkeypatch.setattr(judge_plan, "judged", judged)
    judge = tmp_path / "judge.py"
    judge.write_text("the judge")
    for name, sound in ("a.wav", b"one"), ("b.wav", b"two"):
        (tmp_path / name).write_bytes(sound)
    lines = [{"wav": "a.wav", "reference": "b.wav", "text": "words"}]

    def asked(lines):
        return judge_plan.judged_once(judge_plan.write(tmp_path / "m.jsonl", lines), judge)["figures"]["n"]
    assert [asked(lines), asked(lines)] == [1, 1]
    assert asked([lines[0] | {"text": "other words"}]) == 2
    (tmp_path / "b.wav").write_bytes(b"three")
    assert asked(lines) == 3
    judge.write_text("another judge")
    assert asked(lines) == 4
    assert asked(lines) == 4
