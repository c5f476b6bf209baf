"""usage: train.py HH:MM: the hierarchical synthesiser until then, resumed from /root/hier/state.pt."""
import sys, time, json, os, datetime, glob
import numpy as np, torch, torch.nn.functional as F
sys.path.insert(0, "/work/main")
from lib import audio, losses
from lib.models.harmonic import HarmonicCodec, HarmonicCodecConfig
from lib.models.hierarchical import WEIGHTS, Hierarchical, HierarchicalConfig
from lib.models.semantic import Semantic, SemanticConfig
from lib.training import checkpoint
torch.set_num_threads(1); torch.manual_seed(int(time.time()))
rng = np.random.default_rng(int(time.time()))
until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[1])).timestamp()
until += 86400 if until < time.time() else 0
STATE = sys.argv[2] if len(sys.argv) > 2 else "/root/hier/state.pt"
MELS, HOP, FR, B, REF, SIDE = 128, 200, 128, 8, 160, 24
RATE, WARM_RATE = float(os.environ.get("LR", 1e-3)), float(os.environ.get("LR", 1e-3)) * .4
WEIGHTS.update(json.loads(os.environ.get("W", "{}")))
rows, by, loaded, p = [], {}, set(), None
waiting = [f for f in sorted(glob.glob("/work/main/runs/frames/chunk-*.npz")) + sorted(glob.glob("/root/f5/more-*.npz")) if not os.path.exists("/root/hier/rows-" + os.path.basename(f))]
waiting = waiting[::3] + waiting[1::3] + waiting[2::3]
def take(f):
    for r in np.load(f, allow_pickle=True)["rows"]:
        if r["split"] != "train" or len(r["f0"]) < 100: continue
        by.setdefault(r["speaker"], []).append(len(rows)); rows.append({k: r[k] for k in ("wav", "f0", "windows", "speaker", "band", "file", "code") if k in r})
def more(count=2):
    """The rows of the next files: all at once would take long before the first step."""
    global p
    if not rows:
        for f in sorted(glob.glob("/root/hier/rows-*.npz")):
            if "tmp" not in f: take(f)
    elif waiting:
        for _ in range(min(count, len(waiting))): take(waiting.pop(0))
    else: return
    p = np.array([len(r["f0"]) * {"accented.parquet": .7, "heart.parquet": .5}.get(r["file"], .6 if r["band"] else 1.2) for r in rows]); p /= p.sum(); print(len(rows), "rows", len(by), "voices", flush=True)
more()
filters = audio.mel_filters(16000, 1024, 128); WIN = torch.hann_window(1024)
def mel(r, a=0, b=None):
    """[F, M] log-mels of frames a to b."""
    n = len(r["f0"]); b = n if b is None else min(b, n)
    wav = r["wav"][max(0, a * HOP - 412): b * HOP + 412].astype("float32") / 32767
    wav = np.pad(wav, (max(0, 412 - a * HOP), 0)); wav = np.pad(wav, (0, max(0, (b - a) * HOP + 824 - len(wav))))
    q = torch.stft(torch.tensor(wav)[None], 1024, HOP, 1024, WIN, center=False, return_complex=True)
    return torch.log((filters @ (q.real**2 + q.imag**2 + 1e-9).sqrt()).clamp_min(1e-5))[0].T.numpy()[: b - a]
def voice(r):
    w = r["windows"].astype("float32"); m = w[rng.permutation(len(w))[: rng.integers(1, len(w) + 1)]].mean(0); return m / np.linalg.norm(m)
def perturbed(mel):
    """[F, M]: another throat, another equaliser, another level."""
    m = mel
    if rng.random() < .6:
        k = rng.uniform(.92, 1.08); pos = np.clip(np.arange(MELS) * k, 0, MELS - 1); lo = pos.astype(int); hi = np.minimum(lo + 1, MELS - 1); w = pos - lo
        m = m[:, lo] * (1 - w) + m[:, hi] * w
    if rng.random() < .7: m = m + np.interp(np.arange(MELS), np.linspace(0, MELS - 1, 6), rng.normal(0, 3.5, 6) / 8.7)
    return (m + rng.uniform(-.8, .8)).astype("float32")
