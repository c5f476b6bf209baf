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
