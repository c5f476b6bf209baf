"""A link that carries what was asked for in the tab Speak: words, example voice, settings; never a sound."""

from urllib.parse import parse_qs

import gradio as gr
from gradio.context import Context

from lib.tabs import context, visitor
from lib.voices.speak import FASTEST, LIMIT, SLOWEST
from lib.voices.upsample import RATES

NAMES = ("text", "voice", "seed", "speed", "expressiveness", "rate")  # in the address
# JavaScript: the address of the page with the fields in it.  Nothing is sent to the server.
WRITE = f"""(...fields) => {{
  const place = new URL(window.location.href);
  place.search = ''; place.searchParams.set('tab', 'speak');
  {list(NAMES)}.forEach((name, i) => fields[i] !== null && place.searchParams.set(name, fields[i]));
  return [place.href]; }}"""
READ = "() => [window.location.search]"


def given(values, name, check):
    """The value of an address under `name` after check(value), or None where it is missing or wrong."""
    if name not in values:
        return None
    try:
        return check(values[name][0])
    except ValueError:
        return None


def words(text):
    """The words of an address.  Raises ValueError for more than Speak takes."""
    if len(text) > LIMIT:
        raise ValueError(f"{len(text)} characters are too many.")
    return text


def read(address, voices):
    """{name: value} of what the query of an address asks for, as far as it is right.

    voices: names of the example voices."""
    values = parse_qs(str(address or "").removeprefix("?"), keep_blank_values=True)
    checks = {
        "text": words,
        "voice": lambda name: list(voices)[list(voices).index(name)],
        "seed": lambda value: visitor.seed(float(value)),
        "speed": lambda value: visitor.number(float(value), "Speed", SLOWEST, FASTEST),
        "expressiveness": lambda value: visitor.number(float(value), "Expressiveness", 0, 1),
        "rate": lambda value: RATES[RATES.index(int(value))],
    }
    asked = {name: given(values, name, check) for name, check in checks.items()}
    return {name: value for name, value in asked.items() if value is not None}


def build(text, choice, settings, reference, paths):
    """Lay out the button and the link, and fill the fields from the address when the page opens.

    settings: the fields seed, speed, expressiveness, rate.  paths: {example voice: path}."""
    write = gr.Button("Link to this text, voice and settings", size="md")
    link = gr.Textbox(
        label="Link: it holds no sound, and a clip of your own stays with you",
        interactive=False,
        buttons=["copy"],
        max_length=None,
        visible=False,
    )
    address = gr.Textbox(visible=False, max_length=None)
    fields = [text, choice, *settings]

    def fill(query):
        asked = read(query, paths)
        values = [asked.get(name, gr.skip()) for name in NAMES]
        clip = paths[asked["voice"]] if "voice" in asked else gr.skip()
        return *values, clip

    write.click(lambda: gr.Textbox(visible=True), None, link, **context.LIGHT).then(
        None, fields, link, js=WRITE, **context.LIGHT
    )
    page = Context.root_block
    page.load(fill, address, [*fields, reference], js=READ, **context.LIGHT)
