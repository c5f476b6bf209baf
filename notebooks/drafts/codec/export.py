import sys, json; sys.path.insert(0,"/work/main")
import torch
from pathlib import Path
from lib import training
from lib.models.harmonic import HarmonicCodec
from lib.nn.critics import Discriminator
from lib.training.checkpoint import fingerprint, read
st=torch.load("/root/gta/state.pt",weights_only=False); C=Path("/work/main/assets/checkpoints")
net=HarmonicCodec(); net.decoder.load_state_dict(st["ema"]); critic=Discriminator(); critic.load_state_dict(st["critic"])
card=json.load(open(C/"harmonic/card.json")); old=json.loads(json.dumps(card))
stage="it hears what it will be given: half of each batch are frames that `frames` (before its last training) drew with the timing and f0 of 800 recordings of up to 5 s, their mel loss counting half; adversarial 5, feature matching 25, rate 3e-4 falling to a twentieth, 1,734 steps (half a core for 32 min); the average of the weights"
card["stages"]=card["stages"][:4]+[stage,card["stages"][4]]
card["budget"]="full, one CPU core, 1 h"
f=card["figures"]; f.update(ovrl=3.263,p808=3.902,secs=.977,wer=.075); f["studio_voices"].update(ovrl=3.110,p808=3.585,secs=.947)
f["speaking"]="20 lines of speech by the same frames, dev people, before and after the last stage: wer .140 .114, secs .743 .732, ovrl 2.80 2.92, p808 3.33 3.39 (after 1,300 of its steps)"
json.dump([{"until":"it heard predicted frames, too","what":"; ".join(old["stages"]),"figures":old["figures"]}],open(C/"harmonic/history.json","w"),indent=1); open(C/"harmonic/history.json","a").write("\n")
training.save(C/"harmonic",net.eval(),net.config,card,pack=True)
card2=json.load(open(C/"harmonic_critic/card.json")); card2["stages"]=card2["stages"]+["beside a decoder that hears predicted frames in half of each batch, 1,734 steps"]; card2["budget"]="full, one CPU core, 1 h"
training.save(C/"harmonic_critic",critic,None,card2,pack=True)
p=C/"frames/config.json"; c=json.load(open(p)); c["needs"]["harmonic"]=fingerprint(read(C/"harmonic")); p.write_text(json.dumps(c,indent=1)+"\n"); print(c["needs"])
