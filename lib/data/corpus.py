"""Speech to learn from: the embedded corpus, your own files, or a set on the Hugging Face hub; one kind of
row for all.
"""
import collections
import contextlib
import hashlib
import itertools
import os
import re
from pathlib import Path

import numpy as np

from lib import audio
from lib.data.metadata import ALIASES, column, listed, read_csv, renamed, side
from lib.paths import EMBEDDED

# name: (config, split, {our column: theirs}).  Parquet sets only: script-based ones no longer load.
HUB = {
    "mythicinfinity/libritts_r": (
        "clean", "training.clean.100", {"text": "text_normalized", "speaker": "speaker_id", "id": "id"}),
    "sanchit-gandhi/vctk": (
        None, "train", {"text": "text", "speaker": "speaker_id", "id": "text_id", "gender": "gender"}),
    "Bingsu/zeroth-korean": (
        None, "train", {"text": "text", "speaker": "speaker_id", "id": "id"}),
}
# The same for noise, whose rows need no text and no speaker.  Columns as their pages show them; not run where
# this was written, as it has no hub.
NOISES = {
    "FluidInference/musan": (None, "train", {}),  # the noises of MUSAN alone, 930 files
    "nguyenvulebinh/fsd50k": (None, "train", {"audio": "mp3", "text": "labels", "id": "fname"}),
}
SPOKEN = re.compile("speech|conversation", re.IGNORECASE)  # labels of sounds that are no noise beside a voice
HUB_HOURS = 1.0  # are streamed when nobody says how much
HELD_OUT = 0.1  # of the speakers, where a source has no split
# Side: people, and clips of each.  Lesson 02 mixes four to learn from, 06 asks eight clips of one of them,
# and every lesson judges itself on three strangers, of whom it needs a clip to hear and one to compare with.
LEAST = {"train": (4, 8), "valid": (3, 2)}
CITED = {
    "LibriSpeech": "Panayotov et al. 2015",
    "speechocean762": "Zhang et al. 2021",
    "ESC-10": "Piczak 2015",
    "mythicinfinity/libritts_r": "CC BY 4.0, Koizumi et al. 2023",
    "sanchit-gandhi/vctk": "CC BY 4.0, Yamagishi et al. 2019",
    "FluidInference/musan": "CC BY 4.0, Snyder et al. 2015",
    "nguyenvulebinh/fsd50k": "CC BY 4.0, each sound CC0, BY, BY-NC or Sampling+; Fonseca et al. 2022",
}
NUMBERS = ("seconds", "bandwidth_hz")  # columns that are numbers; a csv file holds strings
SECONDS = (0.5, 35.0)  # of a clip that is learnt from
NATIVE = (None, "", "native")  # what a column `accent` may say of speech as the phonemes write it


def rows(source="embedded", split=None, hours=None, valid_share=HELD_OUT):
    """Read a corpus as dicts with `audio` (encoded bytes), `text`, `speaker`, `split` and what else the
    source knows.

    source: "embedded"; a parquet file, a folder with metadata.csv (file_name, text, speaker), or a list of
    such paths; or a hub set by name (streamed; HUB lists those tried, others need columns audio, text,
    speaker or speaker_id). split: "train", "valid" or None for both.  hours: stop after so much speech.
    Where the source has no split, a share `valid_share` of the speakers is held out by a hash of the name,
    the same on every machine. Raises ValueError when a source cannot be found or lacks a column, and when a
    speaker is in both splits.
    """
    if isinstance(source, (list, tuple)):
        every = []
        for part in source:
            every += rows(part, None, None, valid_share)
    else:
        every = _read(source, hours)
    for row in every:
        if not row["speaker"]:
            raise ValueError(f"A row of {source!r} ({row.get('id')}) has an empty speaker: "
                             "name every speaker, or leave the row out.")
        row["split"] = side(row.get("split")) or _split(str(row["speaker"]), valid_share)
    _disjoint(every)
    wanted = [row for row in every if split in (None, row["split"])]
    return list(until(wanted, hours))


def _disjoint(every):
    """Raise ValueError for a speaker on both sides: every figure on unseen voices would be a lie."""
    sides = {"train": set(), "valid": set()}
    for row in every:
        sides[row["split"]].add(row["speaker"])
    both = sorted(sides["train"] & sides["valid"])
    if both:
        raise ValueError(f"Speakers on both sides: {listed(both)}. Give each speaker one split, "
                         "or leave the column split out: then whole speakers are held out.")


