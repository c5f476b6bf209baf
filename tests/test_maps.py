"""Maps keep neighbours, a shipped map stays where it is, and the shipped atlas is whole.

Imports umap: see the Makefile."""
import json

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness

from lib import audio, training
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.voices import Voices, maps


def clusters():
    """Six voices of twelve clips in 32 dimensions, and who speaks."""
    rng, who = np.random.default_rng(0), np.repeat(np.arange(6), 12)
    return rng.standard_normal((6, 32))[who] + 0.15 * rng.standard_normal((72, 32)), who


def test_pca_keeps_the_most_spread_and_is_never_mirrored():
    emb, _ = clusters()
    points = maps.embed_2d(emb, "pca")
    spread = np.linalg.svd(emb - emb.mean(0), compute_uv=False)[:2]
    np.testing.assert_allclose(np.linalg.norm(points, axis=0), spread, rtol=1e-5)
    np.testing.assert_allclose(maps.embed_2d(emb[::-1], "pca")[::-1], points, atol=1e-4)


def test_umap_keeps_neighbours():
    emb, who = clusters()
    points = maps.embed_2d(emb, "umap", seed=1)
    assert points.shape == (72, 2) and trustworthiness(emb, points, n_neighbors=5) > 0.9
    nearest = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(nearest, np.inf)
    assert (who[nearest.argmin(1)] == who).mean() > 0.95


@pytest.mark.parametrize("emb, method, said",
                         [(np.zeros((3, 8)), "umap", "at least 4"),
                          (np.zeros((9, 8)), "tsne", "'umap' or 'pca'")])
def test_mistakes_are_named(emb, method, said):
    with pytest.raises(ValueError, match=said):
        maps.embed_2d(emb, method)


def test_a_fingerprint_is_that_of_the_weights():
    """Catches an atlas shown with an encoder to which its embeddings mean nothing."""
    one = SpeakerEncoder(SpeakerEncoderConfig(channels=(8, 8, 8, 8), blocks=(1, 1, 1, 1), D=16))
    before = training.fingerprint(one)
    assert before == training.fingerprint(one)
    with torch.no_grad():
        one.out[1].bias[3] += 1e-4
    assert training.fingerprint(one) != before


@pytest.fixture(scope="module")
def small():
    """An atlas of the clusters: 48 training, 12 held-out, 6 interpolated voices and 6 by noise."""
    emb, _ = clusters()
    emb = emb / np.linalg.norm(emb, axis=1, keepdims=True)
    kinds = ["training voice"] * 48 + ["held-out voice"] * 12 + ["interpolated"] * 6 + ["noise"] * 6
    points = [dict(name=f"voice {i}", kind=kind, about="a test", parents=(i - 60, i - 59)
                   if kind == "interpolated" else ())
              for i, kind in enumerate(kinds)]
    encoder = SpeakerEncoder(SpeakerEncoderConfig(channels=(8, 8, 8, 8), blocks=(1, 1, 1, 1), D=32))
    return maps.Atlas.make(points, emb, [f"clip {i}".encode() * (i % 3 + 1) for i in range(72)], encoder)


@pytest.fixture(scope="module")
def warm(small):
    """The same, ready to place voices by UMAP; torch's threads are what they were."""
    before = torch.get_num_threads()
    small.warm().join()
    assert torch.get_num_threads() == before
    return small


def test_an_atlas_comes_back_as_it_was_saved(small, tmp_path):
    card = dict(data="none", licence="CC0", budget="quick", figures={"x": 1})
    training.save(tmp_path, small, small.config, card, half=False)
    again, its_card = maps.Atlas.load(tmp_path)
    assert again.config == small.config and its_card == card
    assert [again.clip(i) for i in range(72)] == [f"clip {i}".encode() * (i % 3 + 1) for i in range(72)]
    np.testing.assert_array_equal(again.vectors(), small.vectors())
    np.testing.assert_allclose(np.linalg.norm(again.vectors(), axis=1), 1, atol=1e-6)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"size": 5}))
    with pytest.raises(ValueError, match="does not fit"):
        maps.Atlas.load(tmp_path)


def test_neighbours_are_those_of_the_true_cosine(small):
    voice = small.vectors()[30] + 0.01
    voice /= np.linalg.norm(voice)
    cosines = small.vectors()[:60] @ voice
    assert [point for point, _ in small.neighbours(voice, 7)] == np.argsort(-cosines)[:7].tolist()
    assert small.neighbours(voice, 1)[0][1] == pytest.approx(cosines.max())
    assert all(small.config.kinds[point] == "noise" for point, _ in small.neighbours(voice, 3, ("noise",)))


