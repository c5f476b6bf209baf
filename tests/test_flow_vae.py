"""The conversion model: what it borrows, what it learns, and that neither padding nor an equaliser moves
its content."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lib import audio, losses, text, training
from lib.models.codec import Codec, CodecConfig
from lib.models.flow_vae import MIDDLE_REGISTER, FlowVAE, FlowVAEConfig, lacks_top, refined, standardise
from lib.models.vits import Vits, VitsConfig

SMALL = dict(
    D=16,
    hidden=16,
    residual_layers=1,
    code=8,
    tones=6,
    layers=1,
    segment=16,
    flow_channels=8,
    flow_layers=1,
    couplings=2,
)
LENDER = CodecConfig(
    (("verification", 16),), C=8, G=8, hidden=16, posterior_layers=1, decoder_channels=16, decoder_layers=1
)


def tiny(seed=0, **more):
    """(conversion model, the codec that is lent), small, untrained, with a flow that does something."""
    torch.manual_seed(seed)
    codec = Codec(LENDER)
    vc = FlowVAE(FlowVAEConfig(**SMALL | more), codec)
    for coupling in vc.flow.couplings:
        torch.nn.init.normal_(coupling.shift.weight, std=0.3)
    return vc.eval(), codec


def batch(frames=(40, 25), seed=0, F=None):
    """Random views of len(frames) clips, padded with rubbish that masks must hide."""
    rng, B, F = torch.Generator().manual_seed(seed), len(frames), F or max(frames)
    draw = dict(generator=rng)
    return {
        "frames": torch.tensor(frames),
        "mel": torch.randn(B, 80, F, **draw),
        "mel_hat": torch.randn(B, 80, F, **draw),
        "f0": 100 + 200 * torch.rand(B, F, **draw),
        "m_q": torch.randn(B, 8, F, **draw),
        "logs_q": torch.randn(B, 8, F, **draw) - 2,
        "spk_emb": torch.nn.functional.normalize(torch.randn(B, 16, **draw), dim=1),
        "band": torch.zeros(B),
        "register": torch.full((B,), 7.5),
        "wav": 0.1 * torch.randn(B, 1, F * audio.HOP, **draw),
    }


def naive_contrastive(code, code_hat, temperature):
    """Eq. (2) and (3) of the paper for one clip, code [K, F], word for word; the mean over frames."""

    def d(a, b):
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) / temperature

    def ctr(t, one, two):
        others = [one[:, n] for n in range(one.shape[1]) if n != t] + [
            two[:, n] for n in range(two.shape[1]) if n != t
        ]
        return np.exp(d(one[:, t], two[:, t])) / sum(np.exp(d(one[:, t], other)) for other in others)

    frames = range(code.shape[1])
    return float(np.mean([-np.log(ctr(t, code, code_hat) + ctr(t, code_hat, code)) for t in frames]))


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_contrastive_loss_equals_its_twin(temperature):
    """Catches a direction left out, a frame among its own negatives, and padding among anybody's."""
    rng = np.random.default_rng(0)
    code, code_hat = rng.standard_normal((2, 2, 6, 9)).astype("float32")
    frames = (9, 7)
    expected = sum(
        n * naive_contrastive(a[:, :n], b[:, :n], temperature) for n, a, b in zip(frames, code, code_hat)
    ) / sum(frames)
    mask = (torch.arange(9)[None, None] < torch.tensor(frames)[:, None, None]).float()
    found = losses.frame_contrastive(torch.tensor(code), torch.tensor(code_hat), mask, temperature)
    assert float(found) == pytest.approx(expected, abs=1e-4)


def test_contrastive_loss_wants_the_same_frame_alike_and_others_apart():
    """Catches a loss of the wrong sign, and one that a constant code satisfies."""
    mask, code = torch.ones(1, 1, 20), torch.randn(1, 32, 20, generator=torch.Generator().manual_seed(1))
    same, shuffled, constant = (
        float(losses.frame_contrastive(code_, other, mask, 0.1))
        for code_, other in (
            (code, code),
            (code, code.roll(3, 2)),
            (torch.ones_like(code), torch.ones_like(code)),
        )
    )
    assert same < constant < shuffled


