"""What the door of the app refuses (lib/tabs/door.py); what is checked behind it (lib/tabs/visitor.py)."""

import concurrent.futures
import os
import resource
import threading
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from conftest import PATIENT, ask, until
from gradio_client import Client, handle_file

from lib import audio
from lib.tabs import context, door, visitor
from lib.voices.speech import TURNS, Speech

TIMEOUT = 120  # s: a test that hangs says so
WORDS = "The ferry leaves at noon, so pack your lunch."


def call(url, data, **more):
    """The response to a request for /speak."""
    return httpx.post(f"{url}gradio_api/call/speak", timeout=30, **({"json": {"data": data}} | more))


@pytest.mark.parametrize(
    "host, status",
    [
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evilhf.space", 421),
        ("", 421),
        ("[", 421),
        ("localhost:7860", 200),
        ("127.0.0.1", 200),
        ("192.168.1.5:7860", 200),
        ("[::1]:80", 200),
        ("someone-atlas.hf.space", 200),
        ("0123abc.gradio.live", 200),
    ],
)
def test_only_own_names_are_answered(server, host, status):
    """DNS rebinding: a page of evil.example whose name leads to this machine must not read it."""
    assert httpx.get(f"{server[0]}config", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    "origin, host, status",
    [
        ("http://evil.example", "localhost", 403),
        ("null", "localhost", 403),
        ("http://6.6.6.6", "localhost", 403),
        ("https://evil.gradio.live", "localhost", 403),
        ("https://evil.hf.space", "mine.hf.space", 403),
        ("http://localhost:7860", "localhost:7860", 200),
        ("http://127.0.0.1:1", "localhost:1", 200),
        ("https://mine.hf.space", "mine.hf.space", 200),
        ("https://mine.gradio.live", "mine.gradio.live", 200),
    ],
)
def test_pages_of_other_sites_may_not_ask(server, origin, host, status):
    """A page that a visitor has open beside the app cannot make it work for it, nor upload into it."""
    headers = {"origin": origin, "host": host}
    assert call(server[0], [WORDS, None, True, 0, 1, 0.3], headers=headers).status_code == status
    upload = httpx.post(f"{server[0]}gradio_api/upload", files={"files": ("a.wav", b"0")}, headers=headers)
    assert upload.status_code == status


def test_names_are_added_by_who_runs_it(monkeypatch):
    """Catches a name with another case or blanks that is not taken, and an empty one that is."""
    monkeypatch.setenv("VOICE_ATLAS_HOSTS", " Voices.Example.org ,, atlas")
    names = door.own_hosts("0.0.0.0")
    assert {"voices.example.org", "atlas", "localhost"} <= names and "" not in names


@pytest.mark.parametrize(
    "path",
    [
        "file=http://127.0.0.1:{port}/config",
        "file=https://example.org/a.png",
        "file=HTTPS:/example.org",
        "file/http://example.org/a",
        "proxy=https://example.org/",
        "process_recording",
        "component_server",
        "vibe-code/",
        "call/report",
        "call/press",
        "call/get",
        "call/v2/receive",
    ],
)
def test_doors_that_lead_elsewhere_are_closed(server, path):
    """No proxy to other hosts, no ffmpeg, no private function by its name."""
    address = f"{server[0]}gradio_api/{path.format(port=server[0].rsplit(':')[-1].strip('/'))}"
    for response in (httpx.get(address), httpx.post(address, json={"data": []})):
        assert response.status_code in (403, 404, 405) and "detail" in response.json(), response.text
    assert httpx.post(address, json={"data": []}).status_code in (403, 404)


@pytest.mark.parametrize(
    "value",
    [
        {"path": "https://example.org/a.wav", "meta": {"_type": "gradio.FileData"}},
        {"path": "HTTP://example.org/a.wav", "meta": {"_type": "gradio.FileData"}, "is_stream": True},
        {"deep": [{"path": "ftp://example.org/a.wav"}]},
    ],
)
def test_a_clip_is_uploaded_and_never_fetched(server, value):
    """An address in place of a clip, or hidden in another field, is refused before it is looked up."""
    for data in ([WORDS, value, True, 0, 1, 0.3], [value, None, True, 0, 1, 0.3]):
        response = call(server[0], data)
        assert response.status_code == 403 and "must be uploaded" in response.json()["detail"]


