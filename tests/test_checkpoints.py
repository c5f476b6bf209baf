"""Checkpoint folders: what training.save writes, training.load gives back, or refuses by name."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_train import same

from lib import training
from lib.paths import CHECKPOINTS
from lib.voices import Bundle


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of Net."""

    width: int = 6
    kinds: tuple = (("verification", 8),)


class Net(torch.nn.Module):
    """A net with a buffer, an integer buffer and dropout."""

    def __init__(self, config=Config()):  # noqa: B008
        super().__init__()
        self.config = config
        self.body = torch.nn.Sequential(
            torch.nn.Linear(config.width, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5)
        )


CARD = {"data": "none", "licence": "CC0", "budget": "quick", "figures": {"eer": 0.5}}


def test_what_is_saved_is_what_is_loaded(tmp_path):
    """Catches weights, sizes or a card that change on the way to disk, and a net that comes back in
    training mode."""
    torch.manual_seed(0)
    net = Net()
    torch.nn.init.normal_(net.body[1].running_mean)
    training.save(tmp_path / "full", net, net.config, CARD, half=False)
    loaded, card = training.load(tmp_path / "full", Net, Config)
    assert same(loaded.state_dict(), net.state_dict()) and card == CARD and not loaded.training
    assert loaded.config == net.config
    training.save(tmp_path / "half", net, net.config, CARD)
    half, _ = training.load(tmp_path / "half", Net, Config)
    for name, value in half.state_dict().items():
        assert value.dtype == net.state_dict()[name].dtype
        assert torch.allclose(value, net.state_dict()[name], rtol=1e-3)
    assert not list(tmp_path.rglob("*.bin")) and not list(tmp_path.rglob("*.pt"))


def test_packed_weights_take_half_the_room_and_come_back(tmp_path):
    """Catches a scale that is lost or laid along the wrong axis: every row keeps its own, large and tiny
    ones alike."""
    net = torch.nn.Sequential(torch.nn.Conv1d(64, 128, 3), torch.nn.Linear(256, 100), torch.nn.BatchNorm1d(4))
    net[0].weight.data *= torch.logspace(-4, 1, 128)[:, None, None]
    net[1].weight.data[7] = 0
    training.save(tmp_path / "half", net, Config(), CARD)
    training.save(tmp_path / "packed", net, Config(), CARD, pack=True)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("packed", "half")]
    assert sizes[0] < 0.6 * sizes[1]
    back = training.read(tmp_path / "packed")
    assert set(back) == set(net.state_dict())
    for name, value in net.state_dict().items():
        if value.dim() > 1:
            step = value.flatten(1).abs().amax(1) / 127
            assert (
                (back[name] - value).flatten(1).abs().amax(1)
                <= 0.51 * step + 1e-6 + 1e-3 * value.flatten(1).abs().amax(1)
            ).all(), name
        else:
            assert torch.allclose(back[name].to(value.dtype), value, rtol=1e-3, atol=1e-6), name


def test_a_card_must_say_what_the_voice_is(tmp_path):
    """Catches a quick-trained voice that passes as a real one."""
    with pytest.raises(ValueError, match=r"\['budget', 'figures'\]"):
        training.save(tmp_path, Net(), Config(), {"data": "x", "licence": "y"})
    assert not list(tmp_path.glob("*.safetensors"))


