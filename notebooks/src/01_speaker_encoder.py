# %% [markdown]
# # 01 · Who speaks? A speaker encoder
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/voice-atlas/voice-atlas/blob/main/notebooks/01_speaker_encoder.ipynb)
#
# You recognise a friend on the telephone by the first "hello". You do not know *how*: it is not the words, and hardly
# the pitch, for you would know the voice hoarse or whispering. In this lesson a network learns the same skill. It gets
# a few seconds of anybody and answers with a **voice vector**, `spk_emb [D]`: 128 numbers that stay put when the
# words change and move when the person changes. It does so for people it has never heard, which is what the rest of
# this project lives on: *zero-shot* means that the borrowed voice was in no training set.
#
# In order:
#
# 1. hear the task, and see what a trained encoder says;
# 2. the data: who may be on which side, and what we do to clean speech so that the network does not rely on it;
# 3. the network, from sound to a point on a sphere;
# 4. two losses, each with a naive twin;
# 5. the training loop, **written out by hand, once**; then `training.fit`, which is the same loop for grown-ups;
# 6. the measure: equal error rate on voices never heard, against the papers;
# 7. a second opinion: why a judge that every training listens to is partial, and who judges instead;
# 8. a map of voices, and a slider that finds the neighbours of a voice.
#
# Quick budget (two CPU cores, twenty virtual voices): about two minutes. The encoder it makes is good at *clean virtual*
# voices and has never met a person; the shipped one, made with this lesson in several stages that its card names, stands beside it in the
# comparison. Full budget is for a GPU, or for an hour and a half of patience. The first cell makes sure that the project is here.

# %%
import os
import sys
from pathlib import Path

places = [Path("voice-atlas").resolve(), Path.cwd(), *Path.cwd().parents]
homes = [place for place in places if (place / "lib/paths.py").is_file()]
if not homes:  # Colab: nothing is here yet
    fetch = "git clone -q --depth 1 https://github.com/voice-atlas/voice-atlas"
    install = f'"{sys.executable}" -m pip install -q -r voice-atlas/requirements.txt'
    if os.system(f"{fetch} && {install}") != 0:
        sys.exit("No Voice Atlas here: go online, or open this lesson in a folder of the project.")
sys.path.insert(0, str((homes or places)[0]))

# %% [markdown]
# ## 1. Hear it first
#
# Three clips. Two are of one voice and one is of another; the words are no help. Decide which two belong together
# before you read on.
#
# Then see what the shipped encoder says: it turns each clip into a unit vector, and the cosine of the angle between
# two vectors is its opinion on whether they are one voice (1: surely; 0: no more than any two). It has heard neither
# of these voices before, because they are on the *held-out* side of the corpus.

# %%
import copy
import shutil

import numpy as np
import torch

from lib import audio, losses, show, training
from lib.data import corpus
from lib.data.decoded import cache
from lib.evaluation import metrics
from lib.models.referee import Referee, RefereeConfig
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.training import budget
from lib.voices import maps

SHIPPED = corpus.EMBEDDED.parents[1] / "checkpoints" / "speaker_encoder"
shipped, shipped_card = training.load(SHIPPED, SpeakerEncoder, SpeakerEncoderConfig)
referee, _ = training.load(SHIPPED.parent / "referee", Referee, RefereeConfig)  # of section 7


def sound(row):
    """The clip of a row of the corpus as a batch of one, [1, 1, T]."""
    return torch.tensor(corpus.wav(row))[None, None]


virtual = corpus.rows(split="valid")
three = [virtual[0], virtual[1], virtual[-1]]
for letter, row in zip("ABC", three):
    show.display(show.player(corpus.wav(row), label=f"clip {letter}"))
a, b, c = [shipped.embed(sound(row)) for row in three]
print(f"cosines: A and B {a @ b:.2f}, A and C {a @ c:.2f}, B and C {b @ c:.2f}")

# %% [markdown]
# ## 2. The data
#
# A budget decides how much is done, never what is done. At *quick* the speech is the embedded corpus: 23 voices that
# belong to nobody, ten clips each. At *full* it is LibriTTS-R from the Hugging Face hub, or whatever you name in
# `VOICE_ATLAS_CORPUS`; the shipped weights were trained on the corpus that their card names.
#
# Every source is cut into `train` and `valid` **by speaker**. This matters more than anything else on this page. If
# clips of one person were on both sides, the network could learn that person's microphone and still look brilliant;
# on a stranger it would fail. `corpus.rows` asserts that no name is on both sides.
#
# Note what is missing: *no text*. A speaker encoder learns from who speaks, not from what is said, so any recording
# with a name on it will do. That is the point of the SV2TTS paper, where this line of systems begins: voices are
# learned from thousands of people in noisy recordings without transcripts, speaking from a smaller and cleaner set
# with transcripts, and both parts can be trained apart.

