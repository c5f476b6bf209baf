"""Sound files in and out: formats, rates.  The only door to soundfile and soxr."""
import contextlib
import io
from pathlib import Path

import numpy as np
import soundfile
import soxr

from lib.audio.frames import RATE

MAX_BYTES, MAX_SECONDS, MAX_SAMPLES = 20_000_000, 600, 60_000_000  # of an upload; what lies beyond is never decoded


def load(source):
    """Read sound as (rate in Hz, mono float32 [T]) without changing its rate or level.

    source: path, bytes of a file (wav, flac, mp3, ogg), or (rate, samples [T] or [T, channels]; integers are scaled).
    Raises ValueError naming the fault and the remedy: no such file, empty, not audio, over 20 MB, cut off, not finite.
    """
    if isinstance(source, tuple):
        rate, samples = source
        samples = np.asarray(samples)
        if samples.dtype.kind in "iu":
            offset = 128 if samples.dtype == np.uint8 else 0
            samples = (samples.astype("float32") - offset) / float(offset or np.iinfo(samples.dtype).max)
    else:
        rate, samples = _decode(source)
    samples = np.asarray(samples, dtype="float32")
    samples = samples.mean(1) if samples.ndim == 2 else samples
    if samples.ndim != 1 or not len(samples) or not 1000 <= rate <= 384000:
        raise ValueError(f"This clip has shape {samples.shape} at {rate} Hz: give mono or stereo sound, not empty.")
    if not np.isfinite(samples).all():
        raise ValueError("This clip holds values that are not numbers: export it again as wav, flac, mp3 or ogg.")
    return int(rate), samples


def _decode(source):
    """(rate, samples [T, channels]) of a path or of bytes; at most MAX_SECONDS."""
    name = "the clip"
    if not isinstance(source, (bytes, bytearray)):
        name, path = Path(source).name, Path(source)
        if not path.is_file():
            raise ValueError(f"There is no file {name!r}: choose the clip again.")
        source = path.read_bytes()
    if not source:
        raise ValueError(f"{name} is empty (0 bytes): record or upload it again.")
    if len(source) > MAX_BYTES:
        size, limit = len(source) / 1e6, MAX_BYTES / 1e6
        raise ValueError(f"{name} has {size:.0f} MB, the limit is {limit:.0f} MB: cut it to half a minute.")
    try:
        with soundfile.SoundFile(io.BytesIO(source)) as file:
            rate = file.samplerate
            promised = min(len(file), MAX_SECONDS * rate, MAX_SAMPLES // file.channels)
        samples = _samples(source, promised)
    except (soundfile.SoundFileError, RuntimeError, ValueError, OSError) as error:
        raise ValueError(f"{name} is no sound, or lacks its beginning: choose a wav, flac, mp3 or ogg.") from error
    if not promised:
        raise ValueError(f"{name} holds no sound (0 samples): record or upload it again.")
    if len(samples) < 0.9 * promised or _cut_off(bytes(source)):
        raise ValueError(f"{name} is cut off after {len(samples) / rate:.1f} s: save or upload it again, as a whole.")
    return rate, samples


def _samples(source, promised):
    """Samples [T, channels] of an encoded file, T at most `promised`; fewer where its end cannot be read.

    One read if possible: soundfile seeks after every read, and an mp3 decoder then stumbles over the next frame.
    """
    with contextlib.suppress(soundfile.SoundFileError), soundfile.SoundFile(io.BytesIO(source)) as file:
        return file.read(promised, dtype="float32", always_2d=True)
    blocks = []
    with contextlib.suppress(soundfile.SoundFileError), soundfile.SoundFile(io.BytesIO(source)) as file:
        for _ in range(0, promised, 1600):  # some Opus files fail in their last packet only: keep the rest
            blocks.append(file.read(1600, dtype="float32", always_2d=True))
    return np.concatenate(blocks)[:promised] if blocks else np.zeros((0, 1), "float32")


def _cut_off(data):
    """Whether a wav or ogg file says itself that bytes are missing at its end; libsndfile reads both without a word."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        at = 12
        while at + 8 <= len(data) and data[at:at + 4] != b"data":
            at += 8 + int.from_bytes(data[at + 4:at + 8], "little") + data[at + 4] % 2
        size = int.from_bytes(data[at + 4:at + 8], "little")
        return size < 0x7FFFF000 and at + 8 + 0.99 * size > len(data)  # who streams a wav writes the largest size
    if data[:4] == b"OggS":
        at = data.rfind(b"OggS")
        lengths = data[at + 27:at + 27 + data[at + 26]] if at + 27 <= len(data) else b""
        return at + 27 + len(lengths) + sum(lengths) > len(data) or len(lengths) < data[at + 26]
    return False


def resample(wav, rate, to_rate):
    """Resample float32 [T] (or [T, channels]) from `rate` to `to_rate` Hz."""
    return wav if rate == to_rate else soxr.resample(wav, rate, to_rate).astype("float32")


def save(path, rate, wav):
    """Write float32 [T] as 16-bit sound; the suffix of `path` chooses the format."""
    soundfile.write(str(path), np.clip(wav, -1, 1), rate, subtype=None if str(path).endswith((".mp3", ".ogg")) else "PCM_16")


def encoded(wav, rate=RATE):
    """Bytes of a FLAC file of float32 [T], such as a row of a corpus holds."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(wav, -1, 1), rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()
