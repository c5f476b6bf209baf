"""Sound in and out: files, levels, spectrograms.  The only door to soundfile and soxr."""
import contextlib
import functools
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
import torch.nn.functional as F

RATE, N_FFT, HOP, N_MELS = 16000, 1024, 256, 80  # Hz, samples, samples, bins: one frame is 16 ms
LEVEL_DB = -25.0  # every clip is brought to this speech level (dB below full scale) before any model hears it
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


def frame_db(wav, hop=HOP):
    """Level of each hop of `wav` [T] in dB below full scale, [T // hop]."""
    frames = wav[: len(wav) // hop * hop].reshape(-1, hop)
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-10)


def speech_level(wav):
    """Level in dB of the louder half of the dynamic range: pauses do not count."""
    db = frame_db(wav)
    loud = db[db > db.max() - 30] if len(db) else db
    return float(10 * np.log10(np.mean(10 ** (loud / 10)))) if len(loud) else -100.0


def trim(wav, below=38.0, keep=0.08):
    """Cut edges that lie `below` dB under the loudest frame, keeping `keep` s; float32 [T] -> [<= T]."""
    db = frame_db(wav)
    if not len(db):
        return wav
    loud = np.flatnonzero(db > max(db.max() - below, -65.0))
    if not len(loud):
        return wav[:0]
    pad = int(keep * RATE)
    return wav[max(0, loud[0] * HOP - pad): (loud[-1] + 1) * HOP + pad]


def normalise(wav):
    """Bring speech to LEVEL_DB, peaks at most 0.97; float32 [T] -> [T]."""
    gain = 10 ** ((LEVEL_DB - speech_level(wav)) / 20)
    return (wav * min(gain, 0.97 / max(np.abs(wav).max(), 1e-9))).astype("float32")


def spectral_subtraction(wav, share=0.1, over=3.0, floor=0.15):
    """wav [T] with less of the hiss that never pauses: of a band's power, `over` times what its quietest `share` of frames has is taken
    away, down to `floor` of the amplitude.  Source: [BOLL].  Differs: a third of the mean is the most, so that a held vowel stays."""
    wav, window = torch.as_tensor(wav), torch.hann_window(512)
    spec = torch.stft(wav, 512, 128, window=window, pad_mode="constant", return_complex=True)
    power = F.avg_pool1d(spec.abs().square(), 5, 1, 2, count_include_pad=False)
    noise = (over * power.kthvalue(1 + int(share * (power.shape[1] - 1)), 1, keepdim=True).values).minimum(power.mean(1, keepdim=True) / 3)
    gain = (1 - noise / power.clamp_min(1e-12)).clamp_min(floor**2).sqrt()
    return torch.istft(spec * gain, 512, 128, window=window, length=len(wav)).numpy()


def prepare(clip, seconds=(1.0, 30.0)):
    """Make a clip what every model expects: 16 kHz mono float32 [T], no DC, edges trimmed, at LEVEL_DB.

    clip: what `load` takes.  A clip over seconds[1] s gives its loudest stretch of that length free of clipping.
    Raises ValueError for what `load` refuses, for silence, and for less than seconds[0] s of sound.
    """
    rate, samples = load(clip)
    wav = resample(samples, rate, RATE)
    wav = wav - wav.mean()
    if not len(wav) or frame_db(np.pad(wav, (0, HOP))).max() < -60:
        raise ValueError("This clip is silent (nothing above -60 dB): check the microphone and record it again.")
    wav = trim(wav)
    if len(wav) < seconds[0] * RATE:
        found = len(wav) / RATE
        raise ValueError(f"This clip has {found:.1f} s of sound: at least {seconds[0]:g} s is needed, 5 s is good.")
    most = int(seconds[1] * RATE)
    if len(wav) > most:
        wav = trim(wav[_loudest(wav, most):][:most])
    return normalise(wav)


