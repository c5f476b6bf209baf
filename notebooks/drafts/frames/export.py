import sys, re; sys.path.insert(0,"/work/main"); sys.path.insert(1,"/tmp"); sys.path.insert(2,"/work/main/runs/frames")
import torch, numpy as np, json
from lib import training
from lib.models.frames import Frames, FramesConfig
from lib.voices.bundle import Bundle
B=Bundle(); out=sys.argv[1]; card=json.load(open(sys.argv[2])) if len(sys.argv)>2 else {"data":"x","licence":"x","budget":"full","figures":{"a":1}}
st=torch.load("/work/main/runs/frames/state.pt",weights_only=False); s=np.load("/work/main/runs/frames/stats.npz")
sd={}
for k,v in st["ema"].items():
    k=re.sub(r"^z_in\.","latents.",k); k=re.sub(r"^ref_in\.","reference.",k); k=re.sub(r"^ref_blocks\.","readers.",k); k=re.sub(r"^look\.","looks.",k); sd[k]=v
net=Frames(FramesConfig(),B["codec"],B["harmonic"])
sd["mean"]=torch.tensor(s["mean"]); sd["std"]=torch.tensor(s["std"])
r=net.load_state_dict(sd,strict=False); assert not r.unexpected_keys and all(k.startswith(("codec","harmonic")) for k in r.missing_keys),r
net.eval()
if len(sys.argv)<=2:
    from model import Frames as Old
    old=Old(); old.load_state_dict(st["ema"]); old.eval()
    x=torch.randn(2,50,130); z=torch.randn(2,96,50); e=torch.randn(2,128); ref=torch.randn(2,40,130); rm=torch.ones(2,40,dtype=torch.bool); rm[1,20:]=False
    with torch.no_grad():
        a=old(x,torch.tensor([.3,.7]),z,e,torch.ones(2),ref,rm,torch.ones(2,50,1)); b=net(x,torch.tensor([.3,.7]),z,e,torch.ones(2),ref,rm,torch.ones(2,50,1)); print((a-b).abs().max(), a.abs().max())
        torch.manual_seed(0); p=old.sample(z[:1],e[:1],ref[:1]); 
        torch.manual_seed(0); q=net.sample(z[:1],e[:1],ref[:1],guidance=1.0); torch.manual_seed(0); p=old.sample(z[:1],e[:1],ref[:1],guide=1.0000001); print((p-q).abs().max())
print("step",st["step"])
training.save(out,net,net.config,card,pack=True,lenders={"codec":B["codec"],"harmonic":B["harmonic"]})