def test_what_is_lent_is_neither_trained_nor_copied():
    """Catches a lender that drifts apart from its checkpoint, and own parts that are frozen with it."""
    vc, codec = tiny()
    assert vc.codec is codec and not any(p.requires_grad for p in codec.parameters())
    assert all(p.requires_grad for part in (vc.content, vc.flow, vc.register) for p in part.parameters())


def test_it_can_start_from_the_flow_of_the_shipped_tts():
    """Catches sizes that part: lesson 06 copies that flow."""
    codec = Codec()
    vits, vc = Vits(VitsConfig(len(text.SYMBOLS)), codec), FlowVAE(FlowVAEConfig(), codec)
    vc.flow.load_state_dict(vits.flow.state_dict())
    own = [p for name, p in vc.named_parameters() if not name.startswith("codec")]
    assert 2 * sum(p.numel() for p in own) < 10e6


def test_a_saved_model_comes_back_beside_the_same_codec(tmp_path):
    """Catches a checkpoint that says something else after loading."""
    vc, codec = tiny()
    card = dict(data="none", licence="CC0", budget="none", figures={})
    training.save(tmp_path, vc, vc.config, card, half=False, lenders={"codec": codec})
    assert {name.split(".")[0] for name in training.read(tmp_path)} == {"content", "flow", "register"}
    back, _ = training.load(tmp_path, FlowVAE, FlowVAEConfig, codec=codec)
    wav, spk_emb = 0.1 * torch.randn(1, 1, 40 * audio.HOP), torch.eye(16)[:1]
    assert torch.equal(
        *(net.convert(wav, spk_emb, spk_emb.roll(1, 1), noise_scale=0.0) for net in (vc, back))
    )


def test_every_part_learns_and_nothing_lent_does():
    """Catches a loss that reaches no weight: a prior cut off from the code, a flow left frozen."""
    vc, codec = tiny()
    out = vc.train()(batch(), True)
    assert out["wav_other"].shape == (2, 1, 2 * 16 * audio.HOP) and torch.equal(
        out["asked"], batch()["spk_emb"].roll(1, 0)
    )
    starts = torch.cat([vc(batch((90, 60)), True)["start_other"] for _ in range(8)])
    assert 0 <= starts.min() < starts.max() <= 90 - 2 * 16 and starts[1::2].max() <= 60 - 2 * 16
    assert (
        out["wav_hat"].shape == (2, 1, 16 * audio.HOP) and out["code"].shape == (2, 8, 40) == out["m_p"].shape
    )
    loss = losses.kl(out["z_p"], out["logs_q"], out["m_p"], out["logs_p"], out["mask"])
    loss = loss + out["wav_hat"].abs().mean() + out["wav_other"].abs().mean()
    loss = (
        loss
        + losses.frame_contrastive(out["code"], out["code_hat"], out["mask"])
        + out["register_hat"].square().mean()
    )
    loss.backward()
    own = [(name, p) for name, p in vc.named_parameters() if not name.startswith("codec")]
    silent = [name for name, p in own if p.grad is None or not p.grad.abs().sum()]
    assert own and not silent, silent
    assert all(p.grad is None for p in codec.parameters())


def test_a_few_steps_lower_the_losses():
    """Catches a model that runs and does not learn."""
    vc, codec = tiny()

    def step(nets, one):
        out = nets["vc"](one)
        yield (
            "vc",
            {
                "kl": losses.kl(out["z_p"], out["logs_q"], out["m_p"], out["logs_p"], out["mask"]),
                "contrastive": losses.frame_contrastive(out["code"], out["code_hat"], out["mask"], 0.1),
            },
        )

    same = batch()
    same["mel_hat"] = same["mel"] + 0.1 * same["mel_hat"]
    result = training.fit(
        step,
        {"vc": vc},
        {"vc": torch.optim.Adam(vc.parameters(), 1e-2)},
        lambda rng: same,
        30,
        weights={"kl": 1.0, "contrastive": 1.0},
        log_every=5,
        mixed="no",
    )
    first, last = result["log"][0], result["log"][-1]
    assert last["kl"] < first["kl"] and last["contrastive"] < first["contrastive"]


