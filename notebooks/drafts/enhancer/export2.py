import sys,json,os; sys.path.insert(0,'/work/main')
import torch
from lib import training
from lib.models.enhancer import *
R='/work/main/runs/'
st=torch.load('/tmp/enh/gen25.pt',weights_only=False); net=Enhancer(EnhancerConfig()); net.load_state_dict(st['avg']); net.eval()
def read(p): return json.load(open(p)) if os.path.exists(p) else {}
e=read(R+'judge-enhance/judged.json'); t=read(R+'judge-tune/judged.json')
rtf=float(sys.argv[1]) if len(sys.argv)>1 else None
f={}
if e:
    f={"sdri":e["recorded"]["anybody"]["sdri"][0],"clean_speech_sdr":e["clean speech, sdr"],"real_time_factor":rtf,
       "judge_enhance":{k:v for k,v in e.items() if k not in("people","clean speech, sdr","by kind")},"by_kind_of_recording":e["by kind"]}
    f["protocol"]=f"make judge TASK=enhance: the first {e['people']} of 21 valid people of LibriSpeech, 5 s each at -2.5, 0 and 2.5 dB with 2 recordings that no training heard, 3 generated noises, babble and one other of these people; sdri is that of recordings; mean, low and high of 95 % over people; eSTOI and PESQ at 0 dB; by kind: one recording for each person at 0 dB, kinds that were not learned were kept from training whole; real-time factor of 10 minutes on one busy thread, CPU seconds"
if t:
    f["judge_tune"]=t["everybody"]; f["judge_tune_real"]=t.get("real",{}); f["judge_tune_virtual"]=t.get("virtual",{})
    f["protocol_tune"]="make judge TASK=tune: people whom the enhancer never met, 2 clips of 5 s each at -2.5, 0 and 2.5 dB in five noises (recordings of three kinds, babble, one other person); tuned 120 steps of 8 mixtures on up to 150 s of the person's own speech, or on 40 sentences that speak made from 5 s; other recordings of the same kinds in tuning; gains over the noisy clip, whose own marks are levels; eSTOI and PESQ at 0 dB"
card={"name":"enhancer","source":"notebooks/src/09_enhancement.py",
"data":"15.0 h, 6,520 clips: LibriSpeech 5.0 h of 233 training speakers and 6.4 h of these with their throats shifted (0.84 to 1.2) and equalised; synthetic voices 2.0 h of 126 and 0.8 h shifted, and 0.5 h of one (Kokoro-82M, hibari-tts); speechocean762 1.1 h of 128; 238 recordings of 8 kinds of ESC-10 and of two code repositories, half of all noise draws, and 120 generated noises (coloured, hum, clicks), varied in speed and colour; babble and rivals from the same speech, others each time",
"licence":"weights Apache-2.0; learned from LibriSpeech: CC BY 4.0 (Panayotov et al. 2015); speechocean762: CC BY 4.0 (Zhang et al. 2021); ESC-10: CC BY 3.0 (Piczak 2015); noises of speechbrain/speechbrain: Apache 2.0; of iver56/audiomentations: MIT; synthetic voices (Kokoro-82M, hibari-tts): Apache-2.0",
"budget":f"full, cut short: {st['i']} steps of 8 mixtures of 2.5 s, {st['spent']/60:.0f} min on a sixth of one busy CPU core (about {CPU} CPU minutes)" if (CPU:=os.environ.get('CPUMIN')) else '',
"stages":[f"{st['i']} steps, AdamW 3e-3 down half a cosine, bf16, average of weights (decay up to .999), half of the mixtures told of a voice"],
"figures":f}
dest=sys.argv[2] if len(sys.argv)>2 else '/work/main/assets/checkpoints/enhancer'
training.save(dest,net,net.config,card,pack=True)
print(os.path.getsize(dest+'/model.safetensors')/1e6,'MB',st['i'])
