"""Sound kept for the judge (`make judge`), and what it said."""
import json
from pathlib import Path

from lib import audio
from lib.paths import ASSETS


def keep(folder, asked):
    """Keep sounds in folder with manifest.jsonl, which says for each what it should be.

    asked: a list of (wav [T], the text that it should say, ref_wav [T'] whose voice it should have).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for i, (wav, text, ref_wav) in enumerate(asked):
        line = {"wav": f"{i}.wav", "text": text, "reference": f"voice-{i}.wav"}
        audio.save(folder / line["wav"], audio.RATE, wav)
        audio.save(folder / line["reference"], audio.RATE, ref_wav)
        lines.append(json.dumps(line) + "\n")
    (folder / "manifest.jsonl").write_text("".join(lines))


def said(name):
    """Read the rows of a table that the judge left as assets/`name`.json."""
    return json.loads((ASSETS / f"{name}.json").read_text())
