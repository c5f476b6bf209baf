"""Vectors that text_to_vec says with the timing of a recording: t2vcode-CHUNK, int8 [F, 96] by number of the row."""
import sys, glob, os; sys.path.insert(0,"/work/main")
import numpy as np, torch
torch.set_num_threads(1); torch.manual_seed(5)
from lib.voices import Voices
from lib.models.text_to_vec import prompt
from lib.nn import pitch
B=Voices.load("/work/main/assets/checkpoints").bundle
sem,t2v,har=B["semantic"],B["text_to_vec"],B["harmonic"]
files=sorted(glob.glob("/work/main/runs/frames/chunk-*.npz")+glob.glob("/root/f5/more-*.npz"))
for f in files:
    out="t2vcode-"+os.path.basename(f)
    if os.path.exists(out): continue
    codes=[]
    with torch.inference_mode():
        for number,r in enumerate(np.load(f,allow_pickle=True)["rows"]):
            if r["split"]!="train" or len(r["f0"])<100 or "tokens" not in r: continue
            f0=torch.tensor(r["f0"].astype("float32"))[None]; n=f0.shape[1]
            ends=np.minimum(np.round(np.cumsum(r["w"].astype("int64"))*1.28),n); ends[-1]=n; d=np.diff(ends,prepend=0).astype(int)
            if d.min()<0: continue
            wav=torch.tensor(r["wav"].astype("float32")/32767)[: 480*200]; k=min(len(wav)//200,n); mel=har.mel(wav[None,None,:k*200]); lead=pitch.channels(f0)[0]
            try: p=prompt(mel[0],lead[:,:mel.shape[2]],sem.encode(mel)[0])[None]
            except ValueError: continue
            g=t2v.manner(t2v.scaled(p)).unsqueeze(2); tok=torch.tensor(r["tokens"].astype("int64"))[None]; xm=torch.ones(1,1,tok.shape[1])
            h,m_p,logs=t2v.text(tok,xm); each=torch.tensor(np.repeat(np.arange(len(d)),d))
            z=m_p[:,:,each]+torch.randn(1,m_p.shape[1],n)*logs[:,:,each].exp()*.1; one=torch.ones_like(z[:,:1])
            c=t2v.decode(t2v.flow(z,one,g,reverse=True),one,g)["code_hat"]
            codes.append((number,(c[0].T*127).round().to(torch.int8).numpy()))
    np.savez("tmpcode.npz",codes=np.array(codes,dtype=object)); os.replace("tmpcode.npz",out); print(out,len(codes),flush=True)
