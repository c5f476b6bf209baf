"""Corpora as people write them: column names, encodings, quotes, splits; and rows that cannot be used."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_corpus import folder, made, parquet, sound

from lib.data import corpus, metadata
from lib.data.clips import Clips
from lib.data.decoded import usable


def written(path, table, encoding="utf-8"):
    """A folder with two clips, a.wav and sub/b.wav, and the given metadata.csv."""
    (path / "sub").mkdir(parents=True)
    (path / "a.wav").write_bytes(sound(hz=150))
    (path / "sub" / "b.wav").write_bytes(sound(hz=250))
    (path / "metadata.csv").write_bytes(table.encode(encoding))
    return path


GOOD = 'file_name,text,speaker\na.wav,One.,p\nsub/b.wav,"Two, too.",q\n'
TABLES = {
    "as asked for": (GOOD, "utf-8"),
    "a spreadsheet's mark": (GOOD, "utf-8-sig"),
    "UTF-16": (GOOD, "utf-16"),
    "other names": (GOOD.replace("file_name,text,speaker", "path,transcription,speaker_id"), "utf-8"),
    "sentence": (GOOD.replace("text", "sentence"), "utf-8"),
    "semicolons": ("file_name;text;speaker\na.wav;One.;p\nsub/b.wav;Two, too.;q\n", "utf-8"),
    "tabs and Windows": (
        "file_name\ttext\tspeaker\r\na.wav\tOne.\tp\r\nsub\\b.wav\tTwo, too.\tq\r\n",
        "utf-8",
    ),
    "backslashes": (GOOD.replace("sub/b", "sub\\b"), "utf-8"),
    "an empty line": (GOOD.replace("p\n", "p\n\n"), "utf-8"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_as_people_write_them_give_the_same_rows(tmp_path, name):
    """Catches a table that is refused, or texts that are silently empty, for the sake of a mark or a name."""
    rows = corpus.rows(str(written(tmp_path / "c", *TABLES[name])))
    found = [(row["text"], row["speaker"], row["audio"][:4]) for row in rows]
    assert found == [("One.", "p", b"RIFF"), ("Two, too.", "q", b"RIFF")]


FAULTS = {
    "an unquoted comma": (
        GOOD.replace('"', ""),
        "utf-8",
        "metadata.csv, line 3: 4 fields.*heading has 3.*quotes",
    ),
    "a field too few": (GOOD.replace(",p", ""), "utf-8", "line 2: 2 fields"),
    "an open quote": (GOOD.replace('too."', "too."), "utf-8", "line 3:.*quotation mark"),
    "another encoding": (GOOD.replace("One", "Größe"), "cp1252", "line 2: not UTF-8"),
    "no text": (GOOD.replace("text", "words"), "utf-8", "no column for what is said.*words"),
    "no speaker": (
        GOOD.replace("speaker", "who"),
        "utf-8",
        "needs the columns file_name, text, speaker.*who",
    ),
    "a lost file": (GOOD.replace("a.wav", "c.wav"), "utf-8", r"1 files.*'c.wav' first \(line 2\)"),
    "no number": (
        GOOD.replace("speaker", "speaker,seconds").replace("p\n", "p,long\n").replace("q\n", "q,1\n"),
        "utf-8",
        "line 2:.*seconds = 'long'",
    ),
    "a strange split": (
        GOOD.replace("speaker", "speaker,split").replace("p\n", "p,a\n").replace("q\n", "q,b\n"),
        "utf-8",
        "split 'a': write train or valid",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named_with_their_line(tmp_path, name):
    """Catches columns that shift in silence: speakers named after the second half of a sentence."""
    table, encoding, said = FAULTS[name]
    with pytest.raises(ValueError, match=said):
        corpus.rows(str(written(tmp_path / "c", table, encoding)))


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("train", "train"),
        ("training", "train"),
        ("train-clean-100", "train"),
        ("Validation", "valid"),
        ("dev-other", "valid"),
        ("test", "valid"),
        ("", ""),
        (None, ""),
    ],
)
def test_splits_of_others_are_understood(name, ours):
    """Catches a corpus without a valid side because it says "validation"."""
    assert metadata.side(name) == ours


def test_parquet_may_hold_paths_beside_it(tmp_path, monkeypatch):
    """Catches a relative path looked for where Python was started, and a column `transcription` that is not
    read.
    """
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.wav").write_bytes(sound())
    table = [
        {"audio": {"bytes": None, "path": "data/a.wav"}, "transcription": "One.", "speaker_id": 7},
        {"audio": {"bytes": None, "path": "data\\a.wav"}, "transcription": "Two.", "speaker_id": 7},
    ]
    monkeypatch.chdir("/")
    rows = corpus.rows(str(parquet(tmp_path / "a.parquet", table)))
    assert [(row["text"], row["speaker"], row["audio"][:4]) for row in rows] == [
        ("One.", "7", b"RIFF"),
        ("Two.", "7", b"RIFF"),
    ]
    pq.write_table(
        pa.Table.from_pylist([{"audio": "b.wav", "text": "a", "speaker": "p"}]), tmp_path / "b.parquet"
    )
    with pytest.raises(ValueError, match="names the file 'b.wav', which is not in"):
        corpus.rows(str(tmp_path / "b.parquet"))


# ---------------------------------------------------------------- bad rows


def test_bad_rows_are_left_out_counted_and_named(tmp_path):
    """Catches one silent clip or one unspeakable text that stops all, or goes missing without a word."""
    rows = made(2, 3)
    rows[1]["audio"] = sound(seconds=0.2)
    rows[4]["text"] = "..."
    with pytest.warns(UserWarning, match="left out") as caught:
        clips = Clips(rows, tmp_path)
    said = " ".join(str(warning.message) for warning in caught)
    assert "1 of 6 clips left out: p0-1. The first: This clip has 0.2 s" in said
    assert "1 of 5 texts cannot be spoken and are left out: ..." in said
    assert len(clips.rows) == 5 and len(clips.tokens[3]) == 0 and clips.frames.min() > 0
    assert clips.people == {"p0": [0, 1], "p1": [2, 3, 4]}
    assert 3 not in clips.order and clips.left_out == 6 - len(clips.order)


def test_good_rows_stay_as_they_are(tmp_path):
    """Catches a copy under another name in the cache: everything would be decoded twice."""
    rows = made(1, 2)
    assert usable(rows, tmp_path) is rows


def test_a_corpus_without_any_usable_row_is_refused(tmp_path):
    """Catches an empty training, or an IndexError out of numpy."""
    rows = [row | {"audio": sound(seconds=0.2)} for row in made(1, 2)]
    with pytest.raises(ValueError, match="None of 2 clips can be used.*p0-0.*0.2 s"):
        Clips(rows, tmp_path)
    with pytest.raises(ValueError, match="None of 0 clips"):
        Clips([], tmp_path)


def test_the_least_corpus_is_said(tmp_path, monkeypatch):
    """Catches "0 rows" or an IndexError in a lesson that was given one speaker or two clips."""
    (learn, each), (strangers, two) = corpus.LEAST["train"], corpus.LEAST["valid"]
    rows = made(learn + strangers, each)
    for row in rows:
        row["split"] = "train" if int(row["speaker"][1:]) < learn else "dev"
    mine = str(folder(tmp_path / "mine", rows))
    monkeypatch.setenv("VOICE_ATLAS_CORPUS", mine)
    assert corpus.source("full") == mine
    few = {
        "one speaker": (made(1, 20), f"0 people|1 people.*{learn} there"),
        "two clips": (made(2, 1), f"0 people with {each} clips.*{learn} there: add clips"),
        "nobody is held out": (
            [row | {"split": "train"} for row in rows],
            f"0 people with {two} clips or more on the side 'valid'; lessons need {strangers}.*column split",
        ),
    }
    for name, (table, said) in few.items():
        place = tmp_path / name
        place.mkdir()
        monkeypatch.setenv("VOICE_ATLAS_CORPUS", str(place))
        with pytest.raises(ValueError, match="holds no .parquet file"):
            corpus.source("quick")
        parquet(place / "a.parquet", table)
        with pytest.raises(ValueError, match=said):
            corpus.source("quick")
    parquet(place / "b.parquet", [row | {"split": "valid", "speaker": "s" + row["speaker"]} for row in rows])
    assert len(corpus.source("quick")) == 2, "what lies in several files counts together"
