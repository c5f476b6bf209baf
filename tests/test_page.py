"""What a page does that a script does not: lines beside fields, consent per clip, sentences at once."""

import base64
import inspect
import re

import gradio as gr
import numpy as np
import pytest
from conftest import PATIENT, answers, as_file, uploaded
from gradio_client import Client

from lib import audio
from lib.tabs import hints, permits, speak, visitor
from lib.voices.speak import PAUSE

RESULTS = speak.SHOWN  # outputs of Speak before the lines of hints
TWO = "The ferry leaves at noon. Pack your lunch."
# Updates that leave all as it is; None is what a page hears of a gr.State.
NOTHING = ({}, gr.skip(), {"props": gr.skip(), "__type__": "update"}, None)


class Page:
    """The tab Speak of the running app, as a visitor's browser uses it."""

    def __init__(self, server):
        self.url, self.demo, _ = server
        self.client = Client(self.url, verbose=False, httpx_kwargs=PATIENT)
        self.run = next(fn for fn in self.demo.fns.values() if fn.api_name == "speak_on_page")

    def speak(self, reference, text=TWO, consent=False, seed=0, speed=1.0, expressiveness=0.1, rate=16000):
        """All answers to a click on Speak."""
        given = [text, reference, consent, seed, speed, expressiveness, rate, None, None, None]
        return answers(self.url, self.run._id, given, self.client.session_hash)


@pytest.fixture
def page(server):
    return Page(server)


@pytest.fixture
def example(page):
    """An example voice, as the page sends it."""
    return uploaded(page.url, next(iter(speak.examples().values())))


def said(answer):
    """Words of the lines of hints that an answer shows."""
    updates = answer["output"]["data"][RESULTS:]
    return [update["value"] for update in updates if update.get("visible")]


def collected(given):
    """The sounds of a run, of whose answers all but the first tell only what changed."""
    sounds = list(given[0]["output"]["data"][0]["sounds"])
    for message in given[1:-1]:
        for kind, place, value in message["output"]["data"][0]:
            if kind == "add" and place[0] == "sounds":
                sounds.append(value)
    return [audio.load(base64.b64decode(sound.partition(",")[2]))[1] for sound in sounds]


