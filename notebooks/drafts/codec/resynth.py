"""Resynthese valid clips and studio references.  resynth.py OUT [state]"""
import sys, os, json, glob; sys.path.insert(0,"/work/main")
import numpy as np, torch, soundfile as sf
torch.set_num_threads(1); torch.manual_seed(0)
from lib import audio, training
from lib.data import corpus
from lib.models.harmonic import HarmonicCodec
net=HarmonicCodec(); net.load_state_dict(training.read("/work/main/assets/checkpoints/harmonic"))
if len(sys.argv)>2: net.decoder.load_state_dict(torch.load(sys.argv[2],weights_only=False)["ema"])
net.eval(); out=sys.argv[1]; os.makedirs(out,exist_ok=True)
def go(wav):
    wav=audio.normalise(wav-wav.mean()); wav=wav[:len(wav)//200*200]
    with torch.inference_mode(): return wav, net(*net.analyse(torch.tensor(wav)[None,None].float()))[0,0].numpy()
rows=corpus.rows(sorted(glob.glob("/work/shared/corpus/speech-*.parquet")),"valid"); seen,lines=set(),[]
for r in rows:
    if (r["bandwidth_hz"] or 8000)<7000 or r["speaker"] in seen or not 4<r["seconds"]<16: continue
    seen.add(r["speaker"]); a,b=go(audio.source(r["audio"]))
    n=len(lines); sf.write(f"{out}/v{n}-src.wav",a,16000); sf.write(f"{out}/v{n}.wav",np.clip(b,-1,1),16000); lines.append({"wav":f"v{n}.wav","text":r["text"],"reference":f"v{n}-src.wav"})
open(f"{out}/valid.jsonl","w").write("".join(json.dumps(l)+"\n" for l in lines)); lines=[]
for f in sorted(glob.glob("/work/shared/eval/studio/*")):
    try: a,b=go(audio.source(f))
    except Exception as e: print(f,e); continue
    n=len(lines); sf.write(f"{out}/s{n}-src.wav",a,16000); sf.write(f"{out}/s{n}.wav",np.clip(b,-1,1),16000); lines.append({"wav":f"s{n}.wav","reference":f"s{n}-src.wav"})
open(f"{out}/studio.jsonl","w").write("".join(json.dumps(l)+"\n" for l in lines)); print(len(lines))
