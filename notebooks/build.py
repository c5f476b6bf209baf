"""Build lessons, in one direction: notebooks/src/NN_name.py -> execute -> tidy -> notebooks/NN_name.ipynb.

    python notebooks/build.py [00 03 ...]   build these lessons (default: all), at quick or full DEMO_BUDGET
    python notebooks/build.py --check       say what is wrong with the built ones; status 1 if anything is

Never edit an .ipynb: edit its source and build again.  jupytext --sync would keep old outputs under new code.
"""
import argparse
import datetime
import hashlib
import os
import re
import statistics
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import torch
from nbclient import NotebookClient
from nbclient.output_widget import OutputWidget

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))
from lib.training import budget  # noqa: E402

REPOSITORY = "voice-atlas/voice-atlas"  # on GitHub; badges and the first cell of every lesson name it
BADGE = "https://colab.research.google.com/github/{repository}/blob/main/notebooks/{name}.ipynb"
COLAB = {"accelerator": "GPU", "colab": {"gpuType": "T4", "provenance": []}}
INSTALL = "-m pip install -q -r voice-atlas/requirements.txt"
MAX_CELLS, MAX_LINES = 20, 25  # code cells of a lesson, lines of one: what a student sees without scrolling
MEDIAN_LINES = 12  # the middle cell has fewer
MAX_PAYLOAD = 50_000  # characters of one output
KEPT_TEXT = 2000  # characters of a text that is longer than that
CHECKED = "nbval-check-output"
# nbval overlooks any other spelling.
TAGS = {CHECKED, "nbval-ignore-output", "nbval-skip", "nbval-raises-exception"}
WIDGET = "application/vnd.jupyter.widget-view+json"
STAMPED = {"torch", "seconds", "device", "date"}
QUICK_SECONDS = 600  # a cell may take at the quick budget; at the full one it may train for hours
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|opt|usr|content)/[\w./-]+")


def lessons(wanted=()):
    """Sources of the lessons whose names start with one of `wanted`, or of all.  ValueError if none does."""
    found = sorted((HERE / "src").glob("[0-9][0-9]_*.py"))
    for name in wanted:
        if not any(source.stem.startswith(name) for source in found):
            there = [source.stem for source in found]
            raise ValueError(f"No lesson starts with {name!r}: there are {there}.")
    return [source for source in found if not wanted or source.stem.startswith(tuple(wanted))]


def digest(source):
    """Hash that ties a notebook to its source."""
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()


def build(source):
    """Execute one source and write its notebook; returns its path.  A failing cell writes nothing."""
    os.environ["DEMO_BUDGET"] = budget.current()  # kernel and stamp must agree even if a GPU comes or goes
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"  # jupytext's are random: rebuilding would change every line
    client = NotebookClient(
        notebook, timeout=QUICK_SECONDS if budget.current() == "quick" else None, kernel_name="python3",
        record_timing=False, coalesce_streams=True, resources={"metadata": {"path": str(HERE)}},
    )
    client.widget_registry["@jupyter-widgets/output"] = {"OutputModel": SilentOutput}
    start = time.time()
    client.execute()
    seconds = time.time() - start
    for cell in code_cells(notebook):
        outputs = still(cell.outputs, client.widget_state)
        cell.outputs = [shrunk(homeless(output)) for output in outputs]
    notebook.metadata = nbformat.from_dict({
        **COLAB,
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "voice_atlas": stamp(source, seconds),
    })
    target = HERE / f"{source.stem}.ipynb"
    nbformat.write(notebook, target)
    return target


class SilentOutput(OutputWidget):
    """What an output widget shows, kept for the notebook; the kernel, which showed it, is not told.

    nbclient tells it on the socket where it waits for the kernel's reply.  A reply that comes in that moment
    goes unnoticed (zmq signals it once, and the sending takes the signal), and the building waits for ever.
    """

    def sync_state(self):
        """No message to the kernel: no cell reads what its own output widget shows."""


