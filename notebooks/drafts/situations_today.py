import os, sys; sys.path.insert(0, "/work/main")
os.environ["DEMO_BUDGET"] = "full"
import torch; torch.set_num_threads(1)
from lib.data import corpus
from lib.evaluation import judging
from lib.voices import Voices
from pathlib import Path
voices = Voices.load()
S = [f"/work/shared/corpus/speech-{i}.parquet" for i in (0, 1)]
def both(split): return [r for s in S for r in corpus.rows(s, split, hours=20)]
rows = [r for r in both("train") if corpus.is_native(r)]
unseen = both("valid"); kinds = {r.get("source") for r in unseen}
sides = {"unseen": unseen, "seen": [r for r in rows if r.get("source") in kinds]}
RUN = Path("/root/sit/tables")
systems = {"the source": lambda a, b: corpus.wav(a), "lesson 07": lambda a, b: voices.convert(a["audio"], b["audio"]).wav}
for name in ("seen to seen", "unseen to seen", "seen to unseen", "unseen to unseen"):
    some, borrowed = (sides[s] for s in name.split(" to ")); some = [r for r in some if r.get("text_kind") != "asr"]
    pairs = corpus.couples(some, borrowed, 24)
    for system, say in systems.items():
        judging.keep(RUN / f"{name}, {system}", [(say(a, b), a["text"], corpus.wav(b)) for a, b in pairs])
    print(name, flush=True)
