"""The app as a visitor, a script and a stranger without manners meet it: the real server, small untrained weights."""
import concurrent.futures
import io
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
import torch
from gradio.route_utils import delete_files_created_by_app
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

import app
from lib import audio, corpus, text, train
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.models.vits import Vits, VitsConfig
from lib.synthesis import Voices
from lib.tabs import speak as tab

ROOT = Path(__file__).parent.parent
WORDS = "The ferry leaves at noon, so pack your lunch."


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of checkpoints as train.save writes them: everything real but the training."""
    torch.manual_seed(0)
    root, card = tmp_path_factory.mktemp("checkpoints"), dict(data="none", licence="Apache-2.0", figures={"eer": 0.123})
    config = SpeakerEncoderConfig(channels=(8, 8, 8, 8), blocks=(1, 1, 1, 1), D=16)
    train.save(root / "speaker_encoder", SpeakerEncoder(config), config, card | {"budget": "none", "name": "tiny-encoder"})
    config = VitsConfig(len(text.SYMBOLS), (("verification", 16),), C=8, G=8, hidden=16, text_layers=1, posterior_layers=1,
                        flow_channels=8, flow_layers=1, couplings=2, rhythm_channels=8, decoder_channels=16, decoder_layers=1)
    net = Vits(config)
    torch.nn.init.constant_(net.durations.out.bias, 1.3)  # about four frames a token, as in speech
    train.save(root / "tts", net, config, card | {"budget": "0 steps", "name": "tiny-tts"})
    return root


@pytest.fixture(scope="module")
def voices(root):
    return Voices.load(root)


@pytest.fixture(scope="module")
def server(voices, tmp_path_factory):
    """(url, gr.Blocks, folder of its temporary files) of the running app."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("gradio")
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        demo = app.build(voices)
        _, url, _ = app.serve(demo, prevent_thread_lock=True, server_port=free_port(), quiet=True)
        yield url, demo, folder
        demo.close()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def visitor(server, tmp_path):
    return Client(server[0], verbose=False, download_files=tmp_path)


@pytest.fixture(scope="module")
def wav():
    return corpus.wav(corpus.rows()[0])


@pytest.fixture
def clip(wav, tmp_path):
    audio.save(tmp_path / "clip.wav", audio.RATE, wav)
    return tmp_path / "clip.wav"


def say(visitor, clip, words=WORDS, consent=True, **more):
    return visitor.predict(words, clip and handle_file(str(clip)), consent, api_name="/speak", **more)


def encode(wav, rate, channels, kind, subtype):
    """Bytes of a sound file."""
    import soundfile
    file, samples = io.BytesIO(), audio.resample(wav, audio.RATE, rate)
    soundfile.write(file, np.stack([samples] * channels, 1), rate, format=kind, subtype=subtype)
    return file.getvalue()


def test_speak_gives_what_the_library_gives(visitor, voices, clip):
    """The app adds nothing of its own: the samples are those of Voices.speak, and the line of facts says what it must."""
    sound, picture, facts = say(visitor, clip, seed=5, speed=1.2, expressiveness=0.5)
    rate, samples = audio.load(sound)
    expected = voices.speak(WORDS, str(clip), seed=5, speed=1.2, noise_scale=0.5).wav
    assert rate == audio.RATE and len(samples) == len(expected) > rate
    np.testing.assert_allclose(samples, expected, atol=2e-4)
    assert Path(picture).read_bytes()[:4] == b"\x89PNG"
    for wanted in (r"Similarity to the reference\*\* -?\d\.\d\d", "tiny-encoder", r"12\.3 %", r"Real-time factor\*\* \d\.\d+",
                   r"Seed\*\* 5", "tiny-tts", "0 steps"):
        assert re.search(wanted, facts), (wanted, facts)


def test_seed_decides(visitor, clip):
    """The same seed gives the same samples, another seed others."""
    one, two, three = (audio.load(say(visitor, clip, seed=seed, expressiveness=1.0)[0])[1] for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)


def test_one_short_word_is_spoken(visitor, clip):
    """Less than a second cannot be compared with the reference: that must not lose the result."""
    sound, _, facts = say(visitor, clip, "Oh", speed=2.0)
    assert 0 < len(audio.load(sound)[1]) < audio.RATE
    assert "too short" in facts


