import sys,glob,time,json,os
import numpy as np
os.environ["OMP_NUM_THREADS"]="1"
from faster_whisper import WhisperModel
import faster_whisper
m=WhisperModel(sys.argv[1],device="cpu",compute_type="int8",cpu_threads=1)
rows=[]; 
def windows():
    cur=[]; size=0
    for f in sorted(glob.glob("/work/main/runs/frames/chunk-*.npz")):
        for i,r in enumerate(np.load(f,allow_pickle=True)["rows"]):
            if "*" in str(r["speaker"]): continue
            n=len(r["wav"])
            if n>29*16000: continue
            if size+n+4800>30*16000: yield cur; cur=[]; size=0
            cur.append((os.path.basename(f),i,r["wav"],size)); size+=n+4800
            size=-(-size//320)*320
    if cur: yield cur
P=None; out=[]; fit=[]; t=time.time(); n=0; part=0
for w in windows():
    wav=np.zeros(30*16000,"float32")
    for f,i,x,at in w: wav[at:at+len(x)]=x[:len(wav)-at].astype("float32")/32767
    feats=m.feature_extractor(wav)[...,:3000]
    e=np.array(m.encode(feats))[0].astype("float32")
    if P is None:
        fit.append(e); out.append((w,e))
        if len(fit)==40:
            a=np.concatenate(fit); mu=a.mean(0); u,s,vt=np.linalg.svd(a-mu,full_matrices=False); P=vt[:128].T/(s[:128]/np.sqrt(len(a))); print("kept",(s[:128]**2).sum()/(s**2).sum()); np.savez("/root/whi/pca.npz",mu=mu,P=P); 
            old=out; out=[(f,i,((e2[at//320:(at+len(x))//320+1]-mu)@P).astype("float16")) for w2,e2 in old for f,i,x,at in w2]
        continue
    out+=[(f,i,((e[at//320:(at+len(x))//320+1]-mu)@P).astype("float16")) for f,i,x,at in w]
    n+=1
    if n%50==0: print(n,time.time()-t,flush=True)
    if n%100==0: np.savez(f"/root/whi/tmp.npz",rows=np.array(out,dtype=object)); os.replace("/root/whi/tmp.npz",f"/root/whi/part-{part:02d}.npz"); part+=1; out=[]
np.savez(f"/root/whi/part-{part:02d}.npz",rows=np.array(out,dtype=object)); print("done")
