"""From text as people write it to words as people say them."""
import re
import unicodedata

_FOLD = str.maketrans({**dict.fromkeys("‘’‛ʼ`´′", "'"), **dict.fromkeys("“”„‟«»″〝〞", '"'),
                       **dict.fromkeys("‐‑‒−", "-"), **dict.fromkeys("–—―", " — "),
                       **dict.fromkeys("™®©\u00ad\u200b\u200c\u200d\ufeff", ""),
                       "。": ". ", "、": ", ", "！": "! ", "？": "? ", "·": " ", "•": ", "})
# A title keeps no period: espeak would hear the end of a sentence.  Matched in any case.
_TITLES = {"mr": "mister", "mrs": "missus", "messrs": "messers", "dr": "doctor", "prof": "professor", "capt": "captain",
           "lt": "lieutenant", "sgt": "sergeant", "rev": "reverend", "gov": "governor", "jr": "junior", "sr": "senior", "maj": "major",
           "cmdr": "commander", "drs": "doctors", "vs": "versus"}
# These are words of their own, so only with their period (and, before a name, a capital).
_DOTTED = {"ms": "miz", "gen": "general", "col": "colonel", "hon": "honorable", "sen": "senator", "rep": "representative", "mt": "mount",
           "ft": "fort", "inc": "incorporated", "ltd": "limited", "corp": "corporation", "ave": "avenue", "blvd": "boulevard",
           "rd": "road", "approx": "approximately", "dept": "department", "est": "established", "vol": "volume", "fig": "figure",
           "figs": "figures", "ch": "chapter", "pp": "pages", "jan": "january", "feb": "february", "apr": "april", "aug": "august",
           "sept": "september", "oct": "october", "nov": "november", "dec": "december", "cf": "compare", "esq": "esquire",
           "bros": "brothers"}
_UNITS = {"kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound", "oz": "ounce", "km": "kilometer", "m": "meter",
          "cm": "centimeter", "mm": "millimeter", "ft": "foot", "mi": "mile", "yd": "yard", "mph": "mile per hour",
          "km/h": "kilometer per hour", "kmh": "kilometer per hour", "m/s": "meter per second", "l": "liter", "ml": "milliliter",
          "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "kb": "kilobyte", "mb": "megabyte", "gb": "gigabyte",
          "tb": "terabyte", "kw": "kilowatt", "db": "decibel", "°c": "degree celsius", "°f": "degree fahrenheit", "°": "degree",
          "ms": "millisecond", "sec": "second", "min": "minute", "hrs": "hour", "hr": "hour"}
