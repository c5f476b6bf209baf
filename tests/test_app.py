"""The app as a visitor and a script meet it: the real server, small untrained weights (conftest.py)."""

import os
import re
import resource
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from conftest import as_file, encode, free_port

from lib import audio
from lib.tabs import about, context, scratch
from lib.tabs import speak as tab

ROOT, WORDS = Path(__file__).parent.parent, "The ferry leaves at noon, so pack your lunch."


def test_speak_gives_what_the_library_gives(say, tiny_voices, clip):
    """The app adds nothing: the samples are those of Voices.speak, and the facts say what they must."""
    sound, picture, facts = say(clip, seed=5, speed=1.2, expressiveness=0.5)
    rate, samples = audio.load(sound)
    expected = as_file(tiny_voices.speak(WORDS, str(clip), seed=5, speed=1.2, noise_scale=0.5))
    assert rate == audio.RATE and len(samples) == len(expected) > rate
    np.testing.assert_allclose(samples, expected, atol=2e-4)
    assert Path(picture).read_bytes()[:4] == b"\x89PNG"
    for wanted in (
        r"Similarity to the reference\*\* -?\d\.\d\d",
        "tiny-encoder",
        r"12\.3 %",
        r"Real-time factor\*\* \d\.\d+",
        r"Seed\*\* 5",
        "tiny-tts",
        "0 steps",
    ):
        assert re.search(wanted, facts), (wanted, facts)


def test_seed_decides(say, clip):
    """The same seed gives the same samples, another seed others."""
    one, two, three = (audio.load(say(clip, seed=seed, expressiveness=1.0)[0])[1] for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)


def test_one_short_word_is_spoken(say, clip):
    """Less than a second cannot be compared with the reference: that must not lose the result."""
    sound, _, facts = say(clip, "Oh", speed=2.0)
    assert 0 < len(audio.load(sound)[1]) < audio.RATE
    assert "too short" in facts


def test_long_clip_is_used_by_its_loudest_stretch(say, tiny_voices, wav, tmp_path):
    """Of 45 s the loud 30 are used, and the visitor is told so both before and after."""
    quiet, loud = np.resize(0.05 * wav, 15 * audio.RATE), np.resize(wav, 30 * audio.RATE)
    audio.save(tmp_path / "long.wav", audio.RATE, np.concatenate([quiet, loud]))
    path = str(tmp_path / "long.wav")
    assert re.search(r"45 s.*loudest clean (29|30) s are used", tab.report(path))
    assert re.search(r"45 s.*loudest clean (29|30) s are used", say(path)[2])
    assert tiny_voices.embed(path) @ tiny_voices.embed((audio.RATE, loud)) > 0.999


