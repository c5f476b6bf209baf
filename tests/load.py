"""The running app under load: how long visitors wait, whether results cross, what memory does.

    python tests/load.py              a table for 1, 2, 4, 8 and 16 visitors who press Speak at once
    python tests/load.py --soak N     N calls of Speak by four visitors (make soak), and the memory meanwhile

Every visitor has a voice, a text of about 5 s and a seed, and must get, to the sample, what came when nobody
else was there.  The app is started with the shipped weights; `taskset` before the command gives both fewer
cores.  Linux only, as memory and work of the server are read from /proc.
"""
import argparse
import concurrent.futures
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from conftest import free_port
from gradio_client import Client, handle_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import audio, show
from lib.data import corpus
from lib.paths import ASSETS

CROWDS = (1, 2, 4, 8, 16)
ROUNDS = 3  # of every crowd
TEXTS = (
    "The kettle sings, the window is open, and somebody else's voice is saying good morning to you.",
    "Nobody knew the name of the ship, but all of us had seen its lights far out on the water that night.",
    "Put the letters on the table, close the door behind you, and tell the others that we leave at noon.",
    "A narrow path leads from the mill to the river, where the old boats lie upside down in the grass.",
)
START_SECONDS = 120  # until the app answers
SOAK_VISITORS = 4
LOOKS = 20  # at the memory, over all calls
WARM = 5  # looks that are left out: buffers and caches fill up first
FLAT_MB = 60  # that memory may grow from then on over all calls


class Server:
    """app.py in a process of its own."""

    def __init__(self, folder):
        self.port = free_port()
        env = os.environ | {"GRADIO_SERVER_PORT": str(self.port), "TMPDIR": folder, "HF_HUB_OFFLINE": "1"}
        env["GRADIO_ANALYTICS_ENABLED"] = "False"
        command = [sys.executable, ASSETS.parent / "app.py"]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self.port}/"
        self.wait()

    def wait(self):
        """Wait until the app answers."""
        end = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("The app did not start: see its words above.")
            time.sleep(0.5)

    def answers(self):
        """Whether the app answers."""
        try:
            return httpx.get(self.url).is_success
        except httpx.HTTPError:
            return False

    def memory(self):
        """MB that the server holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1000

    def work(self):
        """CPU seconds that the server has worked."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        """End the server."""
        self.process.terminate()
        self.process.wait(30)


class Visitor:
    """One of a crowd, with a browser session, a voice, a text and a seed of its own."""

    def __init__(self, server, number, folder):
        self.client = Client(server.url, verbose=False, download_files=folder)
        rows = corpus.rows()
        row = rows[(37 * number) % len(rows)]
        self.clip = Path(folder) / f"voice-{number}.wav"
        audio.save(self.clip, *audio.load(row["audio"]))
        self.text = TEXTS[number % len(TEXTS)]
        self.seed = number

    def speak(self):
        """(seconds it took, samples [T])."""
        begun = time.monotonic()
        asked = (self.text, handle_file(str(self.clip)), True, self.seed)
        path, *_ = self.client.predict(*asked, api_name="/speak")
        took = time.monotonic() - begun
        return took, audio.load(path)[1]


def crowd(visitors, alone):
    """(seconds each waited, how many got another sound than alone), all at once."""
    with concurrent.futures.ThreadPoolExecutor(len(visitors)) as pool:
        answers = list(pool.map(Visitor.speak, visitors))
    crossed = 0
    for (_, wav), expected in zip(answers, alone, strict=False):
        crossed += not np.array_equal(wav, expected)
    return [took for took, _ in answers], crossed


def table(server, folder):
    """Rows: how long visitors wait, by how many they are."""
    visitors = [Visitor(server, i, folder) for i in range(max(CROWDS))]
    visitors[0].speak()
    alone = [visitor.speak()[1] for visitor in visitors]
    rows = []
    for count in CROWDS:
        waits, crossed, before = [], 0, server.work()
        for _ in range(ROUNDS):
            took, wrong = crowd(visitors[:count], alone)
            waits += took
            crossed += wrong
        work = (server.work() - before) / len(waits)
        rows.append({
            "visitors at once": count, "median, s": round(float(np.median(waits)), 2),
            "p95, s": round(float(np.percentile(waits, 95)), 2), "longest, s": round(max(waits), 2),
            "CPU seconds a request": round(work, 2), "crossed": f"{crossed} of {len(waits)}",
        })
    seconds = np.mean([len(wav) for wav in alone]) / audio.RATE
    print(show.table(rows, f"Speak, {seconds:.1f} s of speech, {len(os.sched_getaffinity(0))} cores"))
    return all(row["crossed"].startswith("0 ") for row in rows)


def soak(server, folder, calls):
    """Print what memory does over many calls; says whether it stays flat and nothing crosses."""
    visitors = [Visitor(server, i, folder) for i in range(SOAK_VISITORS)]
    alone = [visitor.speak()[1] for visitor in visitors]
    rows, crossed, each = [], 0, math.ceil(calls / (LOOKS * SOAK_VISITORS))
    for look in range(1, LOOKS + 1):
        for _ in range(each):
            crossed += crowd(visitors, alone)[1]
        rows.append({"calls": look * each * SOAK_VISITORS, "MB": round(server.memory())})
        print(rows[-1], flush=True)
    print(show.table(rows, "Memory of the server"))
    kept = [row["MB"] for row in rows[WARM:]]
    half = len(kept) // 2
    grown = np.mean(kept[half:]) - np.mean(kept[:half])
    print(f"grown by {grown:.0f} MB from the first to the second half, {crossed} results crossed")
    return grown < FLAT_MB and not crossed


def main():
    """Start the app, load it, end it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--soak", type=int, help="number of calls")
    calls = options.parse_args().soak
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            passed = soak(server, folder, calls) if calls else table(server, folder)
        finally:
            server.close()
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
