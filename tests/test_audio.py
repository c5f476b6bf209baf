"""Sound in and out: every format and every fault a visitor brings, and spectrograms against slow twins."""

import io

import numpy as np
import pytest
import soundfile

from lib import audio


def tone(hz=440.0, seconds=2.0, rate=16000, level=0.2):
    """A vowel-like tone with two harmonics, float32 [T]."""
    t = np.arange(int(seconds * rate)) / rate
    return (level * (np.sin(2 * np.pi * hz * t) + 0.5 * np.sin(4 * np.pi * hz * t))).astype("float32")


def encoded(samples, rate, kind, subtype=None):
    """Bytes of a sound file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def pitch(wav, rate=audio.RATE):
    """Frequency in Hz of the strongest partial."""
    return np.abs(np.fft.rfft(wav * np.hanning(len(wav)))).argmax() * rate / len(wav)


# ---------------------------------------------------------------- what a visitor may bring

FORMATS = [
    ("WAV", "PCM_U8"),
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("MP3", "MPEG_LAYER_III"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 44100, 48000])
@pytest.mark.parametrize(("kind", "subtype"), FORMATS)
def test_every_format_rate_and_channel_count_becomes_the_same_sound(kind, subtype, rate, channels):
    """Catches a format that is scaled, resampled or folded to mono wrongly: pitch, length or level would
    change.
    """
    if subtype == "OPUS" and rate == 44100:
        rate = 24000  # Opus has no 44.1 kHz
    data = encoded(np.stack([tone(rate=rate)] * channels, 1), rate, kind, subtype)
    found, samples = audio.load(data)
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert abs(len(samples) / found - 2) < 0.08
    assert samples[len(samples) // 4 : -len(samples) // 4].std() == pytest.approx(0.158, abs=0.02)
    wav = audio.prepare(data)
    assert wav.dtype == np.float32 and abs(len(wav) / audio.RATE - 2) < 0.12
    assert pitch(wav) == pytest.approx(440, abs=1)
    assert audio.speech_level(wav) == pytest.approx(audio.LEVEL_DB, abs=0.5)


def test_path_bytes_and_tuple_give_the_same_samples(tmp_path):
    """Catches a source kind that takes another way through the code."""
    path = tmp_path / "a b.wav"
    audio.save(path, 16000, tone())
    rate, samples = audio.load(path)
    for source in (str(path), path.read_bytes(), (rate, samples)):
        again = audio.load(source)
        assert again[0] == rate and np.array_equal(again[1], samples)


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint8", "float32", "float64"])
def test_integer_arrays_are_scaled_to_one(dtype):
    """Catches gradio's int16 arrays arriving 32,768 times too loud, or unsigned bytes with a DC offset of
    one.
    """
    wav = tone()
    scaled = wav
    if dtype != "uint8" and dtype.startswith("int"):
        scaled = np.round(wav * np.iinfo(dtype).max)
    if dtype == "uint8":
        scaled = np.round(wav * 127 + 128)
    for samples in (scaled.astype(dtype), np.stack([scaled, scaled], 1).astype(dtype)):
        rate, found = audio.load((16000, samples))
        assert rate == 16000 and found.shape == wav.shape
        assert np.abs(found - wav).max() < (0.01 if dtype == "uint8" else 1e-4)


def test_a_channel_that_is_upside_down_is_turned():
    """Catches a mono mix that cancels to silence (a plug wired the wrong way), and turning where nothing is
    wrong.
    """
    assert np.allclose(audio.load((16000, np.stack([tone(), -tone()], 1)))[1], tone())
    wide = np.stack([tone(300), tone(500)], 1)
    assert np.allclose(audio.load((16000, wide))[1], wide.mean(1))


@pytest.mark.parametrize("channels", [1, 2])
def test_channels_in_rows_are_taken_as_channels(channels):
    """Catches (rate, samples [1, T]), as torch has it, averaged to a single sample."""
    assert np.allclose(audio.load((16000, np.stack([tone()] * channels)))[1], tone())


@pytest.mark.parametrize(
    ("kind", "channels", "place"),
    [("WAV", 6, 3), ("FLAC", 6, 3), ("OGG", 6, 5), ("array", 6, 3), ("array", 8, 3)],
)
def test_the_rumble_of_a_film_is_left_out(kind, channels, place):
    """Catches the channel for effects (LFE) mixed into the voice it would drown."""
    parts = np.zeros((32000, channels), "float32")
    parts[:, 0 if place == 3 else 1] = tone(440)
    parts[:, place] = tone(50, level=0.6)
    clip = (16000, parts) if kind == "array" else encoded(parts, 16000, kind)
    assert pitch(audio.load(clip)[1]) == pytest.approx(440, abs=1)


# ---------------------------------------------------------------- faults, each with its remedy

BAD = {
    "0 bytes": (b"", "is empty"),
    "text": (b"this is no sound at all" * 50, "is no sound"),
    "not there": ("nowhere/voice.wav", "There is no file 'voice.wav'"),
    "a folder": (".", "There is no file"),
    "over 20 MB": (b"RIFF" + bytes(20_000_001), "limit is 20 MB"),
    "header only": (encoded(np.zeros(0, "float32"), 16000, "WAV"), "holds no sound"),
    "half a header": (encoded(tone(), 16000, "WAV")[:20], "is no sound|is cut off"),
    "half a wav": (encoded(tone(), 16000, "WAV")[:20000], "is cut off"),
    "half a flac": (encoded(tone(), 16000, "FLAC")[:4000], "is cut off|is no sound"),
    "half an ogg": (encoded(tone(), 16000, "OGG", "VORBIS")[:5000], "is cut off|holds no sound|is no sound"),
    "empty array": ((16000, np.zeros(0, "float32")), "not empty"),
    "a scalar": ((16000, np.float32(1)), "not empty"),
    "three axes": ((16000, np.zeros((2, 2, 1000))), "mono or stereo"),
    "no rate": ((0, tone()), "at 0 Hz"),
    "nan": ((16000, np.where(np.arange(32000) == 7, np.nan, tone())), "not numbers"),
    "infinite": ((16000, np.where(np.arange(32000) == 7, np.inf, tone())), "not numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_clips_are_refused_with_the_fault_and_the_remedy(name):
    """Catches a fault that crashes inside a decoder, or passes as sound, instead of telling the visitor what
    to do.
    """
    source, said = BAD[name]
    with pytest.raises(ValueError, match=said) as caught:
        audio.load(source)
    assert ":" in str(caught.value) and len(str(caught.value)) < 200
    report = audio.check(source)
    assert report.fatal and report.problems == (str(caught.value),)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")]
)
def test_truncated_files_are_noticed_wherever_they_end(kind, subtype, share, tmp_path):
    """Catches an upload that broke off and speaks in a voice made from its first second, without a word to
    the visitor.
    """
    data = encoded(tone(seconds=4), 16000, kind, subtype)
    path = tmp_path / "cut.bin"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match="cut.bin (is cut off|is no sound|holds no sound)"):
        audio.load(path)


def test_silence_and_too_little_sound_are_refused():
    """Catches an embedding of nothing: silence has no voice, and half a second of padding is no second of
    speech.
    """
    with pytest.raises(ValueError, match="silent"):
        audio.prepare((16000, np.zeros(48000, "float32")))
    with pytest.raises(ValueError, match="silent"):
        audio.prepare((16000, np.full(48000, 0.3, "float32")))  # DC is not sound
    short = np.concatenate([np.zeros(32000), tone(seconds=0.5), np.zeros(32000)]).astype("float32")
    with pytest.raises(ValueError, match=r"0\.[67] s of sound: at least 1 s"):
        audio.prepare((16000, short))
    assert len(audio.prepare((16000, short), seconds=(0.3, 30.0))) > 0


# ---------------------------------------------------------------- levels


def test_edges_are_trimmed_dc_removed_and_level_set():
    """Catches a reference whose silence, offset or loudness leaks into the voice."""
    edge = np.zeros(16000, "float32")
    wav = audio.prepare((16000, np.concatenate([edge, tone(level=0.02), edge]) + np.float32(0.05)))
    assert 2.0 <= len(wav) / audio.RATE < 2.3
    assert abs(wav.mean()) < 1e-3
    assert audio.speech_level(wav) == pytest.approx(audio.LEVEL_DB, abs=0.5)
    assert np.allclose(
        audio.prepare((16000, tone(level=0.5))), audio.prepare((16000, tone(level=0.01))), atol=1e-3
    )


def test_spectral_subtraction_takes_hiss_from_pauses_and_leaves_voices():
    """Catches a gate that eats what it should keep: words between pauses, a tone that never pauses, clips of
    a few samples, silence.
    """
    t, rng = np.arange(audio.RATE * 2) / audio.RATE, np.random.default_rng(0)
    loud, deep = (
        t % 1 < 0.6,
        (t % 1 > 0.65) & (t % 1 < 0.95),
    )  # words of noise, and what is well inside the pauses between them
    hissing = (rng.standard_normal(len(t)) * np.where(loud, 0.1, 0.002)).astype("float32")
    cleaned = audio.spectral_subtraction(hissing)
    assert cleaned.shape == hissing.shape and cleaned.dtype == np.float32

    def db(wav, of):
        return 10 * np.log10((wav**2).mean() / (of**2).mean())

    assert db(cleaned[deep], hissing[deep]) < -6 and db((cleaned - hissing)[loud], hissing[loud]) < -25
    tone = (0.2 * np.sin(2 * np.pi * 200 * t)).astype("float32")
    assert -2 < db(audio.spectral_subtraction(tone), tone) < 0.01
    assert (
        audio.spectral_subtraction(tone[:100]).shape == (100,)
        and not audio.spectral_subtraction(0 * tone).any()
    )


def test_normalise_keeps_peaks_below_full_scale():
    """Catches a click that is amplified past one and then clipped by every 16-bit file."""
    wav = tone(level=0.003)
    wav[5000] = 0.5
    assert np.abs(audio.normalise(wav)).max() == pytest.approx(0.97, abs=1e-3)


def test_a_long_clip_gives_its_loudest_stretch_without_clipping():
    """Catches a 30 s window chosen for its clipped part, or simply the first 30 s."""
    rng = np.random.default_rng(0)
    quiet, clipped = 0.003 * rng.standard_normal(8 * 16000), np.sign(tone(800, 6))
    wav = audio.prepare((16000, np.concatenate([quiet, tone(400, 30, level=0.1), clipped]).astype("float32")))
    assert 29.5 < len(wav) / audio.RATE <= 30
    assert pitch(wav) == pytest.approx(400, abs=1)
    assert np.abs(wav).max() < 0.97


def test_resample_keeps_pitch_and_removes_what_the_new_rate_cannot_hold():
    """Catches aliasing, and a resampler called with its rates exchanged."""
    wav = audio.resample(tone(440, 1, 48000) + tone(11000, 1, 48000), 48000, 16000)
    assert len(wav) == 16000 and wav.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(wav * np.hanning(len(wav))))
    assert spectrum.argmax() == 440 and spectrum[4000:7900].max() < 1e-3 * spectrum.max()
    same = tone()
    assert audio.resample(same, 16000, 16000) is same


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_saved_sound_can_be_loaded_again(suffix, tmp_path):
    """Catches a download the visitor cannot open, and wrap-around of samples above one."""
    path = tmp_path / f"out.{suffix}"
    audio.save(path, 16000, tone(level=0.9))  # peaks at 1.17: must be clipped, not wrapped
    rate, wav = audio.load(path)
    assert rate == 16000 and abs(len(wav) - 32000) < 2500
    middle = slice(8000, 24000)
    assert pitch(wav[middle]) == pytest.approx(440, abs=2) and np.abs(np.diff(wav[middle])).max() < 0.7


def test_encoded_sound_is_read_back_as_it_was():
    """Catches rows made from changed sound that differ from what was changed."""
    wav = (0.3 * np.sin(np.arange(16000) / 20)).astype("float32")
    rate, back = audio.load(audio.encoded(wav))
    assert rate == audio.RATE and np.abs(back - wav).max() < 1e-4
