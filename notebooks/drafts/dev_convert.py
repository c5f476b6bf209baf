"""ceil.py OUT key=value: dev pairs, by the installed app with another way to the code."""
import sys, json, os; sys.path.insert(0,"/work/main")
import numpy as np, torch, torch.nn.functional as F
torch.set_num_threads(1)
from lib.voices import Voices
kw=dict(who="target",tta=0,mix=0.0,fine="",dec="",contrast=1.0,steps=4,n=20,model="frames",root="/work/main/assets/checkpoints")
out=sys.argv[1]
for a in sys.argv[2:]: k,v=a.split("="); kw[k]=type(kw[k])(v)
os.makedirs(out,exist_ok=True)
v=Voices.load(kw["root"]); sem=v.bundle["semantic"]
plain=sem.encode; rng=np.random.default_rng(0)
def other(m,k,tilt):
    M=m.shape[1]; pos=np.clip(np.arange(M)*k,0,M-1); lo=pos.astype(int); hi=np.minimum(lo+1,M-1); w=torch.tensor(pos-lo,dtype=torch.float32)[:,None]
    m=m[:,lo]*(1-w)+m[:,hi]*w
    return m+torch.linspace(-tilt,tilt,M)[:,None]
if kw["tta"]:
    def many(mel):
        c=[plain(mel)]
        for k,t in ((.93,.3),(1.07,-.3),(.96,-.4),(1.04,.4))[:kw["tta"]]: c.append(plain(other(mel,k,t)))
        return torch.stack(c).mean(0)
    sem.encode=many
if kw["mix"]:
    if not os.path.exists("/root/sem/centroids.pt"):
        h=v.bundle["harmonic"]; tot=torch.zeros(96,sem.config.symbols); cnt=torch.zeros(sem.config.symbols)
        with torch.inference_mode():
            for f in ("/work/main/runs/frames/chunk-004.npz","/work/main/runs/frames/chunk-010.npz","/root/f5/more-000.npz"):
                for r in np.load(f,allow_pickle=True)["rows"][:200]:
                    if r["split"]!="train": continue
                    c=plain(h.mel(torch.tensor(r["wav"].astype("float32")/32767)[None,None])); p=sem.symbols(c).exp(); tot+=c[0]@p[0].T; cnt+=p[0].sum(1)
        torch.save((tot/cnt.clamp_min(1),cnt),"/root/sem/centroids.pt")
    C,_=torch.load("/root/sem/centroids.pt")
    def towards(mel):
        c=plain(mel); p=sem.symbols(c).exp(); return (1-kw["mix"])*c+kw["mix"]*(C@p[0])[None]
    sem.encode=towards
if kw["fine"]:
    from torch import nn
    from lib.nn.blocks import ConvNeXtStack
    v.bundle["frames"]
    if kw.get("dec"): v.bundle["harmonic"].decoder.load_state_dict(torch.load(kw["dec"],weights_only=False)["ema"])
    src=open("/root/f5/train9.py").read(); a=src.index("class Fine"); b=src.index("def pad("); exec(src[a:b])
    name,K,gain=kw["fine"].split(","); K=int(K); gain=float(gain); st=torch.load(name,weights_only=False)["ema"]; fr=v.bundle["frames"]
    fr.load_state_dict({k:x for k,x in st.items() if "fine" not in k and k not in("mean","std")},strict=False)
    fine=Fine(K,256); fine.load_state_dict({k[5:]:x for k,x in st.items() if k.startswith("fine.")}); fine.eval()
    seen={}; sem0=sem.encode
    def enc(mel): seen["mel"]=mel; return sem0(mel)
    sem.encode=enc; told0=fr.told
    def told(z,phones=None,code=None):
        m=seen["mel"]; n=m.shape[2]; bands=m[:,:,:n].reshape(1,32,4,n).mean(2)
        return told0(z,phones,code)+gain*fine.out(fine(bands,torch.ones(1,1,n),0.0)).transpose(1,2)
    fr.told=told
    with torch.inference_mode():
        m=v.bundle["harmonic"].analyse(torch.tensor(__import__("lib").audio.source(json.load(open("/root/sem/pairs.json"))[0]["source"]))[None,None])[0]; n=m.shape[2]
        r=fine(m.reshape(1,32,4,n).mean(2),torch.ones(1,1,n),0.0); print("fine", r.shape, r.std(), fine.out(r).std(), told0(torch.zeros(1,96,n),code=sem0(m)).std())
fr_=v.bundle["frames"]; s0=fr_.sample
def sample(*a,**k): k.setdefault("steps",kw["steps"]); return s0(*a,**k)
fr_.sample=sample; d0=fr_.decode
def decode(x):
    b=x[...,:128]; m=b.mean(1,keepdim=True); return d0(torch.cat([m+(b-m)*kw["contrast"],x[...,128:]],2))
fr_.decode=decode
L=json.load(open("/root/sem/pairs.json"))[:kw["n"]]; lines=[]; back=[]
for i,l in enumerate(L):
    name=f"{out}/{i}.wav"
    v.convert(l["source"],l["source"] if kw["who"]=="self" else l["reference"],model=kw["model"]).save(name)
    lines.append({"wav":name,"reference":l["reference"],"text":l["text"]}); back.append({"wav":name,"reference":l["source"],"text":l["text"]})
open(f"{out}/m.jsonl","w").write("".join(json.dumps(x)+"\n" for x in lines)); open(f"{out}/s.jsonl","w").write("".join(json.dumps(x)+"\n" for x in back))
