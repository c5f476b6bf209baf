"""The interface to other people's text-to-speech, against a local server that answers as theirs do; none of
their models runs here."""
import contextlib
import http.server
import io
import json
import threading

import numpy as np
import pytest
import soundfile

from lib import audio
from lib.voices import rivals, tune
from lib.voices.rivals import RIVALS, say

VOICE = (audio.RATE, 0.1 * np.random.default_rng(0).standard_normal(3 * audio.RATE).astype("float32"))


@contextlib.contextmanager
def server(answer):
    """The url of a server of the speech interface; answer(request as a dict) gives (status, bytes)."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, sound = answer(body) if self.path == "/v1/audio/speech" else (404, b"no such page")
            self.send_response(status)
            self.end_headers()
            self.wfile.write(sound)

        def log_message(self, *_):
            pass
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{served.server_port}/v1"
    finally:
        served.shutdown()
        served.server_close()


def hummed(body):
    """A second of a tone at 24 kHz, the louder the longer the text."""
    file = io.BytesIO()
    level = 0.01 * len(body["input"])
    soundfile.write(file, level * np.sin(np.arange(24_000) * 0.05), 24_000, format="WAV")
    return 200, file.getvalue()


@pytest.mark.parametrize("name", ["xtts", "yourtts"])
def test_a_sentence_and_a_clip_go_out_and_sound_comes_back(name):
    """Catches a voice that is not sent, and sound at the rate of the server."""
    heard = []

    def answer(body):
        rate, samples = audio.load(body["voice"])  # the file of the clip, which is there while it speaks
        heard.append(body | {"voice": len(samples) / rate})
        return hummed(body)
    with server(answer) as url:
        short = say(name, "Good.", VOICE, url)
        long = say(name, "Good morning.", VOICE, url)
    assert short.dtype == np.float32 and len(short) == audio.RATE
    assert np.abs(long).max() > 2 * np.abs(short).max()
    assert heard[0] == {"model": RIVALS[name].model, "input": "Good.", "voice": 3.0, "response_format": "wav"}


def test_a_system_without_clips_is_given_the_name_of_a_voice(tmp_path):
    with server(lambda body: hummed(body | {"input": body["voice"]})) as url:
        assert np.abs(say("speecht5", "Good.", "mine", url)).max() == pytest.approx(0.04, abs=0.001)
        for clip in (VOICE, str(audio.save(tmp_path / "a.wav", *VOICE) or tmp_path / "a.wav")):
            with pytest.raises(ValueError, match="takes no clip: give its server the file of a voice"):
                say("speecht5", "Good.", clip, url)


def test_what_goes_wrong_names_the_remedy():
    with pytest.raises(ValueError, match="give one of xtts, yourtts, speecht5"):
        say("sam", "Good.", VOICE)
    with pytest.raises(ValueError, match="give it a clip"):
        say("xtts", "Good.", np.ones(192))
    said = pytest.raises(ValueError, match="answers 500: TTS synthesis failed")
    with server(lambda body: (500, b"TTS synthesis failed")) as url, said:
        say("xtts", "Good.", VOICE, url)
    said = pytest.raises(ValueError, match="without a sound: b'<html>'")
    with server(lambda body: (200, b"<html>")) as url, said:
        say("xtts", "Good.", VOICE, url)
    with pytest.raises(ValueError, match="start it with `tts-server --model_name .*xtts_v2`"):
        say("xtts", "Good.", VOICE, url)  # nobody is there any more


def test_tuning_takes_their_sentences_by_name(monkeypatch):
    """Catches a name that goes to our own synthesiser."""
    with server(hummed) as url:
        monkeypatch.setitem(rivals.RIVALS, "xtts", rivals.Rival("xtts_v2", url, "tts-server"))
        told = []
        wavs = tune.spoken(None, VOICE, 0, lambda *words: told.append(words), ["One.", "Two, three."], "xtts")
    assert [len(wav) for wav in wavs] == [audio.RATE] * 2
    assert [words for _, words in told] == ["sentence 1 of 2", "sentence 2 of 2"]
