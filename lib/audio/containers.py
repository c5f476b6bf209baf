"""Sound in the containers of phones and browsers: m4a, mp4, webm, aac.  The only door to PyAV, loaded when
needed.
"""
import io
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Container:
    """A kind of file that libsndfile does not read: what people call it, and ffmpeg's name of its reader."""
    name: str
    reader: str


def recognise(data):
    """Say what container the bytes of a file begin: a Container, or None.

    Only these are handed to ffmpeg, with its reader named: a playlist could make it open other files.
    """
    if data[4:8] == b"ftyp":
        return Container("an m4a or mp4 file", "mp4")
    if data[:4] == b"\x1aE\xdf\xa3":
        return Container("a webm or mkv file", "matroska")
    if data[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return Container("an aac file", "aac")
    if data[:4] == b"caff":
        return Container("a caf file", "caf")
    if data[:5] == b"#!AMR":
        return Container("an amr file", "amr")
    if data[:4] == b"0&\xb2u":
        return Container("a wma file", "asf")
    return None


def decode(data, container, name, most_seconds, most_samples):
    """Read (rate in Hz, samples float32 [T, channels], s that the file claims to last) of a container.

    At most about `most_seconds`, and `most_samples` of all channels together, are read.
    Raises ValueError where PyAV is missing, where there is no sound in the file, and where it cannot be read.
    """
    try:
        import av
    except ImportError as error:
        raise ValueError(f"{name} is {container.name}, which needs PyAV (pip install av): "
                         "save it as wav, flac, mp3 or ogg.") from error
    try:
        with av.open(io.BytesIO(data), format=container.reader) as file:
            if not file.streams.audio:
                raise ValueError(f"{name} is {container.name} without sound: choose one with sound.")
            stream = file.streams.audio[0]
            rate, blocks = _blocks(av, file, stream, most_seconds, most_samples)
            promised = min(_promised(av, file, stream), most_seconds)
    except (av.error.FFmpegError, UnicodeDecodeError, OSError) as error:  # the second: of a strange title
        raise ValueError(f"{name} is {container.name} that cannot be read ({type(error).__name__}): "
                         "save it again as wav, flac, mp3 or ogg.") from error
    if not blocks:
        raise ValueError(f"{name} holds no sound (0 samples): record or upload it again.")
    return rate, np.concatenate(blocks), promised


def _blocks(av, file, stream, most_seconds, most_samples):
    """Rate of the first frame, and float32 [T, channels] of every frame until a limit is reached or the file
    ends.
    """
    rate = 0
    blocks = []
    total = 0
    resampler = None
    try:
        for frame in file.decode(stream):
            if resampler is None:  # a stream may change its mind: all follow the first frame
                rate = frame.sample_rate
                resampler = av.AudioResampler("fltp", frame.layout, rate)
            for part in resampler.resample(frame):
                blocks.append(part.to_ndarray().T)
                total += len(blocks[-1])
            channels = len(frame.layout.channels)
            if total > most_seconds * rate or total * channels > most_samples:
                break
    except av.error.FFmpegError:
        if not blocks:
            raise
    return rate, blocks


def _promised(av, file, stream):
    """Length in s that the file claims; 0 where it claims none, as what a browser records."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (file.duration or 0) / av.time_base
