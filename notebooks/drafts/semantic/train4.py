import sys, time, os, datetime, glob
import numpy as np, torch, torch.nn.functional as F
sys.path.insert(0, "/work/main")
from lib import audio
from lib.models.semantic import Semantic, SemanticConfig
torch.set_num_threads(1); torch.manual_seed(1); rng = np.random.default_rng(1)
until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[1])).timestamp()
HOP, FR, B = 200, 240, 16
filters = audio.mel_filters(16000, 1024, 128); WIN = torch.hann_window(1024)
rows, held = [], []
import json
taught = {}
for f in sorted(glob.glob("/root/whi/part-*.npz")):
    for g, i, e in np.load(f, allow_pickle=True)["rows"]: taught[(g, i)] = e
for f in sorted(glob.glob("/work/main/runs/frames/chunk-*.npz") + glob.glob("/root/f5/more-*.npz")):
    for i, r in enumerate(np.load(f, allow_pickle=True)["rows"]):
        e = taught.get((os.path.basename(f), i))
        if "tokens" not in r and e is None: continue
        if "tokens" not in r: r["tokens"] = None; r["w"] = None
        r["e"] = e
        if r["split"] != "train" and r["tokens"] is None: continue
        (rows if r["split"] == "train" else held).append({k: r[k] for k in ("wav", "tokens", "w", "speaker", "file", "e")})
p = np.array([len(r["wav"]) * {"accented.parquet": .6, "heart.parquet": .5}.get(r["file"], 1.0) for r in rows], float) * np.array([2.0 if r["e"] is not None else .6 for r in rows]); p /= p.sum()
print(len(rows), len(held), flush=True)
s = np.load("/root/f5/stats.npz")
net = Semantic(SemanticConfig()); net.mean.copy_(torch.tensor(s["mean"])); net.std.copy_(torch.tensor(s["std"]))
print(sum(q.numel() for q in net.parameters()) / 1e6, "M")
def item(r, train=True):
    n = len(r["wav"]) // HOP; at = rng.integers(max(1, n - FR + 1)) if train else 0; b = min(n, at + FR)
    wav = r["wav"][max(0, at * HOP - 412): b * HOP + 412].astype("float32") / 32767
    wav = np.pad(wav, (max(0, 412 - at * HOP), 0)); wav = np.pad(wav, (0, max(0, (b - at) * HOP + 824 - len(wav))))
    q = torch.stft(torch.tensor(wav)[None], 1024, HOP, 1024, WIN, center=False, return_complex=True)
    mag = (filters @ (q.real**2 + q.imag**2 + 1e-9).sqrt())[0][:, : b - at]
    if train: mag = augment(mag)
    mel = torch.log(mag.clamp_min(1e-5))
    e = torch.zeros(128, FR); em = torch.zeros(1, FR)
    if r["e"] is not None:
        x = r["e"].astype("float32"); t = (np.arange(at, b) + .5) * 50 / 80 - .5; lo = np.clip(np.floor(t).astype(int), 0, len(x) - 1); hi = np.minimum(lo + 1, len(x) - 1); w = (t - np.floor(t))[:, None]
        e[:, : b - at] = torch.tensor((x[lo] * (1 - w) + x[hi] * w).T.astype("float32")); em[:, : b - at] = 1
    if r["tokens"] is None: return F.pad(mel, (0, FR - mel.shape[1])), torch.full((FR,), -1).index_fill(0, torch.arange(b - at), -2), torch.zeros(0, dtype=torch.long), e, em
    each = np.repeat(r["tokens"].astype("int64"), r["w"].astype("int64")); y = each[np.minimum((np.arange(at, b) + .5) / 1.28, len(each) - 1).astype(int)]
    seq = torch.unique_consecutive(torch.tensor(y)); seq = seq[(seq > 0)]
    return F.pad(mel, (0, FR - mel.shape[1])), F.pad(torch.tensor(y), (0, FR - len(y)), value=-1), seq, e, em
def augment(mag):
    M = mag.shape[0]
    if rng.random() < .5:  # another throat: bands move
        k = rng.uniform(.9, 1.1); pos = np.clip(np.arange(M) * k, 0, M - 1); lo = pos.astype(int); hi = np.minimum(lo + 1, M - 1); w = torch.tensor(pos - lo, dtype=torch.float32)[:, None]
        mag = mag[lo] * (1 - w) + mag[hi] * w
    if rng.random() < .7:  # another equaliser
        pts = rng.normal(0, 3.5, 6); curve = np.interp(np.arange(M), np.linspace(0, M - 1, 6), pts); mag = mag * torch.tensor(10 ** (curve / 20), dtype=torch.float32)[:, None]
    if rng.random() < .15:  # noise
        level = mag.pow(2).mean().sqrt() * 10 ** (-rng.uniform(8, 35) / 20); tilt = torch.tensor(10 ** (np.linspace(rng.uniform(-8, 8), rng.uniform(-14, 4), M) / 20), dtype=torch.float32)[:, None]
        mag = (mag**2 + (level * tilt * torch.rand_like(mag).clamp_min(.05).log().neg().sqrt()) ** 2).sqrt()
    mag = mag * 10 ** (rng.uniform(-8, 8) / 20)
    if rng.random() < .15:
        a = rng.integers(mag.shape[1]); mag = mag.clone(); mag[:, a: a + rng.integers(1, 10)] *= 0
    if rng.random() < .15:
        a = rng.integers(M); mag = mag.clone(); mag[a: a + rng.integers(1, 14)] *= 0
    return mag