FORMATS = [
    (8000, 1, "WAV", "PCM_U8"),
    (16000, 2, "WAV", "PCM_16"),
    (44100, 1, "WAV", "PCM_24"),
    (48000, 2, "WAV", "FLOAT"),
    (22050, 1, "WAV", "PCM_32"),
    (44100, 2, "FLAC", "PCM_24"),
    (44100, 2, "MP3", "MPEG_LAYER_III"),
    (8000, 1, "MP3", "MPEG_LAYER_III"),
    (48000, 2, "OGG", "VORBIS"),
    (48000, 1, "OGG", "OPUS"),
]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: "-".join(map(str, form)))
def test_formats(say, wav, form, tmp_path):
    """Sound of any rate, width and number of channels holds the same voice; no ffmpeg is asked."""
    path = tmp_path / f"clip.{form[2].lower()}"
    path.write_bytes(encode(wav, *form))
    heard = audio.prepare(str(path))
    size = min(len(heard), len(wav))
    spectra = [
        np.abs(np.fft.rfft(sound[:size]))[: size // 5] for sound in (heard, audio.prepare((audio.RATE, wav)))
    ]
    assert np.corrcoef(*spectra)[0, 1] > 0.7, "another sound came out"
    assert len(audio.load(say(path)[0])[1]) > audio.RATE


def test_report_says_what_is_wrong(wav):
    """The check of the reference, in words, before anyone waits."""
    noise = np.random.default_rng(0).standard_normal(len(wav)).astype("float32")
    clips = {
        "is fine": wav,
        "Only .* s of sound": wav[: 2 * audio.RATE],
        "Very quiet": 0.02 * wav,
        "Clipped": np.clip(20 * wav, -1, 1),
        "Noisy": wav + 0.02 * noise,
        "at least 1 s": wav[:5000],
    }
    for message, samples in clips.items():
        assert re.search(message, tab.report((audio.RATE, samples))), message
    assert tab.report(None) == ""


def test_stop_ends_the_run_of_its_own_visitor_only(tiny_voices, clip, tmp_path):
    """Pressed during the second of four sentences, Stop ends them; pressed by another, it does nothing."""
    speak, _, stop = tab.callbacks(tiny_voices, tmp_path)
    heard = []

    def listen(share, desc):
        heard.append(desc)
        if desc == "sentence 2 of 4":
            stop(gr.Request(session_hash=presser))

    for presser, sentences in (("somebody else", 4), ("me", 2)):
        heard.clear()
        ask = (
            "One is here. Two is here. Three is here. Four is here." + " " * 9,
            str(clip),
            True,
            0,
            1.0,
            0.3,
            audio.RATE,
            None,
        )
        if presser == "me":
            with pytest.raises(InterruptedError, match="Stopped"):
                speak(*ask, gr.Request(session_hash="me"), listen)
        else:
            assert len(speak(*ask, gr.Request(session_hash="me"), listen)) == 3
        assert heard == [f"sentence {i + 1} of 4" for i in range(sentences)]


def test_only_speak_is_public(visitor):
    """The API is /speak with the names of its fields, and what the other tabs make public."""
    api = visitor.view_api(return_format="dict")["named_endpoints"]
    assert set(api) == {"/speak", "/listen_start", "/listen_next", "/is_marked"}
    names = [parameter["parameter_name"] for parameter in api["/speak"]["parameters"]]
    settings = ["seed", "speed", "expressiveness", "output_rate"]
    assert names == ["text", "reference", "consent", *settings, "melody"]


def test_starts_soon_and_without_a_network(tiny_root, tmp_path):
    """`python app.py` answers after less than 15 s of work, while only this machine can be reached.

    SIGTERM ends it and all its temporary files; those of a killed app go when the next one starts."""
    port, before = free_port(), resource.getrusage(resource.RUSAGE_CHILDREN)
    guard = textwrap.dedent("""
        import runpy, socket, sys
        real = socket.socket.connect
        def connect(self, address):
            if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1", "0.0.0.0"):
                print("TRIED", address, flush=True)
                raise OSError("there is no network")
            return real(self, address)
        def lookup(host, *args, real=socket.getaddrinfo, **more):
            if host not in (None, "127.0.0.1", "localhost", "::1", "0.0.0.0"):
                print("TRIED", host, flush=True)
                raise socket.gaierror("there is no network")
            return real(host, *args, **more)
        socket.socket.connect, socket.getaddrinfo = connect, lookup
        sys.path.insert(0, "."); runpy.run_path("app.py", run_name="__main__")
    """)
    env = os.environ | {"VOICE_ATLAS_CHECKPOINTS": str(tiny_root), "GRADIO_SERVER_PORT": str(port)}
    env |= {"HF_HUB_OFFLINE": "1", "TMPDIR": str(tmp_path)}
    env.pop("GRADIO_TEMP_DIR", None)
    (tmp_path / f"{scratch.PREFIX}999999999-dead").mkdir()
    env.pop("GRADIO_ANALYTICS_ENABLED", None)  # app.py itself must switch it off
    run = subprocess.Popen(
        [sys.executable, "-c", guard],
        cwd=ROOT,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        started, page = time.time(), None
        while page is None:
            assert (
                run.poll() is None and time.time() - started < 240
            )  # s; only a very busy machine needs more than 10
            try:
                page = httpx.get(f"http://127.0.0.1:{port}/", timeout=5).text
            except httpx.TransportError:
                time.sleep(0.1)
        print(f"ready after {time.time() - started:.1f} s")
        assert "Voice Atlas" in page
        assert [path.name.split("-")[3] for path in tmp_path.glob(f"{scratch.PREFIX}*")] == [str(run.pid)]
        uploaded = httpx.post(
            f"http://127.0.0.1:{port}/gradio_api/upload", files={"files": ("a.wav", b"0" * 99)}
        ).json()
        assert Path(uploaded[0]).is_relative_to(tmp_path)
        assert not re.findall(r'<(?:script|link)[^>]+(?:src|href)="https?://(?!127\.0\.0\.1)[^"]+', page)
    finally:
        run.terminate()
        out, _ = run.communicate(timeout=120)
    assert run.returncode == 0 and "TRIED" not in out and "Traceback" not in out, out
    assert not list(tmp_path.glob("voice-atlas*"))
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file()
    ]  # gradio makes folders when it is imported
    after = resource.getrusage(
        resource.RUSAGE_CHILDREN
    )  # work, not time: the machine may be busy with other things
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 15


def test_what_is_not_read_is_told(say, clip):
    """Emoji and words of another script are named, as text and not as HTML; plain English has none."""
    _, _, facts = say(clip, "Good morning 😀 доброе <b>утро</b>.")
    assert "Not read:" in facts and "😀" in facts and "<b>" not in facts
    assert tab.unread(WORDS) == ""


def test_a_tab_comes_with_what_it_needs(server, tiny_voices):
    """Without separation and conversion their tabs are missing, and no other."""
    shown = [block.label for block in server[1].blocks.values() if isinstance(block, gr.Tab)]
    assert shown == ["Start", "Speak", *(["Atlas"] if context.ATLAS.is_dir() else []), "Listen"]
    page = context.Context(tiny_voices, None, None, Path("nowhere"))
    assert page.has("tts") and not page.has("flow_vae") and not page.has("atlas")


FIGURES = {"judge": "words", "wer": 0.191, "secs": 0.74, "ovrl": 2.51, "wer_of_the_source": 0.0901}
FULL = {"name": "tts", "data": "some corpus", "licence": "Apache-2.0; more", "source": "notebooks/src/03.py"}


def test_the_page_says_what_the_cards_say(server):
    """Data, licence and figures stand under Speak, from the card; what a card lacks is not said."""
    line = about.line(FULL | {"figures": FIGURES}, "tts", {"ovrl": 3.34, "wer": 0.5})
    for wanted in (
        "some corpus",
        "Apache-2.0.",
        "mishears 19% of the words (real recordings: 9%)",
        "likeness to",
        "2.5 of 5 (DNSMOS) (real recordings: 3.3)",
        "notebooks/src/03.py",
    ):
        assert wanted in line, (wanted, line)
    assert about.measured({"judge": "words", "wer": "none", "bad": True}, {"wer": 0.1}) == ""
    lines = [block.value or "" for block in server[1].blocks.values() if isinstance(block, gr.Markdown)]
    assert any("**tiny-tts** learned from none. Licence: Apache-2.0." in line for line in lines)
