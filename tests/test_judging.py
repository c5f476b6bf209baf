"""What is kept for the judge is what it reads, and what it said can be shown."""
import json

import numpy as np
import pytest

from lib import audio
from lib.evaluation import judging


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
