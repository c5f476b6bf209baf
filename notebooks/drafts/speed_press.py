"""press.py NAME SPEED mode..: variants"""
import sys,json; sys.path.insert(0,"/work/main")
import numpy as np, soundfile as sf, parselmouth
from parselmouth.praat import call
from lib.audio import praat
name,speed,mode=sys.argv[1],float(sys.argv[2]),sys.argv[3]; arg=[float(x) for x in sys.argv[4:]]
rows=[json.loads(l) for l in open("b.jsonl")]
def quiet(w,db):
    n=160; e=np.sqrt((w[:len(w)//n*n].reshape(-1,n)**2).mean(1)); e=np.convolve(e,np.ones(3)/3,"same"); return 20*np.log10(e+1e-7)-20*np.log10(np.percentile(e,95)+1e-7)
def run(w):
    if mode=="plain": return praat.hurried(w.astype("float32"),speed)
    db=quiet(w,0); thr,ratio=arg[0],arg[1]
    # frames' relative cost: loud 1, quiet 1/ratio
    rel=np.where(db<thr,1/ratio,1.0)
    if mode=="flux":
        import torch; from lib import audio
        M=audio.mel(torch.tensor(w,dtype=torch.float32)[None,None])[0].numpy(); T=M.shape[1]
        fl=np.abs(np.diff(M,axis=1,prepend=M[:,:1])).mean(0); fl=np.convolve(np.pad(fl,2,mode="edge"),np.ones(5)/5,"valid")
        fl=np.interp(np.linspace(0,T-1,len(rel)),np.arange(T),fl); med=np.median(fl[db>=thr]); g=np.clip(fl/med,1/arg[2],arg[2])**arg[3]
        rel=np.where(db<thr,rel,g)
    rel=np.convolve(np.pad(rel,2,mode="edge"),np.ones(5)/5,"valid")
    k=len(rel)/speed/rel.sum(); f=rel*k
    f=np.minimum(f,1.0)
    snd=parselmouth.Sound(w.astype("float64"),16000); m=call(snd,"To Manipulation",.01,60,500); d=call("Create DurationTier","d",0,snd.duration)
    for i,x in enumerate(f): call(d,"Add point",(i+.5)*.01,float(x))
    call([m,d],"Replace duration tier"); return call(m,"Get resynthesis (overlap-add)").values[0].astype("float32")
out=[];L=[]
for r in rows:
    w,_=sf.read(r["wav"]); y=run(w); L.append(len(w)/len(y)); sf.write(f"{name}-{r['wav']}",y,16000); out.append(r|{"wav":f"{name}-{r['wav']}"})
open(f"{name}.jsonl","w").write("".join(json.dumps(o)+"\n" for o in out)); print(name,"rate",np.mean(L))
