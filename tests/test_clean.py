"""The tab Clean and Voices.enhance around a tiny untrained enhancer, saved and loaded as the real one is."""

import functools
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch
from test_convert import buzz

from lib import audio, training
from lib.models.enhancer import Enhancer, EnhancerConfig
from lib.tabs import clean as tab
from lib.tabs import context, permits, tuning, visitor
from lib.voices import Voices, tune

NOISY = (audio.RATE, buzz(np.linspace(110, 150, 40000), noise=0.03))
VOICE = (audio.RATE, buzz(np.linspace(250, 220, 40000)))


@pytest.fixture(scope="module")
def voices(tiny_root, tmp_path_factory):
    """The tiny checkpoints of conftest.py with an enhancer beside them."""
    root = tmp_path_factory.mktemp("with-enhancer")
    for name in ("speaker_encoder", "codec", "tts"):
        shutil.copytree(tiny_root / name, root / name)
    torch.manual_seed(0)
    net = Enhancer(EnhancerConfig(D=16, H=12, blocks=3, repeats=1))
    for block in net.blocks:
        torch.nn.init.normal_(block.film.weight, std=0.3)
    card = dict(data="none", licence="Apache-2.0", budget="0 steps", figures={}, name="tiny-enhancer")
    training.save(root / "enhancer", net, net.config, card)
    return Voices.load(root)


@pytest.fixture
def shelf():
    return tuning.Shelf(most=2)


@pytest.fixture
def run(voices, shelf, tmp_path):
    """The function behind the button, for a visitor of its own."""
    function, on_page = tab.callbacks(voices, tmp_path, shelf, visitor.Stops())
    paths = [str(tmp_path / f"{name}.wav") for name in ("noisy", "voice")]
    for path, clip in zip(paths, (NOISY, VOICE), strict=True):
        audio.save(path, *clip)

    def ask(
        recording=paths[0],
        keep=tab.ANYBODY,
        voice=paths[1],
        consent=True,
        strength=1.0,
        hand=None,
        **page,
    ):
        """page: taken, example, kept, of which the page alone knows."""
        given = (recording, keep, voice, consent, strength, hand)
        request = SimpleNamespace(session_hash="a")
        if page:
            return on_page(*given, page.get("taken"), page.get("example"), page.get("kept"), request)
        return function(*given, request)

    return ask


def test_the_tab_gives_what_the_library_gives(run, voices):
    """The tab adds nothing of its own: same samples and level, a picture of both, and the facts."""
    for keep, voice in ((tab.ANYBODY, None), (tab.ONE, VOICE)):
        sound, picture, facts = run(keep=keep)
        _, samples = audio.load(sound)
        wanted = voices.enhance(NOISY, voice).wav
        assert len(samples) == len(wanted) == 40000
        assert np.corrcoef(samples, wanted)[0, 1] > 0.99
        assert np.std(samples) == pytest.approx(np.std(wanted), rel=0.05)
        assert Path(picture).read_bytes()[:4] == b"\x89PNG" and "voice-atlas-noisy-clean-" in sound
        kept = "one voice" if voice else "all speech"
        for words in (rf"Kept\*\* {kept}, strength 1", r"-?\d+\.\d dB", r"factor\*\* \d\.\d+", "tiny-enh"):
            assert re.search(words, facts), (words, facts)


def test_a_recording_goes_through_the_network_once(run, voices, monkeypatch):
    """Catches work done twice, which a visitor waits for."""
    enhancer, lengths = voices.bundle["enhancer"], []
    enhance = enhancer.enhance

    def counted(wav, *rest, **more):
        lengths.append(len(wav))
        return enhance(wav, *rest, **more)

    monkeypatch.setattr(enhancer, "enhance", counted)
    run()
    assert lengths == [40000]


def test_strength_and_voice_are_used(run):
    """Catches a slider or an upload that is not connected."""
    sounds = [audio.load(run(strength=share)[0])[1] for share in (0.0, 0.5, 1.0)]
    assert np.allclose(sounds[1], (sounds[0] + sounds[2]) / 2, atol=0.01)
    assert not np.allclose(sounds[0], sounds[2], atol=0.01)
    assert not np.allclose(audio.load(run(keep=tab.ONE)[0])[1], sounds[2], atol=1e-3)