val = [item(held[i], False) for i in np.random.default_rng(0).permutation(len(held))[:64]]; vm = torch.stack([a for a, _, _, _, _ in val]); vy = torch.stack([b for _, b, _, _, _ in val])
def run(m, y):
    mask = (y != -1).float()[:, None]
    with torch.autocast("cpu", torch.bfloat16): code = net(m, mask)
    return net.reader(code.float()).float(), ctc(code.float()).float(), head(code.float())
VAR = 1 / torch.tensor(np.load('/root/whi/pca.npz')['P']).float().square().sum(0); VAR = (VAR / VAR.mean())[:, None].sqrt()
ctc = torch.nn.Conv1d(96, 1 + SemanticConfig().symbols, 1); head = torch.nn.Conv1d(96, 128, 3, padding=1)
opt = torch.optim.AdamW([*net.parameters(), *ctc.parameters(), *head.parameters()], 1e-3, betas=(.9, .98), weight_decay=.02)
ema = {k: v.clone() for k, v in net.state_dict().items()}; step = 0
if os.path.exists("state.pt"): st = torch.load("state.pt", weights_only=False); net.load_state_dict(st["net"]); ema = st["ema"]; step = st["step"]; st.get("ctc") and ctc.load_state_dict(st["ctc"]); "head" in st and head.load_state_dict(st["head"]); print("resumed", step)
begun = time.time(); tot = tot2 = tot3 = 0; saved = begun
while time.time() < until:
    share = (time.time() - begun) / (until - begun)
    for q in opt.param_groups: q["lr"] = 1.2e-3 * min(1, (step + 1) / 200) * (.5 * (1 + np.cos(np.pi * share)) * .97 + .03)
    it = [item(rows[i]) for i in rng.choice(len(rows), B, p=p)]; m = torch.stack([a for a, _, _, _, _ in it]); y = torch.stack([b for _, b, _, _, _ in it])
    net.train(); o, c, h = run(m, y); e = torch.stack([x[3] for x in it]); em = torch.stack([x[4] for x in it]); mse = (((h - e).square() * VAR).mean(1, keepdim=True) * em).sum() / em.sum().clamp_min(1); yy = y.clamp_min(-1); ce = F.cross_entropy(o, yy, ignore_index=-1, label_smoothing=.02)
    seqs = [s + 1 for _, _, s, _, _ in it]; loss2 = F.ctc_loss(c.log_softmax(1).permute(2, 0, 1), torch.cat(seqs), (y != -1).sum(1), torch.tensor([len(s) for s in seqs]), blank=0, zero_infinity=True); loss = ce * .5 + .5 * loss2 + 3 * mse; tot3 = tot3 + mse.item() / 100; tot2 = tot2 + loss2.item() / 100
    opt.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0); opt.step(); step += 1; tot += ce.item() / 100
    d = min(.998, (step + 1) / (step + 20))
    with torch.no_grad():
        for k, q in net.state_dict().items(): ema[k].lerp_(q, 1 - d)
    if step % 100 == 0: print(step, f"{(time.time() - begun) / 60:.1f}", round(tot, 3), round(tot2, 3), round(tot3, 3), flush=True); tot = tot2 = tot3 = 0
    if step % 250 == 0 or time.time() > until:
        keep = {k: v.clone() for k, v in net.state_dict().items()}; net.load_state_dict(ema); net.eval()
        with torch.no_grad(): o, _, h = run(vm, vy); ve = torch.stack([x[3] for x in val]); vem = torch.stack([x[4] for x in val]); print('  mse', ((((h - ve).square() * VAR).mean(1, keepdim=True) * vem).sum() / vem.sum()).item()); k = vy >= 0; print("  val", F.cross_entropy(o, vy, ignore_index=-1).item(), (o.argmax(1) == vy)[k].float().mean().item(), flush=True)
        net.load_state_dict(keep); torch.save({"ema": ema, "net": keep, "ctc": ctc.state_dict(), "head": head.state_dict(), "step": step}, "state.tmp"); os.replace("state.tmp", "state.pt")
torch.save({"ema": ema, "net": net.state_dict(), "step": step}, "final.pt"); print("done")
