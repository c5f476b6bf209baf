"""Maps of voices: 128 numbers drawn as two, the shipped atlas, a new voice on it.  The only door to umap."""
import contextlib
import hashlib
import threading
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lib import training
from lib.paths import ATLAS

REAL = ("training voice", "held-out voice")
KINDS = (*REAL, "interpolated", "noise")


def pca(emb):
    """(mean [D], axes [2, D]) of embeddings emb [n, D]: the two directions of most spread, never mirrored."""
    right = np.linalg.svd(emb - emb.mean(0), full_matrices=False)[2][:2]
    return emb.mean(0), right * np.sign(right[np.arange(2), np.abs(right).argmax(1)])[:, None]


@contextlib.contextmanager
def threads_kept():
    """Give torch its number of threads back: umap's numba shares OpenMP with it and sets the number for both."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def mapper(emb, seed=0, **more):
    """A umap.UMAP for emb [n, D], not fitted yet: neighbours by cosine, one thread, seeded."""
    import umap
    return umap.UMAP(**dict(n_neighbors=min(15, len(emb) - 1), metric="cosine", random_state=seed, n_jobs=1,
                            init="random" if len(emb) < 10 else "spectral") | more)  # few are too few for the spectral start


def embed_2d(emb, method="umap", seed=0):
    """Flatten embeddings emb [n, D] to float32 [n, 2]; method "umap" (neighbours stay) or "pca" (instant, linear).
    UMAP's seed repeats on one machine only: ship points, not seeds.  Its first call in a process compiles for 8 to 20 s."""
    emb = np.asarray(emb, dtype="float32")
    if emb.ndim != 2 or len(emb) < 4 or method not in ("umap", "pca"):
        raise ValueError(f"emb {emb.shape} by {method!r}: give at least 4 embeddings [n, D], and 'umap' or 'pca'.")
    if method == "umap":
        with threads_kept():
            return mapper(emb, seed).fit_transform(emb).astype("float32")
    mean, axes = pca(emb)
    return ((emb - mean) @ axes.T).astype("float32")


def fingerprint(encoder):
    """16 letters that change with the weights of an encoder: embeddings of two encoders have nothing in common."""
    return hashlib.sha256(b"".join(v.cpu().float().numpy().tobytes() for _, v in sorted(encoder.state_dict().items()))).hexdigest()[:16]


@dataclass(frozen=True)
class AtlasConfig:
    """Of each point its name, kind, a word about it, its parents; D, the bytes of all clips, the encoder's fingerprint."""
    names: tuple
    kinds: tuple
    about: tuple
    parents: tuple
    D: int
    size: int
    encoder: str


class Atlas(nn.Module):
    """Points in the voice space with their place on the map and a short clip each, in one safetensors file:
    emb [n, D] float16, umap [n, 2], mean [D] and axes [2, D] of the PCA, clips (encoded files one after another), ends [n]."""

    def __init__(self, config):
        super().__init__()
        self.config, n = config, len(config.names)
        for name, shape, dtype in (("emb", (n, config.D), torch.float16), ("umap", (n, 2), torch.float32), ("ends", n, torch.int64),
                                   ("mean", config.D, torch.float32), ("axes", (2, config.D), torch.float32),
                                   ("clips", config.size, torch.uint8)):
            self.register_buffer(name, torch.zeros(shape, dtype=dtype))
        self.lock, self.mapper = threading.Lock(), None

    @classmethod
    def make(cls, points, emb, clips, encoder, seed=0):
        """An atlas of points (dicts of name, kind, about, parents), emb [n, D], clips (n encoded files, bytes)."""
        columns = (tuple(point[key] for point in points) for key in ("name", "kind", "about", "parents"))
        atlas = cls(AtlasConfig(*columns, emb.shape[1], sum(map(len, clips)), fingerprint(encoder)))
        arrays = dict(emb=emb, umap=embed_2d(emb, seed=seed), ends=np.cumsum([len(clip) for clip in clips]),
                      clips=np.frombuffer(b"".join(clips), "uint8").copy()) | dict(zip(("mean", "axes"), pca(emb)))
        atlas.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
        return atlas

    @classmethod
    def load(cls, folder=ATLAS):
        return training.load(folder, cls, AtlasConfig)  # (atlas, card), or ValueError

    def vectors(self):
        """spk_emb [n, D] of all points, unit float32."""
        return nn.functional.normalize(self.emb.float(), dim=1).numpy()

    def clip(self, point):
        return self.clips[self.ends[point - 1] if point else 0: self.ends[point]].numpy().tobytes()

    def neighbours(self, spk_emb, count=5, kinds=REAL):
        """The `count` nearest points of `kinds` to spk_emb [D], by true cosine: [(point, cosine)]."""
        cosines = self.vectors() @ spk_emb
        return [(int(i), float(cosines[i])) for i in np.argsort(-cosines) if self.config.kinds[i] in kinds][:count]

    def warm(self):
        """Start in the background what `place` by UMAP needs (import and compiling: some 20 s); returns the thread."""
        (thread := threading.Thread(target=self._warm, daemon=True)).start()
        return thread

    def _warm(self):
        emb = self.vectors()
        # A pickled UMAP could do anything: a fresh one starts from the coordinates, and 0 epochs keep them but for a stretch.
        with threads_kept():
            umap = mapper(emb, init=self.umap.numpy(), n_epochs=0).fit(emb)
            umap.embedding_, umap.n_epochs = self.umap.numpy().copy(), None
            umap.transform(emb[:1])  # compiles
        self.mapper = umap

    def place(self, spk_emb, method="umap"):
        """Where voices spk_emb [m, D] lie on the map, [m, 2]; shipped points stay.  ValueError by "umap" before `warm` is done."""
        if method == "pca":
            return (spk_emb - self.mean.numpy()) @ self.axes.numpy().T
        if self.mapper is None:
            raise ValueError("The UMAP map still warms up, half a minute after the start: wait, or switch to PCA.")
        with self.lock, threads_kept():
            return self.mapper.transform(spk_emb).astype("float32")
