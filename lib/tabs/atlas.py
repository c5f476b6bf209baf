"""The tab Atlas: a map of voices that speak; place your own, mix two, take one along."""
import functools
import html
import json
import time
import uuid
from pathlib import Path

import gradio as gr
import numpy as np
import torch

from lib import show
from lib.data import filling
from lib.tabs import speak
from lib.voices import maps

ATLAS = maps.ATLAS
WIDTH, HEIGHT, MARGIN = 400, 330, 14  # of the picture, in its own units: on a phone one is about a pixel
MINE, MIXED, LOADED, SENT = OWN = ("my voice", "the mixture", "the voice file", "the voice taken along")
FILE_BYTES = 100_000  # of a voice file; 128 numbers take about 2,000
LOOKS = {  # a shape and a colour for each kind
    "training voice": ("M-2.6 0a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0 -5.2 0z", show.COLOURS[0]),
    "held-out voice": ("M-3.6-3.6h7.2v7.2h-7.2z", show.COLOURS[1]),
    "interpolated": ("M0-4.2L3.9 3H-3.9z", show.COLOURS[2]),
    "noise": ("M-4-1.3h2.7v-2.7h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7z", show.COLOURS[3])}
STAR = "M0-7.5L1.8-2.5 7.1-2.3 2.9 1 4.4 6.1 0 3.1-4.4 6.1-2.9 1-7.1-2.3-1.8-2.5z"
TEMPLATE = f"""<svg class="map" viewBox="0 0 {WIDTH} {HEIGHT}" tabindex="0" role="listbox"
 aria-label="Map of voices: arrow keys walk from dot to dot, Enter plays">${{base}}${{value}}<circle class="ring" r="7.5"/></svg>
<p class="near" aria-live="polite">Point at a dot to see who it is.</p>"""
STYLE, SCRIPT = ((Path(__file__).parent / name).read_text() for name in ("atlas.css", "atlas.js"))


def legend(kinds):
    """What shape means what, as HTML."""
    parts = [f'<span style="white-space: nowrap; margin-right: 14px"><svg viewBox="-5 -5 10 10" width="16" height="16" '
             f'style="display: inline; vertical-align: -3px"><path d="{shape}" fill="{colour}"/></svg> {kind} ({kinds.count(kind)})'
             '</span>' for kind, (shape, colour) in LOOKS.items()]
    return f"<p>{' '.join(parts)}</p>"


def told(function):
    """Make what a visitor can cause a message for the visitor."""
    @functools.wraps(function)
    def call(*given):
        try:
            return function(*given)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error
    return call


def read_voice(path, encoder, D):
    """spk_emb [D] of a voice file.  Raises ValueError unless it is small, JSON, of this encoder, finite and of length 1."""
    if Path(path).stat().st_size > FILE_BYTES:
        raise ValueError(f"A voice file has less than {FILE_BYTES // 1000} kB: choose one that was downloaded here.")
    try:
        found = json.loads(Path(path).read_bytes())
        made_by, spk_emb = found["encoder"], np.array(found["spk_emb"], dtype="float32")
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise ValueError("This is no voice file: choose one that was downloaded here (.json).") from error
    if made_by != encoder:
        raise ValueError("This voice file was made with another encoder, whose numbers mean other voices: make it anew.")
    if spk_emb.shape != (D,) or not np.isfinite(spk_emb).all() or not 0.99 < np.linalg.norm(spk_emb) < 1.01:
        raise ValueError(f"A voice is {D} finite numbers of length 1; this file holds {spk_emb.shape}: download it again.")
    return spk_emb / np.linalg.norm(spk_emb)


