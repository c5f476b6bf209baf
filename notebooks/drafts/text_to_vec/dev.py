"""dev.py ROOT OUT [lines] [melody]: the lines of /root/f5/dev2.py through text_to_vec (or frames: model=frames)."""
import sys, json, os; sys.path.insert(0,"/work/main")
import numpy as np, torch, glob
torch.set_num_threads(1)
from lib.voices import Voices
from lib import audio
root,out,n,model=sys.argv[1],sys.argv[2],int(sys.argv[3]),sys.argv[4]
os.makedirs(out,exist_ok=True)
src="/root/f5/o-g2"
lines=[json.loads(l) for l in open(src+"/m.jsonl")][:n]
v=Voices.load(root); res=[]
for i,l in enumerate(lines):
    s=v.speak(l["text"],f"{src}/{l['reference']}",model=model); s.save(f"{out}/{i}.wav")
    res.append({"wav":f"{i}.wav","reference":f"{src}/{l['reference']}","text":l["text"]}); print(i,round(s.facts["seconds"],2),round(s.facts["took"],2),flush=True)
open(f"{out}/m.jsonl","w").write("".join(json.dumps(l)+"\n" for l in res))
