"""One voice out of a mixture."""
import functools
import time

import numpy as np
import torch

from lib import audio
from lib.voices import people
from lib.voices.speech import TURNS, Speech

REST_DB = 30.0  # what lies so far under the loudest frame of a separated voice is a rest of the others
AROUND = 6  # frames to both sides, 0.1 s, that are kept with a loud one


def extract(voices, mixture, speakers=None):
    """Take a mixture of people (a clip) apart: a list of Speech, the loudest person first.

    At most 30 s of it are used.  speakers: 1 to 4, or None to count them.  facts of each: spk_emb [D] by the
    encoder, attractor [D'], share of the level, and mask [F, N] on the mixture's level [F, N].
    Raises ValueError as audio.prepare does, or where no separation network is installed.
    """
    started = time.time()
    attractor = voices.bundle["attractor"]
    mix = torch.tensor(audio.prepare(mixture))[None, None]
    find = functools.partial(people.people, counting=attractor.config.counting, speakers=speakers)
    with TURNS.turn():  # beside a sentence of somebody else it would take longer than behind it
        separated = attractor.separate(mix, find)
    level = separated.level
    speeches = []
    for wav, vector, mask in zip(separated.wavs, separated.attractors, separated.masks, strict=True):
        wav = audio.normalise(wav)
        with torch.inference_mode():
            spk_emb = voices.encoder.embed(torch.tensor(spoken(wav))[None, None]).numpy()
        share = float((mask * level).sum() / level.sum())
        facts = {"spk_emb": spk_emb, "attractor": vector, "share": share, "mask": mask, "level": level,
                 "seconds": len(wav) / audio.RATE, "took": time.time() - started}
        speeches.append(Speech(audio.RATE, wav, facts))
    return speeches


def spoken(wav):
    """Give the parts of a separated wav [T] where its person speaks, joined."""
    db = audio.frame_db(wav)
    loud = db > db.max() - REST_DB
    near = np.convolve(loud, np.ones(2 * AROUND + 1))[AROUND: AROUND + len(db)] > 0
    return wav[: len(db) * audio.HOP][np.repeat(near, audio.HOP)]
