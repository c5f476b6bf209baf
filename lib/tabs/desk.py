"""The functions behind the tab Atlas: hear a voice, place one, mix two, take one along."""

import json
import time
import uuid
from pathlib import Path

import gradio as gr
import numpy as np
import torch

from lib import audio
from lib.data import filling
from lib.tabs import chart, permits, speak, visitor
from lib.voices import maps
from lib.voices.speech import Speech

MINE, MIXED, LOADED, SENT = OWN = ("my voice", "the mixture", "the voice file", "the voice sent here")
FILE_BYTES = 100_000  # of a voice file; 128 numbers take about 2,000
ROUNDING = 0.01  # of the length of a voice that went through a file
SYNTHETIC = ("Kokoro-82M", "hibari-tts")  # corpora in which nobody stands behind a voice
NEIGHBOURS = 5
FAR = 1e9  # farther than anything on a map
# Names of fields, on the page and in messages.
HAND, ONE, TWO, WORDS, CLIP, FILE = (
    "Voice in hand",
    "A",
    "B",
    "Your own sentence",
    "Voice to place",
    "Voice file",
)
SHARE, NOISE, DRAW = "From A to B", "Noise", "Which noise"
LIMITS = {SHARE: (0, 1), NOISE: (0, 2), DRAW: (1, 20)}


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
    numbers, "person": whether it was made of a real person's dot, "brought": whether of a voice that the
    visitor brought, and may use}}."""

    def __init__(self, voices, atlas, folder):
        self.voices, self.atlas, self.folder = voices, atlas, Path(folder)
        self.chart = chart.Chart(atlas)
        self.names, self.emb = atlas.config.names, atlas.vectors()
        self.at = {name: i for i, name in enumerate(self.names)}
        self.in_corpus = np.isin(atlas.config.kinds, maps.REAL)

    def vector(self, name, own, field=HAND):
        """spk_emb [D] of a dot or of an own voice.  Raises WrongField, naming `field`, for another."""
        if name in self.at:
            return self.emb[self.at[name]]
        if name not in (own or {}):
            raise visitor.WrongField(
                field,
                f"there is no {name or 'voice in hand'} yet: choose a dot, bring a voice or mix two.",
            )
        return np.array(own[name]["spk_emb"], dtype="float32")

    def virtual(self):
        """Names of the dots that are certainly nobody's."""
        return [name for name in self.names if not self.is_person(name, None)]

    def is_person(self, name, own):
        """Whether a real person, not asked by this visitor, stands behind a voice or a part of it."""
        if name in self.at:
            return is_person(self.atlas.config.kinds[self.at[name]], self.atlas.config.about[self.at[name]])
        return name in (own or {}) and own[name]["person"]

    def is_brought(self, name, own):
        """Whether a voice is one that the visitor brought, or holds a part of one."""
        return name in (own or {}) and own[name]["brought"]

    def asks(self, chosen, one, two, own):
        """Whether somebody is to be asked for the voice in hand, and for the mixture of two."""
        return self.is_person(chosen, own), self.is_person(one, own) or self.is_person(two, own)

    def boxes(self, chosen, one, two, own):
        """Updates of the two boxes of consent: each is there when it is needed."""
        return tuple(gr.Checkbox(visible=needed) for needed in self.asks(chosen, one, two, own))

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
        words = f"**{name}** {config.kinds[i]}, {chart.about(config.about[i])}"
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

    def file_of(self, name, own):
        """Path of the voice file, which a real person's voice has not: None."""
        if self.is_person(name, own):
            return None
        numbers = [round(float(value), 6) for value in self.vector(name, own)]
        voice = {
            "what": "A voice of Voice Atlas: an embedding, no audio.",
            "name": name,
            "encoder": self.atlas.config.encoder,
            "spk_emb": numbers,
        }
        return visitor.keep(json.dumps(voice).encode(), self.folder, ".json", name)

    def file(self, name, own):
        """Update of the button for the voice file."""
        path = self.file_of(name, own)
        return gr.DownloadButton(value=path, interactive=path is not None)

    def scene(self, name, one, two, method, own, more=""):
        """(overlay, facts, voice file): what every answer shows."""
        return (
            self.overlay(name, one, two, method, own),
            self.facts(name, method, own, more),
            self.file(name, own),
        )

    def clip(self, name):
        """Path of what a dot says: shipped, spoken by our own synthesiser, and marked as that."""
        rate, wav = audio.load(self.atlas.clip(self.at[name]))
        return visitor.save(Speech(rate, wav, {"checkpoint": "tts"}), self.folder, name)

    def told(self, name, method, own):
        """A voice in values: its name, its place [2] on the map or None, {neighbour: true cosine}."""
        place = self.where(name, method, own)
        return {
            "name": name,
            "place": None if place is None else [float(value) for value in place],
            "neighbours": {self.names[i]: float(cosine) for i, cosine in self.near(name, own)},
        }

    def say(self, words, spk_emb, name):
        """(path of the sound, called after the voice `name` and the words, facts about it)."""
        begun = time.monotonic()
        speech = speak.say(self.voices, words, spk_emb, WORDS)
        facts = speak.facts(self.voices, speech, time.monotonic() - begun, spk_emb, ())
        path = visitor.save(speech, self.folder, f"{name} {words}")
        return path, facts + speak.unread(words)

    def ask(self, names, own, allowed):
        """Raise WrongField unless every real person among the voices has allowed it."""
        people = [name for name in names if self.is_person(name, own)]
        if people:
            permits.require(allowed, f"{' and '.join(people)} may be")

    def check_method(self, method):
        """Raise WrongField for a map that is not there."""
        if method not in chart.METHODS:
            raise visitor.WrongField("Map", f"{method!r} is none of {', '.join(chart.METHODS)}: choose one.")

    def pick(self, one, two, method, own, event: gr.EventData):
        """Answer a click on the map."""
        index = event._data.get("index") if isinstance(event._data, dict) else None
        if not isinstance(index, int) or not 0 <= index < len(self.names):
            raise ValueError(f"There is no dot {index!r}: choose one of {len(self.names)}.")
        return self.hold(self.names[index], one, two, method, own)

    def hold(self, name, one, two, method, own):
        """Take a voice in hand: it plays, and becomes B; what was B becomes A."""
        if name not in (one, two, MIXED):
            one, two = two, name
        sound = self.clip(name) if name in self.at else gr.skip()
        return name, one, two, sound, *self.scene(name, one, two, method, own)

    def speak_at_point(self, words, point, method, own, allowed=False):
        """Say something in a voice of the map, or one that was placed or mixed before."""
        self.check_method(method)
        spk_emb = self.vector(point, own)
        self.ask([point], own, allowed)
        sound, heard = self.say(words, spk_emb, point)
        return sound, self.facts(point, method, own, heard)

    def mixture(self, one, two, share, noise, draw, own, allowed):
        """`own` with the mixture of two voices in it.  Raises WrongField."""
        share = visitor.number(share, SHARE, *LIMITS[SHARE])
        noise = visitor.number(noise, NOISE, *LIMITS[NOISE])
        draw = int(visitor.number(draw, DRAW, *LIMITS[DRAW]))
        ends = [torch.tensor(self.vector(one, own, ONE)), torch.tensor(self.vector(two, own, TWO))]
        self.ask([one, two], own, allowed)
        spk_emb = filling.interpolate(*ends, share)
        spk_emb = filling.add_noise(spk_emb, noise, torch.Generator().manual_seed(draw))
        mixed = {
            "spk_emb": spk_emb.tolist(),
            # Else two mixtures would tell a person's numbers.
            "person": self.is_person(one, own) or self.is_person(two, own),
            "brought": self.is_brought(one, own) or self.is_brought(two, own),
        }
        return (own or {}) | {MIXED: mixed}

    def mix(self, one, two, share, noise, draw, words, method, own, allowed=False):
        """Mix two voices and say something in what comes out."""
        self.check_method(method)
        own = self.mixture(one, two, share, noise, draw, own, allowed)
        sound, heard = self.say(words, self.vector(MIXED, own), MIXED)
        facts = self.facts(MIXED, method, own, heard)
        return own, sound, self.told(MIXED, method, own), facts, self.file_of(MIXED, own)

    def mix_on_page(self, one, two, share, noise, draw, words, method, own, allowed):
        """The same, as updates of the page."""
        own = self.mixture(one, two, share, noise, draw, own, allowed)
        sound, heard = self.say(words, self.vector(MIXED, own), MIXED)
        return own, MIXED, sound, *self.scene(MIXED, one, two, method, own, heard)

    def brought(self, name, spk_emb, own):
        """`own` with a voice spk_emb [D] from outside in it, allowed by who brought it."""
        return (own or {}) | {name: {"spk_emb": spk_emb.tolist(), "person": False, "brought": True}}

    def heard(self, clip, allowed):
        """spk_emb [D] of an uploaded clip.  Raises WrongField for none, a bad one, or no consent."""
        with visitor.field(CLIP):
            if not clip:
                raise ValueError("There is no voice to borrow: upload a clip or record one.")
            path = visitor.clip(clip, self.folder)
        if permits.asks([path], self.folder):
            permits.require(allowed)
        with visitor.field(CLIP):
            speak.usable(path)
            return self.voices.embed(path)

    def place(self, clip, consent, two, method, own):
        """Place the voice of a clip on the map; later calls of this session may speak in it as "my voice"."""
        self.check_method(method)
        own = self.brought(MINE, self.heard(clip, consent), own)
        told = self.told(MINE, method, own)
        told["cosine to two"] = float(self.vector(MINE, own) @ self.vector(two, own, TWO))
        return own, told, self.facts(MINE, method, own), self.file_of(MINE, own)

    def in_hand(self, name, sound, two, method, own):
        """Updates of the page: an own voice is in hand, plays, is B, and the map comes into view."""
        one = two if two in self.at else self.names[0]
        overlay, facts, file = self.scene(name, one, name, method, own)
        # An update replaces all props of gr.HTML, so that the dots are sent again.
        picture = gr.HTML(value=overlay, base=self.chart.base(method), shown=uuid.uuid4().hex)
        return own, name, one, name, sound, picture, facts, file

    def place_on_page(self, clip, consent, two, method, own):
        """Place the voice of an uploaded clip, and let it say the sample."""
        spk_emb = self.heard(clip, consent)
        sound, _ = self.say(speak.SAMPLE, spk_emb, MINE)
        return self.in_hand(MINE, sound, two, method, self.brought(MINE, spk_emb, own))

    def load(self, file, consent, two, method, own):
        """Place the voice of an uploaded voice file, and let it say the sample."""
        permits.require(consent)
        with visitor.field(FILE):
            path = visitor.uploaded(file, self.folder)
            spk_emb = read_voice(path, self.atlas.config.encoder, self.emb.shape[1])
        sound, _ = self.say(speak.SAMPLE, spk_emb, LOADED)
        return self.in_hand(LOADED, sound, two, method, self.brought(LOADED, spk_emb, own))

    def receive(self, taken, two, method, own):
        """Place a voice that another tab sent along."""
        if not taken or taken["name"] in (*self.at, *OWN):
            return [gr.skip()] * 8
        spk_emb = visitor.vector(taken["spk_emb"], self.emb.shape[1])
        own = self.brought(SENT, spk_emb / np.linalg.norm(spk_emb), own)
        own[SENT]["brought"] = permits.is_person(taken)
        return self.in_hand(SENT, gr.skip(), two, method, own)

    def send(self, name, own):
        """Send the voice in hand to Speak, which asks for consent where it may be somebody's."""
        spk_emb = self.vector(name, own).tolist()
        is_person = self.is_person(name, own) or self.is_brought(name, own)
        taken = {"name": name, "spk_emb": spk_emb, "person": is_person, "stamp": time.time()}
        return taken, gr.Tabs(selected="speak")

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
