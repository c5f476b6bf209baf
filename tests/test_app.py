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
from conftest import encode, free_port

from lib import audio
from lib.tabs import speak as tab

ROOT, WORDS = Path(__file__).parent.parent, "The ferry leaves at noon, so pack your lunch."


def test_speak_gives_what_the_library_gives(say, tiny_voices, clip):
    """The app adds nothing of its own: the samples are those of Voices.speak, and the line of facts says what it must."""
    sound, picture, facts = say(clip, seed=5, speed=1.2, expressiveness=0.5)
    rate, samples = audio.load(sound)
    expected = tiny_voices.speak(WORDS, str(clip), seed=5, speed=1.2, noise_scale=0.5).wav
    assert rate == audio.RATE and len(samples) == len(expected) > rate
    np.testing.assert_allclose(samples, expected, atol=2e-4)
    assert Path(picture).read_bytes()[:4] == b"\x89PNG"
    for wanted in (r"Similarity to the reference\*\* -?\d\.\d\d", "tiny-encoder", r"12\.3 %", r"Real-time factor\*\* \d\.\d+",
                   r"Seed\*\* 5", "tiny-tts", "0 steps"):
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


FORMATS = [(8000, 1, "WAV", "PCM_U8"), (16000, 2, "WAV", "PCM_16"), (44100, 1, "WAV", "PCM_24"), (48000, 2, "WAV", "FLOAT"),
           (22050, 1, "WAV", "PCM_32"), (44100, 2, "FLAC", "PCM_24"), (44100, 2, "MP3", "MPEG_LAYER_III"),
           (8000, 1, "MP3", "MPEG_LAYER_III"), (48000, 2, "OGG", "VORBIS"), (48000, 1, "OGG", "OPUS")]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: "-".join(map(str, form)))
def test_formats(say, wav, form, tmp_path):
    """wav, flac, mp3 and ogg of any rate, width and number of channels hold the same voice; no ffmpeg is asked."""
    path = tmp_path / f"clip.{form[2].lower()}"
    path.write_bytes(encode(wav, *form))
    heard = audio.prepare(str(path))
    size = min(len(heard), len(wav))
    spectra = [np.abs(np.fft.rfft(sound[:size]))[: size // 5] for sound in (heard, audio.prepare((audio.RATE, wav)))]
    assert np.corrcoef(*spectra)[0, 1] > 0.7, "another sound came out"
    assert len(audio.load(say(path)[0])[1]) > audio.RATE


def test_report_says_what_is_wrong(wav):
    """The check of the reference, in words, before anyone waits."""
    noise = np.random.default_rng(0).standard_normal(len(wav)).astype("float32")
    for samples, said in ((wav, "is fine"), (wav[: 2 * audio.RATE], "Only .* s of sound"), (0.02 * wav, "Very quiet"),
                          (np.clip(20 * wav, -1, 1), "Clipped"), (wav + 0.02 * noise, "Noisy"), (wav[:5000], "at least 1 s")):
        assert re.search(said, tab.report((audio.RATE, samples))), said
    assert tab.report(None) == ""


def test_stop_ends_the_run_of_its_own_visitor_only(tiny_voices, clip, tmp_path):
    """Pressed during the second of four sentences, Stop leaves the rest unspoken; pressed by somebody else, it does nothing."""
    speak, stop = tab.callbacks(tiny_voices, tmp_path)
    said = []

    def listen(share, desc):
        said.append(desc)
        if desc == "sentence 2 of 4":
            stop(gr.Request(session_hash=presser))
    for presser, sentences in (("somebody else", 4), ("me", 2)):
        said.clear()
        ask = ("One is here. Two is here. Three is here. Four is here." + " " * 9, str(clip), True, 0, 1.0, 0.3)
        if presser == "me":
            with pytest.raises(gr.Error, match="Stopped"):
                speak(*ask, gr.Request(session_hash="me"), listen)
        else:
            assert len(speak(*ask, gr.Request(session_hash="me"), listen)) == 3
        assert said[1:] == [f"sentence {i + 1} of 4" for i in range(sentences)]


def test_only_speak_is_public(visitor):
    """The API is /speak(text, reference, consent, seed, speed, expressiveness) and nothing else."""
    api = visitor.view_api(return_format="dict")["named_endpoints"]
    assert list(api) == ["/speak"]
    names = [parameter["parameter_name"] for parameter in api["/speak"]["parameters"]]
    assert names == ["text", "reference", "consent", "seed", "speed", "expressiveness"]


def test_starts_soon_and_without_a_network(tiny_root):
    """`python app.py` answers after less than 15 s of work, while every connection but those to this machine is refused."""
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
    env = os.environ | {"VOICE_ATLAS_CHECKPOINTS": str(tiny_root), "GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1"}
    env.pop("GRADIO_ANALYTICS_ENABLED", None)  # app.py itself must switch it off
    run = subprocess.Popen([sys.executable, "-c", guard], cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE)
    try:
        started, page = time.time(), None
        while page is None:
            assert run.poll() is None and time.time() - started < 240  # s; only a very busy machine needs more than 10
            try:
                page = httpx.get(f"http://127.0.0.1:{port}/", timeout=5).text
            except httpx.TransportError:
                time.sleep(0.1)
        print(f"ready after {time.time() - started:.1f} s")
        assert "Voice Atlas" in page
        assert not re.findall(r'<(?:script|link)[^>]+(?:src|href)="https?://(?!127\.0\.0\.1)[^"]+', page)
    finally:
        run.terminate()
        out, _ = run.communicate(timeout=20)
    assert "TRIED" not in out, out
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # work, not time: the machine may be busy with other things
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 15
