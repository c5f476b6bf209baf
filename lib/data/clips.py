"""Rows made ready for training: decoded once, with tokens and voices; stretches and batches drawn from a
generator.
"""
import os
import warnings
from pathlib import Path

import numpy as np

from lib import audio, text
from lib.data.corpus import by_speaker
from lib.data.decoded import FULL_SCALE, cache, digest, kept_array, usable
from lib.data.metadata import listed

LOST_BAND_HZ = 7000  # a clip with less bandwidth is marked: its top band was lost before we got it
NEAR = 2  # a batch is drawn from as many times its size of clips of like length, on either side


class Clips:
    """Rows made ready for training: sound decoded once, tokens, voices; hands out stretches and batches from
    a generator.

    embed(wav [T]) -> [W, D] embeds the windows of a clip (SpeakerEncoder.windows); what it gives is cached
    under `tag`, which must name the encoder's weights.  `rows` are those whose sound can be used.  `order`
    are the clips for whole utterances: those whose tokens do not fit their frames, that cannot be spoken, or
    are longer than `seconds`, are not among them; `left_out` counts them and the unusable ones.
    """

    def __init__(self, rows, folder, embed=None, tag="", seconds=16.0):
        self.rows = usable(rows, folder)
        self.samples, self.starts = cache(self.rows, folder)
        self.frames = np.diff(self.starts) // audio.HOP
        key = digest(self.rows, "text", "speaker")
        self.tokens = kept_array(Path(folder) / f"{key}-tokens.npy", self._tokens)
        self.windows = None
        if embed:
            self.windows = kept_array(Path(folder) / f"{key}-{tag}-voices.npy", lambda: self._windows(embed))
        bandwidths = [float(row.get("bandwidth_hz") or audio.RATE / 2) for row in self.rows]
        self.band = np.array([hz < LOST_BAND_HZ for hz in bandwidths], "float32")
        self.order = self._speakable(seconds)
        self.left_out = len(rows) - len(self.order)
        self.people = by_speaker(self.rows)
        number = {name: k for k, name in enumerate(self.people)}
        self.speaker = np.array([number[row["speaker"]] for row in self.rows])

    def _tokens(self):
        """Numbers of the symbols of every clip; none for a clip without text, or whose text cannot be spoken.
        """
        spoken = _phonemes([row["text"].strip() for row in self.rows])
        numbers = [text.ids(phonemes) if phonemes else [] for phonemes in spoken]
        return _objects(np.array(of_clip, "int64") for of_clip in numbers)

    def _windows(self, embed):
        return _objects(embed(self.wav(i)) for i in range(len(self.rows)))

    def _speakable(self, seconds):
        """Positions of the clips for whole utterances, short to long."""
        lengths = np.array([len(tokens) for tokens in self.tokens])
        most = seconds * audio.RATE / audio.HOP
        fits = (lengths > 2) & (lengths <= self.frames) & (self.frames < most)
        by_length = np.argsort(self.frames[fits], kind="stable")
        return np.flatnonzero(fits)[by_length]

    def wav(self, i):
        """Give the sound of clip i, float32 [T]."""
        samples = self.samples[self.starts[i]: self.starts[i + 1]]
        return np.asarray(samples, dtype="float32") / FULL_SCALE

    def _whole(self, i):
        """Sound of clip i without what is no full frame, float32 [frames * HOP]."""
        return self.wav(i)[: self.frames[i] * audio.HOP]

    def voice(self, rng, i, other=0.5):
        """Give spk_emb [D] of clip i from a random half of its windows; with chance `other`, of another clip
        of the person.
        """
        if rng.random() < other:
            i = rng.choice(self.people[self.rows[i]["speaker"]])
        windows = self.windows[i]
        order = rng.permutation(len(windows))
        count = rng.integers(1, len(windows) + 1)
        mean = windows[order[:count]].mean(0)
        return mean / np.linalg.norm(mean)

    def kept(self, path, make):
        """Join what make(i) -> [F, ...] gives for every clip i: float16 [sum F, ...], memory-mapped.

        Computed once and kept at `path`, which must name all that make depends on, such as weights.
        """
        path = Path(path)
        if not path.exists():
            new = path.with_suffix(f".{os.getpid()}.npy")
            joined = None
            for i, end in enumerate(np.cumsum(self.frames)):
                part = np.asarray(make(i))
                if joined is None:
                    shape = (int(self.frames.sum()), *part.shape[1:])
                    joined = np.lib.format.open_memmap(new, "w+", "float16", shape)
                joined[end - self.frames[i]: end] = part
            new.replace(path)
        return np.load(path, mmap_mode="r")

    def latents(self, path, encode):
        """Give m_q and logs_q [sum F, 2, C] of all clips by encode(wav [T], spk_emb [D], band) -> two of [1,
        C, F]; see `kept`.
        """
        def make(i):
            spk_emb = self.voice(np.random.default_rng(i), i, 0.0)
            m_q, logs_q = encode(self._whole(i), spk_emb, self.band[i])
            return np.stack([m_q[0].T, logs_q[0].T], 1)
        return self.kept(path, make)

    def stretches(self, rng, count, frames, often=1.0, other=0.5, **arrays):
        """Draw random stretches, from clips chosen by their length times often [n].

        Returns a dict of index, frames, band [count], spk_emb [count, D], wav [count, 1, frames * HOP] and
        the same stretches of arrays [sum F, ...] as [count, ..., frames]; zeros after a short clip.
        """
        share = self.frames * often
        index = rng.choice(len(self.frames), count, p=share / share.sum())
        lengths = np.minimum(self.frames[index], frames)
        begins = [rng.integers(room + 1) for room in self.frames[index] - lengths]
        voices = np.stack([self.voice(rng, i, other) for i in index])
        first = np.cumsum(self.frames) - self.frames  # of each clip, in arrays over all clips
        wavs = np.zeros((count, 1, frames * audio.HOP), "float32")
        out = {}
        for name, array in arrays.items():
            out[name] = np.zeros((count, frames, *array.shape[1:]), "float32")
        for row, (i, begin, length) in enumerate(zip(index, begins, lengths, strict=True)):
            samples = self.wav(i)[begin * audio.HOP: (begin + length) * audio.HOP]
            wavs[row, 0, : len(samples)] = samples
            for name, array in arrays.items():
                out[name][row, :length] = array[first[i] + begin: first[i] + begin + length]
        cut = {name: np.moveaxis(array, 1, -1) for name, array in out.items()}
        band = self.band[index]
        return _tensors(index=index, frames=lengths, band=band, spk_emb=voices, wav=wavs, **cut)

    def choose(self, rng, frames):
        """Choose positions of clips of like length that fill about `frames` frames together."""
        at = rng.integers(len(self.order))
        count = max(1, int(frames // self.frames[self.order[at]]))
        first = max(0, at - NEAR * count)
        last = min(len(self.order), at + NEAR * count + 1)
        near = np.arange(first, last)
        return self.order[rng.choice(near, min(count, len(near)), replace=False)]

    def batch(self, rng, frames, latents=None):
        """Draw whole utterances that fill about `frames` frames together.

        Returns a dict of x [B, N], tokens [B], frames [B], spk_emb [B, D], speaker [B], band [B] and wav [B,
        1, F * HOP] or, given latents (array [sum F, 2, C]), m_q and logs_q [B, C, F].
        """
        index = self.choose(rng, frames)
        tokens = [self.tokens[i] for i in index]
        out = {
            "x": _padded(tokens),
            "tokens": np.array([len(x) for x in tokens]),
            "frames": self.frames[index],
            "band": self.band[index],
            "speaker": self.speaker[index],
            "spk_emb": np.stack([self.voice(rng, i) for i in index]),
        }
        if latents is None:
            return _tensors(wav=_padded([self._whole(i) for i in index])[:, None], **out)
        first = np.concatenate([[0], np.cumsum(self.frames)])
        parts = [np.asarray(latents[first[i]: first[i + 1]], "float32") for i in index]
        m_q, logs_q = _padded(parts).transpose(2, 0, 3, 1)
        return _tensors(m_q=m_q, logs_q=logs_q, **out)


# ---------------------------------------------------------------- helpers

def _phonemes(texts):
    """Phonemes of each text; "" for an empty one and for one with nothing to speak, which a warning names."""
    results = [""] * len(texts)
    full = [i for i, written in enumerate(texts) if written]
    try:
        spoken = text.phonemise([texts[i] for i in full])
    except ValueError:  # one of them cannot be spoken: find it
        spoken = [_one(texts[i]) for i in full]
        mute = [texts[i][:40] for i, phonemes in zip(full, spoken, strict=True) if not phonemes]
        message = f"{len(mute)} of {len(texts)} texts cannot be spoken and are left out: {listed(mute)}"
        warnings.warn(message, stacklevel=2)
    for i, phonemes in zip(full, spoken, strict=True):
        results[i] = phonemes
    return results


def _one(written):
    try:
        return text.phonemise(written)
    except ValueError:
        return ""


def _objects(items):
    """A one-dimensional array of arrays of different lengths."""
    items = list(items)
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


def _padded(arrays):
    """Stack arrays [L, ...] of different L into [B, max L, ...], zeros at the end."""
    longest = max(len(array) for array in arrays)
    out = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out


def _tensors(**arrays):
    import torch
    return {name: torch.as_tensor(np.ascontiguousarray(value)) for name, value in arrays.items()}
