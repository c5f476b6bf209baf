"""From words to phonemes.  The only door to the phonemiser."""
import functools
import logging
import re
import threading

from lib.text.normalisation import normalise
from lib.text.symbols import INDEX, PAD, ids

_LOCK = threading.Lock()  # espeak keeps its language and its buffers in globals


@functools.cache
def _espeak(language):
    """The phonemiser of one language; called under _LOCK only.  Raises ValueError for a language espeak lacks."""
    import espeakng_loader
    from phonemizer.backend import EspeakBackend
    from phonemizer.backend.espeak.wrapper import EspeakWrapper
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    logger = logging.getLogger("lib.text.phonemizer")  # it warns of every text in which espeak joins two words
    logger.setLevel(logging.ERROR)
    try:
        return EspeakBackend(language, with_stress=True, language_switch="remove-flags", logger=logger)
    except RuntimeError as error:
        raise ValueError(f"espeak does not speak {language!r}: use a code such as 'en-us', 'en-gb' or 'ko'.") from error


def phonemise(text, language="en-us"):
    """Give the phonemes of `text` as espeak reads it, with stress, length and punctuation; str -> str, list -> list.

    Symbols outside SYMBOLS are dropped.  Thread-safe.  Raises ValueError for a text with nothing to speak in it.
    """
    texts = [text] if isinstance(text, str) else list(text)
    # Punctuation is kept here and not by phonemizer, which loses count of lines when a mark stands alone.
    runs = [re.findall(r"[,.;:!?]|[^,.;:!?]+", normalise(one, language)) for one in texts]
    words = [run for one in runs for run in one if any(c.isalnum() for c in run)]
    with _LOCK:
        backend = _espeak(language)
        spoken = backend.phonemize(words, strip=True)
        if len(spoken) != len(words):  # phonemizer drops what it finds empty
            spoken = ["".join(backend.phonemize([run], strip=True)) for run in words]
    spoken, results = iter(spoken), []
    for original, one in zip(texts, runs, strict=True):
        parts = [next(spoken) if any(c.isalnum() for c in run) else run.strip() for run in one]
        phonemes = "".join(part if part in ",.;:!?" else " " + part for part in parts)
        phonemes = " ".join("".join(c for c in phonemes if c in INDEX and c != PAD).split())
        if not any(c.isalpha() for c in phonemes):
            raise ValueError(f"There is nothing to speak in {original[:80]!r}: write at least one word or number.")
        results.append(phonemes)
    return results[0] if isinstance(text, str) else results


def encode(text, language="en-us"):
    """Turn `text` into numbers of SYMBOLS, [N]: its phonemes, a blank (0) at both ends.  Raises as `phonemise` does."""
    return ids(phonemise(text, language))
