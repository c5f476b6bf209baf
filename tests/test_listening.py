"""The listening test: blind, level-matched, balanced; votes of two people do not mix, and nothing else is
kept."""
import base64
import contextlib
import csv
import uuid
from collections import Counter

import gradio as gr
import numpy as np
import pytest
import torch
from conftest import with_frames

from lib import audio
from lib.data import corpus
from lib.evaluation import listening, statistics
from lib.tabs import context, listen
from lib.voices import Voices, samples


@pytest.fixture
def sounds(tmp_path):
    """A folder of three systems and a reference, four clips each, every system at another level."""
    rng, t = np.random.default_rng(0), np.arange(audio.RATE) / audio.RATE
    for level, system in zip((0.02, 0.1, 0.3, 0.05), ("a", "b", "c", "reference")):
        (tmp_path / "sounds" / system).mkdir(parents=True)
        for k in range(4):
            wav = level * np.sin(2 * np.pi * (150 + 50 * k) * t) + 0.001 * rng.standard_normal(len(t))
            audio.save(tmp_path / "sounds" / system / f"clip{k}.wav", audio.RATE, wav)
    return tmp_path / "sounds"


@pytest.fixture
def uneven(tmp_path):
    """Six sentences by three systems and a reference, each with lengths, levels and silences of its own."""
    rng = np.random.default_rng(3)
    rows = corpus.rows()[:6]
    for number, system in enumerate(("a", "b", "c", "reference")):
        (tmp_path / "uneven" / system).mkdir(parents=True)
        for k, row in enumerate(rows):
            wav = corpus.wav(row)[: (2 + number) * audio.RATE // 2] * (0.2 + 0.2 * number)
            wav = wav + 1e-4 * rng.standard_normal(len(wav))
            before, after = np.zeros(number * 2000), np.zeros(3000 - number * 700)
            audio.save(tmp_path / "uneven" / system / f"clip{k}.wav", audio.RATE,
                       np.concatenate([before, wav, after]))
    return tmp_path / "uneven"


@contextlib.contextmanager
def seeded_trials():
    """Orders of trials that are the same in every run of the tests."""
    rngs = iter(range(1000))
    draw = np.random.default_rng
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listen.np.random, "default_rng", lambda *given: draw(*given or [next(rngs)]))
        yield


def session():
    return uuid.uuid4().hex


@pytest.mark.parametrize("kind", list(listening.KINDS))
def test_trials_are_balanced_and_random(sounds, kind):
    """Catches a system that is heard more often than another, an order that is always the same, an X that is
    neither A nor B."""
    plan = listening.trials(sounds, kind, np.random.default_rng(0), 12)
    assert Counter(trial["system"] for trial in plan) == dict(a=4, b=4, c=4)
    assert plan != listening.trials(sounds, kind, np.random.default_rng(1), 12)
    for trial in plan:
        expected = {"mos": [trial["system"]], "similarity": ["reference", trial["system"]],
                    "abx": [trial["system"], trial["other"]]}[kind]
        found = [path.parent.name for path in trial["sounds"][:len(expected)]]
        assert found == expected or kind == "abx" and found == expected[::-1]
        assert all(path.stem == trial["clip"] for path in trial["sounds"][:2])
        assert trial["other"] != trial["system"]


def test_x_is_another_sentence_by_the_system_of_a_or_b(sounds):
    """Catches an X that is A or B itself: who compares samples finds it without listening."""
    plan = listening.trials(sounds, "abx", np.random.default_rng(0), 40)
    for trial in plan:
        a, b, x = trial["sounds"]
        assert x.stem not in (a.stem, b.stem) and x.parent == {"A": a, "B": b}[trial["x"]].parent
    right = sum(trial["x"] == "A" for trial in plan)
    first = sum(trial["sounds"][0].parent.name == trial["system"] for trial in plan)
    assert 8 <= right <= 32 and 8 <= first <= 32, "one answer is right too often"


def test_what_cannot_be_tested_is_refused(sounds, tmp_path):
    """Catches a test of one system, and similarity to nothing."""
    for path in (sounds / "reference").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="reference"):
        listening.trials(sounds, "similarity", np.random.default_rng(0))
    with pytest.raises(ValueError, match="kinds are"):
        listening.trials(sounds, "beauty", np.random.default_rng(0))
    for path in sounds.glob("*/clip[1-3].wav"):
        path.unlink()
    with pytest.raises(ValueError, match="two clips"):
        listening.trials(sounds, "abx", np.random.default_rng(0))
    with pytest.raises(ValueError, match="0 systems"):
        listening.systems(tmp_path / "nowhere")


