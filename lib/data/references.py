"""Stretches with their pitch, and with a reference: another piece of the same voice, to look at."""
from pathlib import Path

import numpy as np

from lib import audio
from lib.audio import praat
from lib.data.decoded import digest, kept_array

GAP = 8  # frames between a target and a reference from the same clip: windows of mels must not share samples
LEAST = 80  # frames of the shortest reference, a second
ROOM = 16  # a rest of a clip shorter than this many frames is no reference
REPLAYED = 0.25  # of stretches are played at another speed, which makes other throats,
SLOWEST, FASTEST = 0.85, 1.2  # and no speed beyond these: nobody sounds like that
QUIETEST_DB, LOUDEST_DB = -9, 4  # of a stretch, to the level of all clips
PEAK = 0.97  # of the loudest sample: beyond 1 it would be cut


def elsewhere(begin, end, length):
    """Give the longer rest (begin, end) of a clip of `length` frames beside frames begin to end, GAP away.

    Empty (0, 0) where less than ROOM frames are left.
    """
    before = (0, max(0, begin - GAP))
    after = (min(length, end + GAP), length)
    rest = max(before, after, key=lambda piece: piece[1] - piece[0])
    return rest if rest[1] - rest[0] >= ROOM else (0, 0)


def pair(rng, clips, lengths, i, frames, longest):
    """Choose a target in clip i and a reference: (begin, end) and (clip, begin, end), in frames.

    lengths [n]: frames of every clip.  The reference is in another clip of the person, or where there is
    none, in another part of the same clip; it may be empty.
    """
    begin = int(rng.integers(max(1, lengths[i] - frames + 1)))
    end = min(begin + frames, int(lengths[i]))
    others = [k for k in clips.people[clips.rows[i]["speaker"]] if k != i]
    if others:
        k = int(others[rng.integers(len(others))])
        low, high = 0, int(lengths[k])
    else:
        k = int(i)
        low, high = elsewhere(begin, end, int(lengths[i]))
    size = min(int(rng.integers(LEAST, longest + 1)), high - low)
    first = int(rng.integers(low, high - size + 1))
    return (begin, end), (k, first, first + size)


def draw(rng, clips, f0, hop, count, frames=128, longest=200):
    """Draw `count` targets with references.

    f0: of every clip, an array [F] in Hz at `hop` samples a frame.  Returns a dict of arrays: index, begin
    [B], wav [B, 1, frames * hop], f0 [B, frames], mask [B, frames, 1], spk_emb [B, D], ref_wav [B, 1,
    longest * hop], ref_f0 [B, longest], ref_mask [B, longest] (bool), ref_index, ref_begin [B]; zeros after
    a short piece.  Voices are of the clip of the reference.
    """
    lengths = np.array([len(track) for track in f0])
    index = rng.choice(len(lengths), count, p=lengths / lengths.sum())
    out = {
        "index": index, "begin": np.zeros(count, "int64"), "ref_index": index.copy(),
        "ref_begin": np.zeros(count, "int64"),
        "wav": np.zeros((count, 1, frames * hop), "float32"), "f0": np.zeros((count, frames), "float32"),
        "mask": np.zeros((count, frames, 1), "float32"),
        "ref_wav": np.zeros((count, 1, longest * hop), "float32"),
        "ref_f0": np.zeros((count, longest), "float32"), "ref_mask": np.zeros((count, longest), bool),
    }
    voices = []
    for row, i in enumerate(index):
        (begin, end), (k, first, last) = pair(rng, clips, lengths, i, frames, longest)
        out["begin"][row] = begin
        out["ref_index"][row] = k
        out["ref_begin"][row] = first
        _put(out["wav"][row, 0], clips.wav(i)[begin * hop: end * hop])
        _put(out["f0"][row], f0[i][begin:end])
        out["mask"][row, : end - begin] = 1
        _put(out["ref_wav"][row, 0], clips.wav(k)[first * hop: last * hop])
        _put(out["ref_f0"][row], f0[k][first:last])
        out["ref_mask"][row, : last - first] = True
        voices.append(clips.voice(rng, k, 0.0))
    return out | {"spk_emb": np.stack(voices)}


def tracks(clips, folder, hop):
    """Track f0 of all clips by Praat: arrays [F] in Hz at `hop` samples a frame; kept in `folder`."""
    def made():
        found = np.empty(len(clips.rows), dtype=object)
        for i in range(len(found)):
            found[i] = praat.track(clips.wav(i), hop)
        return found
    return kept_array(Path(folder) / f"{digest(clips.rows)}-f0-{hop}.npy", made)


def replayed(rng, clips, f0, hop, count, frames=40):
    """Draw `count` stretches at random levels: wav [count, 1, frames * hop] and f0 [count, frames], a dict.

    Some are played slower or faster, and their pitch with them.  f0: as in `draw`; zeros after a short clip.
    """
    lengths = np.array([len(track) for track in f0])
    wavs = np.zeros((count, 1, frames * hop), "float32")
    pitches = np.zeros((count, frames), "float32")
    for row, i in enumerate(rng.choice(len(lengths), count, p=lengths / lengths.sum())):
        speed = rng.uniform(SLOWEST, FASTEST) if rng.random() < REPLAYED else 1.0
        size = min(int(np.ceil(frames * speed)) + 1, lengths[i])
        begin = rng.integers(lengths[i] - size + 1)
        wav = clips.wav(i)[begin * hop: (begin + size) * hop]
        wav = audio.resample(wav, round(audio.RATE * speed), audio.RATE)[: frames * hop]
        highest = PEAK / max(np.abs(wav).max(), 1e-4)
        gain = 10 ** (rng.uniform(QUIETEST_DB, LOUDEST_DB) / 20)
        _put(wavs[row, 0], wav * min(gain, highest))
        middles = ((np.arange(frames) + 0.5) * speed).astype(int)
        _put(pitches[row], f0[i][begin + middles[middles < size]] * speed)
    return {"wav": wavs, "f0": pitches}


def at_rate(rows, step, begin, count):
    """Read rows [F, C] at another rate: [count, C], linear in between, and the nearest row of each [count].

    step: of the new rows, in old ones; begin: the first of them, counted in new rows.
    """
    at = ((begin + np.arange(count) + 0.5) * step - 0.5).clip(0, len(rows) - 1)
    left = at.astype(int)
    right = np.minimum(left + 1, len(rows) - 1)
    share = (at - left)[:, None]
    return rows[left] * (1 - share) + rows[right] * share, np.round(at).astype(int)


def _put(place, piece):
    """Write a piece at the beginning of a place."""
    place[: len(piece)] = piece
