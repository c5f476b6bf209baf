"""Train the harmonic decoder; resumable.  usage: train.py UNTIL(HH:MM) """
import sys, time, json, os, datetime
import numpy as np, torch, soxr
sys.path.insert(0, "/work/main/runs/codec"); sys.path.insert(0, os.environ.get("VA", "/work/va_old"))
import torch.nn.functional as F
from sketch import HarmonicDecoder, HOP
from lib import audio, losses, train as T
from lib.vocoder import Discriminator
torch.set_num_threads(1)
torch.manual_seed(0); rng = np.random.default_rng(int(time.time()))
until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[1])).timestamp()
FR, B = 40, 12
meta = [m | {"part": p} for p in (0, 1) for m in json.load(open(f"meta-{p}.json"))]
pcm = [np.memmap(f"cache-{p}.i16", dtype="int16", mode="r") for p in (0, 1)]; f0s = [np.load(f"f0-{p}.npy") for p in (0, 1)]
at = {0: 0, 1: 0}
for m in meta:
    m["at"] = at[m["part"]]; at[m["part"]] += m["frames"]
use = [m for m in meta if m["split"] == "train" and m["frames"] > 60]
often = np.array([{"accented.parquet": .4, "heart.parquet": .3, "voices.parquet": 1.0}.get(m["file"], .6 if (m["bandwidth_hz"] or 8000) < 7000 else 1.5) * m["frames"] for m in use]); often /= often.sum()
print(len(use), "clips", sum(m["frames"] for m in use) / 80 / 3600, "h", flush=True)
def stretch():
    m = use[rng.choice(len(use), p=often)]
    factor = rng.uniform(.85, 1.2) if rng.random() < .25 else 1.0   # another throat, another pitch: the clip played faster or slower
    n = min(int(np.ceil(FR * factor)) + 1, m["frames"])
    k = m["at"] + rng.integers(m["frames"] - n + 1)
    wav = np.asarray(pcm[m["part"]][k * HOP:(k + n) * HOP], "float32") / 32767; f0 = f0s[m["part"]][k:k + n]
    if factor != 1.0:
        wav = soxr.resample(wav, 16000 * factor, 16000).astype("float32")
        f0 = f0[np.clip(((np.arange(FR) + .5) * factor).astype(int), 0, n - 1)] * factor
    wav, f0 = wav[: FR * HOP], f0[:FR]
    gain = 10 ** (rng.uniform(-9, 4) / 20)
    gain = min(gain, .97 / max(np.abs(wav).max(), 1e-4))
    return np.pad(wav, (0, FR * HOP - len(wav))) * gain, np.pad(f0, (0, FR - len(f0)))
def batch():
    w, f = zip(*(stretch() for _ in range(B)))
    return torch.tensor(np.stack(w))[:, None].float(), torch.tensor(np.stack(f)).float()
filters = audio.mel_filters(16000, 1024, 128)
def logmel(wav):
    x = F.pad(wav.squeeze(1), (412, 412), mode="reflect")
    s = torch.stft(x, 1024, HOP, 1024, torch.hann_window(1024), center=False, return_complex=True)
    return torch.log((filters @ (s.real**2 + s.imag**2 + 1e-9).sqrt()).clamp_min(1e-5))
net, critic = HarmonicDecoder(), Discriminator()
opt = torch.optim.AdamW(net.parameters(), 5e-4, betas=(.8, .99), weight_decay=.01)
opc = torch.optim.AdamW(critic.parameters(), 2e-4, betas=(.8, .99))
ema = {k: v.clone() for k, v in net.state_dict().items()}
step, spent = 0, 0.0
if os.path.exists("state.pt"):
    s = torch.load("state.pt", weights_only=False); net.load_state_dict(s["net"]); critic.load_state_dict(s["critic"]); opt.load_state_dict(s["opt"]); opc.load_state_dict(s["opc"]); ema, step, spent = s["ema"], s["step"], s["spent"]
    print("resumed at", step)
else:
    critic.load_state_dict(T.read(os.environ.get("VA", "/work/va_old") + "/assets/checkpoints/discriminator"))
ADV_AFTER = 360.0
begun = time.time(); base = spent; saved = begun; sums = {}
bf = lambda: torch.autocast("cpu", torch.bfloat16)
while time.time() < until:
    now = time.time(); spent = base + now - begun
    total = base + until - begun
    share = spent / total
    lr = 6e-4 * min(1, (step + 1) / 100) * (.5 * (1 + np.cos(np.pi * share)) * .95 + .05)
    for g in opt.param_groups: g["lr"] = lr
    for g in opc.param_groups: g["lr"] = lr * .5
    adv = spent > ADV_AFTER
    wav, f0 = batch(); mel = logmel(wav)
    with bf(): hat = net(mel, f0)
    hat = hat.float(); rec = losses.multi_mel(hat, wav)
    out = {"rec": rec}; loss = 45 * rec
    if adv:
        with bf():
            r, fr = critic(wav); f, _ = critic(hat.detach())
            d = losses.discriminator_adv(r, f)
        opc.zero_grad(); d.backward(); opc.step()
        for p in critic.parameters(): p.requires_grad_(False)
        with bf(): f, fg = critic(hat)
        a, m = losses.generator_adv(f), losses.feature_matching([[x.detach() for x in l] for l in fr], fg)
        loss = loss + 5 * a + 40 * m; out |= {"d": d, "adv": a, "fm": m}
    opt.zero_grad(); loss.backward(); gn = torch.nn.utils.clip_grad_norm_(net.parameters(), 100.0)
    for p in critic.parameters(): p.requires_grad_(True)
    if torch.isfinite(gn): opt.step()
    else: print("nan skipped", flush=True)
    step += 1; decay = min(.998, step / (step + 50))
    with torch.no_grad():
        for k, v in net.state_dict().items(): ema[k].lerp_(v, 1 - decay)
    for k, v in out.items(): sums[k] = sums.get(k, 0) + float(v) / 100
    sums["gn"] = sums.get("gn", 0) + float(gn) / 100
    if step % 100 == 0:
        print(step, f"{spent/60:.1f} min lr {lr:.1e}", {k: round(v, 4) for k, v in sums.items()}, flush=True); sums = {}
    if time.time() - saved > 180:
        torch.save({"net": net.state_dict(), "critic": critic.state_dict(), "opt": opt.state_dict(), "opc": opc.state_dict(), "ema": ema, "step": step, "spent": spent}, "state.tmp"); os.replace("state.tmp", "state.pt"); saved = time.time()
torch.save({"net": net.state_dict(), "critic": critic.state_dict(), "opt": opt.state_dict(), "opc": opc.state_dict(), "ema": ema, "step": step, "spent": spent}, "state.tmp"); os.replace("state.tmp", "state.pt"); print("done", step)