def test_large_nets_are_cut_into_small_files_and_old_ones_removed(tmp_path):
    """Catches a file over 10 MB that the Space refuses, a tensor lost at a cut, and a stale shard mixed
    into new weights."""
    large, small = Config(width=3_000_000), Config(width=5)
    tensors = {str(i): torch.zeros(n) for i, n in enumerate((10, 2_000_000, 300_000, 100_000, 5))}
    parts = training.shards(tensors)
    assert [sum(v.nbytes for v in part.values()) <= 9_500_000 for part in parts] == [True] * len(parts)
    assert [name for part in parts for name in part] == list(tensors) and len(parts) == 2
    net = torch.nn.Sequential(torch.nn.Linear(2000, 1000), torch.nn.Linear(2000, 1000))
    training.save(tmp_path, net, small, CARD, half=False)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert [f.name for f in files] == ["model-2.safetensors", "model.safetensors"] and all(
        f.stat().st_size < 10e6 for f in files
    )
    assert same(training.read(tmp_path), net.state_dict())
    training.save(tmp_path, Net(small), small, CARD)
    assert [f.name for f in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    assert training.load(tmp_path, Net, Config)[0].config.width == 5
    assert large.width > small.width


def spoil(folder, how):
    """Damage the checkpoint in `folder` in one way."""
    config, model, card = folder / "config.json", folder / "model.safetensors", folder / "card.json"
    changed = {
        "another net's config": (config, '{"depth": 3, "tensors": {"model.safetensors": 7}, "needs": {}}'),
        "other sizes": (config, config.read_text().replace('"width": 6', '"width": 7')),
        "broken config": (config, '{"width": '),
        "config null": (config, "null"),
        "config without counts": (config, '{"width": 6, "kinds": []}'),
        "broken card": (card, ""),
        "card a list": (card, "[]"),
        "card without figures": (card, '{"data": "x", "licence": "y", "budget": "quick"}'),
    }
    if how.startswith("no "):
        (folder / how[3:]).unlink()
    elif how in changed:
        path, text = changed[how]
        path.write_text(text)
    elif how == "a tensor is missing":
        save_file({"body.0.weight": torch.zeros(4, 6)}, model)
    elif how == "truncated":
        model.write_bytes(model.read_bytes()[:100])
    elif how == "a pickle":
        torch.save({"x": torch.zeros(3)}, model)
    elif how == "not a number":
        save_file(load_file(model) | {"body.0.bias": torch.tensor([0, 1, float("nan"), 2])}, model)
    elif how == "a stale shard":
        save_file({"body.0.bias": torch.zeros(4)}, folder / "model-2.safetensors")


@pytest.mark.parametrize(
    "how",
    [
        "no model.safetensors",
        "no config.json",
        "no card.json",
        "another net's config",
        "other sizes",
        "a tensor is missing",
        "truncated",
        "a pickle",
        "broken config",
        "broken card",
        "config null",
        "config without counts",
        "card a list",
        "card without figures",
        "not a number",
        "a stale shard",
    ],
)
def test_broken_checkpoints_are_named_in_one_line(tmp_path, how):
    """Catches a half-loaded net that speaks noise, and an error that does not say which file is at fault."""
    folder = tmp_path / "tts"
    training.save(folder, Net(), Config(), CARD)
    spoil(folder, how)
    with pytest.raises(ValueError, match="tts") as caught:
        training.load(folder, Net, Config)
    assert type(caught.value) is ValueError and "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.fixture
def sharded(tmp_path, monkeypatch):
    """Folder of a packed checkpoint in three files, the last with nothing but scales, as a large net has
    them."""
    from lib.training import checkpoint

    monkeypatch.setattr(checkpoint, "SHARD_BYTES", 40)
    torch.manual_seed(0)
    net = Net()
    training.save(tmp_path / "tts", net, net.config, CARD, pack=True)
    files = sorted(path.name for path in (tmp_path / "tts").glob("*.safetensors"))
    assert files == ["model-2.safetensors", "model-3.safetensors", "model.safetensors"]
    assert list(load_file(tmp_path / "tts" / "model-3.safetensors")) == ["body.0.weight:scale"]
    return tmp_path / "tts"


@pytest.mark.parametrize("name", ["model.safetensors", "model-2.safetensors", "model-3.safetensors"])
def test_a_lost_file_is_missed(sharded, name):
    """Catches weights that load without a word after a file is lost: one with nothing but scales made int8
    pass for weights."""
    training.load(sharded, Net, Config)
    (sharded / name).unlink()
    with pytest.raises(ValueError, match=f"tts.*{name}") as caught:
        training.load(sharded, Net, Config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "lost", ["body.0.weight:scale", "body.0.weight", "body.0.bias", "body.1.num_batches_tracked"]
)
def test_a_lost_tensor_is_missed(tmp_path, lost):
    """Catches one tensor too few in a file, also where somebody made the counts fit."""
    folder = tmp_path / "tts"
    training.save(folder, Net(), Config(), CARD, pack=True)
    weights = load_file(folder / "model.safetensors")
    del weights[lost]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ValueError, match=f"holds {len(weights)} of {len(weights) + 1} tensors"):
        training.load(folder, Net, Config)
    values = json.loads((folder / "config.json").read_text())
    values["tensors"]["model.safetensors"] = len(weights)
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=re.escape(lost)):
        training.load(folder, Net, Config)


def test_every_shipped_tensor_is_accounted_for():
    """Catches a shipped folder that `read` refuses."""
    for folder in sorted(CHECKPOINTS.iterdir()):
        assert training.read(folder), folder


# ---------------------------------------------------------------- lenders


class Lender(torch.nn.Module):
    """What `Borrower` needs."""

    NEEDS = ()

    def __init__(self, config=Config()):  # noqa: B008
        super().__init__()
        self.config = config
        self.out = torch.nn.Linear(config.width, 3)


