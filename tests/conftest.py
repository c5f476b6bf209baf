"""What tests of the app share: its real server around small untrained weights.  Nothing heavy is imported
before it is asked for."""
import functools
import io
import os
import socket
import time

import pytest

# Sizes that are trained or run in a blink.
TINY_CODEC = dict(C=8, G=8, hidden=16, posterior_layers=1, decoder_channels=16, decoder_layers=1)
TINY_VITS = dict(hidden=16, text_layers=1, flow_channels=8, flow_layers=1, couplings=2, rhythm_channels=8)

OLD = "voice-atlas-old.wav"  # a result that an app left behind in the folder of the server


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def encode(wav, rate, channels, kind, subtype):
    """Bytes of a sound file of wav [T]."""
    import numpy as np
    import soundfile

    from lib import audio
    file, samples = io.BytesIO(), audio.resample(wav, audio.RATE, rate)
    soundfile.write(file, np.stack([samples] * channels, 1), rate, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory):
    """A folder of checkpoints as training.save writes them: everything real but the training."""
    import torch

    from lib import text, training
    from lib.models.codec import Codec, CodecConfig
    from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
    from lib.models.vits import Vits, VitsConfig
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("checkpoints")
    card = dict(data="none", licence="Apache-2.0", figures={"eer": 0.123})
    config = SpeakerEncoderConfig(channels=(8, 8, 8, 8), blocks=(1, 1, 1, 1), D=16)
    encoder = SpeakerEncoder(config)
    its_card = card | {"budget": "none", "name": "tiny-encoder"}
    training.save(root / "speaker_encoder", encoder, config, its_card)
    codec = Codec(CodecConfig((("verification", 16),), **TINY_CODEC))
    training.save(root / "codec", codec, codec.config, card | {"budget": "none", "name": "tiny-codec"})
    config = VitsConfig(len(text.SYMBOLS), **TINY_VITS)
    net = Vits(config, codec)
    torch.nn.init.constant_(net.durations.out.bias, 1.3)  # about four frames a token, as in speech
    training.save(root / "tts", net, config, card | {"budget": "0 steps", "name": "tiny-tts"},
                  lenders={"codec": root / "codec"})
    return root


@pytest.fixture(scope="session")
def tiny_voices(tiny_root):
    from lib.voices import Voices
    return Voices.load(tiny_root)


UNTRAINED = {"data": "none", "licence": "CC0", "budget": "untrained", "figures": {}}  # a card


def with_frames(voices):
    """Put small untrained frames and their codec beside the models of `voices`; returns these Frames.

    They are deaf: what a test wants to be heard has to be given an effect."""
    from lib.models.frames import Frames, FramesConfig
    from lib.models.harmonic import HarmonicCodec, HarmonicCodecConfig
    harmonic = HarmonicCodec(HarmonicCodecConfig(channels=16, layers=1))
    C, D = voices.codec.config.C, voices.encoder.config.D
    config = FramesConfig(C=C, D=D, H=32, layers=2, looks=(1,), reference_layers=1)
    frames = Frames(config, voices.codec, harmonic)
    voices.bundle.put("harmonic", harmonic, UNTRAINED)
    voices.bundle.put("frames", frames, UNTRAINED)
    return frames


@pytest.fixture(scope="session")
def server(tiny_voices, tmp_path_factory):
    """(url, gr.Blocks, folder of its temporary files) of the running app."""
    import app
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("gradio")
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        (folder / OLD).write_bytes(b"sound")
        os.utime(folder / OLD, (0, 0))
        demo = app.build(tiny_voices)
        _, url, _ = app.serve(demo, prevent_thread_lock=True, server_port=free_port(), quiet=True)
        yield url, demo, folder
        demo.close()


def until(condition, words, seconds=120):
    """Wait until condition() holds, however slow the machine; fails with `words` after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, words
        time.sleep(0.005)


def losses_while_learning(net, weight, speaker, draw, steps):
    """Losses of so many steps in which an encoder learns whose wavs [B, 1, T] draw() gives; speaker [B]."""
    import torch

    from lib import losses
    optim = torch.optim.Adam([*net.parameters(), weight], 1e-2)
    seen = []
    for _ in range(steps):
        wav = draw()
        loss = losses.aam_softmax(net(wav + 0.003 * torch.randn_like(wav)), weight, speaker)
        optim.zero_grad()
        loss.backward()
        optim.step()
        seen.append(loss.item())
    return seen


PATIENT = {"timeout": 120}  # s that a client waits: a busy machine of two cores is slow to answer


def ask(visitor, clip, words="The ferry leaves at noon, so pack your lunch.", consent=True, **more):
    """(path of the sound, path of the picture, facts) that the running app gives a gradio_client."""
    from gradio_client import handle_file
    return visitor.predict(words, clip and handle_file(str(clip)), consent, api_name="/speak", **more)


def uploaded(url, path):
    """A file that was sent to the server, as a page names it."""
    import httpx
    with open(path, "rb") as file:
        place = httpx.post(f"{url}gradio_api/upload", files={"files": file}).json()[0]
    return {"path": place, "meta": {"_type": "gradio.FileData"}}


def answers(url, function, data, session):
    """All that the function of this number answers to raw values, as a page sends and gets them."""
    import json

    import httpx
    body = {"data": data, "fn_index": function, "session_hash": session}
    joined = httpx.post(f"{url}gradio_api/queue/join", json=body)
    if joined.status_code == 422:  # the door says why
        return [{"msg": "process_completed", "output": {"error": joined.text}}]
    assert joined.status_code == 200
    given, place = [], f"{url}gradio_api/queue/data"
    with httpx.stream("GET", place, params={"session_hash": session}, timeout=120) as lines:
        for line in lines.iter_lines():
            message = json.loads(line.removeprefix("data: ") or "{}")
            if message.get("msg") in ("process_generating", "process_completed"):
                given.append(message)
            if message.get("msg") == "process_completed":
                return given
    raise AssertionError("no answer")


def as_file(speech):
    """wav [T] of a Speech after it went through a file: rounded, and with all that saving adds."""
    import tempfile
    from pathlib import Path

    from lib import audio
    with tempfile.TemporaryDirectory() as folder:
        return audio.load(speech.save(Path(folder) / "speech.wav"))[1]


@pytest.fixture
def visitor(server, tmp_path):
    """A gradio_client of the running app."""
    from gradio_client import Client
    return Client(server[0], verbose=False, httpx_kwargs=PATIENT, download_files=tmp_path)


@pytest.fixture
def say(visitor):
    """say(clip, words, consent, **more) is ask(visitor, ...)."""
    return functools.partial(ask, visitor)


@pytest.fixture(scope="session")
def wav():
    """Four seconds of a virtual voice, float32 [T] at 16 kHz."""
    from lib.data import corpus
    return corpus.wav(corpus.rows()[0])


@pytest.fixture
def clip(wav, tmp_path):
    """Path of a sound file of `wav`."""
    from lib import audio
    audio.save(tmp_path / "clip.wav", audio.RATE, wav)
    return tmp_path / "clip.wav"


@pytest.fixture
def fresh_accelerate():
    """Accelerate keeps its state per process: other tests may have left another precision."""
    from accelerate.state import AcceleratorState
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
