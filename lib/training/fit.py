"""The training loop.  The only door to accelerate."""
import contextlib
import json
import math
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lib import losses as L


class Batches(torch.utils.data.Dataset):
    """Batch number i is draw(generator seeded by (seed, i)): any step can be made again, alone, on any worker."""

    def __init__(self, draw, seed, rank=0, world=1):
        self.draw, self.seed, self.rank, self.world = draw, seed, rank, world

    def __getitem__(self, i):
        return self.draw(np.random.default_rng([self.seed, i * self.world + self.rank]))


class Progress:
    """Where a run stands, saved and restored by accelerate with the weights."""

    def __init__(self):
        self.step, self.seconds = 0, 0.0

    def state_dict(self):
        return vars(self)

    def load_state_dict(self, state):
        vars(self).update(state)


def precision():
    """What pays on this machine: bf16 on GPUs from Ampere on and CPUs with AVX512-BF16, fp16 on older GPUs, else "no"."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.get_device_capability()[0] >= 8 else "fp16"
    return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "no"


def fit(step, nets, optims, draw, steps, folder=None, *, weights, rate=None, ema=None, ema_decay=0.999, seed=0, clip=5.0,
        mixed=None, log_every=50, save_minutes=4.0, stop_after=None, workers=0):
    """Train until `steps`, or until a signal; returns dict(step, finished, log, nets, ema).

    step(nets, batch): a generator that yields (optimiser name, {loss name: scalar}) once per optimiser: one forward pass,
        and what follows a yield sees the parameters just updated.  nets: {name: module}, as accelerate wraps them.
    optims: {name: optimiser}.  draw(rng) -> batch: a dict of tensors [B, ...].  weights: {loss name: weight}, no name may be missing.
    rate(i): factor on every learning rate at step i.  ema: name of the net to average.  stop_after: leave after this many
    steps of this call (a session's share).  folder: log.jsonl and the state to resume from; a rerun continues there and, as
    every step is seeded by its number, reaches the same result as an unbroken run.  save_minutes 0 saves at the end only."""
    from accelerate import Accelerator, DistributedDataParallelKwargs
    acc = Accelerator(mixed_precision=mixed or precision(), cpu=not torch.cuda.is_available(),
                      kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)])  # a stage may use half a net
    keys, names = list(nets), list(optims)
    base = {name: [g["lr"] for g in optims[name].param_groups] for name in names}
    ready = acc.prepare(*nets.values(), *optims.values())
    ready = ready if isinstance(ready, tuple) else (ready,)
    nets, optims = dict(zip(keys, ready)), dict(zip(names, ready[len(keys):]))
    average = ema and AveragedModel(acc.unwrap_model(nets[ema]), multi_avg_fn=get_ema_multi_avg_fn(ema_decay), use_buffers=True)
    progress = Progress()
    acc.register_for_checkpointing(progress, *([average] if ema else []))
    resume(acc, folder)
    last = steps if stop_after is None else min(steps, progress.step + stop_after)
    data = Batches(draw, seed, acc.process_index, acc.num_processes)
    loader = torch.utils.data.DataLoader(data, batch_size=None, sampler=range(progress.step, last), num_workers=workers)
    for net in nets.values():
        net.train()
    log, started, saved = Log(folder, steps, log_every, acc.is_main_process), time.time(), time.time()
    with Signals() as signals:
        for batch in loader:
            set_rate(optims, base, rate(progress.step) if rate else 1.0)
            torch.manual_seed(seed * 1_000_003 + progress.step * acc.num_processes + acc.process_index)
            log.add(progress.step, one_step(acc, step, nets, optims, batch, weights, clip))
            if ema:
                average.update_parameters(acc.unwrap_model(nets[ema]))
            progress.step += 1
            progress.seconds += time.time() - started
            started = time.time()
            if agreed(acc, signals.raised):
                break
            if folder and save_minutes and agreed(acc, time.time() - saved > 60 * save_minutes):
                log.flush()  # refuses what is not finite before it replaces a good state
                save_state(acc, folder)
                saved = time.time()
    log.close()
    if folder:
        save_state(acc, folder)
    bare = {name: acc.unwrap_model(net) for name, net in nets.items()}
    return dict(step=progress.step, seconds=progress.seconds, finished=progress.step >= steps, log=log.lines, nets=bare,
                ema=average.module if ema else None)


def one_step(acc, step, nets, optims, batch, weights, clip):
    """Run one generator step; returns {loss name: tensor} of all its yields."""
    batch = {k: v.to(acc.device, non_blocking=True) if torch.is_tensor(v) else v for k, v in batch.items()}
    seen = {}
    with acc.autocast():
        turns = step(nets, batch)
        for name, parts in turns:
            optims[name].zero_grad()
            acc.backward(L.total(parts, weights))
            if acc.sync_gradients and clip:
                acc.clip_grad_norm_([p for g in optims[name].param_groups for p in g["params"]], clip)
            optims[name].step()
            seen.update({k: v.detach() for k, v in parts.items()})
    return seen


def set_rate(optims, base, factor):
    """Learning rates are a function of the step, so that nothing about them needs saving."""
    for group, lr in ((g, lr) for name in optims for g, lr in zip(optims[name].param_groups, base[name], strict=True)):
        group["lr"] = float(lr * factor)


def cosine(steps, warmup=200, floor=0.05):
    """rate(i) for `fit`: linear warm-up, then half a cosine down to `floor`."""
    def factor(i):
        if i < warmup:
            return (i + 1) / warmup
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, (i - warmup) / max(1, steps - warmup))))
    return factor


def agreed(acc, flag):
    """Whether `flag` is true in any process: clocks and signals differ, and one process that turns off alone hangs the others."""
    return flag if acc.num_processes == 1 else bool(acc.reduce(torch.tensor(float(flag), device=acc.device)) > 0)


class Signals:
    """Turns SIGINT and SIGTERM into a flag, so that a run ends between two steps with its state saved."""

    def __enter__(self):
        self.raised, self.old = False, {}
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # not the main thread: then nobody can send a signal here either
                self.old[number] = signal.signal(number, self._raise)
        return self

    def _raise(self, *_):
        self.raised = True

    def __exit__(self, *_):
        for number, handler in self.old.items():
            signal.signal(number, handler)


class Log:
    """Means of every loss over `every` steps: a tqdm bar in a terminal, plain lines elsewhere, and log.jsonl in the folder."""

    def __init__(self, folder, steps, every, speaks=True):
        from tqdm import tqdm
        self.speaks, self.path = speaks, Path(folder) / "log.jsonl" if folder and speaks else None
        self.steps, self.every, self.sums, self.count, self.lines, self.start = steps, every, {}, 0, [], time.time()
        self.bar = tqdm(total=steps, unit="step", disable=not (speaks and sys.stderr.isatty()))

    def add(self, step, parts):
        for name, value in parts.items():
            self.sums.setdefault(name, []).append(value)
        self.count, self.last = self.count + 1, step
        self.bar.update(step + 1 - self.bar.n)
        if self.count == self.every:
            self.flush()

    def flush(self):
        if not self.count:
            return
        means = {name: round(float(torch.stack([v.float() for v in values]).mean()), 4) for name, values in self.sums.items()}
        line = {"step": self.last + 1, "s_per_step": round((time.time() - self.start) / self.count, 3), **means}
        self.lines.append(line)
        if self.path:
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")
        if self.speaks:
            text = f"{self.last + 1}/{self.steps} " + " ".join(f"{k} {v:g}" for k, v in line.items() if k != "step")
            print(text, flush=True) if self.bar.disable else self.bar.set_postfix_str(text[:120])
        bad = [name for name, value in means.items() if not np.isfinite(value)]
        if bad:
            raise FloatingPointError(f"{bad} not finite at step {self.last + 1}: lower the learning rate or resume from the saved state.")
        self.sums, self.count, self.start = {}, 0, time.time()

    def close(self):
        self.flush()
        self.bar.close()


def resume(acc, folder):
    """Load the newest complete state under `folder`, if there is one."""
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    for state in (Path(folder) / "state", Path(folder) / "state.old"):  # .old: killed between the two renames of save_state
        if state.exists():
            return acc.load_state(str(state))


def save_state(acc, folder):
    """Save what `resume` needs; a kill at any moment leaves a complete state behind."""
    state, new, old = (Path(folder) / name for name in ("state", "state.new", "state.old"))
    if acc.is_main_process:
        shutil.rmtree(new, ignore_errors=True)
    acc.wait_for_everyone()
    acc.save_state(str(new))
    acc.wait_for_everyone()
    if acc.is_main_process:
        shutil.rmtree(old, ignore_errors=True)
        if state.exists():
            state.rename(old)
        new.rename(state)
        shutil.rmtree(old, ignore_errors=True)
