"""Voice Atlas as an app, one tab a file: http://127.0.0.1:7860 (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT change that)."""
import os

import gradio as gr

from lib.synthesis import CHECKPOINTS, Voices
from lib.tabs import speak

CSS = """.gradio-container {max-width: 1100px !important; margin: auto}
#facts, #check {overflow-wrap: anywhere}
#reference, #result {--neutral-400: var(--body-text-color-subdued)}  /* grey buttons that can be seen */
#reference .source-selection {height: auto; gap: 12px; padding: 4px}
#reference .source-selection button {width: auto; height: auto; padding: 8px}
#reference .source-selection button {display: flex; flex-direction: row; align-items: center}
#reference .source-selection button::after {content: attr(aria-label); padding-left: 8px}
#reference .source-selection svg {width: 20px}
footer .divider {display: none}"""
SYSTEM = dict(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])  # nothing is fetched


def build(voices=None):
    """The app as gr.Blocks, around `voices` (default: the bundled weights, or those under VOICE_ATLAS_CHECKPOINTS)."""
    voices = voices or Voices.load(os.environ.get("VOICE_ATLAS_CHECKPOINTS", CHECKPOINTS))
    with gr.Blocks(title="Voice Atlas", analytics_enabled=False, delete_cache=(600, 3600)) as app:
        gr.Markdown("# Voice Atlas")
        with gr.Tab("Speak"):
            speak.build(voices)
    return app


def serve(app, **options):
    """Launch `app` as everybody meets it; options go to gradio's launch."""
    app.queue(api_open=False, max_size=32)
    return app.launch(theme=gr.themes.Monochrome(**SYSTEM), css=CSS, max_file_size="20mb", enable_monitoring=False,
                      run_history=False, footer_links=["api"], ssr_mode=False, **options)


if __name__ == "__main__":
    serve(build())
