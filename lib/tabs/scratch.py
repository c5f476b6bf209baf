"""Temporary files of the running app: one folder, which goes when the app ends, or the next one starts."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

PREFIX = "voice-atlas-app-"
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
