"""References: shapes, and that none overlaps its target."""
from types import SimpleNamespace

import numpy as np
import pytest

from lib.data import references

HOP, FRAMES, LONGEST, D = 200, 128, 200, 4


def clips(speakers, lengths):
    """Sound that counts its samples, so that a piece says where it comes from; and f0 that counts frames."""
    people = {}
    for i, speaker in enumerate(speakers):
        people.setdefault(speaker, []).append(i)
    sounds = [np.arange(length * HOP, dtype="float32") + 1 for length in lengths]
    made = SimpleNamespace(
        people=people, rows=[{"speaker": speaker} for speaker in speakers], wav=lambda i: sounds[i],
        voice=lambda rng, i, other: np.full(D, i, "float32"))
    return made, [np.arange(length, dtype="float32") + 1 for length in lengths]


def test_a_batch_has_the_shapes_of_its_docstring():
    made, f0 = clips("aabb", [300, 90, 500, 140])
    batch = references.draw(np.random.default_rng(0), made, f0, HOP, 6, FRAMES, LONGEST)
    assert batch["wav"].shape == (6, 1, FRAMES * HOP) and batch["ref_wav"].shape == (6, 1, LONGEST * HOP)
    assert batch["f0"].shape == (6, FRAMES) and batch["mask"].shape == (6, FRAMES, 1)
    assert batch["ref_f0"].shape == batch["ref_mask"].shape == (6, LONGEST)
    assert batch["spk_emb"].shape == (6, D)


def test_sound_and_f0_are_of_the_same_frames():
    made, f0 = clips("aabb", [300, 90, 500, 140])
    batch = references.draw(np.random.default_rng(1), made, f0, HOP, 20, FRAMES, LONGEST)
    for name, mask in (("", batch["mask"][..., 0] > 0), ("ref_", batch["ref_mask"])):
        first_samples = batch[f"{name}wav"][:, 0, ::HOP]
        assert np.array_equal(first_samples[mask], (batch[f"{name}f0"][mask] - 1) * HOP + 1)
        assert not batch[f"{name}f0"][~mask].any()


def test_the_reference_is_another_clip_of_the_same_person():
    made, f0 = clips("aabb", [300, 90, 500, 140])
    batch = references.draw(np.random.default_rng(2), made, f0, HOP, 50, FRAMES, LONGEST)
    assert all(k == i ^ 1 for i, k in zip(batch["index"], batch["ref_index"], strict=True))


@pytest.mark.parametrize("length", [60, 128, 140, 152, 200, 400])
def test_a_reference_never_overlaps_its_target_where_a_speaker_has_one_clip(length):
    made, f0 = clips("a", [length])
    batch = references.draw(np.random.default_rng(3), made, f0, HOP, 200, FRAMES, LONGEST)
    for target, ref in zip(batch["f0"], batch["ref_f0"], strict=True):
        target, ref = target[target > 0], ref[ref > 0]
        if len(ref):
            assert ref.min() - target.max() > references.GAP or target.min() - ref.max() > references.GAP
    assert batch["ref_mask"].any() == (length > FRAMES + references.GAP + references.ROOM - 1)


def test_replayed_stretches_keep_sound_and_pitch_together():
    """A tone's pitch, counted in the sound, is the pitch that the stretch says, at every speed."""
    rate, hz, frames = 16_000, 200.0, 40
    tone = np.sin(2 * np.pi * hz * np.arange(300 * HOP) / rate).astype("float32") * 0.1
    made = SimpleNamespace(wav=lambda i: tone)
    f0 = [np.full(300, hz, "float32")]
    batch = references.replayed(np.random.default_rng(0), made, f0, HOP, 40, frames)
    assert batch["wav"].shape == (40, 1, frames * HOP) and batch["f0"].shape == (40, frames)
    speeds = batch["f0"][:, 0] / hz
    assert 0.1 < np.mean(speeds != 1) < 0.5 and speeds.min() >= 0.85 and speeds.max() <= 1.2
    for wav, track in zip(batch["wav"][:, 0], batch["f0"], strict=True):
        crossings = np.sum((wav[:-1] < 0) & (wav[1:] >= 0))
        assert abs(crossings - track[0] * len(wav) / rate) <= 2 and np.all(track == track[0])
    levels = 20 * np.log10(np.abs(batch["wav"]).max((1, 2)) / 0.1)
    assert levels.min() > -9.5 and levels.max() < 4.5 and np.ptp(levels) > 6


def test_a_stretch_longer_than_its_clip_ends_in_zeros():
    made, f0 = clips("a", [25])
    batch = references.replayed(np.random.default_rng(1), made, f0, HOP, 20, 40)
    assert not batch["f0"][:, 35:].any() and not batch["wav"][:, :, 35 * HOP:].any()
    assert batch["f0"][:, 20].all()


def test_rows_at_another_rate_lie_where_their_time_is():
    seconds = (np.arange(50) + 0.5) * 0.016
    rows, nearest = references.at_rate(seconds[:, None], 12.5 / 16, 8, 40)
    assert np.allclose(rows[:, 0], (8 + np.arange(40) + 0.5) * 0.0125)
    assert np.all(np.abs(nearest - rows[:, 0] / 0.016 + 0.5) <= 0.5 + 1e-6)
    beyond, nearest = references.at_rate(seconds[:, None], 12.5 / 16, 60, 40)
    assert np.all(beyond[10:, 0] == seconds[-1]) and nearest.max() == 49


def test_tracks_are_made_once_and_kept(tmp_path):
    tone = np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000).astype("float32") * 0.1
    made = SimpleNamespace(rows=[{"id": "a", "audio": b"1"}, {"id": "b", "audio": b"22"}],
                           wav=lambda i: tone[: 8000 * (i + 1)])
    found = references.tracks(made, tmp_path, HOP)
    assert [len(track) for track in found] == [40, 80] and np.allclose(found[1][20:60], 150, atol=1)
    made.wav = None  # nothing is read again
    assert np.array_equal(references.tracks(made, tmp_path, HOP)[1], found[1])
