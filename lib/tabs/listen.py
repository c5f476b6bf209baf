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

KINDS = {"Naturalness (MOS)": "mos", "Same voice? (similarity)": "similarity", "Tell two systems apart (ABX)": "abx"}
LABELS = {"mos": ["Sound"], "similarity": ["Reference", "Sound"], "abx": ["A", "B", "X"]}
COUNT = 12


def places(voices):
    """(function that gives the folder of sounds, folder of votes): VOICE_ATLAS_LISTEN and VOICE_ATLAS_VOTES, else temporary ones.

    Our own set is made when the first visitor asks for it, once.
    """
    scratch, lock = Path(tempfile.mkdtemp(prefix="voice-atlas-listening-")), threading.Lock()

    def sounds():
        with lock:
            return os.environ.get("VOICE_ATLAS_LISTEN") or listening.own_set(voices, scratch / "sounds")
    return sounds, Path(os.environ.get("VOICE_ATLAS_VOTES") or scratch / "votes")


def tally(votes):
    """The report on a folder of votes as a Markdown table."""
    rows = listening.report(votes)
    if not rows:
        return "No votes yet."
    shown = [{"question": row["kind"], "system": row["system"], "mean": row["mean"],
              "95 % interval": "one vote: none" if np.isnan(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}",
              "votes": row["votes"], "listeners": row["listeners"]} for row in rows]
    return str(show.table(shown, "What all listeners said so far (ABX: share in which X was found; 0.5 is guessing)"))


def screen(state, folder):
    """Updates of everything on the page for where a test stands: question, three players, scale, choice, Next, Start's column."""
    plan, number = state["plan"], state["number"]
    if number >= len(plan):
        hidden = [gr.update(visible=False, value=None)] * 5
        return "Thank you. That was the last one; the table below holds your votes, too.", *hidden, gr.update(visible=False)
    trial = plan[number]
    paths = [listening.play(path, folder) for path in trial["sounds"]]
    labels = LABELS[trial["kind"]]
    players = [gr.update(value=path, label=label, visible=True) for path, label in zip(paths, labels)]
    players += [gr.update(value=None, visible=False)] * (3 - len(players))
    question = f"**{number + 1} of {len(plan)}.** {listening.KINDS[trial['kind']]}"
    abx = trial["kind"] == "abx"
    return question, *players, gr.update(visible=not abx, value=None), gr.update(visible=abx, value=None), gr.update(visible=True)


def callbacks(sounds, votes, folder):
    """The functions behind Start and Next.  Where a test stands is kept in the visitor's own state, nowhere else."""
    def start(kind):
        try:
            if kind not in KINDS:
                raise ValueError(f"There is no test {kind!r}: choose one of {list(KINDS)}.")
            plan = listening.trials(sounds(), KINDS[kind], np.random.default_rng(), COUNT)
            state = {"session": uuid.uuid4().hex, "number": 0, "plan": plan}
            return state, *screen(state, folder), tally(votes)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def following(state, rating, choice):
        try:
            if not state or state["number"] >= len(state["plan"]):
                raise ValueError("No test is running: press Start.")
            trial = state["plan"][state["number"]]
            answer = choice if trial["kind"] == "abx" else rating and float(rating)
            if answer is None:
                raise ValueError("There is no answer yet: choose one, then press Next.")
            listening.vote(votes, state["session"], state["number"], trial, answer)
            state = state | {"number": state["number"] + 1}
            return state, *screen(state, folder), tally(votes)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error
    return start, following


def build(voices):
    """Lay out the tab inside a gr.Blocks; the sounds are those of `places`."""
    sounds, votes = places(voices)
    colours = gr.WaveformOptions(waveform_color="#737373", waveform_progress_color=show.COLOURS[0])
    gr.Markdown(f"Be the judge: {COUNT} short trials, in random order, all equally loud, and nobody tells which system made what. "
                "Headphones help. Only your answers are kept, under a random number: no name, no address, no time.")
    state = gr.State(time_to_live=3600)
    with gr.Row():
        kind = gr.Radio(list(KINDS), value=next(iter(KINDS)), label="Test", scale=3)
        begin = gr.Button("Start", variant="primary", min_width=120)
    question = gr.Markdown()
    with gr.Row():
        players = [gr.Audio(visible=False, interactive=False, type="filepath", buttons=[], waveform_options=colours, min_width=200,
                            elem_classes="result") for _ in range(3)]
    rating = gr.Radio([f"{value:g}" for value in listening.SCALE], label="1 bad, 2 poor, 3 fair, 4 good, 5 excellent", visible=False)
    choice = gr.Radio(["A", "B"], label="X is", visible=False)
    go_on = gr.Button("Next", visible=False)
    table = gr.Markdown(tally(votes))
    start, following = callbacks(sounds, votes, players[0].GRADIO_CACHE)
    shown = [state, question, *players, rating, choice, go_on, table]
    begin.click(start, kind, shown, api_name="listen_start", concurrency_limit=2)
    go_on.click(following, [state, rating, choice], shown, api_name="listen_next", concurrency_limit=2)
