"""Abbreviations, initials and words in capitals, written out as they are read."""
import re

from lib.text.numbers import MONTHS, ordinal, say

# Before a name, with or without a period, in any case.
_TITLES = {"mr": "mister", "mrs": "missus", "messrs": "messers", "vs": "versus", "drs": "doctors"}
# In lower case these are words, or parts of some, so they need their period or a name behind them.
_OFFICES = {"dr": "doctor", "prof": "professor", "capt": "captain", "lt": "lieutenant", "sgt": "sergeant",
            "rev": "reverend", "gov": "governor", "maj": "major", "cmdr": "commander", "ms": "miz",
            "gen": "general", "col": "colonel", "hon": "honorable", "sen": "senator", "rep": "representative",
            "mt": "mount", "ft": "fort", "pres": "president"}
_YOUNGER = {"jr": "junior", "sr": "senior", "esq": "esquire"}
# Behind a name: Main St., Sunset Blvd.
_STREETS = {"st": "street", "dr": "drive", "ave": "avenue", "blvd": "boulevard", "rd": "road", "ln": "lane",
            "hwy": "highway", "pkwy": "parkway", "sq": "square", "ct": "court", "pl": "place"}
# Before a number only: a fig. is eaten, too.
_COUNTED = {"fig": "figure", "figs": "figures", "ch": "chapter", "vol": "volume", "pp": "pages", "p": "page",
            "sec": "section", "eq": "equation", "est": "established", "ca": "circa", "hwy": "highway",
            "art": "article", "ex": "example", "apt": "apartment", "min": "minimum", "max": "maximum",
            "rt": "route", "ext": "extension", "nos": "numbers"}
# With their period, anywhere.
_DOTTED = {"inc": "incorporated", "ltd": "limited", "corp": "corporation", "bros": "brothers",
           "approx": "approximately", "dept": "department", "cf": "compare", "ave": "avenue",
           "blvd": "boulevard", "rd": "road", "hwy": "highway", "viz": "namely", "tel": "telephone"}
_MONTHS = {month[:3].lower(): month for month in MONTHS if month != "May"} | {"sept": "September"}
_DAYS = {"mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "thu": "Thursday",
         "thur": "Thursday", "thurs": "Thursday", "fri": "Friday", "sat": "Saturday", "sun": "Sunday"}
_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"

# Words that are shouted more often than they are acronyms, and that espeak would spell.
_COMMON = """
all and any are bad best big but buy can day did dont end every few for free from get good got had has
have her here him his hot how its just last let live love low made make man many more most much must
need never new next no nor not now off old one only open our out over own please put ready real red run
sad said sale say see she should so some stop such take than that the their them then there these they
this those to today too top try two under up use very want was way we well were what when where which
why will win with yes you your
"""
_SHOUTED = frozenset(_COMMON.split())
# Acronyms that espeak would read as a word.
_SPELLED = {"FAQ", "FAQS", "ETA", "CEO", "DIY", "ISO", "API", "IOU", "UFO", "SUV", "VIP", "URL"}
_ROMAN = "[IVX]+"
_SEVERAL = "X{0,2}(?:IX|IV|V?I{2,3}|VI|XI|XX|XV)"  # letters
_HEADS = "World War|Chapter|Act|Part|Volume|Book|Section|Phase|Type|Level|Class|Title|Super Bowl|Grade|Stage"
_RULERS = ("Henry|Louis|Charles|George|Edward|Elizabeth|James|William|Richard|Philip|Pius|John|Paul|Benedict|"
           "Gregory|Leo|Napoleon|Nicholas|Catherine|Alexander|Francis|Frederick|Mary|Ivan|Peter|Robert")


def written_out(text):
    """Write out the abbreviations of an English text."""
    rules = (_shouting, _clock, _latin, _saints, _numbers, _streets, _people, _dates, _dotted, _roman,
             _letters)
    for rule in rules:
        text = rule(text)
    return text


def letter(capital):
    """Give a capital so that espeak names it: it would take a lone A for the article."""
    return "eigh" if capital == "A" else capital


def _case_of(written, word):
    return word.capitalize() if written[0].isupper() else word


def _shouting(text):
    """Words in capitals that are no acronyms; a whole text in capitals (LibriSpeech) is lowered."""
    letters = [c for c in text if c.isalpha()]
    shouted = letters and not any(c.islower() for c in letters)
    if shouted and (" " in text or len(letters) > 5):
        text = re.sub(r"(?<![\w'])[A-Z']+(?!\w)", lambda match: match[0].lower(), text)
    text = re.sub(r"\b[A-Z]{2,}(?: [A-Z']{2,}){2,}\b", _lowered_run, text)
    return re.sub(r"(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])", _lowered, text)


def _lowered_run(match):
    """DO NOT TOUCH: three and more words in capitals, of which one is a common one."""
    words = match[0].lower()
    return words if _SHOUTED & set(words.split()) else match[0]


