"""Voice Atlas as an app: http://127.0.0.1:7860 (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT change that)."""

import sys

import gradio as gr

from lib.tabs import atlas, clean, context, convert, door, extract, home, listen, look, marked, scratch, speak
from lib.voices import Voices

TABS = (speak, atlas, extract, convert, clean, listen)
KEYS = look.CSS.with_name("keys.js")
SKIP = '<a class="skip" href="#tabs">Skip to what you can do here</a>'  # the first stop of the key Tab
WAITING = 64  # requests in the queue; who comes after them is asked to come later


def build(voices=None, folder=context.ATLAS):
    """The app as gr.Blocks, around `voices` and an atlas; each tab whose NEEDS are there.

    voices: by default the bundled weights, or those under VOICE_ATLAS_CHECKPOINTS."""
    voices = voices or Voices.load()
    voices.bundle.check()  # what is broken is said now, not to the first visitor who needs it
    with gr.Blocks(
        title="Voice Atlas",
        analytics_enabled=False,
        delete_cache=(scratch.SWEEP_SECONDS, scratch.KEPT_SECONDS),
    ) as app:
        gr.HTML(SKIP, js_on_load=KEYS.read_text())
        gr.HTML(look.head(), elem_id="head", padding=False)
        taken = context.state()
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            page = context.Context(voices, tabs, taken, folder)
            shown = [tab for tab in TABS if all(page.has(name) for name in tab.NEEDS)]
            add(home, page, shown)
            for tab in shown:
                add(tab, page)
        marked.build()
        app.load(None, None, None, js=look.ARRIVE, **context.LIGHT)
    return app


def add(tab, page, *more):
    """Lay out one of the modules of lib.tabs as a tab with an address of its own."""
    name = tab.NAME.lower()
    with gr.Tab(tab.NAME, id=name) as shown:
        tab.build(page, *more)
    shown.select(None, None, None, js=look.address(name), **context.LIGHT)


def serve(app, **options):
    """Launch `app` as everybody meets it; options go to gradio's launch."""
    app.queue(api_open=False, max_size=WAITING)
    kept = {"lifespan": scratch.sweeping(app)}
    return app.launch(
        theme=look.theme(),
        css_paths=look.CSS,
        max_file_size="20mb",
        enable_monitoring=False,
        run_history=False,
        footer_links=["api"],
        ssr_mode=False,
        app_kwargs=door.middleware(app, options.get("server_name")) | kept,
        **options,
    )


if __name__ == "__main__":
    scratch.move_in()
    try:
        page = build()
    except ValueError as error:  # a broken checkpoint: its name and the remedy, in one line
        sys.exit(str(error))
    serve(page, prevent_thread_lock=True)
    scratch.stay(page)
