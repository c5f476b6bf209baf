"""train.py HH:MM [FOLDER]: TextToVec on the cached rows; codes of /root/sem/final.pt, made as rows are drawn."""
import sys, time, os, datetime, glob, json
import numpy as np, torch, torch.nn.functional as F
sys.path.insert(0, "/work/main")
from lib import audio, losses as L
from lib.losses.vectors import spoken
from lib.nn.blocks import sequence_mask
from lib.models.semantic import Semantic, SemanticConfig
from lib.models.text_to_vec import TOLD, TextToVec, TextToVecConfig, lifted, prompt
from lib.nn.align import path_from
from lib.training.checkpoint import read
torch.set_num_threads(1); torch.manual_seed(int(time.time())); rng = np.random.default_rng(int(time.time()))
until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[1])).timestamp()
HOP, FR, B, MELS = 200, 160, 14, 128
sem = Semantic(SemanticConfig()); sem.load_state_dict(torch.load("/root/sem/final.pt", weights_only=False)["ema"]); sem.eval().requires_grad_(False)
filters = audio.mel_filters(16000, 1024, MELS); WIN = torch.hann_window(1024)
MEAN, STD = sem.mean.numpy(), sem.std.numpy()
few = "few" in sys.argv
rows, held, loaded = [], [], set()
p = None
def more():
    """Rows with text whose vectors are there (/root/hier, of the semantic weights of 07:06; int8)."""
    global p
    new = False
    for f in sorted(glob.glob("/root/hier/rows-*.npz")):
        if f in loaded or "tmp" in f or few and loaded: continue
        name = os.path.basename(f)[5:]; full = ("/work/main/runs/frames/" if name.startswith("chunk") else "/root/f5/") + name
        kept = [r for r in np.load(full, allow_pickle=True)["rows"] if r["split"] == "train" and len(r["f0"]) >= 100]
        coded = np.load(f, allow_pickle=True)["rows"]; assert len(kept) == len(coded), f
        for r, c in zip(kept, coded):
            if "tokens" not in r: continue
            assert r["id"] == c["id"] and len(c["code"]) == len(r["f0"])
            row = {k: r[k] for k in ("wav", "f0", "tokens", "w", "windows", "speaker", "file")} | {"code8": c["code"]}
            (rows if len(held) >= 60 else held).append(row)
        loaded.add(f); new = True
    if new:
        p = np.array([r["size"] ** .7 * {"accented.parquet": .5, "heart.parquet": .5}.get(r["file"], 1.0) for r in map(sized, rows)]); p /= p.sum()
        print(len(rows), "rows", len(held), "held", flush=True)
def sized(r):
    r.setdefault("size", len(r["w"]) and int(r["w"].sum())); return r
NEW = os.path.getmtime("/root/sem/final.pt") > datetime.datetime(2026, 11, 28, 9, 20).timestamp()
MAP = np.load("/root/t2v/map.npy")
def pitch_channels(f0):
    v = f0 > 0
    if not v.any(): return np.stack([np.zeros(len(f0)), -np.ones(len(f0))])
    i = np.arange(len(f0)); l = np.interp(i, i[v], np.log(f0[v].astype("float32") / 150) / .35)
    return np.stack([l, np.where(v, 1.0, -1.0)])
more()
def ready(r):
    """Vectors, low mels, melody, prompt, durations of 12.5 ms: once a row."""
    if "code" in r: return
    n = len(r["f0"]); wav = np.pad(r["wav"][: n * HOP].astype("float32") / 32767, (412, 412))
    q = torch.stft(torch.tensor(wav)[None], 1024, HOP, 1024, WIN, center=False, return_complex=True)
    mel = torch.log((filters @ (q.real**2 + q.imag**2 + 1e-9).sqrt()).clamp_min(1e-5))[:, :, :n]
    old = np.arctanh((r["code8"].astype("float32") / 127).clip(-.98, .98)); code = torch.tensor(np.tanh(np.concatenate([old, np.ones((len(old), 1))], 1) @ MAP).T.astype("float32"))[None]  # vectors of 09:34 by a linear map of those of 07:06 (cosine .96)
    pitch = pitch_channels(r["f0"].astype("float32")).astype("float32")
    try: r["prosody"] = prompt(mel[0], torch.tensor(pitch), code[0]).numpy()
    except ValueError: r["prosody"] = None
    ends = np.minimum(np.round(np.cumsum(r["w"].astype("int64")) * 1.28), n); ends[-1] = n
    w = np.diff(ends, prepend=0)
    if w.min() < 0 or not (w > 0).all(): r["prosody"] = None
    r["w12"] = w.astype("float32"); r["code"] = code[0].to(torch.float16).numpy(); r["pitch"] = pitch.astype("float16")
    r["low"] = ((mel[0, :20].T.numpy() - MEAN[:20]) / STD[:20]).T.astype("float16")
    with torch.inference_mode():
        x = torch.tensor(r["tokens"].astype("int64"))[None]; k = torch.ones(1, 1, x.shape[1])
        h = net.text.embed(x).transpose(1, 2) * 192**.5; r["h"] = net.text.body(h, k)[0].to(torch.float16).numpy()
    r["e"] = r["windows"].astype("float32"); del r["wav"], r["f0"], r["code8"]
