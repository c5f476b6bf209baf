import torch, math
import torch.nn.functional as F
def patch(f, kw):
    """sampling settings: steps, guidance, noise_scale, bf, lo, hi (interval of t that is guided), noz, nophones, noref"""
    def sample(content, spk_emb, ref=None, pitch=None, close=1.0, progress=None, **_):
        steps=int(kw.get("steps",12)); w=kw.get("guidance",1.5); ns=kw.get("noise_scale",.1); lo=kw.get("lo",0.); hi=kw.get("hi",1.)
        n=content.shape[1]; B=f.config.M
        with torch.autocast("cpu",torch.bfloat16,enabled=bool(kw.get("bf",0))):
            if ref is None or kw.get("noref"): ref=content.new_zeros(1,2,B+2); rm=torch.zeros(1,2,dtype=torch.bool)
            else: rm=torch.ones(ref.shape[:2],dtype=torch.bool)
            seen,sm=f.read(ref,rm); noise=torch.randn(1,n,B+2)*ns; x=noise; grid=1-torch.cos(torch.linspace(0,math.pi/2,steps+1))
            if kw.get("uni"): grid=torch.linspace(0,1,steps+1)
            for s,e in zip(grid[:-1].tolist(),grid[1:].tolist()):
                if w!=1 and lo<=s<hi:
                    t=torch.full((2,),s); a,b=f.velocity(x.expand(2,-1,-1),t,content.expand(2,-1,-1),spk_emb.expand(2,-1),torch.tensor([1.,0.]),(seen.expand(2,-1,-1),torch.cat([sm,torch.zeros_like(sm)])),torch.ones(2,n,1)).split(1); v=b+w*(a-b)
                else: v=f.velocity(x,torch.full((1,),s),content,spk_emb,torch.ones(1),(seen,sm),torch.ones(1,n,1))
                x=x+(e-s)*v
        return x
    f.sample=sample
