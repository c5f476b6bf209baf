"""One kind of row from every source, speakers on one side only, and batches that any step can make again."""

import csv
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from lib import audio
from lib.data import corpus, noisy


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("VOICE_ATLAS_CORPUS", raising=False)
    monkeypatch.delenv("VOICE_ATLAS_NOISE", raising=False)


@pytest.fixture(scope="module")
def embedded():
    return corpus.rows()


def sound(seconds=1.0, hz=200.0, rate=16000, seed=0):
    """Bytes of a wav file with a tone."""
    t, file = np.arange(int(seconds * rate)) / rate, io.BytesIO()
    wav = 0.2 * np.sin(2 * np.pi * hz * t) + 0.01 * np.random.default_rng(seed).standard_normal(len(t))
    soundfile.write(file, wav.astype("float32"), rate, format="WAV")
    return file.getvalue()


def made(people=4, each=3, seconds=1.0):
    """Rows as a stranger might have them: no split, no seconds."""
    return [
        {
            "audio": sound(seconds, 150 + 40 * p, seed=10 * p + i),
            "text": f"Sentence {i}.",
            "speaker": f"p{p}",
            "id": f"p{p}-{i}",
        }
        for p in range(people)
        for i in range(each)
    ]


def parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def folder(path, rows):
    path.mkdir()
    with open(path / "metadata.csv", "w", newline="") as file:
        table = csv.DictWriter(file, ["file_name", *[k for k in rows[0] if k != "audio"]])
        table.writeheader()
        for i, row in enumerate(rows):
            (path / f"{i}.wav").write_bytes(row["audio"])
            table.writerow({k: v for k, v in row.items() if k != "audio"} | {"file_name": f"{i}.wav"})
    return path


# ---------------------------------------------------------------- sources


def test_embedded_rows_are_whole_and_playable(embedded):
    """Catches a clone without its corpus, and rows whose sound, text or split is missing."""
    assert len(embedded) == 230 and len({row["speaker"] for row in embedded}) == 23
    for row in embedded:
        assert (
            isinstance(row["audio"], bytes)
            and row["text"]
            and row["split"] in ("train", "valid")
            and row["seconds"] > 0
        )
    wav = corpus.wav(embedded[7])
    assert wav.dtype == np.float32 and len(wav) / audio.RATE <= embedded[7]["seconds"] + 0.1
    assert corpus.seconds(embedded[7]) == pytest.approx(embedded[7]["seconds"], abs=0.05)


def test_splits_are_speaker_disjoint_and_complete(embedded):
    """Catches a speaker on both sides: every figure on unseen voices would be a lie."""
    train, valid = corpus.rows(split="train"), corpus.rows(split="valid")
    assert len(train) + len(valid) == len(embedded) and train and valid
    assert not {r["speaker"] for r in train} & {r["speaker"] for r in valid}


def test_a_speaker_on_both_sides_is_an_error(tmp_path):
    """Catches a source whose own split is by sentence, taken at its word."""
    rows = made(2, 2)
    for i, row in enumerate(rows):
        row["split"] = ("train", "valid")[i % 2]
    with pytest.raises(ValueError, match="both sides.*p0.*leave the column split out"):
        corpus.rows(parquet(tmp_path / "a.parquet", rows))


def test_parquet_folder_and_stream_give_the_same_rows(tmp_path, monkeypatch):
    """Catches a source with its own idea of a row.  The stream goes through `datasets` as a hub set does,
    from local parquet.
    """
    rows = made()
    nested = [
        {
            "audio": {"bytes": r["audio"], "path": "x.wav"},
            "said": r["text"],
            "speaker_id": r["speaker"],
            "id": r["id"],
        }
        for r in rows
    ]
    (tmp_path / "hub").mkdir()
    parquet(tmp_path / "hub" / "training.parquet", nested)
    monkeypatch.setitem(
        corpus.HUB, str(tmp_path / "hub"), (None, "train", {"text": "said", "speaker": "speaker_id"})
    )
    flat = corpus.rows(parquet(tmp_path / "a.parquet", rows))
    sources = [flat, corpus.rows(folder(tmp_path / "b", rows)), corpus._hub(str(tmp_path / "hub"), 1.0)]
    for found in sources:
        assert [{k: row[k] for k in ("audio", "text", "speaker", "id")} for row in found] == rows
    assert {row["speaker"]: row["split"] for row in flat} == {
        row["speaker"]: corpus._split(row["speaker"], 0.1) for row in rows
    }


