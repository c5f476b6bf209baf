"""From text as people write it to words as people say them.

Why no library: spokenform 0.4.5 was tried.  Alone it reads 43 of the 103 reported texts as people expect
(these rules: 97), "5 in the room" as five inches, "1,000th" as "one,zeroth", "the '90s" as ninety seconds,
"$5M" as "five molar" and "24/7" as twenty-four sevenths: all wrong in silence, so that rules of our own had
to come before it for every kind of number, and what was left for it were dates and telephones.
"""
import re

from lib.text.abbreviations import written_out
from lib.text.marks import hide, show, split_pauses
from lib.text.markup import GREEK, SIGNS, plain, readable
from lib.text.quantities import in_words
from lib.text.units import FOLLOWING

PASSES = 4  # at most; what is written cleanly stands after one


def normalise(text, language="en-us"):
    """Write out `text` as it would be read aloud: numbers, dates, times, money, units, abbreviations,
    initials, signs.

    Markdown and HTML are read as their text; [lead|/lɛd/] keeps its phonemes, between ⟦ and ⟧.  Quotes
    are dropped; dashes, brackets and ellipses become commas or full stops, as the training text has no
    others.  A sentence all in capitals (LibriSpeech) is lowered.  Outside English only the markup and the
    typography are folded.  Doing it twice changes nothing.  Returns one line; it may be empty.
    Raises ValueError for half a character.
    """
    for _ in range(PASSES):
        before, text = text, _once(text, language)
        if text == before:
            break
    return text


def _once(text, language):
    english = language.startswith("en")
    text, phonemes = hide(text)
    text = readable(plain(text), english)
    if english:
        text = _english(text)
    text = text.replace('"', " ")
    text = re.sub(r"[)\]}|\s]+$", "", text)  # a bracket at the very end is no comma
    text = re.sub(r"\.{2,}(?=\s*[a-z])|[()\[\]{}—|]|\s-+\s|--+", ", ", text)
    text = re.sub(r"[_*~^<>\\¡¿]", " ", text)
    text = show(text, phonemes)
    text = re.sub(r"\s*([,.;:!?])(?:[\s,.;:!?]*[,.;:!?])*", _strongest, text)
    return " ".join(text.split()).lstrip(",.;:!? ")


def _strongest(match):
    """Of a run of punctuation keep the mark that says most."""
    return min(match.group().replace(" ", ""), key="?!.;:,".index)


def _english(text):
    text = re.sub(r"(\d+)'\s?(\d{1,2})(?:\"|'')", r"\1 feet \2", text)  # 5'10"
    text = re.sub(r"(\d+)\s?(?:ft\b\.?|feet)\s?(\d{1,2})\s?in\b\.?", r"\1 feet \2 inches", text)
    text = " ".join(text.replace('"', " ").split())
    text = re.sub(r"\bhttps?://(?:www\.)?", "", text)
    text = re.sub(r"(?<=[A-Za-z]{2})\.(?=[a-z]{2,}\b)", " dot ", text)  # example.com
    text = re.sub(r"\b([CF])#", r"\1 sharp", text)
    text = re.sub(r"\b([CG])\+\+", r"\1 plus plus", text)
    text = written_out(text)
    text = re.sub(r"(?<=\d)\s?\*\s?(?=\d)", " times ", text)
    text = re.sub(r"<\s?(?=\d)|\s<\s", " less than ", text)
    text = re.sub(r"(?<!\w)>\s?(?=\d)|\s>\s|(?<=\d)>(?=\d)", " greater than ", text)
    text = in_words(text)
    return _signs(text)


def _signs(text):
    """Signs as words, once each, however often they are repeated."""
    for sign, word in SIGNS.items():
        if sign in text:
            text = re.sub(rf"(?:{re.escape(sign)}\s*)+", f" {word} ", text)
    for sign, word in GREEK.items():
        text = text.replace(sign, f" {word} ")
    per = "|".join(name for name in FOLLOWING if len(name) > 1)
    text = re.sub(rf"(?<=\w\w\w)\s?/({per})\b", lambda match: " per " + FOLLOWING[match[1]], text)
    text = re.sub(r"(?<=\w) -(?=\w)|(?<=\w)- (?=\w)", "-", text)  # 10-year-old, COVID-19
    return re.sub(r"(?<=\w)/(?=\w)", " ", text).replace("/", ", ")


def parts(text, limit=200, language="en-us"):
    """Split `text` as `sentences` does, with its pauses: list of (sentence, s of silence asked for behind
    it).
    """
    found = []
    for part, seconds in split_pauses(text):
        found += [(sentence, 0.0) for sentence in _pieces(part, limit, language)]
        if found and seconds:  # before the first word there is nothing to pause after
            sentence, before = found[-1]
            found[-1] = (sentence, before + seconds)
    return found


def sentences(text, limit=200, language="en-us"):
    """Split `text` into normalised pieces of up to `limit` characters, at sentence ends, else clauses, else
    spaces.
    """
    return [sentence for sentence, _ in parts(text, limit, language)]


def _pieces(text, limit, language):
    pieces = []
    for sentence in re.split(r"(?<=[.!?])\s+", normalise(text, language)):
        pieces += _cut(sentence, limit, (r"(?<=[;:])\s+", r"(?<=,)\s+", r"\s+"))
    return [piece for piece in pieces if any(c.isalnum() for c in piece)]


def _cut(text, limit, patterns):
    """Cut at the first pattern, finer where a part is too long, and join again what fits into `limit`
    characters.
    """
    if len(text) <= limit or not patterns:
        return [text[start: start + limit] for start in range(0, len(text), limit)]
    pieces = []
    for part in re.split(patterns[0], text):
        for piece in _cut(part, limit, patterns[1:]):
            if pieces and len(pieces[-1]) + 1 + len(piece) <= limit:
                pieces[-1] += " " + piece
            else:
                pieces.append(piece)
    return pieces