@pytest.mark.parametrize(
    "body, status, words",
    [
        (b'{"data": ["a", null, true, NaN, 1, 0.3]}', 422, "NaN is no number"),
        (b'{"data": ["a", null, true, 0, -Infinity, 0.3]}', 422, "Infinity is no number"),
        (b'{"data": ["\\ud800", null, true, 0, 1, 0.3]}', 422, "half a character"),
        (b'{"data": [', 400, "no JSON"),
        (b"[" * 100_000, 400, "no JSON"),
        (b"\xff\xfe", 400, "no JSON"),
        (b'{"data": ["' + b"a" * 1_100_000 + b'"]}', 413, "over 1 MB"),
        (b'{"data": ["a", {"path": "a\\u0000.wav"}, true, 0, 1, 0.3]}', 422, "upload it again"),
        (b'{"data": ["a", {"path": 5}, true, 0, 1, 0.3]}', 422, "upload it again"),
        (b'{"data": [], "fn_index": 99999}', 404, "no function of this number"),
        (b'{"data": [], "fn_index": "1"}', 404, "no function of this number"),
        (b'{"data": [], "fn_index": [1]}', 404, "no function of this number"),
    ],
)
def test_odd_requests_get_a_plain_answer(server, body, status, words):
    """No number, half a character, no JSON, or too much of it: one sentence, and the app goes on."""
    response = call(server[0], None, content=body, headers={"content-type": "application/json"}, json=None)
    assert response.status_code == status and words in response.json()["detail"]
    assert httpx.get(server[0]).status_code == 200


def test_many_files_at_once_are_refused(server):
    """Files under the limit each, over it together."""
    files = [("files", (f"{i}.wav", b"0" * 9_000_000)) for i in range(4)]
    assert httpx.post(f"{server[0]}gradio_api/upload", files=files, timeout=60).status_code == 413


