"""How the app looks: its theme, its wordmark, its style sheet; nothing is fetched from elsewhere."""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent
CSS = HERE / "app.css"
SYSTEM = dict(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
# Ink of the brand on paper, and its light twin on night; tests/test_look.py measures their contrast.
INK, PAPER, PALE = "#115e59", "#ffffff", "#f3f6f5"
GLOW, NIGHT, DUSK = "#5eead4", "#101817", "#18211f"
DEEP, BRIGHT = "#0b3f3b", "#99f6e4"  # a button under the pointer, light and dark
TEXT, TEXT_DARK = "#16201f", "#e7eeec"
QUIET, QUIET_DARK = "#4b5a57", "#a9b8b4"  # less important words
LINE, LINE_DARK = "#7d8c88", "#6f807b"  # edges of fields: 3 to 1


def theme():
    """The theme, light and dark."""
    base = gr.themes.Base(primary_hue="teal", neutral_hue="stone", radius_size="md", **SYSTEM)
    return base.set(
        body_background_fill=PALE,
        body_background_fill_dark=NIGHT,
        body_text_color=TEXT,
        body_text_color_dark=TEXT_DARK,
        body_text_color_subdued=QUIET,
        body_text_color_subdued_dark=QUIET_DARK,
        background_fill_primary=PAPER,
        background_fill_primary_dark=DUSK,
        block_background_fill=PAPER,
        block_background_fill_dark=DUSK,
        block_label_background_fill=PAPER,
        block_label_background_fill_dark=DUSK,
        checkbox_background_color=PAPER,
        checkbox_background_color_dark=NIGHT,
        block_label_text_color=INK,
        block_label_text_color_dark=GLOW,
        block_title_text_color=INK,
        block_title_text_color_dark=GLOW,
        block_info_text_color=QUIET,
        block_info_text_color_dark=QUIET_DARK,
        input_background_fill=PAPER,
        input_background_fill_dark=NIGHT,
        input_border_width="1px",
        input_border_color=LINE,
        input_border_color_dark=LINE_DARK,
        checkbox_border_color=LINE,
        checkbox_border_color_dark=LINE_DARK,
        button_primary_background_fill=INK,
        button_primary_background_fill_dark=GLOW,
        button_primary_background_fill_hover=DEEP,
        button_primary_background_fill_hover_dark=BRIGHT,
        button_primary_text_color=PAPER,
        button_primary_text_color_dark=NIGHT,
        button_secondary_background_fill=PAPER,
        button_secondary_background_fill_dark=DUSK,
        button_secondary_text_color=INK,
        button_secondary_text_color_dark=GLOW,
        button_secondary_border_color=INK,
        button_secondary_border_color_dark=GLOW,
        button_border_width="1px",
        link_text_color=INK,
        link_text_color_dark=GLOW,
        color_accent=INK,
        slider_color=INK,
        slider_color_dark=GLOW,
        checkbox_background_color_selected=INK,
        checkbox_background_color_selected_dark=INK,
    )


def head():
    """The wordmark above the tabs, as HTML."""
    return f"<h1>{(HERE / 'wordmark.svg').read_text()}</h1>"


def address(tab):
    """JavaScript that gives a tab an address of its own, so that it can be sent to somebody.

    What else the address says belongs to the tab that it came with, and goes when another is chosen."""
    return f"""() => {{
  const place = new URL(window.location.href);
  if (!window.voiceAtlasIsOpen || place.searchParams.get('tab') === '{tab}') return [];
  place.search = ''; place.searchParams.set('tab', '{tab}');
  window.history.replaceState(null, '', place); return []; }}"""


# Opens the tab of which the address of the page speaks (?tab=speak).
ARRIVE = """() => {
  const name = new URLSearchParams(window.location.search).get('tab');
  const tab = [...document.querySelectorAll('[role=tab]')].find((tab) => tab.dataset.tabId === name);
  if (tab) tab.click();
  window.voiceAtlasIsOpen = true;  // from now on a choice of a tab is the visitor's
  return []; }"""
