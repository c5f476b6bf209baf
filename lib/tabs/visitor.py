"""What a visitor sends is checked here before a tab uses it, and what goes back is written here."""

import base64
import contextlib
import functools
import math
import re
import threading
import time
import uuid
from pathlib import Path

import gradio as gr
import numpy as np

from lib import audio, text

SEEDS = 2**31
LIMIT_SECONDS = 90  # of speech in one request: about two seconds of work on two cores, whatever the text
TOKEN_SECONDS = 0.05  # of speech; measured on five texts in three voices: 0.044 to 0.054
SENTENCE_SECONDS = 0.25  # more of it per sentence: the pause and the longer last sound
LISTENERS_AT_ONCE = 2  # a long clip takes hundreds of MB while it is decoded
PATIENCE_SECONDS = 1.0  # a check that must wait longer than this leaves its thread to others
NAME_LETTERS = 40  # of a text, in the name of a file
REMEMBERED_SECONDS = 600  # no run lasts longer than this
DISK = (
    "The server cannot write to its disk, which is full or read-only: try again later, or tell who runs it."
)

STOPPED = "Stopped: nothing is running for you now, and the last result stays."

_listeners = threading.BoundedSemaphore(LISTENERS_AT_ONCE)


def answering(function):
    """Make what a visitor can cause, and a full disk, a message for the visitor."""

    @functools.wraps(function)
    def call(*given, **more):
        try:
            return function(*given, **more)
        except (ValueError, InterruptedError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        except OSError as error:
            raise gr.Error(DISK, print_exception=False) from error

    return call


class WrongField(ValueError):
    """What is wrong with one field; its message begins with the field's name, as the page shows it."""

    def __init__(self, field, words):
        super().__init__(f"{field}: {words}")
        self.field = field


@contextlib.contextmanager
def field(name):
    """Say of a ValueError that is raised inside which field it is about."""
    try:
        yield
    except WrongField:
        raise
    except ValueError as error:
        raise WrongField(name, str(error)) from error


def seed(value):
    """Give a seed as int.  Raises WrongField unless it is a whole number from 0 to SEEDS - 1."""
    if (
        isinstance(value, (int, float))
        and math.isfinite(value)
        and value == int(value)
        and 0 <= value < SEEDS
    ):
        return int(value)
    given = "it is empty" if value is None else f"{value} is out of range"
    raise WrongField("Seed", f"{given}: choose a whole number from 0 to {SEEDS - 1:,}.")


def number(value, name, low, high):
    """Give a number as float.  Raises WrongField unless it lies between low and high; NaN does not."""
    if isinstance(value, (int, float)) and low <= value <= high:
        return float(value)
    given = "it is empty" if value is None else f"{value} is out of range"
    raise WrongField(name, f"{given}: choose {low:g} to {high:g}.")


def clip(path, folder):
    """Path of an uploaded clip or a bundled example, all of which lie in `folder`, gradio's own.

    Raises ValueError for any other file of this machine, for a URL, and for more than audio.MAX_BYTES."""
    place = uploaded(path, folder)
    if place.stat().st_size > audio.MAX_BYTES:
        raise ValueError(
            f"The clip has {place.stat().st_size / 1e6:.0f} MB, the limit is "
            f"{audio.MAX_BYTES / 1e6:.0f} MB: cut it to half a minute."
        )
    return str(place)


def uploaded(path, folder):
    """Path of a file that was uploaded into `folder`.  Raises ValueError for anything else."""
    place = Path(path).resolve() if isinstance(path, (str, Path)) else None
    if place is None or not place.is_relative_to(Path(folder).resolve()) or not place.is_file():
        raise ValueError("This file was not uploaded here: choose it again.")
    return place


def vector(values, D):
    """spk_emb [D] of a list of D finite numbers.  Raises ValueError for a path, a clip, or anything else."""
    plain = isinstance(values, list) and all(isinstance(value, (int, float)) for value in values)
    if not plain or len(values) != D or not np.isfinite(values).all() or not np.any(values):
        raise ValueError(
            f"A voice is {D} finite numbers that are not all zero, and this one is not: make it again."
        )
    return np.array(values, dtype="float32")


def spoken_seconds(words, speed=1.0):
    """About how long `words` will be as speech, known before anything runs."""
    parts = text.parts(words) or [(words, 0.0)]
    tokens = sum(len(text.encode(sentence)) for sentence, _ in parts)
    pauses = sum(pause for _, pause in parts)
    return (tokens * TOKEN_SECONDS + len(parts) * SENTENCE_SECONDS) / speed + pauses


def length(words, speed=1.0):
    """Raise ValueError for more speech than LIMIT_SECONDS; `words` and `speed` have passed speak's checks."""
    seconds = spoken_seconds(words, speed)
    if seconds > LIMIT_SECONDS:
        raise ValueError(
            f"This text would last about {seconds:.0f} s; the limit is {LIMIT_SECONDS} s. "
            "Send it in parts, or faster."
        )


def fresh(folder, suffix, words=""):
    """Path of a file to come, called after `words` as nobody can guess; its folder is there."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    letters = re.sub("[^a-z0-9]+", "-", words.lower())[:NAME_LETTERS].strip("-")
    name = "-".join(part for part in ("voice-atlas", letters, uuid.uuid4().hex) if part)
    return str(folder / f"{name}{suffix}")


def save(speech, folder, words=""):
    """Write a Speech as a wav of its own, called after `words`; returns its path.

    Raises OSError where the disk refuses."""
    path = fresh(folder, ".wav", words)
    try:
        return str(speech.save(path))
    except RuntimeError as error:  # libsndfile's word for a disk that is full or read-only
        raise OSError(str(error)) from error


def keep(data, folder, suffix, words=""):
    """Write bytes to a file of their own, called after `words`; returns its path."""
    path = fresh(folder, suffix, words)
    Path(path).write_bytes(data)
    return path


def data_address(speech, folder):
    """A Speech as a data: address, for a sound that is played once and kept nowhere."""
    path = Path(save(speech, folder))
    sound = base64.b64encode(path.read_bytes()).decode()
    path.unlink()
    return f"data:audio/wav;base64,{sound}"


def gently(report):
    """Make a report on a clip one of LISTENERS_AT_ONCE; who would have to wait for long is told so."""

    @functools.wraps(report)
    def call(*given):
        if not _listeners.acquire(timeout=PATIENCE_SECONDS):
            return "Not checked yet: many clips are being checked at this moment."
        try:
            return report(*given)
        finally:
            _listeners.release()

    return call


class Stops:
    """When each visitor last pressed Stop."""

    def __init__(self):
        self.pressed = {}

    def press(self, request: gr.Request):
        """Answer the button Stop: what to tell the visitor."""
        now = time.monotonic()
        for visitor, when in list(self.pressed.items()):
            if when < now - REMEMBERED_SECONDS:
                self.pressed.pop(visitor, None)
        self.pressed[request.session_hash] = now
        return STOPPED

    def asked(self, request):
        """Give a function that says whether the visitor of `request` has pressed Stop from now on."""
        visitor, begun = request.session_hash, time.monotonic()
        return lambda: self.pressed.get(visitor, 0) > begun
