"""prep.py PART PARTS: int16 clips of training people and of copies with other throats -> part-N.raw, part-N.npz"""
import sys, time; sys.path.insert(0, "/work/main")
import numpy as np, torch
torch.set_num_threads(1)
from lib import audio
from lib.audio import perturb
from lib.data import corpus
part, parts = int(sys.argv[1]), int(sys.argv[2])
COPIES = {"speech-0": 11, "speech-1": 11, "accented": 8, "voices": 3, "heart": 0}
OWN, COPY = {"heart": 120}, 36  # seconds kept of each
begun = time.time(); raw = open(f"/root/att/part-{part}.raw", "wb"); index = []; at = 0; n = 0
people = {}
for f in COPIES:
    for r in corpus.rows(f"/work/shared/corpus/{f}.parquet", "train"): people.setdefault(r["speaker"], []).append((f, r))
for k, (who, clips) in enumerate(sorted(people.items())):
    if k % parts != part: continue
    rng = np.random.default_rng([11, k]); order = rng.permutation(len(clips))
    def keep(name, wav):
        global at, n
        w = (np.clip(wav, -1, 1) * 32767).astype("int16"); raw.write(w.tobytes()); index.append((name, at, len(w))); at += len(w)
    have = 0; wavs = []
    for i in order:
        f, r = clips[i]; w = corpus.wav(r)
        if len(w) < 16000 or have > OWN.get(f, 300): continue
        have += len(w) / 16000; keep(who, w); wavs.append(w)
    for c in range(COPIES[clips[0][0]]):
        a = np.exp(rng.uniform(.05, .26)) ** rng.choice([-1, 1]); p = np.exp(rng.uniform(.02, .3)) ** rng.choice([-1, 1]); have = 0
        if rng.random() < .6: p = np.exp(abs(np.log(p)) * np.sign(np.log(a)))
        for j in rng.permutation(len(wavs)):
            if have > COPY: break
            try: w = perturb.shift(wavs[j], a, p)
            except Exception as e: print(who, e); continue
            m = np.abs(w).max()
            if not np.isfinite(m) or m < 1e-3: continue
            keep(f"{who}*{c}", w / max(1, m)); have += len(w) / 16000
    if k % 40 == part: print(k, f"{(time.time() - begun) / 60:.1f} min", f"{at / 16000 / 3600:.1f} h", flush=True)
raw.close(); np.savez(f"/root/att/part-{part}.npz", who=np.array([i[0] for i in index]), start=np.array([i[1] for i in index]), size=np.array([i[2] for i in index])); print("done")
