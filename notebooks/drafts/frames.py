import sys, time, json, os, datetime, glob
import numpy as np, torch, torch.nn.functional as F
import re
sys.path.insert(0, "/root/hwt")
from lib import audio
from lib.models.frames import Frames, FramesConfig
from lib.models.semantic import Semantic, SemanticConfig
from lib.nn.blocks import ConvNeXtStack
from torch import nn
STATE, K, T2V = sys.argv[2], int(sys.argv[3]), sys.argv[4] == "t2v"; LR = float(sys.argv[5]); FROM = sys.argv[6]
MELS, UNTOLD, NEW = 128, FramesConfig().symbols, {}
CHUNKS = "/work/main/runs/frames/chunk-*.npz" if glob.glob("/work/main/runs/frames/chunk-*.npz") else "/root/voice-atlas-runs/frames/chunk-*.npz"
torch.set_num_threads(1); torch.manual_seed(int(time.time()))
rng = np.random.default_rng(int(time.time()))
until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[1])).timestamp()
HOP, FR, B, REF = 200, 128, 14, 280
rows, by, loaded, p = [], {}, set(), None
def more():
    global p
    new = False
    for f in sorted(glob.glob(CHUNKS) + glob.glob("/root/f5/more-*.npz") + glob.glob("/root/f5/shifted-*.npz")):
        if f in loaded or "tmp" in f: continue
        said = {}
        if os.path.exists("t2vcode-" + os.path.basename(f)): said = dict(np.load("t2vcode-" + os.path.basename(f), allow_pickle=True)["codes"])
        for number, r in enumerate(np.load(f, allow_pickle=True)["rows"]):
            if r["split"] != "train" or len(r["f0"]) < 100: continue
            if number in said: r["said"] = said[number]
            ("shifted" in r) or by.setdefault(r["speaker"], []).append(len(rows)); rows.append(r)
        loaded.add(f); new = True
    if new:
        p = np.array([len(r["f0"]) * {"accented.parquet": .7, "heart.parquet": .5}.get(r["file"], .6 if r["band"] else 1.2) * (2.0 if "shifted" in r else 1.0) for r in rows]); p /= p.sum(); print(len(rows), "rows", len(by), "voices", flush=True)
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
    draw = rng.random()
    heard = "shifted" in r or draw < HEARD
    text = T2V and not heard and "said" in r and draw < HEARD + SAID
    if heard or text: NO96 = np.zeros((96, int(np.ceil(n / 1.28)) + 1), "float32")
    m_q, s_q = (NO96, NO96) if heard or text else (r["m_q"].astype("float32"), r["s_q"].astype("float32"))
    spoken = not heard and not text and "z_text" in r and rng.random() < .85
    if spoken: z = r["z_text"].astype("float32")
    else: z = m_q + s_q * rng.standard_normal(m_q.shape).astype("float32") * (rng.random() * .6)
    size = int(round(z.shape[1] * 1.28)); phones = np.full(size, UNTOLD, "int64")
    if "tokens" in r and not heard and not text and rng.random() < (.95 if spoken else .6):
        each = np.repeat(r["tokens"].astype("int64"), r["w"].astype("int64")); phones = each[np.minimum((np.arange(size) + .5) / 1.28, len(each) - 1).astype(int)]
    z = F.interpolate(torch.tensor(z)[None], size=size, mode="linear")[0].numpy()
    if phones[0] != UNTOLD and rng.random() < .12: z = np.zeros_like(z)
    if heard or text: z = np.zeros_like(z)
    n = min(n, z.shape[1]); at = rng.integers(max(1, n - FR + 1)); cut = slice(at, min(at + FR, n))
    if others:
        o, low, high = rows[others[rng.integers(len(others))]], 0, None; high = len(o["f0"])
    else:
        o, (low, high) = r, ((0, at - 8) if at > n - at - FR else (min(n, at + FR + 8), n))
    high = max(low + 2, high); size = int(rng.integers(80, REF + 1)); k = int(rng.integers(low, max(low, high - size) + 1)); ref = frames(o, k, min(k + size, high)) if k < len(o["f0"]) else np.zeros((1, MELS + 2), "float32")
    ref = ref.copy(); ref[:, :MELS] += rng.uniform(-.7, .5) / STD  # the level of a reference says nothing
    wide = None
    if text: wide = (r["said"][cut].astype("float32") / 127,)
    if heard:
        low = max(0, cut.start - SIDE); mel = frames(r, low, min(len(r["f0"]), cut.stop + SIDE))[:, :MELS] * STD + MEAN
        wide = (perturbed(mel), cut.start - low, cut.stop - cut.start, envelope(mel) if rng.random() < .75 else None)
    return frames(r, cut.start, cut.stop), z[:, cut], voice(o), ref, phones[cut], wide
