"""The tab Atlas: a map of voices that speak; place your own, mix two, take one along."""

import gradio as gr

from lib.tabs import about, chart, context, speak
from lib.tabs.desk import OWN, Desk

NAME, NEEDS = "Atlas", ("speaker_encoder", "tts", "atlas")
CONSENT = "Round and square dots may be real people: I may use the voices I chose."
WARMING = 2  # s between two looks at whether UMAP is ready


class Parts:
    """What lies on the page, made in order of its places."""

    def __init__(self, atlas):
        self.names = [*atlas.config.names, *OWN]
        self.own = context.state()
        with gr.Row():
            with gr.Column(scale=3, min_width=300):
                self.map(atlas)
            with gr.Column(scale=2, min_width=300):
                self.hand()
        with gr.Row():
            with gr.Column(min_width=300):
                self.mixture()
            with gr.Column(min_width=300):
                self.outside()

    def map(self, atlas):
        """The map and what belongs to it."""
        self.method = gr.Radio(
            list(chart.METHODS),
            value="UMAP",
            label="Map",
            info="UMAP keeps neighbours; PCA is a plain projection.",
        )
        self.picture = gr.HTML(
            "",
            base="",
            html_template=chart.TEMPLATE,
            css_template=chart.STYLE,
            js_on_load=chart.SCRIPT,
            apply_default_css=False,
        )
        gr.HTML(chart.legend(atlas.config.kinds))
        self.ready = gr.Markdown("UMAP warms up: in half a minute it can place a voice of your own.")

    def hand(self):
        """The voice in hand."""
        self.chosen = gr.Dropdown(self.names, value=None, label="Voice in hand")
        self.sound = gr.Audio(
            label="How it sounds",
            interactive=False,
            autoplay=True,
            buttons=["download"],
            waveform_options=context.colours(),
        )
        self.words = gr.Textbox(speak.SAMPLE, label="Your own sentence", lines=2)
        self.allowed = gr.Checkbox(label=CONSENT)
        self.say = gr.Button("Say it in this voice", variant="primary")
        with gr.Row():
            self.file = gr.DownloadButton("Download this voice", min_width=120, interactive=False)
            self.send = gr.Button("Send to Speak", min_width=120)
        self.facts = gr.Markdown("Choose a dot.", elem_id="point")

    def mixture(self):
        """Two voices and what lies between."""
        gr.Markdown("### Mix two\nThe last two dots you chose, or choose them here.")
        with gr.Row():
            self.one = gr.Dropdown(self.names, value=self.names[0], label="A", min_width=120)
            self.two = gr.Dropdown(self.names, value=self.names[1], label="B", min_width=120)
        self.share = gr.Slider(0, 1, 0.5, step=0.05, label="From A (0) to B (1)")
        self.noise = gr.Slider(
            0, 2, 0, step=0.05, label="Noise", info="1 leads about 45 degrees away: another voice."
        )
        self.draw = gr.Slider(1, 20, 1, step=1, label="Which noise")
        self.hear = gr.Button("Hear the mixture")

    def outside(self):
        """A voice from outside."""
        gr.Markdown(
            "### Bring a voice\nA clip of 5 to 10 s, or a voice file that was downloaded here "
            "(it holds no audio)."
        )
        self.clip = context.upload("Voice to place")
        self.consent = gr.Checkbox(label=speak.CONSENT)
        with gr.Row():
            self.place = gr.Button("Place my voice", min_width=120)
            self.load = gr.UploadButton("Load a voice file", file_types=[".json"], min_width=120)


def connect_map(parts, desk):
    """Connect the map and the choice of a voice to the functions of the desk."""
    held = [parts.chosen, parts.one, parts.two]
    scene = [parts.picture, parts.facts, parts.file]
    answer = [*held, parts.sound, *scene]
    view = [parts.one, parts.two, parts.method, parts.own]
    parts.picture.select(desk.pick, view, answer, trigger_mode="always_last", **context.LIGHT)
    parts.chosen.input(desk.hold, [parts.chosen, *view], answer, **context.LIGHT)
    parts.method.change(desk.turn, [parts.chosen, *view], [parts.picture, parts.facts], **context.LIGHT)
    # Another voice, another consent.
    chosen = [parts.picture.select, parts.chosen.input]
    gr.on(chosen, None, None, parts.allowed, js="() => false", **context.LIGHT)
    timer = gr.Timer(WARMING)
    timer.tick(desk.wait, None, [parts.ready, timer], **context.LIGHT)


def connect_speech(parts, desk):
    """Connect what speaks to the functions of the desk: all of it public."""
    public = dict(show_progress="minimal", concurrency_limit=context.SPEAKERS_AT_ONCE)
    how = [parts.method, parts.own, parts.allowed]
    parts.say.click(
        desk.speak_at_point,
        [parts.words, parts.chosen, *how],
        [parts.sound, parts.facts],
        api_name="speak_at_point",
        **public,
    )
    asked = [parts.hear.click, parts.share.release, parts.noise.release, parts.draw.release]
    gr.on(
        asked,
        desk.mix,
        [parts.one, parts.two, parts.share, parts.noise, parts.draw, parts.words, *how],
        [parts.own, parts.chosen, parts.sound, parts.picture, parts.facts, parts.file],
        api_name="mix",
        **public,
    )


def connect_outside(parts, desk, page):
    """Connect what comes from outside, and what leaves for another tab."""
    view = [parts.two, parts.method, parts.own]
    answer = [parts.own, parts.chosen, parts.one, parts.two, parts.picture, parts.facts, parts.file]
    parts.place.click(
        desk.place,
        [parts.clip, parts.consent, *view],
        answer,
        api_name="place",
        show_progress="minimal",
        concurrency_limit=context.OTHERS_AT_ONCE,
    )
    parts.load.upload(desk.load, [parts.load, parts.consent, *view], answer, **context.LIGHT)
    parts.send.click(desk.send, [parts.chosen, parts.own], [page.taken, page.tabs], **context.SENDING)
    page.taken.change(desk.receive, [page.taken, *view], answer, **context.LIGHT)


def build(page):
    """Lay out the tab inside a gr.Blocks; page: a context.Context."""
    atlas, card, trouble = chart.opened(page.voices, page.atlas)
    if trouble:
        gr.Markdown(trouble)
        return
    atlas.warm()
    gr.Markdown(
        "Every dot is a voice, real or invented: click one, tap near it, or walk with the arrow keys and "
        "press Enter."
    )
    parts = Parts(atlas)
    desk = Desk(page.voices, atlas, parts.sound.GRADIO_CACHE)
    parts.picture.props["base"] = desk.chart.base("UMAP")
    connect_map(parts, desk)
    connect_speech(parts, desk)
    connect_outside(parts, desk, page)
    gr.Markdown(about.line(card, "atlas"), elem_classes="about")