def _split(speaker, share):
    """The side of a speaker: a hash of the name, so that every machine and every run agrees."""
    number = int(hashlib.sha256(speaker.encode()).hexdigest(), 16) % 1000
    return "valid" if number < 1000 * share else "train"


def until(rows, hours):
    """Yield `rows` until `hours` of speech are reached; all of them when hours is None."""
    total = 0.0
    for row in rows:
        if hours is not None:
            total += _length(row)
            if total > hours * 3600:
                return
        yield row


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
        raise ValueError(f"{source} is neither a .parquet file nor a folder with metadata.csv "
                         "(file_name, text, speaker).")
    if str(source) in HUB or (str(source).count("/") == 1 and not path.parent.is_dir()):
        return _hub(str(source), hours)
    raise ValueError(f"No corpus at {source!r}: "
                     "give 'embedded', a .parquet file, a folder with metadata.csv, or a hub set.")


def _parquet(path):
    import pyarrow.parquet as pq
    table = pq.read_table(path)
    names = table.column_names
    if not len(table) or "audio" not in names or not column(names, "speaker"):
        shown = names if len(table) else []
        raise ValueError(f"{path} has columns {shown}: it needs audio, text and speaker.")
    if not column(names, "text"):
        raise ValueError(f"{path} has no column for what is said; it has {names}: call one of them text.")
    return [_row(row, home=Path(path).parent) for row in table.to_pylist()]


def _row(row, names=None, home=Path()):
    """One kind of row: audio as bytes, our column names.  home: where relative paths begin."""
    row = dict(row)
    for ours, theirs in (names or {}).items():
        row[ours] = row.get(theirs)
    row = renamed(row)
    row["audio"] = _sound(row["audio"], home)
    if row.get("speaker") is None:  # 0 is a name like any other
        raise ValueError(f"A row has no speaker; its columns: {list(row)}. "
                         "Give it a column speaker or speaker_id.")
    row["speaker"] = str(row["speaker"])
    row["text"] = row.get("text") or ""
    for name in NUMBERS:
        if name in row:
            row[name] = _number(row[name], name)
    return row


def _sound(sound, home):
    """Bytes of what a column audio may hold: bytes, a path, or a dict of both."""
    if isinstance(sound, dict):
        sound = sound.get("bytes") or sound["path"]
    if isinstance(sound, str):
        path = _path(home, sound)
        if not path.is_file():
            place = home.resolve()
            raise ValueError(f"A row names the file {sound!r}, which is not in {place}: copy it there.")
        return path.read_bytes()
    return bytes(sound)


def _path(home, name):
    """A file under `home`; who wrote its name on Windows put backslashes into it."""
    path = home / name
    return path if path.is_file() else home / name.replace("\\", "/")


def _number(value, name):
    if value in (None, ""):
        return None
    try:
        return float(value) or None
    except ValueError as error:
        message = f"A row has {name} = {value!r}: write a number, or leave the field empty."
        raise ValueError(message) from error


def _folder(home):
    lines = read_csv(home / "metadata.csv")
    missing = [line for line in lines if not _path(home, line["file_name"]).is_file()]
    if missing:
        first = missing[0]
        raise ValueError(f"{home}/metadata.csv names {len(missing)} files that are not there, "
                         f"{first['file_name']!r} first (line {first['line']}): copy them or drop the lines.")
    found = []
    for line in lines:
        number = line.pop("line")
        try:
            found.append(_row(line | {"audio": line["file_name"]}, home=home))
        except ValueError as error:
            raise ValueError(f"{home}/metadata.csv, line {number}: {error}") from error
    return found


def _hub(name, hours):
    stream, names = _streamed(name, HUB)
    if stream.column_names and "audio" not in stream.column_names:
        raise ValueError(f"The hub set {name!r} has columns {stream.column_names}: "
                         "it needs audio, text and speaker or speaker_id.")
    origin = _origin(name)
    return list(until((origin | _row(row, names) for row in _undecoded(stream)), hours or HUB_HOURS))


def _streamed(name, known):
    """(rows of a hub set as they come, {our column: theirs}); known: HUB or NOISES."""
    import datasets
    config, split, names = known.get(name, (None, "train", {}))
    try:
        return datasets.load_dataset(name, config, split=split, streaming=True), names
    except Exception as error:  # the hub raises a dozen kinds: what matters is the remedy
        kind = type(error).__name__
        raise ValueError(f"The hub set {name!r} could not be opened ({kind}): check the name and the "
                         "network, or use source='embedded' or a local parquet file.") from error


