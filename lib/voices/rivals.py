"""Text-to-speech of other people, each behind a server of its own, to compare ours with and to tune on.

Their packages want other versions of torch than ours, so they run beside us and are asked over HTTP, by the
speech request of OpenAI's interface, which both servers below answer.  Their pages are where the commands
are from; none of it was run where this was written, as their weights are on a hub.
"""
import json
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from lib import audio
from lib.voices.speech import is_clip

SECONDS = 300.0  # for one sentence: a large model takes minutes on a CPU
REFERENCE = (1.0, 30.0)  # s of a clip


@dataclass(frozen=True)
class Rival:
    """A system: model, its name in a request; url, where its server listens; start, the command for that.

    clips: whether its server reads the file of a clip; else a voice is the name of one that it was given."""
    model: str
    url: str
    start: str
    clips: bool = True


COQUI = "http://127.0.0.1:5002/v1"  # pip install "coqui-tts[server]", in an environment of its own
RIVALS = {
    "xtts": Rival("xtts_v2", COQUI, "tts-server --model_name tts_models/multilingual/multi-dataset/xtts_v2"),
    "yourtts": Rival("your_tts", COQUI,
                     "tts-server --model_name tts_models/multilingual/multi-dataset/your_tts"),
    # OpenVINO Model Server; its guide on audio converts the model and makes the file of a voice from a clip.
    "speecht5": Rival("microsoft/speecht5_tts", "http://127.0.0.1:8000/v3",
                      "ovms --rest_port 8000 --model_path models/microsoft/speecht5_tts "
                      "--model_name microsoft/speecht5_tts", clips=False),
}


def say(name, words, voice, url=None):
    """Let the system `name` of RIVALS say `words` in `voice`: wav float32 [T] at 16 kHz.

    voice: a clip of 1 to 30 s; for a system that takes no clips, the name of a voice that its server knows.
    url: of its server, None: where RIVALS has it; that of a system with clips runs on this machine, as it
    reads their file.
    Raises ValueError, with the remedy, for a system that is not known, a voice of the wrong kind, a server
    that does not answer, and an answer without sound in it.
    """
    if name not in RIVALS:
        raise ValueError(f"No text-to-speech is called {name!r}: give one of {', '.join(RIVALS)}.")
    rival = RIVALS[name]
    if not rival.clips:
        if not isinstance(voice, str) or Path(voice).is_file():
            raise ValueError(f"{name} takes no clip: give its server the file of a voice, "
                             "then its name here.")
        return asked(name, url or rival.url, words, voice)
    if not is_clip(voice):
        raise ValueError(f"{name} cannot speak by an embedding of ours: give it a clip.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "voice.wav"
        audio.save(path, audio.RATE, audio.prepare(voice, REFERENCE))
        return asked(name, url or rival.url, words, str(path))


def asked(name, url, words, voice):
    """The sound of one request, float32 [T] at 16 kHz."""
    rival = RIVALS[name]
    wanted = {"model": rival.model, "input": words, "voice": voice, "response_format": "wav"}
    request = urllib.request.Request(f"{url}/audio/speech", json.dumps(wanted).encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            sound = answer.read()
    except urllib.error.HTTPError as error:
        said = error.read(200).decode("utf-8", "replace")
        raise ValueError(f"{name} at {url} answers {error.code}: {said}") from error
    except OSError as error:
        raise ValueError(f"No server of {name} at {url} ({error}): start it with `{rival.start}`, "
                         "or give its url.") from error
    try:
        rate, samples = audio.load(sound)
    except ValueError as error:
        raise ValueError(f"{name} at {url} answers without a sound: {sound[:100]!r}") from error
    return audio.resample(samples, rate, audio.RATE)
