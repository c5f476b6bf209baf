"""Semantic vectors of every row itself, int8 (x127), beside lean rows: /root/hier/rows-*.npz."""
import glob, os, sys, time
sys.path.insert(0, "/work/main")
import numpy as np, torch, torch.nn.functional as F
from lib import audio
from lib.models.semantic import Semantic, SemanticConfig
torch.set_num_threads(1)
sem = Semantic(SemanticConfig()).eval(); sem.load_state_dict(torch.load("/root/sem/final.pt", weights_only=False)["ema"])
filters = audio.mel_filters(16000, 1024, 128); WIN = torch.hann_window(1024)
files = sorted(glob.glob("/work/main/runs/frames/chunk-*.npz")) + sorted(glob.glob("/root/f5/more-*.npz"))
files = files[::3] + files[1::3] + files[2::3]
t0 = time.time(); n = 0
for f in files:
    out = "/root/hier/rows-" + os.path.basename(f)
    if os.path.exists(out): continue
    rows = []
    for r in np.load(f, allow_pickle=True)["rows"]:
        if r["split"] != "train" or len(r["f0"]) < 100: continue
        size = len(r["f0"]); wav = F.pad(torch.tensor(r["wav"].astype("float32") / 32767)[None, None], (412, 412), mode="reflect")[0]
        q = torch.stft(wav, 1024, 200, 1024, WIN, center=False, return_complex=True)
        mel = torch.log((filters @ (q.real**2 + q.imag**2 + 1e-9).sqrt()).clamp_min(1e-5))[:, :, :size]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            code = torch.cat([sem(mel[:, :, a:a + 1200], torch.ones(1, 1, min(1200, mel.shape[2] - a))).float() for a in range(0, mel.shape[2], 1200)], 2)[0]
        rows.append({k: r[k] for k in ("wav", "f0", "windows", "speaker", "band", "file", "id", "split") if k in r} | {"code": (code.T * 127).round().to(torch.int8).numpy()})
        n += size
    a = np.empty(len(rows), object); a[:] = rows
    np.savez(out + ".tmp.npz", rows=a); os.replace(out + ".tmp.npz", out)
    print(out, len(rows), n, f"{time.time() - t0:.0f} s", flush=True)