def test_the_stream_stops_at_its_hours(tmp_path):
    """Catches a quick look at a hub set that downloads all 585 hours of it."""
    (tmp_path / "hub").mkdir()
    parquet(tmp_path / "hub" / "training.parquet", made(4, 5))
    assert len(corpus._hub(str(tmp_path / "hub"), 6.5 / 3600)) == 6


def test_a_stream_without_our_columns_says_so(tmp_path):
    """Catches a set without speakers whose rows would all belong to one person named None."""
    for name, columns, said in (
        ("a", ("text", "speaker"), "needs audio"),
        ("b", ("audio", "text"), "no speaker"),
    ):
        (tmp_path / name).mkdir()
        parquet(tmp_path / name / "training.parquet", [{k: row[k] for k in columns} for row in made(1, 2)])
        with pytest.raises(ValueError, match=said):
            corpus._hub(str(tmp_path / name), 1.0)


def test_sources_can_be_joined(tmp_path):
    """Catches a list whose second source is forgotten, or whose hours are counted per source."""
    one, two = (
        parquet(tmp_path / "a.parquet", made(2, 2)),
        parquet(tmp_path / "b.parquet", [r | {"speaker": "q"} for r in made(1, 2)]),
    )
    assert [r["speaker"] for r in corpus.rows([one, two])] == ["p0", "p0", "p1", "p1", "q", "q"]
    assert len(corpus.rows([one, two], hours=5.2 / 3600)) == 5


def test_an_empty_speaker_is_refused(tmp_path):
    """Catches rows without a name that all become one person, on one side of the split."""
    with pytest.raises(ValueError, match="p0-0.*empty speaker"):
        corpus.rows(parquet(tmp_path / "a.parquet", [row | {"speaker": ""} for row in made(1, 2)]))


@pytest.mark.parametrize("speaker", [0, 7, "0"])
def test_numbered_speakers_keep_their_number(tmp_path, speaker):
    """Catches speaker 0 renamed None because zero is false."""
    rows = [{"audio": row["audio"], "text": "a", "speaker_id": speaker} for row in made(1, 2)]
    assert {row["speaker"] for row in corpus.rows(parquet(tmp_path / "a.parquet", rows))} == {str(speaker)}


def test_held_out_share_is_about_what_was_asked_and_stable():
    """Catches a split by Python's own hash, which differs in every process."""
    sides = [corpus._split(f"speaker {i}", 0.2) for i in range(1000)]
    assert 150 < sides.count("valid") < 250
    assert [corpus._split(str(i), 0.1) for i in (19, 26, 1034, 8629)] == [
        corpus._split(str(i), 0.1) for i in (19, 26, 1034, 8629)
    ]
    assert {corpus._split(f"speaker {i}", 0.0) for i in range(100)} == {"train"}
    assert all(
        a == "valid"
        for a, b in zip([corpus._split(f"speaker {i}", 0.3) for i in range(200)], sides)
        if b == "valid"
    )


def test_hours_cap_the_rows(embedded):
    """Catches hours taken for seconds, and a cap that is passed by one clip."""
    some = corpus.rows(hours=0.05)
    assert 0 < len(some) < len(embedded) and [r["id"] for r in some] == [
        r["id"] for r in embedded[: len(some)]
    ]
    total = sum(r["seconds"] for r in some)
    assert total <= 180 < total + embedded[len(some)]["seconds"]