# %%
BUDGET = budget.current()
RUN = corpus.EMBEDDED.parents[2] / f"runs/01-{BUDGET}"

rows = corpus.rows(corpus.source(BUDGET), hours=budget.pick(quick=1, full=20))
people = [row for row in rows if row["split"] == "train"]
held_out = [row for row in rows if row["split"] == "valid"]
groups = list(corpus.by_speaker(people).values())  # for each speaker, the numbers of their clips
samples, starts = cache(people, RUN.parent / "cache")  # clip i is samples[starts[i]: starts[i + 1]]
SECONDS = (1.28, 2.048)  # of a stretch; below, batches of PAIRS people
PAIRS = budget.pick(quick=12, full=36)
print(f"{len(people)} clips of {len(groups)} speakers to learn from")
print(f"{len(held_out)} of {len(corpus.by_speaker(held_out))} others to be judged on")

# %% [markdown]
# ### Making life hard
#
# A network takes the easiest way. If each person was recorded in one room, it will learn rooms. So we take away
# everything that is *not* the voice, by changing it at random (`audio.augment`):
#
# - **room**: the sound is convolved with a made-up echo of 0.1 to 0.6 s;
# - **noise**: recorded background at 5 to 25 dB below the speech, or, where no recordings are at hand, *babble*:
#   several other clips on top of each other, the hardest noise there is for this task;
# - **band**: the upper frequencies are cut off, as a telephone or an old file does;
# - **level**: louder or softer by up to 6 dB.
#
# One change works the other way round. Played faster or slower, a voice moves its pitch *and* its formants, as if the
# body had another size (lesson 00, section 5). That is no longer the same voice, so a person at speed 0.9 or 1.1
# **counts as another person**: three times the voices for nothing. Listen and judge for yourself whether 0.9 is still
# the same one.

# %%
LOUDEST = 32767  # of a 16-bit sample
SPEEDS = (1.0, 0.9, 1.1)


def babble(k, clips=5, seconds=10):
    """Five clips on top of each other: k, k + 8, k + 16, ..."""
    total = 0
    for i in range(k, k + 8 * clips, 8):
        clip = samples[starts[i]: starts[i + 1]] / (clips * LOUDEST)
        total = total + np.resize(clip, seconds * audio.RATE)
    return total


noises = corpus.noises() or [babble(k) for k in range(8)]


def heard(speed, change):
    """Play one clip after one change."""
    rng = np.random.default_rng(3)
    wav = audio.resample(corpus.wav(people[0]), int(audio.RATE * speed), audio.RATE)
    if change == "noise":
        wav = audio.augment(rng, wav, noises, 1.0)
    if change == "a room":
        wav = audio.room(rng, wav)
    show.display(show.player(wav, label=f"speed {speed:g}, {change}"), show.spectrogram(wav))


show.sliders(heard, speed=(0.8, 1.2, 0.1, 1.0), change=["noise", "a room", "nothing else"])

# %% [markdown]
# A batch is `PAIRS` people with **two different stretches** each, every stretch cut from a random clip of that person,
# changed at random. Four fifths of the batches hold people of **one gender** only: to tell a woman from a man teaches
# little, and the mistakes of our first encoder were nearly all between voices that are alike. The stretches are short, and
# two in five lose everything above some 5.8 kHz, as in an old mp3: those were its other mistakes.
#
# All randomness comes from one generator that is handed in, so batch number 17 can be made again, alone, at any time:
# this is what lets a training be killed and resumed to the same result.

# %%
gender = np.array([(people[mine[0]].get("gender") or "?")[0].upper() for mine in groups])


def crop(rng, i, speed, seconds):
    """A random stretch of clip i at another speed, changed at random, [seconds * RATE]."""
    need = int(seconds * audio.RATE * speed) + 1
    begin = rng.integers(starts[i], max(starts[i] + 1, starts[i + 1] - need))
    end = min(starts[i + 1], begin + need)
    wav = np.asarray(samples[begin: end], dtype="float32") / LOUDEST
    wav = audio.resample(np.resize(wav, need), int(audio.RATE * speed), audio.RATE)
    wav = audio.augment(rng, np.resize(wav, int(seconds * audio.RATE)), noises, 0.3)
    dull = rng.random() < 0.4  # like an old mp3
    return audio.narrow(wav, rng.uniform(5400, 6100)) if dull else wav


