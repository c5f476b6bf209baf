"""The picture on the tab Atlas, as SVG: dots, and over them what a visitor chose, mixed or brought."""

import html
from pathlib import Path

import numpy as np
import torch

from lib import show, training
from lib.data import filling
from lib.voices import maps

WIDTH, HEIGHT, MARGIN = 400, 330, 14  # in units of the picture: on a phone one is about a pixel
EDGE = 0.02  # of the map: how far outside of it a voice is drawn at most
SIDE = 50  # units from the left or right edge where a name must not be centred
STEPS = 11  # points of a path between two voices
LINES = 3  # nearest voices that a line leads to
METHODS = ("UMAP", "PCA")
LOOKS = {  # a shape and a colour for each kind
    "training voice": ("M-2.6 0a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0 -5.2 0z", show.COLOURS[0]),
    "held-out voice": ("M-3.6-3.6h7.2v7.2h-7.2z", show.COLOURS[1]),
    "interpolated": ("M0-4.2L3.9 3H-3.9z", show.COLOURS[2]),
    "noise": ("M-4-1.3h2.7v-2.7h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7z", show.COLOURS[3]),
}
STAR = "M0-7.5L1.8-2.5 7.1-2.3 2.9 1 4.4 6.1 0 3.1-4.4 6.1-2.9 1-7.1-2.3-1.8-2.5z"
TEMPLATE = f"""<svg class="map" viewBox="0 0 {WIDTH} {HEIGHT}" tabindex="0" role="listbox"
 aria-label="Map of voices: arrow keys walk from dot to dot, Enter plays">
${{base}}${{value}}<circle class="ring" r="9"/></svg>
<p class="near" aria-live="polite">Point at a dot to see who it is.</p>"""
STYLE = Path(__file__).with_name("atlas.css").read_text()
SCRIPT = Path(__file__).with_name("atlas.js").read_text()


def about(words):
    """What an atlas says about a dot, in plain words."""
    sex, _, made = words.partition(", ")
    if sex == "not said":
        return f"a virtual voice, made with {made}"
    return words.replace("of the way", "of the way between two voices")


def legend(kinds):
    """What shape means what, and how many there are of each kind, as HTML."""
    parts = []
    for kind, (shape, colour) in LOOKS.items():
        parts.append(
            '<span style="white-space: nowrap; margin-right: 14px">'
            '<svg viewBox="-5 -5 10 10" width="16" height="16" style="display: inline; vertical-align: -3px">'
            f'<path d="{shape}" fill="{colour}"/></svg> {kind} ({kinds.count(kind)})</span>'
        )
    return f"<p>{' '.join(parts)}</p>"


def polyline(kind, places):
    """An SVG line through places [m, 2] of the picture."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="line {kind}" points="{points}"/>'


def mark(word, shape, place):
    """A named mark at a place of the picture, as SVG; the name stays inside."""
    x, down = place
    side = "middle"
    if x > WIDTH - SIDE:
        side = "end"
    elif x < SIDE:
        side = "start"
    return (
        f'<path class="mark" d="{shape}" transform="translate({x:.1f} {down:.1f})"/>'
        f'<text class="name" x="{x:.1f}" y="{max(down - 8, 11):.1f}" text-anchor="{side}">{word}</text>'
    )


class Chart:
    """What is drawn of a lib.voices.maps.Atlas."""

    def __init__(self, atlas):
        self.atlas = atlas
        self.xy = {"UMAP": atlas.umap.numpy(), "PCA": atlas.place(atlas.vectors(), "pca")}

    def can_place(self, method):
        """Whether a voice that is no dot can be placed: UMAP warms up for half a minute."""
        return method == "PCA" or self.atlas.mapper is not None

    def place(self, spk_emb, method):
        """Places [m, 2] on the map of voices spk_emb [m, D]."""
        return self.atlas.place(spk_emb, method.lower())

    def scale(self, places, method):
        """Places [m, 2] of a map as [m, 2] of the picture; what lies outside comes to its edge."""
        low, high = self.xy[method].min(0), self.xy[method].max(0)
        unit = np.clip((np.array(places) - low) / (high - low), -EDGE, 1 + EDGE)
        unit = unit * [1, -1] + [0, 1]  # the picture counts from its top
        return MARGIN + unit * (np.array([WIDTH, HEIGHT]) - 2 * MARGIN)

    def dots(self, method):
        """The dots without what a map needs to be walked, as SVG: a picture."""
        looks = list(LOOKS.items())
        kinds = [kind for kind, _ in looks]
        parts = []
        for kind, (x, y) in zip(self.atlas.config.kinds, self.scale(self.xy[method], method), strict=True):
            shape, colour = looks[kinds.index(kind)][1]
            parts.append(f'<path d="{shape}" fill="{colour}" transform="translate({x:.1f} {y:.1f})"/>')
        return "".join(parts)

    def base(self, method):
        """The dots, as SVG."""
        config, kinds = self.atlas.config, list(LOOKS)
        parts = []
        for i, (shape, colour) in enumerate(LOOKS.values()):
            parts.append(f'<path id="look-{i}" d="{shape}" fill="{colour}"/>')
        parts = [f"<defs>{''.join(parts)}</defs>"]
        for i, (x, y) in enumerate(self.scale(self.xy[method], method)):
            title = html.escape(f"{config.names[i]}: {about(config.about[i])}")
            parts.append(
                f'<use class="point" id="point-{i}" role="option" aria-selected="false" '
                f'href="#look-{kinds.index(config.kinds[i])}" x="{x:.1f}" y="{y:.1f}">'
                f"<title>{title}</title></use>"
            )
        return "".join(parts)

    def lines(self, place, near, method):
        """Lines from a place to the dots `near`, as SVG."""
        return [polyline("true", self.scale([place, self.xy[method][i]], method)) for i in near[:LINES]]

    def path(self, ends, places, method):
        """The way between two voices, ends [2, D] at places [2, 2], as it runs on the map, as SVG."""
        one, two = torch.tensor(ends)
        voices = [filling.interpolate(one, two, share) for share in np.linspace(0, 1, STEPS)[1:-1]]
        between = self.place(torch.stack(voices).numpy(), method)
        return polyline("path", self.scale([places[0], *between, places[1]], method))


def opened(voices, folder):
    """(atlas, card, "") of a folder, or (None, None, why it cannot be shown)."""
    remedy = "Build it with lesson 10: `DEMO_BUDGET=full python notebooks/src/10_the_atlas.py`."
    try:
        atlas, card = maps.Atlas.load(folder)
    except ValueError as error:
        return None, None, f"**There is no map.** {error} {remedy}"
    if atlas.config.encoder != training.fingerprint(voices.encoder):
        return (
            None,
            None,
            f"**This map was made with another encoder**, whose vectors mean other voices. {remedy}",
        )
    return atlas, card, ""
