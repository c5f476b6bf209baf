"""Plots: figures of matplotlib, which belongs to this room."""
import numpy as np
import torch
from matplotlib.figure import Figure

from lib import audio

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^DvPX*"  # eight, so that with seven colours 56 voices look different
LINES = ("-", "--", "-.", ":")
PEOPLE = (COLOURS[4], COLOURS[5], COLOURS[3], COLOURS[2])  # in a mixture: orange, blue, pink, green
CMAP = "magma"  # of levels
RANGE_DB = 80  # of a spectrogram, under its loudest point
MIXTURE_DB = 60  # of a mixture, where black must leave room for colours
MEL_TICKS = (250, 500, 1000, 2000, 4000)  # Hz
FLOOR = 1e-5  # of magnitudes, before the logarithm
DB_PER_NEPER = 20 / np.log(10)  # log-mels are natural logarithms of magnitudes
MOST_NAMES = 60  # tokens on an axis; more cannot be read
THRESHOLDS = 300  # at which the mistakes of an encoder are counted: the line looks smooth
LINE_HEIGHT = 0.16  # inches of a token in an alignment


def figure(rows=1, cols=1, width=8.0, height=2.6, **grid):
    """An empty figure in the house style, `height` inches a row: (Figure, its axes as Figure.subplots)."""
    fig = Figure(figsize=(width, height * rows), dpi=80, layout="constrained")
    axes = fig.subplots(rows, cols, **grid)
    for axis in np.ravel(axes):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    return fig, axes


def label(axis, x, y, title=""):
    """Name both axes (with units) and the picture.

    Where the figure has no alternative text, the title becomes it."""
    axis.set_xlabel(x, fontsize=10)
    axis.set_ylabel(y, fontsize=10)
    axis.set_title(title, fontsize=11, loc="left")
    axis.figure.set_label(axis.figure.get_label() or title)


def look(i):
    """Colour, line and marker number i, so that neighbours differ without colour as well."""
    return {"color": COLOURS[i % 7], "linestyle": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)]}


def drawable(wav, rate):
    """wav as float32 [T].  Raises ValueError for another shape, or less than a window."""
    wav = np.asarray(wav, dtype="float32")
    if wav.ndim != 1 or len(wav) < rate * audio.N_FFT / audio.RATE:
        raise ValueError(f"A sound of shape {wav.shape} at {rate} Hz cannot be drawn: give [T], 64 ms.")
    return wav


def decibels(wav, rate=audio.RATE, kind="mel"):
    """Level in dB [bins, F] of wav [T].  Raises ValueError as `draw_spectrogram` does."""
    if kind not in ("mel", "spec"):
        raise ValueError(f"kind is {kind!r}: 'mel' or 'spec'.")
    sound = torch.tensor(audio.resample(drawable(wav, rate), rate, audio.RATE))[None, None]
    if kind == "mel":
        return audio.mel(sound)[0].numpy() * DB_PER_NEPER
    return torch.log(audio.spectrogram(sound)[0].clamp_min(FLOOR)).numpy() * DB_PER_NEPER


def mel_places():
    """Where the MEL_TICKS lie on an axis that counts bins."""
    centres = audio.mel_filters().argmax(1).numpy() * audio.RATE / audio.N_FFT
    return np.interp(MEL_TICKS, centres, np.arange(audio.N_MELS) + 0.5)


def draw_spectrogram(axis, wav, rate=audio.RATE, kind="mel"):
    """Draw the loudest 80 dB of wav [T] on an axis.

    kind: "mel" (80 bins, labelled in Hz) or "spec" (513 bins).
    Raises ValueError for another kind, or a sound that cannot be drawn."""
    db = decibels(wav, rate, kind)
    top = len(db) if kind == "mel" else audio.RATE / 2  # of mels the axis counts bins, its ticks say Hz
    seconds = db.shape[1] * audio.HOP / audio.RATE
    drawn = axis.imshow(db, origin="lower", aspect="auto", cmap=CMAP, interpolation="antialiased",
                        vmin=db.max() - RANGE_DB, vmax=db.max(), extent=(0, seconds, 0, top))
    if kind == "mel":
        axis.set_yticks(mel_places(), MEL_TICKS)
    label(axis, "time (s)", "frequency (Hz)")
    axis.figure.colorbar(drawn, ax=axis, pad=0.01).set_label("level (dB)", fontsize=9)


def spectrogram(wav, rate=audio.RATE, kind="mel", title=""):
    """Figure of the spectrogram of wav [T]; kind as `draw_spectrogram`."""
    fig, axis = figure()
    draw_spectrogram(axis, wav, rate, kind)
    axis.set_title(title, fontsize=11, loc="left")
    fig.set_label(f"{title or 'Sound'}: {kind} spectrogram of {len(wav) / rate:.1f} s.")
    return fig


def rgb(colour):
    """Red, green and blue, each 0 to 1, of "#rrggbb"."""
    return [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]


def draw_mixture(axis, level, masks, seconds, top_hz=5000, title=""):
    """Draw who sounds where in a mixture of S people, up to `top_hz`; speech has little above 5 kHz.

    Each point is as bright as level [F, N] says (the loudest 60 dB; N bins up to half the sampling rate), in
    the colours of PEOPLE, mixed as masks [S, F, N] say."""
    masks = np.asarray(masks)
    colours = np.array([rgb(colour) for colour in PEOPLE[: len(masks)]])  # [S, 3]
    loudest = max(level.max(), 1e-9)
    light = np.clip(1 + 20 * np.log10(level / loudest + 1e-9) / MIXTURE_DB, 0, 1)
    image = light[..., None] * np.einsum("sfn,sc->fnc", masks, colours)  # [F, N, 3]
    shown = int(level.shape[1] * top_hz / (audio.RATE / 2))
    axis.imshow(image[:, :shown].transpose(1, 0, 2), origin="lower", aspect="auto",
                extent=(0, seconds, 0, top_hz / 1000))
    label(axis, "time (s)", "frequency (kHz)", title)


