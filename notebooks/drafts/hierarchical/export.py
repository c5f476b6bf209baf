"""export.py OUT card.json [state]: mean weights as a checkpoint."""
import sys, json; sys.path.insert(0, "/work/main")
import torch
from lib import training
from lib.models.hierarchical import Hierarchical, HierarchicalConfig
from lib.voices.bundle import Bundle
out, card = sys.argv[1], json.load(open(sys.argv[2])); B = Bundle()
st = torch.load(sys.argv[3] if len(sys.argv) > 3 else "/root/hier/final.pt", weights_only=False)
net = Hierarchical(HierarchicalConfig(), B["harmonic"]); r = net.load_state_dict(st["ema"], strict=False)
assert not r.unexpected_keys and all(k.startswith(("harmonic", "contrast")) for k in r.missing_keys), r




net.contrast.copy_(st["contrast"])
print("step", st["step"], "spent", st["spent"])
training.save(out, net.eval(), net.config, card, pack=True, lenders={"harmonic": B["harmonic"]})
