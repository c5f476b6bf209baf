"""What the lessons repeat: prior losses, the two turns of an adversarial step, a stage that trains only what
it is told to."""
import numpy as np
import pytest
import torch

from lib import audio, losses, training
from lib.data import corpus
from lib.nn.critics import Discriminator
from lib.training import stages
from lib.voices import Voices

pytestmark = pytest.mark.usefixtures("fresh_accelerate")
WEIGHTS = {"distance": 1.0}


@pytest.fixture
def critic():
    torch.manual_seed(0)
    return Discriminator((2, 3), (2, 4), (256,), 2)


def sounds(count, seed=1):
    rng = torch.Generator().manual_seed(seed)
    return [0.1 * torch.randn(2, 1, 1024, generator=rng) for _ in range(count)]


def test_the_prior_losses_are_those_of_the_paper_by_name():
    """Catches a mask that is taken of tokens where frames are meant, and a name that the weights tables do
    not have."""
    rng = torch.Generator().manual_seed(0)
    shape, tokens = (2, 4, 9), (2, 1, 5)
    out = {name: torch.randn(shape, generator=rng) for name in ("z_p", "logs_q", "m_p", "logs_p")}
    out |= {"z_mask": torch.ones(2, 1, 9), "x_mask": torch.ones(tokens),
            "logw": torch.randn(tokens, generator=rng)}
    out |= {"w": torch.randint(1, 9, tokens, generator=rng), "rhythm": torch.tensor([1.0, 4.0])}
    out["z_mask"][1, :, 4:] = 0
    out["x_mask"][1, :, 2:] = 0
    found = stages.prior_losses(out)
    assert list(found) == ["kl", "duration", "rhythm"] and found["rhythm"] == 2.5
    assert torch.equal(found["kl"],
                       losses.kl(out["z_p"], out["logs_q"], out["m_p"], out["logs_p"], out["z_mask"]))
    assert torch.equal(found["duration"], losses.duration_mse(out["logw"], out["w"], out["x_mask"]))


def test_the_critics_turn_equals_one_pass_for_each_sound(critic):
    """Catches chunks in the wrong order, and a gradient that reaches the generator in the critic's turn."""
    wav, fake, other = sounds(3)
    fake.requires_grad_(True)
    found = stages.critic_losses(critic, wav, fake, other)["critic"]
    real, made, moved = (critic(sound)[0] for sound in (wav, fake, other))
    twin = (losses.discriminator_adv(real, made) + losses.discriminator_adv(real, moved)) / 2
    assert torch.allclose(found, twin, atol=1e-6)
    found.backward()
    assert fake.grad is None and critic.critics[0].last.bias.grad is not None
    assert torch.allclose(stages.critic_losses(critic, wav, fake)["critic"],
                          losses.discriminator_adv(real, made), atol=1e-6)


def test_the_generators_turn_equals_one_pass_for_each_sound(critic):
    """Catches features that are matched with the wrong recording, and a score of the real sound that is
    counted as made."""
    wav, fake, other = sounds(3)
    (_, fmap_r), (made, fmap_g), (moved, _) = (critic(sound) for sound in (wav, fake, other))
    found = stages.generator_losses(critic, wav, fake, other)
    assert torch.allclose(found["adv"], losses.generator_adv(made), atol=1e-6)
    assert torch.allclose(found["fm"], losses.feature_matching(fmap_r, fmap_g), atol=1e-6)
    assert torch.allclose(found["adv_other"], losses.generator_adv(moved), atol=1e-6)
    alone = stages.generator_losses(critic, wav, fake)
    assert list(alone) == ["adv", "fm"] and torch.allclose(alone["fm"], found["fm"], atol=1e-6)


def test_clips_and_latents_are_made_once_and_kept_under_the_weights(tmp_path):
    """Catches a cache that is read after the weights have changed, and latents of another clip."""
    voices = Voices.load()
    rows = corpus.rows()[:2]
    clips = stages.ready(rows, tmp_path, voices.encoder)
    z = stages.latents(clips, tmp_path, voices.codec)
    assert z.shape == (clips.frames.sum(), 2, voices.codec.config.C)
    files = {path.name for path in tmp_path.iterdir()}
    assert any(training.fingerprint(voices.encoder) in name for name in files)
    assert f"latents-{training.fingerprint(voices.codec)}.f16" in files
    wav = torch.tensor(clips.wav(1)[: clips.frames[1] * audio.HOP])[None, None]
    voice = torch.tensor(clips.voice(np.random.default_rng(1), 1, 0.0))[None]
    m_q, _, _ = voices.codec.encode(wav, voice, torch.tensor([clips.band[1]]))
    second = torch.tensor(np.array(z[clips.frames[0]:, 0], "float32")).T
    assert torch.allclose(second, m_q[0], atol=0.02)


def pair():
    torch.manual_seed(0)
    return torch.nn.ModuleDict({"learns": torch.nn.Linear(1, 1), "rests": torch.nn.Linear(1, 1)})


def step(nets, batch):
    net = nets["net"]
    yield "net", {"distance": (net["rests"](net["learns"](batch["x"])) - 1).square().mean()}


def draw(rng):
    return {"x": torch.from_numpy(rng.standard_normal((4, 1), "float32"))}


def train(net, folder=None, **more):
    return stages.stage("first", step, {"net": net}, {"net": [net["learns"]]}, draw, 6, lr=0.1,
                        weights=WEIGHTS,
                        folder=folder, log_every=3, mixed="no", **more)


def test_a_stage_trains_what_it_is_told_to_and_says_what_it_cost(tmp_path):
    """Catches a part that learns along though it should rest, and a bill without its figures."""
    net, untrained = pair(), pair()
    log, spent = train(net, tmp_path)
    assert torch.equal(net["rests"].weight, untrained["rests"].weight)
    assert not torch.equal(net["learns"].weight, untrained["learns"].weight)
    assert [line["step"] for line in log] == [3, 6] and not net.training
    assert (spent["stage"], spent["steps"]) == ("first", 6) and spent["s/step"] == spent["seconds"] / 6
    assert (tmp_path / "first" / "state").is_dir()


def test_the_average_replaces_the_last_weights_only_where_asked():
    """Catches an average that is computed and thrown away."""
    last, averaged, frozen = pair(), pair(), pair()
    train(last)
    train(averaged, average=("net", 0.5))
    train(frozen, average=("net", 1.0))
    assert not torch.equal(last["learns"].weight, averaged["learns"].weight)
    first, mean, final = (net["learns"].weight for net in (frozen, averaged, last))
    assert 0 < ((mean - first) / (final - first)).item() < 1, "between the first weights and the last"


def test_a_stage_that_was_stopped_says_so_and_goes_on(tmp_path):
    """Catches a lesson that goes on with a network that is half trained."""
    net, straight = pair(), pair()
    with pytest.raises(KeyboardInterrupt, match="first stopped at step 2 of 6"):
        train(net, tmp_path, stop_after=2)
    train(net, tmp_path)
    train(straight)
    assert torch.equal(net["learns"].weight, straight["learns"].weight)
