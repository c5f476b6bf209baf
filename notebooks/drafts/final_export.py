"""All four, one beside the other: semantic, frames, text_to_vec, hierarchical."""
import sys, json, subprocess; sys.path.insert(0,"/work/main")
import numpy as np, torch
from pathlib import Path
from lib import training
from lib.training.checkpoint import fingerprint, read
C=Path("/work/main/assets/checkpoints"); what=sys.argv[1:]
if "semantic" in what: exec(open("/root/sem/export4.py").read())
if "frames" in what:
    from lib.models.frames import Frames, FramesConfig
    from lib.voices.bundle import Bundle
    B=Bundle(); card=json.load(open(C/"frames/card.json")); hist=json.load(open(C/"frames/history.json"))
    hist.append({"until":"guidance was learned, and 5,600 more steps","what":"; ".join(card["stages"]),"figures":json.loads(json.dumps(card["figures"]))})
    (C/"frames/history.json").write_text(json.dumps(hist,indent=1)+"\n")
    st=torch.load("/root/f5/state8.pt",weights_only=False); s=np.load("/root/f5/stats.npz"); sd=dict(st["ema"]); sd["mean"]=torch.tensor(s["mean"]); sd["std"]=torch.tensor(s["std"])
    net=Frames(FramesConfig(),B["codec"],B["harmonic"]); r=net.load_state_dict(sd,strict=False); assert not r.unexpected_keys and all(k.startswith(("codec","harmonic")) for k in r.missing_keys),r
    card["stages"][2]="four rows in ten told semantic vectors of a copy with moved bands and another equaliser, and nothing else: 4,240 steps"
    card["stages"][3:]=[f"3,616 steps more, and 500 rows with another pitch than their voice has (PSOLA, -12 to +13 semitones), told by vectors; a quarter told by vectors, after 1,900 steps half, by those of the semantic model of today",
      f"the velocity of guidance 1.5 learned from a frozen copy: {st['step']-19728:,} steps, so that one pass a step is enough; the average of the weights","matrices rounded to int8"]
    card["budget"]="full, one CPU core, 4.3 h"; card["data"]=card["data"].replace("7,632 rows","7,632 rows (and 500 of other pitch)") if "other pitch" not in card["data"] else card["data"]
    training.save(C/"frames",net.eval(),net.config,card,pack=True,lenders={"codec":B["codec"],"harmonic":B["harmonic"]}); print("frames",st["step"])
if "t2v" in what:
    from lib.models.semantic import Semantic, SemanticConfig
    from lib.models.text_to_vec import TextToVec, TextToVecConfig
    sem,_=training.load(C/"semantic",Semantic,SemanticConfig); net=TextToVec(TextToVecConfig(),sem); st=torch.load("/root/t2v/state3.pt",weights_only=False)
    r=net.load_state_dict(st["ema"],strict=False); assert not r.unexpected_keys and all(k.startswith("semantic.") for k in r.missing_keys),r
    card=json.load(open(C/"text_to_vec/card.json")); card["stages"][2]=card["stages"][2].replace("1,055 steps",f"{st['step']:,} steps"); card["budget"]="full, a share of one busy CPU core, 0.9 h"
    training.save(C/"text_to_vec",net.eval(),net.config,card,pack=True,lenders={"semantic":C/"semantic"}); print("t2v",st["step"])
if "hier" in what:
    from lib.models.hierarchical import Hierarchical, HierarchicalConfig
    from lib.voices.bundle import Bundle
    B=Bundle(); st=torch.load("/root/hier/state2.pt",weights_only=False); net=Hierarchical(HierarchicalConfig(),B["harmonic"]); r=net.load_state_dict(st["ema"],strict=False)
    assert not r.unexpected_keys and all(k.startswith(("harmonic","contrast")) for k in r.missing_keys),r
    net.contrast.copy_(torch.load("/root/hier/final.pt",weights_only=False)["contrast"])
    card=json.load(open(C/"hierarchical/card.json")); print(card["stages"])
    card["stages"]=[x.replace("814",f"{st['step']:,}") for x in card["stages"]]
    training.save(C/"hierarchical",net.eval(),net.config,card,pack=True,lenders={"harmonic":B["harmonic"]}); print("hier",st["step"])
