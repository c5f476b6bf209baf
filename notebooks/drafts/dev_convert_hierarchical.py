"""ex.py OUT key=value: 40 dev pairs by the hierarchical model, with transport k and a source to go away from."""
import sys, json, os, time
kw=dict(fine=.5,k=0.0,guid=1.25,away=0,n=40,lib="/work/main",state="",self=0,ext=0.0)
out=sys.argv[1]
for a in sys.argv[2:]: q,v=a.split("="); kw[q]=type(kw[q])(v)
sys.path.insert(0,kw["lib"])
import numpy as np, torch
torch.set_num_threads(1)
import lib.voices.convert as cv
from lib import audio
from lib.models.hierarchical import Hierarchical, draw
from lib.nn import pitch as pitches
from lib.voices import Voices
os.makedirs(out,exist_ok=True)
v=Voices.load("/work/main/assets/checkpoints"); net=v.bundle["hierarchical"]
if kw["state"]:
    from lib.models.hierarchical import HierarchicalConfig
    new=Hierarchical(HierarchicalConfig(),net.harmonic); print(new.load_state_dict(torch.load(kw["state"],weights_only=False)["ema"],strict=False).unexpected_keys)
    new.contrast.copy_(torch.load("/root/hier/final6.pt",weights_only=False)["contrast"])
    net=new.eval(); v.bundle._models={**getattr(v.bundle,"_models",{})}
cv.FINE=kw["fine"]
S={}
@torch.inference_mode()
def by(voices, wav, spk_emb, clips, report, strength, pitch, semitones, detail):
    spk_emb=spk_emb[1] if isinstance(spk_emb,tuple) else spk_emb
    mel,f0=net.harmonic.analyse(wav); code=voices.bundle["semantic"].encode(mel)
    looks=cv.pieces(clips); ref=torch.cat([net.look_at(l) for l in looks],2)
    sref=net.look_at(torch.tensor(audio.prepare(S["source"],cv.LOOK))[None,None]); own=torch.tensor(voices.embed(S["source"]))[None]
    moved=cv.moved_f0(f0,net.harmonic.f0(looks[-1]),pitch,semitones)
    fine=kw["fine"]*net.fine(mel)
    mask=torch.ones_like(code[:,:1]); one=torch.ones(1)
    heard=lambda r: torch.ones(1,r.shape[2],dtype=torch.bool)
    gt,gs=net.told(spk_emb,one),net.told(own,one); g0=net.told(spk_emb,one*0)
    pt,ps=pitches.channels(moved),pitches.channels(f0)
    fo=net.fine.out(fine)
    ht=net.listener(code,pt,mask,gt,ref,heard(ref),fo)
    if kw["away"]: gu,hu=gs,net.listener(code,pt,mask,gs,sref,heard(sref),fo)
    else: gu,hu=g0,net.listener(code,pt,mask,g0,ref,heard(ref)&False,fo)
    m_p,_=net.prior(code,pitches.melody(pt,mask),mask)
    def low(g,h,zs): return net.down(zs,mask,g,h)
    zt=net.semantic_flow(m_p,mask,gt,reverse=True); zu=net.semantic_flow(m_p,mask,gu,reverse=True)
    told,untold=low(gt,ht,zt),low(gu,hu,zu)
    z=untold+kw["guid"]*(told-untold)
    z=z*net.contrast[:,None]
    if kw["k"]:
        # what the way down from the source's own vectors leaves out of the source, added in the target
        hs=net.listener(code,ps,mask,gs,sref,heard(sref),fo)
        m,_=net.acoustic(net.bands(mel),ps,mask,gs)
        up=net.up(m,mask,gs,hs); mps,_=net.prior(code,pitches.melody(ps,mask),mask); zs=net.semantic_flow(mps,mask,gs,reverse=True)
        rest=up-zs
        rest=rest-rest.mean(2,keepdim=True)
        moved_z=low(gt,ht,zt+kw["k"]*rest)-told
        z=z+moved_z
    return net.harmonic(net.frames(z,pt,mask,gt),moved)
cv.BY_FRAMES["hierarchical"]=by
L=json.load(open("/root/sem/pairs.json")); L=L+json.load(open("/root/sem/pairs2.json"))
lines=[]; back=[]; t=time.process_time()
for i,l in enumerate(L):
    name=f"{out}/{i}.wav"; S["source"]=l["source"]; v.convert(l["source"],l["source"] if kw["self"] else l["reference"],model="hierarchical").save(name)
    lines.append({"wav":name,"reference":l["reference"],"text":l["text"]}); back.append({"wav":name,"reference":l["source"],"text":l["text"]})
print("cpu",time.process_time()-t)
open(f"{out}/m.jsonl","w").write("".join(json.dumps(x)+"\n" for x in lines)); open(f"{out}/s.jsonl","w").write("".join(json.dumps(x)+"\n" for x in back))