def _loudest(wav, most):
    """First sample of the window of `most` samples with the most energy, clipped frames counting as none."""
    frames = wav[: len(wav) // HOP * HOP].reshape(-1, HOP)
    energy = np.mean(frames**2, axis=1) * (np.abs(frames).max(1) < 0.999)
    total = np.concatenate([[0.0], np.cumsum(energy)])
    width = most // HOP
    return int(np.argmax(total[width:] - total[:-width])) * HOP


@dataclass(frozen=True)
class Check:
    """What `check` found in a clip: seconds of sound, level in dB, share of clipped samples, estimated SNR in dB."""
    seconds: float
    used_seconds: float
    level_db: float
    clipped: float
    snr_db: float
    problems: tuple
    fatal: bool


def check(clip):
    """Say in plain words what is wrong with a reference, before anyone waits; raises nothing for a bad clip."""
    try:
        rate, samples = load(clip)
        used = prepare((rate, samples))
    except ValueError as error:
        return Check(0.0, 0.0, -100.0, 0.0, 0.0, (str(error),), True)
    wav = resample(samples, rate, RATE)
    db = frame_db(wav)
    db, peak = db[db > -90], np.abs(samples).max()  # digital silence says nothing about the room
    level, clipped = speech_level(wav), float(np.mean(np.abs(samples) > 0.985 * peak)) if peak > 0.5 else 0.0
    snr = float(np.percentile(db, 90) - np.percentile(db, 5))
    problems = []
    if len(used) < 3 * RATE:
        problems.append(f"Only {len(used) / RATE:.1f} s of sound: 5 to 10 s give a closer voice.")
    if len(wav) > 30.5 * RATE:
        problems.append(f"The clip has {len(wav) / RATE:.0f} s: its loudest clean {len(used) / RATE:.0f} s are used.")
    if level < -45:
        problems.append(f"Very quiet ({level:.0f} dB): speak closer to the microphone.")
    if clipped > 0.001:
        problems.append(f"Clipped ({100 * clipped:.1f} % of samples at the limit): lower the recording level.")
    if snr < 20:
        problems.append(f"Noisy (speech only about {snr:.0f} dB above the background): record in a quieter room.")
    return Check(len(wav) / RATE, len(used) / RATE, level, clipped, snr, tuple(problems), False)


def spectrogram(wav, n_fft=N_FFT):
    """Magnitudes of wav [B, 1, T] as spec [B, n_fft // 2 + 1, F], hop n_fft // 4, F = T // hop; differentiable."""
    wav = F.pad(wav.squeeze(1).float(), ((n_fft - n_fft // 4) // 2,) * 2, mode="reflect")
    window = torch.hann_window(n_fft, device=wav.device)
    spec = torch.stft(wav, n_fft, n_fft // 4, n_fft, window, center=False, return_complex=True)
    return (spec.real**2 + spec.imag**2 + 1e-9).sqrt()


@functools.cache
def mel_filters(rate=RATE, n_fft=N_FFT, n_mels=N_MELS):
    """Triangular filters of equal area on the Slaney mel scale, [n_mels, n_fft // 2 + 1]."""
    def to_mel(hz):
        return np.where(hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1e-9) / 1000) / np.log(6.4))

    def to_hz(m):
        return np.where(m < 15, m * 200 / 3, 1000 * np.exp(np.log(6.4) * (m - 15) / 27))
    edges = to_hz(np.linspace(0, to_mel(np.array(rate / 2.0)), n_mels + 2))
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    filters = np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    with torch.inference_mode(False):  # a cached inference tensor would break the training that comes after
        return torch.tensor(filters, dtype=torch.float32)


def mel(wav, n_fft=N_FFT, n_mels=N_MELS):
    """Log-mel spectrogram of wav [B, 1, T] as mel [B, n_mels, F] (natural log, floor 1e-5); differentiable."""
    filters = mel_filters(RATE, n_fft, n_mels).to(wav.device)
    with torch.autocast(wav.device.type, enabled=False):  # 16 bits are too few for a sum over 513 bins
        return torch.log(torch.matmul(filters, spectrogram(wav, n_fft)).clamp_min(1e-5))


def room(rng, wav):
    """Convolve wav [T] with a simulated room: direct sound, then noise whose decay is 60 dB in 0.1 to 0.6 s; same length, same energy."""
    t60, direct = rng.uniform(0.1, 0.6), rng.uniform(0.3, 1.0)
    t = np.arange(int(t60 * RATE)) / RATE
    response = rng.standard_normal(len(t)) * np.exp(-6.9 * t / t60) * np.sqrt(13.8 / (t60 * RATE)) * (1 - direct)
    response[0] += direct
    n = 1 << int(np.ceil(np.log2(len(wav) + len(response))))
    wet = np.fft.irfft(np.fft.rfft(wav, n) * np.fft.rfft(response, n), n)[: len(wav)]
    return (wet * np.sqrt((wav**2).mean() / ((wet**2).mean() + 1e-12))).astype("float32")


def narrow(wav, hz):
    """Remove what lies above `hz` from wav [T], as an old mp3 or a telephone does."""
    spectrum = np.fft.rfft(wav)
    spectrum[int(hz * len(wav) / RATE):] = 0
    return np.fft.irfft(spectrum, len(wav)).astype("float32")


def augment(rng, wav, noises, chance=0.4):
    """What happens to speech between a mouth and a file: room, noise at 5 to 25 dB SNR, loss of the top band, level; [T] -> [T].

    noises: list of float32 arrays at 16 kHz.  Each change comes with probability chance / 2, noise with `chance`.
    """
    if rng.random() < chance / 2:
        wav = room(rng, wav)
    if noises and rng.random() < chance:
        noise = noises[rng.integers(len(noises))]
        start = rng.integers(max(1, len(noise) - len(wav)))
        noise = np.resize(noise[start:], len(wav))
        gain = 10 ** (-rng.uniform(5, 25) / 20) * np.sqrt((wav**2).mean() / ((noise**2).mean() + 1e-9))
        wav = wav + gain * noise
    if rng.random() < chance / 2:
        wav = narrow(wav, rng.uniform(0.45, 0.95) * RATE / 2)
    return (wav * 10 ** (rng.uniform(-6, 6) / 20)).astype("float32")
