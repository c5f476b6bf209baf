"""What stands around numbers: signs, ranges, dates, times, money, units, telephone numbers."""
import re

from lib.text.numbers import MONTHS, NUMBER, amount, digits, number_or_year, ordinal, say
from lib.text.units import FOLLOWING, UNITS, many

MONTH = "(?:" + "|".join(MONTHS) + ")"
POWERS = {"2": "square", "3": "cubic"}
EVEN = (20, 50)  # 50/50 and 20/20 are said as two numbers
PARTS = {*range(17), 18, 20, 24}  # into which things are cut, or stars and marks counted: 7/16, 19/20
HALVES = {2: "half", 4: "quarter"}
SCALES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "t": "trillion",
          "tn": "trillion"}
# Sign: one, many, a hundredth, hundredths.
MONEY = {"$": ("dollar", "dollars", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
         "€": ("euro", "euros", "cent", "cents"), "¥": ("yen", "yen", "", ""),
         "₩": ("won", "won", "", ""), "₹": ("rupee", "rupees", "paisa", "paise"),
         "¢": ("cent", "cents", "", "")}
CODES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
# A number of four digits after one of these is a year whatever follows it.
BEFORE_YEARS = {"in", "since", "from", "until", "till", "by", "of", "year", "before", "after", "during",
                "around"}
BEFORE_YEARS |= {month.lower() for month in MONTHS}
# Words in -s that count nothing: "1984 was".
NOT_COUNTED = {"was", "is", "has", "as", "this", "its", "does", "us", "yes", "thus", "always", "perhaps"}
SHORTEST = 7  # digits of a telephone number; "call 500 people" has fewer
_COUNTED = re.compile(r"\s([a-z]+s|people|men|women|children)\b")
NEAR = 20  # characters in which the word before a number lies
EMERGENCY = {"911", "999", "112", "111", "411", "311", "988"}


# ---------------------------------------------------------------- telephones and other rows of digits

def _row(written):
    """Digits one by one, with a comma for the breath between groups."""
    plus = "plus " if written.startswith("+") else ""
    groups = re.findall(r"\d+", written)
    return " " + plus + ", ".join(digits(group) for group in groups) + " "


def _groups(match):
    return _row(match[0])


def _continental(match):
    """1.000,50 as it is written here: 1000.50."""
    return match[0].replace(".", "").replace(",", ".")


def _toll_free(match):
    """1-800- before letters."""
    number = match[1]
    return f"one, {say(number) if number.endswith('00') else digits(number)}, "


def _called(match):
    """The number after "call" or "phone number is": a row of digits if it is long enough for one."""
    count = len(re.sub(r"\D", "", match["number"]))
    if count < SHORTEST and match["number"].strip() not in EMERGENCY:
        return match[0]
    return match["before"] + _row(match["number"])


# ---------------------------------------------------------------- dates and times

def _year(written):
    if len(written) == 2:
        return "oh " + say(int(written)) if written[0] == "0" and written != "00" else say(int(written))
    return say(written, "year")


def _date(year, month, day, written):
    """"March fourteenth, twenty twenty-two"; `written` for what is no day of a year."""
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return written
    return f"{MONTHS[int(month) - 1]} {ordinal(day)}, {_year(year)}"


def _month_first(match):
    month, day = match[1], match[3]
    if int(month) > 12:  # the rest of the world puts the day first
        month, day = day, month
    return _date(match[4], month, day, match[0])


def _year_first(match):
    return _date(match[1], match[3], match[4], match[0])


def _day_first(match):
    return _date(match[3], match[2], match[1], match[0])


def _month_and_day(match):
    month, day = int(match[1]), int(match[2])
    return f"{MONTHS[month - 1]} {ordinal(day)}" if 1 <= month <= 12 and 1 <= day <= 31 else match[0]


def _likely_day(match):
    """12/31 where nothing says that it is a date: few people cut anything into 31 parts."""
    return _month_and_day(match) if int(match[2]) not in PARTS else match[0]


def _day_of_month(match):
    """May 1-5, May 5."""
    last = f" to {ordinal(match['last'])}" if match["last"] else ""
    return f"{match['month']} {ordinal(match['first'])}{last}"


def _the_day_of(match):
    return f"the {ordinal(match[1])} of {match[2]}"


def _time(match):
    """3:30, 3:05, 3:00 (o'clock only where nothing else says that it is a time), 23:59:59."""
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    if hour > 24 or minute > 59:
        return f"{say(hour)} {say(minute)}"
    words = say(hour)
    if minute:
        words += f" oh {say(minute)}" if minute < 10 else f" {say(minute)}"
    elif hour > 12:
        words += " hundred"
    elif not match["half"] and not second:
        words += " o'clock"
    if second:
        words += f" and {say(second)} second" + "s" * (second != 1)
    return words + (" " + match["half"] if match["half"] else "")


def _early(match):
    """0730 hours, 0900 hours."""
    minutes = "hundred" if match[2] == "00" else say(match[2])
    return f"oh {say(match[1])} {minutes}"


# ---------------------------------------------------------------- money

def _money(match):
    """-$5.50, $250-$300, $2 million, $3T, $20/hr, A$5."""
    one, plural, small, smalls = MONEY[match["sign"]]
    minus = "minus " if match["minus"] else ""
    scale = (match["scale"] or "").strip()
    scale = SCALES.get(scale.lower(), scale.lower())
    per = _per(match)
    low, high = match["low"].replace(",", ""), match["high"]
    whole, _, cents = low.partition(".")
    whole = whole or "0"
    if scale or high or (cents and (len(cents) != 2 or not small)):
        words = f"{say(low)} to {say(high)}" if high else say(low)
        return f" {minus}{words} {scale} {plural}{per} "
    parts = []
    if int(whole) or not int(cents or 0):
        parts.append(f"{say(whole)} {one if int(whole) == 1 else plural}")
    if int(cents or 0):
        parts.append(f"{say(int(cents))} {small if int(cents) == 1 else smalls}")
    return f" {minus}{' and '.join(parts)}{per} "


def _code(match):
    """5 USD, USD 5: as the sign would have it."""
    return CODES[match["before"] or match["after"]] + (match["first"] or match["second"])


# ---------------------------------------------------------------- fractions, powers, units

def _fraction(match):
    """2/3, and 1 1/2 as "one and a half"."""
    whole, above, below = match["whole"], int(match["above"]), int(match["below"])
    if above == below and above in EVEN:
        return f"{say(above)} {say(below)}"
    if below < 2 or above >= below or below > 100:
        return f"{say(whole) + ' ' if whole else ''}{say(above)} over {say(below)}"
    part = HALVES.get(below) or ordinal(below)
    if above > 1:
        part = "halves" if below == 2 else part + "s"
    if whole:
        return f"{say(whole)} and {'a' if above == 1 else say(above)} {part}"
    return f"{say(above)} {part}"


def _power(match):
    """x^2 as "x squared", 10^-6 as "ten to the minus six"."""
    if match[1] in ("2", "3"):
        return " squared " if match[1] == "2" else " cubed "
    return " to the " + match[1].replace("-", "minus ").replace("+", "") + " "


def _unit(match):
    """5 kg, 15-22 m/s, 5 m^3/hr, 1 ft."""
    low, high, unit = match["low"], match["high"], match["unit"]
    if unit in ("G", "M", "K") and not match["power"]:  # 5G is a network
        return f"{amount(low, high)} {unit}"
    if unit == "W" and re.match(r"\.? [A-Z][a-z]", match.string[match.end():]):  # 45 W. Oak Avenue
        return f"{amount(low, high)} {unit}"
    name = UNITS.get(unit) or UNITS[unit.lower()]
    rate = " per " in name  # of m/s^2 the seconds are squared
    if match["power"] and not rate:
        name = f"{POWERS[match['power']]} {name}"
    if high or low != "1":
        name = many(name)
    if match["power"] and rate:
        name += " squared" if match["power"] == "2" else " cubed"
    return f"{amount(low, high)} {name}{_per(match)}"


def _per(match):
    """What stands behind a stroke: $20/hr, 5 kg/m^3."""
    if not match["per"]:
        return ""
    power = POWERS[match["per_power"]] + " " if match["per_power"] else ""
    return f" per {power}{FOLLOWING[match['per'].lower()]}"


def _decade(match):
    """The 1980s, the '90s, the 1960s-80s."""
    decades = []
    for years in re.findall(r"\d+", match[0]):
        kind = "year" if len(years) == 4 else "cardinal"
        word = say(years, kind)
        plural = word.removesuffix("y") + "ies" if word.endswith("y") else word + "s"
        decades.append(plural)
    return " to ".join(decades)


def _version(match):
    return " " + " point ".join(say(int(part)) for part in match[0].split(".")) + " "


def _bare(match):
    """A number with nothing around it: a year, unless it counts what follows."""
    before = match.string[max(0, match.start() - NEAR): match.start()].lower()
    counted = _COUNTED.match(match.string, match.end())
    counts = counted and counted[1] not in NOT_COUNTED
    year = before[-1:] == " " and before.split()[-1:] and before.split()[-1] in BEFORE_YEARS
    words = say(match[0]) if counts and not year else number_or_year(match[0])
    return f" {words} "


# ---------------------------------------------------------------- the rules

def _any(names):
    """A pattern of any of `names`, the longest first."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


_RANGE = rf"(?P<low>{NUMBER})(?:\s?-\s?(?P<high>{NUMBER}))?"
_PER = rf"(?:\s?/\s?(?P<per>{_any(FOLLOWING)})(?:\^(?P<per_power>[23]))?\b)?"
_CALL = (r"(?P<before>\b(?:call|dial|ring|phone|text|fax|tel|telephone|number is|ssn|isbn|hotline)\b"
         r"[^\d+]{0,12})")
_TOLL_FREE = r"(?<![\w-])1-(8\d\d)-(?=[A-Z])"  # 1-800-FLOWERS
_PEOPLE = "(?:people|men|women|children|times)"
_DAY = r"[0-3]?\d"
_TH = "(?:st|nd|rd|th)"
_HALF = "(?:eigh|P)-M"  # a.m. and p.m., as lib.text.abbreviations leaves them
_CURRENCY = "[$£€¥₩₹]"

# (pattern, what stands for it); what is most particular comes first.
_ROWS_OF_DIGITS = (
    (r"(?<![\d.,])\d{1,3}(?: 000)+(?!\d)", lambda match: match[0].replace(" ", "")),
    (r"(?<![\d.,])\d{1,3}(?:\.\d{3})+,\d\d(?!\d)", _continental),
    (r"(?<![\w-])\d{3}-\d{2}-\d{4}\b", _groups),
    (r"(?<![\w/-])(?:\+?\d{1,3}[ -])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}\b", _groups),
    (r"\+\d{1,3}(?:[ -]?\(?\d{1,4}\)?){2,6}\b(?<=\d{2})", _groups),
    (r"(?<![\w.,-])0\d{2,4}(?: \d{3,6}){1,2}\b", _groups),
    (r"(?<![\w-])\d{3}-\d{4}\b", _groups),
    (_TOLL_FREE, _toll_free),
    (_CALL + r"(?P<number>\d[\d ()/-]*\d)\b(?![-/:.,]?\d)", _called),
    # a postcode: in 90210 now, code 90210, NY 90210
    (r"(?<=\bin )\d{5}\b(?=\s*(?:[.,;:!?]|$|now\b|and\b|today\b))", _groups),
    (r"(?<=\bcode )\d{5}\b|(?<=, (?-i:[A-Z]{2}) )\d{5}\b", _groups),
)
_DATES = (
    (r"(?<![\d/.-])(\d{1,2})([/-])(\d{1,2})\2(\d{4}|\d\d)(?![\d/-])", _month_first),
    (r"(?<![\d/.-])(\d{4})([/-])(\d\d?)\2(\d\d?)(?![\d/-])", _year_first),
    (r"(?<![\d/.-])(\d\d?)\.(\d\d?)\.(\d{4})(?![\d.]\d)", _day_first),
    (rf"(?-i:(?P<month>{MONTH})) (?P<first>{_DAY}){_TH}?(?:\s?-\s?(?P<last>{_DAY}){_TH}?)?\b(?![:.]\d)"
     rf"(?!\s{_PEOPLE}\b)",
     _day_of_month),
    (rf"(?<![\d.,$£€-])(?<!the )\b({_DAY}) (?-i:({MONTH}))\b(?! \d\d?\b)", _the_day_of),
    (r"(?:(?<=\bon )|(?<=\bdue )|(?<=\bdated )|(?<=\buntil )|(?<=\bsince ))(\d\d?)/(\d\d?)\b(?!/)",
     _month_and_day),
    (r"(?<![\d/.,$£€] )(?<![\d/.,$£€-])(1[0-2]|0?[1-9])/([0-3]?\d)\b(?![/.,]?\d|\sof\b)", _likely_day),
)
_AMOUNTS = (
    (rf"\bRs\.?\s?(?={NUMBER})", "₹"),
    (rf"({_CURRENCY})-(?=\d)", r"-\1"),
    (rf"(?<=illion)\s?-\s?(?={_CURRENCY}?\d)", " to "),
    (rf"\b(?P<before>{_any(CODES)}) ?(?P<first>{NUMBER})"
     rf"|(?P<second>(?:{NUMBER})(?:-(?:{NUMBER}))?) ?(?P<after>{_any(CODES)})\b", _code),
    (rf"(?<!\w)(?P<minus>-)?(?:US|AU|NZ|HK|CA|A|C)?(?P<sign>{_CURRENCY})\s?(?P<low>{NUMBER}|\.\d+)"
     rf"(?:\s?-\s?{_CURRENCY}?(?P<high>{NUMBER}))?"
     rf"(?P<scale>\s?(?:hundred|thousand|million|billion|trillion|[kmbt]|bn|mn|tn)\b)?{_PER}", _money),
    (rf"(?P<minus>(?<!\w)-)?{_RANGE}(?P<scale>)\s?(?P<sign>[€₩¢£]){_PER}", _money),
)
_TIMES = (
    (r"\b0(\d)([0-5]\d)(?= hours\b)", _early),
    (r"(?<=\d:\d\d)\s?h(?:rs?)?\b", " hours"),
    (r"(?<=:\d\d)\s?-\s?(?=\d{1,2}:\d\d)", " to "),
    (rf"(?<=M)\s?-\s?(?=\d)|(?<=\d)\s?-\s?(?=\d{{1,2}}(?::\d\d)?\s{_HALF})", " to "),
    (r"\b(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?![\d:])"
     rf"(?P<half>\s?{_HALF})?", _time),
    (r"(?<=\d):(?=\d)", " to "),  # a score, a ratio
)
_QUANTITIES = (
    (r"\b24/7\b", "twenty-four seven"),
    (r"\b9/11\b", "nine eleven"),
    (r"(?<![\d/.,])(?:(?P<whole>\d+) )?(?P<above>\d{1,3}) ?[/⁄] ?(?P<below>\d{1,3})(?![\d/])", _fraction),
    (r"(?<!\b0)(?<=\d)\s?x\s?(?=\d)|(?<=[cm]m)\s?x\s?(?=\d)", " by "),  # 2x4, 10 cm x 20 cm
    (r"\b(20|50)-\1\b", r"\1 \1"),
    # both ends of a range with their unit: 10%-20%
    (rf"({NUMBER})\s?({_any(UNITS)})\s?-\s?(?=(?:{NUMBER})\s?\2(?!\w))", r"\1-"),
    (r"(?<![\w-])-(?=\.?\d)", "minus "),
    (rf"({NUMBER})\ss\b", r"\1 seconds"),
    (rf"({NUMBER})\s?in(?:\.?(?=\s(?:long|wide|tall|high|deep|thick)\b)|\.(?=\sof\b))", r"\1 inches"),
    (rf"{_RANGE}\s?(?P<unit>{_any(UNITS)})(?:\^(?P<power>[23]))?(?![\w°^])"
     rf"(?:\.(?=\s(?-i:[a-z])|[,;:]))?{_PER}", _unit),
    (rf"({NUMBER})e([-+]?\d+)\b", r"\1 times ten^\2"),
    (r"\^([-+]?\d+)", _power),
)
_REST = (
    (rf"(?<=\d)\s?-\s?(?={NUMBER}\s?=)", " minus "),
    (rf"({NUMBER})(?-i:k)\b", r"\1 thousand"),
    (rf"(?<=\d[snrt][tdh])\s?-\s?(?=\d+{_TH})", " to "),
    (rf"\b(\d{{1,3}}(?:,\d{{3}})+|\d+){_TH}\b", lambda match: ordinal(match[1].replace(",", ""))),
    (r"(?<!\w)'(?=\d\d\b(?!'?s))", ""),  # class of '99
    (r"'?\b(?:\d{4}|\d{2})'?s(?:\s?-\s?'?(?:\d{4}|\d{2})'?s)?\b", _decade),
    (rf"({NUMBER})\s?x\b", lambda match: say(match[1]) + " times"),
    (r"(?<![\d.])\d{1,3}(?:\.\d{3}){2}(?![\d.]*\d)", lambda match: say(match[0].replace(".", ""))),
    (r"\d+(?:\.\d+){2,}", _version),
    (rf"(?<=\d)\s?-\s?(?={NUMBER})", " to "),
    (r"(?<![\d.])\.(\d+)", lambda match: " point " + digits(match[1])),
    (NUMBER, _bare),
)
_RULES = [(re.compile(pattern, re.I), words)
          for pattern, words in _ROWS_OF_DIGITS + _DATES + _AMOUNTS + _TIMES + _QUANTITIES + _REST]


def in_words(text):
    """Write out every number of an English text, with what belongs to it.  What is most particular comes
    first.
    """
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return text
