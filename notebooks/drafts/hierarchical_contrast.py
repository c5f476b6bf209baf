import sys, torch
src=open("/root/hier/train6.py").read(); sys.argv=["x","23:59"]
head=src.split("def warm(net)")[0].replace("MELS, HOP, FR, B, REF, SIDE = 128, 200, 128, 8, 160, 24","MELS, HOP, FR, B, REF, SIDE = 128, 200, 128, 160, 160, 24")
exec(head)
st=torch.load("/root/hier/state7.pt",weights_only=False); net=Hierarchical(HierarchicalConfig(),HarmonicCodec(HarmonicCodecConfig())); net.load_state_dict(st["ema"],strict=False); net.eval()
rng=np.random.default_rng(0); torch.manual_seed(0)
with torch.no_grad(): net.measure_contrast(batch())
print(net.contrast[:10], net.contrast.mean()); torch.save(dict(st,contrast=net.contrast),"/root/hier/final7.pt")