def bad_clips(wav):
    """{what is wrong: (bytes of the upload, what the message must say)}."""
    speech = {"wav": encode(wav, 16000, 1, "WAV", "PCM_16"), "flac": encode(wav, 44100, 2, "FLAC", "PCM_16"),
              "mp3": encode(wav, 44100, 1, "MP3", "MPEG_LAYER_III"), "ogg": encode(wav, 48000, 1, "OGG", "OPUS")}
    cut = {f"cut {kind}": (data[:len(data) * 6 // 10], "cut off.*again") for kind, data in speech.items()}
    return cut | {
        "under 1 s": (encode(wav[8000:16000], 16000, 1, "WAV", "PCM_16"), r"0\.\d s of sound.*at least 1 s"),
        "silent": (encode(0 * wav, 16000, 1, "WAV", "PCM_16"), "silent.*record"),
        "not audio": (b"Dear sir or madam, this is no sound. " * 99, "wav, flac, mp3 or ogg"),
        "only a header": (speech["wav"][:30], "wav, flac, mp3 or ogg"),
        "header without samples": (encode(wav[:0], 16000, 1, "WAV", "PCM_16"), "no sound.*again"),
        "0 bytes": (b"", "0 bytes.*again"),
    }


def test_bad_clips_are_refused_with_a_remedy(server, visitor, wav, tmp_path):
    """Every clip that cannot be used gets a message naming the fault and the remedy, before and instead of any speech."""
    before = set(server[2].glob("voice-atlas-*"))
    for fault, (data, message) in bad_clips(wav).items():
        path = tmp_path / f"{fault.replace(' ', '-')}.wav"
        path.write_bytes(data)
        assert re.search(message, tab.report(str(path))), (fault, tab.report(str(path)))
        with pytest.raises(AppError, match=message):
            say(visitor, path)
    assert set(server[2].glob("voice-atlas-*")) == before, "something ran"


BAD_REQUESTS = {
    "empty text": (dict(words="  \n"), "no text"),
    "nothing speakable": (dict(words="?! ... —"), "(?i)speak"),
    "1,001 characters": (dict(words="a " * 500 + "b"), r"1,001 characters.*1,000"),
    "no consent": (dict(consent=False), "consent"),
    "consent that is not a tick": (dict(consent="false"), "consent"),
    "no clip": (dict(clip=None), "upload"),
    "seed below 0": (dict(seed=-1), "(?i)minimum|out of range"),
    "no seed": (dict(seed=None), "(?i)seed"),
    "speed 9": (dict(speed=9), "(?i)maximum|out of range"),
    "expressiveness 2": (dict(expressiveness=2), "(?i)maximum|out of range"),
}


@pytest.mark.parametrize("fault", BAD_REQUESTS)
def test_bad_requests_are_refused(server, visitor, clip, fault):
    """Over the API too, what the form would not send gets a message with the limit, and nothing runs."""
    before = set(server[2].glob("voice-atlas-*"))
    change, message = BAD_REQUESTS[fault]
    with pytest.raises(AppError, match=message):
        say(visitor, **{"clip": clip} | change)
    assert set(server[2].glob("voice-atlas-*")) == before, "something ran"


def test_consent_is_not_the_default(visitor, clip):
    """A script that never mentions consent has not given it."""
    with pytest.raises(AppError, match="consent"):
        visitor.predict(WORDS, handle_file(str(clip)), api_name="/speak")


def test_long_clip_is_used_by_its_loudest_stretch(visitor, voices, wav, tmp_path):
    """Of 45 s the loud 30 are used, and the visitor is told so both before and after."""
    quiet, loud = np.resize(0.05 * wav, 15 * audio.RATE), np.resize(wav, 30 * audio.RATE)
    audio.save(tmp_path / "long.wav", audio.RATE, np.concatenate([quiet, loud]))
    path = str(tmp_path / "long.wav")
    assert re.search(r"45 s.*loudest clean (29|30) s are used", tab.report(path))
    assert re.search(r"45 s.*loudest clean (29|30) s are used", say(visitor, path)[2])
    assert voices.embed(path) @ voices.embed((audio.RATE, loud)) > 0.999


FORMATS = [(8000, 1, "WAV", "PCM_U8"), (16000, 2, "WAV", "PCM_16"), (44100, 1, "WAV", "PCM_24"), (48000, 2, "WAV", "FLOAT"),
           (22050, 1, "WAV", "PCM_32"), (44100, 2, "FLAC", "PCM_24"), (44100, 2, "MP3", "MPEG_LAYER_III"),
           (8000, 1, "MP3", "MPEG_LAYER_III"), (48000, 2, "OGG", "VORBIS"), (48000, 1, "OGG", "OPUS")]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: "-".join(map(str, form)))
def test_formats(visitor, wav, form, tmp_path):
    """wav, flac, mp3 and ogg of any rate, width and number of channels hold the same voice; no ffmpeg is asked."""
    path = tmp_path / f"clip.{form[2].lower()}"
    path.write_bytes(encode(wav, *form))
    heard = audio.prepare(str(path))
    size = min(len(heard), len(wav))
    spectra = [np.abs(np.fft.rfft(sound[:size]))[: size // 5] for sound in (heard, audio.prepare((audio.RATE, wav)))]
    assert np.corrcoef(*spectra)[0, 1] > 0.7, "another sound came out"
    assert len(audio.load(say(visitor, path)[0])[1]) > audio.RATE


def test_report_says_what_is_wrong(wav):
    """The check of the reference, in words, before anyone waits."""
    noise = np.random.default_rng(0).standard_normal(len(wav)).astype("float32")
    for samples, said in ((wav, "is fine"), (wav[: 2 * audio.RATE], "Only .* s of sound"), (0.02 * wav, "Very quiet"),
                          (np.clip(20 * wav, -1, 1), "Clipped"), (wav + 0.02 * noise, "Noisy"), (wav[:5000], "at least 1 s")):
        assert re.search(said, tab.report((audio.RATE, samples))), said
    assert tab.report(None) == ""


def test_too_big_a_file_is_refused(server):
    """20 MB is the limit, at the door of the server and, for who finds another door, in the library."""
    files = {"files": ("big.wav", b"0" * 21_500_000)}
    assert httpx.post(f"{server[0]}gradio_api/upload", files=files, timeout=30).status_code == 413
    with pytest.raises(ValueError, match="limit is 20 MB"):
        audio.load(b"0" * 21_500_000)


def test_no_way_past_the_queue(server, clip):
    """Who skips the queue skips its limits: those doors are 404, by name and by number, for private functions too."""
    url, demo, _ = server
    for door in ("run/speak", "api/speak", "run/speak/"):
        assert httpx.post(f"{url}gradio_api/{door}", json={"data": [WORDS, None, True]}).status_code in (307, 404), door
    for number in [number for number, block in demo.fns.items() if block.fn]:
        answer = httpx.post(f"{url}gradio_api/run/predict", json={"fn_index": number, "data": [], "session_hash": "x"})
        assert answer.status_code == 404, (number, answer.text[:200])


def test_files_of_the_server_are_out_of_reach(server, clip):
    """A path on the server's disk, sent as a reference that was never uploaded, is not opened; neither is one asked for."""
    url = server[0]
    reference = {"path": str(clip), "meta": {"_type": "gradio.FileData"}}
    event = httpx.post(f"{url}gradio_api/call/speak", json={"data": [WORDS, reference, True, 0, 1, 0.3]}).json()["event_id"]
    answer = httpx.get(f"{url}gradio_api/call/speak/{event}", timeout=30).text
    assert "event: error" in answer and "event: complete" not in answer
    assert httpx.get(f"{url}gradio_api/file={ROOT / 'app.py'}").status_code in (403, 404)


def test_two_visitors_at_once(server, wav, tmp_path):
    """Each gets the own sentence in the own voice, as if alone, in files of the own."""
    rows, jobs = [row for row in corpus.rows() if row["text"].startswith("The ferry")][:3], []
    for i, row in enumerate(rows):
        (tmp_path / f"{i}.ogg").write_bytes(row["audio"])
        jobs += [(f"Sentence number {i} is{' very' * i} short.", tmp_path / f"{i}.ogg", seed) for seed in (1, 2)]

    def ask(job):
        words, clip, seed = job
        visitor = Client(server[0], verbose=False, download_files=tmp_path)
        return [say(visitor, clip, words, seed=seed, expressiveness=1.0) for _ in range(2)]
    alone = [ask(job) for job in jobs]
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        together = list(pool.map(ask, jobs))
    sounds = [audio.load(result[0])[1].tobytes() for results in alone for result in results]
    assert sounds == [audio.load(result[0])[1].tobytes() for results in together for result in results]
    assert len(set(sounds)) == len(jobs), "different wishes, different sounds"
    paths = [Path(part).name for results in alone + together for result in results for part in result[:2]]
    assert len(set(paths)) == len(paths), "a file was shared"


def test_stop_ends_the_run_of_its_own_visitor_only(voices, clip, tmp_path):
    """Pressed during the second of four sentences, Stop leaves the rest unspoken; pressed by somebody else, it does nothing."""
    speak, stop = tab.callbacks(voices, tmp_path)
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


def test_outputs_are_deleted_and_examples_stay(server, visitor, clip):
    """Every output is on gradio's list of files to delete after an hour; the example voices are not."""
    url, demo, folder = server
    say(visitor, clip)
    assert list(folder.glob("voice-atlas-*")) and demo.delete_cache == (600, 3600)
    delete_files_created_by_app(demo, 0)
    assert not list(folder.glob("voice-atlas-*"))
    assert (folder / Path(visitor.predict(WORDS, consent=True, api_name="/speak")[0]).name).is_file(), "no example left"


def test_only_speak_is_public(visitor):
    """The API is /speak(text, reference, consent, seed, speed, expressiveness) and nothing else."""
    api = visitor.view_api(return_format="dict")["named_endpoints"]
    assert list(api) == ["/speak"]
    names = [parameter["parameter_name"] for parameter in api["/speak"]["parameters"]]
    assert names == ["text", "reference", "consent", "seed", "speed", "expressiveness"]


def test_starts_soon_and_without_a_network(root):
    """`python app.py` answers within half a minute while every connection but those to this machine is refused."""
    port = free_port()
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
    env = os.environ | {"VOICE_ATLAS_CHECKPOINTS": str(root), "GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1"}
    env.pop("GRADIO_ANALYTICS_ENABLED", None)  # app.py itself must switch it off
    run = subprocess.Popen([sys.executable, "-c", guard], cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE)
    try:
        started, page = time.time(), None
        while page is None:
            assert run.poll() is None and time.time() - started < 30
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
