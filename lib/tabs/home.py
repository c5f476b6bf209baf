"""The first tab: what this is, three pairs to hear at once, the map, and the way to the other tabs."""

import functools
import threading

import gradio as gr

from lib import audio
from lib.data import corpus, mixtures
from lib.tabs import about, chart, context, extract, plays, speak

NAME, NEEDS = "Start", ("speaker_encoder", "tts")
STORY = (
    "Give a few seconds of somebody speaking and a sentence that this person never said: Voice Atlas says it "
    "in that voice, on two processor cores, sooner than the sentence lasts. The models are small, trained "
    "from end to end by this project, and every tab leads to the lesson that built it."
)
SENTENCE = "I never said this, and yet it is my voice that you hear."
BORROWED = "Birch, deep"  # of the example voices; no model was trained on the second and third of them
TWO = ("Cedar, medium", "Linden, high")
# id of a tab: what it does, in one line.
PROMISES = {
    "speak": "Your text in a borrowed voice.",
    "atlas": "A map of 400 voices, real and invented: every dot speaks.",
    "extract": "Two people talk at once: take one of them out.",
    "convert": "What you say, as you say it, in another voice.",
    "clean": "Less noise in a recording, or one voice out of it.",
    "listen": "A blind test: your ears are the judge.",
}
MAKING = "The pairs are being made now, once, by the weights that this page runs on …"
MAP = """<a class="cover" href="?tab=atlas" aria-label="Open the map of voices">
<svg viewBox="0 0 {width} {height}" aria-hidden="true">{dots}</svg></a>"""


def clip_of(label):
    """wav [T] of an example voice, ready for a network."""
    row = speak.longest(corpus.rows("embedded"), speak.EXAMPLES[label])
    return audio.prepare(row["audio"])


def spoken(voices, wav):
    """wav [T] of SENTENCE in the voice of wav [T]."""
    return voices.speak(SENTENCE, (audio.RATE, wav)).wav


def pair(before, after):
    """The two buttons of a pair; before, after: (label, wav [T])."""
    return [plays.button(label, plays.matched(wav)) for label, wav in (before, after)]


class Pairs:
    """The pairs, made by the weights of the app when somebody comes for the first time, and kept."""

    def __init__(self, page):
        self.voices = page.voices
        self.makers = {"A voice, and a sentence it never said": self.borrowed}
        if page.has("attractor"):
            self.makers["Two people at once, and one of them alone"] = self.taken_out
        self.makers["One sentence in two voices"] = self.in_two
        self.made = None
        self.lock = threading.Lock()

    def all(self):
        """The buttons of every pair, in the order of `makers`."""
        with self.lock:
            if self.made is None:
                self.made = [make() for make in self.makers.values()]
        return self.made

    def borrowed(self):
        """A virtual voice, and what it is made to say."""
        wav = clip_of(BORROWED)
        return pair(("Before: the voice", wav), ("After: your words", spoken(self.voices, wav)))

    def taken_out(self):
        """A mixture of two virtual voices, and the first that is found in it."""
        speakers = next(iter(extract.EXAMPLES.values()))
        rows = corpus.rows("embedded")
        rate, mixed = mixtures.mixed([speak.longest(rows, speaker)["audio"] for speaker in speakers])
        wav = audio.resample(mixed, rate, audio.RATE)
        people = self.voices.extract((audio.RATE, wav), len(speakers))
        return pair(("Before: both at once", wav), ("After: one alone", people[0].wav))

    def in_two(self):
        """The same words in two voices."""
        one, two = (spoken(self.voices, clip_of(label)) for label in TWO)
        return pair(("In one voice", one), ("In another", two))


def picture(page):
    """The map as a picture that leads to its tab; nothing where there is no map."""
    if not page.has("atlas"):
        return
    atlas, _, trouble = chart.opened(page.voices, page.atlas)
    if not trouble:
        dots = chart.Chart(atlas).dots("UMAP")
        gr.HTML(MAP.format(width=chart.WIDTH, height=chart.HEIGHT, dots=dots), padding=False)


def doors(page, tabs):
    """A button for every other tab that is there, with what it does."""
    with gr.Row(elem_classes="doors"):
        for tab in tabs:
            name = tab.NAME.lower()
            if all(page.has(need) for need in tab.NEEDS):
                door = gr.Button(f"{tab.NAME}: {PROMISES[name]}", min_width=200)
                door.click(functools.partial(gr.Tabs, selected=name), None, page.tabs, **context.LIGHT)


def build(page, tabs=()):
    """Lay out the tab inside a gr.Blocks; page: a context.Context; tabs: the modules of the other tabs."""
    pairs = Pairs(page)
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            gr.Markdown(f"## Borrow a voice, see where it lives\n{STORY}", elem_classes="story")
            waiting = gr.Markdown(MAKING)
            rows = []
            for title in pairs.makers:
                gr.Markdown(f"### {title}")
                rows.append(plays.build(visible=False, padding=False))
        with gr.Column(scale=2, min_width=300):
            picture(page)
            gr.Markdown(
                "The picture is the map: every dot is a voice, near ones sound alike. "
                f"All that speaks on this page is a virtual voice. [All the code]({about.REPOSITORY}), "
                f"[lesson 00: start here]({about.REPOSITORY}/blob/main/notebooks/00_start_here.ipynb)"
            )
    gr.Markdown("### Try it")
    doors(page, tabs)

    def show():
        return gr.Markdown(visible=False), *[gr.HTML(value, visible=True) for value in pairs.all()]

    gr.on(None, show, None, [waiting, *rows], **context.LIGHT)
