import sys; sys.path.insert(0,"/work/main"); sys.path.insert(1,"/work/main/runs/codec")
import torch, re, numpy as np
from lib.models.harmonic import HarmonicCodec
def convert(sd):
    out={}
    for k,v in sd.items():
        k=re.sub(r"^blocks\.(\d+)\.(wide|norm|up|down|gain)", r"backbone.\2.\1", k); k=re.sub(r"^first\.", "norm.", k); out["decoder."+k]=v
    return out
if __name__=="__main__":
    from sketch import HarmonicDecoder
    st=torch.load("/work/main/runs/codec/state.pt",weights_only=False)
    a=HarmonicDecoder(); a.load_state_dict(st["ema"]); b=HarmonicCodec(); b.load_state_dict(convert(st["ema"]))
    mel=torch.randn(1,128,50)*2-5; f0=torch.rand(1,50)*200+80
    torch.manual_seed(0); x=a(mel,f0); torch.manual_seed(0); y=b(mel,f0); print((x-y).abs().max(), x.abs().max())
    w=torch.randn(1,1,16000)*.1; print(b.analyse(w)[0].shape,b.analyse(w)[1].shape)
    exec(open("/work/main/runs/codec/resynth.py").read().split("def logmel")[1].join(["def logmel",""]).split("def go")[0].replace("filters","F_") if False else "")
