"""The tab Atlas on the real server with small untrained weights and a small atlas.  Imports umap."""

import concurrent.futures
import inspect
import json
import re
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from conftest import PATIENT, answers, as_file, free_port
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from lib import audio, training
from lib.tabs import chart, history, said
from lib.tabs import desk as tab
from lib.voices import maps

WORDS = "The ferry leaves at noon."
SPOKEN_BY_A_MACHINE = range(8, 15)  # of the corpus's dots, 0 to 29; the others of them are real people
CARD = dict(data="none", licence="CC0", budget="none", figures={"points": 60})


@pytest.fixture(scope="module")
def folder(tiny_voices, wav, tmp_path_factory):
    """A small atlas of the tiny encoder, as lesson 10 writes it: 60 points, a clip of its own length each."""
    folder, rng = tmp_path_factory.mktemp("atlas"), np.random.default_rng(0)
    emb = rng.standard_normal((60, 16)) + tiny_voices.embed((audio.RATE, wav)) * 3
    emb /= np.linalg.norm(emb, axis=1, keepdims=True)
    points, clips = [], []
    for i in range(60):
        kind = maps.KINDS[i // 15]
        about = "<b>a test</b>, Kokoro-82M" if i in SPOKEN_BY_A_MACHINE else "<b>a test</b>"
        parents = (0, 1) if kind == "interpolated" else ()
        points.append(dict(name=f"dot {i:02d}", kind=kind, about=about, parents=parents))
        audio.save(folder / "clip.mp3", audio.RATE, wav[: audio.RATE + 300 * i])
        clips.append((folder / "clip.mp3").read_bytes())
    made = maps.Atlas.make(points, emb, clips, tiny_voices.encoder)
    training.save(folder, made, made.config, CARD, half=False)
    return folder


@pytest.fixture(scope="module")
def running(tiny_voices, folder, desk, tmp_path_factory):
    """(url, gr.Blocks) of the app around that atlas; `desk` has compiled umap before."""
    import app

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        demo = app.build(tiny_voices, folder)
        _, url, _ = app.serve(demo, prevent_thread_lock=True, server_port=free_port(), quiet=True)
        yield url, demo
        demo.close()


@pytest.fixture(scope="module")
def desk(tiny_voices, folder, tmp_path_factory):
    """What the server's callbacks belong to, with UMAP ready."""
    made, _ = maps.Atlas.load(folder)
    made.warm().join()
    return tab.Desk(tiny_voices, made, tmp_path_factory.mktemp("desk"))


@pytest.fixture
def guest(running, tmp_path):
    """A gradio_client of its own."""
    return Client(running[0], verbose=False, httpx_kwargs=PATIENT, download_files=tmp_path)


def file_of(answer):
    """What the voice file among an answer's parts holds."""
    return json.loads(Path(next(part for part in answer if str(part).endswith(".json"))).read_text())


def sound_of(answer):
    return audio.load(next(part for part in answer if str(part).endswith(".wav")))


def facts_of(answer):
    """The Markdown among an answer's parts."""
    return next(part for part in answer if "Nearest voices" in str(part))


def test_three_functions_are_public(guest):
    """place, mix and speak_at_point, beside /speak; no function of the tab goes by another name."""
    api = guest.view_api(return_format="dict")["named_endpoints"]
    assert {"/speak", "/place", "/mix", "/speak_at_point"} <= set(api)
    assert not {"/pick", "/hold", "/load", "/send", "/turn"} & set(api)
    names = {door: [p["parameter_name"] for p in api[door]["parameters"]] for door in api}
    assert names["/place"] == ["clip", "consent", "two", "method"]
    assert names["/speak_at_point"] == ["words", "point", "method", "allowed"]
    assert names["/mix"] == ["one", "two", "share", "noise", "draw", "words", "method", "allowed"]


def test_a_point_speaks_as_the_library_does(guest, desk, tiny_voices):
    answer = guest.predict(WORDS, "dot 07", "PCA", True, api_name="/speak_at_point")
    expected = as_file(tiny_voices.speak(WORDS, desk.emb[7]))
    np.testing.assert_allclose(sound_of(answer)[1], expected, atol=2e-4)
    near = np.argsort(-(desk.emb[:30] @ desk.emb[7]))[1:6]
    said = re.search(r"true cosine: (.*)", facts_of(answer))[1].split(", ")
    assert said == [f"dot {i:02d} {desk.emb[i] @ desk.emb[7]:.2f}" for i in near]
    assert "tiny-tts" in facts_of(answer)


def test_a_clip_is_placed_by_its_voice(guest, clip, tiny_voices, desk):
    """The neighbours are those of the clip's embedding, which is all that the voice file holds."""
    answer = guest.predict(handle_file(str(clip)), True, "dot 01", "PCA", api_name="/place")
    voice, spk_emb = file_of(answer), tiny_voices.embed(str(clip))
    np.testing.assert_allclose(voice["spk_emb"], spk_emb, atol=1e-5)
    assert set(voice) == {"what", "name", "encoder", "spk_emb"} and voice["encoder"] == training.fingerprint(
        tiny_voices.encoder
    )
    assert f"dot {np.argmax(desk.emb[:30] @ spk_emb):02d} " in facts_of(answer)
    spoken = guest.predict(WORDS, "my voice", "PCA", api_name="/speak_at_point")
    np.testing.assert_allclose(sound_of(spoken)[1], as_file(tiny_voices.speak(WORDS, spk_emb)), atol=2e-4)


def test_a_mixture_is_latent_filling_by_hand(guest, desk, tiny_voices):
    """Share 0 and 1 are the ends, noise leaves them, and the path is drawn from one to the other."""

    def mix(share, noise=0.0, draw=1):
        return guest.predict("dot 10", "dot 44", share, noise, draw, WORDS, "PCA", api_name="/mix")

    start, middle, far = mix(0.0), mix(0.5), mix(0.5, 1.0)
    np.testing.assert_allclose(file_of(start)["spk_emb"], desk.emb[10], atol=1e-5)
    between = desk.emb[10] + desk.emb[44]
    np.testing.assert_allclose(file_of(middle)["spk_emb"], between / np.linalg.norm(between), atol=1e-5)
    assert np.dot(file_of(middle)["spk_emb"], file_of(far)["spk_emb"]) < 0.95
    assert (
        file_of(far)["spk_emb"] == file_of(mix(0.5, 1.0))["spk_emb"] != file_of(mix(0.5, 1.0, 2))["spk_emb"]
    )
    np.testing.assert_allclose(sound_of(middle)[1], as_file(tiny_voices.speak(WORDS, between)), atol=2e-4)
    assert middle[1]["name"] == tab.MIXED and len(middle[1]["neighbours"]) == tab.NEIGHBOURS
    own = desk.mixture("dot 10", "dot 44", 0.5, 0.0, 1, None, False)
    drawn = desk.overlay(tab.MIXED, "dot 10", "dot 44", "PCA", own)
    path = np.array(
        [pair.split(",") for pair in re.search(r'line path" points="([^"]+)"', str(drawn))[1].split()], float
    )
    ends = desk.chart.scale(desk.chart.xy["PCA"][[10, 44]], "PCA")
    np.testing.assert_allclose(path[[0, -1]], ends, atol=0.06)


@pytest.mark.parametrize(
    "door, given, said",
    [
        ("/mix", ("dot 01", "dot 02", 1.5, 0.0, 1, WORDS, "PCA"), "From A to B: 1.5 is out of range"),
        ("/mix", ("dot 01", "dot 02", 0.5, 9.0, 1, WORDS, "PCA"), "Noise: 9.0 is out of range"),
        ("/mix", ("dot 01", "my voice", 0.5, 0.0, 1, WORDS, "PCA"), "B: there is no my voice yet"),
        ("/mix", ("dot 99", "dot 01", 0.5, 0.0, 1, WORDS, "PCA"), "A: .*dot 99"),
        ("/mix", ("dot 10", "dot 11", 0.5, 0.0, 1, " ", "PCA"), "Your own sentence: There is no text"),
        ("/mix", ("dot 10", "dot 11", 0.5, 0.0, 1, WORDS, "t-SNE"), "Map: 't-SNE' is none of UMAP, PCA"),
        ("/speak_at_point", (WORDS, "the mixture", "PCA"), "no the mixture yet"),
        ("/speak_at_point", ("a " * 501, "dot 10", "PCA"), "1,000"),
        ("/speak_at_point", ("½" * 1000, "dot 10", "PCA"), "limit is 90 s"),
        ("/place", (None, True, "dot 01", "PCA"), "no voice to borrow"),
    ],
)
def test_bad_requests_are_refused(guest, door, given, said):
    with pytest.raises(AppError, match=said):
        guest.predict(*given, api_name=door)


@pytest.mark.parametrize("consent", [False, None, "yes"])
def test_no_consent_no_place(guest, clip, consent):
    with pytest.raises(AppError, match="consent"):
        guest.predict(handle_file(str(clip)), consent, "dot 01", "PCA", api_name="/place")


def bad_files(good):
    """{fault: (bytes, what the message must say)} of voice files."""

    def changed(**more):
        return json.dumps(good | more).encode()

    D = len(good["spk_emb"])
    return {
        "empty": (b"", "no voice file"),
        "not JSON": (b"\x89PNG\r\n" * 9, "no voice file"),
        "a list": (b"[1, 2]", "no voice file"),
        "no embedding": (json.dumps({"encoder": good["encoder"]}).encode(), "no voice file"),
        "words": (changed(spk_emb=["a"] * D), "no voice file"),
        "ragged": (changed(spk_emb=[[1.0], [1.0, 2.0]]), "no voice file"),
        "deep": (b"[" * 50_000, "no voice file"),
        "another encoder": (changed(encoder="0" * 16), "another encoder"),
        "short": (changed(spk_emb=good["spk_emb"][:-1]), "finite numbers"),
        "zero": (changed(spk_emb=[0.0] * D), "length 1"),
        "long": (changed(spk_emb=[2 * v for v in good["spk_emb"]]), "length 1"),
        "NaN": (changed(spk_emb=[float("nan")] * D), "finite"),
        "infinite": (changed(spk_emb=[1e999] * D), "finite"),
        "nested": (changed(spk_emb=[good["spk_emb"]]), "finite numbers"),
        "huge": (changed(more="x" * 200_000), "less than 100 kB"),
    }


@pytest.mark.parametrize("words", [(), (True,)])
def test_real_people_are_asked_first(guest, words):
    """No person's voice says what a stranger types without consent; a virtual voice needs none."""
    asks = [
        (("dot 07",), "/speak_at_point"),
        (("dot 29",), "/speak_at_point"),
        (("dot 10", "dot 07"), "/mix"),
    ]
    for names, door in asks:
        given = (WORDS, *names, "PCA") if door == "/speak_at_point" else (*names, 0.5, 0.0, 1, WORDS, "PCA")
        if words:
            assert sound_of(guest.predict(*given, *words, api_name=door))
        else:
            with pytest.raises(AppError, match="Consent: the consent box is not ticked.*may be somebody's"):
                guest.predict(*given, api_name=door)
    for name in ("dot 10", "dot 40", "dot 50"):
        assert sound_of(guest.predict(WORDS, name, "PCA", *words, api_name="/speak_at_point"))


def test_only_voices_that_nobody_has_are_downloaded(desk):
    """A real person's numbers leave the server neither as such nor as the end of a mixture."""
    buttons = {
        name: desk.scene(name, "dot 10", "dot 11", "PCA", None)[2]
        for name in ("dot 07", "dot 20", "dot 10", "dot 40")
    }
    assert [bool(button.value) for button in buttons.values()] == [False, False, True, True]
    own, *_, file = desk.mix("dot 07", "dot 10", 0.01, 0.0, 1, WORDS, "PCA", None, True)
    assert file is None and desk.is_person(tab.MIXED, own)
    own, *_, file = desk.mix(tab.MIXED, "dot 10", 0.5, 0.0, 1, WORDS, "PCA", own, True)
    assert file is None and "cannot be downloaded" in desk.facts(tab.MIXED, "PCA", own)
    own, _, _, *_, button = desk.mix_on_page("dot 07", "dot 10", 0.5, 0.0, 1, WORDS, "PCA", None, True)
    assert not button.value
    with pytest.raises(ValueError, match="Consent: "):
        desk.speak_at_point(WORDS, tab.MIXED, "PCA", own)


def test_a_voice_file_comes_back_and_a_bad_one_is_refused(desk, tmp_path):
    *_, button = desk.scene("dot 10", "dot 01", "dot 02", "PCA", None)
    good = json.loads(
        Path(button.value["path"] if isinstance(button.value, dict) else button.value).read_text()
    )
    path = desk.folder / "voice.json"
    path.write_text(json.dumps(good))
    own, name, *_ = desk.load(str(path), True, "dot 02", "PCA", None)
    assert name == tab.LOADED
    np.testing.assert_allclose(own[name]["spk_emb"], desk.emb[10], atol=1e-5)
    (tmp_path / "elsewhere.json").write_text(json.dumps(good))
    with pytest.raises(ValueError, match="Voice file: .*not uploaded"):
        desk.load(str(tmp_path / "elsewhere.json"), True, "dot 02", "PCA", None)
    with pytest.raises(ValueError, match="Consent: "):
        desk.load(str(path), False, "dot 02", "PCA", None)
    for fault, (data, words) in bad_files(good).items():
        path.write_bytes(data)
        with pytest.raises(ValueError) as caught:  # noqa: PT011  looked at below
            desk.load(str(path), True, "dot 02", "PCA", None)
        assert re.search(words, str(caught.value)), (fault, str(caught.value))


def event(index):
    return gr.EventData(None, {"index": index})


def test_a_click_gives_the_clip_of_that_point(desk, folder):
    """The clip is shipped, not spoken on the spot; the last two dots become the ends A and B."""
    name, one, two, sound, overlay, facts, _ = desk.pick("dot 01", "dot 02", "PCA", None, event(33))
    assert (name, one, two) == ("dot 33", "dot 02", "dot 33")
    shipped, heard = audio.load(desk.atlas.clip(33))[1], audio.load(sound)[1]
    assert len(heard) == len(shipped) and np.corrcoef(heard, shipped)[0, 1] > 0.97
    assert audio.watermark.detect(sound).found
    assert abs(len(heard) - (audio.RATE + 300 * 33)) < 0.15 * audio.RATE
    assert "made of dot 00 and dot 01" in facts and overlay.count("<polyline") == 3
    for wrong in (-1, 60, None, "3", 1.5):
        with pytest.raises(ValueError, match="no dot"):
            desk.pick("dot 01", "dot 02", "PCA", None, event(wrong))
    with pytest.raises(ValueError, match="no dot"):
        desk.pick("dot 01", "dot 02", "PCA", None, gr.EventData(None, None))


def test_the_map_says_who_is_where_and_trusts_no_label(desk):
    """Every point is drawn once inside the picture, and what is written in an atlas is no HTML."""
    for method in ("UMAP", "PCA"):
        svg = desk.chart.base(method)
        xy = np.array(re.findall(r'x="([\d.]+)" y="([\d.]+)"', svg), float)
        assert (
            len(xy) == svg.count("<title>") == 60
            and (xy > 0).all()
            and (xy < [chart.WIDTH, chart.HEIGHT]).all()
        )
        assert "<b>" not in svg and "&lt;b&gt;a test" in svg
        assert (
            len({re.search(rf'id="look-{i}" d="([^"]+)" fill="([^"]+)"', svg).groups() for i in range(4)})
            == 4
        )


def test_umap_places_what_is_brought(desk, clip):
    """A shipped voice brought from outside lands in its own dot's neighbourhood."""
    own = desk.brought(tab.MINE, desk.emb[20], None)
    away = np.linalg.norm(desk.chart.xy["UMAP"] - desk.where(tab.MINE, "UMAP", own), axis=1)
    assert away[20] < np.quantile(
        away, 0.75
    )  # these dots have no neighbourhoods to speak of: test_maps.py has the strict test
    overlay, facts, _ = desk.scene(tab.MINE, "dot 01", "dot 02", "UMAP", own)
    assert "my voice" in overlay and "Not on this map" not in facts


def test_before_umap_is_warm_the_neighbours_are_right(tiny_voices, folder, tmp_path):
    cold = tab.Desk(tiny_voices, maps.Atlas.load(folder)[0], tmp_path)
    own = cold.brought(tab.MINE, cold.emb[20], None)
    overlay, facts, _ = cold.scene(tab.MINE, "dot 01", "dot 02", "UMAP", own)
    assert "Not on this map yet" in facts and "dot 20 1.00" in facts and "my voice" not in overlay


def test_a_voice_is_sent_to_speak(desk):
    voice, tabs = desk.send("dot 09", None)
    np.testing.assert_allclose(voice["spk_emb"], desk.emb[9])
    assert voice["name"] == "dot 09" and tabs.selected == "speak"
    assert not voice["person"] or desk.is_person("dot 09", None)
    assert desk.send("dot 07", None)[0]["person"] is True and desk.send("dot 10", None)[0]["person"] is False
    brought = desk.brought(tab.MINE, desk.emb[3], None)
    assert desk.send(tab.MINE, brought)[0]["person"] is True
    with pytest.raises(ValueError, match="no voice in hand"):
        desk.send(None, None)


def test_a_page_is_told_of_what_is_sent(running):
    """Gradio tells a page by the queue only that a state has changed: else nobody notices a sent voice."""
    functions = running[1].fns.values()
    watched = {block for function in functions for block, event in function.targets if event == "change"}
    watched = {block for block in watched if isinstance(running[1].blocks[block], gr.State)}
    senders = [function for function in functions if watched & {part._id for part in function.outputs}]
    assert watched and senders and all(function.queue for function in senders)


def test_a_voice_sent_along_is_placed_and_an_own_one_is_not(desk):
    """What Extract took out of a mixture appears on the map; a dot sent to Speak does not appear twice."""
    sent = {"name": "Voice 1 of a mixture", "spk_emb": desk.emb[7].tolist()}
    own, name, one, two, _, picture, facts, _ = desk.receive(sent, "dot 03", "UMAP", None)
    assert name == two == tab.SENT and one == "dot 03"
    assert "dot 07 1.00" in facts and "voice sent here" in picture.value
    assert own[tab.SENT]["brought"] is True
    assert picture.props["base"] == desk.chart.base("UMAP"), "an update without the dots would lose them"
    np.testing.assert_allclose(own[tab.SENT]["spk_emb"], desk.emb[7], atol=1e-6)
    for nothing in (None, {"name": "dot 09"}, {"name": tab.MIXED}):
        assert all(update == gr.skip() for update in desk.receive(nothing, "dot 03", "UMAP", None))
    for bad in ([0.0] * len(sent["spk_emb"]), "/etc/hostname", [float("nan")] * len(sent["spk_emb"])):
        with pytest.raises(ValueError, match="finite numbers"):
            desk.receive(sent | {"spk_emb": bad}, "dot 03", "UMAP", None)


def test_a_placed_voice_plays_and_comes_into_view(desk, wav):
    """Catches a button after which nothing is heard, and a map that stays out of sight."""
    audio.save(desk.folder / "mine.wav", audio.RATE, wav)
    clip = str(desk.folder / "mine.wav")
    answers = [desk.place_on_page(clip, True, "dot 03", "PCA", None) for _ in range(2)]
    own, name, one, two, sound, picture, facts, _ = answers[0]
    assert name == two == tab.MINE and one == "dot 03" and "Nearest voices" in facts
    assert len(audio.load(sound)[1]) > audio.RATE and "my voice" in picture.value
    assert picture.props["shown"] != answers[1][5].props["shown"], "the page scrolls when this changes"
    with pytest.raises(ValueError, match="Voice to place: "):
        desk.place_on_page(None, True, "dot 03", "PCA", None)
    with pytest.raises(ValueError, match="Consent: "):
        desk.place_on_page(str(desk.folder / "mine.wav"), False, "dot 03", "PCA", None)


def test_a_visit_keeps_what_voices_said(desk, wav):
    """Catches a mixture that comes back as the latest one, without its settings, or as nobody's, and a voice
    brought since that is lost."""
    told = said.Said(desk)
    audio.save(desk.folder / "mine.wav", audio.RATE, wav)
    *_, kept, _, _, _ = told.speak_at_point("One.", "dot 10", "PCA", None, False, None)
    mixed = ("dot 07", "dot 10", 0.3, 0.5, 4)
    own, _, _, *_, kept, _, _, _ = told.mix_on_page(*mixed, "Two.", "PCA", None, True, kept)
    later = ("dot 10", "dot 40", 0.5, 0.0, 1)
    own, _, _, *_, kept, _, _, _ = told.mix_on_page(*later, "Three.", "PCA", own, False, kept)
    clip = str(desk.folder / "mine.wav")
    own, *_, kept, box, choice, _ = told.place_on_page(clip, True, "dot 03", "PCA", own, kept)
    names = ["my voice: The kettle", "the mixture: Three.", "the mixture: Two.", "dot 10: One."]
    assert all(f"{4 - i}. {name}" in result.label for i, (name, result) in enumerate(zip(names, kept)))
    assert box.visible and len(choice.choices) == 4
    back, name, *rest = told.use(kept[2].label, kept, "dot 01", "dot 02", "PCA", own)
    assert (name, *rest[:6]) == ("the mixture", *mixed, "Two.") and set(back) == {tab.MIXED, tab.MINE}
    assert desk.is_person(name, back) and not desk.is_person(name, own)
    assert [(box["value"], box["visible"]) for box in rest[6:8]] == [(False, True), (False, True)]
    same, name, one, two, *rest = told.use(kept[3].label, kept, "dot 11", "dot 40", "PCA", own)
    assert same == own and (name, one, two, rest[3]) == ("dot 10", "dot 11", "dot 40", "One.")
    assert rest[:3] == [gr.skip()] * 3, "the sliders are of the last mixture, and stay"
    with pytest.raises(ValueError, match=history.TITLE):
        told.use("9. nobody", kept, "dot 01", "dot 02", "PCA", own)


def test_an_earlier_result_comes_back_to_the_page(running):
    """Catches what works outside of an event of gradio only: there a component knows its own properties."""
    url, demo = running
    functions = {fn.fn.__name__: fn for fn in demo.fns.values() if is_of_atlas(fn)}

    def ask(name, given):
        return answers(url, functions[name]._id, given, "again")[-1]["output"]["data"]

    made = ask("mix_on_page", ["dot 07", "dot 10", 0.25, 0.0, 2, WORDS, "PCA", None, True, None])
    label = f"1. the mixture: {WORDS}"
    assert label in str(made)
    ask("mix_on_page", ["dot 10", "dot 40", 0.5, 0.0, 1, "Another.", "PCA", None, True, None])
    back = ask("use", [label, None, "dot 10", "dot 40", "PCA", None])
    assert back[1:8] == ["the mixture", "dot 07", "dot 10", 0.25, 0.0, 2, WORDS]
    assert [(box["visible"], box["value"]) for box in back[8:10]] == [(True, False), (True, False)]


def is_of_atlas(function):
    """Whether a function works for the tab Atlas: it is one of a Desk or of what is around it."""
    owner = getattr(inspect.unwrap(function.fn), "__self__", None)
    return isinstance(owner, (tab.Desk, said.Said))


def test_a_box_is_there_where_a_real_person_speaks(desk):
    """Catches a box for nobody, and a person without one."""
    asked = {
        ("dot 07", "dot 10", "dot 11"): (True, False),
        ("dot 10", "dot 07", "dot 11"): (False, True),
        ("dot 10", "dot 11", "dot 07"): (False, True),
        (None, "dot 10", "dot 40"): (False, False),
    }
    for names, needed in asked.items():
        assert tuple(box.visible for box in desk.boxes(*names, None)) == needed
    assert not any(desk.is_person(name, None) for name in desk.virtual()) and len(desk.virtual()) > 2


def test_dots_are_described_in_plain_words():
    assert chart.about("not said, Kokoro-82M") == "a virtual voice, made with Kokoro-82M"
    assert chart.about("63 % of the way") == "63 % of the way between two voices"
    assert chart.about("woman, LibriSpeech") == "woman, LibriSpeech"


def test_two_visitors_at_once(running, tmp_path, wav):
    """Each hears and takes along the own voice, never the other's."""
    audio.save(tmp_path / "0.wav", audio.RATE, wav)
    audio.save(tmp_path / "1.wav", audio.RATE, audio.resample(wav, audio.RATE, 20000))

    def visit(number):
        guest = Client(running[0], verbose=False, httpx_kwargs=PATIENT, download_files=tmp_path)
        placed = guest.predict(
            handle_file(str(tmp_path / f"{number % 2}.wav")), True, "dot 01", "PCA", api_name="/place"
        )
        spoken = guest.predict(WORDS, "my voice", "PCA", api_name="/speak_at_point")
        return tuple(file_of(placed)["spk_emb"]), sound_of(spoken)[1].tobytes()

    alone = [visit(number) for number in range(2)]
    assert alone[0] != alone[1]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(visit, range(4))) == alone * 2
    stranger = Client(running[0], verbose=False, httpx_kwargs=PATIENT, download_files=tmp_path)
    with pytest.raises(AppError, match="no my voice yet"):
        stranger.predict(WORDS, "my voice", "PCA", api_name="/speak_at_point")


def test_a_map_of_another_encoder_is_not_shown(tiny_voices, tmp_path, folder):
    """Its dots would mean other voices: the tab says so and how to build it anew."""
    if maps.ATLAS.is_dir():  # made by lesson 10 at full budget
        assert "another encoder" in chart.opened(tiny_voices, maps.ATLAS)[2]
    assert "no map" in chart.opened(tiny_voices, tmp_path)[2]
    assert chart.opened(tiny_voices, folder)[2] == ""
