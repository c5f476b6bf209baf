"""The table of the watermark in the README: what finds it, what destroys it, what it costs.

    python tests/watermark_table.py [SHARED [OUT]]

SHARED (default ../shared) holds eval/, corpus/ and tools/judge.py, as for judge_plan.py.
Outputs are marked and attacked; real speech of the corpus, which nobody marked, is searched for the mark.
OUT (default runs/watermark) keeps the sounds and watermark.json.
"""
import io
import itertools
import json
import sys
import time
from pathlib import Path

import av
import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import judge_plan

from lib import audio, show
from lib.audio import watermark
from lib.data import corpus
from lib.voices import Voices

SPOKEN, FROM_VECTORS, CONVERTED = 60, 24, 50  # outputs, of the lines of the plan
SHORT = ("Yes.", "No.", "Hello there.", "Why not?", "Good night.", "I see.", "Stop.", "Come in.", "Thanks.")
LONG = 950  # characters of the longest outputs
CUT = 2.0  # s that are left of an output
SEARCHED = (2.0, 10.0)  # s of the windows of real speech that are searched
FILES = ("speech-0", "speech-1", "accented")


def outputs(voices, shared, out):
    """{name: Speech} of what the app would give: short, long, from clips, from vectors, converted."""
    lines = judge_plan.asked("speak", "plan", shared, out)
    made = {}
    for i, line in enumerate(lines[:SPOKEN]):
        made[f"clip-{i}"] = voices.speak(line["text"], line["reference"], seed=i)
    for i, line in enumerate(lines[-FROM_VECTORS:]):
        made[f"vector-{i}"] = voices.speak(line["text"], voices.embed(line["reference"]), seed=i)
    for i, words in enumerate(SHORT):
        made[f"short-{i}"] = voices.speak(words, lines[7 * i]["reference"], seed=i)
    for i in range(2):
        words = " ".join(line["text"] for line in lines[10 * i:])[:LONG]
        made[f"long-{i}"] = voices.speak(words, lines[7 * i]["reference"], seed=i)
    for i, line in enumerate(judge_plan.asked("convert", "plan", shared, out)[:CONVERTED]):
        made[f"convert-{i}"] = voices.convert(line["source"], line["reference"], seed=i)
    return made


# ---------------------------------------------------------------- what happens to a file


def untouched(rate, wav):
    """Nothing but 16 bits.  Every attack takes and gives (rate in Hz, wav [T])."""
    return through("WAV", "PCM_16")(rate, wav)


def through(kind, subtype):
    """A file of libsndfile."""
    def attack(rate, wav):
        file = io.BytesIO()
        soundfile.write(file, np.clip(wav, -1, 1), rate, format=kind, subtype=subtype)
        return audio.load(file.getvalue())
    return attack


def mp3(kbit):
    """An MP3 of so many kbit/s, by LAME."""
    def attack(rate, wav):
        file = io.BytesIO()
        with av.open(file, "w", format="mp3") as container:
            stream = container.add_stream("libmp3lame", rate=rate, layout="mono", format="s16p")
            stream.bit_rate = 1000 * kbit
            samples = (np.clip(wav, -1, 1) * 32767).astype("int16")
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16p", layout="mono")
            frame.sample_rate = rate
            for packet in itertools.chain(stream.encode(frame), stream.encode(None)):
                container.mux(packet)
        return audio.load(file.getvalue())
    return attack


def at(new_rate):
    """Another rate."""
    return lambda rate, wav: (new_rate, audio.resample(wav, rate, new_rate))


def louder(db):
    """Another level; what is too loud is clipped, as a file does."""
    return lambda rate, wav: (rate, np.clip(10 ** (db / 20) * wav, -1, 1))


def cut(rate, wav):
    """CUT seconds from somewhere in the middle."""
    size = int(CUT * rate)
    start = max(0, int(0.61 * (len(wav) - size)))
    return rate, wav[start: start + size]


def together(rate, wav):
    """All of what is promised, one after the other."""
    for attack in (cut, louder(-6), at(8000), mp3(64)):
        rate, wav = attack(rate, wav)
    return rate, wav


def noisy(db):
    """White noise so far under the sound."""
    def attack(rate, wav):
        noise = np.random.default_rng(0).standard_normal(len(wav)).astype("float32")
        return rate, wav + noise * 10 ** (-db / 20) * np.sqrt((wav**2).mean())
    return attack


def in_a_room(rate, wav):
    """A simulated room."""
    return rate, audio.room(np.random.default_rng(0), wav)