_MONEY = {"$": ("dollar", "dollars", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
          "€": ("euro", "euros", "cent", "cents"), "¥": ("yen", "yen", "sen", "sen"),
          "₩": ("won", "won", "jeon", "jeon"), "₹": ("rupee", "rupees", "paisa", "paise"), "¢": ("cent", "cents", "", "")}
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_SIGNS = {"&": " and ", "@": " at ", "+": " plus ", "=": " equals ", "%": " percent ", "#": " number "}


def normalise(text, language="en-us"):
    """Write out `text` as it would be read aloud: numbers, years, money, times, units, abbreviations, initials, signs.

    Quotes are dropped; dashes, brackets and ellipses become commas or full stops, as the training text has no others.
    A sentence all in capitals (LibriSpeech) is lowered.  Outside English only the typography is folded.
    Doing it twice changes nothing.  Returns one line; it may be empty.
    """
    text = unicodedata.normalize("NFKC", text.translate(_FOLD)).translate(_FOLD)
    text = " ".join(text.replace('"', " ").split())
    if language.startswith("en"):
        text = _english(text)
    text = re.sub(r"\.{2,}(?=\s*[a-z])|[()\[\]{}—|]|\s-+\s|--+", ", ", text)
    text = re.sub(r"[_*~^<>\\¡¿]", " ", text)
    text = re.sub(r"\s*([,.;:!?])(?:[\s,.;:!?]*[,.;:!?])*", _strongest, text)
    return " ".join(text.split()).lstrip(",.;:!? ")


def _strongest(match):
    """Of a run of punctuation keep the mark that says most."""
    return min(match.group().replace(" ", ""), key="?!.;:,".index)


def _english(text):
    letters = [c for c in text if c.isalpha()]
    if letters and not any(c.islower() for c in letters) and (" " in text or len(letters) > 5):
        text = text.lower()  # a transcript in capitals, not an acronym
    # What espeak's English would read as "Chinese letter" or "grinning face" is better left out.
    text = "".join(c for c in text if c.isascii() or c == "°" or unicodedata.name(c, "").startswith("LATIN")
                   or not (c.isalpha() or unicodedata.category(c) == "So"))
    text = _abbreviations(text)
    for pattern, words in _QUANTITIES:
        text = pattern.sub(words, text)
    text = re.sub(r"(?<=[A-Za-z]{2})\.(?=[a-z]{2,}\b)", " dot ", text)  # example.com
    for sign, word in _SIGNS.items():
        text = text.replace(sign, word)
    return re.sub(r"(?<=\w)/(?=\w)", " ", text).replace("/", ", ").replace("°", " degrees ")


def _abbreviations(text):
    text = re.sub(r"\be\.\s?g\.,?", "for example,", text, flags=re.I)
    text = re.sub(r"\bi\.\s?e\.,?", "that is,", text, flags=re.I)
    text = re.sub(r"\b([apAP])\.\s?[mM]\.(?=\s+[A-Z]|$)|\b([apAP])\.\s?[mM]\b\.?",
                  lambda m: _letter((m[1] or m[2]).upper()) + "-M" + "." * bool(m[1]), text)
    text = re.sub(r"(?<=\d)\s?([ap])m\b", lambda m: f" {_letter(m[1].upper())}-M", text, flags=re.I)
    text = re.sub(r"\bSt\.?\s(?=[A-Z])|\bst\.\s(?=[a-z])", "Saint ", text)
    text = re.sub(r"\bSt\.(?=\s*$|\s*[,;:])", "street", text, flags=re.I)
    text = re.sub(r"\b(?:[Nn]o\.|No)\s?(?=\d)|#(?=\d)", "number ", text)
    text = re.sub(r"\bPh\.?\s?D\b\.?", "P-H-D", text)
    text = re.sub(rf"\b({'|'.join(_TITLES)})\b\.?(?!')", lambda m: _keep_case(m[0], _TITLES[m[1].lower()]), text, flags=re.I)
    text = re.sub(rf"(?<!\d)(?<!\d\s)\b({'|'.join(_DOTTED)})\.(?=\s*[\w,;:]|$)",
                  lambda m: _keep_case(m[0], _DOTTED[m[1].lower()]), text, flags=re.I)
    text = re.sub(r"\betc\b\.?(\s*$|\s+(?=[A-Z]))?", lambda m: "et cetera" + (m[1] is not None) * ". ", text)
    text = re.sub(r"\b(?:[A-Z]\.\s?){2,}(?=[\s,;:)!?\"']|$)|\b(?:[A-Z]\.){2,}(?=[A-Z][a-z])", _initials, text)
    return re.sub(r"(?:^|(\S+\s))([A-Z])\.(?=\s[A-Z])", _initial, text)


def _keep_case(found, word):
    return word.capitalize() if found[0].isupper() else word


def _initial(match):
    """John A. Smith -> John eigh Smith ; but "vitamin A." and "it was I." end a sentence."""
    before, letter = match[1] or "", match[2]
    return match[0] if before[:1].islower() and letter in "AI" else before + _letter(letter)


def _letter(capital):
    """A capital so that espeak names it: it would take a lone A for the article."""
    return "eigh" if capital == "A" else capital


def _initials(match):
    """U.S.A. -> U-S-eigh: one word, spelled out; its period ends only a text."""
    return "-".join(map(_letter, re.findall("[A-Z]", match[0]))) + "." * (not match.string[match.end():].strip()) + " "


def _say(number, to="cardinal"):
    """A number (digits, commas and a point) in words, without num2words' commas, which would be heard as pauses."""
    from num2words import num2words
    number = str(number).replace(",", "")
    if len(number.split(".")[0]) > 15 or (to == "cardinal" and re.match(r"0\d", number)):  # a serial number
        return " ".join("point" if c == "." else num2words(int(c)) for c in number)
    if "." in number:
        whole, decimals = number.split(".")  # keep the noughts that a float would lose
        return num2words(int(whole or 0)).replace(",", "") + " point " + " ".join(num2words(int(c)) for c in decimals)
    return num2words(int(number), to=to).replace(",", "")


def _money(m):
    sign, amount, scale = (m["sign"], m["amount"].replace(",", ""), m["scale"] and m["scale"].lower())
    scale = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion"}.get(scale, scale)
    one, many, small, smalls = _MONEY[sign]
    whole, _, cents = amount.partition(".")
    if scale or len(cents) not in (0, 2) or (cents and not small):
        return f" {_say(amount)} {scale or ''} {many} "
    words = [f"{_say(whole)} {one if int(whole) == 1 else many}"] if int(whole) or not int(cents or 0) else []
    words += [f"{_say(int(cents))} {small if int(cents) == 1 else smalls}"] if int(cents or 0) else []
    return f" {' and '.join(words)} "


def _time(m):
    hour, minute = int(m[1]), int(m[2])
    if hour > 24 or minute > 59:
        return f"{_say(hour)} {_say(minute)}"
    if minute == 0:
        return _say(hour) + (" hundred" if hour > 12 else "" if re.match(r"\s?(eigh|P)-M", m.string[m.end():]) else " o'clock")
    return f"{_say(hour)} {'oh ' * (minute < 10)}{_say(minute)}"


def _unit(m):
    if m["unit"] in ("G", "M", "L"):  # 5G is a network
        return f"{_number(m['amount'])} {m['unit']}"
    name = _UNITS[m["unit"].lower()]
    if m["amount"] != "1":
        first, _, rest = name.partition(" ")
        many = "feet" if first == "foot" else first if first.endswith("hertz") else first + "s"
        name = f"{many} {rest}".strip()
    return f"{_number(m['amount'])} {name}"


def _number(digits):
    """A bare number: four digits from 1100 to 2099 are read as a year."""
    return _say(digits, "year" if re.fullmatch(r"1[1-9]\d\d|20\d\d", digits) else "cardinal")


def _fraction(m):
    above, below = int(m[1]), int(m[2])
    part = {2: "half", 4: "quarter"}.get(below) or _say(below, "ordinal")
    return f"{_say(above)} {part if above == 1 else 'halves' if below == 2 else part + 's'}"


def _decade(m):
    words = _say(m[1], "year" if len(m[1]) == 4 else "cardinal")
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


# In this order: what is most particular comes first.
_QUANTITIES = [(re.compile(pattern, re.I), words) for pattern, words in (
    (rf"(?P<sign>[$£€¥₩₹])\s?(?P<amount>{_NUMBER})"
     r"(?:\s?(?P<scale>hundred|thousand|million|billion|trillion|[kmb]|bn)\b)?", _money),
    (rf"(?P<amount>{_NUMBER})(?P<scale>)\s?(?P<sign>[€₩¢])", _money),
    (r"\b(\d{1,2}):(\d\d)(?![\d:])", _time),
    (r"(?<!\d)(\d+) ?⁄ ?(\d+)|(?<![\d/])(\d)/(\d0?)(?![\d/])", lambda m: " " + _fraction(m if m[1] else
     re.match(r"(\d)/(\d+)", m[0])).strip() + " " if int(m[2] or m[4]) > 1 else m[0]),
    (r"\b(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b", lambda m: _say(m[1], "ordinal")),
    (r"'?\b(\d{2}|\d{4})'?s\b", _decade),
    (rf"(?P<amount>{_NUMBER})\s?(?P<unit>{'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})(?![\w°])"
     r"(?:\.(?=\s[a-z]))?", _unit),
    (rf"({_NUMBER})\s?%", lambda m: f"{_say(m[1])} percent"),
    (r"\b(?:\d{3}-)?\d{3}-\d{4}\b", lambda m: ", ".join(" ".join(map(_say, part)) for part in m[0].split("-"))),
    (r"\b24/7\b", "twenty-four seven"),
    (r"((?-i:January|February|March|April|May|June|July|August|September|October|November|December)) (\d\d?)\b(?!:)",
     lambda m: f"{m[1]} {_say(m[2], 'ordinal')}"),
    (rf"(?<=\d)\s?-\s?(?=\d)(?={_NUMBER})", " to "),
    (rf"(?<![\w-])-(?={_NUMBER})", "minus "),
    (r"(\d+)((?:\.\d+){2,})", lambda m: " point ".join(_say(int(part)) for part in m[0].split("."))),
    (r"(?<![\d.])\.(\d+)", lambda m: " point " + " ".join(_say(c) for c in m[1])),
    (_NUMBER, lambda m: f" {_number(m[0])} "),
)]


def sentences(text, limit=200, language="en-us"):
    """Split `text` into normalised pieces of up to `limit` characters, at sentence ends, else clauses, else spaces."""
    pieces = []
    for sentence in re.split(r"(?<=[.!?])\s+", normalise(text, language)):
        pieces += _cut(sentence, limit, (r"(?<=[;:])\s+", r"(?<=,)\s+", r"\s+"))
    return [piece for piece in pieces if any(c.isalnum() for c in piece)]


def _cut(text, limit, patterns):
    """Cut at the first pattern, finer where a part is too long, and join again what fits into `limit` characters."""
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
