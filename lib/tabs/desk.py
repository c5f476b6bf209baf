"""The functions behind the tab Atlas: hear a voice, place one, mix two, take one along."""

import json
import time
from pathlib import Path

import gradio as gr
import numpy as np
import torch

from lib.data import filling
from lib.tabs import chart, speak, visitor
from lib.voices import maps

MINE, MIXED, LOADED, SENT = OWN = ("my voice", "the mixture", "the voice file", "the voice taken along")
FILE_BYTES = 100_000  # of a voice file; 128 numbers take about 2,000
ROUNDING = 0.01  # of the length of a voice that went through a file
SYNTHETIC = ("Kokoro-82M", "hibari-tts")  # corpora in which nobody stands behind a voice
NEIGHBOURS = 5
FAR = 1e9  # farther than anything on a map


def read_voice(path, encoder, D):
    """spk_emb [D] of a voice file.

    Raises ValueError unless it is small, JSON, of this encoder, finite and of length 1."""
    if Path(path).stat().st_size > FILE_BYTES:
        raise ValueError(
            f"A voice file has less than {FILE_BYTES // 1000} kB: choose one that was downloaded here."
        )
    try:
        voice = json.loads(Path(path).read_bytes())
        made_by, spk_emb = voice["encoder"], np.array(voice["spk_emb"], dtype="float32")
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise ValueError("This is no voice file: choose one that was downloaded here (.json).") from error
    if made_by != encoder:
        raise ValueError(
            "This voice file was made with another encoder, whose numbers mean other voices: make it anew."
        )
    is_unit = (
        spk_emb.shape == (D,) and np.isfinite(spk_emb).all() and abs(np.linalg.norm(spk_emb) - 1) < ROUNDING
    )
    if not is_unit:
        raise ValueError(
            f"A voice is {D} finite numbers of length 1; this file holds {spk_emb.shape}: download it again."
        )
    return spk_emb / np.linalg.norm(spk_emb)


def is_person(kind, words):
    """Whether a dot may be a real person: it comes from a corpus, and not from one that a machine spoke."""
    return kind in maps.REAL and not words.endswith(SYNTHETIC)


