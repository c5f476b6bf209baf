"""trial16.py 640|16 MINUTES: equal CPU minutes from nothing: the present basis, or the paper's (windows of 16 samples, real filters, ReLU)."""
import sys, time, os, collections, json
import numpy as np, torch, torch.nn.functional as F
from torch import nn
sys.path.insert(0, "/work/main")
from lib import audio, losses
from lib.data import corpus
from lib.models.attractor import AttractorConfig, SpeakerAttractor, modulus, fourier_basis
from lib.nn.tcn import TCN
from lib.voices import people
torch.set_num_threads(1); torch.manual_seed(3); rng = np.random.default_rng(3)
kind, minutes = int(sys.argv[1]), float(sys.argv[2])
class Paper(SpeakerAttractor):
    """[SATTS] sec. 2.2: 16 samples, hop 8, real filters and a ReLU; the TCN reaches 2 s to either side."""
    FILTERS = 128
    def __init__(self, config):
        super().__init__(config)
        n = self.FILTERS
        self.encoder = nn.Linear(config.window, n, bias=False); self.decoder = nn.Linear(n, config.window, bias=False)
        nn.init.orthogonal_(self.encoder.weight); self.decoder.weight.data = self.encoder.weight.data.T.clone()
        self.inputs = nn.Conv1d(n, config.channels, 1); self.out = nn.Linear(config.width, n * config.D, bias=False)
    def encode(self, wav):
        window, hop = self.config.window, self.config.hop; edge = window - hop
        frames = F.pad(wav, (edge, edge + -wav.shape[-1] % hop)).unfold(-1, window, hop)
        with torch.autocast("cpu", enabled=False): return F.relu(self.encoder(frames.float())).unsqueeze(-2)  # [..., F, 1, N]
if kind == 640: net = SpeakerAttractor(AttractorConfig()); B, T = 12, 48000
else: net = Paper(AttractorConfig(window=16, hop=8, channels=128, hidden=256, width=64, repeats=2, blocks=11)); B, T = 3, 24000
print(kind, "samples", sum(p.numel() for p in net.parameters()) / 1e6, "M parameters; batch", B, "x", T / 16000, "s; TCN reaches", net.body.reach * net.config.hop / 16000, "s", flush=True)
by = collections.defaultdict(list)
for p in (0, 1):
    z = np.load(f"/root/att/part-{p}.npz"); raw = np.memmap(f"/root/att/part-{p}.raw", "int16", "r")
    for w, a, n in zip(z["who"], z["start"], z["size"]):
        if "*" not in w: by[w].append((raw, int(a), int(n)))
groups = [by[s] for s in sorted(by)]; print(len(groups), "people")
def crop(rng, group, T):
    for _ in range(4):
        raw, at, n = group[rng.integers(len(group))]; a = at + rng.integers(max(1, n - T + 1)); x = raw[a: min(at + n, a + T)].astype("float32") / 32767
        if audio.speech_level(x) > -45: break
    return audio.normalise(np.pad(x, (0, T - len(x))))
def mixtures(rng, groups, B, S, T):
    ring = rng.permutation(len(groups))[:max(B, S)]; w = np.stack([ring[(np.arange(B) + s) % len(ring)] for s in range(S)], 1); g = rng.uniform(.25, .75, (B, S, 1)).astype("float32"); g[:, 1:] = 1 - g[:, :1]
    s = (g * np.stack([[crop(rng, groups[i], T) for i in m] for m in w])).astype("float32"); return torch.tensor(s.sum(1, keepdims=True)), torch.tensor(s), torch.tensor(w)
def affinity(v, y):
    pairs = lambda a, b: (a.transpose(1, 2) @ b).float().square().sum((1, 2))
    return (pairs(v, v) - 2 * pairs(v, y) + pairs(y, y)).mean()
