"""The loop: any step can be repeated, any run resumed, one process or two; and checkpoints that say what they
are."""
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lib import training
from lib.training.fit import Batches

pytestmark = pytest.mark.usefixtures("fresh_accelerate")
ROOT = Path(__file__).parent.parent
# A small GAN that has what makes resuming hard: dropout, batch statistics, a critic with a buffer, two
# optimisers.
SCRIPT = '''
import sys, time
import torch
from lib import losses, training
from lib.nn.critics import Discriminator

WEIGHTS = {"critic": 1.0, "adv": 1.0, "l1": 5.0}


def make():
    torch.manual_seed(0)
    layers = torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 512)
    gen = torch.nn.Sequential(*layers)
    nets = {"gen": gen, "critic": Discriminator((2,), (2, 4), (256,), 2)}
    return nets, {name: torch.optim.AdamW(net.parameters(), 1e-2) for name, net in nets.items()}


def step(nets, batch):
    fake = nets["gen"](batch["x"]).unsqueeze(1)
    scores, _ = nets["critic"](torch.cat([batch["wav"], fake.detach()]))
    real, made = zip(*(s.chunk(2) for s in scores))
    yield "critic", {"critic": losses.discriminator_adv(real, made)}
    scores, _ = nets["critic"](torch.cat([batch["wav"], fake]))
    adv = losses.generator_adv([s.chunk(2)[1] for s in scores])
    yield "gen", {"adv": adv, "l1": (fake - batch["wav"]).abs().mean()}


def draw(rng, seen=None):
    batch = {"x": rng.standard_normal((4, 4), "float32"), "wav": rng.standard_normal((4, 1, 512), "float32")}
    return {name: torch.from_numpy(value) for name, value in batch.items()}


def fit(steps, folder=None, **more):
    nets, optims = make()
    settings = dict(weights=WEIGHTS, rate=training.cosine(12, 2), ema="gen", ema_decay=0.5, mixed="no",
                    log_every=2, seed=3)
    return training.fit(step, nets, optims, draw, steps, folder, **settings | more)


if __name__ == "__main__":
    folder, steps, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    drawn, plain = [], draw

    def draw(rng):
        time.sleep(pause)
        drawn.append(plain(rng))
        return drawn[-1]
    result = fit(steps, folder, log_every=1)
    import os
    rank = os.environ.get("RANK", "0")
    torch.save({"gen": result["nets"]["gen"].state_dict(),
                "critic": result["nets"]["critic"].state_dict(), "ema": result["ema"].state_dict(),
                "step": result["step"], "x": [batch["x"] for batch in drawn]}, f"{folder}/rank{rank}.pt")
'''


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "tiny_gan.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def tiny(script):
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("tiny_gan", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(*command):
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
                        "ACCELERATE_USE_CPU": "true"}
    return subprocess.Popen([sys.executable, *map(str, command)], env=env, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def finish(process, seconds=240):
    try:
        said, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
    assert process.returncode == 0, said[-3000:]
    return said


def weights(result):
    parts = {**result["nets"], "ema": result["ema"]}
    return {f"{part}.{name}": value for part, net in parts.items()
            for name, value in net.state_dict().items()}


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


# ---------------------------------------------------------------- one process

def test_a_run_repeats_itself_and_learns(tiny):
    """Catches a step whose randomness depends on what ran before, and optimisers that are not stepped."""
    torch.manual_seed(5)
    one = tiny.fit(6)
    torch.manual_seed(99)
    two = tiny.fit(6)
    assert same(weights(one), weights(two))
    assert one["finished"] and one["step"] == 6 and [line["step"] for line in one["log"]] == [2, 4, 6]
    assert set(one["log"][0]) == {"step", "s_per_step", "critic", "adv", "l1"}
    assert not same(weights(one), weights(tiny.fit(6, seed=4)))
    untrained = tiny.make()[0]["gen"].state_dict()
    assert all(not torch.equal(value, one["nets"]["gen"].state_dict()[name])
               for name, value in untrained.items())


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stopped_run_continues_to_the_same_weights(tiny, tmp_path, workers):
    """Catches any state that is not saved:

    Adam's moments, batch statistics, the average, dropout's seed, the place in the data."""
    straight = tiny.fit(6)
    first = tiny.fit(6, tmp_path, stop_after=3, workers=workers)
    assert first["step"] == 3 and not first["finished"]
    second = tiny.fit(6, tmp_path, workers=workers)
    assert second["finished"] and second["step"] == 6
    assert same(weights(straight), weights(second))
    third = tiny.fit(6, tmp_path)
    assert third["step"] == 6 and same(weights(third), weights(second)), "a finished run must not train on"
    lines = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [2, 3, 5, 6]


def test_a_kill_between_the_two_renames_loses_nothing(tiny, tmp_path):
    """Catches a run that starts again from step 0 because it was killed while its state was being
    replaced."""
    tiny.fit(6, tmp_path, stop_after=3)
    (tmp_path / "state").rename(tmp_path / "state.old")
    (tmp_path / "state.new").mkdir()  # half written
    assert same(weights(tiny.fit(6, tmp_path)), weights(tiny.fit(6)))
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["state"]


def test_state_is_saved_on_the_way(tiny, tmp_path):
    """Catches a run that saves only at its end: a machine that dies would take everything along."""
    counts = []

    def rate(i):
        counts.append((tmp_path / "state").exists())
        return 1.0
    tiny.fit(4, tmp_path, rate=rate, save_minutes=1e-9)
    assert counts == [False, True, True, True]


def test_sigterm_saves_and_a_rerun_reaches_the_same_weights(tiny, script, tmp_path):
    """Catches a signal that kills the run in the middle of a step, or ends it without its state."""
    process = start("-u", script, tmp_path, 100000, 0.05)
    for line in process.stdout:
        if line.startswith("3/"):
            process.send_signal(signal.SIGTERM)
            break
    finish(process, 60)
    stopped = torch.load(tmp_path / "rank0.pt")["step"]
    assert 3 <= stopped < 100
    assert (tmp_path / "state").is_dir() and not (tmp_path / "state.new").exists()
    assert same(weights(tiny.fit(stopped + 2, tmp_path)), weights(tiny.fit(stopped + 2)))


def test_signal_handlers_are_given_back(tiny):
    """Catches a notebook that can no longer be interrupted once something was trained in it."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    tiny.fit(1)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_the_second_yield_sees_the_updated_first():
    """Catches losses that are collected first and stepped later: the generator would be judged by yesterday's
    critic."""
    one, two, seen = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False), []

    def step(nets, batch):
        seen.append(nets["one"].weight.item())
        yield "first", {"a": nets["one"](batch["x"]).sum()}
        seen.append(nets["one"].weight.item())
        yield "second", {"b": (nets["two"](batch["x"]) * nets["one"].weight).sum()}
    start_at = one.weight.item()
    optims = {"first": torch.optim.SGD(one.parameters(), 0.1),
              "second": torch.optim.SGD(two.parameters(), 0.1)}
    training.fit(step, {"one": one, "two": two}, optims, lambda rng: {"x": torch.ones(1, 1)}, 1,
                 weights={"a": 1.0, "b": 1.0}, mixed="no")
    assert seen == pytest.approx([start_at, start_at - 0.1])
    assert one.weight.item() == pytest.approx(start_at - 0.1), "the second optimiser took it along"


def test_weights_and_rates_are_applied():
    """Catches a loss weight or a learning-rate schedule that is read but not used."""
    def run(weight, rate, steps=1):
        torch.manual_seed(0)
        net = torch.nn.Linear(1, 1, bias=False)
        before = net.weight.item()

        def step(nets, batch):
            yield "o", {"a": nets["n"](batch["x"]).sum()}
        training.fit(step, {"n": net}, {"o": torch.optim.SGD(net.parameters(), 0.1)},
                     lambda rng: {"x": torch.ones(1, 1)}, steps,
                  weights={"a": weight}, rate=rate, clip=None, mixed="no")
        return before - net.weight.item()
    assert run(1.0, None) == pytest.approx(0.1)
    assert run(3.0, None) == pytest.approx(0.3)
    assert run(1.0, lambda i: (0.5, 0.25)[i], 2) == pytest.approx(0.075)


def test_a_loss_without_weight_and_a_loss_that_is_not_finite_stop_the_run(tmp_path):
    """Catches a typo that trains nothing for a night, and nan weights saved over good ones."""
    net = torch.nn.Linear(1, 1)

    def run(parts, **more):
        def step(nets, batch):
            yield "o", {name: factor * nets["n"](batch["x"]).sum() for name, factor in parts.items()}
        return training.fit(step, {"n": net}, {"o": torch.optim.SGD(net.parameters(), 0.1)},
                            lambda rng: {"x": torch.ones(1, 1)}, 4, tmp_path,
                         weights={"a": 1.0}, mixed="no", **more)
    with pytest.raises(KeyError, match="b"):
        run({"a": 1.0, "b": 1.0})
    with pytest.raises(FloatingPointError, match="'a'.*not finite at step 2"):
        run({"a": float("nan")}, log_every=2)
    assert not (tmp_path / "state").exists()
    with pytest.raises(FloatingPointError):
        run({"a": float("nan")}, log_every=2, save_minutes=1e-9)
    assert not (tmp_path / "state").exists(), "a timed save must not store what the next log line will refuse"
    lines = (tmp_path / "log.jsonl").read_text() if (tmp_path / "log.jsonl").exists() else ""
    assert "NaN" not in lines, "no JSON"


def test_after_a_loss_that_is_not_finite_the_advice_is_true(tmp_path):
    """Catches "resume" where nothing was saved, and "start anew" over hours of work."""
    def run(factor, steps):
        net = torch.nn.Linear(1, 1)

        def step(nets, batch):
            yield "o", {"a": factor * nets["n"](batch["x"]).sum()}
        optims = {"o": torch.optim.SGD(net.parameters(), 0.1)}
        return training.fit(step, {"n": net}, optims, lambda rng: {"x": torch.ones(1, 1)}, steps, tmp_path,
                            weights={"a": 1.0}, mixed="no")
    with pytest.raises(FloatingPointError, match="start anew: nothing was saved"):
        run(float("nan"), 2)
    run(1.0, 2)
    with pytest.raises(FloatingPointError, match="run again: it goes on from .*state"):
        run(float("inf"), 4)


def test_a_state_of_other_nets_is_named(tmp_path):
    """Catches pages of sizes that do not match, without a folder and without a remedy."""
    def run(width):
        net = torch.nn.Linear(1, width)

        def step(nets, batch):
            yield "o", {"a": nets["n"](batch["x"]).sum()}
        optims = {"o": torch.optim.SGD(net.parameters(), 0.1)}
        return training.fit(step, {"n": net}, optims, lambda rng: {"x": torch.ones(1, 1)}, 2, tmp_path,
                            weights={"a": 1.0}, mixed="no")
    run(1)
    with pytest.raises(ValueError, match="The run in .*other nets.*size mismatch.*give another folder"):
        run(2)


def test_cosine_warms_up_and_ends_at_its_floor():
    """Catches a schedule that starts at full rate or ends at zero."""
    rate = training.cosine(100, warmup=10, floor=0.1)
    assert rate(0) == pytest.approx(0.1) and rate(9) == 1 and rate(10) == 1
    assert rate(55) == pytest.approx(0.55) and rate(100) == pytest.approx(0.1) == rate(1000)
    values = [rate(i) for i in range(10, 100)]
    assert values == sorted(values, reverse=True)


def test_batches_depend_on_step_rank_and_seed_only():
    """Catches two GPUs that train on the same data, and a worker that repeats another's numbers."""
    def draw(rng):
        return rng.integers(1 << 40)
    one = Batches(draw, 7)
    assert [one[i] for i in (3, 1, 3)] == [one[3], one[1], one[3]]
    ranks = [Batches(draw, 7, rank, 2) for rank in (0, 1)]
    drawn = [batches[i] for batches in ranks for i in range(5)] + [Batches(draw, 8)[0]]
    assert len(set(drawn)) == 11
    loaded = [list(torch.utils.data.DataLoader(one, batch_size=None, sampler=range(5), num_workers=w))
              for w in (0, 1)]
    assert loaded[0] == loaded[1] == [one[i] for i in range(5)]


def test_log_means_over_steps_and_prints_plain_lines(tmp_path, capsys):
    """Catches a log that shows the last value for the mean, or loses the steps after the last full line."""
    log = training.Log(tmp_path, 5, 2)
    for i, value in enumerate([1.0, 3.0, 10.0, 20.0, 7.0]):
        log.add(i, {"a": torch.tensor(value)})
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["a"]) for line in lines] == [(2, 2.0), (4, 15.0), (5, 7.0)]
    assert lines == log.lines
    assert capsys.readouterr().out.splitlines()[0].startswith("2/5 s_per_step")


