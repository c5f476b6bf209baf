import sys, json; sys.path.insert(0,"/work/main")
import torch
from lib import training
from lib.models.semantic import Semantic, SemanticConfig
C="/work/main/assets/checkpoints/semantic"
st=torch.load("/root/sem/final.pt",weights_only=False); net=Semantic(SemanticConfig()); net.load_state_dict(st["ema"]); net.eval(); print(st["step"])
card=json.load(open(C+"/card.json")); old=json.loads(json.dumps(card))
json.dump([{"until":"2,300 more steps beside whisper's encoder","what":"; ".join(old["stages"]),"figures":old["figures"]}],open(C+"/history.json","w"),indent=1); open(C+"/history.json","a").write("\n")
card["stages"][1]=f"{st['step']-4231:,} steps with 3 times the squared error to 128 principal components of whisper-base's encoder, each weighed by its deviation; the average of the weights"
card["budget"]="full, one CPU core, 1.3 h"; card["source"]="notebooks/src/07_hierarchical_speech.py, run as scripts of commit be238ff (notebooks/drafts/semantic)"
p=json.load(open("/root/sem/probe.json")); card["figures"]["vectors"].update({k:p[k] for k in ("symbols_right_frames","ctc_symbol_error","voice_guessed_code","voice_guessed_mel","voice_guessed_flow_vae")})
training.save(C,net,net.config,card,pack=True)
