# %%
import os
import sys
sys.path.insert(0, os.path.abspath(".." if os.path.basename(os.getcwd()) == "notebooks" else "."))
import numpy as np
import torch
from lib import audio, budget, corpus, losses, train
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig

BUDGET = budget.current()
source = corpus.source(BUDGET)
rows = corpus.rows(source, hours=budget.pick(quick=1, full=100))
people = [r for r in rows if r["split"] == "train"]
held_out = [r for r in rows if r["split"] == "valid"]
noises = corpus.noises()
# %%
samples, starts = corpus.cache(people, "runs/cache")
groups = list(corpus.by_speaker(people).values())
SPEEDS = (1.0, 0.9, 1.1)  # a person at another speed counts as another person: three times the voices
PAIRS, SECONDS = budget.pick(quick=12, full=40), 2.0


def crop(rng, i, speed):
    """A random stretch of clip i at another speed, augmented, [SECONDS * RATE]."""
    need = int(SECONDS * audio.RATE * speed) + 1
    first, last = starts[i], starts[i + 1]
    begin = rng.integers(first, max(first + 1, last - need))
    wav = np.asarray(samples[begin: min(last, begin + need)], dtype="float32") / 32767
    wav = audio.resample(np.resize(wav, need), int(audio.RATE * speed), audio.RATE)[: int(SECONDS * audio.RATE)]
    return audio.augment(rng, np.resize(wav, int(SECONDS * audio.RATE)), noises)


def draw(rng):
    """PAIRS people with two crops each: wav [PAIRS, 2, T], speaker [PAIRS]."""
    chosen = rng.choice(len(groups), min(PAIRS, len(groups)), replace=False)
    speeds = rng.integers(len(SPEEDS), size=len(chosen))
    wavs = [[crop(rng, rng.choice(groups[s]), SPEEDS[v]) for _ in range(2)] for s, v in zip(chosen, speeds)]
    return {"wav": torch.tensor(np.array(wavs)), "speaker": torch.tensor(chosen * len(SPEEDS) + speeds)}
# %%


class Classes(torch.nn.Module):
    """What only training needs: a direction for every voice, and the two scalars of the prototypical loss."""

    def __init__(self, n, D):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(n, D))
        self.scale, self.offset = torch.nn.Parameter(torch.tensor(10.0)), torch.nn.Parameter(torch.tensor(-5.0))

    def forward(self, spk_emb, speaker, margin):
        """The two losses of unit spk_emb [P, 2, D] for speaker [P]."""
        flat = spk_emb.flatten(0, 1)
        return {"aam": losses.aam_softmax(flat, self.weight, speaker.repeat_interleave(2), margin),
                "proto": losses.angular_prototypical(spk_emb, self.scale, self.offset)}


def step(nets, batch):
    """One optimiser, two losses."""
    P, two, T = batch["wav"].shape
    spk_emb = nets["encoder"](batch["wav"].reshape(P * two, 1, T)).reshape(P, two, -1)
    yield "both", nets["classes"](spk_emb, batch["speaker"], 0.2)


torch.manual_seed(0)
config = SpeakerEncoderConfig()
encoder, classes = SpeakerEncoder(config), Classes(len(groups) * len(SPEEDS), config.D)
optims = {"both": torch.optim.AdamW([*encoder.parameters(), *classes.parameters()], 2e-3, weight_decay=0.02)}
STEPS = budget.pick(quick=60, full=2200)
result = train.fit(step, {"encoder": encoder, "classes": classes}, optims, draw, STEPS, f"runs/01-{BUDGET}",
                   weights={"aam": 1.0, "proto": 1.0}, rate=train.cosine(STEPS), ema="encoder", ema_decay=0.997, seed=1)
# %%


def halves(net, found):
    """Embeddings of both halves of every clip, [2n, D], and who speaks."""
    out, who = [], []
    with torch.inference_mode():
        for row in found:
            wav = corpus.wav(row)
            for half in np.array_split(wav, 2):
                out.append(net(torch.tensor(half)[None, None])[0].numpy())
                who.append(row["speaker"])
    return np.stack(out), who


result["ema"].eval()
spk_emb, who = halves(result["ema"], held_out)
from lib import metrics
rate, threshold = metrics.eer_of(spk_emb, who)
print(f"EER {100 * rate:.2f} % on {len(set(who))} unseen people")
train.save(f"runs/01-{BUDGET}/export", result["ema"], config, {
    "data": "x", "licence": "x", "budget": "x", "figures": {"eer": round(float(rate), 4)}})
