"""Maps of voices: 128 numbers drawn as two, the shipped atlas, a new voice on it.  The only door to umap."""
import contextlib
import threading
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lib import training
from lib.paths import ATLAS

REAL = ("training voice", "held-out voice")
KINDS = (*REAL, "interpolated", "noise")
METHODS = ("umap", "pca")
FEWEST = 4  # points of a map
NEIGHBOURS = 15  # of a point, whose distances UMAP keeps; its own default
FEW = 10  # points are too few for UMAP's spectral start


def pca(emb):
    """(mean [D], axes [2, D]) of embeddings emb [n, D]: the two directions of most spread, never mirrored."""
    mean = emb.mean(0)
    axes = np.linalg.svd(emb - mean, full_matrices=False)[2][:2]
    largest = np.abs(axes).argmax(1)
    signs = np.sign(axes[np.arange(2), largest])
    return mean, axes * signs[:, None]


@contextlib.contextmanager
def threads_kept():
    """Give torch its number of threads back.

    umap's numba shares OpenMP with it and sets the number for both."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def mapper(emb, seed=0, **more):
    """A umap.UMAP for emb [n, D], not fitted yet: neighbours by cosine, one thread, seeded."""
    import umap
    settings = {
        "n_neighbors": min(NEIGHBOURS, len(emb) - 1),
        "metric": "cosine",
        "random_state": seed,
        "n_jobs": 1,
        "init": "random" if len(emb) < FEW else "spectral",
    }
    return umap.UMAP(**settings | more)


def embed_2d(emb, method="umap", seed=0):
    """Flatten embeddings emb [n, D] to float32 [n, 2].

    method: "umap" (neighbours stay; the first call in a process compiles for 8 to 20 s) or "pca" (instant).
    UMAP's seed repeats on one machine only: ship points, not seeds.
    Raises ValueError for fewer than four embeddings or another method."""
    emb = np.asarray(emb, dtype="float32")
    if emb.ndim != 2 or len(emb) < FEWEST or method not in METHODS:
        raise ValueError(f"emb {emb.shape} by {method!r}: give at least 4 embeddings [n, D], "
                         "and 'umap' or 'pca'.")
    if method == "pca":
        mean, axes = pca(emb)
        return ((emb - mean) @ axes.T).astype("float32")
    with threads_kept():
        return mapper(emb, seed).fit_transform(emb).astype("float32")


@dataclass(frozen=True)
class AtlasConfig:
    """Of each point its name, kind, a word about it, its parents.

    D of an embedding; size: bytes of all clips; encoder: its fingerprint."""
    names: tuple
    kinds: tuple
    about: tuple
    parents: tuple
    D: int
    size: int
    encoder: str


class Atlas(nn.Module):
    """Points in the voice space with their place on the map and a short clip each, in one safetensors file.

    emb [n, D] float16, umap [n, 2], mean [D] and axes [2, D] of the PCA, clips (encoded files, one after
    another), ends [n] of the clips, in bytes."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        n, D = len(config.names), config.D
        self.register_buffer("emb", torch.zeros(n, D, dtype=torch.float16))
        self.register_buffer("umap", torch.zeros(n, 2))
        self.register_buffer("ends", torch.zeros(n, dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(D))
        self.register_buffer("axes", torch.zeros(2, D))
        self.register_buffer("clips", torch.zeros(config.size, dtype=torch.uint8))
        self.lock = threading.Lock()  # UMAP's transform changes its own state
        self.mapper = None

    @classmethod
    def make(cls, points, emb, clips, encoder, seed=0):
        """An atlas of points (dicts of name, kind, about, parents), emb [n, D], clips (n encoded files)."""
        names, kinds, about, parents = (tuple(point[key] for point in points)
                                        for key in ("name", "kind", "about", "parents"))
        size = sum(len(clip) for clip in clips)
        whose = training.fingerprint(encoder)
        atlas = cls(AtlasConfig(names, kinds, about, parents, emb.shape[1], size, whose))
        mean, axes = pca(emb)
        arrays = {
            "emb": emb,
            "umap": embed_2d(emb, seed=seed),
            "mean": mean,
            "axes": axes,
            "clips": np.frombuffer(b"".join(clips), "uint8").copy(),
            "ends": np.cumsum([len(clip) for clip in clips]),
        }
        atlas.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
        return atlas

    @classmethod
    def load(cls, folder=ATLAS):
        """(atlas, card) of a folder.  Raises ValueError for a broken one."""
        return training.load(folder, cls, AtlasConfig)

    def vectors(self):
        """spk_emb [n, D] of all points, unit float32."""
        return nn.functional.normalize(self.emb.float(), dim=1).numpy()

    def clip(self, point):
        """Bytes of the sound file of a point."""
        start = self.ends[point - 1] if point else 0
        return self.clips[start: self.ends[point]].numpy().tobytes()

    def neighbours(self, spk_emb, count=5, kinds=REAL):
        """The `count` nearest points of `kinds` to spk_emb [D], by true cosine: [(point, cosine)]."""
        cosines = self.vectors() @ spk_emb
        order = [int(i) for i in np.argsort(-cosines) if self.config.kinds[i] in kinds]
        return [(i, float(cosines[i])) for i in order[:count]]

    def warm(self):
        """Start in the background what `place` by UMAP needs; returns the thread.

        Importing and compiling take some 20 s."""
        thread = threading.Thread(target=self._warm, daemon=True)
        thread.start()
        return thread

    def _warm(self):
        emb = self.vectors()
        # A pickled UMAP could do anything.  A fresh one starts from the coordinates, and 0 epochs keep them
        # but for a
        # stretch; then they are put back.
        with threads_kept():
            umap = mapper(emb, init=self.umap.numpy(), n_epochs=0).fit(emb)
            umap.embedding_ = self.umap.numpy().copy()
            umap.n_epochs = None
            umap.transform(emb[:1])  # compiles
        self.mapper = umap

    def place(self, spk_emb, method="umap"):
        """Where voices spk_emb [m, D] lie on the map, [m, 2]; shipped points stay.

        Raises ValueError by "umap" before `warm` is done, and for voices of another size."""
        D = len(self.mean)
        if np.ndim(spk_emb) != 2 or np.shape(spk_emb)[1] != D:
            raise ValueError(f"Voices {np.shape(spk_emb)} on a map of [m, {D}]: embed them with the encoder "
                             "of the map.")
        if method == "pca":
            return (spk_emb - self.mean.numpy()) @ self.axes.numpy().T
        if self.mapper is None:
            raise ValueError("The UMAP map still warms up, half a minute after the start: "
                             "wait, or switch to PCA.")
        with self.lock, threads_kept():
            return self.mapper.transform(spk_emb).astype("float32")
