import sys,json; sys.path.insert(0,"/work/main")
import numpy as np, torch
torch.set_num_threads(1)
from lib import audio
from lib.data import corpus
from lib.voices import Voices
from lib.voices import speak as S
from lib.audio import praat
v=Voices.load()
rows=corpus.rows("/work/shared/corpus/speech-1.parquet","train"); tr=[r["text"] for r in corpus.rows("/work/shared/corpus/speech-0.parquet","train") if 45<len(r["text"])<100]
by=list(corpus.by_speaker(rows).values()); rng=np.random.default_rng(13); rng.shuffle(by)
made={}
N=int(sys.argv[1]); models=[float(x) for x in sys.argv[2:]]
outs={}
for k in range(N):
    g=by[k%len(by)]; ref=rows[g[rng.integers(len(g))]]; t=tr[rng.integers(len(tr))]; w=corpus.wav(ref); audio.save(f"r{k:03d}.wav",16000,w)
    for m in models:
        real=S.speaker
        def faster(voices, voice, model, melody, noise_scale, speed, real=real, m=m): return real(voices, voice, model, melody, noise_scale, m)
        S.speaker=faster; s=S.speak(v,t,(16000,w),seed=k); S.speaker=real; wav=np.asarray(s.wav)
        if m==models[0]: base=len(wav)
        audio.save(f"m{m:g}-{k:03d}.wav",16000,wav); y=praat.hurried(wav.astype("float32"),2*len(wav)/base) if m!=models[0] or True else wav
        audio.save(f"h{m:g}-{k:03d}.wav",16000,y)
        outs.setdefault(f"m{m:g}",[]).append({"wav":f"m{m:g}-{k:03d}.wav","text":t,"reference":f"r{k:03d}.wav","n":len(wav)/base}); outs.setdefault(f"h{m:g}",[]).append({"wav":f"h{m:g}-{k:03d}.wav","text":t,"reference":f"r{k:03d}.wav","n":len(y)/base})
for n,o in outs.items(): open(n+".jsonl","w").write("".join(json.dumps(x)+"\n" for x in o)); print(n,np.mean([x["n"] for x in o]))
