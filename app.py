"""Voice Atlas as an app: http://127.0.0.1:7860 (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT change that)."""

import sys
from pathlib import Path

import gradio as gr

from lib.tabs import atlas, clean, context, convert, door, extract, listen, marked, scratch, speak
from lib.voices import Voices

TABS = (speak, atlas, extract, convert, clean, listen)
CSS = Path(__file__).parent / "lib" / "tabs" / "app.css"
KEYS = CSS.with_name("keys.js")
SYSTEM = dict(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])  # nothing is fetched
SWEEP_SECONDS, KEPT_SECONDS = 600, 3600  # how often files are looked through, and how old they may grow
SKIP = '<a class="skip" href="#tabs">Skip to what you can do here</a>'  # the first stop of the key Tab
WAITING = 64  # requests in the queue; who comes after them is asked to come later


def build(voices=None, folder=context.ATLAS):
    """The app as gr.Blocks, around `voices` and an atlas; each tab whose NEEDS are there.

    voices: by default the bundled weights, or those under VOICE_ATLAS_CHECKPOINTS."""
    voices = voices or Voices.load()
    voices.bundle.check()  # what is broken is said now, not to the first visitor who needs it
    with gr.Blocks(
        title="Voice Atlas", analytics_enabled=False, delete_cache=(SWEEP_SECONDS, KEPT_SECONDS)
    ) as app:
        gr.HTML(SKIP, js_on_load=KEYS.read_text())
        gr.Markdown("# Voice Atlas")
        taken = context.state()
        with gr.Tabs(elem_id="tabs") as tabs:
            page = context.Context(voices, tabs, taken, folder)
            for tab in TABS:
                if all(page.has(name) for name in tab.NEEDS):
                    with gr.Tab(tab.NAME, id=tab.NAME.lower()):
                        tab.build(page)
        marked.build()
    return app


def serve(app, **options):
    """Launch `app` as everybody meets it; options go to gradio's launch."""
    app.queue(api_open=False, max_size=WAITING)
    return app.launch(
        theme=gr.themes.Monochrome(**SYSTEM),
        css_paths=CSS,
        max_file_size="20mb",
        enable_monitoring=False,
        run_history=False,
        footer_links=["api"],
        ssr_mode=False,
        app_kwargs=door.middleware(app, options.get("server_name")),
        **options,
    )


if __name__ == "__main__":
    scratch.move_in()
    try:
        page = build()
    except ValueError as error:  # a broken checkpoint: its name and the remedy, in one line
        sys.exit(str(error))
    serve(page)
