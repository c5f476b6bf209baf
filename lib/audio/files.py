"""Sound files in and out: formats, rates.  The only door to soundfile and soxr."""
import contextlib
import io
from pathlib import Path

import numpy as np
import soundfile
import soxr

from lib.audio import containers
from lib.audio.frames import RATE

# Of an upload; what lies beyond is never decoded.
MAX_BYTES = 20_000_000
MAX_SECONDS = 600
MAX_SAMPLES = 60_000_000  # of all channels together
RATES = (1000, 384000)  # Hz, the lowest and highest that are believed
MAX_CHANNELS = 32  # an array [n, T] with more columns than that holds its channels in rows
BLOCK = 1600  # samples that are read at once from a file with a broken end
WHOLE = 0.9  # of what its header promises a file must hold
ENDLESS = 0x7FFFF000  # bytes; who streams a wav does not know its size and writes that much or more
UNSIZED = 4096  # bytes behind the end that a header gives: with more, nobody filled the size in
PIECE = 10  # s that are written at once: the Vorbis encoder of libsndfile keeps a piece on its stack
# Channel that holds no speech but the rumble of a film, by number of channels: 5.1 and 7.1.
LFE = {6: 3, 8: 3}
OGG_LFE = {6: 5, 8: 7}  # Vorbis and Opus put it last
CANCELLED = 0.01  # of the power of two channels is left in their sum: one of them is upside down


def load(source):
    """Read sound as (rate in Hz, mono float32 [T]) without changing its rate or level.

    source: path, bytes of a file (wav, flac, mp3, ogg, aiff, au; m4a, mp4, webm, aac with PyAV), or (rate,
    samples [T], [T, channels] or [channels, T]; integers are scaled). Raises ValueError naming the fault and
    the remedy: no such file, empty, not audio, over 20 MB, cut off, not finite.
    """
    lfe = LFE
    if isinstance(source, tuple):
        rate, samples = source
        samples = _scaled(np.asarray(samples))
    else:
        rate, samples, lfe = _decode(source)
    samples = np.asarray(samples, dtype="float32")
    if samples.ndim == 2:
        samples = _mono(samples, lfe)
    if samples.ndim != 1 or not len(samples) or not RATES[0] <= rate <= RATES[1]:
        raise ValueError(f"This clip has shape {samples.shape} at {rate} Hz: "
                         "give mono or stereo sound, not empty.")
    if not np.isfinite(samples).all():
        raise ValueError("This clip holds values that are not numbers: "
                         "export it again as wav, flac, mp3 or ogg.")
    return int(rate), samples


def _scaled(samples):
    """Integers brought to -1 .. 1; unsigned bytes have their zero at 128."""
    if samples.dtype.kind not in "iu":
        return samples
    if samples.dtype == np.uint8:
        return (samples.astype("float32") - 128) / 128.0
    return samples.astype("float32") / float(np.iinfo(samples.dtype).max)


def _mono(samples, lfe):
    """The mean of the channels of samples [T, channels] or [channels, T] that hold speech: [T].

    lfe: {number of channels: which of them is left out}.  A channel that is upside down is turned.
    """
    if samples.shape[1] > MAX_CHANNELS:
        samples = samples.T
    channels = samples.shape[1]
    if channels in lfe:
        samples = np.delete(samples, lfe[channels], axis=1)
    mono = samples.mean(1)
    if channels == 2 and (mono**2).mean() < CANCELLED * (samples**2).mean():
        return (samples[:, 0] - samples[:, 1]) / 2
    return mono


def _read_bytes(source):
    """(name, bytes) of a path or of bytes.  Raises ValueError for what is not there, empty or too large."""
    name = "the clip"
    if not isinstance(source, (bytes, bytearray)):
        path = Path(source)
        name = path.name
        if not path.is_file():
            raise ValueError(f"There is no file {name!r}: choose the clip again.")
        source = path.read_bytes()
    if not source:
        raise ValueError(f"{name} is empty (0 bytes): record or upload it again.")
    if len(source) > MAX_BYTES:
        size = len(source) / 1e6
        limit = MAX_BYTES / 1e6
        raise ValueError(f"{name} has {size:.0f} MB, the limit is {limit:.0f} MB: cut it to half a minute.")
    return name, bytes(source)


