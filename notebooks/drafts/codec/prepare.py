"""Decode every training clip once to int16 at 16 kHz and track its f0 with Praat; halves of the work by argument."""
import io, sys, glob, json, numpy as np, soundfile as sf, soxr, pyarrow.parquet as pq, parselmouth
part, parts = int(sys.argv[1]), int(sys.argv[2])
HOP = 200
def f0_of(wav):
    sound = parselmouth.Sound(wav.astype("float64"), 16000)
    try:
        p = sound.to_pitch_ac(time_step=HOP / 16000, pitch_floor=60.0, pitch_ceiling=500.0)
    except Exception:
        return np.zeros(len(wav) // HOP, "float32")
    hz, t = p.selected_array["frequency"], p.xs()
    at = (np.arange(len(wav) // HOP) + 0.5) * HOP / 16000
    k = np.clip(np.round((at - t[0]) / (HOP / 16000)).astype(int), 0, len(t) - 1)
    out = hz[k].astype("float32")
    out[(at < t[0] - HOP / 16000) | (at > t[-1] + HOP / 16000)] = 0
    return out
def level(wav):
    fr = wav[: len(wav) // 256 * 256].reshape(-1, 256); db = 10 * np.log10((fr**2).mean(1) + 1e-10)
    loud = db[db > db.max() - 30]
    g = 10 ** ((-25 - 10 * np.log10(np.mean(10 ** (loud / 10)))) / 20)
    return wav * min(g, 0.97 / max(np.abs(wav).max(), 1e-9))
meta = []
n = 0
sf_out = open(f"cache-{part}.i16", "wb"); f0s = []
for path in sorted(glob.glob("/work/shared/corpus/*.parquet")):
    if "noise" in path or "rir" in path: continue
    rows = pq.read_table(path).to_pylist()
    for i, r in enumerate(rows):
        if i % parts != part: continue
        wav, rate = sf.read(io.BytesIO(r["audio"]["bytes"]), dtype="float32", always_2d=True)
        wav = wav.mean(1)
        if rate != 16000: wav = soxr.resample(wav, rate, 16000)
        wav = level(wav - wav.mean()); wav = wav[: len(wav) // HOP * HOP]
        if len(wav) < 8000: continue
        f0s.append(f0_of(wav))
        sf_out.write((wav * 32767).astype("int16").tobytes())
        meta.append({k: r.get(k) for k in ("id", "text", "text_kind", "speaker", "gender", "bandwidth_hz", "split", "source", "seconds")} | {"file": path.split("/")[-1], "frames": len(wav) // HOP})
    print(part, path, len(meta), flush=True)
sf_out.close()
np.save(f"f0-{part}.npy", np.concatenate(f0s)); json.dump(meta, open(f"meta-{part}.json", "w"))
