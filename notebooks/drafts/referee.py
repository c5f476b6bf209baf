"""train.py HH:MM: the referee, spectrum kept, from ref2's state; people at other speeds are other people."""
import sys, time, os, datetime, glob, copy
import numpy as np, torch, torch.nn.functional as F
sys.path.insert(0, "/work/main")
from lib import audio, losses
from lib.models.referee import Referee
from lib.models.speaker_encoder import mask
torch.set_num_threads(1); torch.manual_seed(int(time.time())); rng = np.random.default_rng([9, int(time.time())])
until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[1])).timestamp(); until += 86400 * (until < time.time())
B, T = 40, 16000 * 2
rows, by = [], {}; k = 0; at = []
for f in sorted(glob.glob("/work/main/runs/frames/chunk-*.npz") + glob.glob("/root/f5/more-*.npz")):
    for r in np.load(f, allow_pickle=True)["rows"]:
        if r["split"] != "train" or len(r["wav"]) < 40000: continue
        by.setdefault(r["speaker"], []).append(len(rows)); rows.append(r["wav"])
resyn = {}
if os.path.exists("/root/ref3/resyn.npz"):
    z = np.load("/root/ref3/resyn.npz"); resyn = {int(k): z[k] for k in z.files}
who = sorted(by); N = len(who); print(len(rows), N, len(resyn), "resynthesised", flush=True)
p = np.array([min(len(by[s]), 6) ** .5 for s in who]); p /= p.sum()
SPEEDS = (1.0, .9, 1.1)
def crop():
    s = rng.choice(N, p=p); mine = by[who[s]]; i = mine[rng.integers(len(mine))]
    w = resyn[i] if i in resyn and rng.random() < .5 else rows[i]
    q = rng.choice(3, p=(.5, .25, .25)); n = int(T * SPEEDS[q]) + 1
    n = min(n, len(w)); a = rng.integers(len(w) - n + 1); x = w[a: a + n].astype("float32") / 32767
    x = np.interp(np.linspace(0, n - 1, T), np.arange(n), x).astype("float32")
    if rng.random() < .3: x = x + rng.standard_normal(T).astype("float32") * np.sqrt((x**2).mean()) * 10 ** (-rng.uniform(10, 35) / 20)
    if rng.random() < .2: n = rng.integers(800, 6000); h = rng.standard_normal(n) * np.exp(-np.arange(n) / n * 7); h = h / np.sqrt((h**2).sum()) * rng.uniform(.1, .5); h[0] = 1; x = np.fft.irfft(np.fft.rfft(x, 2**16) * np.fft.rfft(h, 2**16))[:T].astype("float32")
    return x, q * N + s
net = Referee()
def embed_mel(self, mel):
    x = self.inputs(mel - mel.mean((1, 2), keepdim=True)); depths = []
    for block in self.blocks: x = block(x); depths.append(x)
    x = self.join(torch.cat(depths, 1)); weight = self.attention(x).float().softmax(2)
    mean = (weight * x).sum(2); variance = (weight * x**2).sum(2) - mean**2
    return F.normalize(self.out(torch.cat([mean, variance.clamp_min(1e-4).sqrt()], 1)).float(), dim=1)
Referee.embed_mel = embed_mel
weight = torch.nn.Parameter(torch.randn(3 * N, 128) * .1)
LR = float(os.environ.get("LR", 2e-3))
opt = torch.optim.AdamW([{"params": net.parameters(), "weight_decay": .02}, {"params": [weight], "weight_decay": .001}], LR, betas=(.9, .98)); step = 0; spent = 0; acc = tot = 0
if os.path.exists("state.pt"):
    s = torch.load("state.pt", weights_only=False); weight.data = s["weight"]; opt.load_state_dict(s["opt"]); step, spent = s["step"], s["spent"]
else:
    s = torch.load("/root/ref2/state.pt", weights_only=False); weight.data[:N] = s["weight"]; weight.data[N:] = s["weight"].repeat(2, 1) + .1 * torch.randn(2 * N, 128)
net.load_state_dict(s["net"], strict=False); avg = copy.deepcopy(s.get("avg", net.state_dict()))
def eq(mel):  # another microphone, a little
    k = torch.tensor(np.stack([np.interp(np.arange(80), np.linspace(0, 79, 6), rng.normal(0, 1.5, 6) / 8.7) for _ in range(len(mel))]), dtype=torch.float32); return mel + k[:, :, None]
begun = saved = time.time(); first = step
net.train()
def save(): torch.save({"net": net.state_dict(), "avg": avg, "weight": weight.data, "opt": opt.state_dict(), "step": step, "spent": spent + time.time() - begun}, "state.tmp"); os.replace("state.tmp", "state.pt")
while time.time() < until:
    share = (time.time() - begun) / (until - begun)
    for g in opt.param_groups: g["lr"] = LR * min(1, (step - first + 1) / 100) * (.5 * (1 + np.cos(np.pi * share)) * .98 + .02)
    x, y = zip(*(crop() for _ in range(B))); y = torch.tensor(y); mel = audio.mel(torch.tensor(np.stack(x))[:, None])
    with torch.autocast("cpu", torch.bfloat16): e = net.embed_mel(mask(eq(mel)))
    loss = losses.aam_softmax(e, weight, y, .2)
    opt.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0); opt.step(); step += 1; tot += loss.item() / 50; acc += ((e @ F.normalize(weight, dim=1).T).argmax(1) == y).float().mean().item() / 50
    with torch.no_grad():
        for k, v in net.state_dict().items():
            if v.dtype.is_floating_point: avg[k].lerp_(v, .005)
            else: avg[k] = v.clone()
    if step % 50 == 0: print(step, f"{(time.time() - begun) / 60:.1f}", round(tot, 3), round(acc, 3), flush=True); tot = acc = 0
    if time.time() - saved > 120: save(); saved = time.time()
save(); print("done", step)
