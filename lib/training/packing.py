"""Weights as int8, so that a checkpoint fits a repository."""
import torch

LEVELS = 127  # the largest int8
SCALE = ":scale"  # a matrix `name` has the scales of its rows under `name:scale`


def packed(weights):
    """Give {name: weight} with matrices as int8 and the scale of each of their rows; `unpacked` undoes it."""
    result = dict(weights)
    scales = {}
    for name, weight in weights.items():
        if not weight.is_floating_point() or weight.dim() < 2:
            continue
        rows = weight.float().flatten(1)
        scale = rows.abs().amax(1).clamp_min(1e-8) / LEVELS
        result[name] = (rows / scale[:, None]).round().to(torch.int8).view_as(weight)
        scales[name + SCALE] = scale
    return result | scales


def unpacked(weights):
    """Give {name: weight} as before `packed`, but for rounding; what was never packed stays as it is.

    Raises ValueError for an int8 matrix without its scales, and for scales without their matrix: no weight of
    ours is int8 otherwise, and taken for one it would load without a word.
    """
    whole = {name: weight for name, weight in weights.items() if not name.endswith(SCALE)}
    for name, weight in whole.items():
        scale = weights.get(name + SCALE)
        if scale is not None:
            rows = weight.float().flatten(1) * scale.float()[:, None]
            whole[name] = rows.view_as(weight)
        elif weight.dtype == torch.int8:
            raise ValueError(f"{name} is packed, but {name + SCALE} is lost")
    for name in weights:
        if name.endswith(SCALE) and name.removesuffix(SCALE) not in whole:
            raise ValueError(f"{name} is there, but {name.removesuffix(SCALE)} is lost")
    return whole