def test_the_flow_goes_there_and_back():
    """Catches a reverse that is no inverse, the usual fault after a change of the flow."""
    vc, codec = tiny()
    z, mask, g = torch.randn(2, 8, 30), torch.ones(2, 1, 30), codec.conditioning(batch()["spk_emb"])
    z_p = vc.flow(z, mask, g)
    assert not torch.allclose(z_p, z, atol=0.05)
    assert torch.allclose(vc.flow(z_p, mask, g, reverse=True), z, atol=1e-4)


def test_padding_changes_nothing():
    """Catches statistics, convolutions or attention that look at padding."""
    vc, _ = tiny()
    short = batch((25,))
    wide = {
        name: value
        if value.ndim < 2 or name == "spk_emb"
        else torch.nn.functional.pad(value, (0, 17), value=3.0)
        for name, value in short.items()
    }
    with torch.inference_mode():
        one, two = vc(short), vc(wide)
    for name in ("code", "code_hat", "m_p", "logs_p"):
        assert torch.allclose(one[name], two[name][:, :, :25], atol=1e-4), name
        assert not two[name][:, :, 25:].any() or name == "logs_p"


def test_an_equaliser_does_not_move_the_content():
    """What the first layer is for: a gain for each band, constant in time, is taken away whole."""
    vc, _ = tiny()
    mel, mask = torch.randn(1, 80, 50), torch.ones(1, 1, 50)
    louder = mel + torch.linspace(-3, 3, 80)[None, :, None]
    assert torch.allclose(standardise(mel, mask), standardise(louder, mask), atol=1e-4)
    assert torch.allclose(
        vc.content(standardise(mel, mask), mask), vc.content(standardise(louder, mask), mask), atol=1e-3
    )
    half = (torch.arange(50)[None, None] < 30).float()
    inside = standardise(mel, half)[:, :, :30]
    assert (
        torch.allclose(inside.mean(2), torch.zeros(1, 80), atol=1e-4)
        and (inside.var(2, unbiased=False) - 1).abs().max() < 0.05
    )


def test_pitch_is_asked_for_not_guessed():
    """Catches an f0 that is ignored: an octave and silence must be heard in the prior."""
    vc, _ = tiny()
    code, mask, f0, g = (
        torch.randn(1, 8, 30),
        torch.ones(1, 1, 30),
        torch.full((1, 30), 120.0),
        torch.zeros(1, 8, 1),
    )
    means = [vc.content.distribution(code, hz, mask, g)[0] for hz in (f0, 2 * f0, 0 * f0)]
    for a, b in itertools.combinations(means, 2):
        assert (a - b).abs().max() > 1e-3


def test_a_long_source_goes_in_stretches_and_sounds_the_same_inside():
    """Catches memory that grows with the source, and seams: what the model sees at once is bounded, what
    comes out is not cut."""
    vc, _ = tiny()
    t = torch.arange(200 * audio.HOP) / audio.RATE
    wav = (0.1 * torch.sin(2 * np.pi * 150 * t) * (1 + torch.sin(2 * np.pi * 3 * t)))[None, None]
    spk_emb, seen = torch.eye(16)[:1], []
    handle = vc.content.prior.register_forward_hook(lambda module, given, out: seen.append(given[0].shape[2]))
    own = spk_emb.roll(1, 1)
    whole, parts = (vc.convert(wav, own, spk_emb, noise_scale=0.0, chunk=chunk)[0, 0] for chunk in (400, 96))
    handle.remove()
    assert len(whole) == len(parts) == 200 * audio.HOP
    assert seen[:2] == [200, 200] and len(seen) > 4 and max(seen[2:]) <= 96
    inside = (whole - parts)[20 * audio.HOP : 180 * audio.HOP]
    apart = inside.square().mean().sqrt() / whole.square().mean().sqrt()
    assert apart < 0.3, apart


