"""usage: speak.py SET(plan|studio) OUT [key=value ...]: today's latents -> flow-matched frames -> harmonic decoder."""
import sys, os, json, time
sys.path.insert(0, "/work/main/runs/frames"); sys.path.insert(0, "/work/main/runs/codec"); sys.path.insert(0, "/work/va_old")
import numpy as np, torch, torch.nn.functional as F
torch.set_num_threads(1)
exec(open("/work/main/runs/codec/prepare.py").read().split("meta = []")[0].replace("part, parts = int(sys.argv[1]), int(sys.argv[2])", ""))
from sketch import HarmonicDecoder, HOP
from model import Frames, MELS
from lib import audio, text, align
from lib.models.vits import whole
from lib.synthesis import Voices
which, out = sys.argv[1:3]; o = dict(every=1, guide=1.5, steps=6, temp=.7, noise=.1, useref=1, codec="/work/main/runs/codec/state.pt", net="/work/main/runs/frames/state.pt")
for a in sys.argv[3:]: k, v = a.split("="); o[k] = type(o[k])(v)
os.makedirs(out, exist_ok=True)
v = Voices.load(); vits = v.tts
dec = HarmonicDecoder(); dec.load_state_dict(torch.load(o["codec"], weights_only=False)["ema"]); dec.eval()
s = torch.load(o["net"], weights_only=False); net = Frames(); net.load_state_dict(s["ema"]); net.eval(); print("step", s["step"])
st = np.load("/work/main/runs/frames/stats.npz"); MEAN, STD = torch.tensor(st["mean"]), torch.tensor(st["std"])
filters = audio.mel_filters(16000, 1024, 128)
def logmel(wav):
    x = F.pad(wav, (412, 412), mode="reflect")
    q = torch.stft(x, 1024, HOP, 1024, torch.hann_window(1024), center=False, return_complex=True)
    return torch.log((filters @ (q.real**2 + q.imag**2 + 1e-9).sqrt()).clamp_min(1e-5))
def pitch_channels(f0):
    u = f0 > 0
    if not u.any(): return np.stack([np.zeros(len(f0)), -np.ones(len(f0))], 1)
    i = np.arange(len(f0)); l = np.interp(i, i[u], np.log(f0[u] / 150) / .35)
    return np.stack([l, np.where(u, 1.0, -1.0)], 1)
refs = {}
def reference(path):
    if path not in refs:
        w = audio.prepare(path, (1.0, 6.0)); w = w[: len(w) // HOP * HOP]
        m = ((logmel(torch.tensor(w)[None])[0].T - MEAN) / STD).numpy()
        refs[path] = (torch.tensor(np.concatenate([m, pitch_channels(f0_of(w))], 1), dtype=torch.float32)[None], torch.tensor(v.embed(path))[None])
    return refs[path]
lines = [json.loads(l) for l in open(f"/work/shared/eval/{which}.jsonl")][:: o["every"]]; made = []; took = secs = 0
with torch.inference_mode():
    for n, l in enumerate(lines):
        path = "/work/shared/eval/" + l["reference"]; ref, e = reference(path); pieces = []
        for k, sent in enumerate(text.sentences(l["text"]) or [l["text"]]):
            torch.manual_seed(7919 * k); start = time.time()
            x = torch.tensor([text.encode(sent)]); g = vits.conditioning(e); xm = torch.ones(1, 1, x.shape[1]); h, m_p, logs_p = vits.text(x, xm)
            path_ = align.path_from(whole(torch.exp(vits.durations(h, xm, g).float()))); mp, lp = m_p @ path_, logs_p @ path_
            z = vits.flow(mp + torch.randn_like(mp) * lp.exp() * o["noise"], torch.ones_like(mp[:, :1]), g, reverse=True)
            z = F.interpolate(z, size=int(round(z.shape[2] * 1.28)), mode="linear")
            r = ref if o["useref"] else ref[:, :0]
            y = net.sample(z, e, r, o["steps"], o["guide"], o["temp"])
            mel = (y[:, :, :MELS] * STD + MEAN).transpose(1, 2); f0 = torch.where(y[:, :, MELS + 1] > 0, 150 * torch.exp(.35 * y[:, :, MELS].clamp(-2.8, 3.4)), 0.0)
            wav = dec(mel, f0)[0, 0].numpy(); took += time.time() - start; secs += len(wav) / 16000
            pieces.append(audio.normalise(wav)); pieces.append(np.zeros(2880, "float32"))
        audio.save(f"{out}/{n:03d}.wav", 16000, np.concatenate(pieces[:-1])); made.append(l | {"wav": f"{n:03d}.wav", "reference": path})
open(f"{out}/manifest.jsonl", "w").write("".join(json.dumps(m) + "\n" for m in made)); print(which, o, "rtf", took / secs)
