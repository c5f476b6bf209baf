"""requirements.txt must ask for what is imported, and change nothing that Colab has: a changed torch or numpy
breaks a student's running kernel."""
import os
import subprocess
from pathlib import Path

import pytest
from imports import third_party
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
# Colab's published package list, August 2026, Python 3.13.
COLAB = {
    "torch": "2.11.0", "numpy": "2.1.3", "gradio": "6.24.0", "accelerate": "1.14.0", "datasets": "4.0.0",
    "umap-learn": "0.5.12", "ipywidgets": "7.7.1", "pandas": "2.2.3", "pytest": "8.4.2",
}
# Name in Python -> name on the index, where they differ.
NAMED = {
    "IPython": "ipython", "PIL": "pillow", "sklearn": "scikit-learn", "umap": "umap-learn",
    "parselmouth": "praat-parselmouth", "phonemizer": "phonemizer-fork", "pyworld": "pyworld-prebuilt",
}
# Imported, but not asked for, and why.
COMES_ALONG = {
    "starlette": "a part of gradio",
    "pillow": "comes with matplotlib and gradio",
    "ipython": "comes with ipywidgets",
}
OPTIONAL = {
    "transformers": "teachers of semantic vectors, word error rates; the code says so where it lacks",
    "pyworld-prebuilt": "an old competitor in lesson 06, whose rows are left out without it",
}


def read(name):
    """Requirements of a file by canonical name; lines with -r are followed by pip, not here."""
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    assert len({r.name for r in found}) == len(found), "a package stands twice"
    return {canonicalize_name(r.name): r for r in found}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_nothing_is_pinned(name):
    for requirement in read(name).values():
        operators = {spec.operator for spec in requirement.specifier}
        bounds = ">=" in operators and operators <= {">=", "<=", "<"}
        assert bounds, f"{requirement}: give a lower bound and no pin"
        assert requirement.url is None


@pytest.mark.parametrize("package", COLAB)
def test_what_colab_has_is_left_alone(package):
    wanted = {**read("requirements-dev.txt"), **read("requirements.txt")}
    if package in wanted:
        fits = wanted[package].specifier.contains(COLAB[package])
        assert fits, f"{wanted[package]} would replace {COLAB[package]}"
    else:
        assert package == "pandas", f"{package} is no longer asked for: drop it from COLAB"


def test_torch_range():
    """Colab's 2.11, ZeroGPU's 2.11 and the newest that was tried, also as the CPU build."""
    torch = read("requirements.txt")["torch"].specifier
    assert [spec.version for spec in torch if spec.operator == "<="] == ["2.13.0"]
    assert all(torch.contains(version) for version in ("2.6.0", "2.11.0+cu128", "2.13.0", "2.13.0+cpu"))
    assert not torch.contains("2.14.0")


def test_gradio_range():
    """Below 6.22 there were holes; 7 will break what 6 promised.  The Space's version must fit as well."""
    gradio = read("requirements.txt")["gradio"].specifier
    assert not gradio.contains("6.21.0")
    assert not gradio.contains("7.0.0")
    front = (ROOT / "README.md").read_text().split("---")[1]
    space = dict(line.split(": ", 1) for line in front.strip().splitlines())
    assert gradio.contains(space["sdk_version"].strip('"'))
    assert Version("3.10") <= Version(space["python_version"].strip('"')) <= Version("3.13")


@pytest.mark.skipif(
    "RESOLVE" not in os.environ, reason="needs Python 3.13 and an index, takes a minute: set RESOLVE=1"
)
def test_pip_resolves_against_colab(tmp_path):
    """The real thing: pip itself, with Colab's versions as constraints: if this succeeds, they stay."""
    (tmp_path / "colab.txt").write_text("".join(f"{name}=={version}\n" for name, version in COLAB.items()))
    command = [
        os.environ.get("PYTHON313", "python3.13"), "-m", "pip", "install", "--dry-run", "--ignore-installed",
        "-r", str(ROOT / "requirements.txt"), "-c", str(tmp_path / "colab.txt"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"torch-{COLAB['torch']}" in done.stdout


def files_that_visitors_run():
    """App, bench, library and lessons."""
    yield ROOT / "app.py"
    yield ROOT / "bench.py"
    yield from (ROOT / "lib").rglob("*.py")
    yield from (ROOT / "notebooks" / "src").glob("*.py")


def test_every_import_is_asked_for():
    """Whoever installs requirements.txt has what app, library and lessons import."""
    asked = set(read("requirements.txt"))
    excused = set(COMES_ALONG) | set(OPTIONAL)
    missing, seen = [], set()
    for path in files_that_visitors_run():
        for name in third_party(path):
            package = canonicalize_name(NAMED.get(name, name))
            seen.add(package)
            if package not in asked | excused:
                missing.append(f"{path.relative_to(ROOT)}: {name}")
    assert len(seen) > 20
    assert not missing
    assert excused <= seen, f"excused, but imported nowhere: {excused - seen}"
    unused = asked - seen - {"nbval"}  # nbval: the instructors' command
    assert not unused, f"asked for, but imported nowhere: {unused}"


def test_what_must_not_be_asked_for():
    """torchaudio does not load beside this torch; spaces is there on a Space only; the rest is heavy."""
    unwanted = {"torchaudio", "torchvision", "spaces", "librosa"} | set(OPTIONAL)
    assert not unwanted & set(read("requirements.txt"))
