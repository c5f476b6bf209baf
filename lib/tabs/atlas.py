"""The tab Atlas: a map of voices that speak; place your own, mix two, take one along."""

import functools

import gradio as gr

from lib.tabs import about, chart, context, desk, endpoints, history, permits, said, speak, visitor
from lib.tabs.hints import Hints

NAME, NEEDS = "Atlas", ("speaker_encoder", "tts", "atlas")
CONSENT = "A real person's voice: I may use it, as its owner agreed."
CONSENT_MIX = "A or B is a real person's voice: I may use it, as its owner agreed."
WARMING = 2  # s between two looks at whether UMAP is ready


class Parts:
    """What lies on the page, made in order of its places."""

    def __init__(self, atlas, virtual):
        """virtual: names of at least two dots that are nobody's; the first of them are A and B."""
        self.names = [*atlas.config.names, *desk.OWN]
        self.hints = Hints()
        self.mixing, self.bringing = Hints(self.hints), Hints(self.hints)
        self.ends = virtual[:2]
        self.own = context.state()
        with gr.Row():
            with gr.Column(scale=3, min_width=300):
                self.map(atlas)
            with gr.Column(scale=2, min_width=300):
                self.hand()
        self.made = history.History(self.hints)
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
            shown="",
            html_template=chart.TEMPLATE,
            css_template=chart.STYLE,
            js_on_load=chart.SCRIPT,
            apply_default_css=False,
        )
        gr.HTML(chart.legend(atlas.config.kinds))
        self.ready = gr.Markdown("UMAP warms up: in half a minute it can place a voice of your own.")

    def hand(self):
        """The voice in hand, and how it sounds: beside the map, or right under it on a phone."""
        self.sound = gr.Audio(
            label="How it sounds",
            interactive=False,
            autoplay=True,
            buttons=["download"],
            waveform_options=context.colours(),
            elem_classes="result",
        )
        self.chosen = gr.Dropdown(self.names, value=None, label=desk.HAND)
        self.hints.beside(desk.HAND)
        self.words = gr.Textbox(speak.SAMPLE, label=desk.WORDS, lines=2)
        self.hints.beside(desk.WORDS)
        self.allowed = permits.box(CONSENT)
        self.hints.beside("Consent")
        self.say = gr.Button("Say it in this voice", variant="primary")
        self.hints.beside()
        with gr.Row():
            self.file = gr.DownloadButton("Download this voice", min_width=120, interactive=False)
            self.send = gr.Button("Send to Speak", min_width=120)
        self.facts = gr.Markdown("Choose a dot.", elem_id="point")

    def mixture(self):
        """Two voices and what lies between."""
        gr.Markdown("## Mix two\nThe last two dots you chose, or choose them here.")
        with gr.Row():
            self.one = gr.Dropdown(self.names, value=self.ends[0], label=desk.ONE, min_width=120)
            self.two = gr.Dropdown(self.names, value=self.ends[1], label=desk.TWO, min_width=120)
        for name in (desk.ONE, desk.TWO):
            self.mixing.beside(name)
        self.share = gr.Slider(0, 1, 0.5, step=0.05, label=desk.SHARE, info="0 is A, 1 is B.")
        self.mixing.beside(desk.SHARE)
        self.noise = gr.Slider(
            0, 2, 0, step=0.05, label=desk.NOISE, info="1 leads about 45 degrees away: another voice."
        )
        self.mixing.beside(desk.NOISE)
        self.draw = gr.Slider(1, 20, 1, step=1, label=desk.DRAW)
        self.mixing.beside(desk.DRAW)
        self.allowed_mix = permits.box(CONSENT_MIX)
        self.mixing.beside("Consent")
        self.hear = gr.Button("Hear the mixture")
        self.mixing.beside()

    def outside(self):
        """A voice from outside."""
        gr.Markdown(
            "## Bring a voice\nA clip of one person, 3 s or more, or a voice file that was downloaded here "
            "(it holds no audio)."
        )
        self.clip = context.upload(desk.CLIP)
        self.bringing.beside(desk.CLIP)
        self.consent = gr.Checkbox(label=speak.CONSENT)
        self.bringing.beside("Consent")
        with gr.Row():
            self.place = gr.Button("Place my voice", min_width=120)
            self.load = gr.UploadButton("Load a voice file", file_types=[".json"], min_width=120)
        self.bringing.beside(desk.FILE)
        self.bringing.beside()


