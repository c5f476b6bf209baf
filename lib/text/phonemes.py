"""From words to phonemes.  The only door to the phonemiser."""
import functools
import logging
import re
import threading

from lib.text.marks import CLOSE, OPEN
from lib.text.normalisation import normalise
from lib.text.symbols import INDEX, PAD, ids

MARKS = ",.;:!?"
_LOCK = threading.Lock()  # espeak keeps its language and its buffers in globals
_RUNS = re.compile(f"{OPEN}[^{CLOSE}]*{CLOSE}|[{MARKS}]|[^{MARKS}{OPEN}]+")
_AGAIN = re.compile(r"\b(\w)(?: \1){2}(?= \1\b)")  # of one letter in a row espeak says three and no more


@functools.cache
def _espeak(language):
    """The phonemiser of one language; called under _LOCK only.  Raises ValueError for a language espeak
    lacks.
    """
    import espeakng_loader
    from phonemizer.backend import EspeakBackend
    from phonemizer.backend.espeak.wrapper import EspeakWrapper
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    logger = logging.getLogger("lib.text.phonemizer")  # it warns where espeak joins two words
    logger.setLevel(logging.ERROR)
    try:
        return EspeakBackend(language, with_stress=True, language_switch="remove-flags", logger=logger)
    except RuntimeError as error:
        raise ValueError(f"espeak does not speak {language!r}: "
                         "use a code such as 'en-us', 'en-gb' or 'ko'.") from error


def phonemise(text, language="en-us"):
    """Give the phonemes of `text` as espeak reads it, with stress, length and punctuation.

    str -> str, list -> list.  Symbols outside SYMBOLS are dropped; the phonemes of [lead|/lɛd/] are taken as
    they are. Thread-safe.  Raises ValueError for a text with nothing to speak in it.
    """
    texts = [text] if isinstance(text, str) else list(text)
    # Punctuation is kept here and not by phonemizer, which loses count of lines when a mark stands alone.
    runs = [_RUNS.findall(normalise(written, language)) for written in texts]
    words = [run for parts in runs for run in parts if _is_spoken(run)]
    spoken = iter(_spoken(words, language))
    results = []
    for written, parts in zip(texts, runs, strict=True):
        read = [next(spoken) if _is_spoken(run) else run.strip() for run in parts]
        phonemes = _joined(_articles(parts, read))
        if not any(c.isalpha() for c in phonemes):
            raise ValueError(f"There is nothing to speak in {written[:80]!r}: "
                             "write at least one word or number.")
        results.append(phonemes)
    return results[0] if isinstance(text, str) else results


def _is_spoken(run):
    """Whether a run is words for espeak: no mark, no phonemes."""
    return not run.startswith(OPEN) and any(c.isalnum() for c in run)


def _spoken(words, language):
    """What espeak makes of each run of words."""
    pieces_of_runs = []
    for run in words:
        pieces = _AGAIN.sub(r"\g<0>\n", run).split("\n")
        pieces_of_runs.append([piece.strip() for piece in pieces])
    read = _read(sum(pieces_of_runs, []), language)
    spoken, at = [], 0
    for pieces in pieces_of_runs:
        spoken.append(" ".join(read[at : at + len(pieces)]))
        at += len(pieces)
    return spoken


def _read(pieces, language):
    """What espeak makes of each piece, one for one."""
    with _LOCK:
        backend = _espeak(language)
        read = backend.phonemize(pieces, strip=True)
        if len(read) != len(pieces):  # phonemizer drops what it finds empty
            read = ["".join(backend.phonemize([piece], strip=True)) for piece in pieces]
    return read


def _articles(runs, read):
    """Turn the letter A into the article where phonemes follow: espeak names a lone "a" at the end of its
    run.
    """
    read = list(read)
    for i, (run, following) in enumerate(zip(runs, runs[1:], strict=False)):
        if following.startswith(OPEN) and run.split()[-1:] == ["a"]:
            read[i] = read[i].removesuffix("ˈeɪ") + "ɐ"
    return read


def _joined(parts):
    """Phonemes of words and marks in one string, marks without a space before them, known symbols only."""
    phonemes = "".join(part if part in MARKS else " " + part for part in parts)
    return " ".join("".join(c for c in phonemes if c in INDEX and c != PAD).split())


def encode(text, language="en-us"):
    """Turn `text` into numbers of SYMBOLS, [N]: its phonemes, a blank (0) at both ends.

    A text without a mark at its end is read as if it had a full stop: voices have learnt from whole
    sentences, and an open one ends in babble.  Raises as `phonemise` does.
    """
    phonemes = phonemise(text, language)
    if phonemes[-1] not in MARKS:
        phonemes += "."
    return ids(phonemes)
