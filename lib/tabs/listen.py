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
from lib.tabs import about, context, endpoints, plays, visitor
from lib.tabs.hints import Hints
from lib.voices import samples

NAME, NEEDS = "Listen", ("speaker_encoder", "tts")
KINDS = {
    "Naturalness (MOS)": "mos",
    "Same voice? (similarity)": "similarity",
    "Tell two systems apart (ABX)": "abx",
}
LABELS = {"mos": ["Sound"], "similarity": ["Reference", "Sound"], "abx": ["A", "B", "X"]}
TEST, RATING, CHOICE = "Test", "1 bad, 2 poor, 3 fair, 4 good, 5 excellent", "X is made like"
COUNT = 12
CAPTION = "What all listeners said so far (ABX: share in which X was found; 0.5 is guessing)"
PREPARING = (
    "You are the first: the app makes the sounds, once for everybody, which takes up to a minute. "
    "The first question comes here."
)
STEPS = {f"{value:g}": value for value in listening.SCALE}  # as the page writes them
HIDDEN = "What others said is shown after your last answer, so that it does not sway you."
SYSTEMS = {
    "recorded": "the recording itself, of a virtual voice",
    "coded": "that recording through the codec: what the models can reach at best",
    "speak": "the tab Speak, in the voice of another clip",
    "conversion": "the tab Convert, from another voice that says the same",
    "tts, Baseline": "lesson 04, trained without latent filling, by the codec of lesson 03",
    "tts, +LF": "lesson 04, trained with latent filling, by the codec of lesson 03",
}


def places(voices):
    """(function that gives the folder of sounds, whether it must make them first, folder of votes).

    VOICE_ATLAS_LISTEN and VOICE_ATLAS_VOTES, else temporary ones; our own set is made when the first visitor
    asks for it, once."""
    scratch = Path(tempfile.mkdtemp(prefix="voice-atlas-listening-"))
    lock = threading.Lock()
    own = scratch / "sounds"

    def sounds():
        with lock:
            return os.environ.get("VOICE_ATLAS_LISTEN") or samples.own_set(voices, own)

    def is_missing():
        return not os.environ.get("VOICE_ATLAS_LISTEN") and not own.is_dir()

    return sounds, is_missing, Path(os.environ.get("VOICE_ATLAS_VOTES") or scratch / "votes")


def tally(votes):
    """The report on a folder of votes as Markdown: a table, and what its systems are."""
    rows, names = [], set()
    for row in listening.report(votes):
        interval = "one vote: none" if np.isnan(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}"
        names.update(row["system"].split(" or "))
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
    if not rows:
        return "No votes yet."
    lines = [f"- **{name}**: {words}" for name, words in SYSTEMS.items() if name in names]
    return "\n".join([str(show.table(rows, CAPTION)), "", *lines])


def question(state):
    """What a test asks now: {number, of, kind, question, sounds: [{label, sound}]}, or None after the end.

    Only that leaves the server: which system made what, and which of A and B is right, stays in `state`."""
    if state["number"] >= len(state["plan"]):
        return None
    trial = state["plan"][state["number"]]
    sounds = zip(LABELS[trial["kind"]], listening.play(trial), strict=True)
    return {
        "number": state["number"] + 1,
        "of": len(state["plan"]),
        "kind": trial["kind"],
        "question": listening.KINDS[trial["kind"]],
        "sounds": [plays.button(label, sound) for label, sound in sounds],
    }


def screen(asked, votes):
    """Updates of the page: question, players, scale, choice, Next, and the tally after the end."""
    if asked is None:
        off = gr.update(visible=False)
        words = "Thank you. That was the last one; the table below holds your votes, too."
        return words, gr.update(value=[], visible=False), off, off, off, tally(votes)
    words = f"**{asked['number']} of {asked['of']}.** {asked['question']}"
    is_abx = asked["kind"] == "abx"
    return (
        words,
        gr.update(value=asked["sounds"], visible=True),
        gr.update(visible=not is_abx, value=None),
        gr.update(visible=is_abx, value=None),
        gr.update(visible=True, interactive=False),
        HIDDEN,
    )


def answer_of(trial, rating, choice):
    """What was answered to a trial.  Raises ValueError where nothing was."""
    answer = choice if trial["kind"] == "abx" else rating
    if answer is None:
        raise ValueError("There is no answer yet: choose one, then press Next.")
    return answer if trial["kind"] == "abx" else STEPS.get(str(answer), answer)