def draw(rng):
    """PAIRS people with two stretches each: wav [PAIRS, 2, T], speaker [PAIRS]."""
    seconds = SECONDS[rng.integers(len(SECONDS))]
    candidates = np.flatnonzero(gender == rng.choice(gender))
    if len(candidates) < PAIRS or rng.random() >= 0.8:
        candidates = np.arange(len(groups))
    chosen = rng.choice(candidates, min(PAIRS, len(candidates)), replace=False)
    speeds = rng.integers(len(SPEEDS), size=len(chosen))
    wavs = []
    for who, v in zip(chosen, speeds):
        pair = [crop(rng, rng.choice(groups[who]), SPEEDS[v], seconds) for _ in range(2)]
        wavs.append(pair)
    speaker = torch.tensor(chosen * len(SPEEDS) + speeds)
    return {"wav": torch.tensor(np.array(wavs)), "speaker": speaker}

# %% [markdown]
# ## 3. The network
#
# A voice hides in the spectrogram, so the network looks at it the way one looks at a picture: the mel `[B, 80, F]` is
# an image of one colour, and a small **ResNet** (residual 3 × 3 convolutions) walks over it. Four stages, each with
# twice the channels and half the height and width. Two things are peculiar to voices:
#
# - **Before:** the mel is only shifted and scaled to be about zero. It is tempting to subtract the mean over time from
#   each band as well, so that a dull microphone and a bright one look alike. We tried; but the average spectrum *is* a
#   good part of a timbre (the plain mean did well in lesson 00), and the microphones are better fought in the data.
# - **After:** clips have any length, a vector has one. So for each channel the mean and the standard deviation over
#   time are taken, *weighted by attention*: a tiny network decides which moments tell most. Vowels will count more
#   than pauses, without anybody having said so. The same two numbers, plain, were the solution of exercise 4 in
#   lesson 00; learning decides what to measure before taking them.
#
# A last layer turns these statistics into D = 128 numbers, divided by their length. So every voice is a point **on a
# sphere**, and closeness is an angle. The baseline of the SATTS paper is built in this way too: ResNet backbone,
# D = 128.
#
# One habit it has in training only: a random band and a random stretch of every mel are hidden behind its mean
# (**SpecAugment**). A network that must name a voice without its favourite clue learns to have several.
#
# Everything from the waveform on is differentiable. A later lesson sends a gradient back through this network to ask
# a synthesiser to sound *more like her*.

# %% tags=["nbval-check-output"]
config = SpeakerEncoderConfig()
torch.manual_seed(0)
encoder = SpeakerEncoder(config)
for T in (8000, 32000):
    spk_emb = encoder(torch.randn(3, 1, T))
    lengths = spk_emb.norm(dim=1).detach().numpy().round(4)
    print("wav", [3, 1, T], "-> spk_emb", list(spk_emb.shape), "lengths", lengths)
print(f"{sum(p.numel() for p in encoder.parameters()):,} parameters")

# %% [markdown]
# ## 4. Two losses
#
# What should be small when the sphere is well arranged? Two answers, and we use both.
#
# ### Answer 1: classify the people we know, with a margin
#
# Give each of the S training voices a direction $w_s$ of its own, also learned. A clip of voice $s$ should be nearer
# to $w_s$ than to any other direction: cross-entropy over cosines. But "a little nearer" would be enough for that, and
# then strangers would fall between the chairs. So the task is made harder: the angle $\theta_s$ to the *own*
# direction is counted as if it were larger by a margin $m$ = 0.2 (11 degrees). To win in spite of it, the clips of a
# voice must huddle together. This is the additive angular margin softmax, **AAM** (equation 3 of the ArcFace paper,
# where it separates faces):
#
# $$L_\text{aam} = -\log \frac{e^{\,30\cos(\theta_s + m)}}{e^{\,30\cos(\theta_s + m)} + \sum_{j \ne s} e^{\,30\cos\theta_j}}$$
#
# The factor 30 is there because cosines end at 1, and a softmax over numbers between -1 and 1 can never be sure.

# %% tags=["nbval-check-output"]
def naive_aam(spk_emb, weight, speaker, margin=0.2, scale=30.0):
    """Mean over the batch of the formula above, one clip and one voice at a time."""
    terms = []
    for e, s in zip(spk_emb, speaker):
        angles = [torch.acos(e @ w / w.norm()) for w in weight]
        own = torch.exp(scale * torch.cos(angles[s] + margin))
        others = 0
        for j, angle in enumerate(angles):
            if j != s:
                others = others + torch.exp(scale * torch.cos(angle))
        terms.append(-torch.log(own / (own + others)))
    return sum(terms) / len(terms)


rng = torch.Generator().manual_seed(0)
spk_emb = torch.nn.functional.normalize(torch.randn(6, 128, generator=rng), dim=1)
weight = torch.randn(9, 128, generator=rng)
speaker = torch.tensor([0, 0, 3, 5, 8, 8])
aam = losses.aam_softmax(spk_emb, weight, speaker)
assert torch.allclose(naive_aam(spk_emb, weight, speaker), aam, atol=1e-4)
print(f"twins agree: {aam:.2f}")
pairs = spk_emb.reshape(3, 2, 128)  # of three people, for the second loss
scale = torch.tensor(10.0)  # of the second loss