def _lowered(match):
    return match[0].lower() if match[0].lower() in _SHOUTED else match[0]


def _clock(text):
    """a.m. and p.m., read as letters; the period that ends a sentence stays."""
    text = re.sub(r"(?<=\d)[.:](\d\d)\s?([ap])\.?\s?m\b", r":\1 \2.m", text, flags=re.I)
    text = re.sub(r"(?<=\d)([ap])\.\s?m\b", r" \1.m", text, flags=re.I)
    text = re.sub(r"\b([ap])\.\s?m\.(?=\s+(?-i:[A-Z])|$)", lambda match: _half(match) + ".", text, flags=re.I)
    text = re.sub(r"\b([ap])\.\s?m\b\.?", _half, text, flags=re.I)
    return re.sub(r"(?<=\d)\s?([ap])m\b", lambda match: " " + _half(match), text, flags=re.I)


def _half(match):
    return letter(match[1].upper()) + "-M"


def _latin(text):
    text = re.sub(r"\be\.\s?g\.,?", "for example,", text, flags=re.I)
    text = re.sub(r"\bi\.\s?e\.,?", "that is,", text, flags=re.I)
    text = re.sub(r"\betc\b\.?(?:\s*$|\s+(?=[A-Z]))", "et cetera. ", text)
    text = re.sub(r"\betc\b\.?", "et cetera", text)
    text = re.sub(r"\bet al\b\.?", "et al", text)
    text = re.sub(r"(?<!\w)w/o\b", "without", text)
    text = re.sub(r"(?<!\w)w/(?=\s?\w)", "with ", text)
    return re.sub(r"\bPh\.?\s?D\b\.?", "P-H-D", text)


def _saints(text):
    """St. before a name; behind one it is a street."""
    text = re.sub(r"\b([A-Z]\w+(?:'s)?) St\b\.?(?=\s*$|\s*[,;:]|\s[a-z])", r"\1 Street", text)
    text = re.sub(r"(?<=\w{3} )[Ss]t\.(?=\s*$|\s*[,;:])", "street", text)
    return re.sub(r"\bSt\.?\s(?=[A-Z])|\bst\.\s(?=[a-z])", "Saint ", text)


def _numbers(text):
    """No. 5, #5; but "the answer is no. 5 people left"."""
    text = re.sub(r"\b([Tt]he) no\.\s?(?=\d)", r"\1 number ", text)
    text = re.sub(r"\b(?:No\.|No|Nr\.)\s?(?=\d)|#\s?(?=\d)", "number ", text)
    text = re.sub(r"\bno\.\s?(?=\d+\b(?!\s[a-z]|\.\d))", "number ", text)
    text = re.sub(r"\bno\.\s?(?=\d+\s(?:in|on|of|at|and|or|for|to|with)\b)", "number ", text)
    pattern = rf"(?<!\d )(?<!\d)\b({'|'.join(_COUNTED)})\.\s?(?=\d|[IVX]+\b)"
    return re.sub(pattern, _counted, text, flags=re.I)


def _counted(match):
    return _case_of(match[1], _COUNTED[match[1].lower()]) + " "


def _streets(text):
    """Elm Dr., Sunset Blvd, Hwy 5: behind a name that is not itself followed by one."""
    names = "|".join(_STREETS)
    pattern = rf"(?<=[A-Z]\w)(\w*) ((?i:{names}))\b(?:\.(?=\s*[,;:]|\s+[a-z])|\.?(?!\w|\.|'|\s[A-Z]))"
    text = re.sub(pattern, _street, text)
    return re.sub(r"\bHwy\b\.?(?=\s\d)", "Highway", text)


def _street(match):
    name, kind = match[1], match[2]
    if not kind[0].isupper():
        return match[0]
    return f"{name} {_case_of(kind, _STREETS[kind.lower()])}"


def _people(text):
    pattern = rf"\b({'|'.join(_TITLES)})\b\.?(?!')"
    text = re.sub(pattern, lambda match: _case_of(match[0], _TITLES[match[1].lower()]), text, flags=re.I)
    names = "|".join(_YOUNGER)
    text = re.sub(rf"\b({names})\b\.?(?=\s[a-z]|[,;:]|\s*$)|\b({names})\.", _younger, text, flags=re.I)
    names = "|".join(_OFFICES)
    pattern = rf"\b({names})\.(?=\s*[A-Za-z])(?<!\d\w\w\.)(?<!\d \w\w\.)|\b({names})\b(?= (?-i:[A-Z][a-z]))"
    return re.sub(pattern, _office, text, flags=re.I)


def _younger(match):
    word = match[1] or match[2]
    return _case_of(word, _YOUNGER[word.lower()])


