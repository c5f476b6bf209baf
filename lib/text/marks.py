"""Marks in a text for how it is spoken: [pause 0.5] and [lead|/lɛd/] or [Nguyen|win]."""
import re

from lib.text.symbols import IPA, LETTERS

MOST_PAUSE = 5.0  # s; who wants more joins two sounds
MOST_TOGETHER = 20.0  # s of all pauses of a text
_PAUSE = re.compile(r"\[pause (\d+(?:\.\d+)?) ?s?\]", re.I)
_SAID = re.compile(r"\[([^\[\]|\n]+)\|([^\[\]|\n]+)\]")
# Phonemes in a normalised text; while the rules for words are at work, a private character stands for them.
OPEN, CLOSE = "⟦", "⟧"
_SET = re.compile(f"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}")
_FIRST, _LAST = 0xE000, 0xF8FF
_PRIVATE = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")


def split_pauses(text):
    """Cut a text at its pauses: list of (text, s of silence behind it).

    Raises ValueError for a pause of more than MOST_PAUSE s, and for more than MOST_TOGETHER s in all.
    """
    parts = _PAUSE.split(text)
    seconds = [float(number) for number in parts[1::2]] + [0.0]
    if max(seconds) > MOST_PAUSE:
        raise ValueError(f"[pause {max(seconds):g}]: a pause has at most {MOST_PAUSE:g} s.")
    if sum(seconds) > MOST_TOGETHER:
        raise ValueError(f"The pauses last {sum(seconds):g} s in all; the limit is {MOST_TOGETHER:g} s: "
                         "shorten some.")
    return list(zip(parts[::2], seconds, strict=True))


def hide(text):
    """Put one private character for each pronunciation in `text`: (text, list of phonemes).

    A pause counts as a comma.  Raises ValueError for phonemes that no voice here has learnt.
    """
    phonemes = []
    text = _PRIVATE.sub(" ", text)
    text = _PAUSE.sub(", ", text)

    def placeholder(ipa):
        phonemes.append(_known(ipa))
        return chr(_FIRST + len(phonemes) - 1)

    def said(match):
        as_written = match[2].strip()
        if as_written.startswith("/") and as_written.endswith("/") and len(as_written) > 2:
            return placeholder(as_written.strip("/"))
        return as_written

    text = _SAID.sub(said, text)
    text = _SET.sub(lambda match: placeholder(match[1]), text)
    return text, phonemes


def show(text, phonemes):
    """Put the phonemes back, between OPEN and CLOSE."""
    return _PRIVATE.sub(lambda match: f" {OPEN}{phonemes[ord(match[0]) - _FIRST]}{CLOSE} ", text)


def _known(ipa):
    unknown = sorted(set(ipa) - set(IPA) - set(LETTERS))
    if unknown:
        raise ValueError(f"/{ipa}/: {''.join(unknown)!r} is no phoneme here: "
                         "write IPA as in /lˈɛd/, without spaces.")
    return ipa
