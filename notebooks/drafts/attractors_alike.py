"""train2.py NAME HH:MM: the attractor network goes on; circle also against one direction kept for each voice ([CIRCLE] sec. 3.2, class-level), masks also from attractors found again."""
import sys, time, os, datetime, collections
import numpy as np, torch, torch.nn.functional as F
sys.path.insert(0, "/work/main")
from lib import audio, losses
from lib.voices import Bundle
torch.set_num_threads(1); seed = int(os.environ.get("SEED", 5)); torch.manual_seed(seed); rng = np.random.default_rng([seed, int(time.time())])
name = sys.argv[1]; until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[2])).timestamp()
E = lambda k, d: float(os.environ.get(k, d))
T, B, LR = int(E("SECONDS", 3) * 16000), int(E("B", 12)), E("LR", 6e-4)
AGAIN, FOUND = int(E("AGAIN", 2)), E("FOUND", 0); W = {"recon": 1.0, "again": E("WA", 1) if AGAIN else 0, "circle": E("WC", 28), "proxy": E("WP", 0), "affinity": 40.0}
if AGAIN: W["recon"] = E("WR", .5)
DEC = E("DEC", 1)  # share of the cosine
parts = []
for p in (0, 1):
    z = np.load(f"/root/att/part-{p}.npz"); raw = np.memmap(f"/root/att/part-{p}.raw", "int16", "r")
    for who, a, n in zip(z["who"], z["start"], z["size"]): parts.append((str(who), raw, int(a), int(n)))
by = collections.defaultdict(list)
for w, raw, a, n in parts: by[w].append((raw, a, n))
who = sorted(by); p = np.array([min(sum(c[2] for c in by[s]) / 16000 / 12, 9) ** .5 * (float(os.environ.get("COPY", .25)) if "*" in s else 1) for s in who]); p /= p.sum()
print(len(who), "voices", len(parts), "clips", sum(c[3] for c in parts) / 16000 / 3600, "h, own voices drawn", p[["*" not in s for s in who]].sum().round(2), W, B, T, LR, flush=True)
def crop(i):
    for _ in range(4):
        raw, at, n = by[who[i]][rng.integers(len(by[who[i]]))]; a = at + rng.integers(max(1, n - T + 1)); x = raw[a: min(at + n, a + T)].astype("float32") / 32767
        if audio.speech_level(x) > -45: break
    if rng.random() < .1: x = audio.room(rng, x)
    return audio.normalise(np.pad(x, (0, T - len(x))))
HARD = E("HARD", 0)
def alike():
    """a ring of B voices of 4 B drawn, each followed by the nearest left (its direction)"""
    many = rng.choice(len(who), 4 * B, replace=False, p=p); v = F.normalize(proxies.detach()[many], dim=1); cos = (v @ v.T).numpy(); at = 0; ring = [0]
    while len(ring) < B:
        c = cos[at].copy(); c[ring] = -9; at = int(c.argmax()); ring.append(at)
    return many[ring]
def draw():
    S = rng.choice([1, 2, 3], p=[.06, .7, .24]); ring = alike() if rng.random() < HARD else rng.choice(len(who), B, replace=False, p=p); place = np.arange(B) // (2 if S == 1 else 1)
    steps = (0, 1, 3)[:S]; w = np.stack([ring[(place + s) % B] for s in steps], 1); g = rng.uniform(.25, .75, (B, S, 1)).astype("float32")
    if S == 2: g[:, 1] = 1 - g[:, 0]
    g /= g.sum(1, keepdims=True); s = g * np.stack([[crop(i) for i in m] for m in w]); s = s.astype("float32")
    return torch.tensor(s.sum(1, keepdims=True)), torch.tensor(s), torch.tensor(w)
def affinity(v, y):
    pairs = lambda a, b: (a.transpose(1, 2) @ b).float().square().sum((1, 2))
    return (pairs(v, v) - 2 * pairs(v, y) + pairs(y, y)).mean()
