"""rank.py first|FOLDER: Spearman of an encoder's cosine with GE2E's over outputs of plan and studio."""
import sys, json; sys.path[:0]=["."]
import numpy as np, torch
from scipy.stats import spearmanr
from lib import audio
torch.set_num_threads(1)
which=sys.argv[1]
if which=="first":
    from lib.voices import Bundle
    enc=Bundle()["speaker_encoder"]; emb=lambda w: enc.embed(w)
else:
    from lib import training; from lib.models.referee import Referee, RefereeConfig
    net,_=training.load(which,Referee,RefereeConfig); emb=lambda w: net.embed(w)
cache={}
def of(path):
    if path not in cache:
        with torch.inference_mode(): cache[path]=emb(torch.tensor(audio.prepare(path,(1.0,10.0)))[None,None])
    return cache[path]
allx=[];ally=[]
R="/work/main/runs/"
out={}
for d,f in (("judge-speak-plan","manifest"),("judge-speak-studio","manifest"),("judge-convert-plan","manifest"),("judge-convert-plan","own"),("judge-convert-studio","manifest"),("judge-convert-studio","own")):
    try: L=json.load(open(f"{R}{d}/{f}.json"))["lines"]
    except FileNotFoundError: print("no",d,f); continue
    rows=[json.loads(l) for l in open(f"{R}{d}/{f}.jsonl")]
    x=[];y=[]
    for r,l in zip(rows,L):
        w=r["wav"]; w=w if w.startswith("/") else f"{R}{d}/{w}"; ref=r["reference"]; ref=ref if ref.startswith("/") else f"{R}{d}/{ref}"
        x.append(float(of(w)@of(ref))); y.append(l["secs"])
    out[f"{d[6:]} {f}"]=round(float(spearmanr(x,y)[0]),3); print(d,f,len(x),"rho",round(spearmanr(x,y)[0],3),"mean",round(np.mean(x),3),round(np.mean(y),3),flush=True); allx+=x; ally+=y
print("all",len(allx),round(spearmanr(allx,ally)[0],3))
print(out)