TAKEN = {"name": "a point", "spk_emb": np.eye(16)[0].tolist(), "person": False}


def test_a_voice_from_another_tab_will_do_and_the_recording_comes_back(run, tmp_path):
    recording, sound, *_ = run(keep=tab.ONE, voice=None, taken=TAKEN)
    assert recording == str(tmp_path / "noisy.wav") and len(audio.load(sound)[1]) == 40000


def test_a_visit_keeps_what_was_cleaned(run, voices, tmp_path):
    """Catches a result that cannot be heard again, settings that do not come back, and a voice from another
    tab that is sent again although it was not used."""
    label = next(iter(tab.EXAMPLES))
    _, sound, image, _, pair, kept, *_ = run(strength=0.5, voice=None, taken=TAKEN, example=label)
    assert [button["label"] for button in pair["value"]] == ["Compare: before", "Compare: after"]
    *_, kept, box, choice, _ = run(keep=tab.ONE, voice=None, taken=TAKEN, kept=kept)
    assert [result.label for result in kept] == [f"2. noisy: {tab.ONE}", f"1. {label}: {tab.ANYBODY}"]
    assert kept[1].paths == (sound, image) and box.visible and len(choice.choices) == 2
    assert [result.taken for result in kept] == [TAKEN, None]
    with gr.Blocks() as page:
        tab.build(context.Context(voices, None, gr.State()))
    use = next(fn for fn in page.fns.values() if fn.api_name == "use")
    values = use.fn(kept[1].label, kept)
    assert values[:6] == [str(tmp_path / "noisy.wav"), label, tab.ANYBODY, None, 0.5, False]
    assert [block.label for block in use.outputs[2:6:2]] == [tab.KEEP, tab.STRENGTH]


def test_consent_is_asked_where_somebody_may_speak(run, tmp_path):
    """Catches a real voice that passes beside a virtual one, and a box that is needed for virtual ones."""
    paths = [str(tmp_path / f"{name}.wav") for name in ("noisy", "voice")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(permits, "VIRTUAL", permits.Virtual())
        permits.VIRTUAL.add(paths[:1])
        assert run(consent=False)
        with pytest.raises(ValueError, match="Consent: the consent box is not ticked"):
            run(consent=False, keep=tab.ONE)
        permits.VIRTUAL.add(paths)
        assert run(consent=False, keep=tab.ONE)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (dict(consent=False), "Consent"),
        (dict(recording=None), "Recording: There is no recording"),
        (dict(recording="/etc/hostname"), "Recording: .*not uploaded here"),
        (dict(keep="Music"), "Keep: 'Music' is none of"),
        (dict(keep=tab.TUNED), "Keep: nothing was tuned"),
        (dict(keep=tab.TUNED, hand={"key": "guessed", "person": True}), "Keep: .*tune again"),
        (dict(keep=tab.TUNED, hand={"key": "guessed", "person": True}, consent=False), "Consent"),
        (dict(keep=tab.ONE, voice=None), "Whose voice: There is no voice"),
        (dict(keep=tab.ONE, voice="gone.wav"), "Whose voice: .*not uploaded here|Recording"),
        (dict(strength=2), "Strength"),
        (dict(strength=None), "Strength: it is empty"),
    ],
)
def test_the_tab_refuses_in_words(run, more, said):
    """Consent and limits hold on the server, whatever the page sends."""
    with pytest.raises(ValueError, match=said):
        run(**more)


def test_a_silent_recording_is_named(run, tmp_path):
    audio.save(tmp_path / "silent.wav", audio.RATE, np.zeros(32000, "float32"))
    with pytest.raises(visitor.WrongField, match="Recording: .*silent"):
        run(recording=str(tmp_path / "silent.wav"))


