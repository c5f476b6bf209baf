import sys; sys.path.insert(0,"/work/shared/tools")
import numpy as np, judge, torch, time
torch.set_num_threads(1)
e=judge.ge2e(); z=np.load("halves.npz",allow_pickle=True); t=time.time()
V=np.stack([e(x) for x in z["x"]]); print("s",time.time()-t, sum(map(len,z["x"]))/16000)
np.savez("ge_halves.npz",V=V,who=z["who"])
who=z["who"]; i,j=np.triu_indices(len(V),1); c=(V[i]*V[j]).sum(1); same=who[i]==who[j]
ts=np.sort(c); 
f=lambda t:(np.mean(c[same]<t),np.mean(c[~same]>=t))
lo,hi=-1,1
for _ in range(40):
    m=(lo+hi)/2; a,b=f(m)
    if a<b: lo=m
    else: hi=m
print("eer",f(lo))
