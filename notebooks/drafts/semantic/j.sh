# j.sh DIR: judged on core 1; figures of target and source
for m in m s; do [ -f $1/$m.jsonl ] && OMP_NUM_THREADS=1 taskset -c 1 /root/.cache/voice-judge/bin/python /work/shared/tools/judge.py $1/$m.jsonl --json $1/$m.json > $1/$m.txt 2>&1; done
python3 - $1 <<'P'
import json,sys
d=sys.argv[1]; a=json.load(open(d+"/m.json")); f=a["figures"]; o={k:round(f[k],3) for k in ("wer","secs","top1","ovrl","p808") if k in f}
try:
    b=json.load(open(d+"/s.json")); o["to_source"]=round(b["figures"]["secs"],3); o["nearer"]=sum(x["secs"]>y["secs"] for x,y in zip(a["lines"],b["lines"]))/len(a["lines"])
except FileNotFoundError: pass
print(d,o)
P