def item(pool, p=None, train=True):
    while True:
        r = pool[rng.choice(len(pool), p=p)]; ready(r)
        if r["prosody"] is not None and np.isfinite(r["prosody"]).all(): break
    n = r["code"].shape[1]; at = rng.integers(max(1, n - FR + 1)); b = min(n, at + FR)
    owner = np.repeat(np.arange(len(r["w12"])), r["w12"].astype(int))[at:b]
    c = rng.integers(6, 21); lo, hi = max(0, owner[0] - c), owner[-1] + c + 1; owner = owner - lo
    e = r["e"]; m = e[rng.permutation(len(e))[: rng.integers(1, len(e) + 1)]].mean(0)
    return r["tokens"].astype("int64")[lo:hi], r["code"][:, at:b], r["pitch"][:, at:b], r["low"][:, at:b], r["prosody"], m / np.linalg.norm(m), r["w12"][lo:hi], owner, r["h"][:, lo:hi]
def batch(items):
    n, N = len(items), max(len(i[0]) for i in items)
    o = {"x": torch.zeros(n, N, dtype=torch.long), "tokens": torch.zeros(n, dtype=torch.long), "frames": torch.zeros(n, dtype=torch.long),
         "code": torch.zeros(n, 96, FR), "pitch": torch.zeros(n, 2, FR), "low": torch.zeros(n, 20, FR), "w": torch.zeros(n, 1, N), "h": torch.zeros(n, 192, N), "path": torch.zeros(n, N, FR),
         "prosody": torch.tensor(np.stack([i[4] for i in items])), "spk_emb": torch.tensor(np.stack([i[5] for i in items]))}
    for k, (x, code, pitch, low, _, _, w, owner, h) in enumerate(items):
        s = len(owner); o["x"][k, :len(x)] = torch.tensor(x); o["tokens"][k] = len(x); o["frames"][k] = s
        for name, v in (("code", code), ("pitch", pitch), ("low", low)): o[name][k, :, :s] = torch.tensor(v.astype("float32"))
        o["w"][k, 0, :len(w)] = torch.tensor(w); o["h"][k, :, :len(x)] = torch.tensor(h.astype("float32")); o["path"][k, torch.tensor(owner), torch.arange(s)] = 1
    return o
W = {"vectors": 10, "pitch": 2, "voiced": .5, "low": .5, "phones": .3, "told_vectors": 10, "told_pitch": 1, "told_voiced": .5, "told_low": .3, "told_phones": .5, "kl": 1.5, "duration": 1, "usual": .1}
net = TextToVec(TextToVecConfig(), sem); print(sum(q.numel() for n, q in net.named_parameters() if not n.startswith("semantic")) / 1e6, "M", flush=True)
own = lambda d: {k: v for k, v in d.items() if not k.startswith("semantic.")}
state = "/root/t2v/state3.pt" if not few else "/root/t2v/few.pt"
step = 0
if os.path.exists(state):
    s = torch.load(state, weights_only=False); net.load_state_dict(s["net"], strict=False); ema, step = s["ema"], s["step"]; print("resumed", step, flush=True)
else:
    old = read("/work/main/assets/checkpoints/tts"); mine = net.state_dict()
    warm = {k: v for k, v in old.items() if k.startswith(("text.", "durations.")) and k in mine and mine[k].shape == v.shape}
    warm["durations.out.bias"] = warm["durations.out.bias"] + np.log(1.28); net.load_state_dict(warm, strict=False); print(len(warm), "tensors of tts", flush=True)
    net.text.eval(); some = [rows[i] for i in rng.permutation(len(rows))[:300]]
    for r in some: ready(r)
    P = np.stack([r["prosody"] for r in some if r["prosody"] is not None]); net.middle.copy_(torch.tensor(P.mean(0))); net.spread.copy_(torch.tensor(P.std(0))); print(P.mean(0), P.std(0), flush=True)
    good = [r for r in some if r["prosody"] is not None][:260]
    code = torch.tensor(np.concatenate([r["code"] for r in good], 1).astype("float32")); line = torch.tensor(np.concatenate([r["pitch"] for r in good], 1).astype("float32")); net.start_from(code, line)
    H = torch.tensor(np.concatenate([np.repeat(r["h"], r["w12"].astype(int), 1) for r in good], 1).astype("float32")).T
    z = net.straight_in(lifted(code, line)[None])[0].detach().T; X = torch.cat([H, torch.ones(len(H), 1)], 1).double()
    G_ = torch.tensor(np.concatenate([np.repeat(((r["prosody"] - P.mean(0)) / P.std(0))[None], r["code"].shape[1], 0) for r in good])).double()
    Wt = torch.linalg.solve(X.T @ X + 300 * torch.eye(X.shape[1]), X.T @ z.double()).float(); left = z - X.float() @ Wt
    net.text.out.weight.data.zero_(); net.text.out.weight.data[:64, :, 0] = Wt[:-1].T; net.text.out.bias.data[:64] = Wt[-1]; net.text.out.bias.data[64:] = left.std(0).log()
    print("text tells of the latents", (1 - left.var(0) / z.var(0)).mean().item(), flush=True); del H, z, X, code, line
    ema = {k: v.clone() for k, v in own(net.state_dict()).items()}