def watch(parts):
    """Look at the fields again whenever they change."""
    parts.hints.watch(desk.HAND, [parts.chosen])
    parts.hints.watch(desk.WORDS, [parts.words], lambda words: speak.check_text(words, name=desk.WORDS))
    parts.hints.watch("Consent", [parts.allowed, parts.chosen])
    parts.mixing.watch("Consent", [parts.allowed_mix, parts.one, parts.two])
    parts.mixing.watch(desk.ONE, [parts.one])
    parts.mixing.watch(desk.TWO, [parts.two])
    for slider in (parts.share, parts.noise, parts.draw):
        low, high = desk.LIMITS[slider.label]
        check = functools.partial(visitor.number, name=slider.label, low=low, high=high)
        parts.mixing.watch(slider.label, [context.lenient(slider)], check)
    parts.bringing.watch(desk.CLIP, [parts.clip])
    parts.bringing.watch("Consent", [parts.consent, parts.clip])


def connect_map(parts, at):
    """Connect the map and the choice of a voice to the functions of the desk `at`."""
    hints, held = parts.hints, [parts.chosen, parts.one, parts.two]
    scene = [parts.picture, parts.facts, parts.file]
    answer = [*held, parts.sound, *scene]
    view = [parts.one, parts.two, parts.method, parts.own]
    pick, hold = hints.telling(at.pick, len(answer)), hints.telling(at.hold, len(answer))
    shown = [*answer, *hints.outputs()]
    parts.picture.select(pick, view, shown, trigger_mode="always_last", **context.LIGHT)
    parts.chosen.input(hold, [parts.chosen, *view], shown, **context.LIGHT)
    parts.method.change(
        hints.telling(at.turn, 2),
        [parts.chosen, *view],
        [parts.picture, parts.facts, *hints.outputs()],
        **context.LIGHT,
    )
    # Another voice, another consent; and none where nobody is to be asked.
    emptied = dict(js="() => false", trigger_mode="multiple") | context.LIGHT
    parts.chosen.change(None, None, parts.allowed, **emptied)
    ends = [parts.one.change, parts.two.change]
    gr.on(ends, None, None, parts.allowed_mix, **emptied)
    boxes = [parts.allowed, parts.allowed_mix]
    asked = [parts.chosen.change, *ends]
    gr.on(asked, at.boxes, [*held, parts.own], boxes, trigger_mode="always_last", **context.LIGHT)
    timer = gr.Timer(WARMING)
    timer.tick(at.wait, None, [parts.ready, timer], **context.LIGHT)


def connect_speech(parts, at):
    """Connect what speaks to the functions of `at`, a said.Said."""
    listed = parts.made.outputs()
    private = dict(
        api_visibility="private",
        show_progress="minimal",
        show_progress_on=[parts.sound],
        concurrency_limit=context.SPEAKERS_AT_ONCE,
    )
    how = [parts.method, parts.own]
    shown = [parts.sound, parts.facts, *listed]
    parts.say.click(
        parts.hints.telling(at.speak_at_point, len(shown)),
        [parts.words, parts.chosen, *how, parts.allowed, parts.made.state],
        [*shown, *parts.hints.outputs()],
        **private,
    )
    asked = [parts.hear.click, parts.share.release, parts.noise.release, parts.draw.release]
    ends = [parts.one, parts.two]
    sliders = [parts.share, parts.noise, parts.draw]
    scene = [parts.picture, parts.facts, parts.file]
    mixed = [parts.own, parts.chosen, parts.sound, *scene, *listed]
    gr.on(
        asked,
        parts.mixing.telling(at.mix_on_page, len(mixed)),
        [*ends, *sliders, parts.words, *how, parts.allowed_mix, parts.made.state],
        [*mixed, *parts.mixing.outputs()],
        **private,
    )
    parts.made.connect_list([parts.sound])
    boxes = [parts.allowed, parts.allowed_mix]
    filled = [parts.own, parts.chosen, *ends, *sliders, parts.words, *boxes, *scene]
    parts.made.connect_again(at.use, [*ends, *how], filled)


