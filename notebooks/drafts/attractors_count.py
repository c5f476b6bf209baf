"""features for counting: OUT STATE|shipped"""
import sys, pickle; sys.path.insert(0, "/work/main")
import numpy as np, torch, torch.nn.functional as F
from lib import audio
from lib.data import corpus
from lib.voices import Bundle, people
torch.set_num_threads(1); which, out = sys.argv[1:3]
net = Bundle()["attractor"].eval()
if which != "shipped": net.load_state_dict(torch.load(which, weights_only=False)["ema"])
T = 48000
def crowd(split, files):
    rows = [r for f in files for r in corpus.rows(f"/work/shared/corpus/{f}.parquet", split)]
    return [[rows[i] for i in mine] for mine in corpus.by_speaker(rows).values()]
cache = {}
def wav(r):
    if not isinstance(r, dict): return r
    if r["id"] not in cache: cache[r["id"]] = (corpus.wav(r) * 32767).astype("int16")
    return cache[r["id"]].astype("float32") / 32767
def crop(rng, group):
    for _ in range(4):
        w = wav(group[rng.integers(len(group))]); a = rng.integers(0, max(1, len(w) - T)); x = w[a: a + T]
        if audio.speech_level(x) > -45: break
    if rng.random() < .1: x = audio.room(rng, x)
    return audio.normalise(np.pad(x, (0, T - len(x))))
def features(mix):
    f = {}
    def look(points, weight):
        w = weight / weight.sum()
        for K in range(1, 6):
            c, near, cos = people.spherical_kmeans(points, weight, K)
            share = torch.zeros(K).index_add_(0, near, w); g = c @ c.T - 2 * torch.eye(K)
            own = (points * c[near]).sum(1); within = torch.zeros(K).index_add_(0, near, w * own) / share.clamp_min(1e-6)
            two = (c @ points.T).topk(min(2, K), 0).values; margin = (two[0] - two[-1]) @ w
            f[K] = [cos, share.min().item(), g.max().item(), within.min().item(), margin.item()]
        cov = (points * w[:, None]).T @ points; f["eig"] = torch.linalg.eigvalsh(cov).flip(0)[:8].tolist(); f["mean"] = (w @ points).norm().item()
        return points[:1]
    net.separate(torch.tensor(mix)[None, None], look); return f
res = {}
dev = list(pickle.load(open("/root/att/devvoices.pkl", "rb")).values())
for name, groups, N in (("learn", crowd("train", ["speech-0", "speech-1", "voices", "accented", "heart"]), 300), ("dev", dev, 150), ("valid", crowd("valid", ["speech-0", "speech-1"]), 150)):
    for S in (1, 2, 3, 4):
        for i in range(N):
            rng = np.random.default_rng([{"learn": 2, "dev": 8, "valid": 3}[name], S, i]); who = rng.choice(len(groups), S, replace=False); g = rng.uniform(.25, .75, S)
            if S == 2: g[1] = 1 - g[0]
            g = g / g.sum(); mix = sum(k * crop(rng, groups[j]) for k, j in zip(g, who)).astype("float32")
            res.setdefault(name, []).append((S, features(mix)))
    print(name, flush=True); pickle.dump(res, open(out, "wb"))
