"""Speech to learn from: the embedded corpus, your own files, or a set on the Hugging Face hub; one kind of row for all."""
import contextlib
import csv
import hashlib
import itertools
import os
from pathlib import Path

import numpy as np

from lib import audio

EMBEDDED = Path(__file__).parent.parent / "assets" / "corpus" / "mini.parquet"
# name: (config, split, {our column: theirs}).  Parquet sets only: script-based ones no longer load.
HUB = {
    "mythicinfinity/libritts_r": ("clean", "train.clean.100", {"text": "text_normalized", "speaker": "speaker_id", "id": "id"}),
    "sanchit-gandhi/vctk": (None, "train", {"text": "text", "speaker": "speaker_id", "id": "text_id", "gender": "gender"}),
    "Bingsu/zeroth-korean": (None, "train", {"text": "text", "speaker": "speaker_id", "id": "id"}),
}


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
    return list(_until(found, hours))


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
    return list(_until((_row(row, names) for row in stream), hours or 1.0))


def _until(found, hours):
    """Rows until `hours` of speech are reached; all of them when hours is None."""
    if hours is None:
        return found
    def lengths():
        total = 0.0
        for row in found:
            total += row.get("seconds") or seconds(row)
            yield row, total
    return (row for row, total in itertools.takewhile(lambda pair: pair[1] <= hours * 3600, lengths()))


def _split(speaker, share):
    return "valid" if int(hashlib.sha256(speaker.encode()).hexdigest(), 16) % 1000 < 1000 * share else "train"


def seconds(row):
    """Length of a row's sound in s."""
    rate, samples = audio.load(row["audio"])
    return len(samples) / rate


def wav(row, seconds=(0.5, 35.0)):
    """Sound of a row as audio.prepare gives it, float32 [T] at 16 kHz."""
    return audio.prepare(row["audio"], seconds)


