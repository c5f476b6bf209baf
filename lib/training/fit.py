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

from lib import losses

SEED_STRIDE = 1_000_003  # a prime: no step of one seed draws what a step of another seed drew
BAR_LETTERS = 120  # of losses behind a progress bar


class Batches(torch.utils.data.Dataset):
    """Batch number i is draw(generator seeded by (seed, i)): any step can be made again, alone, on any
    worker."""

    def __init__(self, draw, seed, rank=0, world=1):
        self.draw = draw
        self.seed = seed
        self.rank = rank
        self.world = world

    def __getitem__(self, i):
        return self.draw(np.random.default_rng([self.seed, i * self.world + self.rank]))


class Progress:
    """Where a run stands, saved and restored by accelerate with the weights."""

    def __init__(self):
        self.step = 0
        self.seconds = 0.0

    def state_dict(self):
        return vars(self)

    def load_state_dict(self, state):
        vars(self).update(state)


def precision():
    """What pays on this machine: "bf16", "fp16" or "no".

    bf16 on GPUs from Ampere on and on CPUs with AVX512-BF16, fp16 on older GPUs."""
    if torch.cuda.is_available():
        ampere = torch.cuda.get_device_capability()[0] >= 8
        return "bf16" if ampere else "fp16"
    return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "no"


def fit(step, nets, optims, draw, steps, folder=None, *, weights, rate=None, ema=None, ema_decay=0.999,
        seed=0, clip=5.0, mixed=None, log_every=50, save_minutes=4.0, stop_after=None, workers=0):
    """Train until `steps`, or until a signal; returns dict(step, seconds, finished, log, nets, ema).

    step(nets, batch): a generator that yields (optimiser name, {loss name: scalar}) once per optimiser: one
        forward pass, and what follows a yield sees the parameters just updated.
    nets: {name: module}, as accelerate wraps them.  optims: {name: optimiser}.
    draw(rng) -> batch: a dict of tensors [B, ...].
    weights: {loss name: weight}, no name may be missing.  rate(i): factor on every learning rate at step i.
    ema: name of the net to average.  clip: largest norm of a gradient, None for any.
    folder: log.jsonl and the state to resume from; a rerun continues there and, as every step is seeded by
        its number, reaches the same result as an unbroken run.  save_minutes 0 saves at the end only.
    stop_after: leave after this many steps of this call (a session's share).
    Raises KeyError for a loss without a weight, FloatingPointError for a loss that is not finite, ValueError
    for a folder with the state of other nets."""
    acc = accelerator(mixed)
    base = {name: [group["lr"] for group in optim.param_groups] for name, optim in optims.items()}
    nets, optims = prepared(acc, nets, optims)
    average = averaged(acc.unwrap_model(nets[ema]), ema_decay) if ema else None
    progress = Progress()
    acc.register_for_checkpointing(progress, *([average] if ema else []))
    resume(acc, folder)
    last = steps if stop_after is None else min(steps, progress.step + stop_after)
    data = Batches(draw, seed, acc.process_index, acc.num_processes)
    numbers = range(progress.step, last)
    loader = torch.utils.data.DataLoader(data, batch_size=None, sampler=numbers, num_workers=workers)
    for net in nets.values():
        net.train()
    log = Log(folder, steps, log_every, acc.is_main_process)
    started = saved = time.time()
    with Signals() as signals:
        for batch in loader:
            factor = rate(progress.step) if rate else 1.0
            set_rate(optims, base, factor)
            torch.manual_seed(seed * SEED_STRIDE + progress.step * acc.num_processes + acc.process_index)
            log.add(progress.step, one_step(acc, step, nets, optims, batch, weights, clip))
            if ema:
                average.update_parameters(acc.unwrap_model(nets[ema]))
            now = time.time()
            progress.step += 1
            progress.seconds += now - started
            started = now
            if agreed(acc, signals.raised):
                break
            if folder and save_minutes and agreed(acc, now - saved > 60 * save_minutes):
                log.flush()  # refuses what is not finite before it replaces a good state
                save_state(acc, folder)
                saved = time.time()
    log.close()
    if folder:
        save_state(acc, folder)
    return {
        "step": progress.step,
        "seconds": progress.seconds,
        "finished": progress.step >= steps,
        "log": log.lines,
        "nets": {name: acc.unwrap_model(net) for name, net in nets.items()},
        "ema": average.module if ema else None,
    }


def accelerator(mixed=None):
    """An Accelerator at `mixed` precision (None: what pays here)."""
    from accelerate import Accelerator, DistributedDataParallelKwargs
    halves = DistributedDataParallelKwargs(find_unused_parameters=True)  # a stage may use half a net
    on_cpu = not torch.cuda.is_available()
    return Accelerator(mixed_precision=mixed or precision(), cpu=on_cpu, kwargs_handlers=[halves])


def prepared(acc, nets, optims):
    """nets and optims {name: ...} as accelerate wraps them."""
    wrapped = acc.prepare(*nets.values(), *optims.values())
    wrapped = wrapped if isinstance(wrapped, tuple) else (wrapped,)  # accelerate unpacks a single one
    ready_nets = dict(zip(nets, wrapped))
    ready_optims = dict(zip(optims, wrapped[len(nets):]))
    return ready_nets, ready_optims


