"""The harmonic decoder hears predicted frames beside true ones.  usage: train.py UNTIL SHARE"""
import sys, time, json, os, datetime, glob
import numpy as np, torch, soxr
sys.path.insert(0, "/work/main")
from lib import audio, losses, training
from lib.models.harmonic import HarmonicCodec
from lib.nn.critics import Discriminator
torch.set_num_threads(1); torch.manual_seed(0); rng = np.random.default_rng(int(time.time())); os.chdir("/root/gta")
until = datetime.datetime.combine(datetime.date.today(), datetime.time.fromisoformat(sys.argv[1])).timestamp(); SHARE = float(sys.argv[2]); STATE = "state2.pt"
FR, B, HOP = 40, 12, 200
D = "/work/main/runs/codec/"
meta = [m | {"part": p} for p in (0, 1) for m in json.load(open(D + f"meta-{p}.json"))]
pcm = [np.memmap(D + f"cache-{p}.i16", dtype="int16", mode="r") for p in (0, 1)]; f0s = [np.load(D + f"f0-{p}.npy") for p in (0, 1)]
at = {0: 0, 1: 0}
for m in meta: m["at"] = at[m["part"]]; at[m["part"]] += m["frames"]
use = [m for m in meta if m["split"] == "train" and m["frames"] > 60]
often = np.array([{"accented.parquet": .4, "heart.parquet": .3, "voices.parquet": 1.0}.get(m["file"], .6 if (m["bandwidth_hz"] or 8000) < 7000 else 1.5) * m["frames"] for m in use]); often /= often.sum()
gta = [r for f in sorted(glob.glob("g2-*.npz")) for r in np.load(f, allow_pickle=True)["rows"]]
print(len(use), "clips", len(gta), "predicted", flush=True)
har = HarmonicCodec()
def true():
    m = use[rng.choice(len(use), p=often)]
    factor = rng.uniform(.85, 1.2) if rng.random() < .25 else 1.0
    n = min(int(np.ceil(FR * factor)) + 1, m["frames"]); k = m["at"] + rng.integers(m["frames"] - n + 1)
    wav = np.asarray(pcm[m["part"]][k * HOP:(k + n) * HOP], "float32") / 32767; f0 = f0s[m["part"]][k:k + n]
    if factor != 1.0:
        wav = soxr.resample(wav, 16000 * factor, 16000).astype("float32"); f0 = f0[np.clip(((np.arange(FR) + .5) * factor).astype(int), 0, n - 1)] * factor
    wav, f0 = wav[: FR * HOP], f0[:FR]
    gain = 10 ** (rng.uniform(-9, 4) / 20); gain = min(gain, .97 / max(np.abs(wav).max(), 1e-4))
    wav = torch.tensor(np.pad(wav, (0, FR * HOP - len(wav))) * gain).float(); f0 = np.pad(f0, (0, FR - len(f0)))
    return wav, f0, har.mel(wav[None, None])[0]
def predicted():
    r = gta[rng.integers(len(gta))]; n = len(r["f0"]); a = int(rng.integers(n - FR + 1))
    wav = torch.tensor(r["wav"][a * HOP:(a + FR) * HOP].astype("float32") / 32767)
    gain = 10 ** (rng.uniform(-9, 4) / 20); gain = min(gain, .97 / max(float(wav.abs().max()), 1e-4))
    return wav * gain, r["f0"][a:a + FR].astype("float32"), torch.tensor(r["mel"][:, a:a + FR].astype("float32")) + np.log(gain)
def batch():
    n = round(B * SHARE); it = [predicted() for _ in range(n)] + [true() for _ in range(B - n)]
    return torch.stack([a for a, _, _ in it])[:, None], torch.tensor(np.stack([b for _, b, _ in it])).float(), torch.stack([c for _, _, c in it]), n
net, critic = har.decoder, Discriminator()
net.load_state_dict({k.removeprefix("decoder."): v for k, v in training.read("/work/main/assets/checkpoints/harmonic").items()})
critic.load_state_dict(training.read("/work/main/assets/checkpoints/harmonic_critic"))
opt = torch.optim.AdamW(net.parameters(), 2e-4, betas=(.8, .99), weight_decay=.01); opc = torch.optim.AdamW(critic.parameters(), 2e-4, betas=(.8, .99))
ema = {k: v.clone() for k, v in net.state_dict().items()}; step = 0
if os.path.exists(STATE):
    s = torch.load(STATE, weights_only=False); net.load_state_dict(s["net"]); critic.load_state_dict(s["critic"]); opt.load_state_dict(s["opt"]); opc.load_state_dict(s["opc"]); ema, step = s["ema"], s["step"]; print("resumed", step)
def keep(): torch.save({"net": net.state_dict(), "critic": critic.state_dict(), "opt": opt.state_dict(), "opc": opc.state_dict(), "ema": ema, "step": step}, STATE + ".tmp"); os.replace(STATE + ".tmp", STATE)
begun = saved = time.time(); sums = {}
bf = lambda: torch.autocast("cpu", torch.bfloat16)
while time.time() < until:
    share = (time.time() - begun) / (until - begun); warm = min(1, (time.time() - begun + 1) / 60)
    lr = 2.5e-4 * warm * (.5 * (1 + np.cos(np.pi * share)) * .95 + .05)
    for g in opt.param_groups: g["lr"] = lr
    for g in opc.param_groups: g["lr"] = lr * .7
    wav, f0, mel, n = batch()
    with bf(): hat = net(mel, f0)
    hat = hat.float()
    # a predicted frame says less than the sound: asking for that very sound would blur it, so the critic counts more there
    rec_p, rec_t = losses.multi_mel(hat[:n], wav[:n]), losses.multi_mel(hat[n:], wav[n:])
    with bf():
        r, fr = critic(wav); f, _ = critic(hat.detach()); d = losses.discriminator_adv(r, f)
    opc.zero_grad(); d.backward(); opc.step()
    for p in critic.parameters(): p.requires_grad_(False)
    with bf(): f, fg = critic(hat)
    a, m = losses.generator_adv(f), losses.feature_matching([[x.detach() for x in l] for l in fr], fg)
    loss = 45 * (SHARE * .35 * rec_p + (1 - SHARE) * rec_t) + 6 * a + 20 * m
    opt.zero_grad(); loss.backward(); gn = torch.nn.utils.clip_grad_norm_(net.parameters(), 100.0)
    for p in critic.parameters(): p.requires_grad_(True)
    if torch.isfinite(gn): opt.step()
    step += 1; decay = min(.998, step / (step + 50))
    with torch.no_grad():
        for k, v in net.state_dict().items(): ema[k].lerp_(v, 1 - decay)
    for k, v in {"rec_p": rec_p, "rec_t": rec_t, "d": d, "adv": a, "fm": m}.items(): sums[k] = sums.get(k, 0) + float(v.detach()) / 50
    if step % 50 == 0: print(step, f"{(time.time() - begun) / 60:.1f}", {k: round(v, 3) for k, v in sums.items()}, flush=True); sums = {}
    if time.time() - saved > 120: keep(); saved = time.time()
keep(); print("done", step)
