"""Sounds, pictures and tables in a notebook."""
import base64
import html
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lib import audio
from lib.show.plots import COLOURS, _sound, draw_spectrogram, figure, label, picture


def sound(wav, rate=audio.RATE, title=""):
    """Figure of wav [T] as waveform above, mel spectrogram below, on one time axis."""
    wav = _sound(wav, rate)
    fig, (upper, lower) = figure(2, 1, height=1.9, sharex=True)
    parts = np.array_split(wav, min(len(wav), 800))  # all that can be seen: the extremes within a pixel
    upper.fill_between(np.linspace(0, len(wav) / rate, len(parts)), [p.min() for p in parts], [p.max() for p in parts],
                       color=COLOURS[0], linewidth=0.5)
    label(upper, "", "sample value", title)
    draw_spectrogram(lower, wav, rate)
    fig.set_label(f"{title or 'Sound'}: waveform and mel spectrogram of {len(wav) / rate:.1f} s.")
    return fig


class Shown:
    """Something with an HTML face for notebooks and a plain one for terminals (`str`)."""

    def __init__(self, html_text, text):
        self.html, self.text = html_text, text

    def _repr_html_(self):
        return self.html

    def __repr__(self):
        return self.text


def player(wav, rate=audio.RATE, label="sound"):
    """A player for wav [T] with its label; mp3 inside, about 6.3 kB a second, so that 7 s fit into a saved notebook."""
    wav = np.asarray(wav, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.mp3"
        audio.save(path, rate, wav)
        data = base64.b64encode(path.read_bytes()).decode()
    text = html.escape(label, quote=True)
    sound = f'<audio controls aria-label="{text}" src="data:audio/mpeg;base64,{data}"></audio>'
    return Shown(f'<figure style="margin:4px 0"><figcaption>{text}</figcaption>{sound}</figure>',
                 f"[{label}: {len(wav) / rate:.1f} s of sound]")


def table(rows, caption=""):
    """A table of figures from a list of dicts with equal keys; `str` of it is markdown, in a notebook it is HTML."""
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise ValueError(f"{len(rows)} rows: give at least one, all with the same keys in the same order.")
    cells = [[f"{v:.4g}" if isinstance(v, (float, np.floating)) else str(v) for v in row.values()] for row in rows]
    number = [all(isinstance(row[key], (int, float, np.number)) for row in rows) for key in rows[0]]
    lines = [list(map(str, rows[0])), ["---:" if n else "---" for n in number], *cells]
    markdown = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    styles = [' style="text-align:right"' if n else "" for n in number]
    head = "".join(f'<th scope="col"{style}>{html.escape(str(key))}</th>' for key, style in zip(rows[0], styles))
    body = ["".join(f"<td{style}>{html.escape(c)}</td>" for c, style in zip(line, styles)) for line in cells]
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    body = "".join(f"<tr>{line}</tr>" for line in body)
    return Shown(f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>",
                 f"{caption}\n\n{markdown}" if caption else markdown)


def in_notebook():
    """Whether an IPython shell is there to show things; False in a script, in tests and in the app."""
    return "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None


def display(*things):
    """Show figures, players, tables or anything else in a notebook; in a script print what they are."""
    for thing in things:
        if not in_notebook():
            print(f"[{thing.get_label()}]" if isinstance(thing, Figure) else thing)
            continue
        from IPython.display import display as show
        if isinstance(thing, Figure):
            mime, data = picture(thing)
            show({mime: base64.b64encode(data).decode(), "text/plain": thing.get_label()}, raw=True)
        else:
            show(thing)