# %% [markdown]
# ### Answer 2: find your other half
#
# Classification knows only its own S people. The second loss plays, in every batch, the game that will be played with
# strangers later: here are P clips, and here is another clip of each of the same P people; who belongs to whom? For
# each first clip, the cosines to all second clips go through a softmax, and the right one should win. It is called
# **angular prototypical** (equation 6 of "In defence of metric learning"), and it is the loss with which the SATTS
# authors train the encoder of their baseline. Its scale $a$ and offset $b$ are learned:
#
# $$L_\text{proto} = -\frac{1}{P}\sum_{p} \log \frac{e^{\,a\cos(e_{p,0},\,e_{p,1}) + b}}{\sum_{q} e^{\,a\cos(e_{p,0},\,e_{q,1}) + b}}$$
#
# Look at $b$: it is in every term and cancels. The paper has it, so we keep it, and it never moves.
#
# That paper claims that such a loss, well tuned, needs no classification at all. We have hundreds of people where its
# authors had thousands, and with so few the classification helps at the start; hence both.

# %% tags=["nbval-check-output"]
def naive_proto(spk_emb, scale, offset):
    """P people, two unit vectors each: -log of the share of the right partner."""
    terms = []
    for p in range(len(spk_emb)):
        shares = [torch.exp(scale * (spk_emb[p, 0] @ other) + offset) for other in spk_emb[:, 1]]
        terms.append(-torch.log(shares[p] / sum(shares)))
    return sum(terms) / len(terms)


for offset in torch.tensor([-5.0, 3.0]):  # it cancels
    proto = losses.angular_prototypical(pairs, scale, offset)
    assert torch.allclose(naive_proto(pairs, scale, offset), proto, atol=1e-5)
print(f"twins agree: {proto:.3f}")

# %% [markdown]
# ### Exercise 1
#
# Before you train, know what *nothing learned* looks like, or you will not know whether the curve below is good. Say
# the encoder gives every clip the same vector. What is the prototypical loss for P people? Write a function of P.

# %%
chance = None  # for example: lambda P: ...


def right(answer):
    for P in (2, 12, 40):
        alike = torch.ones(P, 2, 1)
        if abs(answer(P) - losses.angular_prototypical(alike, scale, offset)) > 1e-4:
            return False
    return True


show.exercise(1, chance, right, "All P partners get the same share.")

# %% [markdown]
# <details><summary>Solution 1</summary>
#
# `chance = lambda P: np.log(P)`. The right partner gets 1/P, and minus its logarithm is log P: 2.48 for 12 people,
# 3.69 for 40. The first steps of a training may even lie *above* it: to be wrong with confidence costs more than to
# shrug.
# </details>
#
# ## 5. Training, by hand
#
# What only training needs goes into a small module: the directions of the known voices, and the two scalars. They are
# thrown away afterwards. `step` joins model and losses; it is a *generator* that yields what one optimiser is to
# minimise, as a dict of named losses (with two optimisers it yields twice, as lesson 03 will show).

# %%
class Classes(torch.nn.Module):
    """A direction for every voice, and the two scalars of the prototypical loss."""

    def __init__(self, n, D):
        super().__init__()
        self.weight = torch.nn.Parameter(0.02 * torch.randn(n, D))
        self.scale = torch.nn.Parameter(torch.tensor(10.0))
        self.offset = torch.nn.Parameter(torch.tensor(-5.0))

    def forward(self, spk_emb, speaker, margin):
        """The two losses of unit spk_emb [P, 2, D] for speaker [P]."""
        clips = spk_emb.flatten(0, 1)
        twice = speaker.repeat_interleave(2)
        aam = losses.aam_softmax(clips, self.weight, twice, margin)
        proto = losses.angular_prototypical(spk_emb, self.scale, self.offset)
        return {"aam": aam, "proto": proto}


def step(nets, batch):
    """One optimiser, two losses."""
    clips = batch["wav"].flatten(0, 1)  # [2 P, T]
    spk_emb = nets["encoder"](clips[:, None]).unflatten(0, (-1, 2))
    yield "both", nets["classes"](spk_emb, batch["speaker"], 0.2)

# %% [markdown]
# And here is the whole of deep learning, in one cell, with nothing hidden: draw a batch; run it forward; add the
# losses up; ask for the gradient of that sum with respect to every parameter (`backward`); let the optimiser take a
# small step against it; repeat. We do it for a few dozen steps, **on a copy** of the networks, so that afterwards
# `training.fit` can start from the same place and show the same curve.
#
# Three habits are worth copying. `zero_grad` comes first, because gradients *add up* until told otherwise. The
# learning rate rises slowly (*warm-up*): at the start the optimiser knows nothing about the size of the gradients yet.
# And the loss is stored as a plain number, since keeping the tensor would keep the whole graph behind it alive.

