"""What is written must be read as people would: every wrong reading here would be heard in a voice."""
import hashlib
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import text

READINGS = {
    "In 1984 he was 84.": "In nineteen eighty-four he was eighty-four.",
    "2005, 2024 and 1900": "two thousand and five, twenty twenty-four and nineteen hundred",
    "the 1980s and the '90s": "the nineteen eighties and the nineties",
    "1,234,567 of 500": "one million two hundred and thirty-four thousand five hundred and sixty-seven of five hundred",
    "The 21st, 2nd and 1,000th.": "The twenty-first, second and one thousandth.",
    "3.140 or 0.5 or -5": "three point one four zero or zero point five or minus five",
    "It cost $5.50 and £3.": "It cost five dollars and fifty cents and three pounds.",
    "$1.01, $0.99, €1, $2 million, $5M": "one dollar and one cent, ninety-nine cents, one euro, two million dollars,"
                                         " five million dollars",
    "5% at 3:30, 3:05 and 3:00": "five percent at three thirty, three oh five and three o'clock",
    "From 10:45 A.M. to 5pm.": "From ten forty-five eigh-M to five P-M.",
    "Mr. and Mrs. Smith met Dr. Lee": "Mister and Missus Smith met Doctor Lee",
    "in St. John's Rd., No. 5": "in Saint John's Road, number five",
    "e.g. tea, i.e. a drink, etc.": "for example, tea, that is, a drink, et cetera.",
    "No. I said no.": "No. I said no.",
    "On May 5, 2020": "On May fifth, twenty twenty",
    "6 ft. tall, 5kg, 1 kg, 20°C": "six feet tall, five kilograms, one kilogram, twenty degrees celsius",
    "60 km/h, 16 kHz, 5 miles": "sixty kilometers per hour, sixteen kilohertz, five miles",
    "5-10 of 2/3 or ½": "five to ten of two thirds or one half",
    "call 555-1234 or 007": "call five five five, one two three four or zero zero seven",
    "Tom & Jerry @ home": "Tom and Jerry at home",
    "the U.S. Army in the U.S.A.": "the U-S Army in the U-S-eigh.",
    "W. E. Barnett and Robert A. Frazier": "W-E Barnett and Robert eigh Frazier",
    "joe@example.com": "joe at example dot com",
    "“Well,” he said—really?!—“it’s… fine (or so)...”": "Well, he said, really? it's, fine, or so.",
    "MISTER JOHN SPARGO SAID HE'D GO": "mister john spargo said he'd go",
    "The FBI knew.": "The FBI knew.",
}


@pytest.mark.parametrize("written", READINGS)
def test_is_read_as_people_would(written):
    assert text.normalise(written) == READINGS[written]


@pytest.mark.parametrize("written", READINGS)
def test_normalising_twice_changes_nothing(written):
    """sentences() gives normalised text, which encode() normalises again: "A. B." once lost its period only then."""
    once = text.normalise(written)
    assert text.normalise(once) == once


def test_symbols_are_fixed():
    """The weights index into SYMBOLS: a changed order is a voice that speaks nonsense."""
    assert text.SYMBOLS[0] == "_" and len(set(text.SYMBOLS)) == len(text.SYMBOLS) == 153
    assert hashlib.sha256("".join(text.SYMBOLS).encode()).hexdigest()[:16] == "268487c311a5140f"
    assert set("ˈˌːɚɝᵻɾʔɡɹəɐæŋθðʃʒ\u0329") <= set(text.SYMBOLS)


def test_phonemes_keep_stress_and_punctuation():
    assert text.phonemise("Hello, world! It's a better button?") == "həlˈoʊ, wˈɜːld! ɪts ɐ bˈɛɾɚ bˈʌʔn̩?"


def test_capitals_are_read_not_spelled():
    assert text.phonemise("IT WAS HER BROTHER'S BOOK") == text.phonemise("it was her brother's book")
    assert text.phonemise("The FBI came.") == "ðɪ ˌɛfbˌiːˈaɪ kˈeɪm."
    assert "jˈuːˈɛsˈeɪ" in text.phonemise("made in the U.S.A. in May")  # espeak reads a lone A as the article


