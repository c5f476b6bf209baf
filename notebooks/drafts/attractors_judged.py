"""eval.py STATE|shipped: figures of lesson 02, unseen people; with counting learned again; -> /root/att/NAME.json"""
import sys, json, time, os, dataclasses, collections
import numpy as np, torch
sys.path.insert(0, "/work/main")
from lib import audio, losses
from lib.data import corpus
from lib.evaluation import metrics
from lib.voices import Bundle, people
torch.set_num_threads(1)
net = Bundle()["attractor"].eval(); config = net.config
which, out = sys.argv[1], sys.argv[2]; N = int(sys.argv[3]) if len(sys.argv) > 3 else 200
if which != "shipped": net.load_state_dict(torch.load(which, weights_only=False)["ema"])
T = 48000
def crowd(split, files):
    rows = [r for f in files for r in corpus.rows(f"/work/shared/corpus/{f}.parquet", split)]
    return [[rows[i] for i in mine] for mine in corpus.by_speaker(rows).values()]
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
def gain(est, b):
    s = b["sources"]; none = losses.negative_si_sdr(b["mix"].expand_as(s), s).mean(1); table = losses.pairwise(est, s); return (none - losses.pit(table)[0]).numpy()
def find(points, weight, S): return people.people(points, weight, net.config.counting, S)
strangers = crowd("valid", ["speech-0", "speech-1"]); print(len(strangers))
def judged(S, count):
    gains, A, names = [], [], []
    for i in range(count):
        b = {k: v[:1] for k, v in mixtures(np.random.default_rng([7, S, i]), strangers, 4, S).items()}
        r = net.separate(b["mix"], lambda p, w: find(p, w, S)); est = torch.tensor(r.wavs)[None]; _, order = losses.pit(losses.pairwise(est, b["sources"]))
        gains.append(gain(est, b)[0]); A.append(r.attractors[order[0].numpy()]); names.append(b["who"][0].numpy())
    return np.array(gains), np.concatenate(A), np.concatenate(names), np.repeat(np.arange(count), S)
db, A, who, mixture = judged(2, N); i, j = np.triu_indices(len(who), 1); apart = mixture[i] != mixture[j]
eer, _ = metrics.eer((A[i] * A[j]).sum(1)[apart], (who[i] == who[j])[apart])
fig = {"si_sdri_2": db.mean(), "eer": eer}; print(fig, "+-", db.std() / len(db) ** .5 * 1.96, flush=True)
if "all" in sys.argv:
    from sklearn.linear_model import LogisticRegression
    learn = crowd("train", ["speech-0", "speech-1", "voices", "accented", "heart"])
    def nearness(mix):
        means = []
        def look(points, weight):
            for K in (1, 2, 3, 4): means.append(people.spherical_kmeans(points, weight, K)[2])
            return points[:1]
        net.separate(mix[None], look); return means
    cos, heads = [], []
    for S in (1, 2, 3, 4):
        for m in mixtures(np.random.default_rng([2, S]), learn, 150, S)["mix"]: cos.append(nearness(m)); heads.append(S)
    line = LogisticRegression(C=1000, max_iter=20000, class_weight={1: 1, 2: 1, 3: 1, 4: .1}).fit(cos, heads)
    factors = np.c_[line.coef_, line.intercept_].round(2).tolist(); net.config = dataclasses.replace(config, counting=tuple(map(tuple, factors)))
    fig["counting"] = factors; fig["si_sdri_3"] = judged(3, N // 2)[0].mean(); hits = []
    for S in (1, 2, 3):
        b = mixtures(np.random.default_rng([3, S]), strangers, len(strangers), S)["mix"]
        more = [m for k in range(4) for m in mixtures(np.random.default_rng([3, S, k]), strangers, len(strangers), S)["mix"]][: N // 3]
        for m in more: hits.append(len(net.separate(m[None], lambda p, w: find(p, w, None)).wavs) == S)
    fig["speakers_right"] = np.mean(hits)
fig = {k: v if k == "counting" else round(float(v), 4) for k, v in fig.items()}; print(fig); json.dump(fig, open(out, "w"))
