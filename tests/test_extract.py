"""The tab Extract on the real server, with a tiny untrained separation network."""

import base64
import re
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
import torch
from conftest import PATIENT, answers, as_file, free_port, uploaded
from gradio_client import Client, handle_file

from lib import audio
from lib.data import mixtures
from lib.models.attractor import AttractorConfig, SpeakerAttractor
from lib.tabs import context, history
from lib.tabs import extract as tab
from lib.voices import Voices

TINY = AttractorConfig(window=256, hop=128, D=6, channels=12, hidden=16, width=8, repeats=1, blocks=3)


@pytest.fixture(scope="module")
def voices(tiny_root):
    """The tiny voices with a separation network; those of the other tests stay without one."""
    torch.manual_seed(0)
    voices = Voices.load(tiny_root)
    card = {
        "name": "tiny-attractor",
        "data": "none",
        "licence": "CC0",
        "budget": "none",
        "figures": {"si_sdri_2": 0.1},
    }
    voices.bundle.put("attractor", SpeakerAttractor(TINY), card)
    return voices


@pytest.fixture(scope="module")
def mixture():
    """Path of the first bundled mixture."""
    return next(iter(tab.examples().values()))


@pytest.fixture(scope="module")
def url(voices, tmp_path_factory):
    import app

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        with gr.Blocks(analytics_enabled=False) as demo, gr.Tabs() as tabs, gr.Tab("Extract"):
            tab.build(context.Context(voices, tabs, gr.State()))
        _, url, _ = app.serve(demo, prevent_thread_lock=True, server_port=free_port(), quiet=True)
        yield url
        demo.close()


@pytest.fixture
def ask(url, tmp_path):
    """ask(mixture, second, people, consent): what /extract answers."""
    client = Client(url, verbose=False, httpx_kwargs=PATIENT, download_files=tmp_path)

    def ask(mixture, second=None, people="2", consent=True):
        clips = [clip and handle_file(str(clip)) for clip in (mixture, second)]
        return client.predict(*clips, people, consent, api_name="/extract")

    return ask


def test_library_takes_a_mixture_apart(voices, mixture):
    """Catches facts that are missing, a voice vector of the wrong kind, people who do not add up."""
    found = voices.extract(mixture, 3)
    wav = audio.prepare(mixture)
    assert len(found) == 3 and sum(speech.facts["share"] for speech in found) == pytest.approx(1, abs=1e-3)
    for speech in found:
        assert speech.rate == audio.RATE and len(speech.wav) == len(wav) and np.isfinite(speech.wav).all()
        assert speech.facts["spk_emb"].shape == (16,) and np.linalg.norm(
            speech.facts["spk_emb"]
        ) == pytest.approx(1, abs=1e-4)
        assert (
            speech.facts["attractor"].shape == (6,)
            and speech.facts["mask"].shape == speech.facts["level"].shape
        )
    np.testing.assert_allclose(sum(speech.facts["mask"] for speech in found), 1, atol=1e-5)
    assert 1 <= len(voices.extract(mixture)) <= 4
    assert len(voices.speak("Hello there.", found[0].facts["spk_emb"]).wav) > 1000


def test_without_the_network_there_is_a_remedy(tiny_voices, mixture):
    """Voices must load and speak without it; only extract refuses."""
    with pytest.raises(ValueError, match="lesson 02"):
        tiny_voices.extract(mixture)


def test_the_tab_gives_what_the_library_gives(ask, voices, mixture):
    """Pictures, players, facts and vectors are those of Voices.extract; other players stay empty."""
    image, *players, facts, numbers = ask(mixture, people="2", consent=False)  # nobody is to be asked
    found = voices.extract(mixture, 2)
    assert len(players) == 4 and players[2:] == [None, None] and len(numbers) == 2
    assert Path(image).read_bytes()[:4] == b"\x89PNG"
    name = Path(mixture).stem
    assert [f"{name}-voice-{i + 1}-" in Path(path).name for i, path in enumerate(players[:2])] == [True, True]
    for path, speech, vectors in zip(players, found, numbers):
        samples = audio.load(path)[1]
        np.testing.assert_allclose(samples, as_file(speech), atol=2e-3)
        np.testing.assert_allclose(vectors["spk_emb"], speech.facts["spk_emb"], atol=1e-4)
        np.testing.assert_allclose(vectors["attractor"], speech.facts["attractor"], atol=1e-4)
    for wanted in (
        r"2 voices\*\* asked for",
        r"Voice 1 \(orange\)\*\* \d+ %",
        "tiny-attractor",
        r"Real-time factor\*\* \d\.\d+",
    ):
        assert re.search(wanted, facts), (wanted, facts)


