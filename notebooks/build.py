"""Build lessons, in one direction: notebooks/src/NN_name.py -> execute -> shrink -> stamp -> notebooks/NN_name.ipynb.

    python notebooks/build.py [00 03 ...]     build these lessons (default: all); DEMO_BUDGET chooses quick or full
    python notebooks/build.py --check         say what is wrong with the built ones; exit status 1 if anything is

Never edit an .ipynb: edit its source and build again.  jupytext --sync would keep old outputs under new code.
"""
import argparse
import datetime
import hashlib
import os
import statistics
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import torch
from nbclient import NotebookClient

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from lib.training import budget  # noqa: E402

REPOSITORY = "voice-atlas/voice-atlas"  # on GitHub; badges and the first cell of every lesson name it
BADGE = "https://colab.research.google.com/github/{repository}/blob/main/notebooks/{name}.ipynb"
COLAB = {"accelerator": "GPU", "colab": {"gpuType": "T4", "provenance": []}}
MAX_CELLS, MAX_LINES, MEDIAN_LINES = 20, 25, 8  # code cells of a lesson, lines of one, lines of the middle one (under)
MAX_PAYLOAD = 50_000  # characters of one output
CHECKED = "nbval-check-output"
TAGS = {CHECKED, "nbval-ignore-output", "nbval-skip", "nbval-raises-exception"}  # nbval overlooks any other spelling
WIDGET = "application/vnd.jupyter.widget-view+json"


def lessons(wanted=()):
    """Sources of the lessons whose names start with one of `wanted`, or of all.  ValueError if none does."""
    found = sorted((HERE / "src").glob("[0-9][0-9]_*.py"))
    for name in wanted:
        if not any(source.stem.startswith(name) for source in found):
            raise ValueError(f"No lesson starts with {name!r}: there are {[source.stem for source in found]}.")
    return [source for source in found if not wanted or source.stem.startswith(tuple(wanted))]


def digest(source):
    """Hash that ties a notebook to its source."""
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()


def build(source):
    """Execute one source and write its notebook beside build.py; returns its path.  A failing cell writes nothing."""
    os.environ["DEMO_BUDGET"] = budget.current()  # kernel and stamp must agree even if a GPU comes or goes
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"  # jupytext's are random: rebuilding would change every line
    client = NotebookClient(notebook, timeout=None, kernel_name="python3", record_timing=False, coalesce_streams=True,
                            resources={"metadata": {"path": str(HERE)}})
    start = time.time()
    client.execute()
    seconds = time.time() - start
    for cell in code_cells(notebook):
        cell.outputs = [shrunk(output) for output in still(cell.outputs, client.widget_state)]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    stamp = {"source": f"src/{source.name}", "sha256": digest(source), "budget": budget.current(),
             "torch": torch.__version__, "device": device, "seconds": round(seconds, 1),
             "date": datetime.date.today().isoformat()}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({**COLAB, "kernelspec": kernel, "language_info": {"name": "python"},
                                            "voice_atlas": stamp})
    target = HERE / f"{source.stem}.ipynb"
    nbformat.write(notebook, target)
    return target


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def still(outputs, widget_state):
    """Outputs with each widget replaced by what it showed at its start: a saved widget is blank without a kernel."""
    for output in outputs:
        model = widget_state.get(output.get("data", {}).get(WIDGET, {}).get("model_id"))
        if model is None:
            yield output
            continue
        children = [widget_state[name.removeprefix("IPY_MODEL_")] for name in model.get("children", [])]
        values = []
        for child in children:
            if "value" in child:
                values.append(f"{child['description']} = {child['value']}")
            elif child.get("_options_labels"):
                values.append(f"{child['description']} = {child['_options_labels'][child['index']]}")
        yield note(f"[Run this cell to move its sliders; here they stand at {', '.join(values)}.]")
        for child in children:
            yield from map(nbformat.from_dict, child.get("outputs", []))


def note(text):
    return nbformat.v4.new_output("display_data", {"text/plain": text})


def shrunk(output):
    """Output without what is longer than MAX_PAYLOAD; says so in its place, because a silent gap looks like a fault."""
    if output.output_type == "stream" and len(output.text) > MAX_PAYLOAD:
        size = len(output.text) / 1000
        output.text = output.text[:2000] + f"\n[{size:.0f} kB of text cut here: run the cell to see it all]\n"
    for mime, size in {mime: len(str(data)) / 1000 for mime, data in output.get("data", {}).items()}.items():
        if size > MAX_PAYLOAD / 1000:
            del output.data[mime]
            said = f"[{size:.0f} kB of {mime} are left out of the saved notebook: run the cell to get it]"
            output.data["text/plain"] = f"{output.data.get('text/plain', '')}\n{said}".strip()
    return output


