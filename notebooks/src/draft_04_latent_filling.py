# %% [markdown]
# # 04 · Latent filling: learn to speak as people who do not exist
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/voice-atlas/voice-atlas/blob/main/notebooks/04_latent_filling.ipynb)
#
# A synthesiser learns some hundred voices and is then asked for one that it never met. Between the known voices lies
# empty space, and a network owes nobody a promise about what it does there. One remedy is more people: costly, and
# crowd-sourced recordings bring noise along. Another is to bend the recordings one has, by shifting their pitch. The
# paper of this lesson leaves the recordings alone and fills the space **of the voice vectors** instead: it invents
# vectors between and around the known ones and asks the model to speak with them. There is no recording of such a
# voice, so nothing can be compared with one; only the *voice* of what comes out can be checked, by the encoder of
# lesson 01. That check is a loss, and it has a gradient.
#
# In order:
#
# 1. hear a voice between two voices;
# 2. how empty is the space?
# 3. two ways to fill it, with their naive twins;
# 4. the latent-filling consistency loss, and the famous mistake to avoid;
# 5. the paper's Table 1, in small: baseline, latent filling, pitch shift, crowd-sourced data;
# 6. what tau and the noise do;
# 7. the finish that makes the weights we ship.
#
# Quick budget (two CPU cores): about two and a half minutes; the runs are then so short that their differences are
# chance, and the table says so. The committed table at full budget stands beside it.

# %%
import importlib.util
import os
import subprocess
import sys

for folder in ("..", "."):  # started from notebooks/, or from the project's root
    if os.path.isdir(os.path.join(folder, "lib")):
        sys.path.insert(0, os.path.abspath(folder))
