# %% [markdown]
# # 11 · A codec that loses nothing, and frames that keep the voice
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/voice-atlas/voice-atlas/blob/main/notebooks/11_codec_and_frames.ipynb)
#
# Lesson 03 ended with a voice that says anything, a little hoarse and a little like everybody. This lesson finds out
# why, and mends both with two small models:
#
# - a **codec of frames** (`assets/checkpoints/harmonic`): it turns sound into things that can be named, a mel
#   spectrogram and a pitch, and turns these into sound again, so well that a judge hardly tells the copy;
# - a **synthesiser of frames** (`assets/checkpoints/frames`): it *draws* such frames for what lesson 03 wants to say,
#   while it looks at a recording of the voice.
#
# The app speaks through both. (What it wants to say comes from lesson 07 today: frames are drawn for either.) In order:
#
# 1. hear it;
# 2. the idea: give a decoder what it would have to invent, and draw where you would average;
# 3. the data, and voices made from voices;
# 4. pulses, and their naive twin;
# 5. train the codec, with a critic at the end;
# 6. listen and measure: the ceiling;
# 7. flow matching, and its naive twin;
# 8. what is to be said, frame by frame;
# 9. train the frames;
# 10. listen, play, measure.
#
# It stands on lessons 01 and 03, whose shipped models it uses: the encoder of voices, and text to latents. Quick budget
# (two CPU cores): two to three minutes; it *continues from the shipped weights*, gently, as lesson 03 does. Full budget
# starts from nothing and is meant for a GPU; the shipped weights took an hour (codec) and over four (frames) of *one*
# busy CPU core, in more stages than stand here: their cards list them.

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
# A voice that was in no training set, and new words in it, twice. Both times lesson 03 decides what is said and when: the
# same latents `z`, the same seed. The first is what its own decoder makes of them. The second goes through the two models
# of this lesson (`model="frames"`). Listen to the *s*, to the hum below the vowels, and then to whether it is the same person.

# %%
import copy
import shutil

import numpy as np
import torch

from lib import audio, losses, show, text, training
from lib.audio import perturb
from lib.data import corpus, references
from lib.data.clips import Clips
from lib.data.decoded import digest
from lib.evaluation import metrics
from lib.losses import flow_matching as fm
from lib.models.frames import FRAME_SECONDS, LATENT_SECONDS, Frames, FramesConfig
from lib.models.harmonic import HarmonicCodec
from lib.nn import align, source
from lib.nn.critics import Discriminator
from lib.training import budget, stages
from lib.voices import Voices

BUDGET = budget.current()
RUN = corpus.EMBEDDED.parents[2] / f"runs/11-{BUDGET}"
CHECKPOINTS = corpus.EMBEDDED.parents[1] / "checkpoints"
voices = Voices.load()

# %%
WORDS = "The ship sails at dawn, whether or not you are on board."
stranger = audio.load(corpus.rows(split="valid")[0]["audio"])
spk_emb = torch.tensor(voices.embed(stranger))[None]
torch.manual_seed(0)
by_lesson_03, _ = voices.tts.infer(torch.tensor([text.encode(WORDS)]), spk_emb, noise_scale=0.1)
show.display(show.player(audio.prepare(stranger), label="a voice never heard in training"))
show.display(show.player(audio.normalise(by_lesson_03[0, 0].numpy()), label="lesson 03"))
if voices.bundle.has("frames"):
    speech = voices.speak(WORDS, stranger, seed=0, model="frames")
    show.display(show.player(speech.wav, label="through frames"))

# %% [markdown]
# ## 2. The idea
#
# ### What a decoder should not have to invent
#
# A voice is two sounds at once (lesson 00, section 5): the *pulses* of the vocal folds, which are harmonics of one pitch,
# and the *noise* of air. The decoder of lesson 03 gets a latent and must invent both, phases and all. A phase that is a
# little wrong in every frame is what we hear as hoarseness. Here the decoder is *given* a train of pulses at the right pitch
# and white noise. It only learns what a throat does to them, frequency by frequency and frame by frame:
#
# $$S = e^{l_h}\, e^{i\pi\tanh\theta}\, E \;+\; e^{l_n}\, Z \;+\; e^{l_r}\, e^{i\varphi}$$
#
# $E$ is the spectrum of the pulses and $Z$ that of noise. The third part is free, for clicks and whatever else is neither.
# One network predicts $l_h, \theta, l_n, l_r, \varphi$ for each of 401 frequencies; an inverse Fourier transform of $S$ is the
# sound. Harmonics plus noise come from NSF and HiFTNet, doing it in the spectrum from Vocos.
#
# What enters the network is no latent but two things that anybody can compute: a **mel spectrogram of 128 bands**, 80 times
# a second, and **`f0`**, the pitch in Hz (0 where nothing is voiced). There is no encoder to train. We can draw what lies
# in between, move the pitch and hear it move, and train whoever predicts it without waiting for this half.
#
# ### What a synthesiser should not do: average
#
# For one latent there are many right frames. A consonant may be sharper, the pitch a little higher, the vowel more open. A
# network trained with a squared error answers with their *mean*. But a mean of spectra is smooth, and a mean of voices is
# nobody's voice. So we do not ask for *the* frames; we ask for a way to **draw** some: flow matching, in section 7. And we
# let the network *look at a recording* of the voice while it draws, because a vector of 128 numbers cannot hold how
# somebody says an *r*.