def throat(m):
    """[F, M]: another throat, wide."""
    k = rng.uniform(.82, 1.22); pos = np.clip(np.arange(MELS) * k, 0, MELS - 1); lo = pos.astype(int); hi = np.minimum(lo + 1, MELS - 1); w = pos - lo
    return (m[:, lo] * (1 - w) + m[:, hi] * w).astype("float32")
def item():
    i = rng.choice(len(rows), p=p); r = rows[i]; n = len(r["f0"])
    others = [k for k in by[r["speaker"]] if k != i]
    at = int(rng.integers(max(1, n - FR + 1))); end = min(at + FR, n)
    if others:
        o, low, high = rows[others[rng.integers(len(others))]], 0, None; high = len(o["f0"])
    else:
        o, (low, high) = r, ((0, at - 8) if at > n - at - FR else (min(n, end + 8), n))
    high = max(low + 2, high); size = int(rng.integers(60, REF + 1)); k = int(rng.integers(low, max(low, high - size) + 1))
    last = min(k + size, high, len(o["f0"]))
    if k < last: ref, rf0 = mel(o, k, last).copy(), o["f0"][k:last].astype("float32")
    else: ref, rf0 = np.zeros((1, MELS), "float32"), np.zeros(1, "float32")
    ref += rng.uniform(-.7, .5)  # the level of a reference says nothing
    low = max(0, at - SIDE); wide = mel(r, low, min(n, end + SIDE))
    return dict(mel=wide[at - low: end - low], f0=r["f0"][at:end].astype("float32"), code=r["code"][at:end].astype("float32") / 127 if "code" in r else None, spk_emb=voice(o if rng.random() < .5 else r), ref_mel=ref, ref_f0=rf0, wide=perturbed(wide), at=at - low, mel_copy=throat(wide[at - low: end - low]))
def pad(xs, n): return np.stack([np.pad(a, [(0, n - len(a))] + [(0, 0)] * (a.ndim - 1)) for a in xs])
def batch():
    it = [item() for _ in range(B)]; out = {}
    for k, n in (("mel", FR), ("mel_copy", FR), ("f0", FR), ("ref_mel", REF), ("ref_f0", REF)): out[k] = torch.tensor(pad([x[k] for x in it], n))
    for k in ("mel", "mel_copy", "ref_mel"): out[k] = out[k].transpose(1, 2)
    out["spk_emb"] = torch.tensor(np.stack([x["spk_emb"] for x in it]))
    out["mask"] = torch.tensor(pad([np.ones((len(x["f0"]), 1), "float32") for x in it], FR))
    out["ref_mask"] = torch.tensor(pad([np.ones(len(x["ref_f0"]), bool) & (len(x["ref_f0"]) > 1) for x in it], REF))
    n = max(len(x["wide"]) for x in it); m = torch.tensor(pad([x["wide"] for x in it], n)).transpose(1, 2); k = torch.tensor(pad([np.ones((len(x["wide"]), 1), "float32") for x in it], n)).transpose(1, 2)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16): c = sem(m, k).float()
    code = torch.zeros(B, 96, FR)
    for i, x in enumerate(it): size = len(x["f0"]); code[i, :, :size] = c[i, :, x["at"]: x["at"] + size]
    out["code_copy"], own = code, code.clone()
    for i, x in enumerate(it):
        if x["code"] is not None: own[i, :, :len(x["code"])] = torch.tensor(x["code"].T)
    out["code"] = own
    return out
sem = Semantic(SemanticConfig()).eval(); sem_at = 0
def newest():
    global sem_at
    f = "/root/sem/final.pt"; now = os.path.getmtime(f)
    if now != sem_at: sem.load_state_dict(torch.load(f, weights_only=False)["ema"]); print("semantic of", time.ctime(now), flush=True); sem_at = now