def test_pca_places_exactly(small):
    """It is a projection: shipped points come to their places, and a voice between two comes between them."""
    flat = small.place(small.vectors(), "pca")
    np.testing.assert_allclose(flat, maps.embed_2d(small.vectors(), "pca"), atol=2e-3)
    middle = small.place(small.vectors()[:2].mean(0)[None], "pca")[0]
    np.testing.assert_allclose(middle, flat[:2].mean(0), atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 64), (16,), (1, 1, 16)])
def test_a_voice_of_another_size_is_refused(small, shape):
    """Catches numbers of another encoder, which numpy may broadcast or refuse in its own words."""
    for method in maps.METHODS:
        with pytest.raises(ValueError, match="embed them with the encoder"):
            small.place(np.ones(shape, "float32"), method)


def test_umap_says_when_it_is_not_ready(small):
    if small.mapper is None:
        with pytest.raises(ValueError, match="warms up"):
            small.place(small.vectors()[:1])


def test_the_shipped_coordinates_stay_and_a_voice_lands_among_its_own(warm):
    """Catches a transform around coordinates that umap moved or stretched: each point placed anew must come
    to its cluster."""
    _, who = clusters()
    np.testing.assert_array_equal(warm.mapper.embedding_, warm.umap.numpy())
    placed = np.stack([warm.place(voice[None])[0] for voice in warm.vectors()[::3]])
    away = np.linalg.norm(placed[:, None] - warm.umap.numpy(), axis=2)
    assert (who[away.argmin(1)] == who[::3]).all()
    rng = np.random.default_rng(1)
    noisy = warm.vectors()[::3] + 0.05 * rng.standard_normal((24, 32)).astype("float32")
    away = np.linalg.norm(warm.place(noisy)[:, None] - warm.umap.numpy(), axis=2)
    assert (who[away.argmin(1)] == who[::3]).mean() > 0.9
    np.testing.assert_array_equal(warm.place(noisy[:1]), warm.place(noisy[:1]))


# ---------------------------------------------------------------- what is shipped


@pytest.fixture(scope="module")
def shipped():
    if not maps.ATLAS.is_dir():
        pytest.skip("there is no assets/atlas yet: lesson 10 makes it at full budget")
    return maps.Atlas.load()


def test_the_shipped_atlas_is_whole(shipped):
    """At least 300 points of four kinds, each with a name, a place and a short clip; 4.2 MB of clips at
    most."""
    atlas, card = shipped
    config, n = atlas.config, len(atlas.config.names)
    assert n >= 300 and len(set(config.names)) == n == len(config.about) == len(config.parents)
    assert all(config.kinds.count(kind) >= 15 for kind in maps.KINDS) and set(config.kinds) == set(maps.KINDS)
    assert all(len(parents) == {"interpolated": 2, "noise": 1}.get(kind, 0)
               for parents, kind in zip(config.parents, config.kinds))
    assert np.isfinite(atlas.umap.numpy()).all() and config.size <= 4_200_000
    for i in range(0, n, 25):
        rate, samples = audio.load(atlas.clip(i))
        assert rate == audio.RATE and 0.8 < len(samples) / rate < 3.5
    assert (np.diff(atlas.ends.numpy(), prepend=0) > 2000).all(), "a point without a clip"
    assert {"data", "licence", "budget", "figures"} <= set(card) and "full" in str(card["budget"])


def test_the_shipped_atlas_fits_the_shipped_encoder(shipped):
    """Who trains another encoder must draw the map anew:

    DEMO_BUDGET=full python notebooks/src/10_the_atlas.py."""
    assert shipped[0].config.encoder == training.fingerprint(Voices.load().encoder)


def test_the_shipped_map_is_trustworthy(shipped):
    """Points move between CPUs, neighbours do not; and virtual voices lie where their parents say."""
    atlas, card = shipped
    emb = atlas.vectors()
    for method, flat in (("umap", atlas.umap.numpy()), ("pca", atlas.place(emb, "pca"))):
        told = card["figures"][f"trustworthiness_{method}"]
        assert trustworthiness(emb, flat, n_neighbors=10, metric="cosine") == pytest.approx(told, abs=0.01)
    assert card["figures"]["trustworthiness_umap"] > card["figures"]["trustworthiness_pca"]
    for i, (kind, parents) in enumerate(zip(atlas.config.kinds, atlas.config.parents)):
        if kind == "interpolated":
            assert min(emb[i] @ emb[p] for p in parents) > emb[parents[0]] @ emb[parents[1]] - 0.01