def test_sounds_are_equally_loud_and_long(uneven):
    """Catches the ways in which listeners are unblinded: level, length, size, silence before a word."""
    for kind in listening.KINDS:
        for trial in listening.trials(uneven, kind, np.random.default_rng(0), 6):
            files = listening.play(trial)
            wavs = [audio.load(file)[1] for file in files]
            levels = [audio.speech_level(wav) for wav in wavs]
            assert max(levels) - min(levels) < 0.5 and len({len(file) for file in files}) == 1
            assert len({len(wav) for wav in wavs}) == 1
            starts = [np.argmax(np.abs(wav) > 0.1 * np.abs(wav).max()) for wav in wavs]
            assert max(starts) < 0.2 * audio.RATE
            assert not any(word in file for file in files for word in (b"clip", b"LIST", b"Synthetic"))


# What a script may compare: each takes (file, samples) of one sound.
CHEATS = {
    "length": lambda file, wav: len(wav),
    "bytes": lambda file, wav: len(file),
    "level": lambda file, wav: float(np.sqrt(np.mean(wav**2))),
    "speech level": lambda file, wav: audio.speech_level(wav),
    "peak": lambda file, wav: float(np.abs(wav).max()),
    "first sound": lambda file, wav: int(np.argmax(np.abs(wav) > 0.02)),
    "last sound": lambda file, wav: int(np.argmax(np.abs(wav[::-1]) > 0.02)),
    "head of the file": lambda file, wav: sum(file[:44]),
}


def guesses(sounds, rng):
    """{way to cheat: guess}: what is nearer to X by everything that a page is given, noise where both are."""
    a, b, x = [base64.b64decode(sound["sound"].partition(",")[2]) for sound in sounds]
    wavs = {file: audio.load(file)[1] for file in (a, b, x)}
    found = {}
    for name, measure in CHEATS.items():
        far = [abs(measure(file, wavs[file]) - measure(x, wavs[x])) for file in (a, b)]
        found[name] = "AB"[rng.integers(2) if far[0] == far[1] else int(far[1] < far[0])]
    found["same bytes"] = "A" if a == x else "B" if b == x else "AB"[rng.integers(2)]
    spectra = [np.fft.rfft(wavs[file], 2 * len(wavs[x])) for file in (a, b)]
    aligned = np.conj(np.fft.rfft(wavs[x], 2 * len(wavs[x])))
    found["the same samples, shifted"] = "AB"[int(np.argmax(
        [np.abs(np.fft.irfft(spectrum * aligned)).max() for spectrum in spectra]))]
    return found


def test_who_cheats_stays_at_chance(uneven, tmp_path):
    """Catches an X that a script finds by anything that the page or the API tells: 96 trials, ten ways.

    The three systems say each sentence as long and loud as they like, and with the same words and voice."""
    begin, go_on = listen.published(lambda: uneven, tmp_path / "votes")
    rng, right, count = np.random.default_rng(5), Counter(), 0
    with seeded_trials():
        for _ in range(8):
            state, asked, tally = begin("Tell two systems apart (ABX)")
            while asked:
                assert tally is None, "what others said helps to guess"
                told = set(asked) | set(asked["sounds"][0])
                assert told == {"number", "of", "kind", "question", "sounds", "label", "sound"}
                x = state["plan"][state["number"]]["x"]
                for way, guess in guesses(asked["sounds"], rng).items():
                    right[way] += guess == x
                count += 1
                state, asked, tally = go_on("A", state)
            assert tally
    low, high = count * 0.5 - 3 * np.sqrt(count / 4), count * 0.5 + 3 * np.sqrt(count / 4)
    assert all(low <= right[way] <= high for way in right), (count, right)


