"""Sounds, pictures and tables in a notebook."""
import base64
import html
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lib import audio
from lib.show.pictures import picture
from lib.show.plots import COLOURS, draw_spectrogram, drawable, figure, label

PIXELS = 800  # of a waveform: all that can be seen are the extremes within one of them


def sound(wav, rate=audio.RATE, title=""):
    """Figure of wav [T] as waveform above, mel spectrogram below, on one time axis."""
    wav = drawable(wav, rate)
    fig, (upper, lower) = figure(2, 1, height=1.9, sharex=True)
    parts = np.array_split(wav, min(len(wav), PIXELS))
    seconds = np.linspace(0, len(wav) / rate, len(parts))
    lowest, highest = [part.min() for part in parts], [part.max() for part in parts]
    upper.fill_between(seconds, lowest, highest, color=COLOURS[0], linewidth=0.5)
    label(upper, "", "sample value", title)
    draw_spectrogram(lower, wav, rate)
    fig.set_label(f"{title or 'Sound'}: waveform and mel spectrogram of {len(wav) / rate:.1f} s.")
    return fig


class Shown:
    """Something with an HTML face for notebooks and a plain one for terminals (`str`)."""

    def __init__(self, html_text, text):
        self.html = html_text
        self.text = text

    def _repr_html_(self):
        return self.html

    def __repr__(self):
        return self.text


def player(wav, rate=audio.RATE, label="sound"):
    """A player for wav [T] with its label.

    The sound inside is mp3, about 6.3 kB a second, so that 7 s fit into a saved notebook."""
    wav = np.asarray(wav, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.mp3"
        audio.save(path, rate, wav)
        data = base64.b64encode(path.read_bytes()).decode()
    caption = html.escape(label, quote=True)
    element = f'<audio controls aria-label="{caption}" src="data:audio/mpeg;base64,{data}"></audio>'
    page = f'<figure style="margin:4px 0"><figcaption>{caption}</figcaption>{element}</figure>'
    return Shown(page, f"[{label}: {len(wav) / rate:.1f} s of sound]")


def cell(value):
    """Text of a cell: a float with four digits, all else as it is."""
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return str(value)


def table(rows, caption=""):
    """A table of figures from a list of dicts with equal keys: markdown in a terminal, HTML in a notebook.

    Raises ValueError for no rows, or rows with other keys than the first."""
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise ValueError(f"{len(rows)} rows: give at least one, all with the same keys in one order.")
    names = [str(key) for key in rows[0]]
    cells = [[cell(value) for value in row.values()] for row in rows]
    numbers = (int, float, np.number)
    numeric = [all(isinstance(row[key], numbers) for row in rows) for key in rows[0]]
    return Shown(as_html(names, cells, numeric, caption), as_markdown(names, cells, numeric, caption))


def as_markdown(names, cells, numeric, caption):
    """A table as Markdown: names, rows of cells, which columns are numeric (to the right), and a caption."""
    rule = ["---:" if right else "---" for right in numeric]
    lines = []
    for line in [names, rule, *cells]:
        lines.append("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |")
    body = "\n".join(lines)
    return f"{caption}\n\n{body}" if caption else body


def as_html(names, cells, numeric, caption):
    """The same in HTML."""
    styles = [' style="text-align:right"' if right else "" for right in numeric]
    head = "".join(f'<th scope="col"{style}>{html.escape(name)}</th>' for name, style in zip(names, styles))
    body = ""
    for line in cells:
        row = "".join(f"<td{style}>{html.escape(text)}</td>" for text, style in zip(line, styles))
        body += f"<tr>{row}</tr>"
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def in_notebook():
    """Whether an IPython shell is there to show things; False in a script, in tests and in the app."""
    return "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None


def display(*things):
    """Show figures, players, tables or anything else in a notebook; in a script print what they are."""
    for thing in things:
        if not in_notebook():
            words = f"[{thing.get_label()}]" if isinstance(thing, Figure) else thing
            print(words)
            continue
        from IPython.display import display as show
        if isinstance(thing, Figure):
            mime, data = picture(thing)
            show({mime: base64.b64encode(data).decode(), "text/plain": thing.get_label()}, raw=True)
        else:
            show(thing)
