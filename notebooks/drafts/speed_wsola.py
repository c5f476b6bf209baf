import sys,json; sys.path.insert(0,"/work/main")
import numpy as np, soundfile as sf, av
from lib.audio import praat
def atempo(w, speed):
    g=av.filter.Graph(); src=g.add_abuffer(sample_rate=16000, format="flt", layout="mono"); t=g.add("atempo",f"{speed:.6f}"); fmt=g.add("aformat","sample_fmts=flt:channel_layouts=mono"); sink=g.add("abuffersink"); src.link_to(t); t.link_to(fmt); fmt.link_to(sink); g.configure()
    f=av.AudioFrame.from_ndarray(w.astype("float32")[None],format="flt",layout="mono"); f.sample_rate=16000; f.pts=0; src.push(f); src.push(None); out=[]
    while True:
        try: out.append(sink.pull().to_ndarray()[0])
        except (av.EOFError, av.BlockingIOError): break
    return np.concatenate(out)
def quiet_first(w, speed):
    "quiet keeps a quarter of what the rest keeps: quiet now, the rest by atempo"
    s=praat.shortened(w,speed); loud=s.max(); orig=praat.shortened
    praat.shortened=lambda w,speed: s/loud
    y=praat.hurried(w,speed); praat.shortened=orig
    return atempo(y, len(y)*speed/len(w))
for name in sys.argv[1:]:
    out=[]
    for k in range(64):
        w,_=sf.read(f"m1-{k:03d}.wav"); w=w.astype("float32"); row=json.loads(open("h1.jsonl").readlines()[k])
        y=atempo(w,2) if name=="at" else quiet_first(w,2)
        y=y/max(1,np.abs(y).max()); f=f"{name}-{k:03d}.wav"; sf.write(f,y,16000); out.append(row|{"wav":f,"n":len(y)/len(w)})
    open(name+".jsonl","w").write("".join(json.dumps(o)+"\n" for o in out)); print(name,np.mean([o["n"] for o in out]))
