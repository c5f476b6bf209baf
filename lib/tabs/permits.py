"""Consent belongs to a clip: asked for where somebody real may speak, and anew when another clip comes."""

import hashlib
from pathlib import Path

import gradio as gr

from lib.tabs import context, visitor


class Virtual:
    """Clips in which nobody real speaks: the bundled examples, known by what they hold."""

    def __init__(self):
        self.digests = set()

    def add(self, paths):
        """Know the files `paths` from now on."""
        self.digests.update(digest(path) for path in paths)

    def holds(self, path):
        """Whether a file is one of them, wherever it lies."""
        return digest(path) in self.digests


VIRTUAL = Virtual()


def digest(path):
    """SHA-256 of a file, which visitor.clip() has found small enough."""
    return hashlib.sha256(Path(path).read_bytes()).digest()


def is_person(voice):
    """Whether a real person may stand behind a voice that was made: None, or a dict that says so."""
    return bool(voice) and voice.get("person") is not False


def asks(clips, folder, taken=None):
    """Whether somebody real may speak in an upload of `clips` (None: not there) or in the voice `taken`.

    taken: None, or a dict whose "person" is False for a voice that nobody has.
    Raises ValueError for what is no upload."""
    paths = [visitor.clip(path, folder) for path in clips if path]
    return is_person(taken) or any(not VIRTUAL.holds(path) for path in paths)


def require(ticked, whose="this voice is"):
    """Raise WrongField unless the box was ticked: True, nothing that only looks like it."""
    if ticked is not True:
        raise visitor.WrongField(
            "Consent",
            f"the consent box is not ticked, and {whose} somebody's: "
            "borrow a voice only when you may, then tick the box.",
        )


def box(label):
    """The box where a visitor says so; it is there when it is needed."""
    return gr.Checkbox(label=label, visible=False)


def connect(ticked, clips, folder, taken=None, held=None):
    """Empty the box `ticked` whenever a clip is brought or a voice sent, and show it where it is needed.

    clips: the uploads it is about.  taken: the gr.State of a voice from another tab, which speaks where the
    last of the clips is missing.  held: the gr.State of voices that were made of earlier clips."""
    states = [state for state in (taken, held) if state]

    def show(*given):
        paths = given[: len(clips)]
        kept = dict(zip(states, given[len(clips) :], strict=True))
        sent = None if paths[-1] else kept.get(taken)
        try:
            is_needed = is_person(kept.get(held)) or asks(paths, folder, sent)
        except (ValueError, OSError):  # a clip that is refused when it is used
            is_needed = True
        return gr.Checkbox(visible=is_needed)

    brought, changed = [], []
    for clip in clips:
        brought += [clip.upload, clip.stop_recording, clip.clear]
        changed.append(clip.change)
    if taken:
        brought.append(taken.change)
        changed.append(taken.change)
    gr.on(brought, None, None, ticked, js="() => false", trigger_mode="multiple", **context.LIGHT)
    # The last change counts: an answer about an earlier one must not be all that there is.
    gr.on(changed, show, [*clips, *states], ticked, trigger_mode="always_last", **context.LIGHT)
