"""export.py OUT SEMANTIC_FOLDER [FIGURES.json]: mean weights of /root/t2v/state3.pt as checkpoint text_to_vec beside that semantic."""
import sys, json; sys.path.insert(0, "/work/main")
import torch
from lib import training
from lib.models.semantic import Semantic, SemanticConfig
from lib.models.text_to_vec import TextToVec, TextToVecConfig
out, lender = sys.argv[1:3]
figures = json.load(open(sys.argv[3])) if len(sys.argv) > 3 else {}
sem, _ = training.load(lender, Semantic, SemanticConfig)
net = TextToVec(TextToVecConfig(), sem); st = torch.load("/root/t2v/state3.pt", weights_only=False)
r = net.load_state_dict(st["ema"], strict=False); assert not r.unexpected_keys and all(k.startswith("semantic.") for k in r.missing_keys), r
card = {"name": "text_to_vec", "source": "notebooks/src/07_hierarchical_speech.py",
 "data": "2,103 clips with text of the train side (LibriSpeech and copies with another throat, Kokoro-82M voices, speechocean762, hibari-tts), symbols aligned by tts",
 "licence": "weights Apache-2.0; learned from LibriSpeech: CC BY 4.0 (Panayotov et al. 2015); speechocean762: CC BY 4.0 (Zhang et al. 2021); hibari-tts 0.2.1, voice heart: synthetic; Kokoro-82M: synthetic",
 "budget": "full, a share of one busy CPU core, 0.7 h",
 "stages": ["text encoder of tts, frozen; durations from there", "latents begin as principal components of vectors and melody, the prior as ridge regression of them on the states of the text encoder (260 clips)",
   f"{st['step']:,} steps of 14 x 160 frames by the losses of lesson 07, the recording's own latents for half of a batch, paths given; targets: vectors of the student, those of an earlier state mapped linearly to the present ones (cosine .96); the average of the weights", "matrices rounded to int8"],
 "figures": figures, "use": "speak(melody=...): register, range and pace of one clip in the voice of another"}
training.save(out, net.eval(), net.config, card, pack=True, lenders={"semantic": lender})
print("step", st["step"])
