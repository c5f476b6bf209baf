"""The rules of the house that no linter knows: sizes, layers, names, references, cards.  A failure says where."""
import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIB = sorted((ROOT / "lib").rglob("*.py"))
SOURCES = [*LIB, *sorted(ROOT.glob("*.py")), *sorted((ROOT / "tests").glob("*.py")), ROOT / "notebooks" / "build.py"]
README = (ROOT / "README.md").read_text()
CARD_KEYS = {"data", "licence", "budget", "figures"}


def lines(path):
    return len(path.read_text().splitlines())


def functions(path):
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def is_tab(path):
    return "tabs" in path.parts


def test_files_are_short():
    long = {str(path.relative_to(ROOT)): lines(path) for path in SOURCES if path.exists() and lines(path) >= 300}
    assert not long, f"300 lines or more: {long}"


def test_functions_are_short():
    long = [f"{path.relative_to(ROOT)}:{node.lineno} {node.name}" for path in LIB for node in functions(path)
            if node.end_lineno - node.lineno + 1 >= 60]
    assert not long, f"functions of 60 lines or more: {long}"


def test_the_library_stays_thin():
    assert sum(lines(path) for path in LIB if not is_tab(path)) < 3500
    assert sum(lines(path) for path in LIB if is_tab(path)) < 1200
    assert lines(ROOT / "app.py") <= 40


def test_public_functions_say_what_they_do():
    """One imperative line at least; a class counts as public, what begins with _ or overrides torch does not."""
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
    wrong = [f"{path.relative_to(ROOT)}:{node.lineno} {node.arg}" for path in LIB if path.name != "show.py"  # y axes
             for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.arg) and node.arg in {"y", "sr", "attn", "sample_rate"}]
    assert not wrong, wrong


def references(source):
    """What is cited as [VITS] in a docstring or comment: capitals, neither a shape such as [B, T] nor a constant."""
    names = set(re.findall(r"\[([A-Z][A-Z0-9-]{3,}|LF|PSE|AAM|MCD|DAC)\](?!\()", source))
    return {name for name in names if not re.search(rf"^{name}\b.*=|, {name}\b.* =", source, re.M)}


def test_references_resolve_to_the_readme():
    table = set(re.findall(r"^\| \[([A-Z0-9-]+)\] \|", README, re.M))
    assert len(table) >= 15
    lost = {f"{path.name} [{name}]" for path in [*LIB, *(ROOT / "notebooks" / "src").glob("*.py")]
            for name in references(path.read_text()) - table}
    assert not lost, f"not in the README's table of references: {lost}"


def test_the_check_of_references_sees_one():
    source = 'PAIRS = 8\n"""As in [VITS] eq. (3), [LF]; shapes [B, T], [PAIRS], a link [HOUSE](x)."""'
    assert references(source) == {"VITS", "LF"}


def test_the_examples_run(tmp_path, monkeypatch):
    """What the README shows is what people type first."""
    from lib.data import corpus
    speaking, sources = re.findall(r"```python\n(.*?)```", README, re.S)
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
    unnamed = [str(path.relative_to(ROOT)) for path in LIB
               if path.name != "__init__.py" and str(path.relative_to(ROOT)) not in named]
    assert not unnamed, f"not in the README's tree: {unnamed}"
    assert len(named) > 30


def test_every_built_lesson_is_in_the_gallery():
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"/notebooks/{notebook.name})" in README, f"no Colab badge for {notebook.name}"
    for name in re.findall(r"blob/main/(notebooks/[\w.]+ipynb)", README):
        assert (ROOT / "notebooks" / "src" / Path(name).with_suffix(".py").name).exists(), name


def tracked_assets():
    """What a clone brings; what git ignores or does not know yet counts as well if it lies in assets/."""
    return [path for path in (ROOT / "assets").rglob("*") if path.is_file()]


def test_assets_fit_a_space():
    """The hub wants LFS above 10 MB."""
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked_assets()}
    assert not {name: size for name, size in sizes.items() if size > 10e6}
    assert sum(sizes.values()) < 40e6
    assert not [name for name in sizes if name.endswith((".pt", ".pth", ".ckpt", ".bin", ".pkl"))], "safetensors only"


@pytest.mark.parametrize("name", ["speaker_encoder", "codec", "harmonic", "tts", "attractor", "flow_vae"])
def test_every_checkpoint_has_its_card(name):
    """A quick-trained voice must not pass as a real one, and nobody may wonder what he may do with the weights."""
    folder = ROOT / "assets" / "checkpoints" / name
    card = json.loads((folder / "card.json").read_text())
    assert set(card) >= CARD_KEYS, f"{name}: the card lacks {CARD_KEYS - set(card)}"
    budget = card["budget"] if isinstance(card["budget"], str) else card["budget"]["name"]
    assert budget.split(",")[0] in ("quick", "full")
    assert card["figures"], f"{name}: no measured figure"
    assert all(card[key] for key in ("data", "licence"))
    assert (folder / "model.safetensors").is_file()
    json.loads((folder / "config.json").read_text())


def test_no_checkpoint_without_a_test_here():
    folders = {path.name for path in (ROOT / "assets" / "checkpoints").iterdir() if path.is_dir()}
    known = {"speaker_encoder", "codec", "harmonic", "tts", "attractor", "flow_vae", "discriminator", "harmonic_critic"}
    assert folders == known, "add the new checkpoint to test_every_checkpoint_has_its_card"


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
])
def test_a_crossed_layer_is_seen(tmp_path, file, line, contract):
    """A contract that nothing can break would be decoration."""
    shutil.copytree(ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with open(tmp_path / file, "a") as module:
        module.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode
    broken = re.findall(r"^(.*) BROKEN", " ".join(done.stdout.split("Broken contracts")[0].split("\n")).replace(
        "KEPT", "KEPT\n").replace("BROKEN", "BROKEN\n"), re.M)
    assert len(broken) == 1, broken
    assert contract in broken[0]


def test_the_app_and_the_lessons_keep_to_their_doors():
    """import-linter reads packages only; these are single files."""
    allowed = {"app.py": {"lib.tabs", "lib.voices", "gradio"}}
    for path in [ROOT / "app.py", *(ROOT / "notebooks" / "src").glob("*.py")]:
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {node.module} if node.module != "lib" else {f"lib.{alias.name}" for alias in node.names}
        if path.name in allowed:
            own = {name for name in names if name.startswith(("lib", "gradio"))}
            assert all(name.startswith(tuple(allowed[path.name])) for name in own), f"{path.name}: {own}"
        else:
            assert not [name for name in names if name.startswith(("lib.tabs", "gradio"))], path.name