newest()
def warm(net):
    """Reference, reader, first blocks and looks of `frames` at time 0, where it tells the mean."""
    from lib.models.frames import clock
    w = checkpoint.read("/work/main/assets/checkpoints/frames"); own = net.state_dict()
    pairs = {"voice.weight": "voice.weight", "listener.vectors.weight": "semantic.weight"}
    for k in own:
        m = k.removeprefix("listener.")
        if k.startswith(("listener.reference", "listener.blocks", "listener.looks.")): pairs[k] = m
    h = F.silu(clock(torch.zeros(1)) @ w["time.0.weight"].T + w["time.0.bias"]) @ w["time.2.weight"].T + w["time.2.bias"]
    H = net.config.H
    with torch.no_grad():
        for k, m in pairs.items(): own[k].copy_(w[m])
        net.voice.bias.copy_(w["voice.bias"] + h[0]); net.no_voice.copy_(w["no_voice"] + h[0])
        net.listener.pitch.weight.zero_(); net.listener.pitch.bias.copy_(w["inputs.bias"] + w["latents.bias"] + w["phones.weight"][-1])
        for i in range(net.config.reference_layers):
            q = f"readers.{i}."; r = net.listener.reader; film = w[q + "film.bias"]
            r.wide[i].weight.copy_(w[q + "wide.weight"]); r.wide[i].bias.copy_(w[q + "wide.bias"])
            r.norm[i].weight.copy_(1 + film[:H]); r.norm[i].bias.copy_(film[H:2 * H]); r.gain[i].copy_(film[2 * H:])
            r.up[i].weight.copy_(w[q + "up.weight"]); r.up[i].bias.copy_(w[q + "up.bias"]); r.down[i].weight.copy_(w[q + "down.weight"]); r.down[i].bias.copy_(w[q + "down.bias"])
def begin(net):
    """Components, the listener of `frames`, and what it says of z_a by least squares."""
    bs = [batch() for _ in range(30)]
    net.start_from(torch.cat([torch.cat([m[:, k[:, 0] > 0] for m, k in zip(b["mel"], b["mask"])], 1)[None] for b in bs], 2))
    w = checkpoint.read("/work/main/assets/checkpoints/frames")
    # the reader of frames knows bands by frames' own mean and std: told anew in ours
    warm(net)
    with torch.no_grad():
        ours, theirs = (net.mean, net.std), (w["mean"], w["std"]); c = net.listener.reference
        c.bias.add_((c.weight[:, :128].sum(2) * ((ours[0] - theirs[0]) / theirs[1])).sum(1)); c.weight[:, :128] *= (ours[1] / theirs[1])[None, :, None]
        X, Y = [], []
        for b in bs:
            from lib.nn import pitch as P
            mask = b["mask"].transpose(1, 2); g = net.told(b["spk_emb"], torch.ones(B)); keep = mask[:, 0] > 0
            with torch.autocast("cpu", torch.bfloat16): h = net.listener(b["code_copy"], P.channels(b["f0"]), mask, g, net.seen(b["ref_mel"], b["ref_f0"]), b["ref_mask"])
            X.append(h.float().transpose(1, 2)[keep]); Y.append(net.acoustic.straight(net.bands(b["mel"])).transpose(1, 2)[keep])
        X, Y = torch.cat(X), torch.cat(Y); X = torch.cat([X, torch.ones(len(X), 1)], 1)
        W = torch.linalg.solve(X.T @ X + 30 * torch.eye(X.shape[1]), X.T @ Y)
        net.heard.weight.copy_(W[:-1].T[..., None]); net.heard.bias.copy_(W[-1])
        left = (Y - X @ W).std(0); print("z_a", Y.std().item(), "left after the listener", left.mean().item(), left[-5:].tolist(), flush=True)
        C = net.config.C
        for d in (net.semantic, net.prior):
            d.out.weight.mul_(.1); d.out.bias[:C].zero_(); d.out.bias[C:].copy_(left.log())
        net.acoustic.out.bias[C:].copy_((left * .5).log())
def optimiser(net):
    warm_names = ("listener.blocks", "listener.looks", "listener.vectors", "voice.", "no_voice")
    frozen = ("listener.reference", "listener.reader", "harmonic")
    slow, fast = [], []
    for k, q in net.named_parameters():
        if k.startswith(frozen): q.requires_grad_(False)
        elif k.startswith(warm_names): slow.append(q)
        else: fast.append(q)
    return torch.optim.AdamW([dict(params=fast, share=RATE), dict(params=slow, share=WARM_RATE)], RATE, betas=(.9, .98), weight_decay=.01)