# %%
torch.manual_seed(0)
encoder = SpeakerEncoder(config)
classes = Classes(len(groups) * len(SPEEDS), config.D)
STEPS = budget.pick(quick=60, full=5000)
START = os.environ.get("VOICE_ATLAS_START", "nothing")  # "shipped": go on from the shipped weights
LR = 1e-3 if START == "shipped" else 2e-3
if START == "shipped":
    encoder.load_state_dict(training.read(SHIPPED))
rate = training.cosine(STEPS, warmup=min(100, STEPS // 5))


def adam(*modules):
    parameters = [p for module in modules for p in module.parameters()]
    return torch.optim.AdamW(parameters, LR, weight_decay=0.02)


nets = {"encoder": copy.deepcopy(encoder).train(), "classes": copy.deepcopy(classes)}
optim = adam(*nets.values())
by_hand = []
for i in range(30):
    batch = draw(np.random.default_rng([1, i]))
    optim.param_groups[0]["lr"] = LR * rate(i)
    for _, parts in step(nets, batch):
        optim.zero_grad()
        loss = parts["aam"] + parts["proto"]
        loss.backward()
        optim.step()
    by_hand.append({name: part.item() for name, part in parts.items()})
print(by_hand[-1])

# %% [markdown]
# ### The same loop for grown-ups
#
# `training.fit` is that loop plus what one gets tired of writing. It puts networks and batches on the GPU if there is
# one; computes in 16 bits where that is faster; clips gradients that explode; saves its state every few minutes and
# continues from it after a crash, to the same result, because batch and dropout of step *i* depend on nothing but
# *i*; and runs on several GPUs when the lesson is started with `accelerate launch`. Read it: `lib/training/fit.py`,
# function `fit`, is not long.
#
# It also keeps an **exponential moving average** (EMA) of the encoder: after each step the average moves a little
# towards the current weights. The noise of single steps cancels, and the average is nearly always the better network
# of the two. The shipped weights are such an average.

# %%
if BUDGET == "quick":  # begins anew each time; a full run continues where it was stopped
    shutil.rmtree(RUN, ignore_errors=True)
nets = {"encoder": encoder, "classes": classes}
optims = {"both": adam(encoder, classes)}
weights = {"aam": 1.0, "proto": 1.0}
result = training.fit(step, nets, optims, draw, STEPS, RUN, weights=weights, rate=rate, seed=1,
                      ema="encoder", ema_decay=budget.pick(quick=0.95, full=0.997),
                      log_every=budget.pick(quick=10, full=50))
assert result["finished"], f"stopped at step {result['step']}: run this again to go on from there"
trained = result["ema"].cpu().eval()
fig, axis = show.figure()
hand = [parts["proto"] for parts in by_hand]
axis.plot(hand, ".", color=show.COLOURS[1], label="by hand")
steps = [line["step"] for line in result["log"]]
fitted = [line["proto"] for line in result["log"]]
axis.plot(steps, fitted, color=show.COLOURS[0], label="training.fit")
axis.axhline(np.log(min(PAIRS, len(groups))), color="black", linestyle=":", label="chance")
axis.legend(fontsize=8, frameon=False)
show.label(axis, "step", "prototypical loss", "Finding one's other half")
show.display(fig)

# %% [markdown]
# That was the prototypical loss: single steps by hand as dots, means over several steps by `fit` as a line. They go the
# same way, because start, batches and learning rate are the same; only the rounding (16 bits on some machines) and the
# clipping differ. Does yours fall well under the chance level of exercise 1? Then the network tells the voices it knows
# apart, in noise and rooms. Whether it does so for *strangers* the curve cannot say.
#
# ## 6. How good is it? Voices never heard
#
# Every held-out clip is cut in two halves, so that each has at least one partner of its own recording and several of
# its own voice. Each half becomes a vector (as in the app: windows of three seconds, averaged), **all pairs** are compared, and we count both mistakes at every possible
# threshold: strangers let in (*false acceptance*), people turned away (*false rejection*). Where both are equally
# frequent is the **equal error rate**, EER. Guessing gives 50 %.
#
# We ask four candidates: the network before training (what do random filters know?), yours, the shipped one, and the
# plain mean over time of each mel band from lesson 00, which has no network at all.
#
# ### What a microphone leaves in every voice
#
# A part of the real corpus was once squeezed into small MP3 files and has lost everything above 5.8 kHz. The people in it share
# that fault, so their vectors share a direction that says *where* they were recorded and nothing of *who* they are. A vector
# that points the same way for everybody can be subtracted: we take the mean of the raw outputs (before they are made unit)
# of the *training* people with that fault, and move the last bias by half of it. Why half? On held-out people, three
# quarters and all of it gained nothing over a half, so the smallest of them was kept.
# The virtual voices have no such fault, so at quick budget nothing is moved.

# %%
faulty = [row for row in people if (row.get("bandwidth_hz") or 8000) < 7000]
raw = []  # outputs before they are made unit
hook = trained.out.register_forward_hook(lambda net, given, out: raw.append(out))
with torch.inference_mode():
    for row in faulty:
        trained.windows(sound(row))
hook.remove()
if faulty:
    trained.out[1].bias.data -= 0.5 * torch.cat(raw).mean(0)
print(f"{len(faulty)} clips have lost their top band")

# %% [markdown]
# Now the four candidates. The mean of the mel points nearly the same way for everybody; so its own mean over all clips is
# subtracted, which gives it the fairest chance. The last line is what the card of the shipped encoder says.

# %%
def halves(embed):
    """Embeddings [2 n, D] of both halves of the n held-out clips."""
    vectors = []
    with torch.inference_mode():
        for row in held_out:
            for half in np.array_split(corpus.wav(row), 2):
                vectors.append(embed(torch.tensor(half)[None, None]).flatten().numpy())
    return np.stack(vectors)


torch.manual_seed(0)
untrained = SpeakerEncoder(config).eval()
spk_emb = {"mean of the mel": halves(lambda wav: audio.mel(wav).mean(2))}
spk_emb["untrained"] = halves(untrained.embed)
spk_emb["yours"] = halves(trained.embed)
spk_emb["mean of the mel"] -= spk_emb["mean of the mel"].mean(0)
spk_emb["shipped"] = halves(shipped.embed)
who = np.repeat([row["speaker"] for row in held_out], 2)
eer = {name: metrics.eer_of(vectors, who) for name, vectors in spk_emb.items()}
lines = [{"encoder": name, "EER (%)": 100 * e, "threshold": t} for name, (e, t) in eer.items()]
show.display(show.table(lines, f"{len(who)} half clips of {len(set(who))} unseen voices"))
print("the card of the shipped one says:", shipped_card["figures"])

# %% [markdown]
# ### Reading the figures
#
# The histogram shows where an EER comes from: two humps, pairs of one voice to the right, pairs of two to the left.
# The overlap is the error. A good encoder does not need to push the left hump to -1: random directions on a sphere of
# 128 dimensions are nearly at right angles, so 0 is where strangers belong.
#
# The second picture shows *all* thresholds of all candidates, not only the equal one (engineers call it a DET curve).
# A bank sits at the bottom right: almost no stranger gets in, and some customers call twice. Choosing a voice from a
# list sits at the top left. Lower and further left is better everywhere.

# %%
i, j = np.triu_indices(len(who), 1)
same = who[i] == who[j]
cosines = {}
for name, vectors in spk_emb.items():
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines[name] = (unit @ unit.T)[i, j]
title = "Cosines of the shipped encoder"
show.display(show.scores(cosines["shipped"], same, eer["shipped"][1], title))
show.display(show.mistakes(cosines, same, "Every threshold"))

# %% [markdown]
# ### Against the papers
#
# SATTS reports no EER for its baseline encoder, but says how it was made: ResNet, angular prototypical loss, D = 128,
# trained on 66,000 people of Common Voice. Ours has the same shape and hears a few hundred people at full budget,
# twenty virtual ones at quick. SV2TTS made the claim that can be tested here: *the number of different people* is what
# counts, and an encoder of more people makes a better synthesiser, even when the synthesiser itself is trained on
# fewer. Test it: set `groups = groups[:5]` right after `groups` is made, run everything again, and watch "yours"
# grow worse while its training loss falls *faster*. Five voices are easy to tell apart and teach little about a sixth.
#
# Be honest about our own figure, too. Halves of one clip share a room and a microphone, which makes a pair of one
# *recording* easier than a pair of one *person*. And three virtual voices in a perfect studio are no test of anything:
# an EER near zero on them means little. That is why the cell above prints what the *card* of the shipped encoder says, an
# EER measured on people whom it had never heard, with all their microphones. That is the figure to quote.
#
# ### Exercise 2
#
# Write the measure yourself. `my_eer(scores, labels)` gets cosines and, for each, whether it is one voice; it returns
# a rate between 0 and 1. Slow and simple is fine: try every score as the threshold, and take the one where the two
# rates are closest.

# %%
my_eer = None  # for example: def my_eer(scores, labels): ...

rng = np.random.default_rng(0)
labels = rng.random(600) < 0.3
trials = [rng.standard_normal(600) + shift * labels for shift in (0, 1, 3)]


def right(answer):
    gaps = [abs(answer(scores, labels) - metrics.eer(scores, labels)[0]) for scores in trials]
    return max(gaps) < 0.02


show.exercise(2, my_eer, right, "Strangers with scores >= t; own with scores < t.")

# %% [markdown]
# <details><summary>Solution 2</summary>
#
# ```python
# def my_eer(scores, labels):
#     tried = [((scores[~labels] >= t).mean(), (scores[labels] < t).mean()) for t in scores]
#     let_in, turned_away = min(tried, key=lambda pair: abs(pair[0] - pair[1]))
#     return (let_in + turned_away) / 2
# ```
# `metrics.eer` does the same with sorted lists, and draws a straight line between the two nearest thresholds.
# </details>
#
# ## 7. A second opinion
#
# In the lessons to come many networks are asked to sound *like her*, and all of them ask this encoder whether they do:
# it is differentiable, so its answer can be followed uphill. Who is asked a million times is also flattered a million
# times. A network does not learn to sound like her; it learns to be *told* that it does, and takes the cheaper way
# where there is one. The cell below takes the cheapest of all. Nothing is trained: the *samples* of clip A follow the
# gradient for thirty tiny steps, towards the vector of C, another voice. Then listen whether anything has changed.

# %%
forged = sound(three[0]).requires_grad_()
optim = torch.optim.Adam([forged], 2e-5)  # of samples: steps so small that they are hardly heard
for _ in range(30):
    optim.zero_grad()
    (-shipped(forged)[0] @ c).backward()
    optim.step()
for name, judge in ("encoder", shipped), ("referee", referee):
    old, new, wanted = [judge.embed(wav) for wav in (sound(three[0]), forged, sound(three[2]))]
    print(f"{name}: A and C {old @ wanted:.2f}, forged A and C {new @ wanted:.2f}")
verdict = referee.verdict(forged, sound(three[2]))
print(f"forged A and C: more alike than {verdict.other:.0%} of pairs of two people")
show.display(show.player(forged[0, 0].detach().numpy(), label="A, forged to please the encoder"))

# %% [markdown]
# The encoder now hears C where you hear A. It is no bad judge of *recordings*, which nobody made to please it; it is a
# **partial** judge of whatever was trained by asking it. A synthesiser is no forger and does not turn single samples,
# but it has millions of weights and thousands of steps where we had thirty.
#
# So somebody else is to be asked: a **referee**, `lib/models/referee.py`. It is another kind of network (convolutions
# over time alone, after ECAPA-TDNN, where the encoder looks at a picture), from another seed, with other changes to its
# training sound, people at other speeds among them. Above all, **no loss ever asks it**; a
# test of the project searches every training for its name. It was not fooled above, as nobody followed *its* gradient.
# (It holds A and C for near relatives before anything is forged: all virtual voices share one clean studio, and it hears that.
# Two clips of one virtual voice are at 0.95 for it.)
#
# Alone, on the few hours of speech that we have, it learned to be impartial and little else: it erred twice as often as
# GE2E [GE2E], a published encoder that had heard thousands of people. So the shipped one went to that school: in a last
# stage it listened to 30,000 stretches of speech, recorded and made, and learned to place them as GE2E does
# (**distillation**). That brought its error down (the card says how far), and it costs something that a number will not show:
# it shares the blind spots of its teacher. When it agrees with GE2E, that is one opinion, not two.
#
# And a second habit of good judges: to say what their numbers mean. A cosine of 0.6 is near for one encoder and far
# for another. The referee's weights therefore bring a **scale** along, the quantiles of its cosines over real pairs: of
# clips of one person, and of clips of two. So the app can say: nearer than such a share of the pairs of one person, and
# of two. (It says so where there is a clip of the voice, and as long as the equal error rate is under 15 %.)
# A real clip of the voice stands at 50 % of the first, on average; a good copy is on its way there, and a
# stranger stands at 50 % of the second. The people behind the scale are few (the card says how many), so take it
# as a rough one.
#
# You can train one: put `Referee()` where `SpeakerEncoder(config)` stands in section 5, and run everything up to here.
#
# ## 8. A map of voices
#
# 128 dimensions cannot be looked at, so two are made of them, in two ways. **PCA** turns the sphere until the two
# directions of largest spread face you, and drops the rest: honest about distances, but clusters overlap that are apart
# in the other 126. **UMAP** keeps *neighbours*: who was near stays near, while distances between clusters mean little.
# It needs some ten seconds the first time, and the picture turns out differently on another computer, though the
# neighbours do not. Find a voice that is torn apart in one map and whole in the other.
#
# The points are whole clips, embedded as the app does it: windows of three seconds, half overlapping, averaged. The
# voices are those of the embedded corpus, the ones seen in training and the ones not.
#
# Maps persuade easily, so use your ears. The slider picks a clip, plays it, and then plays the nearest clip of
# *another* voice and the farthest. With a good encoder the near one is a plausible sister; the far one is usually of
# another sex, age or pitch, even though nobody ever told the network about any of these.

# %%
mapped = [row for row in corpus.rows() if row["text"]]
names = np.array([row["speaker"] for row in mapped])
voice = shipped
atlas = np.stack([voice.embed(sound(row)).numpy() for row in mapped])
for method in ("pca", "umap"):
    points = maps.embed_2d(atlas, method)
    title = f"{len(set(names))} voices by {method.upper()}"
    show.display(show.voices(points, names.tolist(), title))


def neighbours(clip):
    """Play a clip, its nearest clip by another voice, and the farthest."""
    cosine = atlas @ atlas[clip]
    others = np.flatnonzero(names != names[clip])
    nearest = others[cosine[others].argmax()]
    farthest = others[cosine[others].argmin()]
    for title, i in ("this clip", clip), ("nearest", nearest), ("farthest", farthest):
        wav = corpus.wav(mapped[i])[: 3 * audio.RATE]
        label = f"{title}: {names[i]}, cosine {cosine[i]:.2f}"
        show.display(show.player(wav, label=label))


show.sliders(neighbours, clip=(0, len(names) - 1, 1, 42))

# %% [markdown]
# ### Exercise 3
#
# One clip is one mood. If you have five clips of a person, there should be a better vector than that of any single
# one. Write `enrol(spk_emb)`: it gets unit vectors `[n, D]` and returns one unit vector `[D]`, the direction whose
# cosines with all n have the largest *sum*.

# %%
enrol = None  # for example: lambda spk_emb: ...

five = atlas[:5]


def right(answer):
    vector = answer(five)
    most = np.linalg.norm(five.sum(0))  # the largest sum of cosines there can be
    unit = np.isclose(np.linalg.norm(vector), 1, atol=1e-4)
    return unit and np.isclose((five @ vector).sum(), most, atol=1e-3)


hint = "The sum of the cosines is the cosine with the sum, times its length. Make it unit again."
show.exercise(3, enrol, right, hint)

# %% [markdown]
# <details><summary>Solution 3</summary>
#
# `enrol = lambda spk_emb: spk_emb.sum(0) / np.linalg.norm(spk_emb.sum(0))`. The mean, made unit again. That is how
# `encoder.embed` joins the windows of one clip, too.
# </details>
#
# ## 9. Keep it, with a label on it
#
# The averaged encoder goes into a folder with its sizes (`config.json`), its weights (`model.safetensors`, half
# precision) and a **card**: from which speech it was made and whose that is, under which licence, with how many steps
# on which machine, and how good it was found to be. `training.save` refuses a card without these. The shipped folder
# `assets/checkpoints/speaker_encoder` was written in this way; its card names the stages that it went through. A quick
# one says so on its card and can never pass for it.

# %%
stretches = f"{2 * min(PAIRS, len(groups))} stretches of {SECONDS} s"
spent = f"{result['step']} steps of {stretches}, {result['seconds']:.0f} s on {budget.device()}"
protocol = f"all pairs of halves of {len(held_out)} clips, {len(set(who))} unseen speakers"
card = {"name": "speaker_encoder", "source": "notebooks/src/01_speaker_encoder.py"}
card |= corpus.credits(people + corpus.noise_rows())
card["budget"] = f"{BUDGET}: {spent}"
card["figures"] = {"eer": round(eer["yours"][0], 4), "eer_protocol": protocol}
training.save(RUN / "export", trained, config, card)
show.display(show.table([{"card": key, "says": str(value)} for key, value in card.items()]))

# %% [markdown]
# ## Where to go from here
#
# - **Try your own voice.** `voice.embed(torch.tensor(audio.prepare("me.wav"))[None, None])` gives your vector; add it
#   to `atlas` and see whose neighbour you are. With somebody else's voice, ask first: a vector is enough to borrow it.
# - **What does it hear?** Cut the frequencies above 1 kHz from the held-out clips and measure again; then those below.
# - **03 · zero-shot TTS** uses this vector to say anything in that voice. What the encoder cannot tell apart, the
#   synthesiser cannot reproduce: the error rate of section 6 is a limit there.
#
# Sources: SV2TTS (Jia et al., 2018); GE2E (Wan et al., 2018), who average windows as we do; ArcFace (Deng et al.,
# 2019) for AAM; "In defence of metric learning" (Chung et al., 2020) for the prototypical loss; ECAPA (Desplanques et
# al., 2020) for statistics weighted by attention; SATTS (Goswami and Harada, 2022). The README lists them in full.
