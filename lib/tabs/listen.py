"""The tab Listen: a blind listening test for people."""

import os
import tempfile
import threading
import uuid
from pathlib import Path

import gradio as gr
import numpy as np

from lib import show
from lib.evaluation import listening
from lib.tabs import about, context, visitor
from lib.voices import samples

NAME, NEEDS = "Listen", ("speaker_encoder", "tts")
KINDS = {
    "Naturalness (MOS)": "mos",
    "Same voice? (similarity)": "similarity",
    "Tell two systems apart (ABX)": "abx",
}
LABELS = {"mos": ["Sound"], "similarity": ["Reference", "Sound"], "abx": ["A", "B", "X"]}
PLAYERS = max(len(labels) for labels in LABELS.values())
COUNT = 12
CAPTION = "What all listeners said so far (ABX: share in which X was found; 0.5 is guessing)"


def places(voices):
    """(function that gives the folder of sounds, folder of votes): VOICE_ATLAS_LISTEN and VOICE_ATLAS_VOTES,
    else temporary ones.  Our own set is made when the first visitor asks for it, once."""
    scratch = Path(tempfile.mkdtemp(prefix="voice-atlas-listening-"))
    lock = threading.Lock()

    def sounds():
        with lock:
            return os.environ.get("VOICE_ATLAS_LISTEN") or samples.own_set(voices, scratch / "sounds")

    return sounds, Path(os.environ.get("VOICE_ATLAS_VOTES") or scratch / "votes")


def tally(votes):
    """The report on a folder of votes as a Markdown table."""
    rows = []
    for row in listening.report(votes):
        interval = "one vote: none" if np.isnan(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}"
        rows.append(
            {
                "question": row["kind"],
                "system": row["system"],
                "mean": row["mean"],
                "95 % interval": interval,
                "votes": row["votes"],
                "listeners": row["listeners"],
            }
        )
    return str(show.table(rows, CAPTION)) if rows else "No votes yet."


def finished():
    """What `screen` shows after the last trial."""
    hidden = [gr.update(visible=False, value=None)] * (PLAYERS + 2)
    return (
        "Thank you. That was the last one; the table below holds your votes, too.",
        *hidden,
        gr.update(visible=False),
    )


def screen(state, folder):
    """Updates of everything on the page for where a test stands: question, players, scale, choice, Next."""
    plan, number = state["plan"], state["number"]
    if number >= len(plan):
        return finished()
    trial = plan[number]
    players = []
    for path, label in zip(trial["sounds"], LABELS[trial["kind"]]):
        players.append(gr.update(value=listening.play(path, folder), label=label, visible=True))
    while len(players) < PLAYERS:
        players.append(gr.update(value=None, visible=False))
    question = f"**{number + 1} of {len(plan)}.** {listening.KINDS[trial['kind']]}"
    is_abx = trial["kind"] == "abx"
    rating = gr.update(visible=not is_abx, value=None)
    choice = gr.update(visible=is_abx, value=None)
    return question, *players, rating, choice, gr.update(visible=True)


def answer_of(trial, rating, choice):
    """What was answered to a trial.  Raises ValueError where nothing was."""
    answer = choice if trial["kind"] == "abx" else rating
    if answer is None:
        raise ValueError("There is no answer yet: choose one, then press Next.")
    return answer if trial["kind"] == "abx" else float(answer)


def callbacks(sounds, votes, folder):
    """The functions behind Start and Next.  Where a test stands is kept in the visitor's own state only."""

    @visitor.answering
    def start(kind):
        if kind not in KINDS:
            raise ValueError(f"There is no test {kind!r}: choose one of {list(KINDS)}.")
        plan = listening.trials(sounds(), KINDS[kind], np.random.default_rng(), COUNT)
        state = {"session": uuid.uuid4().hex, "number": 0, "plan": plan}
        return state, *screen(state, folder), tally(votes)

    @visitor.answering
    def following(state, rating, choice):
        if not state or state["number"] >= len(state["plan"]):
            raise ValueError("No test is running: press Start.")
        trial = state["plan"][state["number"]]
        answer = answer_of(trial, rating, choice)
        listening.vote(votes, state["session"], state["number"], trial, answer)
        state = state | {"number": state["number"] + 1}
        return state, *screen(state, folder), tally(votes)

    return start, following


def build(page):
    """Lay out the tab inside a gr.Blocks; page: a context.Context.  The sounds are those of `places`."""
    sounds, votes = places(page.voices)
    gr.Markdown(
        f"Be the judge: {COUNT} short trials, in random order, all equally loud, and nobody tells which "
        "system made what. Headphones help. Only your answers are kept, under a random number: no name, no "
        "address, no time."
    )
    state = context.state()
    with gr.Row():
        kind = gr.Radio(list(KINDS), value=next(iter(KINDS)), label="Test", scale=3)
        begin = gr.Button("Start", variant="primary", min_width=120)
    question = gr.Markdown()
    with gr.Row():
        players = [
            gr.Audio(
                visible=False,
                interactive=False,
                type="filepath",
                buttons=[],
                min_width=200,
                waveform_options=context.colours(),
                elem_classes="result",
            )
            for _ in range(PLAYERS)
        ]
    steps = [f"{value:g}" for value in listening.SCALE]
    rating = gr.Radio(steps, label="1 bad, 2 poor, 3 fair, 4 good, 5 excellent", visible=False)
    choice = gr.Radio(["A", "B"], label="X is", visible=False)
    go_on = gr.Button("Next", visible=False)
    table = gr.Markdown(tally(votes))
    gr.Markdown(about.model(page.voices.bundle, "tts"), elem_classes="about")
    start, following = callbacks(sounds, votes, players[0].GRADIO_CACHE)
    shown = [state, question, *players, rating, choice, go_on, table]
    begin.click(start, kind, shown, api_name="listen_start", concurrency_limit=context.OTHERS_AT_ONCE)
    go_on.click(
        following,
        [state, rating, choice],
        shown,
        api_name="listen_next",
        concurrency_limit=context.OTHERS_AT_ONCE,
    )