def mine(d): return {k: v for k, v in d.items() if not k.startswith("harmonic")}
if __name__ == "__main__":
    net = Hierarchical(HierarchicalConfig(), HarmonicCodec(HarmonicCodecConfig(channels=8, layers=1)))
    print(sum(q.numel() for k, q in net.named_parameters() if not k.startswith("harmonic")) / 1e6, "M", flush=True)
    opt = optimiser(net); step, spent = 0, 0.0
    if os.path.exists(STATE):
        s = torch.load(STATE, weights_only=False); own = net.state_dict(); news = {k: v.shape for k, v in own.items()}
        def grown(v, shape, new=None):
            if v.shape == shape: return v
            out = torch.zeros(shape) if new is None else new.clone(); out[tuple(slice(n) for n in v.shape)] = v; return out
        for part in ("net", "ema"): s[part] = {k: grown(v, news[k], own[k]) if "narrow" in k else grown(v, news[k]) for k, v in s[part].items()}
        flat = [q for g in opt.param_groups for q in g["params"]]
        for i, st in s["opt"]["state"].items():
            for k in ("exp_avg", "exp_avg_sq"): st[k] = grown(st[k], flat[i].shape)
        print(net.load_state_dict(s["net"], strict=False).missing_keys[:3])
        if not any(k.startswith("fine") for k in s["net"]):
            fr = torch.load("/root/f5/state10.pt", weights_only=False)["ema"]; own = net.state_dict()
            for k in own:
                if k.startswith("fine."): own[k].copy_(fr[k])
            with torch.no_grad(): net.fine.out.weight.mul_(.5)
        else: opt.load_state_dict(s["opt"])
        ema, step, spent = {k: v.clone() for k, v in mine(net.state_dict()).items()} | s["ema"], s["step"], s["spent"]; print("resumed", step)
    else:
        begin(net)
        ema = {k: v.clone() for k, v in mine(net.state_dict()).items()}
    begun = saved = time.time(); base = spent; sums = {}; timer = [0.0, 0.0]
    def keep():
        torch.save({"net": mine(net.state_dict()), "opt": opt.state_dict(), "ema": ema, "step": step, "spent": spent}, STATE + ".tmp"); os.replace(STATE + ".tmp", STATE)
    last_step = int(os.environ.get("STEPS", 10**9)); LOG = int(os.environ.get("LOG", 25))
    while time.time() < until and step < last_step:
        spent = base + time.time() - begun; share = (time.time() - begun) / (until - begun)
        decay = min(1, (time.time() - begun + 1) / 30) * (.5 * (1 + np.cos(np.pi * share)) * .95 + .05)
        for q in opt.param_groups: q["lr"] = q["share"] * decay
        t = time.process_time(); b = batch(); timer[0] += time.process_time() - t; t = time.process_time()
        with torch.autocast("cpu", torch.bfloat16): terms = net.losses(b)
        loss = losses.total(terms, WEIGHTS)
        opt.zero_grad(); loss.backward(); gn = torch.nn.utils.clip_grad_norm_([q for g in opt.param_groups for q in g["params"]], float(os.environ.get("CLIP", 2)))
        if torch.isfinite(gn): opt.step()
        timer[1] += time.process_time() - t
        step += 1; d = min(.998, (step + 1) / (step + 20))
        with torch.no_grad():
            for k, q in mine(net.state_dict()).items(): ema[k].lerp_(q, 1 - d)
        for k, q in (terms | {"loss": loss, "gn": gn}).items(): sums[k] = sums.get(k, 0) + q.item() / LOG
        if step % LOG == 0:
            newest(); print(step, f"{spent / 60:.1f} min", {k: round(q, 3) for k, q in sums.items()}, "s/step", [round(x / LOG, 2) for x in timer], flush=True); sums = {}; timer = [0.0, 0.0]; more()
        if time.time() - saved > 150: keep(); saved = time.time()
    keep(); print("done", step)
