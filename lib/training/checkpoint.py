"""The checkpoint folder: save, load.  The only door to safetensors."""
import dataclasses
import json
import os
from pathlib import Path

from lib.training.packing import packed, unpacked


def save(folder, net, config, card, half=True, pack=False):
    """Write model.safetensors (fp16 where half, matrices int8 where pack), config.json and card.json, once however many processes call.

    Raises ValueError unless the card says data, licence, budget and figures."""
    from safetensors.torch import save_file
    if int(os.environ.get("RANK", 0)):
        return
    missing = {"data", "licence", "budget", "figures"} - set(card)
    if missing:
        raise ValueError(f"A card without {sorted(missing)} would let a quick voice pass as a real one: add them.")
    (folder := Path(folder)).mkdir(parents=True, exist_ok=True)
    weights = {k: (v.half() if half and v.is_floating_point() else v).contiguous().cpu() for k, v in net.state_dict().items()}
    for old in folder.glob("model*.safetensors"):
        old.unlink()
    for i, shard in enumerate(shards(packed(weights) if pack else weights)):
        save_file(shard, folder / f"model{f'-{i + 1}' if i else ''}.safetensors")
    (folder / "config.json").write_text(json.dumps(dataclasses.asdict(config) if config else {}, indent=1) + "\n")
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")


def shards(weights, limit=9_500_000):
    """Cut {name: tensor} into dicts of at most `limit` bytes, so that no file needs large-file storage."""
    parts, size = [{}], 0
    for name, value in weights.items():
        size += value.nbytes
        if size > limit and parts[-1]:
            parts.append({})
            size = value.nbytes
        parts[-1][name] = value
    return parts


def read(folder):
    """{name: float32 tensor} of all model*.safetensors in a folder."""
    from safetensors.torch import load_file
    weights = {k: v for path in sorted(Path(folder).glob("model*.safetensors")) for k, v in load_file(path).items()}
    return unpacked({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})


def load(folder, model, config_class):
    """(net in float32 and eval mode, card) of a folder written by `save`.

    Raises ValueError when the folder is not a checkpoint or was written for other sizes: weights are never half loaded."""
    folder = Path(folder)
    lacking = [name for name in ("model.safetensors", "config.json", "card.json") if not (folder / name).is_file()]
    if lacking:
        raise ValueError(f"{folder} lacks {lacking}: build it with its lesson (see card.json of the shipped ones) or restore it from git.")
    values, card = parse(folder / "config.json"), parse(folder / "card.json")
    known = {f.name for f in dataclasses.fields(config_class)}
    if set(values) != known:
        raise ValueError(f"{folder}/config.json: {sorted(set(values) ^ known)} too many or too few for {config_class.__name__}.")
    config = config_class(**{k: frozen(v) for k, v in values.items()})
    try:
        net = model(config)
        net.load_state_dict(read(folder))
    except Exception as error:  # safetensors and torch raise kinds of their own for a broken file
        raise ValueError(f"{folder}/model.safetensors does not fit its config: {str(error)[:300]}") from error
    return net.eval(), card


def parse(path):
    """What a JSON file holds.  Raises ValueError, with its name, when it holds none."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:  # JSONDecodeError does not name the file
        raise ValueError(f"{path} is damaged ({error}): restore it from git.") from error


def frozen(value):
    """Lists, also within lists, as tuples again: a loaded config must equal the saved one."""
    return tuple(map(frozen, value)) if isinstance(value, list) else value