class Desk:
    """The functions behind the tab.  It keeps nothing of a visitor.

    A visitor's own voices come and go as `own`, the value of a gr.State: {name: {"spk_emb": list of D
    numbers, "person": whether it was made of a real person's dot}}."""

    def __init__(self, voices, atlas, folder):
        self.voices, self.atlas, self.folder = voices, atlas, Path(folder)
        self.chart = chart.Chart(atlas)
        self.names, self.emb = atlas.config.names, atlas.vectors()
        self.at = {name: i for i, name in enumerate(self.names)}
        self.in_corpus = np.isin(atlas.config.kinds, maps.REAL)

    def vector(self, name, own):
        """spk_emb [D] of a dot or of one of the own voices."""
        if name in self.at:
            return self.emb[self.at[name]]
        if name not in (own or {}):
            raise ValueError(
                f"There is no {name or 'voice in hand'} yet: choose a dot, bring a voice or mix two."
            )
        return np.array(own[name]["spk_emb"], dtype="float32")

    def is_person(self, name, own):
        """Whether a real person, not asked by this visitor, stands behind a voice or a part of it."""
        if name in self.at:
            return is_person(self.atlas.config.kinds[self.at[name]], self.atlas.config.about[self.at[name]])
        return name in (own or {}) and own[name]["person"]

    def where(self, name, method, own):
        """Place [2] on the map of a voice, or None: not made yet, or UMAP still warms up."""
        if name in self.at:
            return self.chart.xy[method][self.at[name]]
        if name in (own or {}) and self.chart.can_place(method):
            return self.chart.place(self.vector(name, own)[None], method)[0]
        return None

    def near(self, name, own):
        """The nearest voices of the corpus, [(point, cosine)], itself left out."""
        neighbours = self.atlas.neighbours(self.vector(name, own), NEIGHBOURS + 1)
        return [(i, cosine) for i, cosine in neighbours if self.names[i] != name][:NEIGHBOURS]

    def overlay(self, chosen, one, two, method, own):
        """What is drawn over the dots: lines from `chosen` to its neighbours, the path from A to B, marks."""
        marks = {one: ("A", ""), two: ("B", "")}
        for name in OWN:
            marks[name] = (name.removeprefix("the "), chart.STAR)
        places = {}
        for name in (*marks, chosen):
            place = self.where(name, method, own)
            if place is not None:
                places[name] = place
        drawn = []
        if chosen in places:
            drawn += self.chart.lines(places[chosen], [i for i, _ in self.near(chosen, own)], method)
        if MIXED in places and one in places and two in places and one != two:
            ends = np.stack([self.vector(one, own), self.vector(two, own)])
            drawn.append(self.chart.path(ends, (places[one], places[two]), method))
        for name, (word, shape) in marks.items():
            if name in places:
                drawn.append(chart.mark(word, shape, self.chart.scale([places[name]], method)[0]))
        return "".join(drawn)

    def shown_near(self, name, place, method):
        """The corpus's dots that the map shows nearest to a place, itself left out."""
        far = np.linalg.norm(self.chart.xy[method] - place, axis=1)
        far[~self.in_corpus] = FAR
        nearest = [i for i in np.argsort(far)[: NEIGHBOURS + 1] if self.names[i] != name]
        return set(nearest[:NEIGHBOURS])

    def describe(self, name):
        """A line on what a dot is."""
        config, i = self.atlas.config, self.at[name]
        words = f"**{name}** {config.kinds[i]}, {config.about[i]}"
        parents = " and ".join(self.names[parent] for parent in config.parents[i])
        return f"{words}; made of {parents}" if parents else words

    def facts(self, name, method, own, more=""):
        """Markdown: what a voice is, its true neighbours, and how many of them the map shows as such."""
        near, place = self.near(name, own), self.where(name, method, own)
        lines = [self.describe(name)] if name in self.at else []
        if self.is_person(name, own):
            lines.append(
                "**A real person's voice**, or made of one: it speaks with consent, and cannot be downloaded"
            )
        words = ", ".join(f"{self.names[i]} {cosine:.2f}" for i, cosine in near)
        lines.append(f"**Nearest voices of the corpus**, true cosine: {words}")
        if place is None:
            lines.append(
                "**Not on this map yet:** UMAP still warms up. The neighbours are right already, "
                "and PCA shows the place."
            )
        else:
            shown = self.shown_near(name, place, method) & {i for i, _ in near}
            lines.append(
                f"**The map shows {len(shown)} of these {NEIGHBOURS}** among the {NEIGHBOURS} nearest dots: "
                "what lies apart here may be near in truth, and the reverse."
            )
        return "\n".join(f"- {line}" for line in lines) + f"\n{more}"

    def file(self, name, own):
        """Update of the button for the voice file, which a real person's voice has not."""
        if self.is_person(name, own):
            return gr.DownloadButton(value=None, interactive=False)
        numbers = [round(float(value), 6) for value in self.vector(name, own)]
        voice = {
            "what": "A voice of Voice Atlas: an embedding, no audio.",
            "name": name,
            "encoder": self.atlas.config.encoder,
            "spk_emb": numbers,
        }
        return gr.DownloadButton(value=self.write(".json", json.dumps(voice).encode()), interactive=True)

    def scene(self, name, one, two, method, own, more=""):
        """(overlay, facts, voice file): what every answer shows."""
        return (
            self.overlay(name, one, two, method, own),
            self.facts(name, method, own, more),
            self.file(name, own),
        )

    def write(self, suffix, data):
        """Path of a new file under a name that nobody can guess."""
        path = visitor.fresh(self.folder, suffix)
        Path(path).write_bytes(data)
        return path

    def say(self, words, spk_emb):
        """(path of the sound, facts about it)."""
        begun = time.monotonic()
        speech = speak.say(self.voices, words, spk_emb)
        facts = speak.facts(self.voices, speech, time.monotonic() - begun, spk_emb, ())
        return visitor.save(speech, self.folder), facts + speak.unread(words)

    def ask(self, names, own, allowed):
        """Raise ValueError unless every real person among the voices has allowed it."""
        people = [name for name in names if self.is_person(name, own)]
        if people:
            visitor.consent(allowed, f"{' and '.join(people)} may be")

    @visitor.answering
    def pick(self, one, two, method, own, event: gr.EventData):
        """Answer a click on the map."""
        index = event._data.get("index") if isinstance(event._data, dict) else None
        if not isinstance(index, int) or not 0 <= index < len(self.names):
            raise ValueError(f"There is no dot {index!r}: choose one of {len(self.names)}.")
        return self.hold(self.names[index], one, two, method, own)

    @visitor.answering
    def hold(self, name, one, two, method, own):
        """Take a voice in hand: it plays, and becomes B; what was B becomes A."""
        if name not in (one, two, MIXED):
            one, two = two, name
        sound = self.write(".mp3", self.atlas.clip(self.at[name])) if name in self.at else gr.skip()
        return name, one, two, sound, *self.scene(name, one, two, method, own)

    @visitor.answering
    def speak_at_point(self, words, point, method, own, allowed=False):
        """Say something in the voice in hand."""
        spk_emb = self.vector(point, own)
        self.ask([point], own, allowed)
        sound, heard = self.say(words, spk_emb)
        return sound, self.facts(point, method, own, heard)

    @visitor.answering
    def mix(self, one, two, share, noise, draw, words, method, own, allowed=False):
        """Mix two voices and say something in what comes out."""
        share = visitor.number(share, "Mixture", 0, 1)
        noise = visitor.number(noise, "Noise", 0, 2)
        draw = int(visitor.number(draw, "Which noise", 1, 20))
        ends = [torch.tensor(self.vector(name, own)) for name in (one, two)]
        self.ask([one, two], own, allowed)
        spk_emb = filling.add_noise(
            filling.interpolate(*ends, share), noise, torch.Generator().manual_seed(draw)
        )
        person = self.is_person(one, own) or self.is_person(
            two, own
        )  # else two mixtures would tell a person's numbers
        own = (own or {}) | {MIXED: {"spk_emb": spk_emb.tolist(), "person": person}}
        sound, heard = self.say(words, spk_emb.numpy())
        return own, MIXED, sound, *self.scene(MIXED, one, two, method, own, heard)

    def bring(self, name, spk_emb, two, method, own):
        """A voice spk_emb [D] from outside, allowed by who brought it: as B, in hand."""
        own = (own or {}) | {name: {"spk_emb": spk_emb.tolist(), "person": False}}
        one = two if two in self.at else self.names[0]
        return own, name, one, name, *self.scene(name, one, name, method, own)

    @visitor.answering
    def place(self, clip, consent, two, method, own):
        """Place the voice of an uploaded clip."""
        visitor.consent(consent)
        if not clip:
            raise ValueError("There is no voice to borrow: upload a clip or record one.")
        spk_emb = self.voices.embed(visitor.clip(clip, self.folder))
        return self.bring(MINE, spk_emb, two, method, own)

    @visitor.answering
    def load(self, file, consent, two, method, own):
        """Place the voice of an uploaded voice file."""
        visitor.consent(consent)
        path = visitor.uploaded(file, self.folder)
        spk_emb = read_voice(path, self.atlas.config.encoder, self.emb.shape[1])
        return self.bring(LOADED, spk_emb, two, method, own)

    @visitor.answering
    def receive(self, taken, two, method, own):
        """Place a voice that another tab sent along."""
        if not taken or taken["name"] in (*self.at, *OWN):
            return [gr.skip()] * 7
        spk_emb = visitor.vector(taken["spk_emb"], self.emb.shape[1])
        return self.bring(SENT, spk_emb / np.linalg.norm(spk_emb), two, method, own)

    @visitor.answering
    def send(self, name, own):
        """Send the voice in hand to Speak, which asks for consent itself."""
        taken = {"name": name, "spk_emb": self.vector(name, own).tolist(), "stamp": time.time()}
        return taken, gr.Tabs(selected="speak")

    @visitor.answering
    def turn(self, chosen, one, two, method, own):
        """Draw the other map."""
        overlay, facts = "", gr.skip()
        if chosen:
            overlay, facts, _ = self.scene(chosen, one, two, method, own)
        return gr.HTML(value=overlay, base=self.chart.base(method)), facts

    def wait(self):
        """Look whether UMAP is ready: (words, timer)."""
        if self.atlas.mapper is None:
            return gr.skip(), gr.Timer(active=True)
        return "UMAP is ready for your voice.", gr.Timer(active=False)
