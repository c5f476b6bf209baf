"""Per clip (and per copy with another throat): pcm, f0, voice windows, posterior mean and std, z spoken from text with the recording's timing.  Chunks of 250 clips, random order."""
import sys, os, json, time, collections
sys.path.insert(0, "/work/va_old")
import numpy as np, torch, soxr
from lib import audio, text, train, align
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.models.vits import Vits, VitsConfig
from lib.nn import sequence_mask
from lib.vocoder import fuse_weight_norm
torch.set_num_threads(1); torch.manual_seed(0); rng = np.random.default_rng(77)
C = "/work/va_old/assets/checkpoints/"
enc, _ = train.load(C + "speaker_encoder", SpeakerEncoder, SpeakerEncoderConfig)
vits, _ = train.load(C + "tts", Vits, VitsConfig); vits = fuse_weight_norm(vits.eval())
D = "/work/main/runs/codec/"; HOP = 200
meta = [m | {"part": p} for p in (0, 1) for m in json.load(open(D + f"meta-{p}.json"))]
pcm = [np.memmap(D + f"cache-{p}.i16", dtype="int16", mode="r") for p in (0, 1)]; f0s = [np.load(D + f"f0-{p}.npy") for p in (0, 1)]
at = {0: 0, 1: 0}
for m in meta: m["at"] = at[m["part"]]; at[m["part"]] += m["frames"]
count = collections.Counter(m["speaker"] for m in meta)
seen = collections.Counter(); jobs = []
order = rng.permutation(len(meta))
for i in order:
    m = meta[i]
    if m["frames"] > 16 * 80 or m["split"] != "train": continue
    if (m["source"] == "LibriSpeech" or "speech-" in m["file"]) and count[m["speaker"]] <= 3:
        for low, high in ((.82, .93), (1.07, 1.22)):
            jobs.append((i, float(rng.uniform(low, high))))
    elif m["file"] == "voices.parquet" and rng.random() < .25:
        jobs.append((i, float(rng.choice([rng.uniform(.82, .93), rng.uniform(1.07, 1.22)]))))
jobs = [jobs[k] for k in rng.permutation(len(jobs))]
jobs = jobs[:3600]; print(len(jobs), "jobs", flush=True)
texts = {i: meta[i]["text"].strip() for i, _ in jobs if (meta[i]["text"] or "").strip()}
keys = list(texts); ph = list(text.phonemise([texts[k] for k in keys])); tokens = {k: text.ids(p) for k, p in zip(keys, ph)}
print("phonemised", flush=True)
windows_of = collections.defaultdict(list)
def equalise(wav):
    hz = np.fft.rfftfreq(len(wav), 1 / 16000) + 1e-3
    oct_ = np.log2(hz / np.geomspace(60, 7000, 10)[:, None]); gain = rng.uniform(-6, 6, (10, 1)); q = 2 * 2.5 ** rng.random((10, 1))
    shape = np.exp(-.5 * (q * oct_) ** 2)
    return np.fft.irfft(np.fft.rfft(wav) * 10 ** ((gain * shape).sum(0) / 20), len(wav)).astype("float32")
out = []; start = time.time(); n_chunk = 0
def flush():
    global out, n_chunk
    np.savez(f"tmp-{n_chunk:03d}.npz", rows=np.array(out, dtype=object)); os.replace(f"tmp-{n_chunk:03d}.npz", f"more-{n_chunk:03d}.npz"); n_chunk += 1; out = []
with torch.inference_mode():
    for j, (i, factor) in enumerate(jobs):
        m = meta[i]; a, n = m["at"], m["frames"]
        wav = np.asarray(pcm[m["part"]][a * HOP:(a + n) * HOP], "float32") / 32767; f0 = f0s[m["part"]][a:a + n]
        who = m["speaker"]
        if factor != 1.0:
            wav = equalise(soxr.resample(wav, 16000 * factor, 16000).astype("float32")); F_ = len(wav) // HOP
            f0 = f0[np.clip(((np.arange(F_) + .5) * factor).astype(int), 0, n - 1)] * factor; wav = wav[: F_ * HOP]
            wav = audio.normalise(wav); who = f"{who}*{factor:.3f}"
        w = torch.tensor(wav)[None, None]
        W = enc.windows(w); windows_of[who].append(W)
        pool = windows_of[who][int(rng.integers(len(windows_of[who])))]
        pick = pool[rng.permutation(len(pool))[: rng.integers(1, len(pool) + 1)]].mean(0); e = torch.nn.functional.normalize(pick, dim=0)[None]
        band = torch.tensor([float((m["bandwidth_hz"] or 8000) < 7000)])
        g = vits.conditioning(e, "verification", band)
        spec = audio.spectrogram(w); mask = torch.ones_like(spec[:, :1])
        m_q, logs_q = vits.posterior(spec, mask, g)
        row = {"wav": (wav * 32767).astype("int16"), "f0": f0.astype("float16"), "windows": W.numpy().astype("float16"), "e": e[0].numpy().astype("float16"), "m_q": m_q[0].numpy().astype("float16"), "s_q": logs_q[0].exp().numpy().astype("float16"),
               "speaker": who, "band": float(band), "file": m["file"], "split": m["split"], "id": m["id"], "kind": m["text_kind"]}
        x = tokens.get(i)
        if x is not None and 2 < len(x) <= spec.shape[2]:
            x = torch.tensor([x]); xm = torch.ones(1, 1, x.shape[1]); _, m_p, logs_p = vits.text(x, xm)
            z_p = vits.flow(m_q, mask, g)
            path = align.search(align.log_likelihood(z_p, m_p, logs_p), xm, mask)
            mp, lp = m_p @ path, logs_p @ path
            z = vits.flow(mp + torch.randn_like(mp) * lp.exp() * .2, mask, g, reverse=True)
            row["z_text"] = z[0].numpy().astype("float16"); row["tokens"] = np.array(x[0], "int16"); row["w"] = path.sum(2)[0].numpy().astype("int16")
        out.append(row)
        if len(out) == 250: flush(); print(j + 1, f"{time.time() - start:.0f} s", flush=True)
    flush()
print("done", flush=True)