def averaged(net, decay):
    """An exponential moving average of net, buffers included."""
    return AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def one_step(acc, step, nets, optims, batch, weights, clip):
    """Run one generator step; returns {loss name: tensor} of all its yields."""
    batch = {name: value.to(acc.device, non_blocking=True) if torch.is_tensor(value) else value
             for name, value in batch.items()}
    seen = {}
    with acc.autocast():
        for name, terms in step(nets, batch):
            optim = optims[name]
            optim.zero_grad()
            acc.backward(losses.total(terms, weights))
            if acc.sync_gradients and clip:
                parameters = [p for group in optim.param_groups for p in group["params"]]
                acc.clip_grad_norm_(parameters, clip)
            optim.step()
            seen.update({loss: value.detach() for loss, value in terms.items()})
    return seen


def set_rate(optims, base, factor):
    """Learning rates are a function of the step, so that nothing about them needs saving."""
    for name, optim in optims.items():
        for group, lr in zip(optim.param_groups, base[name], strict=True):
            group["lr"] = float(lr * factor)


def cosine(steps, warmup=200, floor=0.05):
    """rate(i) for `fit`: linear warm-up, then half a cosine down to `floor`."""
    def factor(i):
        if i < warmup:
            return (i + 1) / warmup
        share = min(1.0, (i - warmup) / max(1, steps - warmup))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))
    return factor


def agreed(acc, flag):
    """Whether `flag` is true in any process: a process that turns off alone would hang the others."""
    if acc.num_processes == 1:
        return flag
    return bool(acc.reduce(torch.tensor(float(flag), device=acc.device)) > 0)


class Signals:
    """Turns SIGINT and SIGTERM into a flag, so that a run ends between two steps with its state saved."""

    def __enter__(self):
        self.raised = False
        self.old = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            # not the main thread: then nobody can send a signal here either
            with contextlib.suppress(ValueError):
                self.old[number] = signal.signal(number, self._raise)
        return self

    def _raise(self, *_):
        self.raised = True

    def __exit__(self, *_):
        for number, handler in self.old.items():
            signal.signal(number, handler)


class Log:
    """Means of every loss over `every` steps: in log.jsonl, and behind a bar or as plain lines."""

    def __init__(self, folder, steps, every, speaks=True):
        from tqdm import tqdm
        self.speaks = speaks
        self.path = Path(folder) / "log.jsonl" if folder and speaks else None
        self.steps = steps
        self.every = every
        self.lines = []
        self.bar = tqdm(total=steps, unit="step", disable=not (speaks and sys.stderr.isatty()))
        self.begin()

    def begin(self):
        """Forget what the last line was made of."""
        self.sums = {}
        self.count = 0
        self.start = time.time()

    def add(self, step, terms):
        for name, value in terms.items():
            self.sums.setdefault(name, []).append(value)
        self.count += 1
        self.last = step
        self.bar.update(step + 1 - self.bar.n)
        if self.count == self.every:
            self.flush()

    def flush(self):
        """Write a line of what was added since the last one.

        Raises FloatingPointError, and writes nothing, where a mean is not finite."""
        if not self.count:
            return
        means = {name: mean_of(values) for name, values in self.sums.items()}
        pace = round((time.time() - self.start) / self.count, 3)
        broken = [name for name, value in means.items() if not np.isfinite(value)]
        if broken:
            raise FloatingPointError(f"{broken} not finite at step {self.last + 1}: lower the learning rate, "
                                     f"then {self.remedy()}.")
        line = {"step": self.last + 1, "s_per_step": pace, **means}
        self.lines.append(line)
        if self.path:
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")
        if self.speaks:
            self.say(line)
        self.begin()

    def remedy(self):
        """What can be done after a loss that is not finite: it depends on whether anything was saved."""
        if self.path and (self.path.parent / "state").is_dir():
            return f"run again: it goes on from {self.path.parent / 'state'}"
        return "start anew: nothing was saved yet"

    def say(self, line):
        """Show a line behind the bar, or print it where there is none."""
        figures = " ".join(f"{name} {value:g}" for name, value in line.items() if name != "step")
        text = f"{line['step']}/{self.steps} {figures}"
        if self.bar.disable:
            print(text, flush=True)
        else:
            self.bar.set_postfix_str(text[:BAR_LETTERS])

    def close(self):
        self.flush()
        self.bar.close()


def mean_of(values):
    """Mean of a list of scalars, to four places."""
    return round(float(torch.stack([value.float() for value in values]).mean()), 4)


def resume(acc, folder):
    """Load the newest complete state under `folder`, if there is one.

    Raises ValueError where it is of other nets than these."""
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in ("state", "state.old"):  # .old: killed between the two renames of save_state
        state = Path(folder) / name
        if state.exists():
            try:
                acc.load_state(str(state))
            except (RuntimeError, ValueError, KeyError) as error:
                reason = str(error).strip().splitlines()[-1].strip()
                raise ValueError(f"The run in {folder} was of other nets than these ({reason}): train with "
                                 "its settings, give another folder, or delete this one.") from error
            return


def save_state(acc, folder):
    """Save what `resume` needs; a kill at any moment leaves a complete state behind."""
    state = Path(folder) / "state"
    new = Path(folder) / "state.new"
    old = Path(folder) / "state.old"
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