def connect_outside(parts, at, page):
    """Connect what comes from outside, and what leaves for another tab, to the functions of `at`, a Said."""
    hints, listed = parts.bringing, parts.made.outputs()
    view = [parts.two, parts.method, parts.own]
    answer = [parts.own, parts.chosen, parts.one, parts.two, parts.sound]
    answer += [parts.picture, parts.facts, parts.file]
    shown, count = [*answer, *hints.outputs()], len(answer)
    spoken = [*answer, *listed]
    private = dict(api_visibility="private", show_progress="minimal", show_progress_on=[parts.sound])
    private |= dict(concurrency_limit=context.OTHERS_AT_ONCE)
    how = [parts.consent, *view, parts.made.state]
    heard = [*spoken, *hints.outputs()]
    parts.place.click(
        hints.telling(at.place_on_page, len(spoken)), [parts.clip, *how], heard, **private
    )
    parts.load.upload(hints.telling(at.load, len(spoken)), [parts.load, *how], heard, **private)
    parts.send.click(
        parts.hints.telling(at.desk.send, 2),
        [parts.chosen, parts.own],
        [page.taken, page.tabs, *parts.hints.outputs()],
        **context.SENDING,
    )
    page.taken.change(hints.telling(at.desk.receive, count), [page.taken, *view], shown, **context.LIGHT)
    brought = [parts.clip.upload, parts.clip.stop_recording, parts.clip.clear]
    emptied = dict(js="() => false", trigger_mode="multiple") | context.LIGHT
    gr.on(brought, None, None, parts.consent, **emptied)


def publish(at, own):
    """Make /speak_at_point, /mix and /place public; own: the gr.State of a session's own voices."""
    spoken = dict(concurrency_limit=context.SPEAKERS_AT_ONCE)
    first, second = at.virtual()[:2]
    sample = (desk.WORDS, "English: what is to be said", speak.SAMPLE)
    shown = ("Map", "UMAP or PCA: on which map places are told", list(chart.METHODS), "UMAP")
    asked = ("Consent", "True: I may use these voices. Needed for dots that are real people")
    facts = ("Facts", "Markdown: what the voice is, its nearest voices, how far to believe the map")
    voice = ("Voice", "Its name, place [x, y] on the map (null while UMAP warms up), cosine to neighbours")
    file = ("Voice file", "A json file for the button Load a voice file; null for a real person's voice")
    with endpoints.hidden():
        takes = [
            endpoints.words(*sample),
            endpoints.words(desk.HAND, "Name of a dot, or: my voice, the mixture (of this session)", first),
            endpoints.choice(*shown),
            own,
            endpoints.tick(*asked),
        ]
        gives = [endpoints.sound("Speech", "The sound, a wav file"), endpoints.words(*facts)]
        endpoints.publish(at.speak_at_point, takes, gives, "speak_at_point", **spoken)
        takes = [
            endpoints.words(desk.ONE, "Name of a dot, or of a voice of this session", first),
            endpoints.words(desk.TWO, "Name of another", second),
            endpoints.number(desk.SHARE, "0 is A, 1 is B", 0.5),
            endpoints.number(desk.NOISE, "0 to 2; 1 leads about 45 degrees away", 0),
            endpoints.number(desk.DRAW, "1 to 20: which noise", 1),
            endpoints.words(*sample),
            endpoints.choice(*shown),
            own,
            endpoints.tick(*asked),
        ]
        gives = [
            own,
            endpoints.sound("Speech", "The sample said in the mixture, a wav file"),
            endpoints.values(*voice),
            endpoints.words(*facts),
            endpoints.file(*file),
        ]
        endpoints.publish(at.mix, takes, gives, "mix", **spoken)
        takes = [
            endpoints.clip(desk.CLIP, "A clip of one person, 3 s or more"),
            endpoints.tick("Consent", "True: I may use the voice in this clip"),
            endpoints.words(desk.TWO, "Name of a dot with which the voice is compared", first),
            endpoints.choice(*shown),
            own,
        ]
        gives = [own, endpoints.values(*voice), endpoints.words(*facts), endpoints.file(*file)]
        endpoints.publish(at.place, takes, gives, "place", concurrency_limit=context.OTHERS_AT_ONCE)


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
    at = desk.Desk(page.voices, atlas, page.taken.GRADIO_CACHE)
    parts = Parts(atlas, at.virtual())
    parts.picture.props["base"] = at.chart.base("UMAP")
    publish(at, parts.own)  # first: names go to who comes first
    watch(parts)
    connect_map(parts, at)
    speaking = said.Said(at)
    connect_speech(parts, speaking)
    connect_outside(parts, speaking, page)
    about.build(about.line(card, "atlas"), "atlas")
