"""lda.py DEV|EVAL: closed-form backends on the pooled statistics."""
import sys, json, os, glob; sys.path[:0]=["/work/main","/root/drafts"]
import numpy as np, torch
from scipy.stats import spearmanr
from scipy.linalg import eigh
from lib import audio
from referee import Referee
torch.set_num_threads(1)
net=Referee(); net.load_state_dict(torch.load("/root/ref/state-4000.pt",weights_only=False)["net"]); net.eval()
got=[]; net.out.register_forward_pre_hook(lambda m,i: got.append(i[0][0].numpy()))
cache={}
def of(path):
    if path not in cache:
        with torch.inference_mode():
            mel=audio.mel(torch.tensor(audio.prepare(path,(.5,10)))[None,None]); e=net.embed_mel(mel)
        cache[path]=(got[-1],e[0].numpy(),mel.mean(2)[0].numpy())
    return cache[path]
sets={}
def add(kind,f):
    L=json.load(open(f))["lines"]; rows=[json.loads(l) for l in open(f+"l")]; d=os.path.dirname(f)
    for r,l in zip(rows,L):
        try: sets.setdefault(kind,[]).append((of(os.path.join(d,r["wav"])),of(os.path.join(d,r["reference"])),l["secs"]))
        except (ValueError, FileNotFoundError) as e: pass
if sys.argv[1]=="DEV":
    for n in "c1 d-b e-7 e-8s4 old q-f1 q-g0 q-now q-mix8 q-self w-base w-g13 z1".split():
        for k in "ms": add(k,f"/root/sem/{n}/{k}.json")
    for f in glob.glob("/root/t2v/d*/m.json")+[f"/root/f5/{n}/m.json" for n in ("o-8","o-base","o-gta","s-base","s-m")]: add("speak",f)
else:
    for d,f in (("judge-speak-plan","manifest"),("judge-speak-studio","manifest"),("judge-convert-plan","manifest"),("judge-convert-plan","own"),("judge-convert-studio","manifest"),("judge-convert-studio","own")): add(d+f[0],f"/work/main/runs/{d}/{f}.json")
def show(name,emb):
    def u(x): return x/np.linalg.norm(x)
    c={}
    def g(t):
        k=id(t)
        if k not in c: c[k]=u(emb(t))
        return c[k]
    X={k:[float(g(a)@g(b)) for a,b,_ in v] for k,v in sets.items()}; Y={k:[s for *_,s in v] for k,v in sets.items()}
    print(name,[round(float(spearmanr(X[k],Y[k])[0]),3) for k in sets],"all",round(float(spearmanr(sum(X.values(),[]),sum(Y.values(),[]))[0]),3),[round(float(np.mean(v)),2) for v in X.values()],flush=True)
show("cos",lambda t:t[1])
d=np.load("/root/ref/feats.npz"); X,who,kind,M=d["X"],d["who"],d["kind"],d["M"]
M=M-M.mean(1,keepdims=True)
acc=np.array([("accented" in k) for k in kind]); copy=np.array(["*" in w for w in who])
def lda(X,who,dim,shrink):
    mu=X.mean(0); X=X-mu; names,inv=np.unique(who,return_inverse=True)
    cnt=np.bincount(inv); means=np.zeros((len(names),X.shape[1])); np.add.at(means,inv,X); means/=cnt[:,None]
    keep=cnt[inv]>1
    R=(X-means[inv])[keep]; Sw=R.T@R/ max(1,(keep.sum()-(cnt>1).sum()))
    Sb=means.T@means/len(names)
    Sw=(1-shrink)*Sw+shrink*np.diag(np.diag(Sw))+1e-6*np.eye(len(Sw))*np.trace(Sw)/len(Sw)
    v,U=eigh(Sb,Sw); U=U[:,::-1][:,:dim]; return mu,U

import pickle
W=net.out
def raw(x):
    with torch.inference_mode(): return W(torch.tensor(np.atleast_2d(x))).numpy()
got_=None
Z=raw(X)
nm,sel="copies, no acc",~acc
for dim in (32,48,64):
    for sh in (.5,.8,1.):
        mu,U=lda(X[sel],who[sel],dim,sh); show(f"lda {nm} {dim} {sh}",lambda t:(t[0]-mu)@U)
for dim in (32,64,128):
    for sh in (.1,.5):
        mu,U=lda(Z[sel],who[sel],dim,sh); show(f"lda of raw {nm} {dim} {sh}",lambda t:(raw(t[0])[0]-mu)@U)
