"""Rows decoded once: a cache on disk whose name changes with what lies in it."""
import hashlib
import os
import warnings
from pathlib import Path

import numpy as np

from lib.data.corpus import wav
from lib.data.metadata import listed

FULL_SCALE = 32767  # of the 16-bit samples that are kept


def digest(rows, *columns):
    """Name rows by 16 characters that change with their sound or with the given columns."""
    parts = []
    for row in rows:
        parts.append(_identity(row))
        parts += [str(row[name]) for name in columns]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]


def _identity(row):
    """What tells the sound of a row from others: without an id, equal lengths say nothing, so the bytes do.
    """
    if row.get("id"):
        return f"{row['id']}{len(row['audio'])}"
    return hashlib.sha256(row["audio"]).hexdigest()


def cache(rows, folder):
    """Decode rows once: (samples int16 [sum T] memory-mapped, starts [n + 1]); a rerun with the same rows
    reads the file.

    A sound that cannot be used (`usable` leaves it out and says why) has no samples.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    name = digest(rows)
    path = folder / f"{name}.i16"
    starts = folder / f"{name}.npy"
    if not starts.exists():
        lengths = _decode(rows, path)
        kept_array(starts, lambda: np.cumsum(lengths))
    return np.memmap(path, dtype="int16", mode="r"), np.load(starts)


def _decode(rows, path):
    """Write the samples of all rows to `path`; [0, length of each].  Raises ValueError where no row can be
    used.
    """
    lengths = [0]
    part = path.with_suffix(f".{os.getpid()}")  # whole or not at all: two processes may start together
    with open(part, "wb") as file:
        for row in rows:
            try:
                samples = (wav(row) * FULL_SCALE).astype("int16")
            except ValueError:
                samples = np.zeros(0, "int16")
            lengths.append(len(samples))
            file.write(samples.tobytes())
    if not sum(lengths):
        part.unlink()
        raise ValueError(f"None of {len(rows)} clips can be used{_first_fault(rows)}: "
                         "look at the corpus and its split.")
    part.replace(path)
    return lengths


def _first_fault(rows):
    if not rows:
        return ""
    return f"; the first ({_name(rows[0], 0)}): {_fault(rows[0])}"


def _fault(row):
    """Why the sound of a row cannot be used; "" if it can."""
    try:
        wav(row)
    except ValueError as error:
        return str(error)
    return ""


def _name(row, i):
    """What to call row i in a message."""
    return row.get("id") or row.get("file_name") or f"row {i}"


def usable(rows, folder):
    """Give the rows whose sound can be used; a warning counts and names the others, such as a silent clip.

    folder: that of `cache`, which then holds what was decoded.
    """
    _, starts = cache(rows, folder)
    bad = np.flatnonzero(np.diff(starts) == 0)
    if not len(bad):
        return rows
    first = _fault(rows[bad[0]])
    names = listed(_name(rows[i], i) for i in bad)
    warnings.warn(f"{len(bad)} of {len(rows)} clips left out: {names}. The first: {first}", stacklevel=2)
    left_out = set(bad.tolist())
    return [row for i, row in enumerate(rows) if i not in left_out]


def kept_array(path, make):
    """Give the array of make(), computed once and kept at `path`."""
    if not path.exists():
        new = path.with_suffix(f".{os.getpid()}.npy")  # whole or not at all, as above
        np.save(new, make(), allow_pickle=True)
        new.replace(path)
    return np.load(path, allow_pickle=True)  # written by us, on this machine
