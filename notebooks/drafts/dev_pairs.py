import sys,json,os; sys.path.insert(0,"/work/main"); os.environ["VOICE_ATLAS_CORPUS"]="/work/shared/corpus"
import numpy as np, soundfile as sf
from lib.data import corpus
out="/root/sem/pairs2"; os.makedirs(out,exist_ok=True)
old={os.path.basename(p) for p in []}
rows=[r for r in corpus.rows("/work/shared/corpus/speech-1.parquet","valid")]
by=corpus.by_speaker(rows); print(len(by),[len(v) for v in by.values()][:30], list(rows[0])[:12])
rng=np.random.default_rng(5); people=list(by); used=set(l["text"] for l in json.load(open("/root/sem/pairs.json")))
L=[]
for n in range(400):
    if len(L)==48: break
    i=int(rng.integers(len(rows))); r=rows[i]
    t=[q for q in people if q!=r["speaker"]][rng.integers(len(people)-1)]; j=by[t][rng.integers(len(by[t]))]
    if r["text"] in used or len(r["text"].split())<6: continue
    w=corpus.wav(r); v=corpus.wav(rows[j])
    if len(w)<2.5*16000 or len(w)>10*16000 or len(v)<2.5*16000: continue
    used.add(r["text"]); sf.write(f"{out}/s{n}.wav",w,16000); sf.write(f"{out}/t{n}.wav",v,16000)
    L.append(dict(source=f"{out}/s{n}.wav",reference=f"{out}/t{n}.wav",text=r["text"]))
json.dump(L,open("/root/sem/pairs2.json","w")); print(len(L), sum(len(l["text"].split()) for l in L))
