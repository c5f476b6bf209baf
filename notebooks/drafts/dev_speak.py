"""sd.py OUT key=value: 20 dev lines by text_to_vec, with other weights."""
import sys, json, os; sys.path.insert(0,"/work/main")
import torch; torch.set_num_threads(1)
from lib.voices import Voices
import lib.models.frames as fm
kw=dict(dec="",fr="",t2v="",steps=4,model="text_to_vec",noise=.1,n=20,fnoise=.1,contrast=1.0); out=sys.argv[1]
for a in sys.argv[2:]: k,v=a.split("="); kw[k]=type(kw[k])(v)
v=Voices.load(); fr=v.bundle["frames"]; t=v.bundle["text_to_vec"]
if kw["dec"]: v.bundle["harmonic"].decoder.load_state_dict(torch.load(kw["dec"],weights_only=False)["ema"])
if kw["fr"]: fr.load_state_dict({k:x for k,x in torch.load(kw["fr"],weights_only=False)["ema"].items() if k not in("mean","std") and "fine" not in k},strict=False)
if kw["t2v"]: t.load_state_dict(torch.load(kw["t2v"],weights_only=False)["ema"],strict=False)
s0=fr.sample
def sample(*a,**k): k["steps"]=kw["steps"]; k["noise_scale"]=kw["fnoise"]; return s0(*a,**k)
fr.sample=sample
if kw["contrast"]!=1:
    d0=fr.decode
    def decode(x):
        b=x[...,:128]; m=b.mean(1,keepdim=True); return d0(torch.cat([m+(b-m)*kw["contrast"],x[...,128:]],2))
    fr.decode=decode
L=[json.loads(l) for l in open("/root/f5/o-g2/m.jsonl")][:kw["n"]]; R=[]; os.makedirs(out,exist_ok=True)
for i,l in enumerate(L):
    v.speak(l["text"],"/root/f5/o-g2/"+l["reference"],model=kw["model"],noise_scale=kw["noise"]).save(f"{out}/{i}.wav"); R.append({"wav":f"{i}.wav","text":l["text"],"reference":"/root/f5/o-g2/"+l["reference"]})
open(f"{out}/m.jsonl","w").write("".join(json.dumps(r)+"\n" for r in R))