def test_register_and_semitones_move_the_pitch_that_is_asked_for():
    """Catches a pitch control with the wrong sign or unit: the f0 that reaches the prior is looked at."""
    vc, _ = tiny()
    t = torch.arange(60 * audio.HOP) / audio.RATE
    wav = sum(0.05 * torch.sin(2 * np.pi * 125 * k * t) for k in range(1, 9))[None, None]
    asked, original = [], vc.content.distribution

    def watched(code, f0, *more):
        asked.append(float(f0[f0 > 0].log2().median()))
        return original(code, f0, *more)

    vc.content.distribution = watched
    for pitch, semitones in ((0.0, 0.0), (0.0, 12.0), (1.0, 0.0), (0.5, 0.0)):
        vc.convert(wav, torch.eye(16)[1:2], torch.eye(16)[:1], pitch, semitones, detail=0.0, noise_scale=0.0)
    goal = MIDDLE_REGISTER + float(vc.register(torch.eye(16)[:1]).detach())
    low = np.log2(125)
    assert asked[::2] == pytest.approx([low, low + 1, goal, (low + goal) / 2], abs=0.03)
    assert asked[1::2] == pytest.approx([low] * 4, abs=0.03), "what is said in the old voice keeps its pitch"


def test_all_detail_in_the_own_voice_is_the_recording_coded_and_decoded():
    """Catches a detail that is not what the prior missed: in one's own voice, prior and rest must add up to
    the posterior's code."""
    vc, codec = tiny(rounds=0)
    wav, (own, other) = 0.1 * torch.randn(1, 1, 40 * audio.HOP), torch.eye(16)[:2, None]
    m_q, _, g = codec.encode(wav, own)
    with torch.inference_mode():
        coded = codec.decoder(m_q, g)
    plain, half = (
        vc.convert(wav, own, own, pitch=0.0, detail=detail, noise_scale=0.0) for detail in (0.0, 0.5)
    )
    assert torch.allclose(vc.convert(wav, own, own, pitch=0.0, detail=1.0, noise_scale=0.0), coded, atol=1e-3)
    assert not torch.allclose(plain, coded, atol=1e-2) and not torch.allclose(half, plain, atol=1e-2)
    assert not torch.allclose(
        vc.convert(wav, own, other, pitch=0.0, detail=1.0, noise_scale=0.0), coded, atol=1e-2
    )


def test_without_detail_the_latents_of_the_source_are_neither_heard_nor_refined():
    """What is not carried over costs no steps, and changes nothing."""
    wav = 0.1 * torch.randn(1, 1, 40 * audio.HOP, generator=torch.Generator().manual_seed(0))
    own, other = torch.eye(16)[:2, None]
    sounds, decoded = [], []
    for rounds in (0, 3):
        vc, codec = tiny(rounds=rounds)
        codec.decoder.register_forward_pre_hook(lambda module, given: decoded.append(given))
        sounds.append(vc.convert(wav, own, other, detail=0.0, noise_scale=0.0))
    assert torch.equal(*sounds)
    assert len(decoded) == 2


def test_refined_latents_say_the_recording_better_and_leave_the_nets_alone():
    """Catches steps uphill, steps that need a gradient where the app has none, and nets that are moved
    along."""
    _, codec = tiny()
    wav, before = 0.1 * torch.randn(2, 1, 40 * audio.HOP), [p.clone() for p in codec.parameters()]
    with torch.inference_mode():
        g = codec.conditioning(torch.eye(16)[:2])
        z = torch.randn(2, 8, 40)
        moved = [refined(codec.decoder, z, g, wav, rounds) for rounds in (0, 2, 8)]
        far = [float(losses.multi_mel(codec.decoder(one, g), wav)) for one in moved]
    assert torch.equal(moved[0], z) and far[0] > far[1] > far[2] and not moved[2].requires_grad
    assert all(torch.equal(a, b) and a.grad is None for a, b in zip(codec.parameters(), before))


def test_training_takes_refined_latents_of_a_live_posterior():
    """Catches a posterior that gets no gradient from sound, or steps that training skips."""
    vc, codec = tiny(rounds=2)
    codec.posterior.requires_grad_(True)
    one = batch() | {"spec": torch.rand(2, 513, 40)}
    out = vc.train()(one, True)
    (out["wav_hat"].abs().mean() + out["wav_other"].abs().mean()).backward()
    assert codec.posterior.out.weight.grad.abs().sum() > 0 and not torch.equal(out["m_q"], one["m_q"])
    cached = {name: one[name] for name in one if name != "spec"}
    sounds = []
    for rounds in (0, 2):
        vc, _ = tiny(rounds=rounds)
        torch.manual_seed(1)
        sounds.append(vc(cached, True)["wav_hat"])
    assert not torch.allclose(*sounds, atol=1e-4)