def faster(rate, wav):
    """Played 2 % too fast."""
    return rate, audio.resample(wav, rate, round(rate / 1.02))


PROMISED = {
    "as it leaves": untouched, "MP3, 64 kbit/s": mp3(64), "8 kHz": at(8000), "cut to 2 s": cut,
    "+6 dB": louder(6), "-6 dB": louder(-6), "2 s, -6 dB, 8 kHz, MP3 64 kbit/s": together,
}
BEYOND = {
    "MP3, 32 kbit/s": mp3(32), "Vorbis": through("OGG", "VORBIS"), "Opus": through("OGG", "OPUS"),
    "mu-law (telephone)": through("WAV", "ULAW"), "noise, 20 dB under it": noisy(20),
    "noise, 10 dB under it": noisy(10), "a room": in_a_room, "2 % faster": faster,
}


def attacked(marked, attacks):
    """Rows of the table: for each attack how many of the marked sounds are found, and the least score."""
    rows = []
    for name, attack in attacks.items():
        scores = [watermark.detect(attack(audio.RATE, wav)).score for wav in marked.values()]
        found = sum(score >= watermark.THRESHOLD for score in scores)
        rows.append({"what happened to it": name, "found": f"{found} of {len(scores)}",
                     "lowest score": round(min(scores), 1), "mean score": round(float(np.mean(scores)), 1)})
    return rows


def searched(shared):
    """Rows: how often real speech is taken for marked, in windows of every length in SEARCHED and whole."""
    scores = {f"{seconds:g} s": [] for seconds in SEARCHED} | {"whole": []}
    for name in FILES:
        for row in corpus.rows(shared / "corpus" / f"{name}.parquet"):
            rate, wav = audio.load(row["audio"])
            scores["whole"].append(watermark.detect((rate, wav)).score)
            for seconds in SEARCHED:
                size = int(seconds * rate)
                for start in range(0, len(wav) - size + 1, size):
                    score = watermark.detect((rate, wav[start: start + size])).score
                    scores[f"{seconds:g} s"].append(score)
    rows = []
    for name, values in scores.items():
        found = sum(score >= watermark.THRESHOLD for score in values)
        rows.append({"windows": name, "taken for marked": f"{found} of {len(values):,}",
                     "highest score": round(max(values), 2)})
    return rows


def marked_in(made):
    """({name: marked wav}, CPU seconds that marking and finding take for a second of sound)."""
    marked, sizes, marking, finding = {}, 0, 0.0, 0.0
    for name, speech in made.items():
        begun = time.process_time()
        marked[name] = watermark.embed(speech.wav, speech.rate)
        done = time.process_time()
        watermark.detect((speech.rate, marked[name]))
        finding += time.process_time() - done
        marking += done - begun
        sizes += len(speech.wav)
    seconds = sizes / audio.RATE
    return marked, {"marking": round(marking / seconds, 4), "finding": round(finding / seconds, 4)}


def heard(made, shared, out):
    """DNSMOS of the outputs before and after, and how far under the sound the change lies, in dB."""
    figures = {}
    for kind in ("before", "after"):
        lines = []
        for name, speech in made.items():
            path = out / f"{kind}-{name}.wav"
            if kind == "after":
                speech.save(path)
            else:
                audio.save(path, speech.rate, speech.wav)
            lines.append({"wav": path.name})
        manifest = judge_plan.write(out / f"{kind}.jsonl", lines)
        figures[kind] = judge_plan.judged(manifest, shared / "tools" / "judge.py")["figures"]
    return figures


def main(shared="../shared", out="runs/watermark"):
    """Print the tables and keep the figures."""
    shared, out = Path(shared).resolve(), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    made = outputs(Voices.load(), shared, out)
    marked, pace = marked_in(made)
    lengths = [len(speech.wav) / speech.rate for speech in made.values()]
    under = [20 * np.log10(np.std(marked[name] - made[name].wav) / np.std(made[name].wav)) for name in made]
    figures = {
        "outputs": len(made), "seconds": [round(min(lengths), 1), round(max(lengths), 1)],
        "real-time factor": pace, "under the sound, dB": round(float(np.mean(under)), 1),
        "promised": attacked(marked, PROMISED), "beyond": attacked(marked, BEYOND), "real": searched(shared),
    }
    for part in ("promised", "beyond", "real"):
        print(show.table(figures[part], part), flush=True)
    figures["dnsmos"] = heard(made, shared, out)
    print({name: value for name, value in figures.items() if not isinstance(value, list)})
    (out / "watermark.json").write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