class Borrower(torch.nn.Module):
    """A net with a weight of its own beside what is lent."""

    NEEDS = ("codec",)

    def __init__(self, config, codec):
        super().__init__()
        self.codec = codec
        self.own = torch.nn.Linear(config.width, 2)


@pytest.fixture
def lent(tmp_path):
    """Folder of checkpoints: a packed codec, and tts that was saved beside it."""
    torch.manual_seed(0)
    codec = Lender()
    training.save(tmp_path / "codec", codec, codec.config, CARD, pack=True)
    codec, _ = training.load(tmp_path / "codec", Lender, Config)
    training.save(
        tmp_path / "tts", Borrower(Config(), codec), Config(), CARD, lenders={"codec": tmp_path / "codec"}
    )
    return tmp_path


def test_what_is_lent_is_saved_once_and_comes_back_as_the_very_same(lent):
    """Catches a copy of the lender, in the file or in memory."""
    assert set(training.read(lent / "tts")) == {"own.weight", "own.bias"}
    codec, _ = training.load(lent / "codec", Lender, Config)
    net, _ = training.load(lent / "tts", Borrower, Config, codec=codec)
    assert net.codec is codec and torch.equal(net.own.weight, training.read(lent / "tts")["own.weight"])
    by_net = lent / "by net"
    training.save(by_net, net, Config(), CARD, lenders={"codec": codec})
    assert (by_net / "config.json").read_text() == (lent / "tts" / "config.json").read_text()


def test_another_lender_is_refused_with_a_remedy(lent):
    """Catches a codec that was trained on under a model that still speaks the old one's frames."""
    before, _ = training.load(lent / "codec", Lender, Config)
    training.save(lent / "codec", Lender(), Config(), CARD, pack=True)
    other, _ = training.load(lent / "codec", Lender, Config)
    first, second = training.fingerprint(before), training.fingerprint(other)
    said = f"tts was trained on codec {first}, this one is {second}: restore .*codec from git, or train tts"
    with pytest.raises(ValueError, match=said):
        training.load(lent / "tts", Borrower, Config, codec=other)


def test_the_shipped_models_refuse_another_codec(tmp_path):
    """The same, with all that ships: swapped, or moved by the last digit of one weight."""
    for name in ("speaker_encoder", "codec", "tts", "flow_vae"):
        (tmp_path / name).symlink_to(CHECKPOINTS / name)
    bundle = Bundle(tmp_path)
    with torch.no_grad():
        bundle["codec"].decoder.head.bias[0] += 1e-6
    for name in ("tts", "flow_vae"):
        with pytest.raises(ValueError, match=f"{name} was trained on codec"):
            bundle.check(name)
    assert Bundle(tmp_path).check("tts", "flow_vae") is None


@pytest.mark.parametrize("lenders", [{}, {"codec": Lender(), "other": Lender()}, {"codex": Lender()}])
def test_every_lender_is_named(tmp_path, lenders):
    """Catches a model that is saved without word of what it needs."""
    with pytest.raises(ValueError, match="needs.*codec"):
        training.save(tmp_path, Borrower(Config(), Lender()), Config(), CARD, lenders=lenders)
    assert not list(tmp_path.glob("*"))


def test_a_config_that_forgets_its_needs_is_refused(lent):
    """Catches a check that an old or edited config.json goes round."""
    codec, _ = training.load(lent / "codec", Lender, Config)
    values = json.loads((lent / "tts" / "config.json").read_text())
    for needs in ({}, None, []):
        (lent / "tts" / "config.json").write_text(json.dumps(values | {"needs": needs}))
        with pytest.raises(ValueError, match="tts/config.json.*needs"):
            training.load(lent / "tts", Borrower, Config, codec=codec)


def test_a_fingerprint_changes_with_every_part():
    """Catches names, shapes, kinds or values that do not count."""
    weights = {"a": torch.zeros(2, 3), "b": torch.ones(2)}
    first = training.fingerprint(weights)
    assert first == training.fingerprint(dict(reversed(weights.items()))) and len(first) == 16
    others = [
        {"a": weights["a"], "c": weights["b"]},
        weights | {"a": torch.zeros(3, 2)},
        weights | {"b": torch.ones(2, dtype=torch.int32)},
        weights | {"b": torch.tensor([1.0, 1.0 + 1e-7])},
    ]
    assert len({first, *map(training.fingerprint, others)}) == 5
    net = Net()
    assert training.fingerprint(net) == training.fingerprint(net.state_dict())


def test_precision_is_one_that_accelerate_knows():
    """Catches a name that only one kind of machine would have shown to be wrong."""
    assert training.precision() in ("no", "bf16", "fp16")
    assert np.isfinite(training.cosine(1)(5))