def begun(kind, sounds):
    """The state of a new test.  Raises WrongField for a kind that there is not."""
    if kind not in KINDS:
        raise visitor.WrongField(TEST, f"there is no {kind!r}: choose one of {', '.join(KINDS)}.")
    plan = listening.trials(sounds(), KINDS[kind], np.random.default_rng(), COUNT)
    return {"session": uuid.uuid4().hex, "number": 0, "plan": plan}


def answered(state, rating, choice, votes):
    """The state after an answer, which is kept.  Raises ValueError where there is none, or no test."""
    if not state or state["number"] >= len(state["plan"]):
        raise ValueError("No test is running: press Start.")
    trial = state["plan"][state["number"]]
    answer = answer_of(trial, rating, choice)
    listening.vote(votes, state["session"], state["number"], trial, answer)
    return state | {"number": state["number"] + 1}


def callbacks(sounds, is_missing, votes):
    """The functions behind Start and Next.  Where a test stands is kept in the visitor's own state only."""

    def start(kind):
        if is_missing():
            yield gr.skip(), PREPARING, *[gr.skip()] * 5
        state = begun(kind, sounds)
        yield state, *screen(question(state), votes)

    def following(state, rating, choice):
        state = answered(state, rating, choice, votes)
        return state, *screen(question(state), votes)

    return start, following


def published(sounds, votes):
    """The same as values for a script."""

    def listen_start(kind):
        """Begin a blind listening test and ask its first question."""
        state = begun(kind, sounds)
        return state, question(state), None

    def listen_next(answer, state):
        """Answer the question of this session and get the next one, or the tally after the last."""
        state = answered(state, answer, answer, votes)
        asked = question(state)
        return state, asked, None if asked else tally(votes)

    return listen_start, listen_next


def publish(sounds, votes, state):
    """Make /listen_start and /listen_next public."""
    listen_start, listen_next = published(sounds, votes)
    limits = dict(concurrency_limit=context.OTHERS_AT_ONCE)
    with endpoints.hidden():
        gives = [
            state,
            endpoints.values(
                "Question", "number, of, kind, question, sounds (label, data: address); null after the end"
            ),
            endpoints.words("Tally", "Markdown: what all listeners said; null before the end"),
        ]
        kind = endpoints.choice(TEST, "Which question is asked", list(KINDS), next(iter(KINDS)))
        endpoints.publish(listen_start, [kind], gives, "listen_start", **limits)
        answer = endpoints.words("Answer", "1 to 5 in halves, or A or B")
        endpoints.publish(listen_next, [answer, state], gives, "listen_next", **limits)


def build(page):
    """Lay out the tab inside a gr.Blocks; page: a context.Context.  The sounds are those of `places`."""
    sounds, is_missing, votes = places(page.voices)
    gr.Markdown(
        f"Be the judge: {COUNT} short trials, in random order, equally loud and long, and nobody tells which "
        "system made what. Headphones help. Only your answers are kept, under a random number: no name, no "
        "address, no time. The first start of all takes up to a minute: the app makes its sounds then."
    )
    hints = Hints()
    state = context.state()
    kind = gr.Radio(list(KINDS), value=next(iter(KINDS)), label=TEST)
    begin = gr.Button("Start", variant="primary")
    hints.beside(TEST)
    asked = gr.Markdown(elem_id="asked")
    players = plays.build(visible=False, elem_id="trial")
    rating = gr.Radio(list(STEPS), label=RATING, visible=False)
    choice = gr.Radio(["A", "B"], label=CHOICE, visible=False)
    go_on = gr.Button("Next", visible=False, interactive=False)
    hints.beside()
    table = gr.Markdown(elem_id="tally")
    about.build(about.model(page.voices.bundle, about.speaking(page.voices.bundle)), "listen")
    start, following = callbacks(sounds, is_missing, votes)
    shown = [state, asked, players, rating, choice, go_on, table]
    private = dict(api_visibility="private", concurrency_limit=context.OTHERS_AT_ONCE)
    told, lines = hints.telling, hints.outputs()
    begin.click(told(start, len(shown)), kind, [*shown, *lines], show_progress_on=[asked], **private)
    go_on.click(told(following, len(shown)), [state, rating, choice], [*shown, *lines], **private)
    for answer in (rating, choice):
        answer.input(lambda: gr.Button(interactive=True), None, go_on, **context.LIGHT)
    publish(sounds, votes, state)
