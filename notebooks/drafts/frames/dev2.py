"""usage: dev.py CKROOT OUT key=value: speak 20 dev lines: accented people's clips that the frames never learned from."""
import sys, json, os; sys.path.insert(0,"/work/main")
import numpy as np, torch, glob
torch.set_num_threads(1)
from lib.voices import Voices
from lib.data import corpus
from lib import audio
root,out=sys.argv[1:3]; kw={}
for a in sys.argv[3:]: k,v=a.split("="); kw[k]=float(v) if "." in v else int(v)
os.makedirs(out,exist_ok=True)
used=set()
for f in glob.glob("/work/main/runs/frames/chunk-*.npz"):
    if "tmp" in f: continue
    used|={r["id"] for r in np.load(f,allow_pickle=True)["rows"] if r["file"]=="accented.parquet"}
rows=[r for r in corpus.rows("/work/shared/corpus/accented.parquet","train") if r["id"] not in used and r["seconds"]>3.0]
rng=np.random.default_rng(5); people=sorted({r["speaker"] for r in rows}); rng.shuffle(people); 
texts=[r["text"] for r in corpus.rows("/work/shared/corpus/voices.parquet","train") if 40<len(r["text"])<90]; rng.shuffle(texts)
v=Voices.load(root); f=v.bundle["frames"] if v.bundle.has("frames") else None
if kw.get('st8'):
    st=torch.load('/root/f5/state8.pt' if kw.pop('st8')==1 else '/root/f5/teacher.pt',weights_only=False)['ema']; f.load_state_dict({k:x for k,x in st.items() if k not in ('mean','std')},strict=False)
if kw.pop('gta',0): f.harmonic.decoder.load_state_dict(torch.load('/root/gta/state.pt',weights_only=False)['ema'])
if 'knn' in kw:
    from knn import patch_knn; patch_knn(f,kw.pop('knn'),int(kw.pop('k',8)),1,int(kw.pop('smooth',0)),int(kw.pop('bands',0)))
if f is not None and kw:
    old=f.render
    from patch import patch; patch(f,kw)
lines=[]
for i,p in enumerate(people[:20]):
    r=max((r for r in rows if r["speaker"]==p),key=lambda r:r["seconds"])
    audio.save(f"{out}/ref{i}.wav",*audio.load(r["audio"])); s=v.speak(str(texts[i]),f"{out}/ref{i}.wav"); s.save(f"{out}/{i}.wav")
    lines.append({"wav":f"{i}.wav","reference":f"ref{i}.wav","text":str(texts[i])})
open(f"{out}/m.jsonl","w").write("".join(json.dumps(l)+"\n" for l in lines))
