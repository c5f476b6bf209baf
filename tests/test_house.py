"""The rules of the house that no linter knows: sizes, layers, doors, names, references, cards, figures."""
import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from imports import third_party

ROOT = Path(__file__).parent.parent
LIB = sorted((ROOT / "lib").rglob("*.py"))
LESSONS = sorted((ROOT / "notebooks" / "src").glob("*.py"))
CHECKPOINTS = ROOT / "assets" / "checkpoints"
README = (ROOT / "README.md").read_text()
CARD_KEYS = {"data", "licence", "budget", "figures"}
FUNCTION_LINES = 60  # two screens: what is longer is not read
FILE_BYTES, ASSETS_BYTES = 10e6, 70e6  # of one file (the hub wants LFS above that), of all
# Packages that a whole room may use, since it is there for them; all others have one file as their door.
ROOMS = {"gradio": "lib/tabs", "matplotlib": "lib/show", "IPython": "lib/show", "ipywidgets": "lib/show"}
EVERYWHERE = {"torch", "numpy"}


def functions(path):
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_functions_are_short():
    long = []
    for path in LIB:
        for node in functions(path):
            if node.end_lineno - node.lineno + 1 >= FUNCTION_LINES:
                long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not long, f"functions of {FUNCTION_LINES} lines or more: {long}"


def test_each_package_has_one_door():
    """What is replaced some day is replaced in one place."""
    doors = {}
    for path in LIB:
        for name in third_party(path) - EVERYWHERE:
            doors.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert len(doors) > 15
    for name, files in doors.items():
        if name in ROOMS:
            assert all(file.startswith(ROOMS[name] + "/") for file in files), f"{name}: {files}"
        else:
            assert len(files) == 1, f"{name} has several doors: {files}"


def test_public_functions_say_what_they_do():
    """One imperative line at least; what begins with _ is not public."""
    silent = []
    for path in LIB:
        tree = ast.parse(path.read_text())
        if path.read_text().strip() and not ast.get_docstring(tree):
            silent.append(str(path.relative_to(ROOT)))
        for node in tree.body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not silent, f"no docstring: {silent}"


def test_letters_of_the_house():
    """`y` is spec, wav or text elsewhere; `sr` is rate; `attn` is path: one letter, one meaning."""
    wrong = []
    for path in LIB:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.arg) and node.arg in {"y", "sr", "attn", "sample_rate"}:
                if not (node.arg == "y" and path.parent.name == "show"):  # a label for the y axis
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.arg}")
    assert not wrong, wrong


def references(source):
    """What is cited as [VITS]: capitals, neither a shape such as [B, T] nor a constant."""
    names = set(re.findall(r"\[([A-Z][A-Z0-9-]{3,}|LF|AAM|MCD|DAC|NSF|CFG|SD3|DIT)\](?!\()", source))
    return {name for name in names if not re.search(rf"^{name}\b.*=|, {name}\b.* =", source, re.M)}


def table_of_references():
    return set(re.findall(r"^\| \[([A-Z0-9-]+)\] \|", README, re.M))


def test_references_resolve_to_the_readme():
    table = table_of_references()
    assert len(table) >= 15
    lost = set()
    for path in [*LIB, *LESSONS]:
        lost |= {f"{path.name} [{name}]" for name in references(path.read_text()) - table}
    assert not lost, f"not in the README's table of references: {lost}"


def test_every_reference_is_cited():
    """A source that no code names is a book on the shelf for its back."""
    cited = set()
    for path in [*LIB, *LESSONS]:
        cited |= set(re.findall(r"\[([A-Z0-9-]+)\]", path.read_text()))
    idle = table_of_references() - cited
    assert not idle, f"in the README's table of references, cited nowhere: {idle}"


def test_the_check_of_references_sees_one():
    source = 'PAIRS = 8\n"""As in [VITS] eq. (3), [LF]; shapes [B, T], [PAIRS], a link [HOUSE](x)."""'
    assert references(source) == {"VITS", "LF"}


def test_the_examples_run(tmp_path, monkeypatch):
    """What the README shows is what people type first."""
    from lib.data import corpus
    speaking, *_, sources = re.findall(r"```python\n(.*?)```", README, re.S)
    row = corpus.rows("embedded", split="valid")[0]
    (tmp_path / "someone.wav").write_bytes(row["audio"])
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(speaking, names)
    assert (tmp_path / "ferry.wav").stat().st_size > 20_000
    assert names["speech"].rate == 16000
    calls = sources.splitlines()
    local = [line for line in calls if "embedded" in line or "import" in line]
    exec("\n".join(local).replace("corpus.rows", "rows = corpus.rows"), names)
    assert len(names["rows"]) == 230
    named = set(re.findall(r'"([\w-]+/[\w-]+)"', sources))
    assert named <= set(corpus.HUB), "a hub set that nobody described in corpus.HUB"


