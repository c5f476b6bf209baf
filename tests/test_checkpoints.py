"""Checkpoint folders: what training.save writes, training.load gives back, or refuses by name."""
import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_train import same

from lib import training


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
        self.body = torch.nn.Sequential(torch.nn.Linear(config.width, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5))


CARD = {"data": "none", "licence": "CC0", "budget": "quick", "figures": {"eer": 0.5}}


def test_what_is_saved_is_what_is_loaded(tmp_path):
    """Catches weights, sizes or a card that change on the way to disk, and a net that comes back in training mode."""
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
    """Catches a scale that is lost or laid along the wrong axis: every row keeps its own, large and tiny ones alike."""
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
            assert ((back[name] - value).flatten(1).abs().amax(1) <= 0.51 * step + 1e-6 + 1e-3 * value.flatten(1).abs().amax(1)).all(), name
        else:
            assert torch.allclose(back[name].to(value.dtype), value, rtol=1e-3, atol=1e-6), name


def test_a_card_must_say_what_the_voice_is(tmp_path):
    """Catches a quick-trained voice that passes as a real one."""
    with pytest.raises(ValueError, match=r"\['budget', 'figures'\]"):
        training.save(tmp_path, Net(), Config(), {"data": "x", "licence": "y"})
    assert not list(tmp_path.glob("*.safetensors"))


def test_large_nets_are_cut_into_small_files_and_old_ones_removed(tmp_path):
    """Catches a file over 10 MB that the Space refuses, a tensor lost at a cut, and a stale shard mixed into new weights."""
    large, small = Config(width=3_000_000), Config(width=5)
    tensors = {str(i): torch.zeros(n) for i, n in enumerate((10, 2_000_000, 300_000, 100_000, 5))}
    parts = training.shards(tensors)
    assert [sum(v.nbytes for v in part.values()) <= 9_500_000 for part in parts] == [True] * len(parts)
    assert [name for part in parts for name in part] == list(tensors) and len(parts) == 2
    net = torch.nn.Sequential(torch.nn.Linear(2000, 1000), torch.nn.Linear(2000, 1000))
    training.save(tmp_path, net, small, CARD, half=False)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert [f.name for f in files] == ["model-2.safetensors", "model.safetensors"] and all(f.stat().st_size < 10e6 for f in files)
    assert same(training.read(tmp_path), net.state_dict())
    training.save(tmp_path, Net(small), small, CARD)
    assert [f.name for f in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    assert training.load(tmp_path, Net, Config)[0].config.width == 5
    assert large.width > small.width


def spoil(folder, name):
    """Damage the checkpoint in `folder` in one way."""
    config, model = folder / "config.json", folder / "model.safetensors"
    if name.startswith("no "):
        (folder / name[3:]).unlink()
    elif name == "another net's config":
        config.write_text('{"depth": 3}')
    elif name == "other sizes":
        config.write_text(config.read_text().replace("6", "7"))
    elif name == "a tensor is missing":
        save_file({"body.0.weight": torch.zeros(4, 6)}, model)
    elif name == "truncated":
        model.write_bytes(model.read_bytes()[:100])
    elif name == "a pickle":
        torch.save({"x": torch.zeros(3)}, model)
    elif name == "broken config":
        config.write_text('{"width": ')
    elif name == "broken card":
        (folder / "card.json").write_text("")


@pytest.mark.parametrize("name", ["no model.safetensors", "no config.json", "no card.json", "another net's config", "other sizes",
                                  "a tensor is missing", "truncated", "a pickle", "broken config", "broken card"])
def test_broken_checkpoints_are_named(tmp_path, name):
    """Catches a half-loaded net that speaks noise, and an error that does not say which file is at fault."""
    folder = tmp_path / "tts"
    training.save(folder, Net(), Config(), CARD)
    spoil(folder, name)
    with pytest.raises(ValueError, match="tts") as caught:
        training.load(folder, Net, Config)
    assert type(caught.value) is ValueError


def test_precision_is_one_that_accelerate_knows():
    """Catches a name that only one kind of machine would have shown to be wrong."""
    assert training.precision() in ("no", "bf16", "fp16")
    assert np.isfinite(training.cosine(1)(5))
