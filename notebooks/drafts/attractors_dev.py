"""evdev.py N STATE...: dB and EER on mixtures of voices never met (new throats), paired"""
import sys, pickle; sys.path.insert(0, "/work/main")
import numpy as np, torch
from lib import audio, losses
from lib.evaluation import metrics
from lib.voices import Bundle, people
torch.set_num_threads(1); N = int(sys.argv[1]); T = 48000
groups = list(pickle.load(open("/root/att/devvoices.pkl", "rb")).values())
def crop(rng, group):
    for _ in range(4):
        w = group[rng.integers(len(group))]; a = rng.integers(0, max(1, len(w) - T)); x = w[a: a + T]
        if audio.speech_level(x) > -45: break
    if rng.random() < .1: x = audio.room(rng, x)
    return audio.normalise(np.pad(x, (0, T - len(x))))
base = None
for which in sys.argv[2:]:
    net = Bundle()["attractor"].eval()
    if which != "shipped": net.load_state_dict(torch.load(which, weights_only=False)["ema"])
    gains, A, who, place = [], [], [], []
    for i in range(N):
        rng = np.random.default_rng([77, i]); w = rng.choice(len(groups), 2, replace=False); g = rng.uniform(.25, .75); s = torch.tensor(np.stack([g * crop(rng, groups[w[0]]), (1 - g) * crop(rng, groups[w[1]])]).astype("float32"))[None]
        mix = s.sum(1, keepdim=True); r = net.separate(mix, lambda p, v: people.people(p, v, net.config.counting, 2)); est = torch.tensor(r.wavs)[None]
        none = losses.negative_si_sdr(mix.expand_as(s), s).mean(1); table = losses.pairwise(est, s); best, order = losses.pit(table)
        gains.append(float(none - best)); A.append(r.attractors[order[0].numpy()]); who += list(w); place += [i, i]
    A, who, place, gains = np.concatenate(A), np.array(who), np.array(place), np.array(gains); i, j = np.triu_indices(len(who), 1); apart = place[i] != place[j]
    eer, _ = metrics.eer((A[i] * A[j]).sum(1)[apart], (who[i] == who[j])[apart]); base = gains if base is None else base; d = gains - base
    print(which, f"{gains.mean():.2f} bad {np.mean(gains < 3):.3f} eer {eer:.4f} paired {d.mean():+.2f} +- {1.96 * d.std() / len(d) ** .5:.2f}", flush=True)
