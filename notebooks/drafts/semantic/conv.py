"""conv.py OUT key=value: 20 dev pairs converted.  mode=old|z|phones|both"""
import sys, json, os, glob; sys.path.insert(0,"/work/main")
import numpy as np, torch, torch.nn.functional as F
torch.set_num_threads(1)
from lib.voices import Voices
from lib.data import corpus
from lib import audio
from lib.models.frames import Frames, FramesConfig, through_gaps
from lib.models.semantic import Semantic, SemanticConfig
out=sys.argv[1]; kw=dict(mode="z",steps=6,guidance=1.5,noise=.1,temp=1.0,clamp=1,look=6.0,n=20,sem="/root/sem/final.pt",ck="/root/f5/state6.pt",detail=1.0)
for a in sys.argv[2:]: k,v=a.split("="); kw[k]=type(kw[k])(float(v)) if not isinstance(kw[k],str) else v
os.makedirs(out,exist_ok=True)
v=Voices.load("/work/main/assets/checkpoints"); fr=v.bundle["frames"]; fv=v.bundle["flow_vae"]
st=torch.load(kw["ck"],weights_only=False)["ema"]; fr.load_state_dict({k:x for k,x in st.items() if k not in ("mean","std")},strict=False)
if os.path.exists("/root/gta/state.pt"): fr.harmonic.decoder.load_state_dict(torch.load("/root/gta/state.pt",weights_only=False)["ema"])
if kw["mode"]!="old":
    sem=Semantic(SemanticConfig()); sem.load_state_dict(torch.load(kw["sem"],weights_only=False)["ema"]); sem.eval()
pf="/root/sem/pairs.json"
if not os.path.exists(pf):
    rng=np.random.default_rng(101)
    src=[r for r in corpus.rows([f"/work/shared/corpus/speech-{i}.parquet" for i in (0,1)],"valid") if r["text_kind"]=="human" and 3<r["seconds"]<8]
    used=set()
    for f in glob.glob("/work/main/runs/frames/chunk-*.npz"):
        used|={r["id"] for r in np.load(f,allow_pickle=True)["rows"] if r["file"]=="accented.parquet"}
    acc=[r for r in corpus.rows("/work/shared/corpus/accented.parquet","train") if r["id"] not in used and r["seconds"]>3.0]
    people=sorted({r["speaker"] for r in acc}); rng.shuffle(people); rng.shuffle(src); os.makedirs("/root/sem/pairs",exist_ok=True); L=[]
    for i in range(20):
        t=max((r for r in acc if r["speaker"]==people[i]),key=lambda r:r["seconds"]); s=src[i]
        audio.save(f"/root/sem/pairs/s{i}.wav",*audio.load(s["audio"])); audio.save(f"/root/sem/pairs/t{i}.wav",*audio.load(t["audio"])); L.append({"source":f"/root/sem/pairs/s{i}.wav","reference":f"/root/sem/pairs/t{i}.wav","text":s["text"]})
    json.dump(L,open(pf,"w"))
L=json.load(open(pf))[:kw["n"]]; lines=[]; back=[]
def stats(f0):
    l=torch.log(f0[f0>0]); return l.median(), l.std().clamp(.05,.5)
for i,l in enumerate(L):
    name=f"{out}/{i}.wav"; torch.manual_seed(0)
    if kw["mode"]=="old": v.convert(l["source"],l["reference"]).save(name)
    else:
        with torch.inference_mode():
            wav=torch.tensor(audio.source(l["source"])); n=len(wav); wav=F.pad(wav,(0,-n%audio.HOP))[None,None]
            own=torch.tensor(v.embed(l["source"]))[None]; e=torch.tensor(v.embed(l["reference"]))[None]
            mel,f0=fr.harmonic.analyse(wav); fn=mel.shape[2]
            rw=torch.tensor(audio.prepare(l["reference"],(1.0,kw["look"])))[None,None]; rmel,rf0=fr.harmonic.analyse(rw); ref=fr.encode(rmel,rf0)
            z=torch.zeros(1,96,fn); content=fr.told(z,code=sem.encode(mel))
            pitch=None
            if kw["clamp"]:
                a,b=stats(f0[0]); c,d=stats(rf0[0]); k=(d/b).clamp(.8,1.25)
                nf=torch.where(f0>0,torch.exp((torch.log(f0.clamp_min(1))-a)*k+c),torch.zeros(())); pitch=fr.encode(mel,nf)[...,128:]
            x=fr.sample(content,e,ref,pitch=pitch,steps=kw["steps"],guidance=kw["guidance"],noise_scale=kw["noise"])
            y=fr.harmonic(*fr.decode(x))[0,0,:n].numpy(); audio.save(name,16000,audio.normalise(y)) if False else audio.save(name,audio.normalise(y),16000) if False else __import__("soundfile").write(name,audio.normalise(y),16000)
    lines.append({"wav":name,"reference":l["reference"],"text":l["text"]}); back.append({"wav":name,"reference":l["source"],"text":l["text"]})
open(f"{out}/m.jsonl","w").write("".join(json.dumps(x)+"\n" for x in lines)); open(f"{out}/s.jsonl","w").write("".join(json.dumps(x)+"\n" for x in back))