def test_two_clips_are_mixed(ask, wav, tmp_path):
    """The app's own mixture: the second clip is heard, and a shorter one is padded."""
    audio.save(tmp_path / "a.wav", audio.RATE, wav)
    audio.save(tmp_path / "b.wav", audio.RATE, wav[: len(wav) // 2][::-1].copy())
    rate, both = mixtures.mixed([str(tmp_path / "a.wav"), str(tmp_path / "b.wav")])
    assert rate == audio.RATE and len(both) == len(audio.prepare((rate, wav)))
    assert len(ask(tmp_path / "a.wav", tmp_path / "b.wav")[-1]) == 2


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("nothing", "no mixture"),
        ("silence", "silent"),
        ("half a second", "at least 1 s"),
        ("no consent", "Consent: the consent box"),
        ("no number", "How many people.: '7' is none of Tell me, 1, 2, 3, 4"),
    ],
)
def test_what_cannot_work_gets_a_message(ask, wav, tmp_path, kind, said):
    """The server refuses, whatever the page allows."""
    sound = {"silence": np.zeros(48_000, "float32"), "half a second": wav[4000:12_000]}.get(kind, wav)
    audio.save(tmp_path / "a.wav", audio.RATE, sound)
    mixture = None if kind == "nothing" else tmp_path / "a.wav"
    people = "7" if kind == "no number" else "2"
    with pytest.raises(Exception, match=said):
        ask(mixture, people=people, consent=kind != "no consent")


@pytest.mark.parametrize("kind", ["one person", "noise", "music", "60 s"])
def test_odd_recordings_get_a_sensible_answer(ask, wav, tmp_path, kind):
    """No error and no nan: something to hear, and a note where there is reason for one."""
    t = np.arange(4 * audio.RATE) / audio.RATE
    chords = sum(np.sin(2 * np.pi * 220 * k * t) * (np.floor(2 * t) % 3 + 1) for k in (1, 1.25, 1.5, 2))
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(t))
    sound = {"noise": noise, "music": 0.03 * chords, "60 s": np.resize(wav, 60 * audio.RATE)}
    audio.save(tmp_path / "a.wav", audio.RATE, sound.get(kind, wav).astype("float32"))
    facts, numbers = ask(tmp_path / "a.wav", people="Tell me")[-2:]
    assert 1 <= len(numbers) <= 4 and all(np.isfinite(v["spk_emb"]).all() for v in numbers)
    assert {"noise": "only noise", "60 s": "clean 30 s are used"}.get(kind, "found") in facts


def test_alike_voices_are_pointed_out(voices, mixture):
    """One person cut in two should not look like a discovery."""
    found = voices.extract(mixture, 2)
    found[1].facts["attractor"] = found[0].facts["attractor"]
    assert "perhaps fewer people" in tab.facts(voices, found, False, ())
    alone = voices.extract(mixture, 1)
    assert "**1 voice** found" in tab.facts(voices, alone, True, ())


def test_only_chosen_voices_speak(voices, mixture, tmp_path):
    """Speak and send take a voice from the visitor's state: consent, choice and vector are checked again."""
    _, _, speak, take = tab.callbacks(voices, tmp_path)
    own = [voices.extract(mixture, 1)[0].facts["spk_emb"].tolist()]
    fields = (mixture, None, None, "1")
    virtual = {"voices": own, "person": False, "fields": fields, "sounds": [mixture, None, None, None]}
    hand = virtual | {"person": True}
    for held, ticked in ((hand, True), (virtual, False)):
        path, pair, words, *_ = speak("Hello there.", held, tab.LABELS[0], ticked, ())
        assert len(audio.load(path)[1]) > 1000 and "s of speech" in words
        assert names(pair) == [f"Compare: {tab.LABELS[0].lower()}", "Compare: result"]
        assert Path(path).name.startswith("voice-atlas-voice-1-hello-there-")
    gone = virtual | {"sounds": [str(tmp_path / "forgotten.wav")]}
    assert not speak("Hello there.", gone, tab.LABELS[0], False, ())[1]["visible"]
    voice, tabs = take("atlas", hand, tab.LABELS[0], True)
    assert tabs.selected == "atlas" and voice["person"] is True
    assert take("atlas", virtual, tab.LABELS[0], False)[0]["person"] is False
    assert voice["spk_emb"] == pytest.approx(own[0], abs=1e-5) and voice["name"].startswith("Voice 1")
    for bad in ((hand, tab.LABELS[1], True), (None, tab.LABELS[0], True), (hand, None, True)):
        with pytest.raises(ValueError, match="Speak with: there is no voice yet"):
            take("speak", *bad)
    with pytest.raises(ValueError, match="Consent: "):
        speak("Hello there.", hand, tab.LABELS[0], False, ())
    for bad in ([0.0] * 16, mixture, [mixture] * 16, [float("inf")] * 16, [0.1] * 15, {"spk_emb": mixture}):
        with pytest.raises(ValueError, match="16 finite numbers"):
            speak("Hello there.", hand | {"voices": [bad]}, tab.LABELS[0], True, ())


