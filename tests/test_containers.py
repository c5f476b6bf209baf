"""Sound from phones and browsers, headers that lie, long files."""

import io
import sys

import av
import numpy as np
import pytest
from test_audio import encoded, pitch, tone

from lib import audio

KINDS = [
    ("mp4", "aac"),
    ("mov", "pcm_s16le"),
    ("webm", "libopus"),
    ("adts", "aac"),
    ("caf", "pcm_s16le"),
    ("asf", "wmav2"),
]
RATE = 48000


def recorded(container, codec, seconds=3.0, channels=1):
    """Bytes of a file as a phone or a browser makes it."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(
            codec, rate=RATE, bit_rate=96000, layout="mono" if channels == 1 else "stereo"
        )
        samples = np.round(32767 * tone(seconds=seconds, rate=RATE)).astype("int16")
        frame = av.AudioFrame.from_ndarray(np.repeat(samples, channels)[None], "s16", stream.layout.name)
        frame.sample_rate = RATE
        fifo = av.AudioFifo()
        resampler = av.AudioResampler(stream.format, stream.layout, RATE)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            fifo.write(part)
        for part in fifo.read_many(stream.codec_context.frame_size or 1024, partial=True):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_what_phones_and_browsers_record_is_read(container, codec, channels, tmp_path):
    """Catches a voice memo refused as "no sound", read at another rate, or folded to mono wrongly."""
    path = tmp_path / "memo.bin"
    path.write_bytes(recorded(container, codec, channels=channels))
    rate, samples = audio.load(path)
    assert rate == RATE and abs(len(samples) / rate - 3) < 0.1 and samples.dtype == np.float32
    assert pitch(audio.prepare(path)) == pytest.approx(440, abs=1)
    assert samples[RATE : 2 * RATE].std() == pytest.approx(0.158, abs=0.02)


def test_a_container_is_named_where_pyav_is_missing(monkeypatch):
    """Catches an ImportError, or "is no sound" for a file that plays everywhere else."""
    data = recorded("mp4", "aac")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match="the clip is an m4a or mp4 file, which needs PyAV.*save it as wav"):
        audio.load(data)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6])
@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("webm", "libopus")])
def test_half_a_container_is_refused_or_read_as_far_as_it_goes(container, codec, share):
    """Catches a traceback of ffmpeg, and a memo that broke off without a word (a webm does not know its
    length).
    """
    data = recorded(container, codec)
    try:
        rate, samples = audio.load(data[: int(share * len(data))])
    except ValueError as error:
        assert "the clip " in str(error) and ":" in str(error) and len(str(error)) < 200
    else:
        assert container == "webm" and len(samples) <= 3.1 * rate


def test_a_playlist_opens_nothing(tmp_path):
    """Catches ffmpeg following a path or an address that a visitor wrote into a file."""
    audio.save(tmp_path / "secret.wav", 16000, tone())
    for text in (
        f"#EXTM3U\n#EXTINF:2,\n{tmp_path}/secret.wav\n",
        f"ffconcat version 1.0\nfile {tmp_path}/secret.wav\n",
    ):
        with pytest.raises(ValueError, match="is no sound"):
            audio.load(text.encode())


def test_a_wav_whose_size_nobody_filled_in_is_read_to_its_end():
    """Catches a recorder that was switched off: size 0 or that of its first second in its header, and all of
    the sound behind it; what other programs write behind the sound is none."""
    whole = encoded(tone(), 16000, "WAV")
    data = bytearray(whole)
    for size in (0, 2000):
        data[40:44] = size.to_bytes(4, "little")
        for riff in (data[4:8], bytes(4), b"\xff" * 4):
            data[4:8] = riff
            assert np.array_equal(audio.load(bytes(data))[1], audio.load(whole)[1])
    words = b"LIST" + (9000).to_bytes(4, "little") + bytes(9000)
    assert np.array_equal(audio.load(whole + words)[1], audio.load(whole)[1])


@pytest.mark.parametrize("suffix", ["ogg", "mp3", "flac", "wav"])
def test_five_minutes_are_saved(suffix, tmp_path):
    """Catches the Vorbis encoder's stack, which 140 s at once overflow: the process dies."""
    wav = np.tile(tone(seconds=10), 30)
    audio.save(tmp_path / f"long.{suffix}", 16000, wav)
    rate, back = audio.load(tmp_path / f"long.{suffix}")
    assert abs(len(back) / rate - 300) < 0.1
    assert pitch(back[-32000:]) == pytest.approx(440, abs=1)


def test_a_source_over_the_limit_is_told_a_length_over_the_limit():
    """Catches "has 60 s; the limit is 60 s"."""
    with pytest.raises(ValueError, match="has 61 s; the limit is 60 s"):
        audio.source((16000, tone(seconds=60.3)))