def class_circle(x, proxies, y, margin=.25, scale=32.0):
    cos = x.float() @ F.normalize(proxies, dim=1).T; own = F.one_hot(y, len(proxies)).bool()
    push = (scale * (cos + margin).clamp_min(0).detach() * (cos - margin)).masked_fill(own, -1e9).logsumexp(1); c = cos[own]
    pull = -scale * (1 + margin - c).clamp_min(0).detach() * (c - (1 - margin))
    return F.softplus(pull + push).mean() / scale
def sample(V, loud, P=1500):
    i = torch.multinomial(loud.flatten(1), P, replacement=True); v = V.detach().flatten(1, 2); return F.normalize(torch.gather(v, 1, i[..., None].expand(-1, -1, v.shape[2])).float(), dim=2)
def batch_kmeans(p, S, starts=4, steps=12):
    """[B, S, D] means of clusters of points [B, P, D], Euclidean, the best of `starts`"""
    n, P, D = p.shape; b = torch.arange(n)
    def far(c):  # squared distances [B, starts, S, P]
        return 2 - 2 * torch.einsum("bksd,bpd->bksp", c, p) + c.square().sum(3, keepdim=True) - 1
    c = p[b[:, None], torch.randint(P, (n, starts))][:, :, None]
    for _ in range(S - 1):
        w = far(c).amin(2).clamp_min(1e-6); k = torch.multinomial(w.flatten(0, 1), 1).view(n, starts); c = torch.cat([c, p[b[:, None], k][:, :, None]], 2)
    for _ in range(steps):
        m = F.one_hot(far(c).argmin(2), S).float().transpose(2, 3); c = torch.einsum("bksp,bpd->bksd", m, p) / m.sum(3, keepdim=True).clamp_min(1e-6)
    best = far(c).amin(2).sum(2).argmin(1); return F.normalize(c[b, best], dim=2)
net = Bundle()["attractor"]; net = type(net)(net.config); net.load_state_dict(Bundle()["attractor"].state_dict())
if os.environ.get("INIT") and False: net.load_state_dict(torch.load(os.environ["INIT"], weights_only=False)["net"])
proxies = torch.zeros(len(who), net.config.D)
if W["proxy"]:
    if os.path.exists("/root/att/proxies.pt"): proxies = torch.load("/root/att/proxies.pt")
    else:
        net.eval(); t = time.time()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            for i, s in enumerate(who):
                x = np.stack([crop(i) for _ in range(3)]); lev = __import__("lib.models.attractor", fromlist=["modulus"]).modulus(net.encode(torch.tensor(x)))
                h, l = net.bins(lev); proxies[i] = F.normalize(net.attract(h, l, lev[:, None])[:, 0].float().mean(0), dim=0)
        torch.save(proxies, "/root/att/proxies.pt"); print("proxies", time.time() - t, flush=True)
