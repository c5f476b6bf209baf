"""Markdown and HTML, what is dropped, the marks for a pause and for a pronunciation."""

import numpy as np
import pytest

from lib import audio, text
from lib.data import corpus

MARKUP = {
    "# Title\nA *word* and **two**, `code`.": "Title. A word and two, code.",
    "- one\n- two\n1. three": "one. two. one. three",
    "See [the page](https://x.org/a_b) and ![a dog](d.png).": "See the page and a dog.",
    "> quoted\n\n---\n\nafter": "quoted. after",
    "| a | b |\n|---|---|\n| c | d |": "a, b. c, d",
    "<p>One <b>two</b></p><p>three &lt; four</p>": "One two. three less than four",
    "a < b and 3 > 2, 2*3, snake_case": "a less than b and three greater than two, two times three, "
    "snake case",
    "Tom &amp;&nbsp;Jerry&#39;s": "Tom and Jerry's",
    "wrapped\nline": "wrapped line",
}


@pytest.mark.parametrize("written", MARKUP)
def test_markdown_and_html_are_read_as_their_text(written):
    assert text.normalise(written) == MARKUP[written]


def test_what_is_dropped_can_be_told():
    """Catches a word in another script that goes missing in silence."""
    assert text.dropped("東京 hello 😀 and Сливница, 👍🏽") == ["東京", "😀", "Сливница", "👍🏽"]
    assert text.dropped("Hello, café — “it’s” 5 × 3 € & π! <b>x</b>") == []
    assert text.dropped("안녕하세요 😀", "ko") == ["😀"]


def test_half_a_character_gets_a_plain_message():
    with pytest.raises(ValueError, match=r"half a character \(U\+D83D\): delete it"):
        text.encode("hello \ud83d")


@pytest.mark.parametrize("written", ["No", "Stop that", "5", "hello (there)"])
def test_a_text_without_a_final_mark_is_read_as_if_it_had_one(written):
    """Catches "No" heard as "don't": voices have learnt from whole sentences."""
    assert text.encode(written) == text.encode(written + ".")
    assert text.encode("Well,") != text.encode("Well.")


def test_a_pause_can_be_written():
    assert text.parts("One. [pause 0.5] Two[pause 1s], three") == [
        ("One.", 0.5),
        ("Two", 1.0),
        ("three", 0.0),
    ]
    assert text.parts("[pause 1] One [pause 1][pause 2]") == [("One", 3.0)]
    assert text.sentences("One [pause 0.5] two") == ["One", "two"]
    assert text.phonemise("One [pause 0.5] two") == text.phonemise("One, two")
    with pytest.raises(ValueError, match=r"\[pause 9\]: a pause has at most 5 s"):
        text.parts("One [pause 9] two")


def test_a_pause_is_heard(tiny_voices):
    """Catches a mark that is understood and then forgotten."""
    voice = corpus.rows()[0]["audio"]
    short, long = (tiny_voices.speak(f"One. [pause {s}] Two.", voice) for s in (0.5, 2))
    assert len(long.wav) - len(short.wav) == pytest.approx(1.5 * audio.RATE, abs=2)
    quiet = np.flatnonzero(np.abs(long.wav) < 1e-7)
    assert len(quiet) >= 2 * audio.RATE
    with pytest.raises(ValueError, match="The pauses last 25 s in all; the limit is 20 s"):
        tiny_voices.speak("One." + "[pause 5]" * 5, voice)


def test_a_pronunciation_can_be_written():
    """As IPA or as another word; it lives through normalising, cutting and Markdown."""
    assert text.phonemise("The [lead|/lˈɛd/] pipe.") == "ðə lˈɛd pˈaɪp."
    assert text.phonemise("I saw a [lead|/lˈɛd/] pipe.") == "aɪ sˈɔː ɐ lˈɛd pˈaɪp."
    assert text.phonemise("Mister [Nguyen|win] left.") == text.phonemise("Mister win left.")
    once = text.normalise("**The [lead|/lˈɛd/]**, 5 kg")
    assert once == "The ⟦lˈɛd⟧, five kilograms" and text.normalise(once) == once
    assert text.sentences("Take [lead|/lˈɛd/]. Go.") == ["Take ⟦lˈɛd⟧.", "Go."]
    assert text.encode("[lead|/lˈɛd/]") == text.ids("lˈɛd.")
    with pytest.raises(ValueError, match="/l3d/: '3' is no phoneme"):
        text.phonemise("[lead|/l3d/]")
