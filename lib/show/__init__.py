"""What a lesson shows: plots, players, tables, sliders."""
from lib.show.pictures import PICTURE_BYTES, picture, spectrograms
from lib.show.players import Shown, display, in_notebook, player, sound, table
from lib.show.plots import (
    COLOURS,
    LINES,
    MARKERS,
    PEOPLE,
    alignment,
    draw_mixture,
    draw_spectrogram,
    figure,
    label,
    losses,
    mistakes,
    scores,
    spectrogram,
    voices,
)
from lib.show.widgets import exercise, sliders

__all__ = [
    "COLOURS", "LINES", "MARKERS", "PEOPLE", "PICTURE_BYTES", "Shown", "alignment", "display",
    "draw_mixture", "draw_spectrogram", "exercise", "figure", "in_notebook", "label", "losses",
    "mistakes", "picture", "player", "scores", "sliders", "sound", "spectrogram", "spectrograms", "table",
    "voices",
]