def test_numbers_in_a_csv_are_numbers(tmp_path):
    """Catches '2.5' + 1.0: a folder's seconds and bandwidth are strings until someone reads them."""
    rows = [row | {"seconds": "1.0", "bandwidth_hz": "5500"} for row in made(1, 3)]
    found = corpus.rows(folder(tmp_path / "f", rows), hours=2.5 / 3600)
    assert len(found) == 2 and found[0]["bandwidth_hz"] == 5500.0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "No corpus at"),
        ("empty", "neither a .parquet"),
        ("wrong columns", "needs audio"),
        ("no rows", r"columns \[\]"),
        ("wrong csv", "needs the columns"),
        ("lost file", "not there, '0.wav'"),
        ("no/such-hub-set", "could not be opened"),
    ],
)
def test_bad_sources_are_refused_with_the_remedy(tmp_path, monkeypatch, name, said):
    """Catches a typing error that ends in a KeyError or waits for the network for minutes."""
    path = tmp_path / name
    if name == "empty":
        path.mkdir()
    elif name in ("wrong columns", "no rows"):
        path = parquet(tmp_path / "a.parquet", [{"sound": b"x"}] if name == "wrong columns" else [])
    elif name in ("wrong csv", "lost file"):
        folder(path, made(1, 1))
        if name == "lost file":
            (path / "0.wav").unlink()
        else:
            (path / "metadata.csv").write_text("a,b\n1,2\n")
    elif "/" in name:
        import datasets

        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        path = name
    with pytest.raises(ValueError, match=said):
        corpus.rows(str(path))


