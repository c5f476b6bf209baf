"""Results of a visit: kept for their visitor alone, bounded, used again, forgotten; each beside its voice."""

import base64
import itertools
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
import torch
from conftest import answers, uploaded

from lib import audio
from lib.audio import watermark
from lib.models.superres import SuperRes, SuperResConfig
from lib.tabs import context, history, plays, rates, speak, visitor
from lib.voices import Bundle, Voices

LEVEL_DB = 0.2  # what two sounds that are equally loud may differ by, after rounding to 16 bits


@pytest.fixture
def make(tmp_path):
    """make(results, size) adds a result whose sound has `size` bytes."""
    numbers = itertools.count()

    def add(results, size=100, words="birch: Good morning."):
        path = tmp_path / f"{next(numbers)}.wav"
        path.write_bytes(b"0" * size)
        return history.added(results, words, (str(path),), ("text", "clip"))

    return add


def test_results_are_bounded_in_number_and_bytes(make, tmp_path):
    """Catches a list that grows for ever, and files that nobody can reach but stay."""
    results = ()
    for _ in range(history.MOST + 3):
        results = make(results)
    numbers = [result.number for result in results]
    assert numbers == list(range(history.MOST + 3, 3, -1)), "the newest first, the oldest gone"
    assert len(list(tmp_path.iterdir())) == history.MOST
    results = make(make(results, history.MOST_BYTES // 2), history.MOST_BYTES // 2 + 1)
    assert [result.number for result in results] == [history.MOST + 5]
    assert len(make(results, 2 * history.MOST_BYTES)) == 1, "the newest stays, whatever its size"


def test_what_has_been_deleted_is_left_out(make):
    """Catches a line that plays nothing."""
    results = make(make(None))
    Path(results[1].paths[0]).unlink()
    with pytest.raises(visitor.WrongField, match=f"{history.TITLE}: .*an hour"):
        history.chosen(results, results[1].label)
    assert [result.number for result in make(results)] == [3, 2]
    for label in (None, "7. somebody else's", ["1"]):
        with pytest.raises(visitor.WrongField):
            history.chosen(results, label)


def test_to_forget_is_to_delete(make, tmp_path):
    """Catches a list that is emptied while its files stay; also when gradio forgets a visitor."""
    results = make(make(()))
    history.forget(results)
    history.forget(None)
    assert not list(tmp_path.iterdir())


def test_long_texts_make_short_labels(make):
    """Catches a line of a thousand letters, and two results of one name."""
    results = make(make((), words="a" * 1000), words="a" * 1000)
    assert all(len(result.label) == history.LETTERS for result in results)
    assert len({result.label for result in results}) == 2


class Visit:
    """The tab Speak of the running app in one browser."""

    def __init__(self, server, session):
        self.url, self.demo, self.folder = server
        self.session = session
        self.run = self.named("speak_on_page")
        self.state = self.run.inputs[-1]

    def named(self, name):
        """The function of Speak of that name: the first on the page."""
        return next(fn for fn in self.demo.fns.values() if fn.api_name == name)

    def speak(self, text, path):
        """Speak, and give what the page shows in the end."""
        given = [text, path, True, 3, 1.5, 0.2, audio.RATE, None, None, None]
        return answers(self.url, self.run._id, given, self.session)[-1]["output"]["data"]

    def labels(self, shown):
        """Names in the list, of the answer of a run."""
        choice = next(i for i, block in enumerate(self.run.outputs) if block.label == history.TITLE)
        return [label for label, _ in shown[choice + 1]["choices"]]

    def used(self, label):
        """What the fields of the page hold after "Use its settings again"."""
        answer = answers(self.url, self.named("use")._id, [label, None], self.session)[-1]
        return answer["output"]["data"] if answer["success"] else None

    def at_once(self, name, given):
        """What a function that passes the queue answers."""
        body = {"fn_index": self.named(name)._id, "data": given, "session_hash": self.session}
        return httpx.post(f"{self.url}gradio_api/run/predict", json=body, timeout=120).json()["data"]


@pytest.fixture
def visits(server):
    """Two visitors."""
    return Visit(server, "history-one"), Visit(server, "history-two")


def test_a_visit_keeps_its_results_and_no_other_sees_them(visits, clip):
    """Catches a list that is shared, one that the page must send, and settings that do not come back."""
    one, two = visits
    mine = uploaded(one.url, clip)
    one.speak("Good morning.", mine)
    labels = one.labels(one.speak("Good evening.", mine))
    assert labels == ["2. clip: Good evening.", "1. clip: Good morning."]
    assert two.labels(two.speak("Good night.", mine)) == ["1. clip: Good night."]
    text, reference, choice, seed, speed, expressiveness, rate, melody, consent, *_ = one.used(labels[1])
    assert (text, seed, speed, expressiveness, rate) == ("Good morning.", 3, 1.5, 0.2, audio.RATE)
    assert reference["path"] == mine["path"] and choice is None and melody is None
    assert consent is False, "a tick is for the clip that was there when it was made"
    assert two.used("1. clip: Good night.")[0] == "Good night."
    assert not two.used(labels[0])


def test_the_button_empties_list_and_folder(visits, clip):
    """Catches a button that only hides."""
    one, _ = visits
    before = set(one.folder.glob("voice-atlas-*"))
    shown = one.speak("Good morning.", uploaded(one.url, clip))
    made = set(one.folder.glob("voice-atlas-*")) - before
    assert {path.suffix for path in made} == {".wav", ".png"}
    assert one.at_once("play", [one.labels(shown)[0], None])[0]["path"] in map(str, made)
    assert {block.label for block in one.named("empty").outputs} >= {"Result", "Spectrogram", history.EARLIER}
    emptied = one.at_once("empty", [None])
    assert not [path for path in made if path.exists()]
    assert emptied[0] is None and not any(update.get("visible") for update in emptied if update)


def decoded(button):
    """(rate, wav [T]) of a button that plays."""
    return audio.load(base64.b64decode(button["sound"].partition(",")[2]))


def test_what_is_compared_is_equally_loud(wav):
    """Catches the louder of two that sounds the better one, and a peak that is cut."""
    click = 0.05 * wav
    click[8000] = 1.0  # it cannot be made as loud as the others: they come down to it
    sounds = {"Voice": (audio.RATE, 0.1 * wav), "Result": (24000, audio.resample(wav, 16000, 24000))}
    buttons = plays.side_by_side(sounds | {"Click": (audio.RATE, click)})
    assert [button["label"] for button in buttons] == ["Compare: voice", "Compare: result", "Compare: click"]
    levels = []
    for button in buttons:
        rate, sound = decoded(button)
        levels.append(audio.speech_level(audio.resample(sound, rate, audio.RATE)))
        assert np.abs(sound).max() < 1
    assert max(levels) - min(levels) < LEVEL_DB
    long = plays.side_by_side({"Voice": (audio.RATE, np.resize(wav, 60 * audio.RATE))})
    assert len(decoded(long[0])[1]) == plays.COMPARED_SECONDS * audio.RATE


def test_what_a_model_left_nothing_of_stays_quiet(wav):
    """Catches hiss that is made as loud as speech, and speech that is made as quiet as silence."""
    hiss = 1e-4 * np.random.default_rng(0).standard_normal(len(wav)).astype("float32")
    for quiet in (hiss, np.zeros_like(wav)):
        made = plays.levelled({"Before": 0.1 * wav, "After": quiet})
        assert np.array_equal(made["After"], quiet)
        assert audio.speech_level(made["Before"]) > audio.speech_level(0.5 * wav)
    assert not plays.compared({"Result": (audio.RATE, wav)})["visible"]


@pytest.fixture(scope="module")
def wide(tiny_root):
    """The tiny voices with a network for the band above."""
    torch.manual_seed(0)
    bundle = Bundle(tiny_root)
    card = dict(data="none", licence="Apache-2.0", budget="0 steps", figures={}, name="tiny-superres")
    bundle.put("superres", SuperRes(SuperResConfig(channels=8, layers=1)).eval(), card)
    return Voices(bundle)


def asked(voices, folder, clip, rate):
    """(path, picture, facts) of Speak at a rate."""
    function, *_ = speak.callbacks(voices, folder)
    given = ("One is here. Two is here.", str(clip), True, 0, 1.0, 0.1, rate, None)
    return function(*given, gr.Request(session_hash="a"), lambda *told, **more: None)


@pytest.mark.parametrize("rate", [24000, 48000])
def test_a_higher_rate_is_the_same_sound_marked(wide, clip, tmp_path, rate):
    """Catches a rate that is only written down, a mark that the new band loses, and another sound."""
    plain, _, told = asked(wide, tmp_path, clip, audio.RATE)
    path, _, facts = asked(wide, tmp_path, clip, rate)
    own, wav = audio.load(path)
    low = audio.load(plain)[1]
    assert own == rate and abs(len(wav) - len(low) * rate / audio.RATE) <= 2 * rate / audio.RATE
    down = audio.resample(wav, rate, audio.RATE)[: len(low)]
    assert np.corrcoef(down, low[: len(down)])[0, 1] > 0.9  # untrained nets hiss up to 8 kHz, where soxr cuts
    assert watermark.detect(path).found, "what leaves is marked"
    assert f"{rate // 1000} kHz" in facts and "tiny-superres" in facts and "kHz" not in told


def test_the_sentences_have_the_rate_of_the_result(wide, clip, tmp_path):
    """Catches a player that plays another sound than the one that is downloaded."""
    _, on_page, _ = speak.callbacks(wide, tmp_path)
    given = ("One is here. Two is here.", str(clip), True, 0, 1.0, 0.1, 24000, None, None, None)
    *pieces, last = on_page(*given, gr.Request(session_hash="a"), lambda *told, **more: None)
    sounds = [audio.load(base64.b64decode(sound.partition(",")[2])) for sound in pieces[-1][0]["sounds"]]
    assert [rate for rate, _ in sounds] == [24000, 24000]
    assert sum(len(wav) for _, wav in sounds) == len(audio.load(last[1])[1])


def test_the_result_beside_its_voice_is_the_one_that_is_saved(wide, clip, tmp_path):
    """Catches a button that plays a sound without its mark; a voice without a clip has no such buttons."""
    path, *_ = asked(wide, tmp_path, clip, audio.RATE)
    update = speak.compared(audio.load(clip), path)
    voice, result = update["value"]
    assert update["visible"] and watermark.detect(decoded(result)).found
    assert not watermark.detect(decoded(voice)).found, "the visitor's own clip was not made here"
    assert not speak.compared(np.eye(16)[0], path)["visible"]


def test_without_its_model_there_is_one_rate(tiny_voices, wide):
    """Catches a choice that cannot be served, and numbers that no rate is."""
    for voices, rate in ((tiny_voices, 24000), (wide, 22050), (wide, None), (wide, True), (wide, "24000")):
        with pytest.raises(visitor.WrongField, match=f"{rates.NAME}: "):
            rates.check(voices, rate)
    assert rates.check(wide, 24000.0) == 24000 and rates.check(tiny_voices, 16000) == 16000
    for voices in (tiny_voices, wide):
        with gr.Blocks() as page:
            speak.build(context.Context(voices, None, gr.State()))
        fields = [b for b in page.blocks.values() if isinstance(b, gr.Radio) and b.label == rates.NAME]
        assert [field.visible for field in fields] == [voices is wide]
