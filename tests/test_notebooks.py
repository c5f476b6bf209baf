"""A green lesson must mean something: built from its source, executed, within its limits, really compared."""
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupyter_client.channels import AsyncZMQSocketChannel

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
spec = importlib.util.spec_from_file_location("notebooks_build", NOTEBOOKS / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)
START = NOTEBOOKS / "00_start_here.ipynb"
ENVIRONMENT = {**os.environ, "DEMO_BUDGET": "quick", "PYTHONPATH": str(ROOT)}
WIDTH = 100  # characters of a line of code: wider ones scroll sideways on Colab


@pytest.mark.parametrize("source", build.lessons(), ids=lambda source: source.stem)
def test_lesson_is_built_from_its_source_executed_and_within_its_limits(source):
    assert build.problems(NOTEBOOKS / f"{source.stem}.ipynb", source) == []


def test_every_notebook_has_a_source():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} <= {source.stem for source in build.lessons()}


@pytest.mark.parametrize("source", build.lessons(), ids=lambda source: source.stem)
def test_no_line_of_code_scrolls_sideways(source):
    wide = []
    for cell in build.code_cells(jupytext.read(source)):
        wide += [line for line in cell.source.splitlines() if len(line) > WIDTH]
    assert not wide


@pytest.mark.parametrize("source", build.lessons(), ids=lambda source: source.stem)
def test_cells_are_short(source):
    """Of the source, so that it is known before an hour of building."""
    notebook = jupytext.read(source)
    faults = [fault for fault in build.style_problems(notebook, source.stem) if "code cell" in fault]
    assert not faults


def first_cell(source):
    return build.code_cells(jupytext.read(source))[0].source


def test_all_lessons_begin_with_the_same_cell():
    assert len({first_cell(source) for source in build.lessons()}) == 1


def run_first_cell(folder, path):
    """Run the first cell in a folder that holds somebody else's `lib`, and say which lib.paths it finds."""
    decoy = folder / "lib"
    decoy.mkdir(parents=True)
    (decoy / "__init__.py").write_text("")
    script = folder / "cell.py"
    script.write_text(first_cell(build.lessons()[0]) + "\nimport lib.paths\nprint(lib.paths.__file__)\n")
    environment = {"PATH": str(path), "HOME": str(folder)}
    command = [sys.executable, script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("git", [None, "exit 128"], ids=["no git", "offline"])
def test_who_cannot_fetch_the_project_is_told_what_to_do(tmp_path, git):
    tools = tmp_path / "tools"
    tools.mkdir()
    if git:
        (tools / "git").write_text(f"#!/bin/sh\n{git}\n")
        (tools / "git").chmod(0o755)
    done = run_first_cell(tmp_path / "empty", tools)
    assert done.returncode == 1
    assert "go online, or open this lesson in a folder of the project" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_project_is_found_from_a_folder_within_it_that_has_a_lib_of_its_own(tmp_path):
    (tmp_path / "lib").mkdir()
    for name in ("__init__.py", "paths.py"):
        (tmp_path / "lib" / name).write_text("")
    done = run_first_cell(tmp_path / "lessons" / "mine", tmp_path / "no tools")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "lib" / "paths.py")


def test_a_project_fetched_before_is_found_again(tmp_path):
    """Who restarts a kernel on Colab runs the first cell once more, beside what it fetched."""
    fetched = tmp_path / "voice-atlas" / "lib"
    fetched.mkdir(parents=True)
    for name in ("__init__.py", "paths.py"):
        (fetched / name).write_text("")
    done = run_first_cell(tmp_path, tmp_path / "no tools")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(fetched / "paths.py")


def first(notebook, kind="code", tag=None):
    for cell in notebook.cells:
        if cell.cell_type == kind and (tag is None or tag in cell.metadata.get("tags", [])):
            return cell
    raise ValueError(f"no {kind} cell with the tag {tag}")


def never_run(notebook):
    first(notebook).execution_count = None


def strip(notebook):
    for cell in build.code_cells(notebook):
        cell.outputs, cell.execution_count = [], None