def tree():
    """Paths that the README's tree names, with the directories put before the indented names."""
    block = re.search(r"## The tree\n.*?```\n(.*?)```", README, re.S)[1]
    folders, found = [], []
    for line in block.splitlines():
        name = line.split("  ")[0] if not line.startswith(" ") else line.strip().split("  ")[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders = [*folders[:depth], name.strip()]
        found.append("".join(folders))
    return found


def test_the_tree_names_what_exists_and_all_of_lib():
    named = tree()
    missing = [path for path in named if not (ROOT / path).exists()]
    assert not missing, f"in the README's tree, not in the repository: {missing}"
    ours = [path for path in [*LIB, *LESSONS] if path.name != "__init__.py"]
    unnamed = [str(path.relative_to(ROOT)) for path in ours if str(path.relative_to(ROOT)) not in named]
    assert not unnamed, f"not in the README's tree: {unnamed}"
    assert {f"assets/checkpoints/{path.name}/" for path in CHECKPOINTS.iterdir()} <= set(named)


def card(name):
    return json.loads((CHECKPOINTS / name / "card.json").read_text())


def judged():
    """Lines of the README's table of judges, as [system, misheard, of real speech, likeness, quality]."""
    table = re.search(r"^\| \| words misheard.*?\n\n", README, re.M | re.S)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    return {row[0].split("*")[1]: row[1:] for row in rows}


TABS = [("Speak", "text_to_vec"), ("Convert", "hierarchical"), ("Extract", "attractor")]


@pytest.mark.parametrize(("tab", "name"), TABS)
def test_the_figures_of_the_readme_are_those_of_the_cards(tab, name):
    """A figure that is typed twice is wrong after the next training."""
    figures = card(name)["figures"]
    figures = figures.get("judge_extract", figures)
    misheard, likeness, quality = judged()[tab]
    assert misheard == f"{100 * figures['wer']:.0f} %"
    assert likeness == f"{figures['secs']:.2f}"
    assert quality == (f"{figures['ovrl']:.2f}" if "ovrl" in figures else "")


def test_the_figures_of_the_encoder_and_the_codec_are_those_of_the_cards():
    codec, encoder = card("codec")["figures"], card("speaker_encoder")["figures"]
    heard = card("flow_vae")["figures"]["wer_of_the_source"]
    assert f"confuses {100 * encoder['eer']:.1f} % of" in README
    referee = card("referee")["figures"]
    order = referee["rank_correlation"]
    agrees = f"{order['referee']:.3f}; our encoder's: {order['speaker_encoder']:.3f}"
    assert f"confuses {100 * referee['eer']:.1f} % of those pairs" in README
    assert agrees in README.replace("\n", " ")
    assert f"mishears {100 * heard:.0f} % of the recordings" in README
    for figures in (codec, card("harmonic")["figures"]):
        assert f"{figures['ovrl']:.2f} of the {figures['of_the_recordings']['ovrl']:.2f}" in README


def test_every_built_lesson_is_in_the_gallery():
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"/notebooks/{notebook.name})" in README, f"no Colab badge for {notebook.name}"
    for name in re.findall(r"blob/main/(notebooks/[\w.]+ipynb)", README):
        assert (ROOT / "notebooks" / "src" / Path(name).with_suffix(".py").name).exists(), name


def tracked_assets():
    """What a clone brings; what git ignores or does not know yet counts as well if it lies in assets/."""
    return [path for path in (ROOT / "assets").rglob("*") if path.is_file()]


def test_assets_fit_a_space():
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked_assets()}
    assert not {name: size for name, size in sizes.items() if size > FILE_BYTES}
    assert sum(sizes.values()) < ASSETS_BYTES
    pickles = (".pt", ".pth", ".ckpt", ".bin", ".pkl")
    assert not [name for name in sizes if name.endswith(pickles)], "safetensors only"


@pytest.mark.parametrize("name", sorted(path.name for path in CHECKPOINTS.iterdir() if path.is_dir()))
def test_every_checkpoint_has_its_card(name):
    """A quick-trained voice must not pass as a real one, and nobody may wonder what the weights allow."""
    content = card(name)
    assert set(content) >= CARD_KEYS, f"{name}: the card lacks {CARD_KEYS - set(content)}"
    budget = content["budget"] if isinstance(content["budget"], str) else content["budget"]["name"]
    assert budget.split(",")[0] in ("quick", "full")
    assert content["figures"], f"{name}: no measured figure"
    assert all(content[key] for key in ("data", "licence"))
    assert content["name"] == name
    assert isinstance(content["stages"], list), f"{name}: stages are a list, one plain step each"
    assert (CHECKPOINTS / name / "model.safetensors").is_file()
    json.loads((CHECKPOINTS / name / "config.json").read_text())


