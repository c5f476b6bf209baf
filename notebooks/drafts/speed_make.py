import sys,json; sys.path.insert(0,"/work/main")
import numpy as np, torch
torch.set_num_threads(1)
from lib import audio
from lib.data import corpus
from lib.voices import Voices
from lib.voices.speak import speak
v=Voices.load()
rows=corpus.rows("/work/shared/corpus/speech-1.parquet","valid"); tr=[r["text"] for r in corpus.rows("/work/shared/corpus/speech-0.parquet","train") if 45<len(r["text"])<100]
by=list(corpus.by_speaker(rows).values()); rng=np.random.default_rng(3)
out=[]
for k in range(64):
    g=by[k%len(by)]; ref=rows[g[rng.integers(len(g))]]; t=tr[rng.integers(len(tr))]
    w=corpus.wav(ref)
    s=speak(v,t,(16000,w),seed=k)
    audio.save(f"b{k:02d}.wav",16000,s.wav); audio.save(f"r{k:02d}.wav",16000,w); out.append({"wav":f"b{k:02d}.wav","text":t,"reference":f"r{k:02d}.wav"})
open("b.jsonl","w").write("".join(json.dumps(o)+"\n" for o in out))
