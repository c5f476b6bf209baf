"""Clips: the cache on disk, and the batches drawn from it."""

import numpy as np
import pytest
from test_corpus import sound

from lib import audio
from lib.data import corpus
from lib.data.clips import Clips
from lib.data.decoded import cache


@pytest.fixture(scope="module")
def embedded():
    return corpus.rows()


def test_cache_holds_every_clip_and_is_read_again(embedded, tmp_path):
    """Catches clips cut at the wrong place, and a second run that decodes everything once more (or something
    else).
    """
    rows = embedded[:4]
    samples, starts = cache(rows, tmp_path)
    for i, row in enumerate(rows):
        assert np.allclose(samples[starts[i] : starts[i + 1]] / 32767, corpus.wav(row), atol=1e-4)
    written = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    again, places = cache(rows, tmp_path)
    assert np.array_equal(again, samples) and np.array_equal(places, starts)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == written
    assert len(cache(embedded[:3], tmp_path)[1]) == 4


def test_cache_tells_recordings_of_equal_length_apart(tmp_path):
    """Catches yesterday's sound under today's rows: wav files of equal length, without ids, differ in their
    bytes only.
    """
    one, two = ([{"audio": sound(1.2, hz), "speaker": "p", "text": "a"}] for hz in (200, 400))
    assert not np.array_equal(cache(one, tmp_path)[0], cache(two, tmp_path)[0])


@pytest.fixture(scope="module")
def clips(embedded, tmp_path_factory):
    """Twelve clips of three people with random 'voices'."""
    rows = [row for row in embedded if row["speaker"] in sorted({r["speaker"] for r in embedded})[:3]][:12]
    rng = np.random.default_rng(0)
    return Clips(
        rows,
        tmp_path_factory.mktemp("cache"),
        embed=lambda wav: rng.standard_normal((1 + len(wav) // 48000, 8)),
        tag="t",
    )


def test_batches_are_repeatable_and_fit_together(clips):
    """Catches a batch whose masks, tokens and waveforms disagree, and randomness outside the generator."""
    assert len(clips.order) + clips.left_out == 12 and len(clips.order) > 6
    one, two = (clips.batch(np.random.default_rng(3), 900) for _ in range(2))
    assert all((one[k] == two[k]).all() for k in one)
    B, longest = len(one["frames"]), int(one["frames"].max())
    assert (
        one["wav"].shape == (B, 1, longest * audio.HOP)
        and one["x"].shape == (B, int(one["tokens"].max()))
        and B > 1
    )
    assert (
        (one["tokens"] <= one["frames"]).all()
        and one["band"].shape == (B,)
        and one["spk_emb"].shape == (B, 8)
    )
    assert np.allclose(one["spk_emb"].norm(dim=1), 1, atol=1e-5)
    for b in range(B):
        assert not one["wav"][b, 0, one["frames"][b] * audio.HOP :].any()
        assert one["wav"][b].abs().max() > 0.05
    assert sorted(clips.frames[clips.order]) == list(clips.frames[clips.order])


def test_cached_latents_belong_to_their_clips(clips):
    """Catches latents shifted against their text: the prior would learn to babble."""
    latents = np.stack(
        [np.repeat(np.arange(12), clips.frames), np.concatenate([np.arange(n) for n in clips.frames])], 1
    )[:, None, :]
    latents = np.concatenate([latents, -latents], 1).astype(
        "float32"
    )  # [sum F, 2, C]: which clip, which frame
    batch = clips.batch(np.random.default_rng(1), 900, latents)
    for b, frames in enumerate(batch["frames"].tolist()):
        which, frame = batch["m_q"][b, :, :frames].numpy()
        assert (
            len(set(which)) == 1
            and clips.frames[int(which[0])] == frames
            and (frame == np.arange(frames)).all()
        )
        assert (batch["x"][b, : batch["tokens"][b]].numpy() == clips.tokens[int(which[0])]).all()
        assert not batch["m_q"][b, :, frames:].any() and (batch["logs_q"][b] == -batch["m_q"][b]).all()


def test_stretches_are_of_one_clip_each(clips):
    """Catches a crop that runs over into the next clip, and shapes that vary with the draw."""
    found = clips.stretches(np.random.default_rng(2), 6, 40, other=0.0)
    assert (
        found["wav"].shape == (6, 1, 40 * audio.HOP)
        and found["spk_emb"].shape == (6, 8)
        and found["frames"].tolist() == [40] * 6
    )
    everything = [clips.wav(i) for i in range(12)]
    for row in found["wav"].numpy()[:, 0]:
        row = row[: np.flatnonzero(row)[-1] + 1]
        probe = row[1000:1064]
        hits = [
            i
            for i, wav in enumerate(everything)
            for at in np.flatnonzero(np.abs(wav[:-63] - probe[0]) < 1e-6)
            if np.allclose(wav[at : at + 64], probe, atol=1e-6)
        ]
        assert len(hits) >= 1


def test_stretches_cut_sound_and_arrays_at_the_same_place(clips):
    """Catches an array cut elsewhere than its sound, rubbish after a short clip, and weights that do not
    weigh.
    """
    where = np.concatenate(
        [np.stack([np.full(n, i), np.arange(n)], 1) for i, n in enumerate(clips.frames)]
    ).astype("float32")  # [sum F, 2]
    only = (np.arange(12) == 3) | (np.arange(12) == 5)
    longest = int(clips.frames.max()) + 8
    for size in (20, longest):
        found = clips.stretches(np.random.default_rng(3), 16, size, only, where=where, line=where[:, 1])
        assert found["where"].shape == (16, 2, size) and found["wav"].shape == (16, 1, size * audio.HOP)
        assert set(found["index"].tolist()) == {3, 5}
        for row, i in enumerate(found["index"].tolist()):
            n, (which, frame) = int(found["frames"][row]), found["where"][row].numpy()
            assert (
                n == min(size, clips.frames[i]) and (which[:n] == i).all() and (np.diff(frame[:n]) == 1).all()
            )
            assert not which[n:].any() and not frame[n:].any()
            begin = int(frame[0]) * audio.HOP
            assert np.allclose(
                found["wav"][row, 0, : n * audio.HOP].numpy(), clips.wav(i)[begin : begin + n * audio.HOP]
            )
            assert (found["line"][row].numpy() == frame).all() and not found["wav"][
                row, 0, n * audio.HOP :
            ].any()


def test_by_speaker_keeps_order():
    """Catches positions that point into another list."""
    assert corpus.by_speaker([{"speaker": s} for s in "abac"]) == {"a": [0, 2], "b": [1], "c": [3]}
