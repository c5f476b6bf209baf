"""Sound: files, levels, spectrograms, pitch.

`from lib import audio` gives what the other rooms use; perturb is apart, as it needs Praat.
"""
from lib.audio import watermark
from lib.audio.checks import Check, check
from lib.audio.f0 import HIGH, LOW, pitch, register
from lib.audio.features import mel, mel_filters, spectral_subtraction, spectrogram
from lib.audio.files import MAX_BYTES, MAX_SAMPLES, MAX_SECONDS, encoded, load, resample, save
from lib.audio.frames import HOP, LEVEL_DB, N_FFT, N_MELS, RATE
from lib.audio.levels import (
    cut_pauses,
    frame_db,
    normalise,
    pauses,
    prepare,
    put_pauses,
    speech_level,
    trim,
)
from lib.audio.rooms import augment, narrow, room
from lib.audio.stretches import CHUNK, OVERLAP, chunked, source

__all__ = [
    "CHUNK", "HIGH", "HOP", "LEVEL_DB", "LOW", "MAX_BYTES", "MAX_SAMPLES", "MAX_SECONDS", "N_FFT", "N_MELS",
    "OVERLAP", "RATE", "Check",
    "augment", "check", "chunked", "cut_pauses", "encoded", "frame_db", "load", "mel", "mel_filters",
    "narrow", "normalise", "pauses", "pitch", "prepare", "put_pauses", "register", "resample", "room", "save",
    "source", "spectral_subtraction", "spectrogram", "speech_level", "trim", "watermark",
]
