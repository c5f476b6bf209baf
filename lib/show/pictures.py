"""Pictures as files: of a figure for a notebook, of sounds for the app.  The only door to PIL."""
import functools
import io

import numpy as np
from matplotlib import colormaps, font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image, ImageDraw, ImageFont

from lib import audio
from lib.show import plots

PICTURE_BYTES = 36_000  # 48 kB as base64: notebooks/build.py drops payloads over 50 kB
QUALITIES = (90, 80, 65, 50, 30)  # of JPEG, tried in turn
WIDTH, HEIGHT, DPI = 6.4, 3.0, 160  # inches of the page's pictures, and of a row: readable on a phone
TEXT_POINTS, TICK_POINTS, GAP_POINTS = 9, 3.5, 2.5  # of times: letters, ticks, and what lies between
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)  # s from tick to tick
TICKS = 8  # at most
INK = "black"


def saved(image, kind, **options):
    """Bytes of a PIL image as a file of one kind."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def drawn(fig):
    """A figure as a PIL image."""
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def picture(fig):
    """(mime type, bytes) of a figure, at most PICTURE_BYTES: PNG where that is enough, else JPEG.

    JPEG is for noisy spectrograms."""
    image = drawn(fig)
    data = saved(image.quantize(256, dither=Image.Dither.NONE), "png", optimize=True)
    if len(data) <= PICTURE_BYTES:
        return "image/png", data
    for quality in QUALITIES:
        data = saved(image, "jpeg", quality=quality, subsampling=0)
        if len(data) <= PICTURE_BYTES:
            break
    return "image/jpeg", data


def spectrograms(sounds, height=HEIGHT):
    """Bytes of a png of the mel spectrograms of {title: (rate, wav [T])}, in rows on one time axis.

    Differs from `plots.spectrogram`: axes are drawn once for all sounds, only times for each; a figure costs
    a quarter of a second of a core, as much as half of the speech that it shows.
    Raises ValueError for a sound that cannot be drawn."""
    empty, boxes = frame(tuple(sounds), height)
    image = empty.copy()
    longest = max(len(wav) / rate for rate, wav in sounds.values())
    for (left, top, right, bottom), (rate, wav) in zip(boxes, sounds.values(), strict=True):
        share = len(wav) / rate / longest
        size = (max(1, round((right - left) * share)), bottom - top)
        image.paste(coloured(wav, rate).resize(size, Image.Resampling.BILINEAR), (left, top))
    draw_times(image, boxes[-1], longest)
    return saved(image, "png", compress_level=1)


def coloured(wav, rate):
    """The loudest RANGE_DB of the mel spectrogram of wav [T] as an image: a pixel for each bin and frame."""
    db = plots.decibels(wav, rate)
    share = np.clip(1 + (db - db.max()) / plots.RANGE_DB, 0, 1)
    colours = colormaps[plots.CMAP](np.arange(256), bytes=True)[:, :3]
    return Image.fromarray(colours[np.round(255 * share).astype("uint8")][::-1])


@functools.lru_cache(maxsize=16)
def frame(titles, height):
    """(image of empty axes with these titles, (left, top, right, bottom) of each in pixels)."""
    fig, axes = plots.figure(len(titles), 1, width=WIDTH, height=height, squeeze=False)
    fig.set_dpi(DPI)
    axes = axes[:, 0]
    nothing = np.full((audio.N_MELS, 1), np.nan)
    for axis, title in zip(axes, titles, strict=True):
        level = axis.imshow(nothing, origin="lower", aspect="auto", cmap=plots.CMAP,
                            vmin=-plots.RANGE_DB, vmax=0, extent=(0, 1, 0, len(nothing)))
        axis.set_yticks(plots.mel_places(), plots.MEL_TICKS)
        axis.set_xticks([])
        plots.label(axis, "", "frequency (Hz)", title)
        fig.colorbar(level, ax=axis, pad=0.01).set_label("dB under the loudest", fontsize=TEXT_POINTS)
    axes[-1].set_xticks([0], ["0"], color="none")  # room for the times
    axes[-1].tick_params("x", length=TICK_POINTS, color="none")
    axes[-1].set_xlabel("time (s)", fontsize=TEXT_POINTS)
    image = drawn(fig)
    boxes = []
    for axis in axes:
        box = axis.get_window_extent()
        sides = (box.x0, image.height - box.y1, box.x1, image.height - box.y0)
        boxes.append(tuple(round(side) for side in sides))
    return image, boxes


@functools.lru_cache(maxsize=1)
def font():
    """The letters of matplotlib's own texts."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), round(TEXT_POINTS * DPI / 72))


def draw_times(image, box, longest):
    """Draw ticks and their seconds under the box (left, top, right, bottom) of a sound of `longest` s."""
    left, _, right, bottom = box
    step = next((step for step in STEPS if longest / step <= TICKS), STEPS[-1])
    end = bottom + TICK_POINTS * DPI / 72
    draw = ImageDraw.Draw(image)
    for number in range(int(longest / step) + 1):
        x = round(left + (right - left) * number * step / longest)
        draw.line([(x, bottom), (x, end)], INK, width=2)
        draw.text((x, end + GAP_POINTS * DPI / 72), f"{number * step:g}", INK, font(), anchor="mt")
