"""Rows made ready for training: decoded once, with tokens and voices; stretches and batches drawn from a generator."""
import hashlib
import os
from pathlib import Path

import numpy as np

from lib import audio
from lib.data.corpus import by_speaker, wav


def digest(found, *columns):
    """A name for rows that changes with their sound or with the given columns, 16 characters."""
    def one(row):  # without an id, equal lengths say nothing: the bytes do
        return f"{row['id']}{len(row['audio'])}" if row.get("id") else hashlib.sha256(row["audio"]).hexdigest()
    return hashlib.sha256("".join(one(row) + "".join(str(row[c]) for c in columns) for row in found).encode()).hexdigest()[:16]


def cache(found, folder):
    """Decode rows once: (samples int16 [sum T] memory-mapped, starts [n + 1]); a rerun with the same rows reads the file."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path, starts = (folder / f"{digest(found)}.{kind}" for kind in ("i16", "npy"))
    if not starts.exists():
        lengths, part = [0], path.with_suffix(f".{os.getpid()}")  # whole or not at all: two processes may start together
        with open(part, "wb") as file:
            for row in found:
                samples = (wav(row) * 32767).astype("int16")
                lengths.append(len(samples))
                file.write(samples.tobytes())
        part.replace(path)
        _cached(starts, lambda: np.cumsum(lengths))
    return np.memmap(path, dtype="int16", mode="r"), np.load(starts)


class Clips:
    """Rows made ready for training: sound decoded once, tokens, voices; hands out stretches and batches from a generator.

    embed(wav [T]) -> [W, D] embeds the windows of a clip (SpeakerEncoder.windows); what it says is cached under `tag`, which
    must name the encoder's weights.  Clips whose tokens do not fit their frames, or longer than `seconds`, are left out and counted.
    """

    def __init__(self, found, folder, embed=None, tag="", seconds=16.0):
        self.samples, self.starts = cache(found, folder)
        key = digest(found, "text", "speaker")
        self.rows, self.frames = found, np.diff(self.starts) // audio.HOP
        self.tokens = _cached(Path(folder) / f"{key}-tokens.npy", lambda: self._tokens(found))
        said = Path(folder) / f"{key}-{tag}-voices.npy"
        self.windows = embed and _cached(said, lambda: _objects(embed(self.wav(i)) for i in range(len(found))))
        self.band = np.array([float((row.get("bandwidth_hz") or audio.RATE / 2) < 7000) for row in found], "float32")
        lengths = np.array([len(t) for t in self.tokens])
        fits = (lengths > 2) & (lengths <= self.frames) & (self.frames < seconds * audio.RATE / audio.HOP)
        self.order = np.flatnonzero(fits)[np.argsort(self.frames[fits], kind="stable")]  # speakable clips, short to long
        self.left_out = len(found) - len(self.order)
        self.people = by_speaker(found)
        number = {name: k for k, name in enumerate(self.people)}
        self.speaker = np.array([number[row["speaker"]] for row in found])

    @staticmethod
    def _tokens(found):
        from lib import text
        said = [row["text"].strip() for row in found]
        phonemes = iter(text.phonemise([s for s in said if s]))
        return _objects(np.array(text.ids(next(phonemes)) if s else [], "int64") for s in said)

    def wav(self, i):
        """Sound of clip i, float32 [T]."""
        return np.asarray(self.samples[self.starts[i]: self.starts[i + 1]], dtype="float32") / 32767

    def voice(self, rng, i, other=0.5):
        """spk_emb [D] of clip i from a random half of its windows; with chance `other`, of another clip of the same person."""
        i = rng.choice(self.people[self.rows[i]["speaker"]]) if rng.random() < other else i
        windows = self.windows[i]
        mean = windows[rng.permutation(len(windows))[: rng.integers(1, len(windows) + 1)]].mean(0)
        return mean / np.linalg.norm(mean)

    def kept(self, path, make):
        """What make(i) -> [F, ...] says of every clip i, joined: float16 [sum F, ...], memory-mapped.

        Computed once and kept at `path`, which must name all that make depends on, such as weights.
        """
        if not Path(path).exists():
            new, parts = Path(path).with_suffix(f".{os.getpid()}.npy"), None
            for i, end in enumerate(np.cumsum(self.frames)):
                part = np.asarray(make(i))
                if parts is None:
                    parts = np.lib.format.open_memmap(new, "w+", "float16", (int(self.frames.sum()), *part.shape[1:]))
                parts[end - self.frames[i]: end] = part
            new.replace(path)
        return np.load(path, mmap_mode="r")

    def latents(self, path, encode):
        """m_q and logs_q [sum F, 2, C] of all clips by encode(wav [T], spk_emb [D], band) -> (m_q, logs_q) [1, C, F]; see `kept`."""
        def make(i):
            wav = self.wav(i)[: self.frames[i] * audio.HOP]
            m_q, logs_q = encode(wav, self.voice(np.random.default_rng(i), i, 0.0), self.band[i])
            return np.stack([m_q[0].T, logs_q[0].T], 1)
        return self.kept(path, make)

    def stretches(self, rng, count, frames, often=1.0, other=0.5, **arrays):
        """Random stretches, from clips drawn by their length times often [n]: dict of index, frames, band [count], spk_emb [count, D],
        wav [count, 1, frames * HOP] and the same stretches of arrays [sum F, ...] as [count, ..., frames]; zeros after a short clip."""
        index = rng.choice(len(self.frames), count, p=(share := self.frames * often) / share.sum())
        length, first = np.minimum(self.frames[index], frames), np.cumsum(self.frames) - self.frames
        chosen = [(i, rng.integers(self.frames[i] - n + 1), n) for i, n in zip(index, length, strict=True)]
        voices = np.stack([self.voice(rng, i, other) for i in index])

        def cut(parts, size):  # padded to size
            return np.moveaxis(_padded([np.zeros((size, *parts[0].shape[1:]), "float32"), *parts])[1:], 1, -1)
        found = {name: cut([np.asarray(one[first[i] + at:][:n], "float32") for i, at, n in chosen], frames) for name, one in arrays.items()}
        wavs = cut([self.wav(i)[at * audio.HOP:][: n * audio.HOP] for i, at, n in chosen], frames * audio.HOP)[:, None]
        return _tensors(index=index, frames=length, band=self.band[index], spk_emb=voices, wav=wavs, **found)

    def choose(self, rng, frames):
        """Positions of clips of like length that fill about `frames` frames together."""
        at = rng.integers(len(self.order))
        count = max(1, int(frames // self.frames[self.order[at]]))
        near = np.arange(max(0, at - 2 * count), min(len(self.order), at + 2 * count + 1))
        return self.order[rng.choice(near, min(count, len(near)), replace=False)]

    def batch(self, rng, frames, latents=None):
        """Whole utterances: dict of x [B, N], tokens [B], frames [B], spk_emb [B, D], speaker [B], band [B] and wav [B, 1, F * HOP],
        or, given latents (array [sum F, 2, C]), m_q and logs_q [B, C, F]."""
        index = self.choose(rng, frames)
        out = {"x": _padded([self.tokens[i] for i in index]), "tokens": np.array([len(self.tokens[i]) for i in index]),
               "frames": self.frames[index], "band": self.band[index], "speaker": self.speaker[index],
               "spk_emb": np.stack([self.voice(rng, i) for i in index])}
        if latents is None:
            return _tensors(wav=_padded([self.wav(i)[: self.frames[i] * audio.HOP] for i in index])[:, None], **out)
        first = np.concatenate([[0], np.cumsum(self.frames)])
        z = _padded([np.asarray(latents[first[i]: first[i + 1]], "float32") for i in index]).transpose(2, 0, 3, 1)
        return _tensors(m_q=z[0], logs_q=z[1], **out)


def _objects(items):
    """A one-dimensional array of arrays of different lengths."""
    items = list(items)
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


def _cached(path, make):
    if not path.exists():
        new = path.with_suffix(f".{os.getpid()}.npy")  # whole or not at all, also when two processes start together
        np.save(new, make(), allow_pickle=True)
        new.replace(path)
    return np.load(path, allow_pickle=True)  # written by us, on this machine


def _padded(arrays):
    """Stack arrays [L, ...] of different L into [B, max L, ...], zeros at the end."""
    out = np.zeros((len(arrays), max(map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out


def _tensors(**arrays):
    import torch
    return {name: torch.as_tensor(np.ascontiguousarray(value)) for name, value in arrays.items()}