def test_votes_are_kept_by_session_and_hold_nothing_else(sounds, tmp_path):
    """Catches columns that say who or when, a header written twice, and two sessions in one file."""
    votes, one, two = tmp_path / "votes", session(), session()
    plan = listening.trials(sounds, "mos", np.random.default_rng(0), 4)
    for number, trial in enumerate(plan):
        listening.vote(votes, one, number, trial, 4.5)
        listening.vote(votes, two, number, trial, 2.0)
    assert {path.name for path in votes.iterdir()} == {f"{one}.csv", f"{two}.csv"}
    with open(votes / f"{one}.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == listening.COLUMNS == ("session", "number", "kind", "clip", "system", "other",
                                                    "answer", "right")
    assert [line["answer"] for line in lines] == ["4.5"] * 4 and {line["session"] for line in lines} == {one}
    assert [line["system"] for line in lines] == [trial["system"] for trial in plan]


@pytest.mark.parametrize(("kind", "answer"),
                         [("mos", 5.5), ("mos", 0), ("mos", 3.3), ("mos", "A"), ("abx", "X"), ("abx", 3.0),
                                              ("similarity", None)])
def test_other_answers_are_refused(sounds, tmp_path, kind, answer):
    """Catches a vote off the scale, which would bend a mean for good."""
    trial = listening.trials(sounds, kind, np.random.default_rng(0), 1)[0]
    with pytest.raises(ValueError, match="no answer here"):
        listening.vote(tmp_path / "votes", session(), 0, trial, answer)
    with pytest.raises(AssertionError):
        listening.vote(tmp_path / "votes", "../../etc/passwd", 0, trial, 3.0)
    assert not (tmp_path / "votes").exists()


def test_means_and_intervals(sounds, tmp_path):
    """Each listener counts once: who votes more often must not outvote the others."""
    plan = {trial["system"]: trial for trial in listening.trials(sounds, "mos", np.random.default_rng(0), 3)}
    for answers in ([5.0, 5.0, 5.0, 4.0], [2.0], [3.0]):
        listener = session()
        for k, answer in enumerate(answers):
            listening.vote(tmp_path, listener, k, plan["a"], answer)
    listening.vote(tmp_path, session(), 0, plan["b"], 1.5)
    a, b = listening.report(tmp_path)
    assert (a["system"], a["votes"], a["listeners"]) == ("a", 6, 3) and (b["system"], b["votes"]) == ("b", 1)
    mean, low, high = statistics.mos_ci([4.75, 2.0, 3.0])
    assert low < 1 and high > 5 and (a["mean"], a["low"], a["high"]) == (pytest.approx(mean), 1, 5)
    assert b["mean"] == 1.5 and np.isnan(b["low"])
    assert listening.report(tmp_path / "nobody") == []


def test_abx_counts_what_was_found(sounds, tmp_path):
    """Catches a share of A in place of a share of right answers, and an interval outside 0 to 1."""
    one = session()
    for number, trial in enumerate(listening.trials(sounds, "abx", np.random.default_rng(0), 8)):
        listening.vote(tmp_path, one, number, trial, trial["x"])
    rows = listening.report(tmp_path)
    assert sum(row["votes"] for row in rows) == 8 and all(" or " in row["system"] for row in rows)
    assert all(row["mean"] == 1 and 0 <= row["low"] < 1 and row["high"] <= 1 + 1e-9 for row in rows)


def test_two_people_at_once_do_not_mix(sounds, tmp_path):
    """The tab: two visitors take turns; each has an own order, an own place in it and an own file."""
    start, following = listen.callbacks(lambda: sounds, lambda: False, tmp_path / "votes")
    kind = next(iter(listen.KINDS))
    states = [next(start(kind))[0] for _ in range(2)]
    for number in range(listen.COUNT):
        for k in range(2):
            states[k], question, *_, table = following(states[k], ["4.5", "2"][k], None)
            assert states[k]["number"] == number + 1
            assert table == listen.HIDDEN or number + 1 == listen.COUNT
    assert "last one" in question and f"{2 * listen.COUNT // 3} |" in table
    for state, answer in zip(states, ("4.5", "2.0")):
        with open(tmp_path / "votes" / f"{state['session']}.csv", newline="") as file:
            assert [line["answer"] for line in csv.DictReader(file)] == [answer] * listen.COUNT
    with pytest.raises(ValueError, match="press Start"):
        following(states[0], "3", None)
    with pytest.raises(ValueError, match="no answer yet"):
        following(next(start(kind))[0], None, None)
    with pytest.raises(ValueError, match="no answer here"):
        following(next(start(kind))[0], "3.3", None)
    with pytest.raises(ValueError, match="press Start"):
        following(None, "3", None)


