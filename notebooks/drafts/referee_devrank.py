"""devrank.py first|FOLDER: Spearman with GE2E over dev outputs (accented people, none of plan or studio)."""
import sys, json, glob, os; sys.path[:0]=["."]
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
        with torch.inference_mode(): cache[path]=emb(torch.tensor(audio.prepare(path,(.5,10)))[None,None])
    return cache[path]
allx={"m":[],"s":[],"speak":[]};ally={"m":[],"s":[],"speak":[]}
def add(kind,f):
    L=json.load(open(f))["lines"]; rows=[json.loads(l) for l in open(f+"l")]; d=os.path.dirname(f)
    for r,l in zip(rows,L):
        try: allx[kind].append(float(of(os.path.join(d,r["wav"]))@of(os.path.join(d,r["reference"])))); ally[kind].append(l["secs"])
        except (ValueError, FileNotFoundError) as e: pass
for n in "c1 d-b e-7 e-8s4 old q-f1 q-g0 q-now q-mix8 q-self w-base w-g13 z1".split():
    for k in "ms": add(k,f"/root/sem/{n}/{k}.json")
for f in glob.glob("/root/t2v/d*/m.json")+[f"/root/f5/{n}/m.json" for n in ("o-8","o-base","o-gta","s-base","s-m")]: add("speak",f)
X=sum(allx.values(),[]);Y=sum(ally.values(),[])
print({k:(len(allx[k]),round(spearmanr(allx[k],ally[k])[0],3),round(np.mean(allx[k]),3),round(np.mean(ally[k]),3)) for k in allx},"all",len(X),round(spearmanr(X,Y)[0],3))
