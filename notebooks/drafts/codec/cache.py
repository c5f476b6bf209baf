"""Frames predicted with the timing and f0 of a recording, beside its sound."""
import sys, glob, os; sys.path.insert(0,"/work/main")
import numpy as np, torch, torch.nn.functional as F
torch.set_num_threads(1); torch.manual_seed(3); rng=np.random.default_rng(3)
from lib.models.frames import Frames, FramesConfig
from lib.models.harmonic import HarmonicCodec
from lib.models.semantic import Semantic, SemanticConfig
s=np.load("/root/f5/stats.npz"); har=HarmonicCodec(); fr=Frames(FramesConfig(),None,har)
fr.load_state_dict({k:v for k,v in torch.load("/root/f5/state6_16112.pt",weights_only=False)["ema"].items() if k not in("mean","std")},strict=False)
fr.mean.copy_(torch.tensor(s["mean"])); fr.std.copy_(torch.tensor(s["std"])); fr.eval()
sem=Semantic(SemanticConfig()); sem.load_state_dict(torch.load("/root/sem/final_2300.pt",weights_only=False)["ema"]); sem.eval()
rows=[]; by={}
for f in sorted(glob.glob("/work/main/runs/frames/chunk-*.npz")+glob.glob("/root/f5/more-*.npz")):
    for r in np.load(f,allow_pickle=True)["rows"]:
        if r["split"]=="train" and len(r["f0"])>160: by.setdefault(r["speaker"],[]).append(len(rows)); rows.append({k:r[k] for k in ("wav","f0","windows","speaker","file","band","z_text","tokens","w") if k in r})
w=np.array([{"accented.parquet":.7,"heart.parquet":.4}.get(r["file"],.3 if r["band"] else 1.2) for r in rows]); w/=w.sum()
FR=400; out=[]; part=0
with torch.inference_mode():
    for j,i in enumerate(rng.choice(len(rows),1400,p=w,replace=False)):
        r=rows[i]; others=[k for k in by[r["speaker"]] if k!=i]
        if not others: others=[i]
        o=rows[rng.choice(others)]
        wav=torch.tensor(r["wav"].astype("float32")/32767); n=min(len(r["f0"]),len(wav)//200); wav=wav[:n*200]; f0=torch.tensor(r["f0"][:n].astype("float32"))[None]
        mel=har.mel(wav[None,None])[:,:,:n]; x=fr.encode(mel,f0)
        ow=torch.tensor(o["wav"].astype("float32")/32767)[: 200*int(rng.integers(160,400))]; on=len(ow)//200
        ref=fr.encode(har.mel(ow[None,None,:on*200]),torch.tensor(o["f0"][:on].astype("float32"))[None])
        e=o["windows"].astype("float32").mean(0); e=torch.tensor(e/np.linalg.norm(e))[None]
        a=int(rng.integers(max(1,n-FR+1))); b=min(n,a+FR)
        heard="z_text" not in r or rng.random()<.25
        if heard: content=fr.told(torch.zeros(1,96,n),code=sem.encode(mel))
        else:
            z=torch.tensor(r["z_text"].astype("float32"))[None]; size=round(z.shape[2]*1.28); z=F.interpolate(z,size=size,mode="linear")
            each=np.repeat(r["tokens"].astype("int64"),r["w"].astype("int64")); ph=torch.tensor(each[np.minimum((np.arange(size)+.5)/1.28,len(each)-1).astype(int)])[None]
            content=fr.told(z,ph)[:,:n]; 
            if content.shape[1]<b: b=content.shape[1]
        if b-a<100: continue
        y=fr.sample(content[:,a:b],e,ref,x[:,a:b,128:],steps=6,guidance=1.5,noise_scale=float(rng.choice([.1,.1,.3])))
        m,_=fr.decode(y)
        out.append({"wav":r["wav"][a*200:b*200],"f0":f0[0,a:b].numpy().astype("float16"),"mel":m[0].numpy().astype("float16"),"heard":heard,"file":r["file"],"speaker":r["speaker"],"band":r["band"]})
        if len(out)==200: np.savez("tmp.npz",rows=np.array(out,dtype=object)); os.replace("tmp.npz",f"gta-{part:02d}.npz"); part+=1; out=[]; print(j,flush=True)