def test_headers_keep_the_page_to_itself(server):
    """Every answer, refusals included, forbids frames of other sites, foreign scripts and guessed types."""
    for headers in ({}, {"host": "evil.example"}):
        answer = httpx.get(server[0], headers=headers).headers
        assert answer["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'self'" in answer["content-security-policy"]
        assert "http:" not in answer["content-security-policy"]


def light(demo, name):
    """Number of the first function of this name."""
    return next(number for number, block in demo.fns.items() if block.api_name == name)


def test_stop_examples_and_reports_pass_a_full_queue(server, monkeypatch):
    """With no place left in the queue, Speak is told so, and what answers at once still does."""
    url, demo, _ = server
    monkeypatch.setattr(demo._queue, "max_size", 0)
    assert call(url, [WORDS, None, True, 0, 1, 0.3]).status_code == 503
    for name, data in (("halted", []), ("call", [None, None]), ("get", ["Alder, deepest"])):
        body = {"fn_index": light(demo, name), "data": data, "session_hash": "x"}
        response = httpx.post(f"{url}gradio_api/run/predict", json=body)
        assert response.status_code == 200, (name, response.text)


class Held:
    """The turn of the voices, asked for at once by a thread of its own, held until `release`."""

    def __init__(self, had):
        self.has, self.end = threading.Event(), threading.Event()
        before = len(TURNS.waiting())
        self.thread = threading.Thread(target=self.hold, args=(had,))
        self.thread.start()
        until(lambda: self.has.is_set() or len(TURNS.waiting()) > before, "the turn is not asked for")

    def hold(self, had):
        """Wait for the turn, then for the end."""
        with TURNS.turn(had):
            self.has.set()
            self.end.wait()

    def release(self):
        """Give the turn back."""
        self.end.set()
        self.thread.join()


def test_a_short_request_is_not_stuck_behind_long_ones(server, clip, tmp_path):
    """Four visitors have said one sentence of eight each; who then asks for two words has them before any of
    them says the next.  The test holds the turn between, so that nothing depends on how fast anybody is."""

    def visit(words):
        client = Client(server[0], verbose=False, httpx_kwargs=PATIENT, download_files=tmp_path)
        return ask(client, clip, words)

    holds = [Held(0)]
    assert holds[0].has.wait(TIMEOUT)
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        try:
            long = [pool.submit(visit, "One more sentence is here. " * 8) for _ in range(4)]
            until(lambda: TURNS.waiting() == [0] * 4, "the long requests do not wait")
            holds.append(Held(1))
            holds[0].release()
            assert holds[1].has.wait(TIMEOUT)
            until(lambda: TURNS.waiting() == [1] * 4, "the long requests do not wait for a second sentence")
            short = pool.submit(visit, "Hello there.")
            until(lambda: TURNS.waiting() == [1] * 4 + [0], "the short request does not wait")
            holds.append(Held(0))
            holds[1].release()
            assert holds[2].has.wait(TIMEOUT)
            short.result(TIMEOUT)
            assert TURNS.waiting() == [1] * 4
        finally:
            for hold in holds:
                hold.release()
    for job in long:
        job.result(TIMEOUT)


def test_sixteen_visitors_at_once(server, clip, tiny_voices, tmp_path):
    """Half of them wait and are told their place; each gets, to the sample, what is made for nobody else."""
    settings = {"verbose": False, "httpx_kwargs": PATIENT, "download_files": tmp_path}
    clients = [Client(server[0], **settings) for _ in range(4)]
    hold = Held(0)
    assert hold.has.wait(TIMEOUT)
    try:
        jobs = []
        for i in range(16):
            asked = (f"Visitor number {i} speaks.", handle_file(str(clip)), True, i)
            jobs.append(clients[i % 4].submit(*asked, api_name="/speak"))
        places = set(range(16 - context.SPEAKERS_AT_ONCE))
        until(lambda: places == {job.status().rank for job in jobs} - {None}, "nobody is told a place")
    finally:
        hold.release()
    for i, job in enumerate(jobs):
        heard = audio.load(job.result(TIMEOUT)[0])[1]
        alone = tiny_voices.speak(f"Visitor number {i} speaks.", str(clip), seed=i)
        assert np.array_equal(heard, audio.load(alone.save(tmp_path / f"{i}.wav"))[1]), i


@pytest.mark.parametrize(
    "place",
    [
        "/etc/hostname",
        "http://example.org/a.wav",
        "up/../../outside.wav",
        "link.wav",
        7,
        None,
        "",
        ["up.wav"],
        ".",
    ],
)
def test_only_uploads_are_opened(tmp_path, place):
    """Files of the server are out of reach by path, by .. and by link."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    (tmp_path / "outside.wav").write_bytes(b"0")
    (folder / "up").mkdir()
    (folder / "link.wav").symlink_to(tmp_path / "outside.wav")
    inside = isinstance(place, str) and not place.startswith(("/", "http"))
    with pytest.raises(ValueError, match="not uploaded here"):
        visitor.clip(str(folder / place) if inside else place, folder)


def test_size_is_checked_before_anything_is_read(tmp_path):
    """A file of 10 GB (with nothing in it) is refused at once."""
    with open(tmp_path / "huge.wav", "wb") as file:
        file.truncate(10 * 2**30)
    with pytest.raises(ValueError, match="limit is 20 MB"):
        visitor.clip(tmp_path / "huge.wav", tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        "/etc/hostname",
        ["a"] * 4,
        [1.0] * 3,
        [float("nan")] * 4,
        [0.0] * 4,
        None,
        {"path": "/etc/hostname"},
        [[1.0]] * 4,
        b"RIFF",
        np.ones(4),
    ],
)
def test_a_voice_is_a_list_of_numbers(value):
    """Whatever else stands where a voice should be is neither opened nor embedded."""
    with pytest.raises(ValueError, match="4 finite numbers"):
        visitor.vector(value, 4)
    assert visitor.vector([0, 1.5, -2, 0], 4).tolist() == [0, 1.5, -2, 0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", None, -0.1, 1.1])
def test_a_number_lies_within_its_limits(value):
    """NaN is neither below nor above anything: only what lies between passes."""
    with pytest.raises(ValueError, match="Share: .* out of range|Share: it is empty"):
        visitor.number(value, "Share", 0, 1)
    with pytest.raises(ValueError, match="Seed"):
        visitor.seed(value)


def test_spoken_length_is_known_before(tiny_voices, clip):
    """The estimate is right within a third for plain text, and for text that says much with few letters."""
    from lib.voices import Voices

    voices = Voices.load(Path(__file__).parent.parent / "assets" / "checkpoints")
    for words in (WORDS * 4, "½ " * 20, "Yes. No. Yes. No. Perhaps.", "Wait. [pause 3] Now."):
        seconds = len(voices.speak(words, str(clip)).wav) / audio.RATE
        assert 0.67 < visitor.spoken_seconds(words) / seconds < 1.5, (words, seconds)


def test_a_full_disk_gets_a_message(tmp_path):
    """Neither a folder that cannot be made nor a file that cannot be finished is a mere "Error"."""
    speech = Speech(audio.RATE, np.zeros(audio.RATE, "float32"))
    save = visitor.answering(visitor.save)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(gr.Error, match="full or read-only"):
        save(speech, tmp_path / "file" / "folder")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(gr.Error, match="full or read-only"):
            save(speech, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.path.getsize(save(speech, tmp_path)) > 2 * audio.RATE
