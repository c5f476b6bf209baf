"""The checkpoint folder: save, load, and who needs whose weights.  The only door to safetensors.

A folder holds model*.safetensors, config.json (the sizes; under "tensors" how many tensors each file holds;
under "needs" the fingerprints of the models that lend it parts), card.json (what the weights are now) and,
where there is something to tell, history.json.
"""
import dataclasses
import hashlib
import json
import os
from pathlib import Path

import torch

from lib.training.packing import packed, unpacked

FILES = ("model.safetensors", "config.json", "card.json")
CARD_KEYS = {"data", "licence", "budget", "figures"}
SHARD_BYTES = 9_500_000  # the hub wants large-file storage above 10 MB
MESSAGE = 300  # letters of torch's own message that are passed on
LETTERS = 16  # of a fingerprint: 64 bits
RESTORE = "restore it from git"


def fingerprint(net):
    """Name weights by 16 letters that change with any of them.  net: a module, or {name: tensor}.

    It covers names, shapes, kinds and bytes as they are read back: of a model that was rounded when it was
    saved, take that of `read(folder)`.
    """
    weights = net.state_dict() if isinstance(net, torch.nn.Module) else net
    digest = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
        digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:LETTERS]


def save(folder, net, config, card, half=True, pack=False, lenders=None):
    """Write a checkpoint folder, once however many processes call.

    half: fp16; pack: matrices int8.  lenders: {name: folder or net} for every name in net.NEEDS; what they
    lend is left out, and their fingerprints are written instead.  Give the folder where the lender was
    rounded on saving.
    Raises ValueError for a lender too many or too few, and unless the card says data, licence, budget and
    figures.
    """
    from safetensors.torch import save_file
    if int(os.environ.get("RANK", 0)):
        return
    missing = CARD_KEYS - set(card)
    if missing:
        raise ValueError(f"A card without {sorted(missing)} would let a quick voice pass as a real one: add "
                         "them.")
    lenders = check_lenders(type(net), lenders or {})
    weights = {}
    for name, weight in net.state_dict().items():
        if not is_lent(name, lenders):
            rounded = weight.half() if half and weight.is_floating_point() else weight
            weights[name] = rounded.contiguous().cpu()
    if pack:
        weights = packed(weights)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("model*.safetensors"):
        old.unlink()
    tensors = {}
    for i, shard in enumerate(shards(weights, SHARD_BYTES)):
        name = f"model-{i + 1}.safetensors" if i else "model.safetensors"
        save_file(shard, folder / name)
        tensors[name] = len(shard)
    values = dataclasses.asdict(config) if config else {}
    values["tensors"] = tensors
    values["needs"] = {}
    for name, lender in lenders.items():
        saved = read(lender) if is_folder(lender) else lender
        values["needs"][name] = fingerprint(saved)
    (folder / "config.json").write_text(json.dumps(values, indent=1) + "\n")
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")


def is_folder(lender):
    """Whether a lender is given by its checkpoint folder."""
    return isinstance(lender, (str, Path))


def check_lenders(model, lenders):
    """Give lenders {name: ...} back.  Raises ValueError unless they are what the class `model` NEEDS."""
    needs = set(getattr(model, "NEEDS", ()))
    if needs != set(lenders):
        raise ValueError(f"{model.__name__} needs {sorted(needs)}, got {sorted(lenders)}: name every lender.")
    return lenders


def is_lent(name, lenders):
    """Whether the tensor `name` belongs to one of the lenders, who are submodules under their names."""
    return name.split(".")[0] in lenders


def shards(weights, limit=SHARD_BYTES):
    """Cut {name: tensor} into dicts of at most `limit` bytes, so that no file needs large-file storage."""
    parts = [{}]
    size = 0
    for name, value in weights.items():
        size += value.nbytes
        if size > limit and parts[-1]:
            parts.append({})
            size = value.nbytes
        parts[-1][name] = value
    return parts


def read(folder):
    """Read {name: float32 tensor} of a checkpoint folder.

    Raises ValueError when a file or a tensor is missing or too many, or a weight is not finite.
    """
    from safetensors.torch import load_file
    folder = Path(folder)
    expected = counts(folder)
    there = {path.name for path in folder.glob("model*.safetensors")}
    if there != set(expected):
        lost = sorted(set(expected) - there)
        strange = sorted(there - set(expected))
        raise ValueError(f"{folder}: lost {lost}, never saved {strange}: {RESTORE}.")
    weights = {}
    for name in expected:
        try:
            shard = load_file(folder / name)
        except Exception as error:  # safetensors raises kinds of its own for a broken file
            raise ValueError(f"{folder / name} is damaged ({one_line(error)}): {RESTORE}.") from error
        if len(shard) != expected[name]:
            raise ValueError(f"{folder / name} holds {len(shard)} of {expected[name]} tensors: {RESTORE}.")
        weights |= shard
    for name, value in weights.items():
        if value.is_floating_point():
            weights[name] = value.float()
    try:
        weights = unpacked(weights)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}: {RESTORE}.") from error
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{folder}: {name} holds numbers that are not finite: {RESTORE}.")
    return weights


