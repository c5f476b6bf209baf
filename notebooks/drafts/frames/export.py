"""usage: export.py OUT [card.json]: the mean weights of state.pt as a checkpoint."""
import sys, json; sys.path.insert(0,"/work/main")
import torch, numpy as np
from lib import training
from lib.models.frames import Frames, FramesConfig
from lib.voices.bundle import Bundle
B=Bundle(); out=sys.argv[1]; card=json.load(open(sys.argv[2] if len(sys.argv)>2 else "/work/main/assets/checkpoints/frames/card.json"))
src=sys.argv[3] if len(sys.argv)>3 else "/root/f5/state6.pt"
st=torch.load(src,weights_only=False); s=np.load("/root/f5/stats.npz"); sd=dict(st["ema"]); sd.setdefault("semantic.weight", torch.zeros(256,96,5))
net=Frames(FramesConfig(),B["codec"],B["harmonic"])
sd["mean"]=torch.tensor(s["mean"]); sd["std"]=torch.tensor(s["std"])
r=net.load_state_dict(sd,strict=False); assert not r.unexpected_keys and all(k.startswith(("codec","harmonic")) for k in r.missing_keys),r
print("step",st["step"])
training.save(out,net.eval(),net.config,card,pack=True,lenders={"codec":B["codec"],"harmonic":B["harmonic"]})
