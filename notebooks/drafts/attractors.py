"""train.py HH:MM: the attractor network goes on from the shipped weights, with every voice of the cached rows."""
import sys, time, os, datetime, glob, collections
import numpy as np, torch
sys.path.insert(0, "/work/main")
from lib import audio, losses
from lib.voices import Bundle
torch.set_num_threads(1); torch.manual_seed(5); rng = np.random.default_rng(int(time.time()))
until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[1])).timestamp()
T, B, LR = 48000, 12, float(os.environ.get("LR", 6e-4))
W = {"recon": 1.0, "circle": 28.0, "affinity": 40.0}
by = collections.defaultdict(list)
for f in sorted(glob.glob("/work/main/runs/frames/chunk-*.npz") + glob.glob("/root/f5/more-*.npz")):
    for r in np.load(f, allow_pickle=True)["rows"]:
        if r["split"] == "train" and len(r["wav"]) > 16000: by[r["speaker"]].append(r["wav"])
who = sorted(by); p = np.array([min(len(by[s]), 9) ** .5 * (.7 if "*" in s else 1) for s in who]); p /= p.sum(); print(len(who), "voices", sum(map(len, by.values())), "clips", flush=True)
def crop(i):
    for _ in range(4):
        w = by[who[i]][rng.integers(len(by[who[i]]))]; a = rng.integers(max(1, len(w) - T + 1)); x = w[a: a + T].astype("float32") / 32767
        if audio.speech_level(x) > -45: break
    if rng.random() < .1: x = audio.room(rng, x)
    return audio.normalise(np.pad(x, (0, T - len(x))))
def draw():
    S = rng.choice([1, 2, 3], p=[.1, .65, .25]); ring = rng.choice(len(who), B, replace=False, p=p); place = np.arange(B) // (2 if S == 1 else 1)
    steps = (0, 1, 3)[:S]; w = np.stack([ring[(place + s) % B] for s in steps], 1); g = rng.uniform(.25, .75, (B, S, 1)).astype("float32")
    if S == 2: g[:, 1] = 1 - g[:, 0]
    g /= g.sum(1, keepdims=True); s = g * np.stack([[crop(i) for i in m] for m in w]); s = s.astype("float32")
    return torch.tensor(s.sum(1, keepdims=True)), torch.tensor(s), torch.tensor(w)
def affinity(v, y):
    pairs = lambda a, b: (a.transpose(1, 2) @ b).float().square().sum((1, 2))
    return (pairs(v, v) - 2 * pairs(v, y) + pairs(y, y)).mean()
net = Bundle()["attractor"]; net = type(net)(net.config); net.load_state_dict(Bundle()["attractor"].state_dict()); net.train()
for m in (net.encoder, net.decoder): m.requires_grad_(False)
params = [q for q in net.parameters() if q.requires_grad]; opt = torch.optim.AdamW(params, LR, betas=(.9, .999), weight_decay=1e-4)
ema = {k: v.clone() for k, v in net.state_dict().items()}; step = 0
if os.path.exists("/root/att/state.pt"): s = torch.load("/root/att/state.pt", weights_only=False); net.load_state_dict(s["net"]); ema = s["ema"]; opt.load_state_dict(s["opt"]); step = s["step"]
begun = saved = time.time(); sums = {}; first = step
def keep(): torch.save({"net": net.state_dict(), "ema": ema, "opt": opt.state_dict(), "step": step}, "/root/att/state.tmp"); os.replace("/root/att/state.tmp", "/root/att/state.pt")
while time.time() < until:
    share = (time.time() - begun) / (until - begun)
    for g in opt.param_groups: g["lr"] = LR * min(1, (step - first + 1) / 150) * (.5 * (1 + np.cos(np.pi * share)) * .97 + .03)
    mix, sources, w = draw()
    with torch.autocast("cpu", torch.bfloat16): out = net(mix, sources)
    weight = out["weight"]; root = weight.sum(1).sqrt(); points = (out["V"] * root.unsqueeze(3)).flatten(1, 2); owners = (weight / root.unsqueeze(1).clamp_min(1e-6)).flatten(2).transpose(1, 2)
    terms = {"recon": losses.negative_si_sdr(out["est_sources"], sources).mean(), "circle": losses.circle(out["attractors"].flatten(0, 1), w.flatten()), "affinity": affinity(points, owners.to(points.dtype))}
    loss = sum(W[k] * v for k, v in terms.items()); opt.zero_grad(); loss.backward(); gn = torch.nn.utils.clip_grad_norm_(params, 5.0)
    if torch.isfinite(gn): opt.step()
    step += 1; d = min(.998, (step - first + 20) / (step - first + 40))
    with torch.no_grad():
        for k, q in net.state_dict().items(): ema[k].lerp_(q, 1 - d)
    for k, v in terms.items(): sums[k] = sums.get(k, 0) + v.item() / 50
    if step % 50 == 0: print(step, f"{(time.time() - begun) / 60:.1f}", {k: round(v, 4) for k, v in sums.items()}, round(gn.item(), 2), flush=True); sums = {}
    if time.time() - saved > 150: keep(); saved = time.time()
keep(); print("done", step)