def fail(notebook):
    first(notebook).outputs = [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]


def edit_source_only(notebook):
    notebook.metadata.voice_atlas.sha256 = "0" * 64


def misspell_tag(notebook):
    first(notebook, tag=build.CHECKED).metadata.tags = ["NBVAL_CHECK_OUTPUT"]


def empty_checked(notebook):
    first(notebook, tag=build.CHECKED).outputs = []


def check_nothing(notebook):
    for cell in notebook.cells:
        cell.metadata.pop("tags", None)


def long_cell(notebook):
    first(notebook).source += "\npass" * 25


def many_cells(notebook):
    notebook.cells += [nbformat.v4.new_code_cell("pass") for _ in range(12)]


def few_words(notebook):
    notebook.cells = [first(notebook, "markdown"), *build.code_cells(notebook)]


def no_badge(notebook):
    cell = first(notebook, "markdown")
    cell.source = cell.source.replace("00_start_here.ipynb", "01_speaker_encoder.ipynb")


def other_repository(notebook):
    cell = first(notebook)
    cell.source = cell.source.replace("github.com/" + build.REPOSITORY, "github.com/someone/fork")


def heavy(notebook):
    first(notebook).outputs = [build.note("x" * 60_000)]


def path_of_the_machine(notebook):
    first(notebook).outputs = [build.note("/home/somebody/.venv/lib/umap.py:7: UserWarning")]


def no_gpu(notebook):
    del notebook.metadata["accelerator"]


@pytest.mark.parametrize("spoil, complaint", [
    (never_run, "never run"),
    (strip, "never run"),
    (fail, "holds an error"),
    (edit_source_only, "source has changed"),
    (misspell_tag, "nbval does not know"),
    (empty_checked, "no output to compare"),
    (check_nothing, "compare nothing"),
    (long_cell, "lines, the most is 25"),
    (many_cells, "code cells, the most is 20"),
    (few_words, "explains more"),
    (no_badge, "no Colab badge"),
    (other_repository, "must clone"),
    (heavy, "more than 50 kB"),
    (path_of_the_machine, "path of the machine"),
    (no_gpu, "Colab for a GPU"),
])
def test_check_notices(tmp_path, spoil, complaint):
    source = NOTEBOOKS / "src" / "00_start_here.py"
    notebook = nbformat.read(START, as_version=4)
    spoil(notebook)
    nbformat.write(notebook, tmp_path / "spoilt.ipynb")
    assert any(complaint in fault for fault in build.problems(tmp_path / "spoilt.ipynb", source))


def test_nbval_passes_the_lesson_and_fails_a_copy_with_one_wrong_checked_output(tmp_path):
    """A stripped or untagged notebook passes nbval whatever is in it: ours are really compared."""
    for name in ("lib", "assets"):  # the first cell finds them
        (tmp_path / name).symlink_to(ROOT / name)
    notebook = nbformat.read(START, as_version=4)
    nbformat.write(notebook, tmp_path / "intact.ipynb")
    cell = first(notebook, tag=build.CHECKED)
    number = build.code_cells(notebook).index(cell)
    assert "= 19" in cell.outputs[0].text
    cell.outputs[0].text = cell.outputs[0].text.replace("= 19", "= 20")
    nbformat.write(notebook, tmp_path / "broken.ipynb")
    command = [
        sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120",
        "-q", "-rfE", "-p", "no:cacheprovider", "--rootdir", ".", "-c", os.devnull,
        "intact.ipynb", "broken.ipynb",
    ]
    run = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+::Cell \d+)", run.stdout, re.M)
    assert run.returncode == 1 and failed == [f"broken.ipynb::Cell {number}"], run.stdout[-3000:]
    cells = len(build.code_cells(notebook))
    assert f"1 failed, {2 * cells - 1} passed" in run.stdout