def test_sentences_come_one_by_one_and_the_whole_at_the_end(page, example, tiny_voices):
    """Catches a page that hears nothing before all is made, and sentences that are not the result's."""
    given = page.speak(example)
    first, whole = given[0]["output"]["data"], given[-1]["output"]["data"]
    assert given[0]["msg"] == "process_generating" and len(first[0]["sounds"]) == 1 and first[0]["of"] == 2
    assert all(update in NOTHING for update in first[1:RESULTS]), "the last result is touched too early"
    pieces = collected(given)
    _, result = audio.load(whole[1]["path"])
    speech = tiny_voices.speak(TWO, next(iter(speak.examples().values())))
    np.testing.assert_allclose(result, as_file(speech), atol=2e-4)
    assert len(pieces) == 2 and sum(map(len, pieces)) == len(result) and not said(given[-1])
    gap = int(PAUSE * audio.RATE)
    assert np.sqrt(np.mean(pieces[0][-gap // 2 :] ** 2)) < 0.1 * np.sqrt(np.mean(pieces[0] ** 2))


def labels(block):
    """Labels of all that lies in a part of the page."""
    found = {getattr(block, "label", None)}
    for child in getattr(block, "children", ()):
        found |= labels(child)
    return found


WRONG = {
    "Seed": dict(seed=-1),
    "Speed": dict(speed=9),
    "Expressiveness": dict(expressiveness=None),
    "What to say": dict(text="½" * 1000),
    "Output rate": dict(rate=44100),
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_field_is_named_beside_it_and_the_result_stays(page, example, field):
    """Catches a toast that is gone before it is read, and a result that an error takes away."""
    answer = page.speak(example, **WRONG[field])[-1]
    assert answer["success"] and all(part in NOTHING for part in answer["output"]["data"][:RESULTS])
    assert len(said(answer)) == 1 and f">{field}: " in said(answer)[0]
    at = RESULTS + [bool(part.get("visible")) for part in answer["output"]["data"][RESULTS:]].index(True)
    line = page.run.outputs[at]
    assert field in labels(line.parent), "not where the field lies"
    looks = [fn for fn in page.demo.fns.values() if fn.outputs == [line] and not fn.queue]
    assert looks, "nothing takes the line away when the field is mended"
    assert not said(page.speak(example)[-1])


def test_a_line_goes_when_its_field_is_mended(page):
    """Catches a warning that stays, and one that comes only after a click."""
    line = next(fn for fn in page.demo.fns.values() if fn.inputs and fn.inputs[0].label == "Seed").outputs[0]
    look = next(fn for fn in page.demo.fns.values() if fn.outputs == [line]).fn
    assert "Seed: 0.5" in look(0.5).value and look(0.5).visible
    assert not look(7).visible and look(7).value == ""


def test_messages_are_text(page, example):
    """Catches a file name, or a word of the visitor's, that is read as HTML."""
    assert "&lt;b&gt;" in hints.shown("a <b>bold</b> file").value
    lines = hints.Hints()
    with gr.Blocks():
        lines.beside("Seed")
        lines.beside()

    def full(value):
        raise OSError("No space left on device")

    def stopped(value):
        yield [1]
        raise InterruptedError("Stopped before the end, as asked.")

    assert [update.value for update in lines.telling(full, 1)(0)[1:]] == [
        "",
        f'<p role="alert">{visitor.DISK}</p>',
    ]
    first, last = lines.telling(stopped, 1)(0)
    assert first[0] == 1 and last[0] == gr.skip() and "Stopped" in last[2].value
    assert inspect.isgeneratorfunction(lines.telling(stopped, 1))


def test_stop_says_that_it_stopped(page):
    """Catches a Stop that leaves a visitor in doubt."""
    stop = next(fn for fn in page.demo.fns.values() if fn.api_name == "halted")
    button = page.demo.blocks[stop.targets[0][0]]
    assert page.run._id in [run for fn in events(page, button, "click") for run in fn.cancels]
    assert not stop.queue, "it would wait behind what it is to stop"
    assert "Stopped" in stop.fn(gr.Request(session_hash="somebody")).value
    assert stop.outputs[0] in page.run.outputs


def test_consent_is_asked_for_a_clip_and_not_for_a_virtual_voice(page, example, clip):
    """Catches a box that must be ticked for nobody, and a clip that speaks without one."""
    mine = uploaded(page.url, clip)
    assert not said(page.speak(example)[-1])
    assert ">Consent: " in said(page.speak(mine)[-1])[0]
    assert not said(page.speak(mine, consent=True)[-1])


def events(page, block, kind):
    """Functions that run when something happens to a component."""
    return [fn for fn in page.demo.fns.values() if (block._id, kind) in fn.targets]


def test_consent_goes_when_the_clip_does(page):
    """Catches a tick for one clip that serves for the next."""
    _, reference, ticked, *_, taken, _ = page.run.inputs
    for block, kind in (
        (reference, "upload"),
        (reference, "stop_recording"),
        (reference, "clear"),
        (taken, "change"),
    ):
        emptied = [fn for fn in events(page, block, kind) if fn.js == "() => false"]
        assert [fn.outputs for fn in emptied] == [[ticked]], kind
        assert emptied[0].trigger_mode == "multiple", "none is dropped while another is on its way"
    assert ticked.visible is False, "the first voice is a virtual one"


def test_the_box_is_there_when_it_is_needed(page, clip, example):
    """Catches a box that hides from who must tick it."""
    _, reference, ticked, *_ = page.run.inputs
    (show,) = [fn for fn in events(page, reference, "change") if fn.outputs == [ticked]]
    assert show.trigger_mode == "always_last", "of two quick changes the second must not be lost"
    mine = uploaded(page.url, clip)
    person, virtual = {"person": True}, {"person": False}
    given = [(mine, None), (example, person), (None, person), (None, virtual), (None, None)]
    given = [(reference and reference["path"], taken) for reference, taken in given]
    assert [show.fn(None, *pair).visible for pair in given] == [True, False, True, False, False]
    assert show.fn(mine["path"], example["path"], None).visible is True, "a melody is somebody's too"
    assert show.fn(None, "/etc/hostname", None).visible is True


def test_the_first_stop_of_the_keyboard_skips_what_comes_before_the_tabs(page):
    """Catches a link to nowhere."""
    first = next(block for block in page.demo.blocks.values() if isinstance(block, gr.HTML))
    place = re.search(r'href="#(\w+)"', first.value)[1]
    assert place in {block.elem_id for block in page.demo.blocks.values() if isinstance(block, gr.Tabs)}
    assert "ArrowRight" in first.js_on_load


def test_an_example_is_known_by_what_it_holds(tmp_path, wav):
    """Catches a clip that passes as virtual because of its name."""
    known = permits.Virtual()
    audio.save(tmp_path / "a.wav", audio.RATE, wav)
    audio.save(tmp_path / "b.wav", audio.RATE, wav[::-1])
    known.add([tmp_path / "a.wav"])
    (tmp_path / "c.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    held = [known.holds(tmp_path / name) for name in ("a.wav", "b.wav", "c.wav")]
    assert held == [True, False, True]


@pytest.mark.parametrize("ticked", [False, None, "yes", 1])
def test_only_a_tick_is_consent(ticked):
    """Catches what merely looks like a tick."""
    with pytest.raises(visitor.WrongField, match="Consent: "):
        permits.require(ticked)
    permits.require(True)


def test_a_text_is_checked_beside_whatever_the_slider_holds():
    """Catches a line beside a field that falls over a value of another kind."""
    for speed in ({"value": 1}, None, [1.0], "1", float("nan")):
        with pytest.raises(visitor.WrongField, match="Speed: "):
            speak.check_text(TWO, speed)
