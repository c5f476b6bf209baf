"""The box below the tabs: was this sound made here?  Anybody may check a clip; nothing of it is kept."""

import gradio as gr

from lib.audio import watermark
from lib.tabs import context, endpoints, visitor

TITLE = "Was this sound made here? Check a clip"
CUT_SECONDS = 2  # of a longer sound, found by themselves (tests/watermark_table.py)
NOT_PROOF = (
    "That does not make it a recording of a person: other programs leave other marks or none, and a "
    "mark can be destroyed."
)


def report(clip):
    """Say in Markdown whether a clip carries the mark; nothing for no clip."""
    if not clip:
        return ""
    mark = watermark.detect(clip)
    figure = f"score {mark.score:.1f}, found from {watermark.THRESHOLD:g} on"
    if mark.found:
        return f"**Marked: a machine made or changed this sound**, with Voice Atlas ({figure})."
    return f"**No mark of Voice Atlas** ({figure}). {NOT_PROOF}"


def callbacks(folder):
    """(function behind the API, the one behind the box), of uploaded clips only."""

    def is_marked(clip):
        """Look for the mark of Voice Atlas in a clip."""
        mark = watermark.detect(visitor.clip(clip, folder))
        return {"marked": mark.found, "score": round(mark.score, 2)}

    @visitor.answering
    @visitor.gently
    def tell(clip):
        if not clip:
            return ""
        return report(visitor.clip(clip, folder))

    return is_marked, tell


def publish(is_marked):
    """Make /is_marked public."""
    with endpoints.hidden():
        takes = [endpoints.clip("Clip", "A clip of half a second or more, in any format that the app reads")]
        gives = [
            endpoints.values("Mark", f"marked: true or false; score: marked from {watermark.THRESHOLD} on")
        ]
        endpoints.publish(is_marked, takes, gives, "is_marked", concurrency_limit=context.OTHERS_AT_ONCE)


def build():
    """Lay out the box inside a gr.Blocks."""
    with gr.Accordion(TITLE, open=False, elem_id="made-here"):
        gr.Markdown(
            "Every sound that leaves this page carries a mark that nobody hears and that survives MP3, a "
            f"telephone and a cut. Half a second is enough as it left, {CUT_SECONDS} s of what was cut out."
        )
        clip = context.upload("Clip to check", elem_id="is-marked")
        words = gr.Markdown(elem_id="mark", elem_classes="check")
    is_marked, tell = callbacks(clip.GRADIO_CACHE)
    gr.on([clip.upload, clip.stop_recording, clip.clear], tell, clip, words, **context.LIGHT)
    publish(is_marked)