def test_guidance_leads_the_decoder_away_from_the_old_voice():
    """Catches guidance with the wrong sign, or one that also reaches the flow: only the decoder is led."""
    wav = 0.1 * torch.randn(1, 1, 40 * audio.HOP, generator=torch.Generator().manual_seed(0))
    seen = []  # (z, g) of each call: of one step of `refined`, then of the decoding itself
    for guidance in (0.0, 0.5):
        vc, codec = tiny(guidance=guidance, rounds=1)
        codec.decoder.register_forward_pre_hook(lambda module, given: seen.append(given))
        vc.convert(wav, torch.eye(16)[:1], torch.eye(16)[1:2], noise_scale=0.0)
    (_, own), (z, new), _, (z_led, led) = seen
    assert torch.allclose(led, new + 0.5 * (new - own), atol=1e-5)
    assert torch.allclose(z_led, z, atol=1e-5)


def test_a_source_without_a_top_band_is_coded_as_one():
    """Catches an old MP3 that is coded as if it had lost nothing: the posterior was told in training, and
    must be told again."""
    vc, codec = tiny()
    wav = 0.1 * torch.randn(1, 1, 40 * audio.HOP)
    hz = torch.fft.rfftfreq(wav.shape[2], 1 / audio.RATE)
    low = torch.fft.irfft(torch.where(hz < 5800, torch.fft.rfft(wav), 0), wav.shape[2])
    spec = torch.cat([audio.spectrogram(sound) for sound in (wav, low, 0.01 * low)])
    assert lacks_top(spec).tolist() == [0, 1, 1]
    bands = []

    def watch(module, given, more):
        bands.append(more.get("band"))

    codec.conditioning.register_forward_pre_hook(watch, with_kwargs=True)
    for sound in (wav, low):
        vc.convert(sound, torch.eye(16)[:1], torch.eye(16)[1:2])
    assert bands == [0, None, 1, None], "and never of the voice asked for"


# ---------------------------------------------------------------- two processes

SCRIPT = """
import os
import sys

import torch
from test_flow_vae import batch, tiny

from lib import training

vc, codec = tiny(rounds=1)
learn = [vc.content, vc.flow, vc.register, codec.decoder.requires_grad_(True)]
drawn = []


def step(nets, batch):
    out = nets["vc"](batch, True)
    register = (out["register_hat"] - batch["register"]).abs().mean()
    yield "vc", {"sound": out["wav_hat"].abs().mean() + out["wav_other"].abs().mean(), "register": register}


def draw(rng):
    drawn.append(int(rng.integers(10**6)))
    return batch(seed=drawn[-1])


optim = torch.optim.Adam([p for module in learn for p in module.parameters()], 1e-2)
before = {name: value.clone() for name, value in vc.state_dict().items()}
training.fit(step, {"vc": vc}, {"vc": optim}, draw, 3, weights={"sound": 1.0, "register": 1.0}, mixed="no")
path = f"{sys.argv[1]}/{os.environ['RANK']}.pt"
torch.save({"drawn": drawn, "before": before, "after": vc.state_dict()}, path)
"""


def test_two_processes_train_the_same_codec(tmp_path):
    """Catches a lent part that torch does not see: its gradients would not be averaged, and each process
    would go its own way.

    Lesson 06 frees the decoder so, and may be started by `accelerate launch`."""
    script, tests = tmp_path / "script.py", Path(__file__).parent
    script.write_text(SCRIPT)
    env = os.environ | {
        "PYTHONPATH": f"{tests.parent}:{tests}",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "ACCELERATE_USE_CPU": "true",
    }
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        script,
        tmp_path,
    ]
    done = subprocess.run(command, env=env, text=True, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert len({*one["drawn"], *two["drawn"]}) == 6, "their data differ"
    for name, value in one["after"].items():
        assert torch.equal(value, two["after"][name]), name
        moved = not torch.equal(value, one["before"][name])
        assert not name.startswith("codec") or moved == name.startswith("codec.decoder"), name
