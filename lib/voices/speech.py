"""What every task returns, and what all do on the way there: seeds, facts, edges, progress."""
import contextlib
import time
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import torch

from lib import audio
from lib.voices.turns import Turns

FADE = 0.008  # s, of a ramp at both ends: shorter ones click
SOFTWARE = "Voice Atlas"
SYNTHETIC = "Synthetic: a machine made or changed this sound; a watermark in it says so."
SEEDS = 2**63  # torch refuses larger ones
TURNS = Turns()  # torch's random state is shared by all threads: one of them draws at a time


@dataclass(frozen=True)
class Speech:
    """Sound that was made: rate in Hz, wav float32 [T], and facts about how.

    facts: seed, seconds, took, real_time_factor, checkpoint, budget and the settings of the task.
    """
    rate: int
    wav: np.ndarray
    facts: dict = field(default_factory=dict)

    def save(self, path):
        """Write the sound to `path` (.wav, .flac, .mp3 or .ogg), marked and labelled as made by a machine.

        Returns the path.  `wav` itself stays as it is.  Raises ValueError for sound that cannot be marked.
        """
        marked = audio.watermark.embed(self.wav, self.rate)
        audio.save(path, self.rate, marked, **self.labels())
        return path

    def labels(self):
        """What the file says of itself: by what software and model, that it is synthetic, and the day."""
        model = self.facts.get("checkpoint", "unknown")
        return {"software": SOFTWARE, "comment": f"{SYNTHETIC} Model: {model}.", "date": str(date.today())}


@contextlib.contextmanager
def seeded(seed, had=0):
    """Draw from `seed`, any whole number, while others wait; then torch's random state is what it was.

    had: turns that this request had before; who had fewer goes first.
    """
    with TURNS.turn(had), torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed) % SEEDS)
        yield


def is_clip(voice):
    """Whether a voice is given by a recording (path, bytes, (rate, samples)) and not by its embedding."""
    return not isinstance(voice, (np.ndarray, torch.Tensor, list))


def as_clip(sound):
    """A Speech as (rate, samples); a clip as it is."""
    return (sound.rate, sound.wav) if isinstance(sound, Speech) else sound


def result(bundle, name, wav, started, settings):
    """Speech of wav [T], made by the checkpoint `name` since `started` (time.time()) with `settings`."""
    took = time.time() - started
    seconds = len(wav) / audio.RATE
    card = bundle.card(name)
    facts = {"seconds": seconds, "took": took, "real_time_factor": took / seconds,
             "checkpoint": card.get("name", name), "budget": card["budget"]}
    return Speech(audio.RATE, wav, settings | facts)


def joined(pieces):
    """One Speech of several of one rate that were made with the same settings, in their order."""
    rate = pieces[0].rate
    wav = np.concatenate([piece.wav for piece in pieces])
    took = sum(piece.facts["took"] for piece in pieces)
    seconds = len(wav) / rate
    facts = {"seconds": seconds, "took": took, "real_time_factor": took / seconds}
    return Speech(rate, wav, pieces[0].facts | facts)


def finished(wav):
    """A decoder's wav [T] as it is handed on: with less hiss, at LEVEL_DB, edges faded."""
    return fade(audio.normalise(audio.spectral_subtraction(wav)))


def fade(wav, seconds=FADE):
    """Ramp both ends of wav [T], so that sentences join without clicks."""
    size = min(int(seconds * audio.RATE), len(wav) // 2)
    ramp = np.ones(len(wav), "float32")
    ramp[:size] = np.linspace(0, 1, size)
    ramp[len(wav) - size:] = np.linspace(1, 0, size)
    return wav * ramp


def stop_if(cancelled):
    """Raise InterruptedError when cancelled() says so; cancelled may be None."""
    if cancelled and cancelled():
        raise InterruptedError("Stopped before the end, as asked.")
