"""ceil3.py OUT key=value: 40 dev pairs by the installed app."""
import sys, json, os; sys.path.insert(0,"/work/main")
import numpy as np, torch
torch.set_num_threads(1)
import lib.voices.convert as cv
from lib.voices import Voices
kw=dict(fine=.5,contrast=1.1,guid=1.0,gate=0.0,n=40,model="frames",root="/work/main/assets/checkpoints",state="",sem="",steps=3,codegain=1.0)
out=sys.argv[1]
for a in sys.argv[2:]: k,v=a.split("="); kw[k]=type(kw[k])(v)
os.makedirs(out,exist_ok=True)
v=Voices.load(kw["root"]); sem=v.bundle["semantic"]; fr=v.bundle["frames"]
if kw["state"]: 
    st=torch.load(kw["state"],weights_only=False)["ema"]; fr.load_state_dict({k:x for k,x in st.items() if k not in("mean","std")},strict=False)
if kw["sem"]: sem.load_state_dict(torch.load(kw["sem"],weights_only=False)["ema"])
cv.FINE=kw["fine"]; cv.CONTRAST=kw["contrast"]
s0=fr.sample
def sample(*a,**k):
    k.setdefault("guidance",kw["guid"]); k.setdefault("steps",kw["steps"]); return s0(*a,**k)
fr.sample=sample
if kw["gate"]:
    enc=sem.encode; f0=fr.fine.forward; seen={}
    def encode(mel): c=enc(mel); seen["c"]=c; return c
    sem.encode=encode
    def fine(mel,mask=None):
        p=sem.symbols(seen["c"]).exp(); H=-(p*p.clamp_min(1e-6).log()).sum(1,keepdim=True)
        g=(H/kw["gate"]).clamp(max=1)  # entropy at which all of it is used
        seen["g"]=g.mean().item(); return f0(mel,mask)*g
    fr.fine.forward=fine
L=json.load(open("/root/sem/pairs.json")); L=L+[dict(L[i],reference=L[(i+7)%20]["reference"]) for i in range(20)]; L=L[:kw["n"]]
lines=[]; back=[]
for i,l in enumerate(L):
    name=f"{out}/{i}.wav"; v.convert(l["source"],l["reference"],model=kw["model"]).save(name)
    lines.append({"wav":name,"reference":l["reference"],"text":l["text"]}); back.append({"wav":name,"reference":l["source"],"text":l["text"]})
if kw["gate"]: print("mean gate",seen["g"])
open(f"{out}/m.jsonl","w").write("".join(json.dumps(x)+"\n" for x in lines)); open(f"{out}/s.jsonl","w").write("".join(json.dumps(x)+"\n" for x in back))
