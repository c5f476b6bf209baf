"""A link that carries text, example voice and settings; and names of downloads."""

from pathlib import Path
from urllib.parse import urlencode

import gradio as gr
import pytest

from lib.tabs import permalink, speak, visitor

ASKED = {"text": "Bread & butter, 50 % off?", "voice": "Birch, deep", "seed": 7, "speed": 1.5}
MORE = {"expressiveness": 0.25, "rate": 24000}


def test_a_link_brings_back_what_it_was_made_of():
    """Catches a field that is lost, and a text with signs that mean something in an address."""
    query = "?" + urlencode({"tab": "speak"} | ASKED | MORE)
    assert permalink.read(query, speak.EXAMPLES) == ASKED | MORE
    assert permalink.read("", speak.EXAMPLES) == permalink.read(None, speak.EXAMPLES) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        dict(seed=-1),
        dict(seed="nan"),
        dict(speed=9),
        dict(expressiveness="lively"),
        dict(rate=44100),
        dict(voice="/etc/passwd"),
        dict(text="a" * 2000),
    ],
)
def test_what_is_wrong_in_a_link_is_left_out(wrong):
    """Catches a link that opens a file, or fills a field with what it cannot hold."""
    query = urlencode(ASKED | wrong)
    found = permalink.read(query, speak.EXAMPLES)
    assert not set(wrong) & set(found) and set(found) == set(ASKED) - set(wrong)


def test_the_page_fills_its_fields_from_its_address(server):
    """Catches a link that nobody reads, and an example that is chosen and not played."""
    demo = server[1]
    (fill,) = [fn for fn in demo.fns.values() if fn.js == permalink.READ]
    assert (demo._id, "load") in fill.targets and not fill.queue
    *values, clip = fill.fn(urlencode(ASKED))
    assert values == [*ASKED.values(), gr.skip(), gr.skip()] and Path(clip).stem == "birch"
    assert fill.fn("") == (*[gr.skip()] * 7,)
    assert [block.label for block in fill.outputs[:1]] == [speak.TEXT]
    (write,) = [fn for fn in demo.fns.values() if fn.js == permalink.WRITE]
    assert write.inputs == fill.outputs[:-1], "the sound of a visitor stays with the visitor"


def test_downloads_are_called_after_voice_and_text(tmp_path):
    """Catches a folder of downloads that all look alike, two of one name, and a name that leads elsewhere."""
    one, two = (Path(visitor.fresh(tmp_path, ".wav", "birch The kettle sings!")) for _ in range(2))
    assert one.name.startswith("voice-atlas-birch-the-kettle-sings-") and one != two
    assert len(one.stem.split("-")[-1]) == 32, "it can be guessed"
    far = Path(visitor.fresh(tmp_path, ".wav", "../../" + "a" * 500))
    assert far.parent == tmp_path and len(far.name) < 120
    assert Path(visitor.fresh(tmp_path, ".wav")).name.startswith("voice-atlas-")