def test_a_list_gives_what_each_text_gives():
    """phonemizer loses count of the lines when one holds only marks: "a , b" once came out in another order."""
    texts = ["Hello - ...", "one, , two", "...yes", '"quoted"', "don't", "a", "the end.", "1:30; (so)"]
    assert text.phonemise(texts) == [text.phonemise(one) for one in texts]
    assert text.phonemise([]) == []


def test_many_texts_are_fast():
    texts = [f"This is sentence number {number} of a corpus, read by somebody." for number in range(2000)]
    text.phonemise("warm up")
    start = time.perf_counter()
    assert len(text.phonemise(texts)) == 2000
    assert time.perf_counter() - start < 10


def test_threads_get_what_one_gets():
    """espeak keeps its language in a global: two visitors at once must not hear each other's."""
    jobs = [(f"Visitor {number} says hello to the {number}th room.", "en-us") for number in range(40)]
    jobs += [("안녕하세요, 반갑습니다!", "ko")] * 10 + [("The water is better.", "en-gb")] * 10
    random.Random(0).shuffle(jobs)
    serial = [text.phonemise(*job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda job: text.phonemise(*job), jobs)) == serial


def test_other_languages():
    assert text.phonemise("안녕하세요", "ko") == "ˈɐnnjʌŋhˌɐsejˌo"
    assert text.phonemise("water", "en-gb") != text.phonemise("water")
    with pytest.raises(ValueError, match="xx-yy.*en-us"):
        text.phonemise("hello", "xx-yy")


@pytest.mark.parametrize("nothing", ["", "   ", "...", "?!", "東京", "😀", '""', "—", "\n"])
def test_nothing_speakable_is_refused(nothing):
    with pytest.raises(ValueError, match="nothing to speak.*write at least one word"):
        text.phonemise(nothing)


def test_what_espeak_would_spell_out_is_left_out():
    """espeak says "Chinese letter" for each character that it does not know."""
    assert text.phonemise("東京 hello 😀") == text.phonemise("hello")


def test_encode_puts_a_blank_at_both_ends_and_decode_takes_them_out():
    ids = text.encode("Hello, world!")
    assert ids[0] == ids[-1] == 0 and all(ids[1:-1]) and max(ids) < len(text.SYMBOLS)
    assert text.decode(ids) == text.phonemise("Hello, world!")


def test_sentences():
    said = text.sentences("Mr. Lee paid $5.50. He left at 3.15 p.m. and ran! ... Bye")
    assert said == ["Mister Lee paid five dollars and fifty cents.",
                    "He left at three point one five P-M and ran!", "Bye"]
    assert text.sentences("...") == []


def test_sentences_keep_every_word_within_the_limit():
    words = "one two three four five six, seven eight nine ten; eleven twelve thirteen " * 8
    pieces = text.sentences(words + "x" * 450 + " then, the end.", limit=90)
    assert max(map(len, pieces)) <= 90
    assert "".join(pieces).replace(" ", "") == text.normalise(words + "x" * 450 + " then, the end.").replace(" ", "")
    assert pieces[0].endswith(("ten;", "six,"))  # cut where one would breathe


def test_nothing_that_can_be_typed_crashes_or_hangs():
    rng = random.Random(1)
    alphabet = list("aA1.,:$%-/'\"() \n°&@#IMS0½€é東😀\u0301٣²⁄…") + [" a.m. ", "St. ", "1,000", "No.", "U.S.", "etc."]
    start = time.perf_counter()
    for _ in range(400):
        written = "".join(rng.choices(alphabet, k=rng.randrange(1, 60)))
        try:
            ids = text.encode(written)
        except ValueError as error:
            assert "nothing to speak" in str(error), written
        else:
            assert max(ids) < len(text.SYMBOLS)
        once = text.normalise(written)
        assert not any(c.isdigit() for c in once if c.isascii()), (written, once)
    for written in ("." * 1000, "A." * 500, "1," * 500, "1" * 1000, "$" * 1000, " ," * 500, "- " * 500, "1.1" * 333):
        text.normalise(written)
    assert time.perf_counter() - start < 20


def test_import_is_light():
    """The app must be ready in 15 s: the phonemiser is loaded when first needed."""
    code = "import lib.text, sys; sys.exit({'phonemizer', 'num2words', 'espeakng_loader'} & set(sys.modules) != set())"
    subprocess.run([sys.executable, "-c", code], check=True)
