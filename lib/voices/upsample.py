"""The band above 8 kHz, which no model here speaks."""
import time

import torch

from lib import audio
from lib.models.superres import RATES
from lib.voices.speech import Speech


def upsample(voices, speech, rate):
    """Give `speech` (a Speech, or a clip) at `rate`: 16000, 24000 or 48000 Hz.  A Speech; rate 16000 of one
    at 16000 gives it back.

    Whatever rate a clip has, it is brought to 16 kHz first; below 8 kHz the result is that sound.
    Raises ValueError for another rate, for sound whose own rate is above the wanted one (it would lose a
    band), for a clip that cannot be read, and where no superres is installed.
    """
    started = time.time()
    if rate not in RATES:
        raise ValueError(f"{rate} Hz is not made here: choose {', '.join(str(known) for known in RATES)}.")
    facts = {}
    if isinstance(speech, Speech):
        facts = speech.facts
        own, wav = speech.rate, speech.wav
    else:
        own, wav = audio.load(speech)
    if own > rate:
        raise ValueError(f"This sound has {own} Hz, more than the {rate} Hz asked for: nothing is to be "
                         f"gained. Keep it as it is, or resample it yourself.")
    if own == rate:
        return speech if isinstance(speech, Speech) else Speech(own, wav, facts)
    low = audio.resample(wav, own, audio.RATE)
    if rate == audio.RATE:
        return Speech(rate, low, facts)
    lifted = voices.bundle["superres"].upsample(torch.tensor(low)[None, None], rate)[0, 0].numpy()
    took = facts.get("took", 0.0) + time.time() - started
    seconds = len(lifted) / rate
    more = {"seconds": seconds, "took": took, "real_time_factor": took / seconds, "rate": rate}
    return Speech(rate, lifted, facts | more)
