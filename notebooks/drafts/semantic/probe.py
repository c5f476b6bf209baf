import sys, json; sys.path.insert(0,"/work/main")
import glob, numpy as np, torch, collections
torch.set_num_threads(1)
from lib.models.semantic import Semantic, SemanticConfig
from lib.models.harmonic import HarmonicCodec
from lib.voices.bundle import Bundle
from lib import audio
st=torch.load("/root/sem/final.pt",weights_only=False); net=Semantic(SemanticConfig()); net.load_state_dict(st["ema"]); net.eval(); ctc=torch.nn.Conv1d(96,178 if False else st["ctc"]["weight"].shape[0],1) if "ctc" in st else None
if ctc is None:
    s2=torch.load("/root/sem/state.pt",weights_only=False); ctc=torch.nn.Conv1d(96,s2["ctc"]["weight"].shape[0],1); ctc.load_state_dict(s2["ctc"])
B=Bundle(); h=B["harmonic"]; fv=B["flow_vae"]
rows=[]
for f in sorted(glob.glob("/work/main/runs/frames/chunk-*.npz"))[:]:
    rows+=[r for r in np.load(f,allow_pickle=True)["rows"] if r["split"]=="valid" and "tokens" in r and "*" not in str(r["speaker"])]
rows=rows[:160]; print(len(rows))
def ed(a,b):
    d=np.arange(len(b)+1)
    for i,x in enumerate(a,1):
        p=d.copy(); d[0]=i
        for j,y in enumerate(b,1): d[j]=min(p[j]+1,d[j-1]+1,p[j-1]+(x!=y))
    return d[-1]
from lib.models.flow_vae import standardise
err=tot=acc=n=0; pools={"code":collections.defaultdict(list),"mel":collections.defaultdict(list),"flow_vae":collections.defaultdict(list)}
with torch.inference_mode():
    for r in rows:
        w=torch.tensor(r["wav"].astype("float32")/32767)[None,None]; mel=h.mel(w); c=net.encode(mel)
        g=ctc(c).argmax(1)[0]; g=torch.unique_consecutive(g); g=[int(x)-1 for x in g if x>0]; t=[int(x) for x in torch.unique_consecutive(torch.tensor(r["tokens"].astype("int64"))) if x>0]
        err+=ed(g,t); tot+=len(t)
        each=np.repeat(r["tokens"].astype("int64"),r["w"].astype("int64")); y=each[np.minimum((np.arange(mel.shape[2])+.5)/1.28,len(each)-1).astype(int)]
        acc+=(net.symbols(c).argmax(1)[0].numpy()==y).sum(); n+=len(y)
        pools["code"][r["speaker"]].append(c[0].mean(1).numpy()); pools["mel"][r["speaker"]].append(mel[0].mean(1).numpy())
        m8=audio.mel(w); pools["flow_vae"][r["speaker"]].append(fv.content(standardise(m8,torch.ones_like(m8[:,:1])),torch.ones_like(m8[:,:1]))[0].mean(1).numpy())
print("token error",err/tot,"frame acc",acc/n); out={"symbols_right_frames":round(float(acc/n),3),"ctc_symbol_error":round(err/tot,3)}
for k,p in pools.items():
    who=[s for s in p if len(p[s])>=4]; C=np.stack([np.mean(p[s][::2],0) for s in who]); mu,sd=C.mean(0),C.std(0)+1e-6; C=(C-mu)/sd; ok=m=0
    for i,s in enumerate(who):
        for v in p[s][1::2]: ok+=int(np.argmin((((v-mu)/sd-C)**2).sum(1))==i); m+=1
    print(k,"voice guessed",ok/m,"of",len(who),"chance",1/len(who)); out["voice_guessed_"+k]=round(ok/m,3); out["voices"]=len(who)
json.dump(out,open("/root/sem/probe.json","w"))
