"""Speech to learn from: the embedded corpus, your own files, or a set on the Hugging Face hub; one kind of row for all."""
import contextlib
import csv
import hashlib
import itertools
import os
from pathlib import Path

from lib import audio
from lib.paths import EMBEDDED

# name: (config, split, {our column: theirs}).  Parquet sets only: script-based ones no longer load.
HUB = {
    "mythicinfinity/libritts_r": ("clean", "training.clean.100", {"text": "text_normalized", "speaker": "speaker_id", "id": "id"}),
    "sanchit-gandhi/vctk": (None, "train", {"text": "text", "speaker": "speaker_id", "id": "text_id", "gender": "gender"}),
    "Bingsu/zeroth-korean": (None, "train", {"text": "text", "speaker": "speaker_id", "id": "id"}),
}
CITED = {"LibriSpeech": "Panayotov et al. 2015", "speechocean762": "Zhang et al. 2021", "ESC-10": "Piczak 2015",
         "mythicinfinity/libritts_r": "CC BY 4.0, Koizumi et al. 2023", "sanchit-gandhi/vctk": "CC BY 4.0, Yamagishi et al. 2019"}


def rows(source="embedded", split=None, hours=None, valid_share=0.1):
    """Rows of a corpus as dicts with `audio` (encoded bytes), `text`, `speaker`, `split` and what else the source knows.

    source: "embedded"; a parquet file, a folder with metadata.csv (file_name, text, speaker), or a list of such paths;
    or a hub set by name (streamed; HUB lists those tried, others need columns audio, text, speaker or speaker_id).
    split: "train", "valid" or None for both.  hours: stop after so much speech.  Where the source has no split, a share
    `valid_share` of the speakers is held out by a hash of the name, the same on every machine.
    Raises ValueError when a source cannot be found or lacks a column; asserts that no speaker is in both splits.
    """
    if isinstance(source, (list, tuple)):
        found = [row for one in source for row in rows(one, None, None, valid_share)]
    else:
        found = _read(source, hours)
    for row in found:
        if not row["speaker"]:
            raise ValueError(f"A row of {source!r} ({row.get('id')}) has an empty speaker: name every speaker, or leave the row out.")
        row["split"] = row.get("split") or _split(str(row["speaker"]), valid_share)
    sides = {name: {r["speaker"] for r in found if r["split"] == name} for name in ("train", "valid")}
    assert not sides["train"] & sides["valid"], f"speakers on both sides: {sorted(sides['train'] & sides['valid'])[:5]}"
    found = [row for row in found if split in (None, row["split"])]
    return list(until(found, hours))


def _read(source, hours):
    """All rows of one source, undecoded."""
    if source == "embedded":
        return _parquet(EMBEDDED)
    path = Path(source)
    if path.suffix == ".parquet" and path.is_file():
        return _parquet(path)
    if (path / "metadata.csv").is_file():
        return _folder(path)
    if path.exists():
        raise ValueError(f"{source} is neither a .parquet file nor a folder with metadata.csv (file_name, text, speaker).")
    if str(source) in HUB or (str(source).count("/") == 1 and not path.parent.is_dir()):
        return _hub(str(source), hours)
    raise ValueError(f"No corpus at {source!r}: give 'embedded', a .parquet file, a folder with metadata.csv, or a hub set.")


def _parquet(path):
    import pyarrow.parquet as pq
    found = pq.read_table(path).to_pylist()
    if not found or "audio" not in found[0] or not {"speaker", "speaker_id"} & set(found[0]):
        raise ValueError(f"{path} has columns {list(found[0]) if found else []}: it needs audio, text and speaker.")
    return [_row(row) for row in found]


def _row(row, names=()):
    """One kind of row: audio as bytes, our column names."""
    sound = row["audio"]
    row = dict(row) | {ours: row.get(theirs) for ours, theirs in dict(names).items()}
    row["audio"] = (sound.get("bytes") or Path(sound["path"]).read_bytes()) if isinstance(sound, dict) else bytes(sound)
    speaker = row.get("speaker_id") if row.get("speaker") is None else row["speaker"]
    if speaker is None:  # 0 is a name like any other
        raise ValueError(f"A row has no speaker; its columns: {list(row)}. Give it a column speaker or speaker_id.")
    row["speaker"], row["text"] = str(speaker), row.get("text") or ""
    for name in {"seconds", "bandwidth_hz"} & set(row):
        row[name] = float(row[name]) if row[name] else None  # a csv file holds strings
    return row