# %% [markdown]
# ## 3. The data, and voices made from voices
#
# Clips with text, as in lesson 03. But how a model treats *strangers* depends on how many people it has met, more than on
# how long it heard each. People can be made: replay a clip faster or slower, and its pitch and all its formants move
# together, as if the throat had another size; colour it with an equaliser. Whoever says this now is **another person**, with
# a voice vector of its own, and costs nothing. (Replaying needs no computation at all: the copy below is the same sound
# under another *rate*.) For the shipped weights every clip of LibriSpeech had one to three copies, with a gentler equaliser
# (6 dB; here up to 12). Factors near 1 are left out, since such a copy would still be the same person.

# %%
rng = np.random.default_rng(0)
FASTER, SLOWER = (1.06, 1.2), (0.84, 0.94)  # beyond, nobody sounds like that


def another_person(row):
    """A copy of a row from another throat, through another microphone."""
    speed = rng.uniform(*FASTER) if rng.random() < 0.5 else rng.uniform(*SLOWER)
    coloured = audio.normalise(perturb.equalise(rng, corpus.wav(row)))
    sound = audio.encoded(coloured, round(audio.RATE * speed))
    return row | {"audio": sound, "speaker": f"{row['speaker']}*{speed:.3f}", "id": None}


rows = corpus.rows(corpus.source(BUDGET), "train", hours=budget.pick(quick=1, full=20))
copies = [another_person(row) for row in rows[:: budget.pick(quick=10, full=1)]]
show.display(*(show.player(corpus.wav(row), label=row["speaker"]) for row in (rows[0], copies[0])))

# %% [markdown]
# For each clip we keep the voice vectors of its windows, as in lesson 03, and its pitch. The pitch comes from Praat, which
# phoneticians have trusted for thirty years (it compares the sound with itself, delayed; the delay at which it fits best is
# one period). The same tracker serves in training and in use: a codec that learned with one and is used with another would
# sing out of tune.

# %%
def embed(wav):
    """Voice vectors [W, D] of the windows of wav [T]."""
    return voices.encoder.windows(torch.tensor(wav)[None, None]).numpy()


HOP = HarmonicCodec().config.hop  # 200 samples: 12.5 ms
CACHE = RUN.parent / "cache"
clips = Clips(rows + copies, CACHE, embed, training.fingerprint(voices.encoder))
f0 = references.tracks(clips, CACHE, HOP)
print(f"{len(clips.rows)} clips of {len(clips.people)} voices")

# %% [markdown]
# ## 4. Pulses without aliases
#
# A pulse train holds every multiple of its pitch, all equally loud: $\sum_{h=1}^{H} \cos(h\,t)$, where $t$ is the phase of
# the first harmonic and $H$ the last one that fits under half the rate. (One more, and it would fold back as a wrong low
# tone, an *alias*.) At 100 Hz that is a sum of 78 cosines for every sample. Dirichlet knew a shortcut:
#
# $$\sum_{h=1}^{H}\cos(h\,t) = \frac{\sin\big((H+\tfrac12)\,t\big)}{2\sin(t/2)} - \frac12,$$
#
# so any number of harmonics costs as much as one. The twin adds them one by one. It keeps the pitch fixed, so that the phase
# is simple. (At the very top of a pulse the fraction is 0 by 0, so there the library takes the limit, $H$; hence half a
# per cent of tolerance.)

# %% tags=["nbval-check-output"]
def naive_pulses(hz, samples, rate=16_000, top=7_800):
    """A pulse train [samples] at a fixed pitch, harmonic by harmonic."""
    train = np.zeros(samples)
    for n in range(samples):
        for harmonic in range(1, int(top / hz) + 1):
            train[n] += np.cos(2 * np.pi * harmonic * hz * (n + 1) / rate)
    return train