SIDE, HEARD, SAID = 40, .45 if T2V else .7, .4
def envelope(mel):
    """[F, 32]: bands by fours, another throat."""
    k = rng.uniform(.82, 1.22); pos = np.clip(np.arange(MELS) * k, 0, MELS - 1); lo = pos.astype(int); hi = np.minimum(lo + 1, MELS - 1); w = pos - lo
    return (mel[:, lo] * (1 - w) + mel[:, hi] * w).reshape(len(mel), 32, 4).mean(2).astype("float32")
class Fine(nn.Module):
    """[B, 32, F] bands of a source -> what vectors leave out, few numbers that say little of the voice."""
    def __init__(self, K, H):
        super().__init__(); self.inputs = nn.Conv1d(32, 96, 5, padding=2); self.body = ConvNeXtStack(96, 3); self.narrow = nn.Conv1d(96, K, 1); self.out = nn.Conv1d(K, H, 5, padding=2, bias=False); nn.init.zeros_(self.out.weight)
    def forward(self, bands, mask, noise=.1):
        n = mask.sum(2, keepdim=True).clamp_min(1); mean = (bands * mask).sum(2, keepdim=True) / n; std = (((bands - mean) * mask).square().sum(2, keepdim=True) / n).sqrt().clamp_min(.2)
        x = (bands - mean) / std * mask; r = torch.tanh(self.narrow(self.body(self.inputs(x), mask))).float()
        return (r + noise * torch.randn_like(r)) * mask
def perturbed(mel):
    """[F, M]: another throat, another equaliser, another level."""
    m = mel
    if rng.random() < .6:
        k = rng.uniform(.92, 1.08); pos = np.clip(np.arange(MELS) * k, 0, MELS - 1); lo = pos.astype(int); hi = np.minimum(lo + 1, MELS - 1); w = pos - lo
        m = m[:, lo] * (1 - w) + m[:, hi] * w
    if rng.random() < .7: m = m + np.interp(np.arange(MELS), np.linspace(0, MELS - 1, 6), rng.normal(0, 3.5, 6) / 8.7)
    return (m + rng.uniform(-.8, .8)).astype("float32")
def pad(xs, n, axis):
    return np.stack([np.pad(a, [(0, n - a.shape[axis]) if k == axis else (0, 0) for k in range(a.ndim)]) for a in xs])
def codes(wide):
    out = torch.zeros(B, 96, FR); bands = torch.zeros(B, 32, FR + 2 * SIDE); bm = torch.zeros(B, 1, FR + 2 * SIDE); offsets = [0] * B
    for i in range(B):
        if wide[i] is not None and len(wide[i]) == 1: out[i, :, :len(wide[i][0])] = torch.tensor(wide[i][0].T)
    which = [i for i in range(B) if wide[i] is not None and len(wide[i]) > 1]
    for i in which:
        if wide[i][3] is not None: offsets[i] = wide[i][1]; bands[i, :, :len(wide[i][3])] = torch.tensor(wide[i][3].T); bm[i, :, :len(wide[i][3])] = 1
    if not which: return out, bands, bm, offsets
    n = max(len(wide[i][0]) for i in which); m = torch.zeros(len(which), MELS, n); k = torch.zeros(len(which), 1, n)
    for a, i in enumerate(which): m[a, :, :len(wide[i][0])] = torch.tensor(wide[i][0].T); k[a, :, :len(wide[i][0])] = 1
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16): c = sem(m, k).float()
    for a, i in enumerate(which): _, at, size, _ = wide[i]; out[i, :, :size] = c[a, :, at: at + size]
    return out, bands, bm, offsets
sem = Semantic(SemanticConfig()).eval(); sem_at = 0
def newest():
    global sem_at, HEARD
    f = "/root/sem/final.pt"; now = os.path.getmtime(f)
    if now != sem_at:
        sem.load_state_dict(torch.load(f, weights_only=False)["ema"]); print("semantic of", time.ctime(now), flush=True)
        sem_at = now
newest()
def batch():
    x, z, e, ref, ph, wide = zip(*(item() for _ in range(B)))
    mask = pad([np.ones((len(a), 1), "float32") for a in x], FR, 0); rm = pad([np.ones(len(a), bool) for a in ref], REF, 0)
    return [torch.tensor(a) for a in (pad(x, FR, 0), pad(z, FR, 1), np.stack(e), pad(ref, REF, 0), rm, mask, pad(ph, FR, 0))] + [codes(wide)]
def fine(bands, bm, offsets):
    r = net.fine.out(net.fine(bands, bm)).float()
    r = torch.stack([one[:, at: at + FR] for one, at in zip(r, offsets)]); there = (bm.sum((1, 2)) > 0).float()[:, None, None]
    chance = torch.rand(B, 1, 1); return r.transpose(1, 2) * there * torch.where(chance < .2, chance / .2, 1.0)
