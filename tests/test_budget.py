"""DEMO_BUDGET decides; without it a GPU does."""
import pytest
import torch

from lib.training import budget


@pytest.mark.parametrize("name, amount", [("quick", 1), ("full", 2)])
def test_the_environment_decides(monkeypatch, name, amount):
    monkeypatch.setenv("DEMO_BUDGET", name)
    assert budget.current() == name and budget.pick(quick=1, full=2) == amount


@pytest.mark.parametrize("gpu, name", [(False, "quick"), (True, "full")])
@pytest.mark.parametrize("unset", [None, ""])
def test_a_gpu_decides_where_nothing_is_set(monkeypatch, gpu, name, unset):
    monkeypatch.delenv("DEMO_BUDGET", raising=False)
    if unset is not None:
        monkeypatch.setenv("DEMO_BUDGET", unset)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert budget.current() == name


def test_a_typo_is_not_taken_for_quick(monkeypatch):
    monkeypatch.setenv("DEMO_BUDGET", "fast")
    for call in (budget.current, lambda: budget.pick(1, 2)):
        with pytest.raises(ValueError, match="'fast'.*'quick' or 'full'"):
            call()