def _undecoded(stream):
    """The same rows with bytes for sounds: decoding there needs torchcodec; here soundfile does it."""
    import datasets
    kinds = stream.features or {"audio": datasets.Audio()}
    if isinstance(kinds.get("audio"), datasets.Audio):
        return stream.cast_column("audio", datasets.Audio(decode=False))
    return stream


def _origin(name):
    return {"source": name, "licence": "see its hub page"}


def seconds(row):
    """Give the length of a row's sound in s."""
    rate, samples = audio.load(row["audio"])
    return len(samples) / rate


def _length(row):
    """Length in s as the row says it, else as its sound has it; 0 for a sound that cannot be read."""
    with contextlib.suppress(ValueError):
        return row.get("seconds") or seconds(row)
    return 0.0


def wav(row, seconds=SECONDS):
    """Give the sound of a row as audio.prepare makes it, float32 [T] at 16 kHz."""
    return audio.prepare(row["audio"], seconds)


def by_speaker(rows):
    """Group rows: {speaker: list of positions in `rows`}, in order of first appearance."""
    groups = {}
    for i, row in enumerate(rows):
        groups.setdefault(row["speaker"], []).append(i)
    return groups


def couples(some, others, count):
    """Pair rows with rows of other people, [(row, other)], `count` at most, drawn by one seed.

    Who says the words of a row is preferred, and such pairs come first; the same person only where there is
    nobody else.
    """
    rng = np.random.default_rng(0)
    pairs = []
    for i in rng.permutation(len(some)):
        row = some[i]
        drawn = [others[k] for k in rng.permutation(len(others))]
        same_person = [other["speaker"] == row["speaker"] for other in drawn]
        other_words = [other["text"] != row["text"] for other in drawn]
        ranks = list(zip(same_person, other_words))  # the least is wanted
        pairs.append((row, drawn[ranks.index(min(ranks))]))
    pairs.sort(key=lambda pair: pair[0]["text"] != pair[1]["text"])
    return pairs[:count]


def is_native(row):
    """Say whether a row is read in the accent that the phonemes stand for: yes where nothing else is said."""
    return row.get("accent") in NATIVE


def credits(rows):
    """Say what a card says of its rows: {"data": amounts by source, "licence": terms and authors of each}."""
    groups = {}
    for row in rows:
        key = row.get("source") or "own clips", row.get("licence") or "licence not stated"
        groups.setdefault(key, []).append(row)
    data, terms = [], []
    for (name, licence), part in groups.items():
        hours = sum(_length(row) for row in part) / 3600
        people = f" of {len(by_speaker(part))} speakers" if part[0].get("speaker") else ""
        authors = f" ({CITED[name]})" if name in CITED else ""
        data.append(f"{name}: {hours:.2f} h, {len(part)} clips{people}")
        terms.append(f"{name}: {licence}{authors}")
    return {"data": "; ".join(data), "licence": "weights Apache-2.0; learned from " + "; ".join(terms)}


def source(budget):
    """Say where a lesson takes its speech.

    VOICE_ATLAS_CORPUS (a folder of parquet files, or what `rows` takes) if set; else the embedded corpus at
    quick budget and LibriTTS-R from the hub at full.  Raises ValueError for files that hold less than LEAST.
    """
    chosen = os.environ.get("VOICE_ATLAS_CORPUS")
    if not chosen:
        return "embedded" if budget == "quick" else "mythicinfinity/libritts_r"
    folder = Path(chosen)
    if folder.is_dir() and not (folder / "metadata.csv").exists():
        parts = sorted(str(path) for path in folder.glob("*.parquet") if path.stem not in ("noise", "rir"))
        if not parts:
            raise ValueError(f"VOICE_ATLAS_CORPUS={chosen} holds no .parquet file and no metadata.csv.")
        _enough(parts)
        return parts
    _enough([chosen])
    return chosen


def _enough(sources):
    """Raise ValueError that says what is missing where local files hold less than LEAST."""
    clips = {"train": collections.Counter(), "valid": collections.Counter()}
    for row in itertools.chain.from_iterable(map(_names, sources)):
        speaker = str(row.get("speaker") or "")
        clips[side(row.get("split")) or _split(speaker, HELD_OUT)][speaker] += 1
    if not any(clips.values()):  # a set on the hub, or what `rows` refuses in words of its own
        return
    for name, (people, each) in LEAST.items():
        found = sum(count >= each for count in clips[name].values())
        if found < people:
            raise ValueError(
                f"VOICE_ATLAS_CORPUS has {found} people with {each} clips or more on the side {name!r}; "
                f"lessons need {people} there: add clips, give whole speakers to that side by a column split "
                "(train or valid), or unset VOICE_ATLAS_CORPUS.")