net.text.eval()
for n, q in net.named_parameters():
    if n.startswith(("text.embed", "text.body")): q.requires_grad_(False)
opt = torch.optim.AdamW([q for n, q in net.named_parameters() if not n.startswith(("semantic", "text.embed", "text.body"))], 1e-3, betas=(.9, .98), weight_decay=.01)
if os.path.exists(state): opt.load_state_dict(s["opt"])
val = [batch([item(held) for _ in range(16)]) for _ in range(3)]
def losses_of(bt):
    """As TextToVec.forward and losses.vectors.text_to_vec, with the states of the frozen text encoder; the recording's own latents for half of the batch."""
    half = B // 2
    with torch.autocast("cpu", torch.bfloat16):
        x_mask = sequence_mask(bt["tokens"], bt["x"].shape[1]); mask = sequence_mask(bt["frames"], FR); prosody = net.scaled(bt["prosody"]); g = net.manner(prosody).unsqueeze(2)
        m_p, logs_p = (net.text.out(bt["h"]) * x_mask).float().chunk(2, 1); path = bt["path"]
        logw = net.durations(bt["h"], x_mask, g)
        with torch.autocast("cpu", enabled=False): m_p, logs_p = m_p @ path, logs_p @ path
        mh, gh = mask[:half], g[:half]
        m_q, logs_q = net.encode(bt["code"][:half], bt["pitch"][:half], mh, gh)
        z = (m_q + torch.randn_like(m_q) * logs_q.exp()) * mh; z_p = net.flow(z, mh, gh)
        said = (m_p + torch.randn_like(m_p) * logs_p.exp() * TOLD) * mask
        both = net.decode(torch.cat([z, net.flow(said, mask, g, True)]), torch.cat([mh, mask]), torch.cat([gh, g]))
    heard = {k: v[:half] for k, v in both.items()}; told = {k: v[half:] for k, v in both.items()}
    symbols = (bt["x"].unsqueeze(1).float() @ path).squeeze(1).round().long(); first = {k: bt[k][:half] for k in ("code", "pitch", "low")}
    return {**spoken(heard, first, symbols[:half], mh), **{"told_" + k: v for k, v in spoken(told, bt, symbols, mask).items()},
            "kl": L.kl(z_p, logs_q, m_p[:half], logs_p[:half], mh), "duration": L.duration_mse(logw, bt["w"], x_mask), "usual": F.mse_loss(net.usual(bt["spk_emb"]).float(), prosody)}
def keep():
    torch.save({"net": own(net.state_dict()), "opt": opt.state_dict(), "ema": ema, "step": step}, state + ".tmp"); os.replace(state + ".tmp", state)
begun = saved = time.time(); sums = {}; first = step
while time.time() < until:
    share = (time.time() - begun) / (until - begun)
    for q in opt.param_groups: q["lr"] = 1.2e-3 * min(1, (step - first + 1) / 80) * (.5 * (1 + np.cos(np.pi * share)) * .97 + .03)
    bt = batch([item(rows, p) for _ in range(B)]); net.train(); sem.eval(); net.text.body.eval(); l = losses_of(bt); loss = sum(W[k] * v for k, v in l.items())
    opt.zero_grad(); loss.backward(); gn = torch.nn.utils.clip_grad_norm_([q for q in net.parameters() if q.grad is not None], 3.0)
    if torch.isfinite(gn): opt.step()
    step += 1; d = min(.998, (step + 1) / (step + 20))
    with torch.no_grad():
        for k, q in net.state_dict().items():
            if k in ema: ema[k].lerp_(q, 1 - d) if q.is_floating_point() else ema[k].copy_(q)
    for k, v in {**l, "gn": gn}.items(): sums[k] = sums.get(k, 0) + v.item() / 50
    if step % 50 == 0: print(step, f"{(time.time() - begun) / 60:.1f}", {k: round(v, 3) for k, v in sums.items()}, flush=True); sums = {}
    if step % 250 == 0 or few and step % 20 == 0:
        now = {k: v.clone() for k, v in own(net.state_dict()).items()}; net.load_state_dict(ema, strict=False); net.eval()
        with torch.no_grad(): vs = [losses_of(b) for b in val]
        print("  val", {k: round(sum(v[k].item() for v in vs) / len(vs), 3) for k in vs[0]}, flush=True); net.load_state_dict(now, strict=False)
    if time.time() - saved > 150: keep(); saved = time.time()
    if few and step >= 40: break
keep(); print("done", step)