def _folder(path):
    with open(path / "metadata.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    if not lines or not {"file_name", "speaker"} <= set(lines[0]):
        raise ValueError(f"{path}/metadata.csv needs the columns file_name, text, speaker; it has {list(lines[0]) if lines else []}.")
    missing = [line["file_name"] for line in lines if not (path / line["file_name"]).is_file()]
    if missing:
        raise ValueError(f"{path}/metadata.csv names {len(missing)} files that are not there, {missing[0]!r} first: "
                         "copy them or drop the lines.")
    return [_row(line | {"audio": (path / line["file_name"]).read_bytes()}) for line in lines]


def _hub(name, hours):
    import datasets
    config, split, names = HUB.get(name, (None, "train", {}))
    try:
        stream = datasets.load_dataset(name, config, split=split, streaming=True)
    except Exception as error:  # the hub raises a dozen kinds: what matters is the remedy
        raise ValueError(f"The hub set {name!r} could not be opened ({type(error).__name__}): check the name and the network, "
                         "or use source='embedded' or a local parquet file.") from error
    if stream.column_names and "audio" not in stream.column_names:
        raise ValueError(f"The hub set {name!r} has columns {stream.column_names}: it needs audio, text and speaker or speaker_id.")
    stream = stream.cast_column("audio", datasets.Audio(decode=False))  # decoding needs torchcodec; soundfile does it here
    return list(until(({"source": name, "licence": "see its hub page"} | _row(row, names) for row in stream), hours or 1.0))


def until(found, hours):
    """Rows of `found` until `hours` of speech are reached; all of them when hours is None."""
    if hours is None:
        return found
    each = ((row, row.get("seconds") or seconds(row)) for row in found)
    sums = itertools.accumulate(each, lambda before, one: (one[0], before[1] + one[1]))
    return (row for row, total in itertools.takewhile(lambda pair: pair[1] <= hours * 3600, sums))


def _split(speaker, share):
    return "valid" if int(hashlib.sha256(speaker.encode()).hexdigest(), 16) % 1000 < 1000 * share else "train"


def seconds(row):
    """Length of a row's sound in s."""
    rate, samples = audio.load(row["audio"])
    return len(samples) / rate


def wav(row, seconds=(0.5, 35.0)):
    """Sound of a row as audio.prepare gives it, float32 [T] at 16 kHz."""
    return audio.prepare(row["audio"], seconds)


def credits(found):
    """What a card says of its rows: {"data": amounts by source, "licence": terms and authors of each}."""
    groups = {}
    for row in found:
        groups.setdefault((row.get("source") or "own clips", row.get("licence") or "licence not stated"), []).append(row)
    data = [f"{name}: {sum(row.get('seconds') or seconds(row) for row in part) / 3600:.2f} h, {len(part)} clips"
            + (f" of {len(by_speaker(part))} speakers" if part[0].get("speaker") else "") for (name, _), part in groups.items()]
    terms = [f"{name}: {licence}" + (f" ({CITED[name]})" if name in CITED else "") for name, licence in groups]
    return {"data": "; ".join(data), "licence": "weights Apache-2.0; learned from " + "; ".join(terms)}


def source(budget):
    """Where a lesson takes its speech: VOICE_ATLAS_CORPUS (a folder of parquet files, or what `rows` takes) if set; else the
    embedded corpus at quick budget and LibriTTS-R from the hub at full."""
    chosen = os.environ.get("VOICE_ATLAS_CORPUS")
    if chosen and Path(chosen).is_dir() and not (Path(chosen) / "metadata.csv").exists():
        return sorted(str(p) for p in Path(chosen).glob("*.parquet") if p.stem not in ("noise", "rir"))
    return chosen or ("embedded" if budget == "quick" else "mythicinfinity/libritts_r")


def by_speaker(found):
    """{speaker: list of positions in `found`}, in order of first appearance."""
    groups = {}
    for i, row in enumerate(found):
        groups.setdefault(row["speaker"], []).append(i)
    return groups


def noise_rows(name="noise"):
    """Rows of noise.parquet (or rir.parquet: rooms) beside VOICE_ATLAS_CORPUS; an empty list where there is none."""
    path = Path(os.environ.get("VOICE_ATLAS_CORPUS", "")) / f"{name}.parquet"
    return _parquet(path) if path.is_file() else []


def noises():
    """Background sounds as a list of float32 [T] at 16 kHz: noise.parquet beside VOICE_ATLAS_CORPUS, else none."""
    found = []
    for row in noise_rows():
        with contextlib.suppress(ValueError):  # libsndfile cannot read every Opus file (35 of the 417 sounds of ESC-10 here)
            found.append(audio.load(row["audio"]))
    return [audio.resample(samples, rate, audio.RATE) for rate, samples in found if len(samples) > rate]
