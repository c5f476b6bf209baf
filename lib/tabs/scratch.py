"""Temporary files of the running app: one folder, which goes when the app ends, or the next one starts; what
visitors brought or made goes after an hour."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

PREFIX = "voice-atlas-app-"
SWEEP_SECONDS, KEPT_SECONDS = 600, 3600  # how often files are looked through, and how old they may grow
LOOK_SECONDS = 0.1  # between two looks at whether the app still runs
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


def stay(app):
    """Keep this process until Ctrl-C or SIGTERM, then close the gr.Blocks `app`, delete our folder, and end.

    Pages that are open are told first, as the server would wait for them.  The process ends at once: Python
    would take itself apart beside models and compilers that are still at work, for 47 s on a busy machine."""
    with contextlib.suppress(KeyboardInterrupt):
        while app.is_running:
            time.sleep(LOOK_SECONDS)
    app.close(verbose=False)
    for home in _homes:
        home.cleanup()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def forget(app, seconds):
    """Delete what visitors brought to a gr.Blocks or made there `seconds` ago or earlier: uploads, and OURS.

    Examples that the page begins with stay, also where somebody has uploaded the same again: it lies in the
    same place.  gradio's own sweep knows no result that a page shows in a component that was changed for one
    visitor, nor one that was never shown as its run was stopped."""
    kept = set()
    for block in list(app.blocks.values()):
        kept.update(getattr(block, "keep_in_cache", ()))
    paths = [Path(path) for path in list(app.upload_file_set) if path not in kept]
    for pattern in OURS:
        paths += Path(app.GRADIO_CACHE).glob(pattern)
    for path in paths:
        with contextlib.suppress(OSError):  # gone already
            if path.is_file() and path.stat().st_mtime <= time.time() - seconds:
                path.unlink()


def sweeping(app):
    """The lifespan of a server of `app`: every SWEEP_SECONDS it forgets what is older than KEPT_SECONDS."""

    async def sweep_on():
        while True:
            await asyncio.to_thread(forget, app, KEPT_SECONDS)
            await asyncio.sleep(SWEEP_SECONDS)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        task = asyncio.create_task(sweep_on())
        yield
        task.cancel()

    return lifespan