def terms_of(mix, sources, w):
    out = net(mix, sources); weight = out["weight"]; root = weight.sum(1).sqrt(); points = (out["V"] * root.unsqueeze(3)).flatten(1, 2); owners = (weight / root.unsqueeze(1).clamp_min(1e-6)).flatten(2).transpose(1, 2)
    return losses.negative_si_sdr(out["est_sources"], sources).mean() + 8 * losses.circle(out["attractors"].flatten(0, 1), w.flatten()) + 30 * affinity(points, owners.to(points.dtype))
begun = time.time(); basis = list(net.encoder.parameters()) + list(net.decoder.parameters()); opt = torch.optim.Adam(basis, 1e-3 if kind == 16 else 1e-4); steps = 0
while time.time() - begun < minutes * 60 * .15:  # the basis, with ideal masks ([TWOSTEP])
    mix, sources, _ = mixtures(rng, groups, B, 2, T); loss = losses.negative_si_sdr(net(mix, sources, oracle=True)["est_sources"], sources).mean(); opt.zero_grad(); loss.backward(); opt.step(); steps += 1
print("basis", steps, "steps, ideal masks", loss.item(), flush=True)
for q in basis: q.requires_grad_(False)
rest = [q for q in net.parameters() if q.requires_grad]; opt = torch.optim.AdamW(rest, 1e-3, betas=(.9, .999)); n = 0; start = time.time(); length = minutes * 60 - (start - begun); ema = {k: v.clone() for k, v in net.state_dict().items()}
while (share := (time.time() - start) / length) < 1:
    for g in opt.param_groups: g["lr"] = 1e-3 * min(1, (n + 1) / 50) * (.5 * (1 + np.cos(np.pi * share)) * .97 + .03)
    batch = mixtures(rng, groups, B, 2, T)
    with torch.autocast("cpu", torch.bfloat16): loss = terms_of(*batch)
    opt.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(rest, 5.0); opt.step(); n += 1
    if n % 20 == 0: print(n, f"{(time.time() - begun) / 60:.1f}", round(loss.item(), 2), flush=True)
per = (time.time() - start) / n; net.eval()
strangers = [[(np.clip(corpus.wav(r), -1, 1) * 32767).astype("int16") for r in rows] for rows in []]
rows = [r for f in ("speech-0", "speech-1") for r in corpus.rows(f"/work/shared/corpus/{f}.parquet", "valid")]; rng = np.random.default_rng(1)
valid = []
for mine in corpus.by_speaker(rows).values():
    clips = []
    for i in list(mine)[:6]: x = (corpus.wav(rows[i]) * 32767).astype("int16"); clips.append((x, 0, len(x)))
    valid.append(clips)
gains, ceil, found, secs = [], [], [], 0
for i in range(60):
    mix, sources, _ = mixtures(np.random.default_rng([7, i]), valid, 2, 2, 48000); mix, sources = mix[:1], sources[:1]
    none = losses.negative_si_sdr(mix.expand_as(sources), sources).mean().item()
    with torch.no_grad():
        out = net(mix, sources); gains.append(none - losses.negative_si_sdr(out["est_sources"], sources).mean().item())
        ceil.append(none - losses.negative_si_sdr(net(mix, sources, oracle=True)["est_sources"], sources).mean().item())
        t = time.time(); r = net.separate(mix, lambda p, w: people.people(p, w, net.config.counting, 2)); secs += time.time() - t
        est = torch.tensor(r.wavs)[None]; found.append(none - losses.pit(losses.pairwise(est, sources))[0].item())
out = {"samples": kind, "minutes": minutes, "parameters": sum(p.numel() for p in net.parameters()), "basis_steps": steps, "steps": n, "seconds_a_step": per, "speech_seconds_a_step": B * T / 16000, "ideal_masks": np.mean(ceil), "ideal_attractors": np.mean(gains), "found": np.mean(found), "half_interval": 1.96 * np.std(found) / 60 ** .5, "rtf": secs / 180}
out = {k: round(float(v), 4) for k, v in out.items()}; print(out); json.dump(out, open(f"/root/att/trial-{kind}.json", "w"))
