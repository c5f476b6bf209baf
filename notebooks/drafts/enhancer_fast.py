import torch, torch.nn.functional as F
class DW(torch.autograd.Function):
    """Depthwise kernel 3, dilation d, x [B,F,H] w [3,H] b [H]."""
    @staticmethod
    def forward(ctx,x,w,b,d):
        w=w.to(x.dtype); ctx.save_for_backward(x,w); ctx.d=d
        y=x*w[1]+b.to(x.dtype)
        y[:,d:]+=x[:,:-d]*w[0]; y[:,:-d]+=x[:,d:]*w[2]
        return y
    @staticmethod
    def backward(ctx,g):
        x,w=ctx.saved_tensors; d=ctx.d; g=g.to(x.dtype)
        dx=g*w[1]; dx[:,:-d]+=g[:,d:]*w[0]; dx[:,d:]+=g[:,:-d]*w[2]
        def s(a,c): return torch.einsum('bfh,bfh->h',a,c) if False else (a*c).sum((0,1),dtype=torch.float32)
        dw=torch.stack([s(x[:,:-d],g[:,d:]),s(x,g),s(x[:,d:],g[:,:-d])])
        return dx,dw,g.sum((0,1),dtype=torch.float32),None
def forward(self,x,mask,condition):
    scale,shift,gain=self.film(condition)[:,None].chunk(3,2)
    d=self.wide.dilation[0]
    w=self.wide.weight[:,0].t()
    xb=x.to(torch.bfloat16) if BF else x
    h=DW.apply(xb,w,self.wide.bias,d)
    h=F.layer_norm(h,h.shape[-1:]) if not BF else LN(h)
    h=h*(1+scale)+shift
    return x+gain*self.down(F.gelu(self.up(h)))
def LN(h):
    with torch.autocast('cpu',enabled=False): return F.layer_norm(h,h.shape[-1:])
BF=True
def patch(bf=True):
    global BF; BF=bf
    from lib.nn.adaptive import AdaptiveBlock; AdaptiveBlock.forward=forward
