"""Figures are labelled, small, and independent of each other; players and tables hold what they say."""
import base64
import concurrent.futures
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib import audio, show
from lib.data import corpus

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wav():
    return corpus.wav(corpus.rows()[0])


def mixture(S=2):
    """Figure of a mixture whose first half belongs to the first person, the second to the last; silent above
    2 kHz."""
    level = np.full((100, 321), 1e-9)
    level[:, :80] = 1.0
    masks = np.zeros((S, 100, 321))
    masks[0, :50] = 1
    masks[-1, 50:] = 1
    fig, axis = show.figure()
    show.draw_mixture(axis, level, masks, 2.0, top_hz=4000, title="Who speaks where")
    return fig


def figures(wav):
    """One of every kind."""
    rng = np.random.default_rng(0)
    log = [{"step": 50 * i, "s_per_step": 0.1, "aam": 5 / i, "proto": 3 / i} for i in range(1, 9)]
    return [show.spectrogram(wav), show.spectrogram(wav, kind="spec"), show.sound(wav, title="A sentence"),
            show.alignment(np.eye(5, 9), list("hello")), show.losses(log), mixture(),
            show.voices(rng.standard_normal((60, 2)), np.repeat(["a", "b", "c"], 20)),
            show.scores(rng.standard_normal(300), np.arange(300) < 90, 0.2),
            show.mistakes({"one": rng.standard_normal(300)}, np.arange(300) < 90, "Every threshold")]


def test_the_mistakes_of_a_perfect_encoder_meet_in_the_corner():
    """Catches the two axes or the two kinds of pairs in each other's place."""
    labels = np.arange(100) < 20
    blind = np.random.default_rng(0).permutation(100)
    perfect, guess = show.mistakes({"perfect": labels + 0.0, "guess": blind}, labels).axes[0].lines
    assert np.hypot(*perfect.get_data()).min() == 0
    assert np.hypot(*guess.get_data()).min() > 30
    let_in, turned_away = guess.get_data()
    assert (np.diff(let_in) <= 0).all() and (np.diff(turned_away) >= 0).all()


def test_every_figure_has_labelled_axes_an_alternative_text_and_fits_into_a_notebook(wav):
    for fig in figures(wav):
        for axis in fig.axes:
            assert axis.get_ylabel(), fig.get_label()
        lowest = [axis for axis in fig.axes if axis.get_subplotspec()
                  and axis.get_subplotspec().is_last_row()]
        assert lowest and all(axis.get_xlabel() for axis in lowest), fig.get_label()
        assert len(fig.get_label()) > 15
        mime, picture = show.picture(fig)
        image = Image.open(io.BytesIO(picture))
        assert len(base64.b64encode(picture)) < 50_000 and image.get_format_mimetype() == mime
        width, height = image.size
        assert (width, height) == tuple((fig.get_size_inches() * fig.dpi).round())


def test_noise_fits_into_a_notebook_too():
    fig = show.spectrogram(np.random.default_rng(0).standard_normal(30 * 16000), kind="spec")
    assert len(show.picture(fig)[1]) <= show.PICTURE_BYTES


