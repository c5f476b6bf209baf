"""Plots.  The only door to matplotlib."""
import io

import numpy as np
import torch
from matplotlib.figure import Figure

from lib import audio

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^DvPX*"  # eight, so that with seven colours 56 voices look different
LINES = ("-", "--", "-.", ":")
PICTURE_BYTES = 36_000  # 48 kB as base64: notebooks/build.py drops payloads over 50 kB


def figure(rows=1, cols=1, width=8.0, height=2.6, **grid):
    """An empty figure in the house style, `height` inches a row: (Figure, axes), axes as Figure.subplots gives them."""
    fig = Figure(figsize=(width, height * rows), dpi=80, layout="constrained")
    axes = fig.subplots(rows, cols, **grid)
    for axis in np.ravel(axes):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    return fig, axes


def label(axis, x, y, title=""):
    """Name both axes (with units) and the picture; where the figure has no alternative text, the title becomes it."""
    axis.set_xlabel(x, fontsize=10)
    axis.set_ylabel(y, fontsize=10)
    axis.set_title(title, fontsize=11, loc="left")
    axis.figure.set_label(axis.figure.get_label() or title)


def _sound(wav, rate):
    wav = np.asarray(wav, dtype="float32")
    if wav.ndim != 1 or len(wav) < rate * audio.N_FFT / audio.RATE:
        raise ValueError(f"A sound of shape {wav.shape} at {rate} Hz cannot be drawn: give [T], at least 64 ms.")
    return wav


def draw_spectrogram(axis, wav, rate=audio.RATE, kind="mel"):
    """Draw the loudest 80 dB of wav [T] on an axis; kind "mel" (80 bins, labelled in Hz) or "spec" (513 bins)."""
    wav = torch.tensor(audio.resample(_sound(wav, rate), rate, audio.RATE))[None, None]
    if kind not in ("mel", "spec"):
        raise ValueError(f"kind is {kind!r}: 'mel' or 'spec'.")
    image = audio.mel(wav)[0] if kind == "mel" else torch.log(audio.spectrogram(wav)[0].clamp_min(1e-5))
    db = image.numpy() * 20 / np.log(10)
    seconds, top = db.shape[1] * audio.HOP / audio.RATE, len(db) if kind == "mel" else audio.RATE / 2
    drawn = axis.imshow(db, origin="lower", aspect="auto", cmap="magma", vmin=db.max() - 80, vmax=db.max(),
                        extent=(0, seconds, 0, top), interpolation="antialiased")
    if kind == "mel":
        centres = audio.mel_filters().argmax(1).numpy() * audio.RATE / audio.N_FFT
        ticks = [250, 500, 1000, 2000, 4000]
        axis.set_yticks(np.interp(ticks, centres, np.arange(len(db)) + 0.5), ticks)
    label(axis, "time (s)", "frequency (Hz)")
    axis.figure.colorbar(drawn, ax=axis, pad=0.01).set_label("level (dB)", fontsize=9)


def spectrogram(wav, rate=audio.RATE, kind="mel", title=""):
    """Figure of the spectrogram of wav [T]; kind as `draw_spectrogram`."""
    fig, axis = figure()
    draw_spectrogram(axis, wav, rate, kind)
    axis.set_title(title, fontsize=11, loc="left")
    fig.set_label(f"{title or 'Sound'}: {kind} spectrogram of {len(wav) / rate:.1f} s.")
    return fig


def alignment(path, tokens=None, title=""):
    """Figure of an alignment path [N, F] (0 or 1): which token sounds in which frame; tokens names the N rows."""
    path = np.asarray(path, dtype="float32")
    if path.ndim != 2 or (tokens is not None and len(tokens) != len(path)):
        raise ValueError(f"path has shape {path.shape}, tokens {np.shape(tokens)}: give [N, F] and N tokens or none.")
    N, F = path.shape
    fig, axis = figure(height=max(2.4, min(6.0, 0.16 * N + 0.8)))
    axis.imshow(path, origin="lower", aspect="auto", cmap="Greys", vmin=0, vmax=1, extent=(0, F, -0.5, N - 0.5), interpolation="nearest")
    if tokens is not None and N <= 60:
        axis.set_yticks(range(N), tokens, fontsize=8)
    label(axis, f"frame F (one is {1000 * audio.HOP / audio.RATE:.0f} ms)", "token N", title)
    fig.set_label(f"{title or 'Alignment'}: a path through {N} tokens and {F} frames.")
    return fig