def counts(folder):
    """How many tensors each file of a checkpoint folder must hold, {file name: number}."""
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} lacks config.json: {RESTORE}.")
    tensors = parse(folder / "config.json").get("tensors")
    if not isinstance(tensors, dict) or "model.safetensors" not in tensors:
        raise ValueError(f"{folder}/config.json does not say under \"tensors\" what was saved: {RESTORE}.")
    return tensors


def load(folder, model, config_class, **lenders):
    """Give (net in float32 and eval mode, card) of a folder written by `save`.

    lenders: the models in model.NEEDS, by name; they become submodules, not copies.
    Raises ValueError when the folder is not a checkpoint, was written for other sizes, or beside other
    lenders: weights are never half loaded.
    """
    folder = Path(folder)
    lacking = [name for name in FILES if not (folder / name).is_file()]
    if lacking:
        raise ValueError(f"{folder} lacks {lacking}: build it with its lesson or {RESTORE}.")
    values = parse(folder / "config.json")
    says = card(folder)
    check_fingerprints(folder, values.pop("needs", None), check_lenders(model, lenders))
    values.pop("tensors", None)  # `read` looks at them
    known = {f.name for f in dataclasses.fields(config_class)}
    if set(values) != known:
        different = sorted(set(values) ^ known)
        raise ValueError(f"{folder}/config.json: {different} too many or too few for "
                         f"{config_class.__name__}.")
    weights = read(folder)
    try:
        config = config_class(**{name: frozen(value) for name, value in values.items()})
        net = model(config, **lenders)
        fill(net, weights, lenders)
    except Exception as error:  # whatever a constructor makes of sizes that somebody changed
        raise ValueError(f"{folder}/model.safetensors does not fit its config: {one_line(error)}") from error
    return net.eval(), says


def card(folder):
    """Read what the weights in a folder are.  Raises ValueError for a card that does not say it."""
    path = Path(folder) / "card.json"
    says = parse(path)
    missing = CARD_KEYS - set(says)
    if missing:
        raise ValueError(f"{path} does not say {sorted(missing)}: {RESTORE}.")
    return says


def check_fingerprints(folder, needs, lenders):
    """Raise ValueError unless the lenders {name: net} are those that the model in `folder` was trained on.

    needs: {name: fingerprint} as the folder's config.json says.
    """
    if not isinstance(needs, dict) or set(needs) != set(lenders):
        wanted = sorted(lenders)
        raise ValueError(f"{folder}/config.json says that it needs {needs}, not {wanted}: {RESTORE}.")
    for name, lender in lenders.items():
        found = fingerprint(lender)
        if needs[name] != found:
            here = folder.parent / name
            raise ValueError(f"{folder.name} was trained on {name} {needs[name]}, this one is {found}: "
                             f"restore {here} from git, or train {folder.name} again with its lesson.")


def fill(net, weights, lenders):
    """Load weights {name: tensor} into all of net but what is lent.  Raises ValueError if they do not fit."""
    own = {name for name in net.state_dict() if not is_lent(name, lenders)}
    if own != set(weights):  # torch alone would let a batch norm's counter be missing
        raise ValueError(f"missing {sorted(own - set(weights))}, unexpected {sorted(set(weights) - own)}")
    net.load_state_dict(weights, strict=False)


def one_line(error):
    """The message of an error on one line, not too long."""
    return " ".join(str(error).split())[:MESSAGE]


def parse(path):
    """Read the dict that a JSON file holds.  Raises ValueError, with its name, when it holds none."""
    try:
        value = json.loads(path.read_text())
    except (ValueError, OSError) as error:  # JSONDecodeError does not name the file
        raise ValueError(f"{path} is damaged ({error}): {RESTORE}.") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds {one_line(json.dumps(value))[:20]}, not names and values: {RESTORE}.")
    return value


def frozen(value):
    """Lists, also within lists, as tuples again: a loaded config must equal the saved one."""
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    return value
