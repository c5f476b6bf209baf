"""The public functions: what the README shows runs against a live server with the shipped weights."""

import functools
import re
from pathlib import Path

import gradio as gr
import httpx
import pytest
from conftest import PATIENT, free_port
from gradio_client import Client

from lib import audio
from lib.data import corpus
from lib.voices import Voices, tune

ROOT = Path(__file__).parent.parent
SECTION = "## Use the app from a script"
WITHOUT_WEIGHTS = {"/clean": "enhancer", "/tune": "enhancer"}  # shown, and there where the model is
ADDRESS = "http://127.0.0.1:7860"  # that the README names


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(url, gr.Blocks, names of functions whose models are not there) of the app as it is shipped."""
    import app

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        patch.setattr(tune, "SENTENCES", 5)  # as the app does it, but shorter than its minute
        patch.setattr(tune, "Recipe", functools.partial(tune.Recipe, steps=2))
        voices = Voices.load()
        demo = app.build(voices)
        _, url, _ = app.serve(demo, prevent_thread_lock=True, server_port=free_port(), quiet=True)
        missing = {name for name, model in WITHOUT_WEIGHTS.items() if not voices.bundle.has(model)}
        yield url, demo, missing
        demo.close()


@pytest.fixture(scope="module")
def endpoints(server):
    """{name: what the API says about it}."""
    client = Client(server[0], verbose=False, httpx_kwargs=PATIENT)
    return client.view_api(return_format="dict", print_info=False)["named_endpoints"]


def snippets():
    """The blocks of Python in the README's section on scripts."""
    section = (ROOT / "README.md").read_text().split(SECTION)[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.S)


def called(code):
    """Names of the public functions that code calls."""
    return set(re.findall(r'api_name="(/\w+)"', code))


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    """A small set of sounds for the tab Listen, instead of the one that takes the app a minute to make."""
    rows = [row for row in corpus.rows() if row["speaker"] == "va-05"][:3]
    for row in rows:
        for system in ("recorded", "tts", "reference"):
            (tmp_path / "sounds" / system).mkdir(parents=True, exist_ok=True)
            audio.save(tmp_path / "sounds" / system / f"{row['id']}.wav", audio.RATE, corpus.wav(row))
    monkeypatch.setenv("VOICE_ATLAS_LISTEN", str(tmp_path / "sounds"))


def test_what_the_readme_shows_runs(server, endpoints, sounds, tmp_path, monkeypatch):
    """Catches a name, an order or a number of values that changed without the README."""
    rows = {row["speaker"]: row for row in corpus.rows()}
    for name, speaker in (("someone", "va-05"), ("another", "va-20")):
        audio.save(tmp_path / f"{name}.wav", audio.RATE, corpus.wav(rows[speaker]))
    monkeypatch.chdir(tmp_path)
    values = {}
    for code in snippets():
        if called(code) <= set(endpoints):
            exec(code.replace(ADDRESS, server[0]), values)
    for name in ("speech", "one", "two"):
        rate, wav = audio.load(values[name])
        assert rate == audio.RATE and len(wav) > rate / 2
    assert values["three"] is None and values["four"] is None and len(values["vectors"]) == 2
    for name in ("spectrogram", "spectrograms", "picture"):
        assert Path(values[name]).read_bytes()[:4] == b"\x89PNG"
    assert values["voice"]["name"] == "the mixture" and len(values["voice"]["place"]) == 2
    assert values["file"].endswith(".json")
    assert values["question"] is None and "recorded" in values["tally"]


def test_the_readme_shows_every_public_function(server, endpoints):
    """Catches a function that was added and not shown, or is shown and gone."""
    assert called("\n".join(snippets())) - server[2] == set(endpoints)


def test_every_field_has_a_name_and_a_description(endpoints):
    """Catches param_3, value_17 and a field that says nothing."""
    for door, told in endpoints.items():
        for field in told["parameters"]:
            assert re.fullmatch(r"[a-z_]+", field["parameter_name"]), (door, field)
            assert not field["parameter_name"].startswith("param_"), (door, field)
        for field in [*told["parameters"], *told["returns"]]:
            assert not re.match(r"(parameter|value)_\d", field["label"]), (door, field)
            assert len(field["python_type"]["description"]) > 8, (door, field["label"])
            assert "FileData" not in field["python_type"]["description"], (door, field["label"])


def test_functions_say_what_they_do(server):
    """Catches a page of the API that lists names only."""
    schema = httpx.get(f"{server[0]}gradio_api/openapi.json").json()
    calls = {path: told["post"] for path, told in schema["paths"].items() if "/call/v2/" in path}
    assert calls
    for path, call in calls.items():
        assert not call["summary"].startswith("Endpoint /"), path
        fields = call["requestBody"]["content"]["application/json"]["schema"]["properties"]
        assert all(field.get("description") for field in fields.values()), (path, fields)


def test_the_footer_leads_to_the_description(server):
    """Catches a footer without its link."""
    assert "api" in httpx.get(f"{server[0]}config").json()["footer_links"]


def test_answers_are_values(server):
    """Catches an update of the interface, or a picture in SVG, where a script waits for a value."""
    plain = (gr.Audio, gr.Image, gr.File, gr.JSON, gr.Textbox, gr.Number, gr.State)
    public = [fn for fn in server[1].fns.values() if fn.api_visibility == "public"]
    for fn in public:
        assert all(isinstance(block, plain) for block in fn.outputs), (fn.api_name, fn.outputs)