def cache(found, folder, speed=None):
    """Decode rows once: (samples int16 [sum T] memory-mapped, starts [n + 1]); a rerun with the same rows reads the file."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    def name(row):  # without an id, equal lengths say nothing: the bytes do
        return f"{row['id']}{len(row['audio'])}" if row.get("id") else hashlib.sha256(row["audio"]).hexdigest()
    key = hashlib.sha256("".join(map(name, found)).encode()).hexdigest()[:16]
    path = folder / f"{key}.i16"
    starts = folder / f"{key}.npy"
    if not starts.exists():
        lengths = [0]
        with open(path, "wb") as file:
            for row in found:
                samples = (wav(row) * 32767).astype("int16")
                lengths.append(len(samples))
                file.write(samples.tobytes())
        np.save(starts, np.cumsum(lengths))
    return np.memmap(path, dtype="int16", mode="r"), np.load(starts)


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


def noises():
    """Background sounds as a list of float32 [T] at 16 kHz: noise.parquet beside VOICE_ATLAS_CORPUS, else none."""
    path = Path(os.environ.get("VOICE_ATLAS_CORPUS", "")) / "noise.parquet"
    found = []
    for row in _parquet(path) if path.is_file() else []:
        with contextlib.suppress(ValueError):  # libsndfile cannot read every Opus file (35 of the 417 sounds of ESC-10 here)
            found.append(audio.load(row["audio"]))
    return [audio.resample(samples, rate, audio.RATE) for rate, samples in found if len(samples) > rate]


class Clips:
    """Rows made ready for training: sound decoded once, tokens, voices; hands out crops and batches from a generator.

    embed(wav [T]) -> [W, D] embeds the windows of a clip (SpeakerEncoder.windows); what it says is cached under `tag`, which
    must name the encoder's weights.  Clips whose tokens do not fit their frames, or longer than `seconds`, are left out and counted.
    """

    def __init__(self, found, folder, embed=None, tag="", seconds=16.0):
        self.samples, self.starts = cache(found, folder)
        key = f"{len(found)}-{int(self.starts[-1])}"
        self.rows, self.frames = found, np.diff(self.starts) // audio.HOP
        self.tokens = _cached(Path(folder) / f"{key}-tokens.npy", lambda: self._tokens(found))
        said = Path(folder) / f"{key}-{tag}-voices.npy"
        self.windows = embed and _cached(said, lambda: _objects(embed(self.wav(i)) for i in range(len(found))))
        self.band = np.array([float((row.get("bandwidth_hz") or audio.RATE / 2) < 7000) for row in found], "float32")
        lengths = np.array([len(t) for t in self.tokens])
        fits = (lengths > 2) & (lengths <= self.frames) & (self.frames < seconds * audio.RATE / audio.HOP)
        self.order = np.flatnonzero(fits)[np.argsort(self.frames[fits], kind="stable")]  # speakable clips, short to long
        self.left_out = len(found) - len(self.order)
        self.people = by_speaker(found)

    @staticmethod
    def _tokens(found):
        from lib import text
        said = [row["text"].strip() for row in found]
        phonemes = iter(text.phonemise([s for s in said if s]))
        return _objects(np.array(text.ids(next(phonemes)) if s else [], "int64") for s in said)

    def wav(self, i):
        """Sound of clip i, float32 [T]."""
        return np.asarray(self.samples[self.starts[i]: self.starts[i + 1]], dtype="float32") / 32767

    def voice(self, rng, i, other=0.5):
        """spk_emb [D] of clip i from a random half of its windows; with chance `other`, of another clip of the same person."""
        i = rng.choice(self.people[self.rows[i]["speaker"]]) if rng.random() < other else i
        windows = self.windows[i]
        mean = windows[rng.permutation(len(windows))[: rng.integers(1, len(windows) + 1)]].mean(0)
        return mean / np.linalg.norm(mean)

    def crops(self, rng, count, frames):
        """Random stretches: dict of wav [count, 1, frames * HOP], frames [count], spk_emb [count, D], band [count]."""
        size = frames * audio.HOP
        index = np.searchsorted(self.starts, rng.integers(self.starts[-1], size=count), side="right") - 1
        wavs = np.zeros((count, 1, size), "float32")
        for row, i in zip(wavs, index, strict=True):
            wav = self.wav(i)
            begin = rng.integers(max(1, len(wav) - size))
            row[0, : len(wav) - begin] = wav[begin: begin + size]
        voices = np.stack([self.voice(rng, i, 0.0) for i in index])
        return _tensors(wav=wavs, frames=np.full(count, frames), band=self.band[index], spk_emb=voices)

    def choose(self, rng, frames):
        """Positions of clips of like length that fill about `frames` frames together."""
        at = rng.integers(len(self.order))
        count = max(1, int(frames // self.frames[self.order[at]]))
        near = np.arange(max(0, at - 2 * count), min(len(self.order), at + 2 * count + 1))
        return self.order[rng.choice(near, min(count, len(near)), replace=False)]

    def batch(self, rng, frames, latents=None):
        """Whole utterances: dict of x [B, N], tokens [B], frames [B], spk_emb [B, D], band [B] and wav [B, 1, F * HOP], or,
        given latents (array [sum F, 2, C]), m_q and logs_q [B, C, F]."""
        index = self.choose(rng, frames)
        out = {"x": _padded([self.tokens[i] for i in index]), "tokens": np.array([len(self.tokens[i]) for i in index]),
               "frames": self.frames[index], "band": self.band[index], "spk_emb": np.stack([self.voice(rng, i) for i in index])}
        if latents is None:
            return _tensors(wav=_padded([self.wav(i)[: self.frames[i] * audio.HOP] for i in index])[:, None], **out)
        first = np.concatenate([[0], np.cumsum(self.frames)])
        z = _padded([np.asarray(latents[first[i]: first[i + 1]], "float32") for i in index]).transpose(2, 0, 3, 1)
        return _tensors(m_q=z[0], logs_q=z[1], **out)


def _objects(items):
    """A one-dimensional array of arrays of different lengths."""
    items = list(items)
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


def _cached(path, make):
    if not path.exists():
        new = path.with_suffix(f".{os.getpid()}.npy")  # whole or not at all, also when two processes start together
        np.save(new, make(), allow_pickle=True)
        new.replace(path)
    return np.load(path, allow_pickle=True)  # written by us, on this machine


def _padded(arrays):
    """Stack arrays [L, ...] of different L into [B, max L, ...], zeros at the end."""
    out = np.zeros((len(arrays), max(map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out


def _tensors(**arrays):
    import torch
    return {name: torch.as_tensor(np.ascontiguousarray(value)) for name, value in arrays.items()}
