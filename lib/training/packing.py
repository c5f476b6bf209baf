"""Weights as int8, so that a checkpoint fits a repository."""
import torch


def packed(weights):
    """{name: weight} with matrices as int8, each row with a scale of its own under "name:scale"; `unpacked` undoes it."""
    large = {k: v.float().flatten(1) for k, v in weights.items() if v.is_floating_point() and v.dim() > 1}
    rows = {k: v.abs().amax(1).clamp_min(1e-8) / 127 for k, v in large.items()}
    small = {k: (large[k] / scale[:, None]).round().to(torch.int8).view_as(weights[k]) for k, scale in rows.items()}
    return weights | small | {f"{k}:scale": scale for k, scale in rows.items()}


def unpacked(weights):
    """{name: weight} as before `packed`, but for rounding; weights that were never packed stay as they are."""
    rows = {k: v for k, v in weights.items() if f"{k}:scale" in weights}
    full = {k: (v.float().flatten(1) * weights[f"{k}:scale"].float()[:, None]).view_as(v) for k, v in rows.items()}
    return {k: v for k, v in (weights | full).items() if not k.endswith(":scale")}