if importlib.util.find_spec("lib") is None:  # Colab: nothing is here yet
    subprocess.run(["git", "clone", "-q", "--depth", "1", "https://github.com/voice-atlas/voice-atlas"], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-r", "voice-atlas/requirements.txt"], check=True)
    sys.path.insert(0, os.path.abspath("voice-atlas"))

# %% [markdown]
# ## 1. Hear it first
#
# Two voices that were in no training set, and a third that is nobody's: the point halfway between their vectors.

# %%
import copy
import json
import shutil

import numpy as np
import torch

from lib import audio, budget, corpus, filling, losses, metrics, perturb, show, text, train
from lib.clips import Clips
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.models.vits import Vits, VitsConfig
from lib.nn import slices
from lib.synthesis import Voices
from lib.vocoder import Discriminator

BUDGET = budget.current()
ROOT, CHECKPOINTS = corpus.EMBEDDED.parents[2], corpus.EMBEDDED.parents[1] / "checkpoints"
RUN = ROOT / f"runs/04-{BUDGET}"
WORDS = "The ship sails at dawn, whether or not you are on board."
voices, virtual = Voices.load(), corpus.rows(split="valid")
one, two = (torch.tensor(voices.embed(audio.load(row["audio"]))) for row in (virtual[0], virtual[-1]))
for name, spk_emb in ("one", one), ("halfway", filling.interpolate(one, two, 0.5)), ("two", two):
    show.display(show.player(voices.speak(WORDS, spk_emb.numpy()).wav, label=name))

# %% [markdown]
# ## 2. How empty is the space?
#
# The model of lesson 03 and its critic are loaded, to be trained on; and the training voices, each as the mean of its
# clips. For each voice *held out*, how near is the nearest training voice? If cosines of 0.9 were the rule, there would be
# nothing to fill: every stranger would have a neighbour. For comparison, the same for points halfway between random
# pairs of training voices: such points lie about as far out as strangers do, which is why they are good practice.

# %%
encoder, encoder_card = train.load(CHECKPOINTS / "speaker_encoder", SpeakerEncoder, SpeakerEncoderConfig)
encoder.requires_grad_(False)  # frozen: gradients pass through it, and none stays
base, base_card = train.load(os.environ.get("VOICE_ATLAS_TTS", CHECKPOINTS / "tts"), Vits, VitsConfig)
everything = corpus.rows(corpus.source(BUDGET), hours=budget.pick(quick=1, full=20))
rows = [row for row in everything if row["split"] == "train"]
clips = Clips(rows, ROOT / "runs/cache", lambda wav: encoder.windows(torch.tensor(wav)[None, None]).numpy(), tag=encoder_card["figures"]["eer"])
unit = torch.nn.functional.normalize
known = unit(torch.tensor(np.stack([np.concatenate([clips.windows[i] for i in mine]).mean(0) for mine in clips.people.values()])), dim=1)
held_out = [row for row in everything if row["split"] == "valid"]
strangers = unit(torch.stack([encoder.embed(torch.tensor(corpus.wav(held_out[mine[0]]))[None, None])
                              for mine in corpus.by_speaker(held_out).values()]), dim=1)
torch.manual_seed(0)
pairs = torch.stack([torch.randperm(len(known))[:2] for _ in range(300)])
between = filling.interpolate(known[pairs[:, 0]], known[pairs[:, 1]], 0.5)
nearest = {"a stranger": (strangers @ known.T).max(1).values, "halfway between two": (between @ known.T).max(1).values,
           "a training voice (itself left out)": (known @ known.T - 2 * torch.eye(len(known))).max(1).values}
show.display(show.table([{"point": name, "cosine to the nearest training voice": float(c.mean()), "lowest": float(c.min())}
                         for name, c in nearest.items()], f"{len(known)} training voices, {len(strangers)} strangers"))

# %% [markdown]
# ## 3. Two ways to fill it
#
# **Interpolation** makes a voice between two *different* speakers $s_i$ and $s_j$: with a share $\lambda$ drawn evenly
# from 0 to 1, $\tilde s = (1-\lambda)\, s_i + \lambda\, s_j$. **Noise** makes a voice near one speaker:
# $\tilde s = s_i + \epsilon$. Both leave the sphere, inside which the encoder has never put anything, so both are
# brought back to length 1. (The paper's summary says nothing about the sphere or about strengths; those are ours.)
#
# The strength of the noise is the length of the whole noise vector, not of one coordinate: at 1, noise and voice are
# equally long and, in 128 dimensions, nearly at right angles, so the result lies 45 degrees away. That angle is the
# twin: two sides of a right triangle.

# %% tags=["nbval-check-output"]
rng = torch.Generator().manual_seed(0)
a, b = unit(torch.randn(2, 2000, 128, generator=rng), dim=2)


def naive_interpolate(a, b, share):
    """One pair of vectors, one number at a time."""
    mixed = [(1 - share) * x + share * o for x, o in zip(a.tolist(), b.tolist())]
    length = sum(m * m for m in mixed) ** 0.5
    return torch.tensor([m / length for m in mixed])


assert torch.allclose(naive_interpolate(a[0], b[0], 0.3), filling.interpolate(a[0], b[0], 0.3), atol=1e-6)
for scale in (0.25, 0.5, 1.0, 2.0):
    cosine = (filling.add_noise(a, scale, rng) * a).sum(1)
    assert abs(cosine.mean() - 1 / (1 + scale**2) ** 0.5) < 0.01
    print(f"noise {scale}: about {np.degrees(np.arccos(1 / (1 + scale**2) ** 0.5)):.0f} degrees away")

# %% [markdown]
# Hear both. The share slides from the first voice of section 1 to the second; the noise is added on top. Is the middle
# *one* person, or two speaking at once? (A mixture of vectors is not a mixture of sounds: that is lesson 02.)

# %%
def mixed(share, noise):
    """Say WORDS with a share of voice two and some noise."""
    spk_emb = filling.add_noise(filling.interpolate(one, two, share), noise, torch.Generator().manual_seed(0))
    cosines = f"cosine to one {spk_emb @ one:.2f}, to two {spk_emb @ two:.2f}"
    show.display(show.player(voices.speak(WORDS, spk_emb.numpy()).wav, label=f"share {share:g}, noise {noise:g}: {cosines}"))


show.sliders(mixed, share=(0.0, 1.0, 0.125, 0.25), noise=(0.0, 1.5, 0.25, 0.0))

# %% [markdown]
# ## 4. A loss without a recording
#
# For a filled voice $\tilde s$ the model speaks some text of the batch, and the encoder $E$ listens:
#
# $$L_\text{lfc} = 1 - \cos\big(E(G(\text{text}, \tilde s)),\ \tilde s\big)$$
#
# This is the **latent-filling consistency loss**, LFCL. With a voice that somebody has, the same formula is called
# *speaker-consistency loss* (SCL), from YourTTS. And there hides the famous mistake: in the published YourTTS code the
# gradient of that loss never reached the synthesiser, because the speech went through a step that cuts it off. The
# curve in the log looked fine, and nothing was learned from it. So we look at the gradient itself before we train:
# it must arrive at the generator, and nothing may stick to the encoder, which is the judge and must not be bribed.
#
# `Vits.generate` speaks as `infer` does but for a whole batch and with gradients; only two seconds of each sentence, as
# that is enough to know a voice. Durations are rounded to whole frames, and no gradient survives rounding: LFCL cannot
# teach rhythm.

# %% tags=["nbval-check-output"]
def voiced(net, batch, asked):
    """One minus the cosine between the voices asked for, [B, D], and the voices that are heard."""
    speech = net({"x": batch["x"], "tokens": batch["tokens"], "asked": asked}, ("speech",))["speech"]
    return losses.speaker_consistency(encoder.to(speech.device)(speech.float()), asked)


probe, batch = copy.deepcopy(base), clips.batch(np.random.default_rng(0), 600)
torch.manual_seed(0)
voiced(probe, batch, filling.fill(batch["spk_emb"], batch["speaker"])).backward()
moved = {part: any(p.grad is not None and bool(p.grad.abs().max() > 0) for p in net.parameters()) for part, net in probe.named_children()}
print("the gradient arrives at:", ", ".join(part for part, there in moved.items() if there))
print("and not at:", ", ".join(part for part, there in moved.items() if not there))
print("left on the encoder:", any(p.grad is not None for p in encoder.parameters()))

# %% [markdown]
# ### The training procedure
#
# The paper's rule is short. Before each step a coin with probability $\tau$ is thrown. Heads: the step sees **only**
# LFCL. Tails: the usual losses, with SCL among them. No extra stage, no extra data, no extra parameter.
#
# For the comparison we keep it cheap: the autoencoder half stays frozen and the prior learns on cached latents, as in
# stage two of lesson 03. What a filled voice can change is then the prior, the flow and the conditioning. The coin is
# thrown in `draw`, by the generator that is handed in, so that step 17 is the same step whenever it is made.

# %%
WEIGHTS = {"kl": 50.0, "duration": 1.0, "rhythm": 1.0, "scl": 9.0, "lfcl": 9.0, "mel": 45.0, "kl_standard": 5.0, "adv": 5.0, "fm": 40.0, "critic": 1.0}


def prior_losses(out):
    return {"kl": losses.kl(out["z_p"], out["logs_q"], out["m_p"], out["logs_p"], out["z_mask"]),
            "duration": losses.duration_mse(out["logw"], out["w"], out["x_mask"]), "rhythm": out["rhythm"].mean()}


def learner(config):
    """The step of the comparison: LFCL alone where the coin said so, else reconstruction of latents and SCL."""
    def step(nets, batch):
        if batch["fill"]:
            yield "vits", {"lfcl": voiced(nets["vits"], batch, filling.fill(batch["spk_emb"], batch["speaker"], config))}
        else:
            yield "vits", prior_losses(nets["vits"](batch, ("prior",))) | {"scl": voiced(nets["vits"], batch, batch["spk_emb"])}
    return step


def toss(config, batch):
    """draw(rng) with the coin of latent filling thrown first; without a config it always shows tails."""
    def draw(rng):
        fill = config is not None and rng.random() < config.tau
        return batch(rng) | {"fill": fill}
    return draw

# %% [markdown]
# ## 5. The paper's Table 1, in small
#
# Four systems start from the same weights and train for the same number of steps:
#
# - **Baseline**: reconstruction and SCL, on a small set of training voices;
# - **+LF**: the same set, with the coin;
# - **+PS**: the same set and a pitch-shifted copy of every clip, up or down by two to four semitones, which counts as
#   another person. The data are doubled, as in the paper;
# - **+CS**: the same set and crowd-sourced recordings. Where the corpus has speakers with a foreign accent, recorded at
#   home, those are it; the embedded corpus has none, so five of its voices get the noises and rooms of lesson 01.
#
# One caution: the start already knows the speech of all training voices (it is the shipped model). What is compared is
# what a short further training does, and that is less than the paper's training from nothing.
#
# The pitch shift is Praat's, which leaves tempo and formants where they are: the same throat, another pitch.

# %%
FRAMES, STEPS, SEEDS = budget.pick(quick=700, full=3000), budget.pick(quick=4, full=150), 3
order = np.random.default_rng(0).permutation(len(rows))
foreign, local = [], []
for i in order:
    (local if rows[i].get("accent") in (None, "", "native") else foreign).append(rows[i])
small = list(corpus.until(local, budget.pick(quick=0.1, full=2.0)))


def remade(row, wav, tag):
    """The row with another sound, as a recording of another person."""
    return row | {"audio": audio.encoded(wav), "speaker": f"{row['speaker']} {tag}", "id": f"{row.get('id')} {tag}"}


def shifted(k, row):
    """The row 2 to 4 semitones higher or lower."""
    return remade(row, perturb.shift(corpus.wav(row), 1.0, 2 ** ((1 if k % 2 else -1) * (2 + k % 3) / 12)), "shifted")


noises, rng = corpus.noises() or [np.random.default_rng(0).standard_normal(160_000).astype("float32") * 0.05], np.random.default_rng(0)
abroad = list(corpus.by_speaker(foreign))[:20]  # not trained on here: references of the cross-lingual test
crowd = [row for row in foreign if row["speaker"] not in abroad][: len(small)] or [remade(row, audio.augment(rng, corpus.wav(row), noises, 1.0), "at home") for row in small[:10]]
sets = {"small": small, "shifted": small + [shifted(k, row) for k, row in enumerate(small)], "crowd": small + crowd}
SYSTEMS = {"Baseline": (None, "small"), "+LF": (filling.FillingConfig(), "small"), "+PS": (None, "shifted"), "+CS": (None, "crowd")}
print({name: f"{len(found)} clips, {len(corpus.by_speaker(found))} voices" for name, found in sets.items()})

# %% [markdown]
# ### A judge who was not there
#
# LFCL and SCL are computed with our encoder, so our encoder must not give the marks: a model can learn to please it in
# ways no ear would notice. So a second one is trained here, half as wide, from another start, on clean crops and with
# the loss of lesson 01. It has never been in a loss of the synthesiser. (The figures on the shipped card come from a
# third encoder, of other people's making.)

# %%
judge = SpeakerEncoder(SpeakerEncoderConfig(channels=(16, 32, 64, 128)))
groups, SIDE = list(clips.people.values()), budget.pick(quick=8, full=32)


def crops(rng):
    """SIDE people, two stretches of 1.5 s each: wav [SIDE, 2, 1, T]."""
    def crop(i):
        wav = clips.wav(i)
        begin = rng.integers(max(1, len(wav) - 24000))
        return np.resize(wav[begin: begin + 24000], 24000)
    chosen = rng.choice(len(groups), min(SIDE, len(groups)), replace=False)
    return {"wav": torch.tensor(np.array([[[crop(rng.choice(groups[s]))], [crop(rng.choice(groups[s]))]] for s in chosen]))}


def find_other_half(nets, batch):
    spk_emb = nets["judge"](batch["wav"].flatten(0, 1)).unflatten(0, (-1, 2))
    yield "judge", {"proto": losses.angular_prototypical(spk_emb, torch.tensor(20.0), torch.tensor(0.0))}


if BUDGET == "quick":  # begins anew each time; a full run continues where it was stopped
    shutil.rmtree(RUN, ignore_errors=True)
steps = budget.pick(quick=60, full=1500)
train.fit(find_other_half, {"judge": judge}, {"judge": torch.optim.AdamW(judge.parameters(), 2e-3)}, crops, steps, RUN / "judge",
          weights={"proto": 1.0}, rate=train.cosine(steps, steps // 10), seed=9, log_every=budget.pick(quick=20, full=100))
judge.cpu().eval()

# %% [markdown]
# ### Twelve runs, and what is asked of them
#
# Three seeds each. After training, every run says the same sentences in the voices of the same strangers: *intra-lingual*
# are held-out speakers of the corpus; *cross-lingual* references would be Koreans in the paper (`Bingsu/zeroth-korean`
# on the hub); here the corpus has speakers of English whose first language is Mandarin, and they stand in, where there
# are any. Each result gives a SECS by the judge and, where a recogniser is at hand (`VOICE_ATLAS_ASR`), its misheard words.

# %%
SENTENCES = [WORDS, "Nobody had told the gardener that the gate was locked."][: budget.pick(quick=1, full=2)]
ASK = {"intra": [corpus.wav(held_out[mine[0]]) for mine in list(corpus.by_speaker(held_out).values())[: budget.pick(quick=3, full=21)]],
       "cross": [corpus.wav(next(row for row in foreign if row["speaker"] == name)) for name in abroad]}
read = metrics.asr(os.environ["VOICE_ATLAS_ASR"]) if "VOICE_ATLAS_ASR" in os.environ else None


@torch.inference_mode()
def examine(net):
    """{test: {"secs": [speakers], "wer": [speakers]}} of a model; wer only with a recogniser."""
    marks = {}
    for test, references in ASK.items():
        for wav in references:
            spk_emb, secs, wer = encoder.embed(torch.tensor(wav)[None, None]), [], []
            for words in SENTENCES:
                torch.manual_seed(0)
                spoken = audio.normalise(net.infer(torch.tensor([text.encode(words)]), spk_emb[None])[0][0, 0].numpy())
                secs.append(metrics.secs(*(judge.embed(torch.tensor(w)[None, None]) for w in (wav, spoken))))
                wer += [metrics.wer([words], [read(spoken)])] if read else []
            for name, values in (("secs", secs), ("wer", wer)):
                marks.setdefault(test, {}).setdefault(name, []).extend([float(np.mean(values))] if values else [])
    return marks


print({test: f"{len(references)} references" for test, references in ASK.items()}, "ground truth and other people, SECS by the judge:")
halves = [[judge.embed(torch.tensor(half)[None, None]) for half in np.array_split(wav, 2)] for wav in ASK["intra"]]
print(f"same voice {np.mean([metrics.secs(a, b) for a, b in halves]):.2f}, two voices "
      f"{np.mean([metrics.secs(halves[k][0], halves[k - 1][1]) for k in range(len(halves))]):.2f}")

# %%
def train_and_examine(name, config, data, seed):
    """One run from the shipped weights, and its marks; a full budget keeps the marks and never makes a run twice."""
    kept = RUN / f"{name}-{seed}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    net, mine = copy.deepcopy(base), Clips(sets[data], ROOT / "runs/cache", embed, tag=encoder_card["figures"]["eer"])
    z = mine.latents(RUN / f"{data}.f16", code)
    net.posterior.requires_grad_(False), net.decoder.requires_grad_(False)
    optim = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], 1e-4, (0.8, 0.99))
    train.fit(learner(config), {"vits": net}, {"vits": optim}, toss(config, lambda rng: mine.batch(rng, FRAMES, z)), STEPS,
              weights=WEIGHTS, rate=train.cosine(STEPS, STEPS // 5), seed=seed, log_every=STEPS)
    kept.write_text(json.dumps(marks := examine(net.cpu().eval())))
    return marks


def embed(wav):
    return encoder.cpu().windows(torch.tensor(wav)[None, None]).numpy()


def code(wav, spk_emb, band):
    return base.encode(torch.tensor(wav)[None, None], torch.tensor(spk_emb)[None], torch.tensor([band]))[:2]


marks = {name: [train_and_examine(name, *how, seed) for seed in range(SEEDS)] for name, how in SYSTEMS.items()}

# %% [markdown]
# ### Read it like a sceptic
#
# The systems spoke the same sentences in the same voices, so we compare in pairs: for each *speaker*, the mark of a
# system minus the mark of the baseline, averaged over sentences and seeds. The interval comes from the **bootstrap**:
# draw as many speakers as there are, with replacement, take the mean, two thousand times; 95 % of those means lie in it.
# If it holds 0, the difference is inside the noise, whatever the mean says. *Over seeds* is how much the mean of one
# system moves when only the seed changes. The paper found + 0.009 for LF in both tests, without intervals.

# %%
def compare(marks, test, what):
    """Rows of the table: mean of each system, its spread over seeds, and its paired difference to the baseline."""
    lines = []
    values = {name: np.array([run[test][what] for run in runs]) for name, runs in marks.items()}  # [seeds, speakers]
    for name, found in values.items():
        mean, low, high = metrics.bootstrap((found - values["Baseline"]).mean(0))
        lines.append({"test": test, "system": name, what: found.mean(), "over seeds": found.mean(1).std(ddof=1),
                      "minus baseline": f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]",
                      "verdict": "-" if name == "Baseline" else "inside the noise" if low <= 0 <= high else "better" if (mean > 0) == (what == "secs") else "worse"})
    return lines


found = [line for test in ASK if ASK[test] for what in ("secs", "wer") if marks["Baseline"][0][test][what] for line in [compare(marks, test, what)]]
for lines in found:
    show.display(show.table(lines, f"this run, {BUDGET} budget: {STEPS} steps from the shipped weights, {SEEDS} seeds"))

# %% [markdown]
# ## 6. What tau and the noise do
#
# With $\tau$ near 0 nothing is filled; near 1 the model never sees a recording again and forgets how to speak. The noise
# decides how far from known voices the filled ones may lie. One seed each, so mind the spread you have just seen.

# %%
TAUS, NOISES = budget.pick(quick=(0.25, 0.75), full=(0.1, 0.25, 0.5, 0.75)), budget.pick(quick=(0.25, 1.0), full=(0.0, 0.25, 0.5, 1.0))
sweeps = {"tau": {tau: train_and_examine(f"tau {tau}", filling.FillingConfig(tau=tau), "small", 0) for tau in TAUS},
          "noise": {noise: train_and_examine(f"noise {noise}", filling.FillingConfig(noise=noise, mix=0.0), "small", 0) for noise in NOISES}}
fig, axes = show.figure(cols=2, sharey=True)
for axis, (name, runs) in zip(axes, sweeps.items()):
    axis.plot(list(runs), [np.mean(run["intra"]["secs"]) for run in runs.values()], "o-", color=show.COLOURS[0], label="+LF")
    for k, run in enumerate(marks["Baseline"]):
        axis.axhline(np.mean(run["intra"]["secs"]), color="black", linestyle=":", label="" if k else "baseline, each seed")
    axis.legend(fontsize=8, frameon=False)
    show.label(axis, f"{name} (no unit)", "SECS by the judge", f"{name}, {STEPS} steps")
show.display(fig)

# %% [markdown]
# ### Exercise 1
#
# A run has n steps and $\tau$ = 0.25. Somebody trains the baseline with $\tau$ = 0 for the same n steps and finds that LF
# gives worse intelligibility. For how many steps must LF train so that both have seen equally many *recordings*? Write it
# as a function of n and tau.

# %%
fair = None  # for example: lambda n, tau: ...

show.exercise(1, fair, lambda answer: all(abs(answer(n, tau) - n / (1 - tau)) < 1 for n, tau in ((300, 0.25), (1000, 0.5), (150, 0.1))),
              "Of N steps, (1 - tau) N see a recording.")

# %% [markdown]
# <details><summary>Solution 1</summary>
#
# `fair = lambda n, tau: n / (1 - tau)`. The paper compares at equal steps, and so does the table above; LF pays for its
# filling steps with recordings not seen.
# </details>
#
# ### Exercise 2
#
# Where do filled voices fall? Write `crowded(spk_emb, known)`: for filled vectors `[n, D]` and the known ones `[S, D]`, all
# of length 1, the share of filled vectors whose nearest known voice has a cosine above 0.8, the ones that fill nothing.

# %%
crowded = None  # for example: lambda spk_emb, known: ...

show.exercise(2, crowded, lambda answer: all(abs(float(answer(filling.add_noise(known, scale, torch.Generator().manual_seed(1)), known))
              - float(((filling.add_noise(known, scale, torch.Generator().manual_seed(1)) @ known.T).max(1).values > 0.8).float().mean())) < 1e-6
              for scale in (0.3, 0.7, 1.2)), "All cosines at once: spk_emb @ known.T")

# %% [markdown]
# <details><summary>Solution 2</summary>
#
# `crowded = lambda spk_emb, known: ((spk_emb @ known.T).max(1).values > 0.8).float().mean()`. At noise 0.7 nearly all are
# crowded, at 0.8 hardly any: in many dimensions noise has nearly always the same length.
# </details>
#
# ## 7. The finish
#
# What is shipped is made here: the joint step of lesson 03, on everybody, with SCL on its ordinary steps, LFCL where the coin
# says so, and, on a share of the steps, the adversarial loss alone on short crops of *all* voices, which is where sound quality
# comes from. At quick budget it is a handful of steps, so that you can see the code run.

# %%
def decoded(nets, batch, parts):
    """Forward pass; the outputs, and the slice of the recording that belongs to wav_hat."""
    out = nets["vits"](batch | {"spec": audio.spectrogram(batch["wav"])}, parts)
    return out, slices(batch["wav"], out["start"] * audio.HOP, out["wav_hat"].shape[2])


def finish(nets, batch):
    """LFCL alone, or lesson 03's critic and generator; with text in the batch, the prior's losses and SCL too."""
    if batch["fill"]:
        yield "vits", {"lfcl": voiced(nets["vits"], batch, filling.fill(batch["spk_emb"], batch["speaker"]))}
        return
    out, wav = decoded(nets, batch, ("autoencoder", "prior") if "x" in batch else ("autoencoder",))
    scores, _ = nets["critic"](torch.cat([wav, out["wav_hat"].detach()]))
    yield "critic", {"critic": losses.discriminator_adv(*zip(*(s.chunk(2) for s in scores)))}
    scores, fmaps = nets["critic"](torch.cat([wav, out["wav_hat"]]))
    fmap_r, fmap_g = zip(*(zip(*(f.chunk(2) for f in fmap)) for fmap in fmaps))
    terms = {"mel": losses.multi_mel(out["wav_hat"], wav), "adv": losses.generator_adv([s.chunk(2)[1] for s in scores]),
             "fm": losses.feature_matching(fmap_r, fmap_g)}
    standard = {"kl_standard": losses.kl_standard(out["m_q"], out["logs_q"], out["z_mask"])}
    yield "vits", terms | (prior_losses(out) | {"scl": voiced(nets["vits"], batch, batch["spk_emb"])} if "x" in batch else standard)


# %%
vits, critic = copy.deepcopy(base), Discriminator()
critic.load_state_dict(train.read(CHECKPOINTS / "discriminator"))
clips.order = np.array([i for i in clips.order if clips.rows[i].get("accent") in (None, "", "native")])  # as in lesson 03
STEPS, LONG, CROPS = budget.pick(quick=4, full=3000), budget.pick(quick=500, full=3000), budget.pick(quick=4, full=16)
lf = filling.FillingConfig(tau=0.15)


def either(rng):
    """With chance tau a filling step; else short crops of everybody, or whole sentences."""
    coin = rng.random()
    if coin > 0.6:
        return clips.crops(rng, CROPS, 64) | {"fill": False}
    return clips.batch(rng, LONG) | {"fill": coin < lf.tau}


optims = {"vits": torch.optim.AdamW(vits.parameters(), 2e-4, (0.8, 0.99)), "critic": torch.optim.AdamW(critic.parameters(), 2e-4, (0.8, 0.99))}
result = train.fit(finish, {"vits": vits, "critic": critic}, optims, either, STEPS, RUN / "finish", weights=WEIGHTS, clip=1000, seed=7,
                   rate=train.cosine(STEPS, min(100, STEPS // 3), 0.1), ema="vits", ema_decay=budget.pick(quick=0.9, full=0.998))
assert result["finished"], f"stopped at step {result['step']} of {STEPS}: run this again to go on from there"
vits = result["ema"].cpu().eval()

# %% [markdown]
# ## 8. Keep it
#
# As ever, with a card: data, licence, budget, where it started, and the table of this very run. The shipped card also holds
# what judges of other people's making said of the shipped weights before and after, so that a worse finish cannot replace a
# better start unseen.

# %%
card = {"name": "tts", "source": "notebooks/src/04_latent_filling.py", **corpus.credits(rows), "start": base_card, "encoder": encoder_card["budget"],
        "budget": f"{BUDGET}: finish of {result['step']} steps, tau {lf.tau}, batches of {LONG} frames or {CROPS} crops, {result['seconds']:.0f} s on {budget.device()}",
        "figures": {"comparison": [line for lines in found for line in lines]}}
train.save(RUN / "export", vits, base.config, card)
train.save(RUN / "discriminator", critic, None, card | {"name": "discriminator"})
torch.manual_seed(0)
wav = vits.infer(torch.tensor([text.encode(WORDS)]), filling.interpolate(one, two, 0.5)[None])[0]
show.display(show.player(audio.normalise(wav[0, 0].numpy()), label="halfway between one and two, after the finish"))
print("the shipped card says:", json.dumps(base_card["figures"], indent=1)[:1500])

# %% [markdown]
# ## Where to go from here
#
# - **The map.** Lesson 10 draws the voices, known and filled, and the tab *Atlas* of the app lets you walk between them.
# - **Who gains?** Split the table by how far a stranger is from the nearest training voice (section 2). Filling should
#   help the lonely ones most; does it?
# - **A worse judge.** Give the marks with `encoder` instead of `judge` and see how much better LF looks. That difference is
#   what pleasing your own examiner is worth.
#
# Sources: latent filling (Bae et al., 2024), speaker-consistency loss: YourTTS (Casanova et al., 2022), dataset augmentation in
# feature space (DeVries and Taylor, 2017) and mixup (Zhang et al., 2018), from which interpolation comes. The README lists them.
