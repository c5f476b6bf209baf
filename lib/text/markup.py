"""From text as it is pasted (Markdown, HTML, emoji, other scripts) to text as a reader sees it."""
import html
import re
import unicodedata

_TYPOGRAPHY = str.maketrans({
    **dict.fromkeys("‘’‛ʼ`´′", "'"),
    **dict.fromkeys("“”„‟«»″〝〞", '"'),
    **dict.fromkeys("‐‑‒−", "-"),
    **dict.fromkeys("–—―─", " — "),
    **dict.fromkeys("™®©\u00ad\u200b\u200c\u200d\ufe0f\ufeff", ""),
    "。": ". ", "、": ", ", "！": "! ", "？": "? ", "·": " ", "•": ", ",
})
# Superscripts, written so that they stay apart from what they follow.
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
_VULGAR = re.compile(r"(?:(\d)\s?)?([¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")

# HTML and Markdown, in this order: pattern, what is left of it.
_MARKS = [(re.compile(pattern, flags), left) for pattern, left, flags in (
    (r"<!--.*?-->|<(script|style)\b.*?</\1>", " ", re.S | re.I),
    (r"</?(?:p|div|h[1-6]|li|ul|ol|tr|table|blockquote)\b[^<>]*>", "\n\n", re.I),
    (r"<(?:br|break)\b[^<>]*>", ", ", re.I),
    (r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>", " ", re.I),
    (r"^[ \t]*(?:```|~~~).*$", "", re.M),  # the fence of a block of code
    (r"^[ \t]*(?:[-*_][ \t]*){3,}$", "\n", re.M),  # a rule
    (r"^[ \t]*\|?[ \t:|-]*-{3}[ \t:|-]*$", "", re.M),  # the line under a table's head
    (r"^[ \t]*#{1,6}[ \t]+(.*?)[ \t#]*$", r"\n\1\n\n", re.M),
    (r"^[ \t]*(?:>[ \t]?)+", "", re.M),
    (r"^[ \t]*[-*+•][ \t]+(?:\[[ x]\][ \t]+)?(?=\S)", "\n\n", re.M),
    (r"^[ \t]*(?=\d{1,2}[.)][ \t]+\S)", "\n\n", re.M),
    (r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s\"[^\"]*\")?\)", r"\1", 0),  # a link, a picture
    (r"(?<![\w*])(\*{1,3}|~~|`+)(?=\S)(.+?)(?<=\S)\1(?![\w*])", r"\2", 0),
    (r"(?<!\S)[:;]-?[()DP](?=\s|$)", " ", 0),  # :-)
    (r"(?<!\w)(_{1,2})(?=\S)(.+?)(?<=\S)\1(?!\w)", r"\2", 0),
)]
_CURRENCY = "[$£€¥₩₹]"
_PARAGRAPH = re.compile(r"\s*\n\s*\n\s*")
_FINAL = ".!?;:,"

GREEK = {chr(code): unicodedata.name(chr(code)).split()[-1].lower()
         for code in range(0x3B1, 0x3CA) if code != 0x3C2}
GREEK |= {letter.upper(): name for letter, name in GREEK.items()}
# Signs that are read as words; what is neither here nor a letter, a digit or punctuation is dropped.
SIGNS = {
    "&": "and", "@": "at", "+": "plus", "=": "equals", "%": "percent", "#": "number", "×": "times",
    "÷": "divided by", "±": "plus or minus", "≈": "about", "≠": "is not",
    "≤": "at most", "≥": "at least", "√": "the square root of", "∞": "infinity",
    "§": "section", "→": "to", "°": "degrees", "‰": "per mille", "№": "number",
    "$": "dollars", "£": "pounds", "€": "euros", "¥": "yen", "₩": "won", "₹": "rupees", "¢": "cents",
}
_MARK = set(".,:;!?'\"()[]{}-—_*~^<>\\/|…¡¿⁄") | {" "}


def plain(text):
    """Give the text of Markdown or HTML, in one line, in the characters that the rules know.

    Headings, list items and paragraphs end in a full stop.  Raises ValueError for half a character.
    """
    halves = [c for c in text if "\ud800" <= c <= "\udfff"]
    if halves:
        raise ValueError(f"The text holds half a character (U+{ord(halves[0]):X}): "
                         "delete it, or type it again.")
    text = html.unescape(text)
    for pattern, left in _MARKS:
        text = pattern.sub(left, text)
    text = _PARAGRAPH.sub(_stop, text.strip())
    text = _VULGAR.sub(_fraction, text)
    text = _SUPERSCRIPT.sub(lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    # $10–$20, 10 a.m.–2 p.m.
    text = re.sub(rf"(?:(?<=[\w%°.])–|(?<=[\d%])—)(?={_CURRENCY}?\d)", "-", text)
    text = unicodedata.normalize("NFKC", text.translate(_TYPOGRAPHY)).translate(_TYPOGRAPHY)
    return " ".join(text.split())


def _stop(match):
    """A full stop between paragraphs, unless the first has a mark of its own."""
    before = match.string[match.start() - 1]
    return " " if before in _FINAL else ". "


def _fraction(match):
    """1½ as 1 1/2, and ½ as 1/2."""
    above, below = unicodedata.normalize("NFKC", match[2]).split("⁄")
    whole = match[1] + " " if match[1] else ""
    return f" {whole}{above}/{below} "


def readable(text, english=True):
    """Put spaces for what nobody could read out: emoji, lone symbols and, in English, the words of other
    scripts.
    """
    return "".join(c if _is_readable(c, english) else " " for c in text)


def _is_readable(c, english):
    if c.isascii() or c in _MARK or c in SIGNS:
        return True
    kind = unicodedata.category(c)
    if not english:
        return kind not in ("So", "Sk", "Cn")
    if c in GREEK:
        return True
    return kind in ("Mn", "Nd", "Co") or unicodedata.name(c, "").startswith("LATIN")


def dropped(text, language="en-us"):
    """List what of `text` is not read, each once, in order: words of another script, emoji, lone symbols."""
    seen = plain(text)
    kept = readable(seen, language.startswith("en"))
    lost = "".join(c if c != k else " " for c, k in zip(seen, kept, strict=True))
    return list(dict.fromkeys(lost.split()))
