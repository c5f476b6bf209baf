"""outs.py N: speak and convert for training voices -> outs.npz (wav int16, object)"""
import sys,glob,time; sys.path.insert(0,"/work/main")
import numpy as np, torch
torch.set_num_threads(1)
from lib.voices import Voices
from lib.voices.speak import speak
from lib.voices.convert import convert
from lib.data import corpus
v=Voices.load(); rng=np.random.default_rng(44)
rows=[]
for f in sorted(glob.glob("/work/main/runs/frames/chunk-*.npz")):
    rows+=[(r["speaker"],r["wav"]) for r in np.load(f,allow_pickle=True)["rows"] if r["split"]=="train" and 3*16000<=len(r["wav"])<=9*16000]
texts=[r["text"] for r in corpus.rows("/work/shared/corpus/speech-0.parquet","train")]
texts=[t for t in texts if 30<len(t)<90]
print(len(rows),len(texts),flush=True)
out=[];t=time.time(); N=int(sys.argv[1])
f=lambda w:(16000,w.astype("float32")/32767)
for k in range(N):
    a,b=rows[rng.integers(len(rows))][1],rows[rng.integers(len(rows))][1]
    try:
        if k%3==0: y=speak(v,texts[rng.integers(len(texts))],f(a),seed=k)
        else: y=convert(v,f(b),f(a),seed=k,model=("hierarchical","frames")[k%2])
    except ValueError as e: print(k,e); continue
    w=np.asarray(getattr(y,"wav",y[1] if isinstance(y,tuple) else y)); out.append((w*32767).clip(-32767,32767).astype("int16") if w.dtype!=np.int16 else w)
    if k%100==0: print(k,time.time()-t,len(out[-1]),abs(out[-1]).max(),flush=True)
    if k%300==299 or k==N-1:
        x=np.empty(len(out),object)
        for i,h in enumerate(out): x[i]=h
        np.savez("outs.npz",x=x)
print("done")