def alignment(path, tokens=None, title=""):
    """Figure of a path [N, F] (0 or 1): which token sounds in which frame.

    tokens: names of the N rows, or None.  Raises ValueError where the shapes do not fit."""
    path = np.asarray(path, dtype="float32")
    if path.ndim != 2 or (tokens is not None and len(tokens) != len(path)):
        raise ValueError(f"path has shape {path.shape}, tokens {np.shape(tokens)}: give [N, F] and N tokens "
                         "or none.")
    N, F = path.shape
    fig, axis = figure(height=max(2.4, min(6.0, LINE_HEIGHT * N + 0.8)))
    axis.imshow(path, origin="lower", aspect="auto", cmap="Greys", interpolation="nearest",
                vmin=0, vmax=1, extent=(0, F, -0.5, N - 0.5))
    if tokens is not None and N <= MOST_NAMES:
        axis.set_yticks(range(N), tokens, fontsize=8)
    label(axis, f"frame F (one is {1000 * audio.HOP / audio.RATE:.0f} ms)", "token N", title)
    fig.set_label(f"{title or 'Alignment'}: a path through {N} tokens and {F} frames.")
    return fig


def losses(log, names=None, title=""):
    """Figure of training curves: log is the list of dicts of training.fit, names are losses (default: all).

    Raises ValueError for an empty log."""
    if not log:
        raise ValueError("The log is empty: nothing was trained, or fewer steps than log_every.")
    names = names or [name for name in log[-1] if name not in ("step", "s_per_step")]
    fig, axis = figure()
    for i, name in enumerate(names):
        lines = [line for line in log if name in line]
        steps = [line["step"] for line in lines]
        values = [line[name] for line in lines]
        axis.plot(steps, values, **look(i), markersize=5, markevery=max(1, len(lines) // 8), label=name)
    axis.legend(fontsize=8, frameon=False, ncols=max(1, len(names) // 4))
    label(axis, "step", "loss", title)
    fig.set_label(f"{title or 'Training'}: {', '.join(names)} over {log[-1]['step']} steps.")
    return fig


def voices(points, who, title="", legend=24):
    """Figure of points [n, 2] (see `lib.voices.maps`), a look for each of who [n].

    More voices than `legend` get none.  Raises ValueError where points and names do not fit."""
    points, who = np.asarray(points), np.asarray(who)
    if points.shape != (len(who), 2):
        raise ValueError(f"points {points.shape} and {len(who)} names: give [n, 2] and n names.")
    names = list(dict.fromkeys(who.tolist()))
    fig, axis = figure(width=6.5, height=4.5)
    for i, name in enumerate(names):
        mine = points[who == name]
        axis.scatter(mine[:, 0], mine[:, 1], color=look(i)["color"], marker=look(i)["marker"],
                     s=28, alpha=0.8, linewidths=0, label=name)
    if len(names) <= legend:
        fig.legend(fontsize=8, frameon=False, loc="outside right center")
    axis.set_xticks([])
    axis.set_yticks([])
    label(axis, "direction 1 (no unit)", "direction 2 (no unit)", title)
    fig.set_label(f"{title or 'Map'}: {len(points)} points of {len(names)} kinds.")
    return fig


def scores(values, labels, threshold=None, title=""):
    """Figure of cosine scores [n]: pairs of one speaker (labels 1) against others, and the threshold."""
    values, labels = np.asarray(values), np.asarray(labels).astype(bool)
    fig, axis = figure()
    bins = np.linspace(values.min(), values.max(), 41)
    drawn = dict(density=True, alpha=0.6, edgecolor="white")
    axis.hist(values[~labels], bins, color=COLOURS[1], hatch="//", label="two people", **drawn)
    axis.hist(values[labels], bins, color=COLOURS[0], label="one person", **drawn)
    if threshold is not None:
        axis.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.2f}")
    axis.legend(fontsize=8, frameon=False)
    label(axis, "cosine of two clips", "density", title)
    fig.set_label(f"{title or 'Scores'}: {labels.sum()} pairs of one person, {(~labels).sum()} of two.")
    return fig


def mistakes(scores, labels, title=""):
    """Figure of both mistakes at every threshold, a line for each encoder: nearer to the corner is better.

    scores: {name: cosines [n]} of the same pairs, labels 1 where both clips are of one speaker."""
    labels = np.asarray(labels).astype(bool)
    fig, axis = figure(width=5, height=4)
    for i, (name, values) in enumerate(scores.items()):
        thresholds = np.quantile(values, np.linspace(0, 1, THRESHOLDS))
        let_in = [100 * (values[~labels] >= threshold).mean() for threshold in thresholds]
        turned_away = [100 * (values[labels] < threshold).mean() for threshold in thresholds]
        axis.plot(let_in, turned_away, color=COLOURS[i], linestyle=LINES[i % len(LINES)], label=name)
    axis.legend(fontsize=8, frameon=False)
    label(axis, "strangers let in (%)", "people turned away (%)", title)
    fig.set_label(f"{title or 'Mistakes'}: strangers let in against people turned away, {', '.join(scores)}.")
    return fig
