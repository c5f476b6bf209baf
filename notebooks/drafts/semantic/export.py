"""export.py OUT: mean weights of final.pt as checkpoint semantic, with its card."""
import sys, json; sys.path.insert(0,"/work/main")
import torch
from lib import training
from lib.models.semantic import Semantic, SemanticConfig
st=torch.load("/root/sem/final.pt",weights_only=False); net=Semantic(SemanticConfig()); net.load_state_dict(st["ema"]); net.eval()
f=json.load(open("/root/sem/figures.json"))
card={"name":"semantic","source":"lesson 07 to come; steps as below",
"data":"7,632 rows with text of the train side (LibriSpeech and copies with another throat, Kokoro-82M voices, speechocean762, hibari-tts), symbols aligned by tts; vectors of whisper-base's encoder for about 10 h of the rows that are no copies",
"licence":"weights Apache-2.0; learned from LibriSpeech: CC BY 4.0 (Panayotov et al. 2015); speechocean762: CC BY 4.0 (Zhang et al. 2021); hibari-tts 0.2.1, voice heart: synthetic; Kokoro-82M: synthetic; teacher whisper-base: MIT",
"budget":"full, one CPU core, 0.9 h",
"stages":[f"from nothing: 4,231 steps of 16 x 240 frames, cross-entropy of aligned symbols, from step 1,250 half of a CTC loss beside it; bands moved by up to 8 %, equalised, some noise",
 f"{st['step']-4231:,} steps with 3 times the squared error to 128 principal components of whisper-base's encoder, each weighed by its deviation; the average of the weights",
 "matrices rounded to int8"],
"figures":f,
"use":"what is said in a recording, told to frames in conversion"}
training.save(sys.argv[1],net,net.config,card,pack=True)