def _decode(source):
    """(rate, samples [T, channels], place of the LFE) of a path or of bytes; at most MAX_SECONDS."""
    name, data = _read_bytes(source)
    data = _sized(data)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate = file.samplerate
            lfe = OGG_LFE if file.format == "OGG" else LFE
            promised = min(len(file), MAX_SECONDS * rate, MAX_SAMPLES // file.channels)
        samples = _samples(data, promised)
    except (soundfile.SoundFileError, RuntimeError, ValueError, OSError) as error:
        container = containers.recognise(data)
        if not container:
            raise ValueError(f"{name} is no sound, or lacks its beginning: "
                             "choose a wav, flac, mp3, ogg, m4a or webm.") from error
        rate, samples, seconds = containers.decode(data, container, name, MAX_SECONDS, MAX_SAMPLES)
        lfe = LFE
        promised = int(seconds * rate)
    if not promised and not len(samples):
        raise ValueError(f"{name} holds no sound (0 samples): record or upload it again.")
    if len(samples) < WHOLE * promised or _cut_off(data):
        seconds = len(samples) / rate
        raise ValueError(f"{name} is cut off after {seconds:.1f} s: save or upload it again, as a whole.")
    return rate, samples, lfe


def _samples(data, promised):
    """Samples [T, channels] of an encoded file, T at most `promised`; fewer where its end cannot be read.

    One read if possible: soundfile seeks after every read, and an mp3 decoder then stumbles over the next
    frame.
    """
    with contextlib.suppress(soundfile.SoundFileError), soundfile.SoundFile(io.BytesIO(data)) as file:
        return file.read(promised, dtype="float32", always_2d=True)
    blocks = [np.zeros((0, 1), "float32")]
    with contextlib.suppress(soundfile.SoundFileError), soundfile.SoundFile(io.BytesIO(data)) as file:
        blocks[0] = np.zeros((0, file.channels), "float32")
        for _ in range(0, promised, BLOCK):  # some Opus files fail in their last packet only: keep the rest
            blocks.append(file.read(BLOCK, dtype="float32", always_2d=True))
    return np.concatenate(blocks)[:promised]


def _cut_off(data):
    """Whether a wav or ogg file says itself that bytes are missing at its end; libsndfile reads both without
    a word.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _wav_cut_off(data)
    if data[:4] == b"OggS":
        return _ogg_cut_off(data)
    return False


def _data_chunk(data):
    """Where the header of a wav file's data chunk lies, and the size it gives; beyond the end where there is
    none.
    """
    at = 12  # behind RIFF, size, WAVE
    while at + 8 <= len(data) and data[at:at + 4] != b"data":
        size = int.from_bytes(data[at + 4:at + 8], "little")
        at += 8 + size + size % 2
    return at, int.from_bytes(data[at + 4:at + 8], "little")


def _wav_cut_off(data):
    """Whether the data chunk of a wav file is longer than the file."""
    at, size = _data_chunk(data)
    return size < ENDLESS and at + 8 + 0.99 * size > len(data)


def _sized(data):
    """The bytes of a wav file whose data chunk says too small a size, with the size put in: a recorder was
    switched off before it wrote how long the sound became.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return data
    at, size = _data_chunk(data)
    rest = len(data) - at - 8
    end = at + 8 + size + size % 2
    if rest - size < UNSIZED or (size and _is_chunk(data, end)):
        return data
    whole = (len(data) - 8).to_bytes(4, "little")
    return data[:4] + whole + data[8:at + 4] + rest.to_bytes(4, "little") + data[at + 8:]


def _is_chunk(data, at):
    """Whether another chunk of a wav file begins here, as behind sound that ends where its header says."""
    size = int.from_bytes(data[at + 4:at + 8], "little")
    return data[at:at + 4].isascii() and data[at:at + 4].decode().isprintable() and at + size <= len(data)


def _ogg_cut_off(data):
    """Whether the last page of an ogg file is shorter than its table of lengths says."""
    at = data.rfind(b"OggS")
    if at + 27 > len(data):
        return True
    segments = data[at + 26]
    lengths = data[at + 27:at + 27 + segments]
    return len(lengths) < segments or at + 27 + segments + sum(lengths) > len(data)


def resample(wav, rate, to_rate):
    """Resample float32 [T] (or [T, channels]) from `rate` to `to_rate` Hz."""
    if rate == to_rate:
        return wav
    return soxr.resample(wav, rate, to_rate).astype("float32")


def save(path, rate, wav, **labels):
    """Write float32 [T] as 16-bit sound; the suffix of `path` chooses the format.

    labels: what players and archives show (LIST INFO of a wav, ID3 of an mp3, comments of flac and ogg):
    software, comment, date and others of libsndfile's.
    """
    lossy = str(path).endswith((".mp3", ".ogg"))
    subtype = None if lossy else "PCM_16"
    piece = PIECE * rate
    with soundfile.SoundFile(str(path), "w", rate, 1, subtype) as file:
        for name, words in labels.items():
            setattr(file, name, words)
        for start in range(0, len(wav), piece):
            file.write(np.clip(wav[start: start + piece], -1, 1))


def encoded(wav, rate=RATE):
    """Give the bytes of a FLAC file of float32 [T], such as a row of a corpus holds."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(wav, -1, 1), rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()