net.train(); proxies = torch.nn.Parameter(proxies)
for m in (net.encoder, net.decoder): m.requires_grad_(False)
params = [q for q in net.parameters() if q.requires_grad]; opt = torch.optim.AdamW([{"params": params, "k": 1.0}, {"params": [proxies], "k": 3.0, "weight_decay": 0.0}], LR, betas=(.9, .999), weight_decay=1e-4)
ema = {k: v.clone() for k, v in net.state_dict().items()}; step = 0; path = f"/root/att/{name}.pt"
if os.path.exists(path): s = torch.load(path, weights_only=False); net.load_state_dict(s["net"]); ema = s["ema"]; opt.load_state_dict(s["opt"]); step = s["step"]; proxies.data = s["proxies"]
begun = saved = time.time(); begun = float(os.environ.get("BEGUN", begun)); sums = collections.defaultdict(float); first = step; profile = E("PROFILE", 0)
def keep(): torch.save({"net": net.state_dict(), "ema": ema, "opt": opt.state_dict(), "step": step, "proxies": proxies.data}, path + ".tmp"); os.replace(path + ".tmp", path)
while time.time() < until:
    share = (time.time() - begun) / (until - begun)
    for g in opt.param_groups: g["lr"] = g["k"] * LR * (1 if "BEGUN" in os.environ else min(1, (step - first + 1) / 150)) * (.5 * (1 + np.cos(np.pi * share * DEC)) * .97 + .03)
    t0 = time.time(); mix, sources, w = draw(); t1 = time.time()
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            code = net.encode(mix); levels = (net.encode(sources).square().sum(-2) + 1e-14).sqrt(); ideal = levels / levels.sum(1, keepdim=True).clamp_min(1e-8)
            level = (code.square().sum(-2) + 1e-14).sqrt()[:, 0]; loud = level / level.sum((1, 2), keepdim=True).clamp_min(1e-8); weight = ideal * loud[:, None]
        h = net.narrow(net.body(net.inputs(torch.log(level / level.mean((1, 2), keepdim=True).clamp_min(1e-7) + .01).transpose(1, 2)))).transpose(1, 2)
        V = net.vectors(h); from_length = __import__("lib.models.attractor", fromlist=["Length"]).Length; length = from_length.apply(V)
        a = net.attract(h, length, weight); masks, _ = net.masks(h, length, a)
        if FOUND:
            with torch.no_grad(), torch.autocast("cpu", enabled=False): start = batch_kmeans(sample(V, loud), sources.shape[1])
            found, _ = net.masks(h, length, start)
        else: found = masks
        for _ in range(AGAIN): found, _ = net.masks(h, length, net.attract(h, length, found * loud[:, None]))
        root = loud.sqrt()  # [B, F, N]
        points = (V * (root / length).to(V.dtype).unsqueeze(3)).flatten(1, 2); owners = (ideal * root[:, None]).flatten(2).transpose(1, 2)
        both = torch.cat([masks, found]) if AGAIN else masks; est = net.decode((code.repeat(2, 1, 1, 1, 1) if AGAIN else code) * both.unsqueeze(3), T)
    si = losses.negative_si_sdr(est, sources.repeat(2, 1, 1) if AGAIN else sources)
    terms = {"recon": si[:B].mean(), "circle": losses.circle(a.flatten(0, 1), w.flatten()), "affinity": affinity(points, owners.to(points.dtype))}
    if AGAIN and FOUND: terms["again"] = losses.pit(losses.pairwise(est[B:], sources))[0].mean()
    elif AGAIN: terms["again"] = si[B:].mean()
    if W["proxy"]: terms["proxy"] = class_circle(a.flatten(0, 1), proxies, w.flatten())
    t2 = time.time(); loss = sum(W[k] * v for k, v in terms.items()); opt.zero_grad(); loss.backward(); gn = torch.nn.utils.clip_grad_norm_(params, 5.0)
    if torch.isfinite(gn): opt.step()
    step += 1; d = min(.998, (step - first + 20) / (step - first + 40))
    with torch.no_grad():
        for k, q in net.state_dict().items(): ema[k].lerp_(q, 1 - d)
    if profile: print(f"draw {t1-t0:.2f} fwd {t2-t1:.2f} bwd+ {time.time()-t2:.2f}", flush=True)
    S = sources.shape[1]
    for k, v in terms.items(): sums[k] += v.item() / 100
    sums[f"db{S}"] += terms["again"].item() if AGAIN else si.mean().item(); sums[f"di{S}"] += si[:B].mean().item(); sums[f"n{S}"] += 1
    if step % 100 == 0:
        print(step, f"{(time.time() - begun) / 60:.1f}", {k: round(v, 3) for k, v in sums.items() if k[0] not in "nd"}, {k: round(sums[k] / max(1, sums["n" + k[2]]), 2) for k in sums if k[:2] in ("db", "di")}, round(gn.item(), 2), flush=True); sums.clear()
    if time.time() - saved > 150: keep(); saved = time.time()
keep(); print("done", step)