class Desk:
    """The functions behind the tab.  It keeps nothing of a visitor: his own voices come and go as `own`, {name: [D numbers]};
    `scene` is what they are seen by: the ends A and B, the map's method, `own`."""

    def __init__(self, voices, atlas, folder):
        self.voices, self.atlas, self.folder, self.names, self.emb = voices, atlas, Path(folder), atlas.config.names, atlas.vectors()
        self.at = {name: i for i, name in enumerate(self.names)}
        self.real = np.isin(atlas.config.kinds, maps.REAL)
        self.xy = {"UMAP": atlas.umap.numpy(), "PCA": atlas.place(self.emb, "pca")}

    def vector(self, name, own):
        """spk_emb [D] of a point or of one of the own voices."""
        if name in self.at:
            return self.emb[self.at[name]]
        if name not in (own or {}):
            raise ValueError(f"There is no {name or 'voice in hand'} yet: choose a dot, bring a voice or mix two.")
        return np.array(own[name], dtype="float32")

    def where(self, name, method, own):
        """Place [2] on the map of a voice, or None: not made yet, or UMAP still warms up."""
        if name in self.at:
            return self.xy[method][self.at[name]]
        if name in (own or {}) and (method == "PCA" or self.atlas.mapper):
            return self.atlas.place(self.vector(name, own)[None], method.lower())[0]

    def scale(self, places, method):
        """Places [m, 2] of a map as [m, 2] of the picture; what lies outside comes to its edge."""
        low, high = self.xy[method].min(0), self.xy[method].max(0)
        unit = np.clip((np.array(places) - low) / (high - low), -0.02, 1.02) * [1, -1] + [0, 1]
        return MARGIN + unit * (np.array([WIDTH, HEIGHT]) - 2 * MARGIN)

    def base(self, method):
        """The dots, as SVG."""
        shapes = "".join(f'<path id="look-{i}" d="{d}" fill="{colour}"/>' for i, (d, colour) in enumerate(LOOKS.values()))
        rows = zip(self.names, self.atlas.config.kinds, self.atlas.config.about, self.scale(self.xy[method], method), strict=True)
        return f"<defs>{shapes}</defs>" + "".join(
            f'<use class="point" id="point-{i}" role="option" aria-selected="false" href="#look-{list(LOOKS).index(kind)}" x="{x:.1f}" '
            f'y="{y:.1f}"><title>{html.escape(f"{name}: {about}")}</title></use>' for i, (name, kind, about, (x, y)) in enumerate(rows))

    def overlay(self, chosen, one, two, method, own):
        """What is drawn over the dots, as SVG: lines from `chosen` to its true neighbours, the path from A to B, marks."""
        def line(kind, *places):
            return f'<polyline class="line {kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in self.scale(places, method))}"/>'
        found = {name: place for name in (one, two, chosen, *OWN) if (place := self.where(name, method, own)) is not None}
        drawn = [line("true", found[chosen], self.xy[method][i]) for i, _ in self.near(chosen, own)[:3] if chosen in found]
        if MIXED in found and one in found and two in found and one != two:
            ends = [torch.tensor(self.vector(name, own)) for name in (one, two)]
            steps = torch.stack([filling.interpolate(*ends, share) for share in np.linspace(0, 1, 11)[1:-1]])
            drawn.append(line("path", found[one], *self.atlas.place(steps.numpy(), method.lower()), found[two]))
        marks = {one: ("A", ""), two: ("B", "")} | {name: (name.removeprefix("the "), STAR) for name in OWN}
        for name, (word, shape) in ((name, mark) for name, mark in marks.items() if name in found):
            x, y = self.scale([found[name]], method)[0]
            side = "end" if x > WIDTH - 50 else "start" if x < 50 else "middle"
            drawn.append(f'<path class="mark" d="{shape}" transform="translate({x:.1f} {y:.1f})"/>'
                         f'<text class="name" x="{x:.1f}" y="{max(y - 8, 11):.1f}" text-anchor="{side}">{word}</text>')
        return "".join(drawn)

    def near(self, name, own):
        """The five nearest voices of the corpus, [(point, cosine)], itself left out."""
        return [(i, cosine) for i, cosine in self.atlas.neighbours(self.vector(name, own), 6) if self.names[i] != name][:5]

    def facts(self, name, method, own, more=""):
        """Markdown: what a voice is, its true neighbours, and how many of them the map shows as such."""
        near, place, config, lines = self.near(name, own), self.where(name, method, own), self.atlas.config, []
        if name in self.at:
            made = " and ".join(self.names[parent] for parent in config.parents[self.at[name]])
            lines.append(f"**{name}** {config.kinds[self.at[name]]}, {config.about[self.at[name]]}" + (f"; made of {made}" if made else ""))
        lines.append("**Nearest voices of the corpus**, true cosine: " + ", ".join(f"{self.names[i]} {c:.2f}" for i, c in near))
        if place is None:
            lines.append("**Not on this map yet:** UMAP still warms up. The neighbours are right already, and PCA shows the place.")
        else:
            far = np.linalg.norm(self.xy[method] - place, axis=1) + 1e9 * ~self.real
            shown = [i for i in np.argsort(far)[:6] if self.names[i] != name][:5]
            lines.append(f"**The map shows {len({i for i, _ in near} & set(shown))} of these 5** among the 5 nearest dots: "
                         "what lies apart here may be near in truth, and the reverse.")
        return "\n".join(f"- {line}" for line in lines) + f"\n{more}"

    def scene(self, name, one, two, method, own, more=""):
        """(overlay, facts, path of a voice file): what every answer shows."""
        voice = {"what": "A voice of Voice Atlas: an embedding, no audio.", "name": name, "encoder": self.atlas.config.encoder,
                 "spk_emb": [round(float(v), 6) for v in self.vector(name, own)]}
        file = gr.DownloadButton(value=self.write(".json", json.dumps(voice).encode()), interactive=True)
        return self.overlay(name, one, two, method, own), self.facts(name, method, own, more), file

    def write(self, suffix, data):
        """Path of a new file under a name that nobody can guess."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (path := self.folder / f"voice-atlas-{uuid.uuid4().hex}{suffix}").write_bytes(data)
        return str(path)

    def say(self, words, spk_emb):
        """(path of the sound, facts about it)."""
        begun = time.monotonic()
        speech = self.voices.speak(words, spk_emb)
        facts = speak.facts(self.voices, speech, time.monotonic() - begun, spk_emb, ())
        return speech.save(self.write(".wav", b"")), facts

    @told
    def pick(self, one, two, method, own, event: gr.EventData):
        index = event._data.get("index") if isinstance(event._data, dict) else None
        if not isinstance(index, int) or not 0 <= index < len(self.names):
            raise ValueError(f"There is no dot {index!r}: choose one of {len(self.names)}.")
        return self.hold(self.names[index], one, two, method, own)

    @told
    def hold(self, name, one, two, method, own):
        one, two = (one, two) if name in (one, two, MIXED) else (two, name)
        sound = self.write(".mp3", self.atlas.clip(self.at[name])) if name in self.at else gr.skip()
        return name, one, two, sound, *self.scene(name, one, two, method, own)

    @told
    def speak_at_point(self, words, point, method, own):
        sound, heard = self.say(words, self.vector(point, own))
        return sound, self.facts(point, method, own, heard)

    @told
    def mix(self, one, two, share, noise, draw, words, method, own):
        if not (0 <= share <= 1 and 0 <= noise <= 2):
            raise ValueError(f"Mixture {share} or noise {noise} is out of range: choose 0 to 1, and 0 to 2.")
        ends = [torch.tensor(self.vector(name, own)) for name in (one, two)]
        spk_emb = filling.add_noise(filling.interpolate(*ends, share), noise, torch.Generator().manual_seed(int(draw)))
        own = (own or {}) | {MIXED: spk_emb.tolist()}
        sound, heard = self.say(words, spk_emb.numpy())
        return own, MIXED, sound, *self.scene(MIXED, one, two, method, own, heard)

    def bring(self, name, source, read, consent, two, method, own):
        """A voice from outside, as B, in hand."""
        speak.require(source, consent, 0)
        own = (own or {}) | {name: read(source).tolist()}
        one = two if two in self.at else self.names[0]
        return own, name, one, name, *self.scene(name, one, name, method, own)

    @told
    def place(self, clip, consent, two, method, own):
        return self.bring(MINE, clip, self.voices.embed, consent, two, method, own)

    @told
    def load(self, file, consent, two, method, own):
        read = functools.partial(read_voice, encoder=self.atlas.config.encoder, D=self.emb.shape[1])
        return self.bring(LOADED, file, read, consent, two, method, own)

    @told
    def receive(self, taken, two, method, own):
        """A voice that another tab sent along appears here, too."""
        if not taken or taken["name"] in (*self.at, *OWN):
            return [gr.skip()] * 7
        return self.bring(SENT, taken["spk_emb"], self.voices.voice, True, two, method, own)

    @told
    def send(self, name, own):
        return {"name": name, "spk_emb": self.vector(name, own).tolist(), "sent": time.time()}, gr.Tabs(selected="speak")

    @told
    def turn(self, chosen, one, two, method, own):
        over, facts = self.scene(chosen, one, two, method, own)[:2] if chosen else ("", gr.skip())
        return gr.HTML(value=over, base=self.base(method)), facts


def opened(voices, folder):
    """(atlas, "") of a folder, or (None, why it cannot be shown)."""
    remedy = "Build it with lesson 10: `DEMO_BUDGET=full python notebooks/src/10_the_atlas.py`."
    try:
        atlas, _ = maps.Atlas.load(folder)
    except ValueError as error:
        return None, f"**There is no map.** {error} {remedy}"
    if atlas.config.encoder != maps.fingerprint(voices.encoder):
        return None, f"**This map was made with another encoder**, whose embeddings mean other voices. {remedy}"
    return atlas, ""


def build(voices, tabs, taken, folder=ATLAS):
    """Lay out the tab inside a gr.Blocks; `taken` is the gr.State of the tab "speak" of `tabs`, where a voice can be sent."""
    atlas, trouble = opened(voices, folder)
    if trouble:
        return gr.Markdown(trouble)
    atlas.warm()
    names, colours = [*atlas.config.names, *OWN], gr.WaveformOptions(waveform_color="#737373", waveform_progress_color=show.COLOURS[0])
    gr.Markdown("Every dot is a voice, real or invented: click one, tap near it, or walk with the arrow keys and press Enter.")
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            method = gr.Radio(["UMAP", "PCA"], value="UMAP", label="Map", info="UMAP keeps neighbours; PCA is a plain projection.")
            picture = gr.HTML("", base="", html_template=TEMPLATE, css_template=STYLE, js_on_load=SCRIPT, apply_default_css=False)
            gr.HTML(legend(atlas.config.kinds))
            ready = gr.Markdown("UMAP warms up: in half a minute it can place a voice of your own.")
        with gr.Column(scale=2, min_width=300):
            chosen = gr.Dropdown(names, value=None, label="Voice in hand")
            sound = gr.Audio(label="How it sounds", interactive=False, autoplay=True, buttons=["download"], waveform_options=colours)
            words = gr.Textbox(speak.SAMPLE, label="Your own sentence", lines=2)
            say = gr.Button("Say it in this voice", variant="primary")
            with gr.Row():
                file = gr.DownloadButton("Download this voice", min_width=120, interactive=False)
                send = gr.Button("Send to Speak", min_width=120)
            facts = gr.Markdown("Choose a dot.", elem_id="point")
    with gr.Row():
        with gr.Column(min_width=300):
            gr.Markdown("### Mix two\nThe last two dots you chose, or choose them here.")
            with gr.Row():
                one = gr.Dropdown(names, value=names[0], label="A", min_width=120)
                two = gr.Dropdown(names, value=names[1], label="B", min_width=120)
            share = gr.Slider(0, 1, 0.5, step=0.05, label="From A (0) to B (1)")
            noise = gr.Slider(0, 2, 0, step=0.05, label="Noise", info="1 leads about 45 degrees away: another voice.")
            draw = gr.Slider(1, 20, 1, step=1, label="Which noise")
            hear = gr.Button("Hear the mixture")
        with gr.Column(min_width=300):
            gr.Markdown("### Bring a voice\nA clip of 5 to 10 s, or a voice file that was downloaded here (it holds no audio).")
            clip = gr.Audio(label="Voice to place", sources=["upload", "microphone"], type="filepath", buttons=[],
                            waveform_options=colours, elem_classes="reference")
            consent = gr.Checkbox(label="I may use this voice: it is mine, its owner agreed, or it is virtual.")
            with gr.Row():
                place = gr.Button("Place my voice", min_width=120)
                load = gr.UploadButton("Load a voice file", file_types=[".json"], min_width=120)
    desk, own = Desk(voices, atlas, sound.GRADIO_CACHE), gr.State(time_to_live=3600)
    picture.props["base"] = desk.base("UMAP")
    private = dict(api_visibility="private", show_progress="hidden", concurrency_limit=None)
    public = dict(show_progress="minimal", concurrency_limit=2)
    scene, held = [picture, facts, file], [chosen, one, two]
    picture.select(desk.pick, [one, two, method, own], [*held, sound, *scene], trigger_mode="always_last", **private)
    chosen.input(desk.hold, [*held, method, own], [*held, sound, *scene], **private)
    method.change(desk.turn, [*held, method, own], [picture, facts], **private)
    say.click(desk.speak_at_point, [words, chosen, method, own], [sound, facts], api_name="speak_at_point", **public)
    gr.on([hear.click, share.release, noise.release, draw.release], desk.mix, [one, two, share, noise, draw, words, method, own],
          [own, chosen, sound, *scene], api_name="mix", **public)
    place.click(desk.place, [clip, consent, two, method, own], [own, *held, *scene], api_name="place", **public)
    load.upload(desk.load, [load, consent, two, method, own], [own, *held, *scene], **private)
    send.click(desk.send, [chosen, own], [taken, tabs], **private)
    taken.change(desk.receive, [taken, two, method, own], [own, *held, *scene], **private)
    timer = gr.Timer(2)
    timer.tick(lambda: ("UMAP is ready for your voice." if atlas.mapper else gr.skip(), gr.Timer(active=atlas.mapper is None)),
               None, [ready, timer], **private)