def test_solutions_of_the_first_lesson_solve_its_exercises(tmp_path):
    """Each `name = None` is replaced by the code under "Solution": the checks must accept all."""
    source = (NOTEBOOKS / "src" / "00_start_here.py").read_text()
    hidden = re.findall(r"<summary>.*?solution (\d)</summary>(.*?)</details>", source, re.S | re.I)
    for number, body in hidden:
        body = re.sub(r"^# ?", "", body, flags=re.M)
        code = (re.search(r"```python\n(.*?)```", body, re.S) or re.search(r"`(\w+ = [^`]+)`", body))[1]
        name = re.search(rf"show\.exercise\({number}, (\w+)", source)[1]
        source, changed = re.subn(rf"^{name} = None.*$", lambda _, code=code: code, source, flags=re.M)
        assert changed == 1, name
    assert len(hidden) == source.count("show.exercise(") == 4
    (tmp_path / "solved.py").write_text(source)
    run = subprocess.run(
        [sys.executable, tmp_path / "solved.py"],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    verdicts = re.findall(r"Exercise (\d): (\w+)", run.stdout)
    assert verdicts == [(str(number), "right") for number in range(1, 5)], run.stdout


TINY = '''# %% [markdown]
# Words.
# %% tags=["nbval-check-output"]
from lib import show
from lib.training import budget
print(budget.current())
print(show.__file__.rsplit("/", 2)[0])
print("see /home/somebody/oracle.txt")
# %%
print("x" * 60_000)
# %%
show.sliders(lambda pitch, vowel: print("sang", pitch, vowel), pitch=(80, 300, 5, 120), vowel=["ah", "ee"])
'''


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    """An empty notebooks folder for build.build."""
    (tmp_path / "src").mkdir()
    monkeypatch.setattr(build, "HERE", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("DEMO_BUDGET", "quick")
    return tmp_path


def test_building_runs_stamps_freezes_sliders_and_drops_what_is_heavy(workshop):
    source = workshop / "src" / "90_tiny.py"
    source.write_text(TINY)
    notebook = nbformat.read(build.build(source), as_version=4)
    printed, heavy, slider = (cell.outputs for cell in build.code_cells(notebook))
    assert printed[0].text == "quick\nlib\nsee .../oracle.txt\n"
    assert len(heavy[0].text) < 3000 and "60 kB of text cut" in heavy[0].text
    assert "pitch = 120, vowel = ah" in slider[0].data["text/plain"] and slider[1].text == "sang 120 ah\n"
    stamp = notebook.metadata.voice_atlas
    assert stamp.sha256 == build.digest(source) and stamp.budget == "quick" and 0 < stamp.seconds < 120
    assert build.stamp_problems(notebook, source) == build.output_problems(notebook) == []
    source.write_text(TINY + "\n# a late thought\n")
    assert any("source has changed" in fault for fault in build.stamp_problems(notebook, source))


def test_nothing_is_sent_while_a_reply_is_awaited(workshop, monkeypatch):
    """Else the reply is missed now and then, and the building hangs: CI once stood until its limit."""
    sent = []
    send = AsyncZMQSocketChannel.send

    def listen(channel, message):
        sent.append(message["msg_type"])
        send(channel, message)

    monkeypatch.setattr(AsyncZMQSocketChannel, "send", listen)
    source = workshop / "src" / "92_tiny.py"
    source.write_text(TINY)
    build.build(source)
    assert sent.count("execute_request") == 3
    assert "comm_msg" not in sent


def test_a_failing_cell_leaves_no_notebook_behind(workshop):
    source = workshop / "src" / "91_fails.py"
    source.write_text("# %%\nraise RuntimeError('on purpose')\n")
    with pytest.raises(Exception, match="on purpose"):
        build.build(source)
    assert not list(workshop.glob("*.ipynb"))


def test_heavy_pictures_leave_a_note():
    output = nbformat.v4.new_output("display_data", {"image/png": "A" * 60_000, "text/plain": "a map"})
    gap = "[60 kB of image/png are left out of the saved notebook: run the cell to get it]"
    assert dict(build.shrunk(output).data) == {"text/plain": f"a map\n{gap}"}


def test_names_choose_lessons():
    assert [source.stem for source in build.lessons(["00"])] == ["00_start_here"]
    with pytest.raises(ValueError, match="'77'"):
        build.lessons(["77"])
