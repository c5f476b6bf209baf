"""Frames predicted by today's models with the timing and f0 of a recording, beside its sound."""
import sys, glob, os; sys.path.insert(0,"/work/main")
import numpy as np, torch, torch.nn.functional as F
torch.set_num_threads(1); torch.manual_seed(int(sys.argv[1])); rng=np.random.default_rng(int(sys.argv[1]))
from lib.voices import Voices
from lib.models.text_to_vec import prompt
from lib.nn import pitch
B=Voices.load("/work/main/assets/checkpoints").bundle
fr,sem,t2v,har=B["frames"],B["semantic"],B["text_to_vec"],B["harmonic"]
rows=[]; by={}
for f in sorted(glob.glob("/work/main/runs/frames/chunk-*.npz")+glob.glob("/root/f5/more-*.npz")):
    for r in np.load(f,allow_pickle=True)["rows"]:
        if r["split"]=="train" and len(r["f0"])>160: by.setdefault(r["speaker"],[]).append(len(rows)); rows.append({k:r[k] for k in ("wav","f0","windows","speaker","file","band","tokens","w") if k in r})
w=np.array([{"accented.parquet":.7,"heart.parquet":.4}.get(r["file"],.25 if r["band"] else 1.2) for r in rows]); w/=w.sum()
FR=400; out=[]; part=int(sys.argv[2]); last=int(sys.argv[3])
with torch.inference_mode():
    for j,i in enumerate(rng.choice(len(rows),6000,p=w,replace=True)):
        r=rows[i]; others=[k for k in by[r["speaker"]] if k!=i] or [i]; o=rows[rng.choice(others)]
        wav=torch.tensor(r["wav"].astype("float32")/32767); n=min(len(r["f0"]),len(wav)//200); wav=wav[:n*200]; f0=torch.tensor(r["f0"][:n].astype("float32"))[None]
        mel=har.mel(wav[None,None])[:,:,:n]; x=fr.encode(mel,f0)
        ow=torch.tensor(o["wav"].astype("float32")/32767)[: 200*int(rng.integers(160,400))]; on=len(ow)//200
        ref=fr.encode(har.mel(ow[None,None,:on*200]),torch.tensor(o["f0"][:on].astype("float32"))[None])
        e=o["windows"].astype("float32").mean(0); e=torch.tensor(e/np.linalg.norm(e))[None]
        code=sem.encode(mel); heard="tokens" not in r or rng.random()<.3
        if not heard:
            ends=np.minimum(np.round(np.cumsum(r["w"].astype("int64"))*1.28),n); ends[-1]=n; d=np.diff(ends,prepend=0).astype(int)
            if d.min()<0: heard=True
            else:
                lead=pitch.channels(f0)
                try: g=t2v.manner(t2v.scaled(prompt(mel[0],lead[0],code[0])[None])).unsqueeze(2)
                except ValueError: continue
                tok=torch.tensor(r["tokens"].astype("int64"))[None]; xm=torch.ones(1,1,tok.shape[1])
                h,m_p,logs=t2v.text(tok,xm); each=torch.tensor(np.repeat(np.arange(len(d)),d))
                z=m_p[:,:,each]+torch.randn(1,m_p.shape[1],n)*logs[:,:,each].exp()*.1; k=torch.ones_like(z[:,:1])
                code=t2v.decode(t2v.flow(z,k,g,reverse=True),k,g)["code_hat"]
        a=int(rng.integers(max(1,n-FR+1))); b=min(n,a+FR)
        if b-a<100: continue
        content=fr.told(torch.zeros(1,96,b-a),code=code[:,:,a:b])
        y=fr.sample(content,e,ref,x[:,a:b,128:])
        m,_=fr.decode(y)
        out.append({"wav":r["wav"][a*200:b*200],"f0":f0[0,a:b].numpy().astype("float16"),"mel":m[0].numpy().astype("float16"),"heard":heard,"file":r["file"],"speaker":r["speaker"],"band":r["band"]})
        if len(out)==200:
            t=f"tmp{part}.npz"; np.savez(t,rows=np.array(out,dtype=object)); os.replace(t,f"g2-{part:02d}.npz"); part+=1; out=[]; print(j,part,flush=True)
            if part>=last: break