@pytest.fixture
def tuned(voices, shelf, run, tmp_path, monkeypatch):
    """The function behind the button Tune to me: few sentences, few steps."""
    monkeypatch.setattr(tune, "SENTENCES", 5)
    monkeypatch.setattr(tune, "Recipe", functools.partial(tune.Recipe, steps=20, lr=1e-2))
    stops = visitor.Stops()
    function = tuning.tuner(voices, tmp_path, shelf, stops, tab.VOICE)
    path = str(tmp_path / "voice.wav")

    def ask(voice=path, noise=None, consent=True, taken=None, address="127.0.0.1", progress=None):
        request = SimpleNamespace(session_hash="a", client=SimpleNamespace(host=address), headers={})
        told = progress or (lambda share, desc: None)
        if told == "stop":
            told = lambda share, desc: stops.press(request)  # noqa: E731
        return function(voice, noise, consent, taken, request, told)

    return ask


def test_what_was_tuned_is_used_and_goes_when_others_come(tuned, run, shelf, voices):
    """Catches a network that is made and not used, a changed generalist, and a memory that grows."""
    before = voices.enhance(NOISY, VOICE).wav
    hand, words = tuned()
    assert re.search(r"Tuned\*\* in \d+ s, \d+ steps, on \d+ s .*\d\.\d dB of noise; before, -?\d", words)
    specialist = shelf.take(hand, "Keep")
    wanted = voices.enhance(NOISY, specialist).wav
    sound, _, facts = run(keep=tab.TUNED, hand=hand, voice=None)
    assert np.corrcoef(audio.load(sound)[1], wanted)[0, 1] > 0.99 and "the voice it was tuned to" in facts
    assert np.array_equal(voices.enhance(NOISY, VOICE).wav, before), "the generalist was changed"
    changed = max((a - b).abs().max() for a, b in zip(
        specialist.enhancer.parameters(), voices.bundle["enhancer"].parameters()))
    assert (changed > 0) == (specialist.facts["steps"] > 0)
    for _ in range(2):
        shelf.put(specialist)
    with pytest.raises(visitor.WrongField, match="Keep: .*tune again"):
        run(keep=tab.TUNED, hand=hand)


def test_tuning_takes_a_noise_and_a_voice_from_another_tab(tuned, tmp_path):
    hand, _ = tuned(voice=None, noise=str(tmp_path / "noisy.wav"), taken=TAKEN)
    assert hand["person"], "the noise may be somebody"
    hand, _ = tuned(voice=None, taken=TAKEN, consent=False)
    assert not hand["person"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (dict(voice=None), "Whose voice: There is no voice"),
        (dict(voice="/etc/hostname"), "Whose voice: .*not uploaded here"),
        (dict(consent=False), "Consent"),
        (dict(noise="silent.wav"), "Your noise: .*silent"),
    ],
)
def test_tuning_refuses_in_words(tuned, tmp_path, more, said):
    audio.save(tmp_path / "silent.wav", audio.RATE, np.zeros(32000, "float32"))
    if more.get("noise"):
        more = {"noise": str(tmp_path / more["noise"])}
    with pytest.raises(ValueError, match=said):
        tuned(**more)


def test_tuning_stops_and_nothing_is_kept(tuned, shelf):
    with pytest.raises(InterruptedError):
        tuned(progress="stop")
    assert not shelf.kept


def test_tuning_has_a_share(monkeypatch):
    """Catches a visitor who keeps the core alone, and a limit on this machine itself."""
    shares = tuning.Shares()
    shares.pace.clock = lambda: 0.0

    def come(address):
        shares.take(SimpleNamespace(client=SimpleNamespace(host=address), headers={}))

    for _ in range(tuning.IN_A_ROW):
        come("8.8.8.8")
    with pytest.raises(ValueError, match="3 times in a row.*wait 120 s"):
        come("8.8.8.8")
    for _ in range(9):
        come("127.0.0.1")
    come("9.9.9.9")


def test_the_page_can_be_built(voices):
    """Catches a component that this gradio does not know, an endpoint under another name, and an example
    that is not known as virtual."""
    with gr.Blocks() as page:
        tab.build(context.Context(voices, None, gr.State()))
    assert {"clean", "tune"} <= {fn.api_name for fn in page.fns.values()}
    for path in tab.examples().values():
        assert permits.VIRTUAL.holds(path)
        rate, samples = audio.load(path)
        assert -32 < audio.speech_level(audio.resample(samples, rate, audio.RATE)) < -24
