"""Copies with another pitch and the same formants (PSOLA): targets of conversion whose f0 is not the voice's."""
import sys, glob, collections; sys.path.insert(0,"/work/main")
import numpy as np
from lib.audio import praat
from lib import audio
rng=np.random.default_rng(7); rows=[]
for f in sorted(glob.glob("/work/main/runs/frames/chunk-*.npz")):
    rows+=[r for r in np.load(f,allow_pickle=True)["rows"] if r["split"]=="train" and "*" not in str(r["speaker"]) and 100<len(r["f0"])<800]
n=collections.Counter(r["speaker"] for r in rows); rows=[r for r in rows if n[r["speaker"]]>1]; print(len(rows),"to choose from",flush=True)
out=[]; k=0
for i in rng.permutation(len(rows))[:900]:
    r=rows[i]; f0=r["f0"].astype("float32"); m=np.median(f0[f0>0]) if (f0>0).any() else 0
    if m<70: continue
    low,high=max(-12,12*np.log2(70/m)),min(13,12*np.log2(420/m)); s=rng.uniform(low,high)
    if abs(s)<2: continue
    wav=r["wav"].astype("float32")/32767; w=praat.change_gender(wav,1.0,2**(s/12)).astype("float32")[:len(wav)]; w=np.pad(w,(0,len(wav)-len(w)))
    w=audio.normalise(w); g=praat.track(w,200)[:len(f0)].astype("float16")
    gm=np.median(g[g>0].astype("float32")) if (g>0).any() else 0
    if gm<60 or abs(12*np.log2(gm/m)-s)>1: continue
    out.append({"wav":(np.clip(w,-1,1)*32767).astype("int16"),"f0":g,"windows":r["windows"],"speaker":r["speaker"],"band":r["band"],"file":r["file"],"split":"train","id":r["id"],"shifted":float(s)})
    if len(out)==250: np.savez("tmp-s.npz",rows=np.array(out,dtype=object)); import os; os.replace("tmp-s.npz",f"shifted-{k:03d}.npz"); k+=1; out=[]; print(k,flush=True)
np.savez("tmp-s.npz",rows=np.array(out,dtype=object)); import os; os.replace("tmp-s.npz",f"shifted-{k:03d}.npz"); print("done",len(out))