def test_units_stand_on_the_axes_of_a_spectrogram(wav):
    axis = show.spectrogram(wav).axes[0]
    assert axis.get_xlabel() == "time (s)" and axis.get_ylabel() == "frequency (Hz)"
    assert axis.get_xlim()[1] == pytest.approx(len(wav) // audio.HOP * audio.HOP / audio.RATE)


def test_a_tone_is_drawn_at_its_frequency():
    """The mel axis is ticked by hand: a tone of 1000 Hz must lie at the tick that says 1000."""
    axis = show.spectrogram(np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype("float32")).axes[0]
    ticks = dict(zip([text.get_text() for text in axis.get_yticklabels()], axis.get_yticks()))
    loudest = axis.images[0].get_array().mean(1).argmax() + 0.5
    assert abs(loudest - ticks["1000"]) <= 1


def test_a_mixture_is_as_bright_as_it_is_loud_in_the_colours_of_its_people():
    """Catches axes that are exchanged, people who share a colour, and a picture cut at another frequency than
    it says."""
    axis = mixture(S=4).axes[0]
    image = axis.images[0].get_array()
    assert image.shape == (160, 100, 3) and axis.get_ylim() == (0, 4) and axis.get_xlim() == (0, 2)
    first, last = ([int(show.PEOPLE[k][i:i + 2], 16) / 255 for i in (1, 3, 5)] for k in (0, 3))
    assert image[10, 10].tolist() == pytest.approx(first) and image[10, 90].tolist() == pytest.approx(last)
    assert image[90:].max() == 0


def test_other_rates_keep_their_seconds():
    axis = show.spectrogram(np.random.default_rng(0).standard_normal(48000).astype("float32"),
                            rate=24000).axes[0]
    assert axis.get_xlim()[1] == pytest.approx(2.0, abs=0.02)


def test_voices_differ_by_shape_as_well_as_colour():
    axis = show.voices(np.random.default_rng(0).standard_normal((56, 2)), np.arange(56)).axes[0]
    looks = [(tuple(c.get_facecolor()[0][:3]), c.get_paths()[0].vertices.tobytes()) for c in axis.collections]
    assert len(set(looks)) == 56
    assert len({shape for _, shape in looks[:7]}) == 7, "seven voices must differ without colour"


def test_threads_draw_what_one_thread_draws(wav):
    alone = [show.picture(fig) for fig in figures(wav)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for together in pool.map(lambda _: [show.picture(fig) for fig in figures(wav)], range(4)):
            assert together == alone


def test_nothing_heavy_is_imported_before_it_is_needed():
    heavy = {"matplotlib.pyplot", "umap", "IPython", "ipywidgets"}
    code = f"import sys; from lib import show; print({heavy} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize("call, said", [
    (lambda: show.spectrogram(np.zeros((2, 16000))), "cannot be drawn"),
    (lambda: show.sound(np.zeros(0)), "cannot be drawn"),
    (lambda: show.spectrogram(np.ones(16000), kind="melody"), "'mel' or 'spec'"),
    (lambda: show.alignment(np.eye(3), ["a"]), "N tokens"),
    (lambda: show.losses([]), "empty"),
    (lambda: show.voices(np.zeros((3, 2)), ["a"]), "1 names"),
    (lambda: show.table([]), "at least one"),
    (lambda: show.table([{"a": 1}, {"b": 1}]), "same keys")])
def test_mistakes_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_a_player_holds_the_sound_and_its_label(wav):
    shown = show.player(wav, label='first <voice> "A"')
    data = base64.b64decode(re.search(r"base64,([^\"]+)", shown.html)[1])
    rate, heard = audio.load(data)
    assert rate == audio.RATE and abs(len(heard) - len(wav)) < 0.15 * rate
    # the codec may delay the sound: compare levels over time, which no other sentence shares
    a, b = audio.frame_db(wav, 800), audio.frame_db(heard, 800)
    n = min(len(a), len(b)) - 3
    assert max(np.corrcoef(np.maximum(a[:n], -60), np.maximum(b[k:n + k], -60))[0, 1]
               for k in range(3)) > 0.95
    assert "first &lt;voice&gt; &quot;A&quot;" in shown.html and "<voice>" not in shown.html
    assert repr(shown).startswith("[first <voice>")


def test_seven_seconds_fit_into_a_saved_notebook(wav):
    assert len(show.player(np.resize(wav, 7 * audio.RATE)).html) < 50_000


