"""Voice Atlas as an app, one tab a file: http://127.0.0.1:7860 (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT change that)."""
import os
from pathlib import Path

import gradio as gr

from lib.tabs import atlas, convert, extract, listen, speak
from lib.voices.synthesis import CHECKPOINTS, Voices

CSS = Path(__file__).with_name("lib") / "tabs" / "app.css"
SYSTEM = dict(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])  # nothing is fetched


def build(voices=None, folder=atlas.ATLAS):
    """The app as gr.Blocks, around `voices` (default: the bundled weights, or those under VOICE_ATLAS_CHECKPOINTS) and an atlas."""
    voices = voices or Voices.load(os.environ.get("VOICE_ATLAS_CHECKPOINTS", CHECKPOINTS))
    with gr.Blocks(title="Voice Atlas", analytics_enabled=False, delete_cache=(600, 3600)) as app:
        gr.Markdown("# Voice Atlas")
        with gr.Tabs() as tabs:
            with gr.Tab("Speak", id="speak"):
                taken = speak.build(voices)
            for name, there, lay_out in (("Atlas", os.path.isdir(folder), lambda: atlas.build(voices, tabs, taken, folder)),
                                         ("Extract", voices.attractor, lambda: extract.build(voices, tabs, taken, os.path.isdir(folder))),
                                         ("Convert", voices.flow_vae, lambda: convert.build(voices, taken)),
                                         ("Listen", voices.flow_vae, lambda: listen.build(voices))):
                if there:  # a tab comes with its map or its weights
                    with gr.Tab(name, id=name.lower()):
                        lay_out()
    return app


def serve(app, **options):
    """Launch `app` as everybody meets it; options go to gradio's launch."""
    app.queue(api_open=False, max_size=32)
    return app.launch(theme=gr.themes.Monochrome(**SYSTEM), css_paths=CSS, max_file_size="20mb", enable_monitoring=False,
                      run_history=False, footer_links=["api"], ssr_mode=False, **options)


if __name__ == "__main__":
    serve(build())