def keys(content):
    """All keys of nested JSON."""
    if isinstance(content, dict):
        return set(content).union(*map(keys, content.values()))
    if isinstance(content, list):
        return set().union(*map(keys, content))
    return set()


@pytest.mark.parametrize("path", sorted(CHECKPOINTS.glob("*/card.json")), ids=lambda path: path.parent.name)
def test_cards_say_what_is_and_history_what_was(path):
    past = [key for key in keys(json.loads(path.read_text())) if key.startswith(("before", "was_", "old"))]
    assert not past, f"belongs into {path.parent.name}/history.json: {past}"
    beside = path.parent / "history.json"
    if beside.exists():
        for entry in json.loads(beside.read_text()):
            assert entry["until"], "what ended it?"
            assert entry["figures"], "what was measured then?"


TOP = {
    ".ci", ".gitignore", "LICENSE", "Makefile", "README.md", "SECURITY.md", "app.py", "assets", "bench.py",
    "lib", "notebooks", "pyproject.toml", "requirements-dev.txt", "requirements.txt", "tests",
}


def test_nothing_is_tracked_by_accident():
    """A wheel was lying about when all was added, and every clone was to carry its 50 MB for ever."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = [ROOT / name for name in listed.stdout.split("\0") if name]
    strange = {path.relative_to(ROOT).parts[0] for path in tracked} - TOP
    assert not strange, f"not of this project, or new: then name it in TOP: {strange}"
    large = [path for path in tracked if path.is_file() and path.stat().st_size > FILE_BYTES]
    assert not large, f"more than a Space takes in one file: {large}"


def test_lib_is_not_ignored():
    """GitHub's Python template ignores lib/: a clone would hold no library."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    paths = [str(path.relative_to(ROOT)) for path in LIB]
    ignored = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True).stdout
    assert not ignored


def lint_imports(folder):
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_layers_hold():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("file", "line", "contract"), [
    ("lib/models/vits.py", "from lib.models import speaker_encoder", "Models never import each other"),
    ("lib/models/vits.py", "from lib import training", "Layers"),
    ("lib/audio/files.py", "from lib.nn import blocks", "Layers"),
    ("lib/nn/blocks.py", "import gradio", "gradio"),
    ("lib/voices/speak.py", "import soundfile", "soundfile"),
    ("lib/losses/speech.py", "def f():\n    import accelerate", "accelerate"),
    ("lib/nn/blocks.py", "import scipy", "scipy"),
])
def test_a_crossed_layer_is_seen(tmp_path, file, line, contract):
    """A contract that nothing can break would be decoration."""
    shutil.copytree(ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with open(tmp_path / file, "a") as module:
        module.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode
    summary = " ".join(done.stdout.split("Broken contracts")[0].split("\n"))
    one_a_line = summary.replace("KEPT", "KEPT\n").replace("BROKEN", "BROKEN\n")
    broken = re.findall(r"^(.*) BROKEN", one_a_line, re.M)
    assert len(broken) == 1, broken
    assert contract in broken[0]


def own_modules(path):
    """Modules of lib, and gradio, that a single file imports, as dotted names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "lib":
            names |= {f"lib.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return {name for name in names if name.startswith(("lib", "gradio"))}


def test_the_app_sees_tabs_and_voices_only():
    """import-linter reads packages only; app.py is a single file."""
    wrong = [name for name in own_modules(ROOT / "app.py")
             if not name.startswith(("lib.tabs", "lib.voices", "gradio"))]
    assert not wrong


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lessons_do_without_the_app(path):
    assert not [name for name in own_modules(path) if name.startswith(("lib.tabs", "gradio"))]


def test_accelerate_launch_is_shown_with_its_folder_and_budget():
    """It is not on PATH outside the environment, and without a GPU a lesson runs at quick budget."""
    shown = 0
    for path in [ROOT / "README.md", *LESSONS]:
        for line in path.read_text().splitlines():
            if "accelerate launch notebooks" in line:
                shown += 1
                assert "DEMO_BUDGET=full .venv/bin/accelerate launch" in line, f"{path.name}: {line}"
    assert shown >= 2


def test_files_named_in_lessons_exist():
    """A lesson that sends its reader to a file must send to one that is there."""
    lost = []
    for path in [*LESSONS, ROOT / "notebooks" / "GLOSSARY.md", ROOT / "README.md"]:
        for name in re.findall(r"`(lib/[\w/]+\.py)`", path.read_text()):
            if not (ROOT / name).exists():
                lost.append(f"{path.name}: {name}")
    assert not lost, lost
