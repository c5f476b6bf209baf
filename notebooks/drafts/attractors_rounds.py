"""eval2.py STATE|shipped OUT N [3]: k-means then 0, 1, 2, 4 soft rounds; ideal attractors; strangers (valid), lesson 02's draws."""
import sys, json, dataclasses
import numpy as np, torch
sys.path.insert(0, "/work/main")
from lib import audio, losses
from lib.data import corpus
from lib.evaluation import metrics
from lib.models.attractor import modulus, SILENCE_DB, VOTERS
from lib.voices import Bundle, people
import torch.nn.functional as F
torch.set_num_threads(1)
net = Bundle()["attractor"].eval(); which, out, N = sys.argv[1], sys.argv[2], int(sys.argv[3])
if which != "shipped": net.load_state_dict(torch.load(which, weights_only=False)["ema"])
T = 48000
rows = [r for f in ("speech-0", "speech-1") for r in corpus.rows(f"/work/shared/corpus/{f}.parquet", "valid")]
strangers = [[rows[i] for i in mine] for mine in corpus.by_speaker(rows).values()]
cache = {}
def wav(r):
    if r["id"] not in cache: cache[r["id"]] = (corpus.wav(r) * 32767).astype("int16")
    return cache[r["id"]]
def crop(rng, group):
    for _ in range(4):
        w = wav(group[rng.integers(len(group))]); a = rng.integers(0, max(1, len(w) - T)); x = w[a: a + T].astype("float32") / 32767
        if audio.speech_level(x) > -45: break
    if rng.random() < .1: x = audio.room(rng, x)
    return audio.normalise(np.pad(x, (0, T - len(x))))
def mixtures(rng, groups, count, S):
    ring = rng.permutation(len(groups))[:count]; place = np.arange(count) // (2 if S == 1 else 1); steps = (0, 1, 3 if len(ring) > 3 else 2, 2)[:S]
    who = np.stack([ring[(place + s) % len(ring)] for s in steps], 1); g = rng.uniform(.25, .75, (count, S, 1)).astype("float32")
    if S == 2: g[:, 1] = 1 - g[:, 0]
    g /= g.sum(1, keepdims=True); s = g * np.stack([[crop(rng, groups[i]) for i in m] for m in who])
    return {"mix": torch.tensor(s.sum(1, keepdims=True)), "sources": torch.tensor(s), "who": torch.tensor(who)}
def run(S, count):
    R = {}
    for i in range(count):
        b = {k: v[:1] for k, v in mixtures(np.random.default_rng([7, S, i]), strangers, 4, S).items()}
        with torch.no_grad():
            code = net.encode(b["mix"]); level = modulus(code)[:, 0]; h, length = net.bins(level); loud = level[0] >= level.max() * 10 ** (-SILENCE_DB / 20)
            voters = torch.nonzero(loud); f, n = voters[:: len(voters) // VOTERS + 1].T; points = F.normalize(net.vectors(h[0])[f, n], dim=1); weight = level[0, f, n]
            share = level / level.sum(); none = losses.negative_si_sdr(b["mix"].expand_as(b["sources"]), b["sources"]).mean(1)
            def score(name, a):
                m, _ = net.masks(h, length, a); est = net.decode(code * m.unsqueeze(3), T); least, order = losses.pit(losses.pairwise(est, b["sources"]))
                r = R.setdefault(name, ([], [], [])); r[0].append((none - least).item()); r[1].append(a[0][order[0]].numpy()); r[2].append(b["who"][0].numpy()); return m
            a = people.people(points, weight, net.config.counting, S)[None]; m = score("0", a)
            for k in range(1, 5):
                a = net.attract(h, length, m * share[:, None])
                if k in (1, 2, 4): m = score(str(k), a)
                else: m, _ = net.masks(h, length, a)
            lv = modulus(net.encode(b["sources"])); ideal = lv / lv.sum(1, keepdim=True); score("ideal", net.attract(h, length, ideal * share[:, None]))
            clean = []
            for s in range(S):
                l1 = lv[:, s]; h1, n1 = net.bins(l1); clean.append(net.attract(h1, n1, l1[:, None])[0, 0])
            r = R.setdefault("clean", ([], [], [])); r[0].append(0); r[1].append(torch.stack(clean).numpy()); r[2].append(b["who"][0].numpy())
    fig = {}
    for name, (db, A, who) in R.items():
        A, who, mixture, db = np.concatenate(A), np.concatenate(who), np.repeat(np.arange(count), S), np.array(db); i, j = np.triu_indices(len(who), 1); apart = mixture[i] != mixture[j]
        fig[name] = {"db": round(float(db.mean()), 3), "+-": round(float(1.96 * db.std() / count ** .5), 2), "median": round(float(np.median(db)), 2), "bad<3": round(float((db < 3).mean()), 3), "eer": round(metrics.eer((A[i] * A[j]).sum(1)[apart], (who[i] == who[j])[apart])[0], 4)}
        print(S, name, fig[name], flush=True)
    return fig
fig = {"2": run(2, N)}
if "3" in sys.argv[4:]: fig["3"] = run(3, N // 2)
json.dump(fig, open(out, "w"))