def test_a_table_is_markdown_in_a_terminal_and_html_in_a_notebook():
    rows = [{"voice": "a|b", "cosine": 0.123456, "clips": 3}, {"voice": "<i>", "cosine": 1.0, "clips": 10}]
    shown = show.table(rows, "Two voices")
    assert str(shown).splitlines() == ["Two voices", "", "| voice | cosine | clips |",
                                       "| --- | ---: | ---: |",
                                       "| a\\|b | 0.1235 | 3 |", "| <i> | 1 | 10 |"]
    assert shown.html.count("<tr>") == 3 and "&lt;i&gt;" in shown.html and "<i>" not in shown.html
    assert "<caption" in shown.html and "text-align:right" in shown.html


def test_a_script_sees_words_and_sliders_run_once(capsys, wav):
    """Lessons run as scripts too: nothing may need a notebook."""
    calls = []
    show.sliders(lambda pitch, vowel: calls.append((pitch, vowel)), pitch=(80, 300, 5, 120), vowel=["a", "i"])
    assert calls == [(120, "a")]
    show.display(show.sound(wav, title="Hello"), show.player(wav, label="Hello"), "words")
    assert capsys.readouterr().out.splitlines() == [
        "[Hello: waveform and mel spectrogram of 4.1 s.]", "[Hello: 4.1 s of sound]", "words"]


def test_an_exercise_is_open_wrong_broken_or_right(capsys):
    def right(answer):
        return answer(2) == 4
    for answer in (None, lambda n: n, lambda n: n / 0, lambda n: n * n):
        show.exercise(1, answer, right, "Try squares.")
    assert capsys.readouterr().out.splitlines() == [
        "Exercise 1: not answered yet. Try squares.", "Exercise 1: not yet. Try squares.",
        "Exercise 1: not yet, it raised ZeroDivisionError: division by zero. Try squares.",
        "Exercise 1: right."]


def boxes(*titles):
    """Where the sounds of a picture with these titles lie, in pixels."""
    return show.pictures.frame(titles, show.pictures.HEIGHT)[1]


def pixels(sounds):
    """Brightness [height, width] of the picture of sounds."""
    return np.asarray(Image.open(io.BytesIO(show.spectrograms(sounds))).convert("L")).astype(int)


def test_a_spectrogram_for_the_app_lies_where_its_axes_say():
    """Catches a picture that is upside down, shifted in time, or drawn over that of another visitor."""
    half = np.zeros(32000, "float32")
    half[16000:] = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    image = pixels({"Tone": (16000, half)})
    left, top, right, bottom = boxes("Tone")[0]
    place = show.plots.mel_places()[show.plots.MEL_TICKS.index(1000)] / audio.N_MELS
    row = round(bottom - place * (bottom - top))
    middle = (left + right) // 2
    assert image[row, middle + 40: right - 20].min() > 200, "1 kHz is where its tick is, in the second half"
    assert image[row, left: middle - 40].max() < 20, "the first half is silent"
    assert image[top: row - 60, middle + 40: right - 20].max() < 120, "there is nothing far above 1 kHz"
    again = pixels({"Tone": (16000, np.concatenate([half, half]))})
    assert not np.array_equal(image, again) and np.array_equal(image, pixels({"Tone": (16000, half)}))


def test_sounds_of_one_picture_share_their_time(wav):
    """Catches a short sound that is stretched to the length of a long one, and times in the wrong place."""
    short = audio.resample(wav[:32000], 16000, 24000)
    sounds = {"Long": (16000, np.resize(wav, 64000)), "Short": (24000, short)}
    image = pixels(sounds)
    long, short = boxes("Long", "Short")
    middle = (short[0] + short[2]) // 2
    assert image[short[1]: short[3] - 4, middle + 5: short[2] - 5].min() == 255, "above the axis"
    assert image[short[1]: short[3], short[0]: middle - 5].max() < 255
    assert image[long[1]: long[3], long[0]: long[2]].max() < 255
    below = image[short[3] + 4]
    ticks = [short[0] + round((short[2] - short[0]) * second / 4) for second in range(5)]
    assert all(below[tick - 2: tick + 2].min() < 100 for tick in ticks)
    with pytest.raises(ValueError, match="cannot be drawn"):
        show.spectrograms({"Nothing": (16000, wav[:100])})
