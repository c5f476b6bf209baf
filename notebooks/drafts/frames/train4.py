import sys, time, json, os, datetime, glob
import numpy as np, torch, torch.nn.functional as F
sys.path.insert(0, "/work/main/runs/frames"); sys.path.insert(0, "/work/va_old")
from model import Frames, MELS
from lib import audio
torch.set_num_threads(1); torch.manual_seed(int(time.time()))
rng = np.random.default_rng(int(time.time()))
until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[1])).timestamp()
HOP, FR, B, REF = 200, 128, 14, 200
rows, by, loaded, p = [], {}, set(), None
def more():
    global p
    new = False
    for f in sorted(glob.glob("chunk-*.npz")):
        if f in loaded or "tmp" in f: continue
        for r in np.load(f, allow_pickle=True)["rows"]:
            if r["split"] != "train" or len(r["f0"]) < 100: continue
            by.setdefault(r["speaker"], []).append(len(rows)); rows.append(r)
        loaded.add(f); new = True
    if new:
        p = np.array([len(r["f0"]) * {"accented.parquet": .7, "heart.parquet": .5}.get(r["file"], .6 if r["band"] else 1.2) for r in rows]); p /= p.sum(); print(len(rows), "rows", len(by), "voices", flush=True)
filters = audio.mel_filters(16000, 1024, 128)
def logmel(wav):
    x = F.pad(wav, (412, 412), mode="reflect")
    s = torch.stft(x, 1024, HOP, 1024, torch.hann_window(1024), center=False, return_complex=True)
    return torch.log((filters @ (s.real**2 + s.imag**2 + 1e-9).sqrt()).clamp_min(1e-5))
def pitch_channels(f0):
    v = f0 > 0
    if not v.any(): return np.stack([np.zeros(len(f0)), -np.ones(len(f0))], 1)
    i = np.arange(len(f0)); l = np.interp(i, i[v], np.log(f0[v].astype("float32") / 150) / .35)
    return np.stack([l, np.where(v, 1.0, -1.0)], 1)
MEAN, STD = None, None
WIN = torch.hann_window(1024)
def frames(r, a=0, b=None):
    """[F, 130] normalised, of frames a to b."""
    n = len(r["f0"]); b = n if b is None else min(b, n)
    wav = r["wav"][max(0, a * HOP - 412): b * HOP + 412].astype("float32") / 32767
    wav = np.pad(wav, (max(0, 412 - a * HOP), 0)); wav = np.pad(wav, (0, max(0, (b - a) * HOP + 824 - len(wav))))
    q = torch.stft(torch.tensor(wav)[None], 1024, HOP, 1024, WIN, center=False, return_complex=True)
    mel = torch.log((filters @ (q.real**2 + q.imag**2 + 1e-9).sqrt()).clamp_min(1e-5))[0].T.numpy()[: b - a]
    return np.concatenate([(mel - MEAN) / STD, pitch_channels(r["f0"].astype("float32"))[a:b]], 1).astype("float32")
more()
if os.path.exists("stats.npz"): s = np.load("stats.npz"); MEAN, STD = s["mean"], s["std"]
else:
    MEAN, STD = 0, 1; a = np.concatenate([frames(r)[:, :MELS] for r in rows[:250]]); MEAN, STD = a.mean(0), a.std(0); np.savez("stats.npz", mean=MEAN, std=STD)
def voice(r):
    w = r["windows"].astype("float32"); m = w[rng.permutation(len(w))[: rng.integers(1, len(w) + 1)]].mean(0); return m / np.linalg.norm(m)