def _office(match):
    """A title with its period, or before a name; "please rev the engine" is none."""
    word = match[1] or match[2]
    following = match.string[match.end():].lstrip()
    if word[0].islower() and match[2]:
        return match[0]
    if word.lower() in ("mt", "ft", "gen", "col", "hon", "sen", "rep", "ms") and word[0].islower():
        return match[0]
    if word.lower() in ("mt", "ft") and not following[:1].isupper():
        return match[0]
    return _case_of(word, _OFFICES[word.lower()])


def _dates(text):
    """Months before a day or a year, days before a number; ranges of both."""
    months = "|".join(key.capitalize() for key in _MONTHS)
    days = "|".join(key.capitalize() for key in _DAYS)
    text = re.sub(rf"\b({months})\.?\s?[-—]\s?({months})\b\.?", _from_month_to_month, text)
    text = re.sub(rf"\b({months})(?:\.(?=\s*[\d,;]|\s*$|\s+[a-z])|\b(?=\s\d))", _month, text)
    text = re.sub(rf"\b({days})\.(?=\s*[\d,;]|\s+(?:at|and|to|or|the)\b)", _day, text)
    text = re.sub(rf"\b({days})\s?[-—]\s?({days})\b", _from_day_to_day, text)
    ends = rf"(?:{_DAY}|{'|'.join(MONTHS)})"
    days = rf"(?<=\d)(st|nd|rd|th|)\s?[-—]\s?(?=(?:{'|'.join(MONTHS)}) \d)"
    text = re.sub(days, r"\1 to ", text)
    return re.sub(rf"\b({ends})\s?[-—]\s?(?={ends}\b)", r"\1 to ", text)


def _from_day_to_day(match):
    first, last = (_DAYS[name.lower()] for name in match.groups())
    return f"{first} to {last}"


def _from_month_to_month(match):
    first, last = (_MONTHS[name.lower()] for name in match.groups())
    return f"{first} to {last}"


def _month(match):
    return _MONTHS[match[1].lower()]


def _day(match):
    return _DAYS[match[1].lower()]


def _dotted(text):
    text = re.sub(r"\bCo\.(?=,|\s[a-z])", "Company", text)
    names = "|".join(_DOTTED)
    pattern = rf"(?<!\d)(?<!\d\s)\b({names})\.(?=\s*[\w,;:]|\s*$)"
    return re.sub(pattern, lambda match: _case_of(match[0], _DOTTED[match[1].lower()]), text, flags=re.I)


def _roman(text):
    """World War II, Chapter IV, Henry VIII, Rocky III; a lone I or X behind another word is a letter."""
    text = re.sub(rf"\b({_HEADS}) ({_ROMAN})\b", _cardinal, text)
    text = re.sub(rf"\b({_RULERS}) ([IVX]{{2,}}|V)\b", _ordinal, text)
    return re.sub(rf"\b([A-Z][a-z]+|part|act|book|chapter|volume|section) ({_SEVERAL})\b", _cardinal, text)


def _cardinal(match):
    return f"{match[1]} {say(_value(match[2]))}"


def _ordinal(match):
    return f"{match[1]} the {ordinal(_value(match[2]))}"


def _value(roman):
    values = [{"I": 1, "V": 5, "X": 10}[c] for c in roman]
    total = 0
    for value, after in zip(values, [*values[1:], 0], strict=True):
        total += -value if value < after else value  # IV is five less one
    return total


def _letters(text):
    """Initials and what is spelled: U.S.A., John A. Smith, FAQ, J A N E, CO2, ABCDE."""
    text = re.sub(r"\b(?:[A-Z]\.\s?){2,}(?=[\s,;:)!?\"']|$)|\b(?:[A-Z]\.){2,}(?=[A-Z][a-z])", _initials, text)
    text = re.sub(r"(?:^|(\S+\s))([A-Z])\.(?=\s[A-Z])", _initial, text)
    text = re.sub(r"\b[A-Z](?: [A-Z]){2,}\b", lambda match: " ".join(map(letter, match[0].split())), text)
    text = re.sub(r"\b[A-Z]{1,3}(?=\d)", lambda match: "-".join(map(letter, match[0])) + " ", text)
    return re.sub(r"\b[A-Z]{3,}s?\b", _spelled, text)


def _initial(match):
    """John A. Smith -> John eigh Smith ; but "vitamin A." and "it was I." end a sentence."""
    before, capital = match[1] or "", match[2]
    return match[0] if before[:1].islower() and capital in "AI" else before + letter(capital)


def _initials(match):
    """U.S.A. -> U-S-eigh: one word, spelled out; its period ends only a text."""
    ends = not match.string[match.end():].strip()
    return "-".join(map(letter, re.findall("[A-Z]", match[0]))) + "." * ends + " "


def _spelled(match):
    """An acronym that would be read as a word, and a row of the alphabet."""
    word = match[0]
    neighbours = sum(ord(b) - ord(a) == 1 for a, b in zip(word, word[1:], strict=False))
    if word.upper() in _SPELLED or neighbours >= 4:
        return "-".join(map(letter, word))
    return word