# ---------------------------------------------------------------- launched

def test_two_processes_share_weights_and_not_data(script, tmp_path):
    """Catches two processes that train apart, or twice on the same batches, and a critic that cannot run
    twice under DDP."""
    said = finish(start("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2, script,
                        tmp_path, 4, 0))
    one, two = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert one["step"] == two["step"] == 4
    for part in ("gen", "critic"):
        trained = [name for name in one[part] if "running" not in name]
        assert all(torch.allclose(one[part][name], two[part][name], atol=1e-6) for name in trained), part
    assert all(torch.allclose(one["ema"][name], two["ema"][name], atol=1e-6) for name in one["ema"]
               if "running" not in name)
    drawn = torch.stack(one["x"] + two["x"]).flatten(1)
    assert len({tuple(row.tolist()) for row in drawn}) == 8
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4
    assert (tmp_path / "state").is_dir()
    assert sum(line.startswith("4/4") for line in said.splitlines()) == 1, "one process speaks for all"


def test_accelerate_launch_equals_a_plain_run(tiny, script, tmp_path):
    """Catches a lesson that trains in a notebook only: `accelerate launch` must reach the same weights."""
    finish(start("-m", "accelerate.commands.launch", "--cpu", "--num_processes", 1, "--num_machines", 1,
                 "--mixed_precision", "no",
                 "--dynamo_backend", "no", script, tmp_path, 4, 0))
    plain, launched = tiny.fit(4), torch.load(tmp_path / "rank0.pt")
    assert same(launched["gen"], plain["nets"]["gen"].state_dict())
    assert same(launched["ema"], plain["ema"].state_dict())
