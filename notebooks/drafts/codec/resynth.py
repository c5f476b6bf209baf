"""Resynthesise valid clips and studio references with the codec's average; manifests for the judge.  usage: resynth.py STATE OUT"""
import sys, os, io, json
sys.path.insert(0, "/work/main/runs/codec"); sys.path.insert(0, "/work/va_old")
import numpy as np, torch, soundfile as sf, soxr, parselmouth, torch.nn.functional as F, glob, importlib.util
from sketch import HarmonicDecoder, HOP
from lib import audio, corpus
torch.set_num_threads(1); torch.manual_seed(0)
src = open("/work/main/runs/codec/prepare.py").read().split("meta = []")[0].replace("part, parts = int(sys.argv[1]), int(sys.argv[2])", "")
exec(src)
net = HarmonicDecoder(); net.load_state_dict(torch.load(sys.argv[1], weights_only=False)["ema"]); net.eval()
out = sys.argv[2]; os.makedirs(out, exist_ok=True)
filters = audio.mel_filters(16000, 1024, 128)
def logmel(wav):
    x = F.pad(wav, (412, 412), mode="reflect")
    s = torch.stft(x, 1024, HOP, 1024, torch.hann_window(1024), center=False, return_complex=True)
    return torch.log((filters @ (s.real**2 + s.imag**2 + 1e-9).sqrt()).clamp_min(1e-5))
def go(wav):
    wav = level(wav - wav.mean()); wav = wav[: len(wav) // HOP * HOP]
    with torch.inference_mode(): return wav, net(logmel(torch.tensor(wav)[None].float()), torch.tensor(f0_of(wav))[None])[0, 0].numpy()
rows = corpus.rows(sorted(glob.glob("/work/shared/corpus/speech-*.parquet")), "valid"); seen, lines, raw = set(), [], []
for r in rows:
    if (r["bandwidth_hz"] or 8000) < 7000 or r["speaker"] in seen or not 4 < r["seconds"] < 16: continue
    seen.add(r["speaker"]); w, rate = sf.read(io.BytesIO(r["audio"]), dtype="float32"); a, b = go(w)
    n = len(lines); sf.write(f"{out}/v{n}-src.wav", a, 16000); sf.write(f"{out}/v{n}.wav", np.clip(b, -1, 1), 16000)
    lines.append({"wav": f"v{n}.wav", "text": r["text"], "reference": f"v{n}-src.wav"}); raw.append({"wav": f"v{n}-src.wav", "text": r["text"], "reference": f"v{n}-src.wav"})
open(f"{out}/valid.jsonl", "w").write("".join(json.dumps(l) + "\n" for l in lines)); open(f"{out}/valid-raw.jsonl", "w").write("".join(json.dumps(l) + "\n" for l in raw))
lines, raw = [], []
for f in sorted(glob.glob("/work/shared/eval/studio/*")):
    try: rate, w = audio.load(f)
    except Exception: continue
    a, b = go(audio.resample(w, rate, 16000)); n = len(lines); sf.write(f"{out}/s{n}-src.wav", a, 16000); sf.write(f"{out}/s{n}.wav", np.clip(b, -1, 1), 16000)
    lines.append({"wav": f"s{n}.wav", "reference": f"s{n}-src.wav"}); raw.append({"wav": f"s{n}-src.wav", "reference": f"s{n}-src.wav"})
open(f"{out}/studio.jsonl", "w").write("".join(json.dumps(l) + "\n" for l in lines)); open(f"{out}/studio-raw.jsonl", "w").write("".join(json.dumps(l) + "\n" for l in raw))
print(len(lines))
