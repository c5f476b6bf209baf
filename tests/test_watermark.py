"""The mark of what a machine made: found in all that leaves, after what happens to files, and nowhere else.

The sounds are those of the embedded corpus: virtual voices, made by another machine, without our mark."""
import ast
from pathlib import Path

import numpy as np
import pytest
import soundfile
from watermark_table import PROMISED

from lib import audio
from lib.audio import watermark
from lib.data import corpus
from lib.tabs import marked
from lib.voices.speech import Speech

FIRST_CHIPS = [1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 1]
TABS = Path(marked.__file__).parent
EVERY = 9  # of 230 clips


@pytest.fixture(scope="module")
def clips():
    """26 clips of 23 voices, float32 [T]."""
    return [corpus.wav(row) for row in corpus.rows()[::EVERY]]


@pytest.fixture(scope="module")
def outputs(clips):
    """The same, marked."""
    return [watermark.embed(wav, audio.RATE) for wav in clips]


def found(rate, wav):
    return watermark.detect((rate, wav)).found


@pytest.mark.parametrize("attack", PROMISED)
def test_the_mark_is_found_after_what_happens_to_files(outputs, attack):
    """Catches a mark that MP3, a telephone, a cut or another level destroys."""
    scores = [watermark.detect(PROMISED[attack](audio.RATE, wav)).score for wav in outputs]
    assert min(scores) >= watermark.THRESHOLD, np.round(scores, 1)


def test_nothing_is_found_where_nothing_was_marked(clips):
    """Catches a threshold that chance reaches: clips, parts of them, and noise."""
    parts = [wav[start: start + 8000] for wav in clips for start in range(0, len(wav), 8000)]
    noise = np.random.default_rng(0).standard_normal((40, 16000)).astype("float32")
    sounds = [*clips, *(part for part in parts if np.any(part)), *noise]
    assert len(sounds) > 200 and not any(found(audio.RATE, wav) for wav in sounds)


@pytest.mark.parametrize("seconds", [0.6, 0.9, 1.5])
def test_short_sounds_are_marked(clips, seconds):
    """Catches a pattern that needs more sound than "Hello there." has."""
    size = int(seconds * audio.RATE)
    for wav in clips:
        assert found(audio.RATE, watermark.embed(wav[4000: 4000 + size], audio.RATE))


@pytest.mark.parametrize("rate", [8000, 22050, 24000, 44100, 48000])
def test_every_rate_is_marked(clips, rate):
    """Catches a mark that is bound to 16 kHz, and one that moves when the rate changes."""
    for wav in clips[:6]:
        output = watermark.embed(audio.resample(wav, audio.RATE, rate), rate)
        assert found(rate, output) and found(16000, audio.resample(output, rate, 16000))


def test_the_mark_lies_under_the_sound(clips, outputs):
    """Catches a mark that can be heard: on average 18 dB under the sound, and nothing above 3.5 kHz."""
    under = []
    for wav, output in zip(clips, outputs, strict=True):
        added = output - wav
        spectrum = np.abs(np.fft.rfft(added)) ** 2
        above = spectrum[int(3500 * len(wav) / audio.RATE):].sum() / spectrum.sum()
        under.append(10 * np.log10((added**2).mean() / (wav**2).mean()))
        assert above < 0.01 and len(output) == len(wav) and output.dtype == np.float32
    assert np.mean(under) < -18 and max(under) < -12


def test_a_marked_part_of_a_long_recording_is_found(clips, outputs):
    """Catches a search that only sees the mean of a clip."""
    long = np.concatenate(clips[:14])
    part = max(outputs, key=len)[: 6 * audio.RATE]
    assert len(part) > 4 * audio.RATE and len(long) > 30 * audio.RATE
    assert not found(audio.RATE, long)
    for at in (0, 123457, len(long)):
        assert found(audio.RATE, np.concatenate([long[:at], part, long[at:]]))


def test_the_pattern_is_the_same_everywhere(clips):
    """Catches a pattern that another version of numpy draws otherwise: files of last year must be found."""
    chips = watermark.pattern()
    assert chips.shape == (33, 32) and set(np.unique(chips)) == {-1, 1} and abs(chips.mean()) < 0.1
    assert (chips[0, :16] > 0).astype(int).tolist() == FIRST_CHIPS
    again = [watermark.embed(clips[0], audio.RATE) for _ in range(2)]
    assert np.array_equal(*again)


@pytest.mark.parametrize("wav", [np.ones(300, "float32") * 0.1, np.full(16000, np.nan, "float32")])
def test_what_cannot_be_marked_is_refused(wav, tmp_path):
    """Fail closed: too short for a mark, or no sound at all, is not given out."""
    with pytest.raises(ValueError, match="cannot be marked|not numbers"):
        Speech(audio.RATE, wav).save(tmp_path / "never.wav")
    assert not list(tmp_path.iterdir())


def test_silence_has_nothing_to_mark():
    assert np.array_equal(watermark.embed(np.zeros(100, "float32"), 16000), np.zeros(100))
    assert not found(16000, np.zeros(16000))


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_a_saved_file_is_marked_and_says_so(clips, tmp_path, suffix):
    """Catches a format without label, a label that names no model, and a save that changes the Speech."""
    speech = Speech(audio.RATE, clips[0].copy(), {"checkpoint": "tiny-tts"})
    path = speech.save(tmp_path / f"a.{suffix}")
    assert np.array_equal(speech.wav, clips[0])
    assert watermark.detect(path).found
    with soundfile.SoundFile(path) as file:
        assert "Synthetic" in file.comment and "tiny-tts" in file.comment and file.date[:2] == "20"
        assert file.software.startswith("LAME" if suffix == "mp3" else "Voice Atlas")


def test_voices_know_their_own(tiny_voices, clips, outputs, tmp_path):
    """is_marked takes what others take: a path, bytes, samples, a Speech."""
    Speech(audio.RATE, clips[1]).save(tmp_path / "a.wav")
    for clip in (tmp_path / "a.wav", (tmp_path / "a.wav").read_bytes(), (audio.RATE, outputs[0])):
        assert tiny_voices.is_marked(clip)
    assert not tiny_voices.is_marked(Speech(audio.RATE, clips[1]))


def test_what_the_app_speaks_is_marked(say, clip, visitor):
    """The real app: its sound is marked, the reference is not, and its box tells one from the other."""
    from gradio_client import handle_file

    sound, _, _ = say(clip)
    assert watermark.detect(sound).found and not watermark.detect(clip).found
    for path, words in ((sound, "**Marked"), (clip, "**No mark")):
        answer = visitor.predict(handle_file(str(path)), api_name="/is_marked")
        assert answer["marked"] == (path == sound) == (answer["score"] >= watermark.THRESHOLD)
        assert marked.report(path).startswith(words)
    assert marked.report(None) == ""


def test_every_sound_leaves_through_one_door():
    """Catches a tab that writes a sound past Speech.save, which marks it; only examples are brought as they
    are."""
    doors = set()
    for path in TABS.glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                for call in ast.walk(function):
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                        if call.func.attr in ("save", "encoded", "write") and is_audio(call.func.value):
                            doors.add((path.name, function.name))
    brought = {(name, "examples") for name in ("speak.py", "extract.py", "clean.py")}
    marked = {("plays.py", "side_by_side")}  # of a result it gets the file that left, with its mark
    assert doors == brought | marked


def is_audio(value):
    """Whether a call is made on a module that writes sound."""
    return isinstance(value, ast.Name) and value.id in ("audio", "soundfile", "sf")