def names(pair):
    """What the buttons of an update say."""
    return [button["label"] for button in pair["value"]]


def test_the_mixture_stands_beside_its_voices(voices, mixture):
    """Catches voices that cannot be compared with what they were taken from, and sounds of no mark."""
    _, on_page, *_ = tab.callbacks(voices, Path(mixture).parent)
    label = next(iter(tab.EXAMPLES))
    given = (mixture, None, "2", False, label, "Good morning.", None)
    answer = on_page(*given, lambda *told, **more: None)
    pair, hand = answer[5], answer[9]
    assert names(pair) == ["Compare: mixture", *(f"Compare: {name.lower()}" for name in tab.LABELS[:2])]
    played = [Path(player.value["path"]).name for player in answer[1:3]]
    assert [Path(path).name for path in hand["sounds"][:2]] == played
    lengths, found = [], []
    for button in pair["value"]:
        sound = base64.b64decode(button["sound"].partition(",")[2])
        lengths.append(len(audio.load(sound)[1]))
        found.append(audio.watermark.detect(sound).found)
    assert len(set(lengths)) == 1 and all(found[1:]), (lengths, found)


def test_what_the_page_sends_is_no_voice(url, voices, mixture):
    """After an extraction, a path in place of the vectors is not opened: they stay on the server."""
    client = Client(url, verbose=False, httpx_kwargs=PATIENT)
    functions = {row["api_name"]: row for row in client.config["dependencies"]}
    kinds = {row["id"]: row["type"] for row in client.config["components"]}
    assert "json" not in {kinds[part] for row in functions.values() for part in row["inputs"]}
    sent = uploaded(url, mixture)
    given = [sent, None, "2", False, None, "Good morning.", None]
    found = answers(url, functions["extract_on_page"]["id"], given, client.session_hash)
    assert found[-1]["success"]
    given = ["Hello there.", {"voices": ["/etc/hostname"], "person": False}, tab.LABELS[0], False, None]
    answer = answers(url, functions["speak"]["id"], given, client.session_hash)[-1]
    assert answer["success"]
    own = voices.extract(mixture, 2)[0].facts["spk_emb"]
    spoken = audio.load(answer["output"]["data"][0]["path"])[1]
    np.testing.assert_allclose(spoken, as_file(voices.speak("Hello there.", own)), atol=2e-4)


def test_a_visit_keeps_the_voices_and_what_they_said(url, mixture):
    """Catches a voice that cannot be heard again, settings that do not come back, and a button Forget that
    leaves a voice in hand."""
    client = Client(url, verbose=False, httpx_kwargs=PATIENT)
    functions = {row["api_name"]: row for row in client.config["dependencies"]}
    labels = {row["id"]: row["props"].get("label") for row in client.config["components"]}

    def ask(name, given):
        return answers(url, functions[name]["id"], given, client.session_hash)[-1]["output"]["data"]

    def listed(name, shown):
        at = [labels[part] for part in functions[name]["outputs"]].index(history.TITLE, 1)
        return [label for label, _ in shown[at + 1]["choices"]]

    sent, example = uploaded(url, mixture), next(iter(tab.EXAMPLES))
    ask("extract_on_page", [sent, None, "2", False, example, "Good morning.", None])
    shown = ask("speak", ["Good evening.", None, tab.LABELS[1], False, None])
    kept = listed("speak", shown)
    assert kept[0] == f"3. {tab.LABELS[1]}: Good evening." and len(kept) == 3
    for number, label, name in zip((2, 1), tab.LABELS, kept[1:]):
        assert name.startswith(f"{number}. {label} of {example[:20]}")
    for label, words in ((kept[0], "Good evening."), (kept[1], "Good morning.")):
        clip, choice, second, people, text, consent, *_ = ask("use", [label, None])
        assert clip["path"] == sent["path"] and (choice, second, people, text) == (example, None, "2", words)
        assert consent is False
    body = {"fn_index": functions["empty"]["id"], "data": [None], "session_hash": client.session_hash}
    emptied = httpx.post(f"{url}gradio_api/run/predict", json=body, timeout=120).json()["data"]
    assert not any(update.get("visible") for update in emptied if update)
    said = ask("speak", ["Good night.", None, None, False, None])
    assert "there is no voice yet" in str(said) and not Path(shown[0]["path"]).exists()


def test_examples_are_mixtures_of_what_they_say():
    """Three files of some seconds, each at a level that does not clip."""
    paths = tab.examples()
    assert list(paths) == list(tab.EXAMPLES)
    for path in paths.values():
        rate, samples = audio.load(path)
        assert rate == audio.RATE and 2 * rate < len(samples) < 30 * rate and 0.02 < np.abs(samples).max() < 1