def losses(log, names=None, title=""):
    """Figure of training curves: log is the list of dicts of training.fit; names chooses losses (default: all)."""
    if not log:
        raise ValueError("The log is empty: nothing was trained, or fewer steps than log_every.")
    names = names or [name for name in log[-1] if name not in ("step", "s_per_step")]
    fig, axis = figure()
    for i, name in enumerate(names):
        points = [(line["step"], line[name]) for line in log if name in line]
        axis.plot(*zip(*points), color=COLOURS[i % 7], linestyle=LINES[i % 4], marker=MARKERS[i % 8], markersize=5,
                  markevery=max(1, len(points) // 8), label=name)
    axis.legend(fontsize=8, frameon=False, ncols=max(1, len(names) // 4))
    label(axis, "step", "loss", title)
    fig.set_label(f"{title or 'Training'}: {', '.join(names)} over {log[-1]['step']} steps.")
    return fig


def voices(points, who, title="", legend=24):
    """Figure of points [n, 2] (see `lib.maps`), a look for each of who [n]; over `legend` voices get no legend."""
    points, who = np.asarray(points), np.asarray(who)
    if points.shape != (len(who), 2):
        raise ValueError(f"points {points.shape} and {len(who)} names: give [n, 2] and n names.")
    names = list(dict.fromkeys(who.tolist()))
    fig, axis = figure(width=6.5, height=4.5)
    for i, name in enumerate(names):
        axis.scatter(*points[who == name].T, color=COLOURS[i % 7], marker=MARKERS[i % 8], s=28, alpha=0.8, linewidths=0, label=name)
    if len(names) <= legend:
        fig.legend(fontsize=8, frameon=False, loc="outside right center")
    axis.set_xticks([])
    axis.set_yticks([])
    label(axis, "direction 1 (no unit)", "direction 2 (no unit)", title)
    fig.set_label(f"{title or 'Map'}: {len(points)} clips of {len(names)} voices.")
    return fig


def scores(values, labels, threshold=None, title=""):
    """Figure of cosine scores [n]: same-speaker pairs (labels 1) against others, and the threshold of equal error."""
    values, labels = np.asarray(values), np.asarray(labels).astype(bool)
    fig, axis = figure()
    bins = np.linspace(values.min(), values.max(), 41)
    kinds = (~labels, COLOURS[1], "//", "two people"), (labels, COLOURS[0], "", "one person")
    for chosen, colour, hatch, name in kinds:
        axis.hist(values[chosen], bins, density=True, color=colour, alpha=0.6, hatch=hatch, edgecolor="white", label=name)
    if threshold is not None:
        axis.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.2f}")
    axis.legend(fontsize=8, frameon=False)
    label(axis, "cosine of two clips", "density", title)
    fig.set_label(f"{title or 'Scores'}: {labels.sum()} pairs of one person, {(~labels).sum()} of two.")
    return fig


def picture(fig):
    """(mime type, bytes <= PICTURE_BYTES) of a figure: PNG where that is enough, else JPEG, for noisy spectrograms."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    tries = [("image/png", image.quantize(256, dither=Image.Dither.NONE), {"optimize": True})]
    tries += [("image/jpeg", image, {"quality": quality, "subsampling": 0}) for quality in (90, 80, 65, 50, 30)]
    for mime, one, options in tries:
        file = io.BytesIO()
        one.save(file, mime[6:], **options)
        if len(file.getvalue()) <= PICTURE_BYTES:
            break
    return mime, file.getvalue()