def test_intervals_stay_on_the_scale_and_systems_are_explained(sounds, tmp_path):
    """Catches an interval up to 5.4 of 5, and a name that only its authors understand."""
    trial = listening.trials(sounds, "mos", np.random.default_rng(0), 1)[0] | {"system": "tts, +LF"}
    for answer in (5.0, 5.0, 4.0):
        listening.vote(tmp_path, session(), 0, trial, answer)
    (row,) = listening.report(tmp_path)
    assert row["high"] == 5.0 and 1 <= row["low"] < 5
    assert listen.SYSTEMS["tts, +LF"] in listen.tally(tmp_path)


def test_the_first_start_says_what_it_prepares(sounds, tmp_path):
    """Catches a visitor who waits for a minute before a page that says nothing."""
    start, _ = listen.callbacks(lambda: sounds, lambda: True, tmp_path)
    given = list(start(next(iter(listen.KINDS))))
    assert given[0][1] == listen.PREPARING and "1 of" in given[1][1]


def test_our_own_set_is_made_once(tiny_voices, tmp_path):
    """Catches a set that is half made, or made again for every visitor."""
    folder = samples.own_set(tiny_voices, tmp_path / "set", clips=2)
    found = listening.systems(folder)
    assert {"recorded", "coded", "speak", "tts, Baseline", "tts, +LF", "reference"} <= set(found)
    assert set(found) - {"reference"} <= set(listen.SYSTEMS)
    assert all(len(clips) == 2 for clips in found.values())
    clip = min(found["speak"])
    stamp = found["speak"][clip].stat().st_mtime_ns
    samples.own_set(tiny_voices, folder, clips=2)
    assert found["speak"][clip].stat().st_mtime_ns == stamp
    assert [trial["kind"]
            for trial in listening.trials(folder, "similarity", np.random.default_rng(0),
                                          3)] == ["similarity"] * 3


def test_a_system_that_is_not_shipped_says_the_same_clips(tiny_voices, tmp_path):
    """Catches clips under other names than those of our own set: no trial would ever play them."""
    samples.speak_set(tiny_voices, tmp_path / "tts, new", clips=2)
    own = listening.systems(samples.own_set(tiny_voices, tmp_path / "set", clips=2))
    made = {path.stem: audio.load(path)[1] for path in (tmp_path / "tts, new").glob("*.ogg")}
    assert set(made) == set(own["speak"])
    for clip, wav in made.items():
        assert abs(len(wav) - len(audio.load(own["speak"][clip])[1])) < 0.1 * audio.RATE


def test_what_was_put_in_the_place_of_tts_speaks_for_itself(tiny_root, tiny_voices, tmp_path):
    """Catches two runs of lesson 04 that sound alike, as `speak` asks others where they are installed."""
    torch.manual_seed(0)
    voices = Voices.load(tiny_root)
    with_frames(voices)
    for name, who in (("beside", voices), ("alone", tiny_voices)):
        samples.speak_set(who, tmp_path / name, clips=1)
    beside, alone = (audio.load(next((tmp_path / name).glob("*.ogg")))[1] for name in ("beside", "alone"))
    np.testing.assert_allclose(beside, alone, atol=1e-4)


def test_the_page_can_be_built(tiny_voices):
    """Catches a component that this gradio does not know, a waveform, and a Next that waits for no answer."""
    with gr.Blocks() as page:
        listen.build(context.Context(tiny_voices, None, gr.State()))
    assert {"listen_start", "listen_next"} <= {fn.api_name for fn in page.fns.values()}
    assert not [block for block in page.blocks.values() if isinstance(block, gr.Audio)]
    (go_on,) = [block for block in page.blocks.values() if getattr(block, "value", None) == "Next"]
    assert go_on.interactive is False
    asked = {"number": 1, "of": 12, "kind": "abx", "question": "?", "sounds": []}
    assert listen.screen(asked, None)[4]["interactive"] is False
    freed = [fn for fn in page.fns.values() if fn.outputs == [go_on]]
    assert len(freed) == 2 and all(fn.fn().interactive for fn in freed)
