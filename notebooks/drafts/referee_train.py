import sys, time, os, datetime, glob
import numpy as np, torch, torch.nn.functional as F
sys.path.insert(0, "/work/main"); sys.path.insert(0, "/root/drafts")
from lib import audio, losses
from referee import Referee
torch.set_num_threads(1); torch.manual_seed(7); rng = np.random.default_rng(7)
until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[1])).timestamp()
B, T = 40, 16000 * 5 // 2
rows, by = [], {}
for f in sorted(glob.glob("/work/main/runs/frames/chunk-*.npz") + glob.glob("/root/f5/more-*.npz")):
    for r in np.load(f, allow_pickle=True)["rows"]:
        if r["split"] != "train" or len(r["wav"]) < T: continue
        by.setdefault(r["speaker"], []).append(len(rows)); rows.append(r["wav"])
who = sorted(by); print(len(rows), len(who), flush=True)
p = np.array([min(len(by[s]), 6) ** .5 for s in who]); p /= p.sum()
def crop():
    s = rng.choice(len(who), p=p); w = rows[by[who[s]][rng.integers(len(by[who[s]]))]]; a = rng.integers(len(w) - T + 1); x = w[a: a + T].astype("float32") / 32767
    if rng.random() < .5: x = x + rng.standard_normal(T).astype("float32") * np.sqrt((x**2).mean()) * 10 ** (-rng.uniform(10, 35) / 20)
    if rng.random() < .4: n = rng.integers(800, 6000); h = rng.standard_normal(n) * np.exp(-np.arange(n) / n * 7); h = h / np.sqrt((h**2).sum()) * rng.uniform(.1, .5); h[0] = 1; x = np.fft.irfft(np.fft.rfft(x, 2**16) * np.fft.rfft(h, 2**16))[:T].astype("float32")
    return x, s
net = Referee(); weight = torch.nn.Parameter(torch.randn(len(who), 128) * .1); print(sum(q.numel() for q in net.parameters()) / 1e6)
opt = torch.optim.AdamW([{"params": net.parameters(), "weight_decay": .02}, {"params": [weight], "weight_decay": .001}], 2e-3); step = 0; acc = tot = 0
if os.path.exists("state.pt"): s = torch.load("state.pt", weights_only=False); net.load_state_dict(s["net"]); weight.data = s["weight"]; opt.load_state_dict(s["opt"]); step = s["step"]
def eq(mel):  # another microphone
    k = torch.tensor(np.stack([np.interp(np.arange(80), np.linspace(0, 79, 6), rng.normal(0, 3, 6) / 8.7) for _ in range(len(mel))]), dtype=torch.float32); return mel + k[:, :, None]
begun = time.time(); begin_step = step; total = int(sys.argv[2])
net.train()
while step < total and time.time() < until:
    share = step / total
    for g in opt.param_groups: g["lr"] = 2e-3 * min(1, (step + 1) / 300) * (.5 * (1 + np.cos(np.pi * share)) * .98 + .02)
    x, y = zip(*(crop() for _ in range(B))); y = torch.tensor(y); mel = audio.mel(torch.tensor(np.stack(x))[:, None])
    from lib.models.speaker_encoder import mask
    with torch.autocast("cpu", torch.bfloat16): e = net.embed_mel(mask(eq(mel)))
    margin = .2 * min(1, step / 2000); loss = losses.aam_softmax(e, weight, y, margin)
    opt.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0); opt.step(); step += 1; tot += loss.item() / 100; acc += ((e @ F.normalize(weight, dim=1).T).argmax(1) == y).float().mean().item() / 100
    if step % 100 == 0: print(step, f"{(time.time() - begun) / 60:.1f}", round(tot, 3), round(acc, 3), flush=True); tot = acc = 0
    if step % 200 == 0: torch.save({"net": net.state_dict(), "weight": weight.data, "opt": opt.state_dict(), "step": step}, "state.tmp"); os.replace("state.tmp", "state.pt")
torch.save({"net": net.state_dict(), "weight": weight.data, "opt": opt.state_dict(), "step": step}, "state.pt"); print("done")
