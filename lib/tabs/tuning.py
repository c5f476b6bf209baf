"""Tune to me: the part of the tab Clean that makes an enhancer for one person and keeps it for a visit."""

import collections
import math
import threading
import uuid

import gradio as gr

from lib.tabs import context, endpoints, pace, permits, visitor
from lib.tabs import speak as speaking
from lib.tabs.hints import Hints
from lib.voices.enhance import listened

NOISE = "Your noise"  # name of a field
KEPT = 32  # specialists in memory, 5 MB each: of all visitors; the oldest goes
AT_ONCE = 1  # it holds a core for about a minute
IN_A_ROW, A_MINUTE = 3, 0.5  # tunings of one visitor, and how fast this share refills
WORDS = (
    "Bring a clip of yourself above (*Only one voice*). The app then speaks forty sentences in your voice, "
    "mixes them with noise, and learns for about a minute to find your voice in it. What it learned stays in "
    "the memory of the server for your visit; no file is written. A noise of yours is optional: without one "
    "it learns on made ones and on other voices. **An experiment:** measured on six "
    "people it brought nothing over *Only one voice*, which needs no tuning (lesson 09). Compare the two."
)


class Shelf:
    """Specialists in memory, each under a key that nobody can guess."""

    def __init__(self, most=KEPT):
        self.most = most
        self.kept = collections.OrderedDict()
        self._lock = threading.Lock()

    def put(self, specialist):
        """Keep one; returns its key.  Over `most` the oldest goes."""
        key = uuid.uuid4().hex
        with self._lock:
            self.kept[key] = specialist
            while len(self.kept) > self.most:
                self.kept.popitem(last=False)
        return key

    def take(self, hand, name):
        """The one that a visitor's `hand` holds.  Raises WrongField of the field `name` without one."""
        if not hand:
            raise visitor.WrongField(name, "nothing was tuned in this visit: open *Tune to me* first.")
        with self._lock:
            if hand["key"] not in self.kept:
                raise visitor.WrongField(name, "what was tuned has made room for others: tune again.")
            return self.kept[hand["key"]]


class Shares:
    """How many tunings one visitor may ask for: IN_A_ROW, then A_MINUTE."""

    def __init__(self):
        rate = min(A_MINUTE, pace.Pace().rate)  # none limits nothing
        self.pace = pace.Pace(rate, burst=IN_A_ROW)

    def take(self, request):
        """Take one off the visitor's share.  Raises ValueError where nothing is left."""
        forwarded = request.headers.get("x-forwarded-for", "")
        seconds = self.pace.wait(pace.visitor_of(request.client.host, forwarded))
        if seconds:
            raise ValueError(
                f"You tuned {IN_A_ROW} times in a row, and others want to, too: wait {math.ceil(seconds)} s."
            )


def facts(specialist):
    """A line of Markdown: what it was tuned on, how long that took, and what it brought."""
    made = specialist.facts
    return (
        f"**Tuned** in {made['took']:.0f} s, {made['steps']} steps, on {made['seconds']:.0f} s of speech in "
        f"your voice that was made here. On sentences that it did not learn from it takes away "
        f"{made['after']:.1f} dB of noise; before, {made['before']:.1f} dB."
    )


def tuner(voices, folder, shelf, stops, name):
    """A function that tunes to a clip, or to a voice from another tab; name: of the field of the clip."""
    shares = Shares()

    def tuned(clip, noise, ticked, taken, request, progress):
        """(hand for a gr.State, facts)."""
        sent = None if clip else taken
        with visitor.field(name):
            is_person = permits.asks([noise, clip], folder, sent)
        if is_person:
            permits.require(ticked)
        voice, _, _ = speaking.borrowed(voices, clip, sent, folder, name)
        noises = None
        if noise:
            with visitor.field(NOISE):
                noises = [visitor.clip(noise, folder)]
                listened(noises[0])
        shares.take(request)
        specialist = voices.tune(
            voice,
            noises,
            progress=lambda share, words: progress(share, desc=words),
            cancelled=stops.asked(request),
        )
        return {"key": shelf.put(specialist), "person": is_person}, facts(specialist)

    return tuned


def callbacks(tuned, choice):
    """(function behind the API, the one behind the page); choice: of Keep, once something is tuned."""

    def tune(
        voice,
        noise,
        consent,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """Tune the enhancer to one voice for this visit; /clean then takes it."""
        return tuned(voice, noise, consent, None, request, progress)

    def tune_on_page(
        voice,
        noise,
        consent,
        taken,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  gradio reads the default
    ):
        """The same with a voice that may have been sent from another tab; what is tuned is chosen at once."""
        hand, words = tuned(voice, noise, consent, taken, request, progress)
        return hand, words, choice

    return tune, tune_on_page


def publish(tune, hand, name):
    """Make /tune public; hand: the gr.State of what was tuned; name: of the field of the clip."""
    with endpoints.hidden():
        takes = [
            endpoints.clip(name, "A clip of that person, 5 s is good"),
            endpoints.clip(NOISE, "What is to go, 1 s or more; may be left out"),
            endpoints.tick("Consent", "True: I may use this voice. Not needed for a virtual one"),
        ]
        gives = [hand, endpoints.words("Facts", "Markdown: seconds, steps, decibels before and after")]
        endpoints.publish(tune, takes, gives, "tune", concurrency_limit=AT_ONCE, concurrency_id="tune")


def build(hints):
    """Lay out the part: (its Hints, noise, button, Stop, line of facts)."""
    part = Hints(hints)
    with gr.Accordion("Tune to me", open=False):
        gr.Markdown(WORDS)
        noise = context.upload(f"{NOISE} (1 s or more, optional)", elem_id="my-noise")
        part.beside(NOISE)
        with gr.Row():
            go = gr.Button("Tune to me", min_width=120, scale=3)
            halt = gr.Button("Stop", min_width=80)
        part.beside()
        line = gr.Markdown(elem_classes="check")
    part.watch(NOISE, [noise])
    return part, noise, go, halt, line


def connect(part, go, halt, tune_on_page, press, takes, gives):
    """Make the button tune, with the fields `takes`, to the outputs `gives`, of which the second shows how
    far it is; and Stop stop it."""
    run = go.click(
        part.telling(tune_on_page, results=len(gives)),
        takes,
        [*gives, *part.outputs()],
        api_visibility="private",
        concurrency_limit=AT_ONCE,
        concurrency_id="tune",
        show_progress_on=[gives[1]],
    )
    part.stop(halt, press, run)
