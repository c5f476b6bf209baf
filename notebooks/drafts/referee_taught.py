"""train.py HH:MM: the referee learns what GE2E says (from ref3's body)."""
import sys, time, os, datetime, glob, copy
import numpy as np, torch, torch.nn.functional as F
sys.path.insert(0, "/work/main")
from lib.models.referee import Referee, RefereeConfig
from lib.models.speaker_encoder import mask
torch.set_num_threads(1); torch.manual_seed(int(time.time())); rng = np.random.default_rng([9, int(time.time())])
until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[1])).timestamp(); until += 86400 * (until < time.time())
B = 48; LR = float(os.environ.get("LR", 1e-3)); mel = e = None; seen = 0
def load():
    global mel, e, seen
    fs = sorted(glob.glob("mel-*.npz"))
    if len(fs) == seen: return
    zs = []
    for f in fs:
        try: zs.append(np.load(f)); zs[-1]["e"]
        except Exception: continue
    mel = np.concatenate([z["mel"] for z in zs]); e = np.concatenate([z["e"] for z in zs]); seen = len(fs); print("rows", len(mel), flush=True)
load(); hold = 500
net = Referee(RefereeConfig(D=256))
s = torch.load("/root/ref3/state.pt", weights_only=False)["avg"]; s = {k: v for k, v in s.items() if not k.startswith("out.1")}
print(net.load_state_dict(s, strict=False)); mean = torch.tensor(e.mean(0))
opt = torch.optim.AdamW(net.parameters(), LR, betas=(.9, .98), weight_decay=.02); step = 0; spent = 0
if os.path.exists("state.pt"): s = torch.load("state.pt", weights_only=False); net.load_state_dict(s["net"]); opt.load_state_dict(s["opt"]); step, spent = s["step"], s["spent"]; avg = s["avg"]
else: avg = copy.deepcopy(net.state_dict())
begun = saved = time.time(); first = step; tot = np.zeros(2)
def save(): torch.save({"net": net.state_dict(), "avg": avg, "opt": opt.state_dict(), "step": step, "spent": spent + time.time() - begun}, "state.tmp"); os.replace("state.tmp", "state.pt")
def terms(a, b):
    near = 1 - (a * b).sum(1).mean(); i, j = np.triu_indices(len(a), 1); table = F.mse_loss((a @ a.T)[i, j], (b @ b.T)[i, j]); return near, table
net.train()
while time.time() < until:
    share = (time.time() - begun) / (until - begun)
    for g in opt.param_groups: g["lr"] = LR * min(1, (step - first + 1) / 100) * (.5 * (1 + np.cos(np.pi * share)) * .98 + .02)
    i = rng.integers(hold, len(mel), B); F_ = int(rng.integers(110, mel.shape[2] + 1)) if rng.random() < .3 else mel.shape[2]
    m = torch.tensor(mel[i][:, :, :F_].astype("float32")); y = torch.tensor(e[i])
    with torch.autocast("cpu", torch.bfloat16): a = net.embed_mel(mask(m, 8, 15))
    near, table = terms(a, y); loss = near + 10 * table
    opt.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0); opt.step(); step += 1; tot += np.array([near.item(), table.item()]) / 100
    with torch.no_grad():
        for k, v in net.state_dict().items():
            if v.dtype.is_floating_point: avg[k].lerp_(v, max(.005, 1 / (step + 1)))
            else: avg[k] = v.clone()
    if step % 100 == 0:
        t = Referee(RefereeConfig(D=256)); t.load_state_dict(avg); t.eval()
        with torch.inference_mode(): a = torch.cat([t.embed_mel(torch.tensor(mel[k:k+50].astype("float32"))) for k in range(0, hold, 50)]); near, table = terms(a, torch.tensor(e[:hold]))
        print(step, f"{(time.time() - begun) / 60:.1f}", tot.round(4), "held", round(near.item(), 4), round(table.item(), 5), flush=True); tot[:] = 0; load()
    if time.time() - saved > 120: save(); saved = time.time()
save(); print("done", step)