def problems(path, source):
    """What is wrong with the notebook at `path` built from `source`, as a list of sentences; empty when all is well."""
    if not Path(path).is_file():
        return [f"not built: run python notebooks/build.py {source.stem[:2]}"]
    notebook = nbformat.read(path, as_version=4)
    return stamp_problems(notebook, source) + output_problems(notebook) + style_problems(notebook, source.stem)


def stamp_problems(notebook, source):
    stamp, found = notebook.metadata.get("voice_atlas", {}), []
    if stamp.get("sha256") != digest(source):
        found.append(f"its source has changed since it was built: run python notebooks/build.py {source.stem[:2]}")
    if stamp.get("budget") not in ("quick", "full") or not {"torch", "seconds", "device", "date"} <= set(stamp):
        found.append(f"its stamp is incomplete: {dict(stamp)}")
    if {key: notebook.metadata.get(key) for key in COLAB} != COLAB:
        found.append("it does not ask Colab for a GPU")
    return found


def output_problems(notebook):
    """Unexecuted cells, errors, and checked cells with nothing to compare: all of them would pass nbval."""
    found, checked = [], 0
    for number, cell in enumerate(notebook.cells):
        tags = set(cell.metadata.get("tags", []))
        strange = {tag for tag in tags if "nbval" in tag.lower()} - TAGS
        if strange:
            found.append(f"cell {number} has tags nbval does not know: {sorted(strange)}")
        if cell.cell_type != "code":
            continue
        if cell.execution_count is None:
            found.append(f"cell {number} was never run")
        if any(output.output_type == "error" for output in cell.outputs):
            found.append(f"cell {number} holds an error")
        if any(WIDGET in output.get("data", {}) for output in cell.outputs):
            found.append(f"cell {number} holds a widget, which is blank without a kernel")
        held = [str(data) for output in cell.outputs for data in (output.get("data") or output).values()]
        if any(len(data) > MAX_PAYLOAD for data in held):
            found.append(f"cell {number} holds more than {MAX_PAYLOAD // 1000} kB")
        if CHECKED in tags:
            checked += 1
            if not cell.outputs:
                found.append(f"cell {number} is checked but has no output to compare")
    return found if checked else [*found, f"no cell is tagged {CHECKED}: nbval would compare nothing"]


def style_problems(notebook, name):
    """DESIGN.md section 4: few and short cells, more words than code, a badge that opens this very lesson."""
    cells, found = code_cells(notebook), []
    words = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in cells)
    lines = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in cells]  # blank ones are rests
    badge, home = BADGE.format(repository=REPOSITORY, name=name), f"github.com/{REPOSITORY}"
    if len(cells) > MAX_CELLS:
        found.append(f"{len(cells)} code cells, the most is {MAX_CELLS}")
    if max(lines) > MAX_LINES:
        found.append(f"the longest code cell has {max(lines)} lines, the most is {MAX_LINES}")
    if statistics.median(lines) >= MEDIAN_LINES:
        found.append(f"the median code cell has {statistics.median(lines):g} lines, it must be under {MEDIAN_LINES}")
    if len(words.split()) <= len(code.split()):
        found.append(f"{len(words.split())} words and {len(code.split())} of code: a lesson explains more than that")
    if badge not in words:
        found.append(f"no Colab badge to {badge}")
    if home not in cells[0].source or '"-r", "voice-atlas/requirements.txt"], check=True)' not in cells[0].source:
        found.append(f"its first code cell must clone {home} and pip install its requirements, for Colab")
    return found


def main(arguments=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="first letters of lessons, such as 00")
    parser.add_argument("--check", action="store_true", help="only judge what is built")
    chosen = parser.parse_args(arguments)
    status = 0
    for source in lessons(chosen.names):
        if not chosen.check:
            start = time.time()
            build(source)
            print(f"{source.stem}: built at {budget.current()} budget in {time.time() - start:.0f} s", flush=True)
        found = problems(HERE / f"{source.stem}.ipynb", source)
        status |= bool(found)
        print("\n".join(f"{source.stem}: {fault}" for fault in found) or f"{source.stem}: ok", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