def stamp(source, seconds):
    """From what, when, where and at which budget a notebook was built."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    return {
        "source": f"src/{source.name}", "sha256": digest(source), "budget": budget.current(),
        "torch": torch.__version__, "device": device, "seconds": round(seconds, 1),
        "date": datetime.date.today().isoformat(),
    }


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def still(outputs, widget_state):
    """Outputs with each widget replaced by what it showed at its start: a saved one is blank."""
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


def texts(output):
    """(container, key) of each readable text in an output, so that it can be read and replaced."""
    if output.output_type == "stream":
        yield output, "text"
    for mime in output.get("data", {}):
        if mime == "text/plain":
            yield output.data, mime


def homeless(output):
    """Output without the paths of the machine that built it: files of the project by their place in it."""
    for container, key in texts(output):
        text = container[key].replace(f"{ROOT}{os.sep}", "").replace(str(ROOT), ".")
        container[key] = MACHINE_PATH.sub(lambda found: f".../{Path(found[0]).name}", text)
    return output


def shrunk(output):
    """Output without what is too long; says so in its place, because a silent gap looks like a fault."""
    if output.output_type == "stream" and len(output.text) > MAX_PAYLOAD:
        size = len(output.text) / 1000
        cut = f"\n[{size:.0f} kB of text cut here: run the cell to see it all]\n"
        output.text = output.text[:KEPT_TEXT] + cut
    for mime, data in list(output.get("data", {}).items()):
        size = len(str(data))
        if size > MAX_PAYLOAD:
            del output.data[mime]
            gap = f"[{size / 1000:.0f} kB of {mime} are left out of the saved notebook: "
            gap += "run the cell to get it]"
            output.data["text/plain"] = f"{output.data.get('text/plain', '')}\n{gap}".strip()
    return output


def problems(path, source):
    """What is wrong with the notebook at `path` built from `source`, as sentences; empty if nothing."""
    if not Path(path).is_file():
        return [f"not built: {remedy(source)}"]
    notebook = nbformat.read(path, as_version=4)
    found = stamp_problems(notebook, source) + output_problems(notebook)
    return found + style_problems(notebook, source.stem)


def remedy(source):
    return f"run python notebooks/build.py {source.stem[:2]}"


def stamp_problems(notebook, source):
    """Whether the notebook is that of this source, and says how it came about."""
    found = []
    stamped = notebook.metadata.get("voice_atlas", {})
    if stamped.get("sha256") != digest(source):
        found.append(f"its source has changed since it was built: {remedy(source)}")
    if stamped.get("budget") not in ("quick", "full") or not set(stamped) >= STAMPED:
        found.append(f"its stamp is incomplete: {dict(stamped)}")
    if {key: notebook.metadata.get(key) for key in COLAB} != COLAB:
        found.append("it does not ask Colab for a GPU")
    return found


def output_problems(notebook):
    """Unexecuted cells, errors, and checked cells with nothing to compare: all of them would pass nbval."""
    found = []
    checked = 0
    for number, cell in enumerate(notebook.cells):
        tags = set(cell.metadata.get("tags", []))
        strange = {tag for tag in tags if "nbval" in tag.lower()} - TAGS
        if strange:
            found.append(f"cell {number} has tags nbval does not know: {sorted(strange)}")
        if cell.cell_type == "code":
            found += [f"cell {number} {fault}" for fault in cell_problems(cell, tags)]
            checked += CHECKED in tags
    return found if checked else [*found, f"no cell is tagged {CHECKED}: nbval would compare nothing"]


def cell_problems(cell, tags):
    """What is wrong with one code cell and what it holds."""
    if cell.execution_count is None:
        yield "was never run"
    if any(output.output_type == "error" for output in cell.outputs):
        yield "holds an error"
    if any(WIDGET in output.get("data", {}) for output in cell.outputs):
        yield "holds a widget, which is blank without a kernel"
    held = [str(data) for output in cell.outputs for data in (output.get("data") or output).values()]
    if any(len(data) > MAX_PAYLOAD for data in held):
        yield f"holds more than {MAX_PAYLOAD // 1000} kB"
    for output in cell.outputs:
        for container, key in texts(output):
            if MACHINE_PATH.search(container[key]):
                yield f"holds a path of the machine that built it: {MACHINE_PATH.search(container[key])[0]}"
    if CHECKED in tags and not cell.outputs:
        yield "is checked but has no output to compare"


def style_problems(notebook, name):
    """Few and short cells, more words than code, a badge that opens this very lesson."""
    found = []
    cells = code_cells(notebook)
    words = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in cells)
    lines = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in cells]
    middle = statistics.median(lines)
    if len(cells) > MAX_CELLS:
        found.append(f"{len(cells)} code cells, the most is {MAX_CELLS}")
    if max(lines) > MAX_LINES:
        found.append(f"the longest code cell has {max(lines)} lines, the most is {MAX_LINES}")
    if middle >= MEDIAN_LINES:
        found.append(f"the median code cell has {middle:g} lines, it must be under {MEDIAN_LINES}")
    explained, written = len(words.split()), len(code.split())
    if explained <= written:
        found.append(f"{explained} words and {written} of code: a lesson explains more than that")
    badge = BADGE.format(repository=REPOSITORY, name=name)
    if badge not in words:
        found.append(f"no Colab badge to {badge}")
    home = f"github.com/{REPOSITORY}"
    if home not in cells[0].source or INSTALL not in cells[0].source:
        found.append(f"its first code cell must clone {home} and install its requirements, for Colab")
    return found


def main(arguments=None):
    """Command line; returns the exit status."""
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shape)
    parser.add_argument("names", nargs="*", help="first letters of lessons, such as 00")
    parser.add_argument("--check", action="store_true", help="only judge what is built")
    chosen = parser.parse_args(arguments)
    status = 0
    for source in lessons(chosen.names):
        if not chosen.check:
            start = time.time()
            build(source)
            spent = time.time() - start
            print(f"{source.stem}: built at {budget.current()} budget in {spent:.0f} s", flush=True)
        found = problems(HERE / f"{source.stem}.ipynb", source)
        status |= bool(found)
        print("\n".join(f"{source.stem}: {fault}" for fault in found) or f"{source.stem}: ok", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