def test_source_follows_budget_and_environment(tmp_path, monkeypatch):
    """Catches a lesson that downloads at quick budget, and one that ignores the corpus it was given."""
    assert corpus.source("quick") == "embedded" and corpus.source("full") in corpus.HUB
    for name, other in (("b", "p"), ("a", "q"), ("noise", "n"), ("rir", "r")):
        rows = [row | {"speaker": other + row["speaker"]} for row in made(50, 8, seconds=0.01)]
        parquet(tmp_path / f"{name}.parquet", rows)
    monkeypatch.setenv("VOICE_ATLAS_CORPUS", str(tmp_path))
    assert (
        corpus.source("quick")
        == corpus.source("full")
        == [str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")]
    )
    monkeypatch.setenv("VOICE_ATLAS_CORPUS", str(folder(tmp_path / "mine", made(90, 8, seconds=0.01))))
    assert corpus.source("quick") == str(tmp_path / "mine")


def test_noises_come_from_beside_the_corpus_and_unreadable_ones_are_skipped(tmp_path, monkeypatch):
    """Catches one broken sound of 417 that stops a training, and noise at another rate."""
    assert corpus.noises() == []
    rows = [{"audio": data, "speaker": ""} for data in (sound(2.0, rate=44100), b"broken", sound(0.5))]
    parquet(tmp_path / "noise.parquet", rows)
    monkeypatch.setenv("VOICE_ATLAS_CORPUS", str(tmp_path))
    found = corpus.noises()
    assert [len(n) for n in found] == [32000] and found[0].dtype == np.float32


def hub_of(folder, rows):
    """A folder that `datasets` opens as it opens a set on the hub."""
    folder.mkdir()
    parquet(folder / "train.parquet", rows)
    return str(folder)


def test_noise_streams_from_the_hub_by_name(tmp_path, monkeypatch):
    """Catches noise that is asked for a text and a speaker.  Both sets are as their pages show them: MUSAN
    has files, FSD50K has the numbers of mp3 files in a column of lists."""
    files = [{"audio": {"bytes": sound(2.0, rate=44100, seed=i), "path": f"noise-free-sound-000{i}.wav"},
              "label": 0} for i in range(5)]
    musan = hub_of(tmp_path / "musan", files)
    lists = [{"fname": 64760 + i, "labels": "Rain", "mids": "/m/06mb1", "mp3": list(sound(1.5, seed=i))}
             for i in range(3)]
    lists[1]["labels"] = "Male_speech_and_man_speaking,Speech,Human_voice"  # is nothing to take away
    fsd50k = hub_of(tmp_path / "fsd50k", lists)
    monkeypatch.setitem(corpus.NOISES, musan, corpus.NOISES["FluidInference/musan"])
    monkeypatch.setitem(corpus.NOISES, fsd50k, corpus.NOISES["nguyenvulebinh/fsd50k"])
    found = corpus.noise_rows(source=[musan, fsd50k])
    assert [row["audio"] for row in found[:5]] == [file["audio"]["bytes"] for file in files]
    assert [row["id"] for row in found[4:6]] == ["noise-free-sound-0004.wav", "64760"]
    assert [row["text"] for row in found[4:6]] == ["", "Rain"]
    assert len(corpus.noise_rows(source=musan, hours=3.0 * 2 / 3600)) == 3
    monkeypatch.setenv("VOICE_ATLAS_NOISE", f"{musan}, {fsd50k}")
    assert [len(wav) for wav in corpus.noises()] == [32000] * 5 + [24000] * 2
    assert corpus.rooms() == []
    assert corpus.noise_source("full") is None
    monkeypatch.delenv("VOICE_ATLAS_NOISE")
    assert corpus.noise_source("quick") is None
    assert corpus.noise_source("full")[:2] == ["FluidInference/musan", "nguyenvulebinh/fsd50k"]
    sides = {noisy.is_fifth(row | {"id": f"noise-free-sound-{i:04d}.wav"})
             for i, row in enumerate(found[:1] * 40)}
    assert sides == {True, False}  # a set whose names begin alike is not kept or learned as one


def test_noise_that_cannot_be_had_says_what_to_do(tmp_path, monkeypatch):
    silent = hub_of(tmp_path / "silent", [{"label": 0}])
    with pytest.raises(ValueError, match=r"has the columns \['label'\], and no sound"):
        corpus.noise_rows(source=silent)
    with pytest.raises(ValueError, match="check the name and the network"):
        corpus.noise_rows(source="no/such-noise")
    monkeypatch.setenv("VOICE_ATLAS_NOISE", str(tmp_path / "gone.parquet"))
    with pytest.raises(ValueError, match="check VOICE_ATLAS_NOISE"):
        corpus.noises()


def test_native_unless_the_row_says_otherwise():
    """Catches learners whose phonemes are not those of the text, and a corpus without accents left empty."""
    assert all(corpus.is_native(row) for row in ({}, {"accent": None}, {"accent": ""}, {"accent": "native"}))
    assert not corpus.is_native({"accent": "Mandarin"})


def test_rooms_come_from_beside_the_corpus_and_begin_with_the_direct_sound(tmp_path, monkeypatch):
    """Catches an echo that delays the speech, and a response at another rate."""
    assert corpus.rooms() == []
    response = np.zeros(32000, "float32")
    response[8000] = 0.9
    response[12000] = -0.3
    data = io.BytesIO()
    soundfile.write(data, response, 32000, format="WAV")
    parquet(tmp_path / "rir.parquet", [{"audio": data.getvalue(), "speaker": ""}])
    monkeypatch.setenv("VOICE_ATLAS_CORPUS", str(tmp_path))
    room, = corpus.rooms()
    assert len(room) == 12000 and abs(room).argmax() == 0
    assert abs(room[1000:]).argmax() == 1000 and room[2000] < 0


def test_couples_are_two_people_who_say_the_same_words_where_they_can(embedded):
    """Catches pairs of one person, and words that are compared with other words for want of looking."""
    valid = [row for row in embedded if row["split"] == "valid"]
    pairs = corpus.couples(valid, valid, 8)
    assert len(pairs) == 8
    assert all(row["speaker"] != other["speaker"] for row, other in pairs)
    assert all(row["text"] == other["text"] for row, other in pairs)
    assert [row["id"] for row, _ in corpus.couples(valid, valid, 3)] == [row["id"] for row, _ in pairs[:3]]


def test_couples_with_other_words_come_last():
    people = [{"speaker": name, "text": text} for name, text in (("a", "one"), ("b", "two"), ("c", "three"))]
    others = [{"speaker": "d", "text": "two"}, {"speaker": "b", "text": "two"}]
    pairs = corpus.couples(people, others, 9)
    assert len(pairs) == 3
    assert pairs[0] == (people[1], others[0])
    alone = corpus.couples(people[1:2], others[1:], 1)
    assert alone == [(people[1], others[1])], "where nobody else is there"
