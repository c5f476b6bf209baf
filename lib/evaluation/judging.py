"""Sound kept for the judge (`make judge`), and what it said."""
import json
from pathlib import Path

import numpy as np

from lib import audio
from lib.data import corpus
from lib.evaluation import metrics, statistics
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


def conversions(sounds, pairs, embed):
    """Rows of a table on conversions, sounds {system: a wav [T] for each pair} of pairs (source, target) of
    rows.

    embed(wav) gives spk_emb [1, D].  SECS to the target and to the source, and MCD of the pairs that say the
    same words, with 95 % intervals over pairs; and the share of pairs nearer to the target."""
    own = np.concatenate([embed(corpus.wav(row)) for row, _ in pairs])
    asked = np.concatenate([embed(corpus.wav(other)) for _, other in pairs])
    twins = [i for i, (row, other) in enumerate(pairs) if row["text"] == other["text"]]
    rows = []
    for system, wavs in sounds.items():
        heard = np.concatenate([embed(wav) for wav in wavs])
        to_target = metrics.secs(heard, asked)
        to_source = metrics.secs(heard, own)
        apart = [metrics.mcd(wavs[i], corpus.wav(pairs[i][1])) for i in twins]
        distance = statistics.shown(statistics.mos_ci(apart)) if len(apart) > 1 else "no text twice"
        rows.append({
            "system": system,
            "SECS to target": statistics.shown(statistics.mos_ci(to_target)),
            "to source": statistics.shown(statistics.mos_ci(to_source)),
            "MCD (dB)": distance,
            "nearer to target (%)": 100 * float((to_target > to_source).mean()),
        })
    return rows


def said(name):
    """Read the rows of a table that the judge left as assets/`name`.json."""
    return json.loads((ASSETS / f"{name}.json").read_text())
