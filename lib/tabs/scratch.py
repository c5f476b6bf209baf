"""Temporary files of the running app: one folder, which goes when the app ends, or the next one starts; what
visitors brought or made goes after an hour."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

PREFIX = "voice-atlas-app-"
SWEEP_SECONDS, KEPT_SECONDS = 600, 3600  # how often files are looked through, and how old they may grow
OURS = ("voice-atlas-*", "tmp*")  # results, and uploads that were broken off; whole ones lie in folders
_homes = []


def is_running(process):
    """Whether a process of this number, other than this one, lives."""
    if process == os.getpid():  # a container counts its processes anew: the folder is older than this process
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sweep(parent):
    """Delete the folders in `parent` of apps that ended without a chance to do it themselves."""
    for folder in Path(parent).glob(f"{PREFIX}*-*"):
        process = folder.name.removeprefix(PREFIX).split("-")[0]
        if process.isdecimal() and not is_running(int(process)):
            shutil.rmtree(folder, ignore_errors=True)  # that of another user stays


def move_in():
    """Give uploads, results and examples of this process one private folder, and have it deleted at its end.

    Returns the folder.  GRADIO_TEMP_DIR, where set, stays as it is.  SIGTERM ends the app as Ctrl-C does."""
    sweep(tempfile.gettempdir())
    home = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True)
    _homes.append(home)  # goes at the exit, after all temporary folders that are made later, inside of it
    tempfile.tempdir = home.name
    os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(home.name) / "gradio"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return home.name


def forget(folder, uploads, seconds):
    """Delete what visitors brought or made `seconds` ago or earlier: `uploads`, and OURS in `folder`.

    gradio's own sweep knows no result that a page shows in a component that was changed for one visitor, nor
    one that was never shown as its run was stopped."""
    paths = [Path(path) for path in list(uploads)]
    for pattern in OURS:
        paths += Path(folder).glob(pattern)
    for path in paths:
        with contextlib.suppress(OSError):  # gone already
            if path.is_file() and path.stat().st_mtime <= time.time() - seconds:
                path.unlink()


def sweeping(folder, uploads):
    """The lifespan of a server that forgets, every SWEEP_SECONDS, what is older than KEPT_SECONDS.

    uploads: the set of paths that gradio keeps of them."""

    async def sweep_on():
        while True:
            await asyncio.to_thread(forget, folder, uploads, KEPT_SECONDS)
            await asyncio.sleep(SWEEP_SECONDS)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        task = asyncio.create_task(sweep_on())
        yield
        task.cancel()

    return lifespan
