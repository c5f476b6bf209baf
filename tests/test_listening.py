"""The listening test: blind, level-matched, balanced; votes of two people do not mix, and nothing else is
kept."""
import csv
import uuid
from collections import Counter

import gradio as gr
import numpy as np
import pytest

from lib import audio
from lib.evaluation import listening, statistics
from lib.tabs import context, listen
from lib.voices import samples


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
        assert [path.parent.name for path in trial["sounds"][:len(expected)]] == expected
        assert all(path.stem == trial["clip"] for path in trial["sounds"])
        assert trial["other"] != trial["system"]
    if kind == "abx":
        assert all(len(trial["sounds"]) == 3 and trial["sounds"][2] in trial["sounds"][:2] for trial in plan)
        assert len({trial["sounds"].index(trial["sounds"][2]) for trial in plan}) == 2


def test_what_cannot_be_tested_is_refused(sounds, tmp_path):
    """Catches a test of one system, and similarity to nothing."""
    for path in (sounds / "reference").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="reference"):
        listening.trials(sounds, "similarity", np.random.default_rng(0))
    with pytest.raises(ValueError, match="kinds are"):
        listening.trials(sounds, "beauty", np.random.default_rng(0))
    with pytest.raises(ValueError, match="0 systems"):
        listening.systems(tmp_path / "nowhere")


def test_neither_name_nor_level_gives_a_system_away(sounds, tmp_path):
    """Catches the two ways in which listeners are unblinded."""
    paths = [listening.play(sounds / system / "clip1.wav", tmp_path / "cache") for system in "abc"]
    levels = [audio.speech_level(audio.load(path)[1]) for path in paths]
    assert max(levels) - min(levels) < 0.5
    assert len(set(paths)) == 3 and not any(str(sounds) in path or "clip1" in path for path in paths)


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
    assert (a["mean"], a["low"], a["high"]) == pytest.approx(statistics.mos_ci([4.75, 2.0, 3.0]))
    assert b["mean"] == 1.5 and np.isnan(b["low"])
    assert listening.report(tmp_path / "nobody") == []


def test_abx_counts_what_was_found(sounds, tmp_path):
    """Catches a share of A in place of a share of right answers, and an interval outside 0 to 1."""
    one = session()
    for number, trial in enumerate(listening.trials(sounds, "abx", np.random.default_rng(0), 8)):
        listening.vote(tmp_path, one, number, trial, "AB"[trial["sounds"].index(trial["sounds"][2])])
    rows = listening.report(tmp_path)
    assert sum(row["votes"] for row in rows) == 8 and all(" or " in row["system"] for row in rows)
    assert all(row["mean"] == 1 and 0 <= row["low"] < 1 and row["high"] <= 1 + 1e-9 for row in rows)


def test_two_people_at_once_do_not_mix(sounds, tmp_path):
    """The tab: two visitors take turns; each has an own order, an own place in it and an own file."""
    start, following = listen.callbacks(lambda: sounds, tmp_path / "votes", tmp_path / "cache")
    kind = next(iter(listen.KINDS))
    states = [start(kind)[0] for _ in range(2)]
    for number in range(listen.COUNT):
        for k in range(2):
            states[k], question, *_ = following(states[k], ["4.5", "2"][k], None)
            assert states[k]["number"] == number + 1
    assert "last one" in question
    for state, answer in zip(states, ("4.5", "2.0")):
        with open(tmp_path / "votes" / f"{state['session']}.csv", newline="") as file:
            assert [line["answer"] for line in csv.DictReader(file)] == [answer] * listen.COUNT
    with pytest.raises(gr.Error, match="press Start"):
        following(states[0], "3", None)
    with pytest.raises(gr.Error, match="no answer yet"):
        following(start(kind)[0], None, None)
    with pytest.raises(gr.Error, match="press Start"):
        following(None, "3", None)
    assert f"{2 * listen.COUNT // 3} |" in listen.tally(tmp_path / "votes")


def test_our_own_set_is_made_once(tiny_voices, tmp_path):
    """Catches a set that is half made, or made again for every visitor."""
    folder = samples.own_set(tiny_voices, tmp_path / "set", clips=2)
    found = listening.systems(folder)
    assert {"recorded", "coded", "tts", "tts, Baseline", "tts, +LF", "reference"} <= set(found)
    assert all(len(clips) == 2 for clips in found.values())
    clip = min(found["tts"])
    stamp = found["tts"][clip].stat().st_mtime_ns
    samples.own_set(tiny_voices, folder, clips=2)
    assert found["tts"][clip].stat().st_mtime_ns == stamp
    assert [trial["kind"]
            for trial in listening.trials(folder, "similarity", np.random.default_rng(0),
                                          3)] == ["similarity"] * 3


def test_a_system_that_is_not_shipped_says_the_same_clips(tiny_voices, tmp_path):
    """Catches clips under other names than those of our own set: no trial would ever play them."""
    samples.speak_set(tiny_voices, tmp_path / "tts, new", clips=2)
    own = listening.systems(samples.own_set(tiny_voices, tmp_path / "set", clips=2))
    made = {path.stem: audio.load(path)[1] for path in (tmp_path / "tts, new").glob("*.ogg")}
    assert set(made) == set(own["tts"])
    for clip, wav in made.items():
        assert abs(len(wav) - len(audio.load(own["tts"][clip])[1])) < 0.1 * audio.RATE


def test_the_page_can_be_built(tiny_voices):
    """Catches a component that this gradio does not know."""
    with gr.Blocks() as page:
        listen.build(context.Context(tiny_voices, None, gr.State()))
    assert {"listen_start", "listen_next"} <= {fn.api_name for fn in page.fns.values()}
