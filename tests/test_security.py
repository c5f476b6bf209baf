"""The app as a stranger without manners meets it: bad input, other doors, other people's files."""

import asyncio
import concurrent.futures
import os
import re
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from conftest import OLD, PATIENT, answers, ask, encode, until, uploaded
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from lib import audio
from lib.data import corpus
from lib.tabs import scratch
from lib.tabs import speak as tab

ROOT, WORDS = Path(__file__).parent.parent, "The ferry leaves at noon, so pack your lunch."


def noise(wav):
    """As much white noise as there are samples in wav [T]."""
    return 0.1 * np.random.default_rng(0).standard_normal(len(wav)).astype("float32")


def bad_clips(wav):
    """{what is wrong: (bytes of the upload, what the message must say)}."""
    speech = {
        "wav": encode(wav, 16000, 1, "WAV", "PCM_16"),
        "flac": encode(wav, 44100, 2, "FLAC", "PCM_16"),
        "mp3": encode(wav, 44100, 1, "MP3", "MPEG_LAYER_III"),
        "ogg": encode(wav, 48000, 1, "OGG", "OPUS"),
    }
    cut = {f"cut {kind}": (data[: len(data) * 6 // 10], "cut off.*again") for kind, data in speech.items()}
    return cut | {
        "under 1 s": (encode(wav[8000:16000], 16000, 1, "WAV", "PCM_16"), r"0\.\d s of sound.*at least 1 s"),
        "noise": (encode(noise(wav), 16000, 1, "WAV", "PCM_16"), "No voice found, only noise"),
        "silent": (encode(0 * wav, 16000, 1, "WAV", "PCM_16"), "silent.*record"),
        "not audio": (b"Dear sir or madam, this is no sound. " * 99, "choose a wav, flac, mp3, ogg"),
        "only a header": (speech["wav"][:30], "choose a wav, flac, mp3, ogg"),
        "header without samples": (encode(wav[:0], 16000, 1, "WAV", "PCM_16"), "no sound.*again"),
        "0 bytes": (b"", "0 bytes.*again"),
    }


def test_bad_clips_are_refused_with_a_remedy(server, say, wav, tmp_path):
    """Every clip that cannot be used gets a message naming fault and remedy, instead of any speech."""
    before = set(server[2].glob("voice-atlas-*"))
    for fault, (data, message) in bad_clips(wav).items():
        path = tmp_path / f"{fault.replace(' ', '-')}.wav"
        path.write_bytes(data)
        assert re.search(message, tab.report(str(path))), (fault, tab.report(str(path)))
        with pytest.raises(AppError, match=message):
            say(path)
    assert set(server[2].glob("voice-atlas-*")) == before, "something ran"


BAD_REQUESTS = {
    "empty text": (dict(words="  \n"), "What to say: There is no text"),
    "nothing speakable": (dict(words="?! ... —"), "(?i)speak"),
    "1,001 characters": (dict(words="a " * 500 + "b"), r"1,001 characters.*1,000"),
    "no consent": (dict(consent=False), "Consent: "),
    "consent that is not a tick": (dict(consent="false"), "consent"),
    "no clip": (dict(clip=None), "Voice to borrow: .*upload"),
    "minutes of speech": (dict(words="½" * 1000), r"would last about \d{3} s; the limit is 90 s"),
    "slow speech": (dict(words="Good morning. " * 60, speed=0.5), "limit is 90 s"),
    "half a seed": (dict(seed=0.5), "Seed: 0.5"),
    "seed below 0": (dict(seed=-1), "Seed: -1 is out of range"),
    "no seed": (dict(seed=None), "Seed: it is empty"),
    "speed 9": (dict(speed=9), "Speed: 9 is out of range: choose 0.5 to 2"),
    "expressiveness 2": (dict(expressiveness=2), "Expressiveness: 2 is out of range"),
}


@pytest.mark.parametrize("fault", BAD_REQUESTS)
def test_bad_requests_are_refused(server, say, clip, fault):
    """Over the API too, what the form would not send gets a message with the limit, and nothing runs."""
    before = set(server[2].glob("voice-atlas-*"))
    change, message = BAD_REQUESTS[fault]
    with pytest.raises(AppError, match=message):
        say(**{"clip": clip} | change)
    assert set(server[2].glob("voice-atlas-*")) == before, "something ran"


def test_consent_is_not_the_default(visitor, clip):
    """A script that never mentions consent has not given it; a virtual voice, the default, needs none."""
    assert visitor.predict(WORDS, api_name="/speak")[0].endswith(".wav")
    with pytest.raises(AppError, match="consent"):
        visitor.predict(WORDS, handle_file(str(clip)), api_name="/speak")


def test_too_big_a_file_is_refused(server):
    """20 MB is the limit, at the door of the server and, for who finds another door, in the library."""
    files = {"files": ("big.wav", b"0" * 21_500_000)}
    assert httpx.post(f"{server[0]}gradio_api/upload", files=files, timeout=30).status_code == 413
    with pytest.raises(ValueError, match="limit is 20 MB"):
        audio.load(b"0" * 21_500_000)


def test_no_way_past_the_queue(server, clip):
    """Who skips the queue skips its limits: those doors are 404 for all that synthesises."""
    url, demo, _ = server
    public = {block.api_name for block in demo.fns.values() if block.api_visibility == "public"}
    assert public == {"speak", "listen_start", "listen_next", "is_marked"}
    assert all(block.queue for block in demo.fns.values() if block.api_visibility == "public")
    for door in ("run/speak", "api/speak", "run/speak/"):
        assert httpx.post(f"{url}gradio_api/{door}", json={"data": [WORDS, None, True]}).status_code in (
            307,
            404,
        ), door
    for number in [number for number, block in demo.fns.items() if block.queue]:
        answer = httpx.post(
            f"{url}gradio_api/run/predict", json={"fn_index": number, "data": [], "session_hash": "x"}
        )
        assert answer.status_code == 404, (number, answer.text[:200])


def test_files_of_the_server_are_out_of_reach(server, clip):
    """A path on the server's disk that was never uploaded is neither opened nor served."""
    url = server[0]
    reference = {"path": str(clip), "meta": {"_type": "gradio.FileData"}}
    event = httpx.post(
        f"{url}gradio_api/call/speak", json={"data": [WORDS, reference, True, 0, 1, 0.3]}
    ).json()["event_id"]
    answer = httpx.get(f"{url}gradio_api/call/speak/{event}", timeout=30).text
    assert "event: error" in answer and "event: complete" not in answer
    assert httpx.get(f"{url}gradio_api/file={ROOT / 'app.py'}").status_code in (403, 404)


def test_two_visitors_at_once(server, tmp_path):
    """Each gets the own sentence in the own voice, as if alone, in files of the own."""
    rows, jobs = [row for row in corpus.rows() if row["text"].startswith("The ferry")][:3], []
    for i, row in enumerate(rows):
        (tmp_path / f"{i}.ogg").write_bytes(row["audio"])
        jobs += [
            (f"Sentence number {i} is{' very' * i} short.", tmp_path / f"{i}.ogg", seed) for seed in (1, 2)
        ]

    def twice(job):
        words, clip, seed = job
        visitor = Client(server[0], verbose=False, httpx_kwargs=PATIENT, download_files=tmp_path)
        return [ask(visitor, clip, words, seed=seed, expressiveness=1.0) for _ in range(2)]

    alone = [twice(job) for job in jobs]
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        together = list(pool.map(twice, jobs))
    sounds = [audio.load(result[0])[1].tobytes() for results in alone for result in results]
    assert sounds == [audio.load(result[0])[1].tobytes() for results in together for result in results]
    assert len(set(sounds)) == len(jobs), "different wishes, different sounds"
    paths = [Path(part).name for results in alone + together for result in results for part in result[:2]]
    assert len(set(paths)) == len(paths), "a file was shared"


def test_outputs_are_deleted_and_examples_stay(server, visitor, clip):
    """Every output goes after an hour, also one that a page shows; the example voices do not."""
    url, demo, folder = server
    ask(visitor, clip)
    run = next(fn for fn in demo.fns.values() if fn.api_name == "speak_on_page")
    given = [block.value for block in run.inputs]
    uploaded(url, run.inputs[1].value["path"])  # it lies where the example lies
    given[1:3] = uploaded(url, clip), True
    assert answers(url, run._id, given, visitor.session_hash)[-1]["success"]
    (folder / "tmpbroken").write_bytes(b"half of an upload")
    made = [path for pattern in scratch.OURS for path in folder.glob(pattern)]
    assert len(made) >= 5, "two sounds, two pictures, half an upload"
    scratch.forget(demo, scratch.KEPT_SECONDS)
    assert all(path.is_file() for path in made), "too early"
    scratch.forget(demo, 0)
    assert not [path for path in made if path.exists()]
    assert not Path(given[1]["path"]).exists(), "an upload stays"
    assert (folder / Path(visitor.predict(WORDS, consent=True, api_name="/speak")[0]).name).is_file(), (
        "no example left"
    )


def test_old_files_go_while_the_app_runs(tmp_path):
    """Catches a sweep that nobody calls, and one that ends at a file that cannot be deleted."""
    old, new, odd = (tmp_path / f"voice-atlas-{name}.wav" for name in ("old", "new", "odd"))
    for path in (old, new):
        path.write_bytes(b"sound")
    odd.mkdir()
    hour_ago = time.time() - scratch.KEPT_SECONDS - 1
    os.utime(old, (hour_ago, hour_ago))

    files = {"GRADIO_CACHE": tmp_path, "upload_file_set": {str(tmp_path / "gone.wav")}, "blocks": {}}
    app = SimpleNamespace(**files)

    async def serve():
        async with scratch.sweeping(app)(None):
            while old.exists():
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(serve(), 120))
    assert new.exists() and odd.exists()


def test_the_server_sweeps(server):
    """Catches a sweep that is not a part of the app that is served."""
    until(lambda: not (server[2] / OLD).exists(), "what an earlier run left is still there")