def item():
    i = rng.choice(len(rows), p=p); r = rows[i]; n = len(r["f0"])
    others = [k for k in by[r["speaker"]] if k != i]
    m_q, s_q = r["m_q"].astype("float32"), r["s_q"].astype("float32")
    if "z_text" in r and rng.random() < .65: z = r["z_text"].astype("float32")
    else: z = m_q + s_q * rng.standard_normal(m_q.shape).astype("float32") * (rng.random() * .6)
    z = F.interpolate(torch.tensor(z)[None], size=int(round(z.shape[1] * 1.28)), mode="linear")[0].numpy()
    n = min(n, z.shape[1]); at = rng.integers(max(1, n - FR + 1)); cut = slice(at, min(at + FR, n))
    if others:
        o, low, high = rows[others[rng.integers(len(others))]], 0, None; high = len(o["f0"])
    else:
        o, (low, high) = r, ((0, at - 8) if at > n - at - FR else (min(n, at + FR + 8), n))
    high = max(low + 2, high); size = int(rng.integers(80, REF + 1)); k = int(rng.integers(low, max(low, high - size) + 1)); ref = frames(o, k, min(k + size, high)) if k < len(o["f0"]) else np.zeros((1, MELS + 2), "float32")
    ref = ref.copy(); ref[:, :MELS] += rng.uniform(-.7, .5) / STD  # the level of a reference says nothing
    return frames(r, cut.start, cut.stop), z[:, cut], voice(o), ref
def pad(xs, n, axis):
    return np.stack([np.pad(a, [(0, n - a.shape[axis]) if k == axis else (0, 0) for k in range(a.ndim)]) for a in xs])
def batch():
    x, z, e, ref = zip(*(item() for _ in range(B)))
    mask = pad([np.ones((len(a), 1), "float32") for a in x], FR, 0); rm = pad([np.ones(len(a), bool) for a in ref], REF, 0)
    return [torch.tensor(a) for a in (pad(x, FR, 0), pad(z, FR, 1), np.stack(e), pad(ref, REF, 0), rm, mask)]
net = Frames(); print(sum(q.numel() for q in net.parameters()) / 1e6, "M")
opt = torch.optim.AdamW(net.parameters(), 8e-4, betas=(.9, .98), weight_decay=.01)
ema = {k: v.clone() for k, v in net.state_dict().items()}; step, spent = 0, 0.0
if os.path.exists("state.pt"):
    s = torch.load("state.pt", weights_only=False); net.load_state_dict(s["net"]); opt.load_state_dict(s["opt"]); ema, step, spent = s["ema"], s["step"], s["spent"]; print("resumed", step)
weight = torch.ones(MELS + 2); weight[MELS] = 6.0; weight[MELS + 1] = 3.0
begun = saved = time.time(); base = spent; sums = {}
def keep():
    torch.save({"net": net.state_dict(), "opt": opt.state_dict(), "ema": ema, "step": step, "spent": spent}, "state.tmp"); os.replace("state.tmp", "state.pt")
while time.time() < until:
    spent = base + time.time() - begun; share = (time.time() - begun) / (until - begun)
    for q in opt.param_groups: q["lr"] = 4e-4 * min(1, (time.time() - begun + 1) / 60) * (.5 * (1 + np.cos(np.pi * share)) * .95 + .05)
    x, z, e, ref, rm, mask = batch()
    drop = torch.rand(B); spk_mask = (drop > .1).float(); rm = rm & (drop > .1)[:, None] & (torch.rand(B) > .15)[:, None]
    t = torch.sigmoid(torch.randn(B)); noise = torch.randn_like(x); xt = (1 - t)[:, None, None] * noise + t[:, None, None] * x
    with torch.autocast("cpu", torch.bfloat16): v = net(xt, t, z, e, spk_mask, ref, rm, mask)
    err = (v - (x - noise)).square() * mask; mel_loss = err[:, :, :MELS].sum() / mask.sum() / MELS; loss = (err * weight).sum() / mask.sum() / weight.sum()
    opt.zero_grad(); loss.backward(); gn = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    if torch.isfinite(gn): opt.step()
    step += 1; d = min(.999, (step + 1) / (step + 20))
    with torch.no_grad():
        for k, q in net.state_dict().items(): ema[k].lerp_(q, 1 - d)
    for k, q in {"loss": loss, "mel": mel_loss, "f0": err[:, :, MELS].sum() / mask.sum(), "gn": gn}.items(): sums[k] = sums.get(k, 0) + q.item() / 100
    if step % 100 == 0:
        print(step, f"{spent / 60:.1f} min", {k: round(q, 4) for k, q in sums.items()}, flush=True); sums = {}; more()
    if time.time() - saved > 150: keep(); saved = time.time()
keep(); print("done")