for hz in (97.0, 220.0, 443.0):
    slow, fast = naive_pulses(hz, 2 * HOP), source.pulses(torch.full((1, 2), hz), HOP)[0]
    assert np.allclose(slow, fast, atol=0.005 * slow.max())
    print(f"twins agree at {hz:g} Hz, {int(7800 / hz)} harmonics")

# %% [markdown]
# ### Exercise 1
#
# How many harmonics has a voice of 120 Hz below 7,800 Hz? And what is therefore the height of its pulses, where all
# cosines are 1?

# %%
harmonics = None

is_right = (7800 // 120).__eq__
show.exercise(1, harmonics, is_right, "A whole number of steps of 120 Hz.")

# %% [markdown]
# <details><summary>Solution 1</summary>
#
# `harmonics = 65`, and the pulses are 65 high. A low voice has more harmonics and higher, rarer pulses; the sound of each
# harmonic is the same.
# </details>
#
# ## 5. The codec
#
# `START` is the switch of lesson 03: `"shipped"` continues from the shipped weights at a tenth of the learning rate,
# `"nothing"` begins at random. Same cells, same shapes, other numbers.
#
# A batch is random stretches of half a second. A quarter of them are replayed .85 to 1.2 times as fast (the pitch is
# multiplied by the same factor), and levels vary by 13 dB: a codec must carry everybody, at any distance from the
# microphone.

# %%
START = "shipped" if BUDGET == "quick" and voices.bundle.has("frames") else "nothing"
torch.manual_seed(0)
critic = Discriminator()
if START == "shipped":
    harmonic, frames = voices.bundle["harmonic"], voices.bundle["frames"]
    critic.load_state_dict(training.read(CHECKPOINTS / "harmonic_critic"))
else:
    harmonic = HarmonicCodec()
    frames = Frames(FramesConfig(), voices.codec, harmonic)
    some = [torch.tensor(clips.wav(i))[None, None] for i in range(len(f0))[:250]]
    mels = torch.cat([harmonic.mel(wav)[0] for wav in some], 1)
    frames.mean.copy_(mels.mean(1))  # each band to mean 0
    frames.std.copy_(mels.std(1))  # and variance 1
GENTLE = 0.1 if START == "shipped" else 1.0

# %% [markdown]
# ### Two losses, one after the other
#
# First the mel loss alone, in six windows (lesson 03). The copy soon has every energy in its place, and still sounds a
# little smooth: noise has no right value to hit, so the network learns its mean. Then the **critic** of lesson 03 joins
# and forbids that. Two players take turns, so `refined` yields twice.
#
# Note what is *not* here: no posterior, no Kullback-Leibler divergence, no voice vector. Nothing has to be learned about
# what lies in between, and nothing gets lost there.

# %%
def resynthesis(nets, batch):
    """The mel loss alone."""
    wav_hat = nets["harmonic"](harmonic.mel(batch["wav"]), batch["f0"]).float()
    yield "harmonic", {"mel": losses.multi_mel(wav_hat, batch["wav"])}


def refined(nets, batch):
    """The critic's turn, then the codec's."""
    wav_hat = nets["harmonic"](harmonic.mel(batch["wav"]), batch["f0"]).float()
    yield "critic", stages.critic_losses(nets["critic"], batch["wav"], wav_hat)
    terms = stages.generator_losses(nets["critic"], batch["wav"], wav_hat)
    yield "harmonic", terms | {"mel": losses.multi_mel(wav_hat, batch["wav"])}


# %% [markdown]
# `references.replayed` draws the stretches. The stages of the shipped codec: 2,550 steps of the first kind (6 minutes of a
# core), then 3,700 of the second (36 minutes). It learns this fast because the hardest part, the phases of the harmonics, is
# given. In the log, `critic` should stay near what it is: if it falls, the critic is winning, and the copy is found out.
# `stages.stage` is lesson 03's `stage`, moved to the library.

# %%
if BUDGET == "quick":  # begins anew each time; a full run continues where it was stopped
    shutil.rmtree(RUN, ignore_errors=True)
WEIGHTS = {"mel": 45.0, "adv": 5.0, "fm": 40.0, "critic": 1.0, "matching": 1.0}
common = {"weights": WEIGHTS, "folder": RUN, "log_every": budget.pick(quick=5, full=100)}


def half_seconds(rng):
    """A batch for the codec: a dict of tensors."""
    batch = references.replayed(rng, clips, f0, HOP, budget.pick(quick=3, full=12))
    return {name: torch.as_tensor(value) for name, value in batch.items()}


nets = {"harmonic": harmonic, "critic": critic}
learn = {"harmonic": [harmonic], "critic": [critic]}
_, smooth = stages.stage("mel", resynthesis, {"harmonic": harmonic}, {"harmonic": [harmonic]},
                         half_seconds, budget.pick(quick=20, full=2550), lr=6e-4 * GENTLE,
                         warmup=100, clip=100, seed=1, **common)
_, sharp = stages.stage("critic", refined, nets, learn,
                        half_seconds, budget.pick(quick=6, full=3700), lr=5e-4 * GENTLE,
                        warmup=100, clip=100, seed=2,
                        average=("harmonic", budget.pick(quick=0.9, full=0.998)), **common)

# %% [markdown]
# ## 6. The ceiling
#
# Whatever predicts frames can only sound as good as the right frames do. So listen to these first: a recording of a voice
# outside the training set; coded by lesson 03's latents and decoded; coded by frames and decoded; and then the same frames
# with the pitch three semitones higher, as only a codec that knows its pitch can do. The formants stay where they were, so
# the throat keeps its size.
#
# Ears first, then figures. A judge that took no part in any training (DNSMOS overall and P.808 of 5, likeness to the
# recording by GE2E, words misheard by Whisper) heard recordings of people whom the codec never met, and their copies:
#
# | | DNSMOS overall | P.808 | likeness | words misheard |
# |---|---|---|---|---|
# | recordings | 3.38 | 3.95 | 1 | 5.9 % |
# | coded by frames, shipped weights | 3.26 | 3.90 | .98 | 7.5 % |
#
# (From the card of the checkpoint, which tells how it was measured: twelve people, so the words are a matter of a few. On
# another corpus, recorded in a studio, 3.11 of 3.20 are kept.) Lesson 03's latents kept 2.66 of 3.34 on a like set.

# %%
ref_wav = torch.tensor(audio.prepare(stranger))[None, None]
mel, pitch = harmonic.analyse(ref_wav)
m_q, _, g = voices.codec.encode(ref_wav, spk_emb)
with torch.inference_mode():
    by_latents = voices.codec.decoder(m_q, g)
    by_frames = harmonic(mel, pitch)
    higher = harmonic(mel, pitch * 2 ** (3 / 12))
labels = ("recorded", "through latents (lesson 03)", "through frames", "three semitones up")
for label, wav in zip(labels, (ref_wav, by_latents, by_frames, higher)):
    show.display(show.player(wav[0, 0].numpy(), label=label))

# %% [markdown]
# ## 7. Draw, do not average: flow matching
#
# Choose noise $x_0$ and real frames $x_1$, and walk straight from one to the other, in time $t$ from 0 to 1:
#
# $$x_t = (1-t)\,x_0 + t\,x_1, \qquad \text{velocity } x_1 - x_0 .$$
#
# Show the network $x_t$ and $t$, and ask: *in which direction are you walking?* Many walkers pass through the same
# point on their way to different ends, so the best answer is the mean direction of all of them. This sounds like the average
# that we wanted to avoid, but it is not: at the start all ends are still open, and the mean direction points to their middle;
# after each small step fewer ends are possible, and the last step leads to one. We follow the answers, and end at *one* way to
# say it. Other noise, another end.
#
# The loss is the squared error of the velocity, over frames that exist (`mask`), each channel with a weight. Log `f0` and
# voicing are only two channels among 130, and count six and three times.

# %% tags=["nbval-check-output"]
def naive_matching(velocity, x, noise, mask, weight):
    """The mean error of velocities, number by number."""
    total = counted = 0.0
    for b, frame in np.argwhere(mask[..., 0].numpy() > 0):
        for k in range(x.shape[2]):
            wanted = x[b, frame, k] - noise[b, frame, k]
            total += float(weight[k] * (velocity[b, frame, k] - wanted) ** 2)
        counted += float(weight.sum())
    return total / counted


x, noise, velocity = torch.randn(3, 2, 7, 4, generator=torch.Generator().manual_seed(0))
weight = torch.tensor([1.0, 1.0, 6.0, 3.0])
mask = torch.ones(2, 7, 1)
mask[1, 4:] = 0  # the second clip is shorter
slow = naive_matching(velocity, x, noise, mask, weight)
assert abs(slow - fm.flow_matching(velocity, x - noise, mask, weight)) < 1e-4
print(f"twins agree: {slow:.2f}")

# %% [markdown]
# ### Exercise 2
#
# Walk. Write `walk(velocity, x, steps)`: from `x` at time 0, make `steps` equal steps in time, each along
# `velocity(x, t)` at the *beginning* of the step (Euler's method), and return where you are at time 1. The check sends you
# through a field where all walkers want to the same place, 3, from which the velocity at x is (3 - x) / (1 - t).

# %%
walk = None  # for example: def walk(velocity, x, steps): ...



def arrives(walk):
    """Whether seven steps lead from -1 to 3."""
    return np.isclose(walk(lambda x, t: (3 - x) / (1 - t), -1.0, 7), 3.0)


show.exercise(2, walk, arrives, "Step k, counted from 0, begins at k / steps and lasts 1 / steps.")

# %% [markdown]
# <details><summary>Solution 2</summary>
#
# ```python
# def walk(velocity, x, steps):
#     for k in range(steps):
#         x = x + velocity(x, k / steps) / steps
#     return x
# ```
# Straight ways need few steps: here even one would do. Where many ends are possible the ways bend, and `Frames.sample` takes
# 3 steps, shorter at the start.
# </details>
#
# ## 8. What is to be said, frame by frame
#
# In use, the frames model is given latents that lesson 03 made *from text* (or, in the app, vectors that lesson 07 made of
# it). So it must train on such latents, and they must have the timing of the recording, or the target frames would not fit. We have all parts: the posterior gives the recording's
# latents, the flow takes the voice out of them, and the search of lesson 03 says which token sounds in which frame. Stretch
# the prior by *that* path, add a little noise, run the flow backwards: latents **made from text, timed like the recording**.
# The path also tells the **symbol** of every frame, `phones`, which the model gets besides; so a word that the latents mumble
# is still known.
#
# Where a clip has no text that fits, the recording's latents stand in, and the symbol is one number beyond the table:
# *unknown*.

# %%
UNKNOWN = len(text.SYMBOLS)
tts, codec = voices.tts, voices.codec


@torch.inference_mode()
def said(i):
    """m_q, logs_q, z from text and, last, the symbol, of each frame of clip i: [F, 3 C + 1]."""
    wav = torch.tensor(clips.wav(i)[: clips.frames[i] * audio.HOP])[None, None]
    spk_emb = torch.tensor(clips.voice(np.random.default_rng(i), i, 0.0))[None]
    m_q, logs_q, g = codec.encode(wav, spk_emb, torch.tensor(clips.band[i: i + 1]))
    tokens = torch.tensor(clips.tokens[i])[None]
    z, symbols = m_q, torch.full((m_q.shape[2],), UNKNOWN)
    if 2 < tokens.shape[1] <= m_q.shape[2]:
        z_mask, x_mask = torch.ones_like(m_q[:, :1]), torch.ones(1, 1, tokens.shape[1])
        _, m_p, logs_p = tts.text(tokens, x_mask)
        score = align.log_likelihood(tts.flow(m_q, z_mask, g), m_p, logs_p)
        path = align.search(score, x_mask, z_mask).float()
        z_p = m_p @ path + 0.2 * torch.randn_like(m_q) * (logs_p @ path).exp()
        z = tts.flow(z_p, z_mask, g, reverse=True)
        symbols = tokens[0, path[0].argmax(0)]
    return torch.cat([m_q[0].T, logs_q[0].T, z[0].T, symbols[:, None]], 1)


weights = f"{training.fingerprint(codec)}-{training.fingerprint(tts)}"
SAID = clips.kept(CACHE / f"{digest(clips.rows, 'text', 'speaker')}-{weights}-said.npy", said)

# %% [markdown]
# Latents come 62.5 times a second and frames 80 times, so latents are drawn apart (`references.at_rate`) and each frame takes the
# symbol in whose time its middle lies. Then chance takes things away, so that the model learns to do without any of them:
#
# - 35 % of the time the latents are the recording's own, with some of the posterior's noise, and 8 % of the time all
#   symbols are unknown. Whoever codes a *recording* has no text;
# - 25 % of the time (where there are symbols) there are no latents at all: the model must also be able to speak from symbols.

# %%
FIRST = np.cumsum(clips.frames) - clips.frames  # of each clip, in SAID


def content_of(rng, i, begin, count=128):
    """What is said in `count` frames of clip i: z [count, C], symbols [count]."""
    rows = SAID[FIRST[i]: FIRST[i] + clips.frames[i]].astype("float32")
    m_q, logs_q, z, symbols = np.split(rows, np.arange(1, 4) * codec.config.C, 1)
    if rng.random() < 0.35:
        z = m_q + np.exp(logs_q) * rng.standard_normal(m_q.shape) * rng.uniform(0, 0.6)
    z, nearest = references.at_rate(z, FRAME_SECONDS / LATENT_SECONDS, begin, count)
    symbols = symbols[nearest, 0].astype(int)
    if rng.random() < 0.08:
        symbols[:] = UNKNOWN
    if symbols[0] != UNKNOWN and rng.random() < 0.25:
        z[:] = 0
    return z, symbols


def pairs(rng):
    """Targets with what is said in them, and references: a dict of tensors."""
    batch = references.draw(rng, clips, f0, HOP, budget.pick(quick=3, full=14))
    batch["ref_wav"] *= np.exp(rng.uniform(-0.7, 0.5, (len(batch["wav"]), 1, 1))).astype("float32")
    content = [content_of(rng, i, begin) for i, begin in zip(batch["index"], batch["begin"])]
    batch["z"] = np.stack([z for z, _ in content]).astype("float32")
    batch["phones"] = np.stack([symbols for _, symbols in content])
    return {name: torch.as_tensor(value) for name, value in batch.items()}


# %% [markdown]
# ## 9. Train the frames
#
# A target of 1.6 s, and a **reference** of one to 2.5 s from *another* clip of the same voice, or, where a person has only
# one, from another part of it, never touching the target: a model that may look at what it has to draw copies it and learns
# nothing. The level of the reference is changed at random, for it says nothing about the voice. The network
# reads the reference with a few blocks and looks at it by attention, three times on its way; there is always one key that
# says *nothing there*, so it may look away.
#
# In a tenth of the steps the network is told neither voice nor reference, in 15 % more no reference. It then learns the
# direction of *anybody*, which we shall need in the next section, and of voices without a recording, such as a dot on the
# atlas.
#
# (`content` also has places for the semantic vectors of lesson 07, by which the app speaks and converts, and for *fine
# content*, which section 10 hears. This lesson leaves both at zero.)

# %%
CHANNELS = torch.ones(FramesConfig().M + 2)
CHANNELS[-2], CHANNELS[-1] = 6.0, 3.0  # log f0 and voicing are two channels among 130
teacher = None


def matching(nets, batch):
    """One step of flow matching; where there is a teacher, with its guidance in the goal."""
    x = frames.encode(harmonic.mel(batch["wav"]), batch["f0"])
    ref = frames.encode(harmonic.mel(batch["ref_wav"]), batch["ref_f0"])
    B = len(x)
    known = torch.rand(B, device=x.device) > 0.1
    shown = known & (torch.rand(B, device=x.device) > 0.15)
    ref_mask = batch["ref_mask"] & shown[:, None]
    t, noise = fm.times(B, x.device), torch.randn_like(x)
    told = {"x": fm.between(x, t, noise), "t": t, "spk_emb": batch["spk_emb"],
            "known": known.float(), "ref": ref, "ref_mask": ref_mask, "mask": batch["mask"],
            "content": frames.told(batch["z"].transpose(1, 2), batch["phones"])}
    goal = x - noise
    if teacher:
        nobody = {"known": torch.zeros_like(known).float(), "ref_mask": ref_mask & False}
        with torch.no_grad():
            goal = fm.guided(goal, teacher(**told), teacher(**told | nobody), BEYOND)
    error = fm.flow_matching(nets["frames"](**told), goal, batch["mask"], CHANNELS.to(x))
    yield "frames", {"matching": error}


# %% [markdown]
# The loss does not go to zero, and must not: it is the spread of the directions in which walkers really go. At random it
# begins near 2 (the variance of the frames plus that of the noise); the shipped weights ended at .245 on their own corpus, and
# stand lower on the clean voices of a quick run. What counts is heard, not read.
#
# Only the averaged weights are kept. A single step of flow matching is noisy (one moment, one noise), and the mean of a
# thousand steps is a far better model than any one of them.
#
# ### Guidance, learned
#
# After the first stage the network knows two directions: to *anybody* (voice and reference withheld) and to *somebody*. To
# go from the first through the second and half as far again, 1.5 times the difference, makes somebody clearer than the data
# were. This is **classifier-free guidance**, and it costs two passes at every step.
#
# But where two passes lead, one can learn to go. In the second stage a copy of the network stands still and teaches; the
# pupil learns the velocity of the data *plus* what guidance would add, and speaks in half the time. (The shipped weights
# have been through both stages, at 1.5 and then at 1.75. Going on from them there is nothing to add: `BEYOND` is 1 then.)

# %%
BEYOND = 1.0 if START == "shipped" else 1.5
calm = common | {"betas": (0.9, 0.98), "clip": 1,
                 "average": ("frames", budget.pick(quick=0.9, full=0.999))}
torch.manual_seed(0)
log, drawn = stages.stage("frames", matching, {"frames": frames}, {"frames": [frames]}, pairs,
                          budget.pick(quick=16, full=12000), lr=8e-4 * GENTLE, seed=3, **calm)
teacher = copy.deepcopy(frames).eval().requires_grad_(False)
_, guided = stages.stage("guided", matching, {"frames": frames}, {"frames": [frames]}, pairs,
                         budget.pick(quick=4, full=3000), lr=2e-4 * GENTLE, seed=4, **calm)
BILL = [smooth, sharp, drawn, guided]
show.display(show.table(BILL, "What each stage cost"), show.losses(log))

# %% [markdown]
# One more stage of the shipped codec is not in these cells: drawn frames are a little smoother than those of recordings, so
# its decoder trained on with frames *drawn along recordings* (their timing, their pitch) in half of each batch, against the
# same critic. HiFi-GAN's authors did the same for their text-to-speech. Twenty lines before and after, by a judge that took
# no part: words misheard 14.0 and 11.4 %, DNSMOS overall 2.80 and 2.92; copies of recordings stay as good as they were.
#
# ## 10. Listen, play, measure
#
# **Guidance** at 1 is as learned: half as far again as the data. More goes further still, with a second pass; at 2 you hear
# a caricature.
#
# **Noise** is the temperature of the start. At 1 you draw as training did, lively and now and then with a slurred word; the
# app uses 0.1. **Steps** are those of exercise 2. **Contrast** is how far each band goes from its mean over time. What is
# drawn at so low a temperature varies less than speech does, and the judge hears that: at 1.2 twenty lines gained .13 in
# DNSMOS (P.808), and words and likeness stayed. And **reference**: with it withheld there is only the vector.
#
# Same seed, same settings, same samples; change one slider at a time. (After a quick run from nothing you hear a whisper
# with a rhythm: 20 steps draw no voice.)

# %%
def say(words, spk_emb, ref=None, seed=0, **settings):
    """Speak words in a voice [1, D] through frames: wav [T].  settings: of Frames.sample."""
    torch.manual_seed(seed)
    tokens = torch.tensor([text.encode(words)])
    z, path = tts.latents(tokens, spk_emb, noise_scale=0.1)
    symbols = tokens[:, path[0].argmax(0)]
    wav = frames.render(z, spk_emb, ref, symbols, **settings)
    return audio.normalise(wav[0, 0].numpy())


def speak(guidance, noise, steps, contrast, reference):
    """Say WORDS with these settings: a player and a picture."""
    ref = frames.look_at(ref_wav) if reference == "shown" else None
    wav = say(WORDS, spk_emb, ref, guidance=guidance, noise_scale=noise, steps=steps,
              contrast=contrast)
    show.display(show.player(wav, label=WORDS), show.spectrogram(wav, title=WORDS))


show.sliders(speak, guidance=(1.0, 2.0, 0.25, 1.0), noise=(0.0, 1.0, 0.1, 0.1), steps=(1, 24, 1, 3),
             contrast=(0.8, 1.6, 0.1, 1.2),
             reference=["shown", "withheld"])

# %% [markdown]
# ### Whose voice is it?
#
# **SECS**, the cosine between the voice of the reference and that of the result, for people whom no model met. From top to
# bottom: another clip of the same person (what real speech reaches), the reference coded by frames (the ceiling), new words
# by lesson 03 alone, through frames by the vector alone, through frames with a look at the reference, and somebody else (the
# floor). The encoder is the one that steers the model, a partial judge; the second table has a judge that took no part.
# Three voices say little: at full budget there are twenty.

# %%
held_out = corpus.rows(corpus.source(BUDGET), "valid", hours=budget.pick(quick=1, full=20))
people = list(corpus.by_speaker(held_out).values())[: budget.pick(quick=3, full=20)]
heard = {}
for k, mine in enumerate(people):
    wav, twin, other = (corpus.wav(held_out[i]) for i in (mine[0], mine[-1], people[k - 1][0]))
    clip = torch.tensor(wav)[None, None]
    voice = voices.encoder.embed(clip)[None]
    ref = frames.look_at(clip[:, :, : 6 * audio.RATE])
    with torch.inference_mode():
        coded = harmonic(*harmonic.analyse(clip))[0, 0].numpy()
        lesson_03, _ = tts.infer(torch.tensor([text.encode(WORDS)]), voice)
    sounds = {"another clip, same voice": twin, "coded by frames": coded,
              "new words: lesson 03": audio.normalise(lesson_03[0, 0].numpy()),
              "new words: frames, vector alone": say(WORDS, voice),
              "new words: frames, reference": say(WORDS, voice, ref), "somebody else": other}
    for name, sound in sounds.items():
        result = voices.encoder.embed(torch.tensor(sound)[None, None])
        heard.setdefault(name, []).append(metrics.secs(voice[0], result))
secs = {name: float(np.mean(values)) for name, values in heard.items()}
show.display(show.table([{"sound": name, "SECS": value} for name, value in secs.items()]))

# %% [markdown]
# ### What vectors leave out
#
# When somebody's words are said again in another voice, there is no text: frames are told the vectors of lesson 07, and
# vectors lose words. Twenty clips said again in their own voice had 23 % of their words misheard; the recordings had 5 %. So the
# frames are told **fine content** besides: 48 numbers a frame (16 in the shipped ones), which a small network reads from the
# recording and learns together with the frames. It would love to smuggle the voice through, and that must not pay:
#
# - every band comes at mean 0 and variance 1 over the recording, so level and equaliser are gone;
# - bands come by fours, too coarse for the harmonics, so the pitch is gone;
# - it learned from copies with other formants than those of the goal, so formants do not help;
# - there are few numbers, and noise is added to them while it learns: a **bottleneck** (AutoVC).
#
# Even so something is lost, and this time we know exactly what: say the recording again *in its own voice*, with the same
# vectors, fine content and noise, and subtract. What is left over (averaged over four bands, so that no harmonics remain)
# holds a burst that was too soft, a vowel that was too open, and a little of the voice. Two fifths of it are added to what
# the other voice says: `left_out` in `lib/voices/convert.py`, ten lines and nothing to learn. Against the little of the
# voice, the embedding that is told lies *past* the asked one: 1.4 times the way from the source's voice to it.
#
# `voices.convert(source, stranger, model="frames", detail=0.5)` lets half as much of both count, and follows the melody half
# as closely; in the app it is the slider *detail* of Convert. The synthesiser of lesson 07 hears such numbers, too.
#
# ## 11. Keep it
#
# Three checkpoints with their cards: the codec, its critic (nobody speaks with it, but whoever trains on needs an opponent of
# equal strength), and the frames, which name their two lenders by fingerprint: beside another codec they refuse to load.

# %%
spent = [f"{line['stage']} {line['steps']} steps in {line['seconds']:.0f} s" for line in BILL]
card = {
    "source": "notebooks/src/11_codec_and_frames.py", **corpus.credits(clips.rows),
    "budget": f"{BUDGET}, from {START}: {'; '.join(spent)}; {budget.device()}",
    "figures": {f"secs, {name}": round(value, 3) for name, value in secs.items()},
}
training.save(RUN / "harmonic", harmonic, harmonic.config, card | {"name": "harmonic"})
training.save(RUN / "harmonic_critic", critic, None, card | {"name": "harmonic_critic"})
training.save(RUN / "frames", frames, frames.config, card | {"name": "frames"},
              lenders={"codec": CHECKPOINTS / "codec", "harmonic": RUN / "harmonic"})
show.display(show.table([{"card": key, "says": str(value)} for key, value in card.items()]))

# %% [markdown]
# ## Where to go from here
#
# - **Your voice.** Put `stranger = "me.wav"` into section 1 and run all. With somebody else's voice, ask first.
# - **A voice without a recording.** `say(WORDS, some_direction)` with a unit vector of your own: this is how a dot on the map
#   of lesson 10 speaks.
# - **A melody.** `frames.sample` takes a `lead`: what the last two channels are led to. Draw your own line.
# - **Longer.** `DEMO_BUDGET=full .venv/bin/accelerate launch notebooks/src/11_codec_and_frames.py` is this same file, without
#   pictures.
#
# Sources: NSF (Wang et al., 2019), HiFTNet (Li et al., 2023) and Vocos (Siuzdak, 2024) for the decoder; Boersma (1993) for the
# pitch; Matcha-TTS (Mehta et al., 2024) for flow matching; Ho and Salimans (2022) for guidance. The README lists them in full.