net = Frames(FramesConfig(), None, None); net.fine = Fine(K, FramesConfig().H); print(sum(q.numel() for q in net.parameters()) / 1e6, "M")
teacher = Frames(FramesConfig(), None, None)
opt = torch.optim.AdamW([{"params": [q for n, q in net.named_parameters() if "fine" not in n]}, {"params": net.fine.parameters(), "more": 8.0}], 8e-4, betas=(.9, .98), weight_decay=.01)
ema = {k: v.clone() for k, v in net.state_dict().items()}; step, spent = 0, 0.0
if os.path.exists(STATE):
    s = torch.load(STATE, weights_only=False); own = net.state_dict(); news = {k: v.shape for k, v in own.items()}
    def grown(v, shape, new=None):
        if v.shape == shape: return v
        out = torch.zeros(shape) if new is None else new.clone(); out[tuple(slice(n) for n in v.shape)] = v; return out
    for part in ("net", "ema"): s[part] = {k: grown(v, news[k], own[k]) if "narrow" in k else grown(v, news[k]) for k, v in s[part].items()}
    flat = [q for g in opt.param_groups for q in g["params"]]
    for i, st in s["opt"]["state"].items():
        for k in ("exp_avg", "exp_avg_sq"): st[k] = grown(st[k], flat[i].shape)
    groups = [g["more"] if "more" in g else 1 for g in opt.param_groups]
    net.load_state_dict(s["net"]); opt.load_state_dict(s["opt"]); ema, step, spent = s["ema"], s["step"], s["spent"]; print("resumed", step)
else:
    old = torch.load(FROM, weights_only=False); net.load_state_dict({**net.state_dict(), **old["net"]}); ema = {k: v.clone() for k, v in {**net.state_dict(), **old["ema"]}.items()}; step = old["step"]; spent = old["spent"]; print("from", step)
teacher.load_state_dict(torch.load("teacher.pt", weights_only=False)["ema"], strict=False); teacher.eval(); W = 1.75
weight = torch.ones(MELS + 2); weight[MELS] = 6.0; weight[MELS + 1] = 3.0
first = step; begun = saved = time.time(); base = spent; sums = {}
def keep():
    torch.save({"net": net.state_dict(), "opt": opt.state_dict(), "ema": ema, "step": step, "spent": spent}, STATE + ".tmp"); os.replace(STATE + ".tmp", STATE)
while time.time() < until:
    spent = base + time.time() - begun; share = (time.time() - begun) / (until - begun)
    for q in opt.param_groups: q["lr"] = LR * q.get("more", 1) * min(1, (time.time() - begun + 1) / 60) * (.5 * (1 + np.cos(np.pi * share)) * .95 + .05)
    x, z, e, ref, rm, mask, ph, (code, bands, bm, offsets) = batch()
    drop = torch.rand(B); spk_mask = (drop > .1).float(); rm = rm & (drop > .1)[:, None] & (torch.rand(B) > .15)[:, None]
    t = torch.sigmoid(torch.randn(B)); noise = torch.randn_like(x); xt = (1 - t)[:, None, None] * noise + t[:, None, None] * x
    goal = x - noise
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        c = teacher(xt, t, teacher.told(z, ph, code), e, spk_mask, ref, rm, mask); u = teacher(xt, t, teacher.told(z, ph, code), e, spk_mask * 0, ref, rm & False, mask)
    goal = goal + (W - 1) * (c - u).float() * spk_mask[:, None, None]
    with torch.autocast("cpu", torch.bfloat16): told = net.told(z, ph, code) + fine(bands, bm, offsets)
    with torch.autocast("cpu", torch.bfloat16): v = net(xt, t, told, e, spk_mask, ref, rm, mask)
    err = (v - goal).square() * mask; mel_loss = err[:, :, :MELS].sum() / mask.sum() / MELS; loss = (err * weight).sum() / mask.sum() / weight.sum()
    opt.zero_grad(); loss.backward(); gn = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    if torch.isfinite(gn): opt.step()
    step += 1; d = min(.998, (step - first + 1) / (step - first + 20))
    with torch.no_grad():
        for k, q in net.state_dict().items(): ema[k].lerp_(q, 1 - d)
    for k, q in {"loss": loss, "mel": mel_loss, "f0": err[:, :, MELS].sum() / mask.sum(), "gn": gn}.items(): sums[k] = sums.get(k, 0) + q.item() / 100
    if step % 100 == 0:
        newest(); print(step, f"{spent / 60:.1f} min", {k: round(q, 4) for k, q in sums.items()}, flush=True); sums = {}; more()
    if time.time() - saved > 150: keep(); saved = time.time()
keep(); print("done")
