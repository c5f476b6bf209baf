"""figures of runs/judge-* into the cards and the README's table"""
import json,re
R="/work/main/runs/judge-"; C="/work/main/assets/checkpoints/"
def j(n): return json.load(open(f"{R}{n}/judged.json"))
def pick(d,keys=("wer","cer","secs","top1","ovrl","p808","bad")): return {k:d[k] for k in keys if k in d}
def load(n): return json.load(open(f"{C}{n}/card.json"))
def store(n,c): open(f"{C}{n}/card.json","w").write(json.dumps(c,indent=1)+"\n")
sp,ss=j("speak-plan")["speak, plan"],j("speak-studio")["speak, studio"]
c=load("text_to_vec"); old=c["figures"]
c["figures"]={"judge":"../shared/tools/judge.py on ../shared/eval/plan.jsonl, 84 lines, 21 unseen people, seed 0 (make judge); through frames and harmonic, the reference looked at",**pick(sp),
 "studio":{"judge":"../shared/eval/studio.jsonl, 28 lines, 14 strangers of VCTK (make judge SET=studio)",**pick(ss)},
 "dev":"14 of the 20 dev lines of frames, after 1,055 steps, beside the latents of tts through the same frames (of 10:10, 28 November); wer, secs, ovrl, p808: .065 .755 3.06 3.28; latents of tts .130 .738 2.92 3.36",
 "held_out":"60 clips: L1 of vectors .125 from the recording, .298 from text (mean size .62) after 1,055 steps"}
c["use"]="what Speak says, by frames; speak(melody=...): register, range and pace of one clip in the voice of another"
store("text_to_vec",c)
dev="20 lines, clips of accented people that it did not learn from, latents of tts; wer, secs, top1, ovrl, p808, the harmonic decoder of today: weights of before, two passes, 6 steps .114 .732 .80 2.92 3.39; guidance learned (1,300 steps of it), one pass, 6 steps .122 .730 .80 2.97 3.38, 4 (chosen) .118 .739 .80 2.99 3.38, 3 .100 .737 .80 3.00 3.37; noise .3, 6 steps .131 .736 .85 2.98 3.36; before that decoder .140 .743 .80 2.80 3.33, frames led to those of the reference with alike vectors (a third, unsmoothed) .197 .760 .90 2.60 3.17, (half, smoothed over 13) .148 .753 .90 2.70 3.25: not taken"
c=load("frames"); c["figures"]={"judge":"told by text_to_vec: ../shared/tools/judge.py on ../shared/eval/plan.jsonl, 84 lines, 21 unseen people, seed 0 (make judge)",**pick(sp),"studio":{"judge":"../shared/eval/studio.jsonl, 28 lines, 14 strangers of VCTK (make judge SET=studio)",**pick(ss)},"dev":dev}
c["use"]="what text_to_vec says, or tts, becomes frames of harmonic; so does what semantic reads in a recording"; store("frames",c)
c=load("semantic"); f=c["figures"]
for set_,d in (("plan",f),("studio",f["studio"])):
    a=j(f"convert-{set_}"); d.update(pick(a[f"convert, {set_}"])); d["wer_of_the_source"]=a["source itself, against the target"]["wer"]; d["secs_to_the_source"]=a["target and source"]["secs to source"]; d["nearer_to_target"]=a["target and source"]["nearer to target"]
f.pop("real_time_factor_2_cores",None); store("semantic",c)
e=next(v for k,v in j("extract-plan").items() if k.startswith("extract, ")); c=load("attractor"); x=c["figures"]["judge_extract"]
x.update(top1=e["top1"],wer=e["wer"],secs=e["secs"],ovrl=e["ovrl"],top1_of_clean_references=sp["top1"],wer_of_clean_references=sp["wer"]); store("attractor",c)
p="/work/main/README.md"; s=open(p).read()
def row(tab,d):
    global s
    s=re.sub(rf"(\| \*{tab}\*[^|]*\|)[^\n]*", lambda m: m.group(1)+f" {100*d['wer']:.0f} % | {d['secs']:.2f} | {d['ovrl']:.2f} |", s, count=1)
row("Speak",sp); row("Convert",j("convert-plan")["convert, plan"]); row("Extract",e); open(p,"w").write(s)
for n in ("speak-plan","speak-studio","convert-plan","convert-studio","extract-plan"): print(n,json.dumps({k:v for k,v in j(n).items() if "source itself" not in k}))
