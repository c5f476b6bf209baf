"""dev.py OUT MODEL key=value: dev pairs by the installed app as it is."""
import sys, json, os; sys.path.insert(0,"/work/main")
import torch; torch.set_num_threads(1)
import lib.voices.convert as cv
from lib.voices import Voices
out,model=sys.argv[1:3]; os.makedirs(out,exist_ok=True)
for a in sys.argv[3:]:
    k,v=a.split("="); 
    if k in ("BEYOND","REST"): getattr(cv,k)[model]=float(v)
    else: setattr(cv,k,float(v))
import torch.nn.functional as F
R=float(os.environ.get("R","0")); W=int(os.environ.get("WIDE","4"))
def rest_of(net, mel, f0, own):
    r = mel - net.resynthesise(mel, f0, own)
    r = r - r.mean(2, keepdim=True)
    r = F.pad(r.transpose(1,2), (W//2, W-1-W//2), mode="replicate")
    return F.avg_pool1d(r, W, 1).transpose(1,2)
if R:
    from lib.models.hierarchical import Hierarchical, Source
    old = Hierarchical.sample
    @torch.inference_mode()
    def sample(self, code, f0, spk_emb, ref=None, fine=None, source=None, close=1.0, **k):
        out = old(self, code, f0, spk_emb, ref, fine, source, close, **k)
        return out + R * rest_of(self, source.mel, source.f0, source.spk_emb) if source is not None else out
    Hierarchical.sample = sample
v=Voices.load(os.environ.get("CK","/work/main/assets/checkpoints"))
L=json.load(open("/root/sem/pairs.json"))+json.load(open("/root/sem/pairs2.json")); lines=[]; back=[]
for i,l in enumerate(L):
    name=f"{out}/{i}.wav"; v.convert(l["source"],l["reference"],model=model).save(name)
    lines.append({"wav":name,"reference":l["reference"],"text":l["text"]}); back.append({"wav":name,"reference":l["source"],"text":l["text"]})
open(f"{out}/m.jsonl","w").write("".join(json.dumps(x)+"\n" for x in lines)); open(f"{out}/s.jsonl","w").write("".join(json.dumps(x)+"\n" for x in back))
