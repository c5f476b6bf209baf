"""exf.py OUT key=value: 40 dev pairs by frames, with what they leave out of the source put back (k), and away from the source (g)."""
import sys, json, os, time
kw=dict(fine=.5,k=0.0,g=0.0,n=40,lib="/work/main",state="",self=0,smooth=4,low=0,contrast=1.1)
out=sys.argv[1]
for a in sys.argv[2:]: q,v=a.split("="); kw[q]=type(kw[q])(v)
sys.path.insert(0,kw["lib"])
import numpy as np, torch, torch.nn.functional as F
torch.set_num_threads(1)
import lib.voices.convert as cv
from lib import audio
from lib.models.frames import Frames, FramesConfig
from lib.voices import Voices
os.makedirs(out,exist_ok=True)
if kw["lib"]!="/work/main":
    import lib.models.frames as fm
v=Voices.load("/work/main/assets/checkpoints") if kw["lib"]=="/work/main" else None
if v is None:
    import lib.voices.bundle as vb
    v=Voices.load("/work/main/assets/checkpoints")
old=None
if kw["state"]:
    harm=v.bundle["harmonic"]; codec=v.bundle["codec"]
    new=Frames(FramesConfig(),codec,harm); st=torch.load(kw["state"],weights_only=False)["ema"]
    print(new.load_state_dict(st,strict=False).unexpected_keys)
    s=np.load("/root/f5/stats.npz"); new.mean.copy_(torch.tensor(s["mean"])); new.std.copy_(torch.tensor(s["std"]))
    net=new.eval()
else: net=v.bundle["frames"]
S={}; K=kw["k"]; G=kw["g"]
@torch.inference_mode()
def by(voices, wav, spk_emb, clips, report, strength, pitch, semitones, detail):
    spk_emb=spk_emb[1] if isinstance(spk_emb,tuple) else spk_emb
    mel,f0=net.harmonic.analyse(wav); nothing=wav.new_zeros(1,96,mel.shape[2]); code=voices.bundle["semantic"].encode(mel)
    content=net.told(nothing,code=code,fine=kw["fine"]*net.fine(mel))
    looks=cv.pieces(clips); ref=torch.cat([net.look_at(l) for l in looks],1)
    moved=cv.moved_f0(f0,net.harmonic.f0(looks[-1]),pitch,semitones)
    lead=net.encode(mel,moved)[:,:,128:]
    state=torch.get_rng_state(); x=net.sample(content,spk_emb,ref,lead,1.0,contrast=1.0)
    if K or G:
        torch.set_rng_state(state)
        sref=net.look_at(torch.tensor(audio.prepare(S["source"],cv.LOOK))[None,None]); own=torch.tensor(voices.embed(S["source"]))[None]
        real=net.encode(mel,f0); xs=net.sample(content,own,sref,real[:,:,128:],1.0,contrast=1.0)
        rest=(real-xs)[:,:,:128]; rest=rest-rest.mean(1,keepdim=True)
        n=kw["smooth"]
        if n>1: rest=F.avg_pool1d(F.pad(rest,(n//2,n-1-n//2),mode="replicate"),n,1)
        add=K*rest+G*((x-xs)[:,:,:128])
        x=torch.cat([x[:,:,:128]+add,x[:,:,128:]],2)
    c=kw["contrast"]; b=x[:,:,:128]; x=torch.cat([torch.lerp(b.mean(1,keepdim=True),b,c),x[:,:,128:]],2)
    return net.harmonic(*net.decode(x))
cv.BY_FRAMES["frames"]=by
L=json.load(open("/root/sem/pairs.json")); L=L+json.load(open("/root/sem/pairs2.json"))
lines=[]; back=[]; t=time.process_time()
for i,l in enumerate(L):
    name=f"{out}/{i}.wav"; S["source"]=l["source"]; v.convert(l["source"],l["source"] if kw["self"] else l["reference"],model="frames").save(name)
    lines.append({"wav":name,"reference":l["reference"],"text":l["text"]}); back.append({"wav":name,"reference":l["source"],"text":l["text"]})
print("cpu",time.process_time()-t)
open(f"{out}/m.jsonl","w").write("".join(json.dumps(x)+"\n" for x in lines)); open(f"{out}/s.jsonl","w").write("".join(json.dumps(x)+"\n" for x in back))
