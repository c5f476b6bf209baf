"""The first tab, the look of the app, and the address of each tab."""

import base64
import re
from pathlib import Path

import gradio as gr
import numpy as np

import app
from lib import audio
from lib.audio import watermark
from lib.tabs import about, context, home, look, plays

ROOT = Path(__file__).parent.parent
AA = 4.5  # contrast of text; 3 of edges (WCAG 2.2, 1.4.3 and 1.4.11)
EDGE = 3
LINE = 110  # characters, as in Python


def contrast(one, two):
    """Contrast of two colours "#rrggbb", 1 to 21 [WCAG 2.2]."""
    lights = []
    for colour in (one, two):
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        lights.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_words_can_be_read_in_light_and_dark():
    """Catches grey on grey."""
    for ground in (look.PAPER, look.PALE):
        for words in (look.TEXT, look.QUIET, look.INK):
            assert contrast(words, ground) >= AA, (words, ground)
        assert contrast(look.LINE, ground) >= EDGE
    for ground in (look.NIGHT, look.DUSK):
        for words in (look.TEXT_DARK, look.QUIET_DARK, look.GLOW):
            assert contrast(words, ground) >= AA, (words, ground)
        assert contrast(look.LINE_DARK, ground) >= EDGE
    for button in (look.INK, look.DEEP):
        assert contrast(look.PAPER, button) >= AA, "also under the pointer"
    for button in (look.GLOW, look.BRIGHT):
        assert contrast(look.NIGHT, button) >= AA, "also under the pointer"


def test_nothing_of_the_look_is_fetched():
    """Catches a font or a picture from elsewhere."""
    parts = [look.CSS.read_text(), look.head(), plays.SCRIPT, plays.TEMPLATE]
    for part in parts:
        assert not re.search(r"url\(|@import|(?:src|href)=[\"']?http", part)
    assert 'role="img" aria-label="Voice Atlas"' in look.head()


def test_every_tab_leads_to_its_lesson_and_says_its_limits():
    """Catches a link to a lesson that is not there, and a tab that was added without one."""
    names = {tab.NAME.lower() for tab in app.TABS}
    assert names == set(about.TABS) == set(home.PROMISES)
    for lesson, limits in about.TABS.values():
        assert (ROOT / "notebooks" / f"{lesson}.ipynb").is_file() and len(limits) > 20
    assert about.REPOSITORY in about.links("speak") and "Lesson 07" in about.links("speak")


def test_every_tab_has_an_address(server):
    """Catches a link that opens another tab, or none."""
    demo = server[1]
    tabs = [block for block in demo.blocks.values() if isinstance(block, gr.Tab)]
    for tab in tabs:
        named = [fn.js for fn in demo.fns.values() if (tab._id, "select") in fn.targets]
        assert named == [look.address(tab.id)]
    assert [fn.js for fn in demo.fns.values() if (demo._id, "load") in fn.targets].count(look.ARRIVE) == 1


def heard(button):
    """Bytes of the wav behind a button."""
    return base64.b64decode(button["sound"].partition(",")[2])


def test_the_pairs_are_made_by_the_weights_once(tiny_voices):
    """Catches a pair that is silent, louder than its fellow, unmarked, or made anew for every visitor."""
    with gr.Blocks():
        pairs = home.Pairs(context.Context(tiny_voices, None, gr.State(), Path("nowhere")))
    made = pairs.all()
    assert pairs.all() is made and len(made) == len(pairs.makers) == 2, "tiny weights have no attractor"
    for pair in made:
        files = [heard(button) for button in pair]
        wavs = [audio.load(file)[1] for file in files]
        assert len({button["label"] for button in pair}) == 2 and not np.array_equal(*wavs[:2])
        levels = [audio.speech_level(wav) for wav in wavs]
        assert all(len(wav) > audio.RATE // 2 for wav in wavs) and abs(levels[0] - levels[1]) < 3
        assert all(b"Synthetic" in file for file in files)
    assert watermark.detect(heard(made[0][0])).found


def test_a_page_without_a_map_has_a_first_tab(tiny_voices):
    """Catches a first tab that needs what another tab needs."""
    with gr.Blocks() as page:
        home.build(context.Context(tiny_voices, None, gr.State(), Path("nowhere")))
    words = [block.value for block in page.blocks.values() if isinstance(block, gr.Markdown)]
    assert any(home.STORY in text for text in words)


def test_no_line_of_the_style_sheets_and_scripts_scrolls_sideways():
    """Catches what ruff does not read."""
    for path in (*look.HERE.glob("*.css"), *look.HERE.glob("*.js")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert len(line) <= LINE, f"{path.name}, line {number}"