def _names(source):
    """Rows of a local source with speaker and split, read without its sounds; none of any other source."""
    import pyarrow.parquet as pq
    path = Path(source)
    if path.suffix == ".parquet" and path.is_file():
        names = pq.read_schema(path).names
        columns = [name for name in names if name in (*ALIASES["speaker"], "split")]
        table = pq.read_table(path, columns=columns).to_pylist()
    elif (path / "metadata.csv").is_file():
        table = read_csv(path / "metadata.csv")
    else:
        table = []
    return [renamed(row) for row in table]


def noise_rows(name="noise", source=None, hours=HUB_HOURS):
    """Read recordings of noise: rows with audio, id, and text that names the kind ("" where nobody says it).

    source: a hub set (NOISES lists those known; streamed until `hours`, without what is labelled as speech),
    or a parquet file, or a list of such; None: what VOICE_ATLAS_NOISE lists, with commas between, and where
    it is not set, noise.parquet (or rir.parquet: rooms) beside VOICE_ATLAS_CORPUS.  An empty list where there
    is none.
    Raises ValueError for a source that cannot be opened or has no sound.
    """
    asked = os.environ.get("VOICE_ATLAS_NOISE", "") if name == "noise" else ""
    if source is None and asked:
        source = [part.strip() for part in asked.split(",") if part.strip()]
    if isinstance(source, (list, tuple)):
        return list(itertools.chain.from_iterable(noise_rows(name, part, hours) for part in source))
    path = Path(source or beside(f"{name}.parquet"))
    if path.suffix == ".parquet":
        return _noise_file(path) if source or path.is_file() else []
    return _noise_hub(str(source), hours)


def noise_source(budget):
    """Say where lesson 09 takes its noise: what noise_rows finds by itself; the hub's NOISES at full budget
    where neither VOICE_ATLAS_NOISE nor VOICE_ATLAS_CORPUS says otherwise."""
    told = os.environ.get("VOICE_ATLAS_NOISE") or os.environ.get("VOICE_ATLAS_CORPUS")
    return None if told or budget == "quick" else list(NOISES)


def beside(name):
    """The path of a file in the folder VOICE_ATLAS_CORPUS."""
    return Path(os.environ.get("VOICE_ATLAS_CORPUS", "")) / name


def _noise_file(path):
    import pyarrow.parquet as pq
    if not path.is_file():
        raise ValueError(f"There is no file {path}: check VOICE_ATLAS_NOISE, or leave it unset.")
    return [_noise(row, {}, i, path.parent) for i, row in enumerate(pq.read_table(path).to_pylist())]


def _noise_hub(name, hours):
    stream, names = _streamed(name, NOISES)
    origin = _origin(name)
    found = (origin | _noise(row, names, i) for i, row in enumerate(_undecoded(stream)))
    return list(until((row for row in found if not SPOKEN.search(row["text"])), hours))


def _noise(row, names, number, home=Path()):
    """A row without a speaker.  Its id: as given, else the name of the file it was, else its number."""
    sound = row.get(names.get("audio", "audio"))
    if sound is None:
        raise ValueError(f"A row of noise has the columns {list(row)}, and no sound in audio.")
    file = sound.get("path") if isinstance(sound, dict) else None
    row = _row({"speaker": ""} | row, names, home)
    row["id"] = str(row.get("id") or file or number)
    return row


def noises():
    """Read background sounds as a list of float32 [T] at 16 kHz: those of noise_rows.

    Sounds of less than 1 s are left out, and those that libsndfile cannot read (35 of the 417 Opus files of
    ESC-10).
    """
    found = []
    for row in noise_rows():
        with contextlib.suppress(ValueError):
            rate, samples = audio.load(row["audio"])
            if len(samples) > rate:
                found.append(audio.resample(samples, rate, audio.RATE))
    return found


def rooms():
    """Read impulse responses of measured rooms as a list of float32 [T] at 16 kHz, from the direct sound on:
    rir.parquet beside VOICE_ATLAS_CORPUS, else none.
    """
    found = []
    for row in noise_rows("rir"):
        rate, samples = audio.load(row["audio"])
        response = audio.resample(samples, rate, audio.RATE)
        found.append(response[abs(response).argmax():])
    return found
