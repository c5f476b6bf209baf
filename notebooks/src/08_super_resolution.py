# %% [markdown]
# # 08 · Super-resolution: the band that was never there
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/voice-atlas/voice-atlas/blob/main/notebooks/08_super_resolution.ipynb)
#
# Everything that speaks in this house speaks at 16 kHz: nothing above 8 kHz can be in it. You hear what is missing as
# a veil over every *s*. HierSpeech++ puts a small network at its end, SpeechSR, that lifts 16 kHz to 24 or 48.
# This lesson builds one, in the shape of AP-BWE (Lu et al., 2024): it predicts magnitudes and phases of the missing
# band, and nothing else.
#
# In order:
#
# 1. hear it;
# 2. what a band is, and why sinc interpolation adds none;
# 3. data: wide speech, and a copy of it that lost its top;
# 4. the measure, log-spectral distance, with its naive twin;
# 5. the model: the low band is kept exactly;
# 6. two losses, two short stages of training;
# 7. listen, and measure on voices it never heard;
# 8. 48 kHz, honestly; exercises.
#
# Quick budget (two CPU cores): under three minutes, from nothing. Full budget takes more steps and more speech.

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
# A virtual voice that no training saw, at 16 kHz and at 24 kHz. Listen to the *s* and the *t*. If weights are shipped,
# the third player holds what the network makes of the first.

# %%
import shutil

import numpy as np
import torch
import torch.nn.functional as F

from lib import audio, show, training
from lib.data import corpus
from lib.evaluation import metrics
from lib.models.superres import RATE, WIDE, WIDEST, SuperRes, SuperResConfig
from lib.models.superres import above, mirrored, octave, sinc, spectrum
from lib.nn.critics import Discriminator
from lib.training import budget, stages

BUDGET = budget.current()
RUN = corpus.EMBEDDED.parents[2] / f"runs/08-{BUDGET}"
CHECKPOINTS = corpus.EMBEDDED.parents[1] / "checkpoints"
if BUDGET == "quick":  # begins anew each time; a full run continues where it was stopped
    shutil.rmtree(RUN, ignore_errors=True)
unseen = corpus.rows(split="valid")  # three virtual voices

# %%
PERIOD = 384  # samples at 24 kHz; a clip is cut to whole periods, so that every rate divides it


def wide_sound(row):
    """Sound of a row at 24 kHz, [1, 1, T]; T is a multiple of PERIOD."""
    rate, samples = audio.load(row["audio"])
    wav = audio.resample(samples, rate, WIDE)
    return torch.tensor(wav[: len(wav) // PERIOD * PERIOD])[None, None]


wav = wide_sound(unseen[0])
low = sinc(wav, RATE / WIDE)


def play(wav, rate, title):
    """Show a player for wav [1, 1, T]."""
    show.display(show.player(wav[0, 0].numpy(), rate, title))


play(low, RATE, "16 kHz")
play(wav, WIDE, "24 kHz, as it was")
if (CHECKPOINTS / "superres").is_dir():
    shipped, _ = training.load(CHECKPOINTS / "superres", SuperRes, SuperResConfig)
    play(shipped.upsample(low), WIDE, "24 kHz, made of the first")

# %% [markdown]
# ## 2. What a band is
#
# A signal sampled R times a second can hold the frequencies from 0 to R/2 and no others. Going from 16 to 24 kHz by
# *sinc interpolation* draws, between the samples, the one curve that has nothing above 8 kHz. It is right, and it adds
# nothing: half as many samples again, the same band.
#
# The cell below does it in the frequency domain: the spectrum of the whole clip, zeros behind it, back. That way the
# interpolation is *exact*, which we shall need: what goes in must come out.

# %% tags=["nbval-check-output"]
there_and_back = sinc(sinc(low, WIDE / RATE), RATE / WIDE)
error = (there_and_back - low).square().mean() / low.square().mean()
added = above(sinc(low, WIDE / RATE), RATE / WIDE).abs().max()
print(f"16 -> 24 -> 16 kHz: the same within -100 dB: {bool(error < 1e-10)}")
print(f"largest sample of what lies above 8 kHz: {added:.4f}")

# %% [markdown]
# ## 3. Data: wide speech and its poor copy
#
# Training needs nothing but wide speech: the input is made from it by taking the top away. No labels, no texts. The
# embedded corpus is 24 kHz; with `VOICE_ATLAS_CORPUS` set, all of its clips with 24 kHz or more are used.
#
# Two things keep the network from learning one file format by heart. The level varies, since nobody's microphone has
# ours. And half of the copies lose a little more, everything above some frequency between 7.2 and 8 kHz, as mp3 and
# resamplers take it.
#
# Why should it be possible at all? Because the top of speech is no secret. An *s* is a hiss that begins at 4 kHz and
# goes on beyond 12: who hears its lower half knows that there is an upper half, and about how loud it is. A vowel has
# pulses, and each pulse has a little energy everywhere. What cannot be known is the fine grain of the hiss, and nobody
# hears that either: two hisses of one level and one colour sound alike. So the task is to learn colours and instants,
# which is little, and a small network with a few minutes of speech gets far.

# %%
HOURS = budget.pick(quick=0.5, full=20)
rows = [row for row in corpus.rows(corpus.source(BUDGET), "train") if row.get("rate", WIDE) >= WIDE]
np.random.default_rng(0).shuffle(rows)  # an even share of every voice
rows = list(corpus.until(rows, HOURS))
sounds = [wide_sound(row)[0, 0].numpy() for row in rows]
people = len(corpus.by_speaker(rows))
print(f"{len(sounds)} clips of {people} voices, {sum(map(len, sounds)) / WIDE / 60:.0f} min")

# %%
STRETCH = 96 * 192  # samples at 24 kHz: 96 frames, 0.77 s
BATCH = 12
SPREAD_DB = 15.0  # the level moves by as much, up or down
EDGES = (7200, 8000)  # Hz


def draw(rng):
    """A batch: wide stretches wav [B, 1, STRETCH], their copies low [B, 1, STRETCH * 2 / 3]."""
    wide = np.zeros((BATCH, 1, STRETCH), "float32")
    for row in wide:
        sound = sounds[rng.integers(len(sounds))]
        start = rng.integers(max(1, len(sound) - STRETCH))
        piece = sound[start: start + STRETCH]
        row[0, : len(piece)] = piece * 10 ** (rng.uniform(-SPREAD_DB, SPREAD_DB) / 20)
    wide = torch.tensor(wide)
    low = sinc(wide, RATE / WIDE)
    half = low[: BATCH // 2]
    low[: BATCH // 2] = half - above(half, rng.uniform(*EDGES) / (RATE / 2))
    return {"wav": wide, "low": low}

# %% [markdown]
# ## 4. The measure: log-spectral distance
#
# With powers $P$ and $\hat P$ of the two spectrograms, F frames and K bins,
#
# $$\text{LSD} = \frac1F \sum_t \sqrt{\frac1K \sum_k \big(\log_{10} P_{k,t} - \log_{10} \hat P_{k,t}\big)^2}.$$
#
# One means: wrong by a factor of ten in power, on average. An empty band is wrong by all that should be there, down to
# a floor, so sinc has bad figures here. The measure says little about taste. A band of noise at the right level has a
# fair LSD; and guessing the *mean* level pays more than being lively. Listen as well.

# %% tags=["nbval-check-output"]
def lsd_naive(est, ref):
    """The equation word for word, a frame at a time."""
    window = np.hanning(2049)[:-1]  # periodic, as torch's
    frames = []
    for start in range(0, len(ref) - 2047, 512):
        powers = [np.abs(np.fft.rfft(x[start: start + 2048] * window)) ** 2 for x in (est, ref)]
        levels = [np.log10(np.maximum(power, 1e-8)) for power in powers]
        frames.append(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))
    return np.mean(frames)


rng = np.random.default_rng(0)
one, other = rng.normal(size=(2, 8000))
assert abs(metrics.lsd(one, other) - lsd_naive(one, other)) < 1e-4
print(f"twins agree; noise against other noise {metrics.lsd(one, other):.2f}")
print(f"ten times as much power: {metrics.lsd(one * 10**0.5, one):.2f}")

# %% [markdown]
# ## 5. The model
#
# `lib/models/superres.py` is short; read it beside this.
#
# - The input's log-magnitudes (32 ms windows, every 8 ms) go through five ConvNeXt blocks. Out come 128 log-magnitudes
#   of the bins from 8 to 12 kHz, and 128 *turns*.
# - A spectrum needs phases. AP-BWE predicts them from nothing. We **borrow** the phases of the band 4 kHz below, and
#   let the network turn them. Why is that any good? The phases of neighbouring frames say *when* within the window the
#   energy comes. A pulse of the vocal cords comes at one instant in all bands, so the band below knows when.
#   (The shift is 128 bins and the hop a quarter of a window, so shifted phases still go on from frame to frame.)
# - The inverse STFT gives a waveform. Windows leak a little below 8 kHz; a sharp cut removes that, and the sinc
#   interpolation of the input is added. The low band is **exactly** the input, whatever the network does.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
model = SuperRes(SuperResConfig())
with torch.no_grad():
    shouting = sinc(low, WIDE / RATE) + 50 * model.band(low)
back = sinc(shouting, RATE / WIDE)
kept = (back - low).square().mean() / low.square().mean()
print(f"a band that shouts: the low band is kept within -80 dB: {bool(kept < 1e-8)}")

# %% [markdown]
# ## 6. Three stages
#
# 1. **levels**: predicted log-magnitudes against those of the recording, mean squared difference, bin by bin. No
#    waveform is made, so a step costs little. (Squares, not absolute values: most frames have nothing up there, and
#    the *median* of nine silent frames and one *s* is silence.)
# 2. **band**: now the waveform. Its spectrogram above 8 kHz is compared at three window lengths, as logarithms. Frames
#    that overlap disagree, phases matter, and the turns learn here.
# 3. **critic**: bins of a hiss are random, and the best guess of the *logarithm* of a random level lies 2.5 dB under the
#    mean power, with no grain at all. Two things cure it: the **power** of whole patches (1 kHz, three frames), in which
#    chance averages out; and a critic that hears nothing but the new band and forbids what is too smooth.
#
# The price is a slightly higher LSD, since a lively guess is wrong twice: once in its own grain, once in the recording's.

# %%
WINDOWS = (256, 768, 2048)  # samples at 24 kHz
FLOOR = 1e-4  # of magnitudes, before the logarithm


def log_band(wav, n_fft):
    """Log-magnitudes [B, K, F] of wav [B, 1, T] at 24 kHz above 8 kHz."""
    window = torch.hann_window(n_fft, device=wav.device)
    sizes = {"n_fft": n_fft, "hop_length": n_fft // 4, "window": window}
    spec = torch.stft(wav[:, 0].float(), **sizes, return_complex=True) / (n_fft / 4)
    return (spec[:, n_fft // 3 + 1:].abs() + FLOOR).log()


def band_loss(wav_hat, wav):
    """Mean absolute difference of log-magnitudes above 8 kHz, over three windows."""
    gaps = [log_band(wav_hat, n_fft) - log_band(wav, n_fft) for n_fft in WINDOWS]
    return sum(gap.abs().mean() for gap in gaps) / len(gaps)


def power_loss(wav_hat, wav):
    """Mean absolute difference of log-levels of patches of 1 kHz by three frames, above 8 kHz."""
    levels = []
    for sound in (wav_hat, wav):
        power = spectrum(sound, 192)[:, None, -128:].abs().square()
        levels.append((F.avg_pool2d(power, (32, 3)) + FLOOR**2).log() / 2)
    return (levels[0] - levels[1]).abs().mean()

# %%
def learn_levels(nets, batch):
    """Stage one: log-magnitudes."""
    net = nets["superres"]
    level, _, _ = net.parts(batch["low"])
    hop = net.config.hop * WIDE // RATE
    wanted = spectrum(batch["wav"], hop)[:, -net.high:].abs().clamp_min(FLOOR).log()
    yield "superres", {"levels": (level - wanted).square().mean()}

# %%
def learn_band(nets, batch):
    """Stage two: the waveform."""
    made = nets["superres"].band(batch["low"])
    yield "superres", {"band": band_loss(made, batch["wav"])}


def learn_grain(nets, batch):
    """Stage three: the critic's turn, then the network's; both hear the new band only."""
    made = nets["superres"].band(batch["low"])
    real = above(batch["wav"], RATE / WIDE)
    yield "critic", stages.critic_losses(nets["critic"], real, made)
    terms = stages.generator_losses(nets["critic"], real, made)
    yield "superres", terms | {"band": band_loss(made, real), "power": power_loss(made, real)}

# %%
nets = {"superres": model}
weights = {"levels": 1.0, "band": 1.0, "power": 1.0, "adv": 0.2, "fm": 1.0, "critic": 1.0}
common = {"weights": weights, "folder": RUN, "warmup": 20}


def learn(name, step, steps, lr):
    """Train by `step`; its curve is shown, and how many steps it took comes back."""
    every = max(1, steps // 8)
    log, bill = stages.stage(name, step, nets, {key: [net] for key, net in nets.items()},
                             draw, steps, lr=lr, log_every=every, **common)
    show.display(show.losses(log, names=(name,)))
    return bill["steps"]


done = {"levels": learn("levels", learn_levels, budget.pick(quick=120, full=20_000), 7e-4)}

# %% [markdown]
# The curve falls fast and then hardly at all. What is left is the noise that speech has up there: the single bins of an
# *s* are random, and the best guess of a random level is off by half a neper, whatever the network knows. Stage
# two starts from these levels, with a smaller learning rate.

# %%
done["band"] = learn("band", learn_band, budget.pick(quick=30, full=20_000), 3e-4)
nets["critic"] = Discriminator(periods=(), resolutions=(256, 768, 2048))
done["critic"] = learn("critic", learn_grain, budget.pick(quick=12, full=20_000), 3e-4)

# %% [markdown]
# ## 7. Listen and measure
#
# Three virtual voices that the training never heard, ten clips of each. Each clip is taken down to 16 kHz and lifted
# again, once by interpolation and once by the network, and both results are held against the clip as it was.

# %%
def figures(net, rows):
    """Mean LSD of sinc and of the network against the wide recordings of `rows`: (float, float)."""
    by_sinc, by_net = [], []
    for row in rows:
        wav = wide_sound(row)
        low = sinc(wav, RATE / WIDE)
        plain, lifted = sinc(low, WIDE / RATE), net.upsample(low)
        by_sinc.append(metrics.lsd(plain[0, 0].numpy(), wav[0, 0].numpy()))
        by_net.append(metrics.lsd(lifted[0, 0].numpy(), wav[0, 0].numpy()))
    return np.mean(by_sinc), np.mean(by_net)


sinc_lsd, our_lsd = figures(model, unseen)
show.display(show.table([
    {"16 -> 24 kHz": "sinc interpolation", "LSD": sinc_lsd, "over sinc's": 1.0},
    {"16 -> 24 kHz": "this run", "LSD": our_lsd, "over sinc's": our_lsd / sinc_lsd}]))
assert our_lsd < 0.75 * sinc_lsd, "Training brought too little: were the steps cut down?"

# %% [markdown]
# A warning from the making of this lesson: a band that is *too faint to be heard* passed this test. Most frames have
# next to nothing above 8 kHz, so silence is a fair guess there, and the few loud ones, which are all that one hears,
# hardly count. So look at the level of the loud ones, too: how many dB has the new band less or more than the recording?

# %%
def loud_level(net, rows):
    """Mean of the new band's level over the recording's, in dB, where it is above -60 dB."""
    gaps = []
    for row in rows:
        wav = wide_sound(row)
        sounds = (net.upsample(sinc(wav, RATE / WIDE)), wav)
        power = [spectrum(sound, 192)[0, -128:].abs().square().mean(0) for sound in sounds]
        made, real = (10 * torch.log10(one + 1e-12) for one in power)
        gaps.append((made - real)[real > -60])
    return float(torch.cat(gaps).mean())


level_gap = loud_level(model, unseen)
print(f"loud frames: {level_gap:+.1f} dB against the recording")

# %%
def picture(wav, title):
    """Spectrogram of wav [1, 1, T] at 24 kHz up to 12 kHz."""
    fig, axis = show.figure()
    level = 20 * torch.log10(audio.spectrogram(wav)[0] + 1e-3).numpy()
    axis.imshow(level, origin="lower", aspect="auto", cmap="magma", vmin=-60, vmax=level.max(),
                extent=(0, wav.shape[2] / WIDE, 0, WIDE / 2000))
    show.label(axis, "time (s)", "frequency (kHz)", title)
    return fig


lifted = model.upsample(low)
for sound, title in ((sinc(low, WIDE / RATE), "sinc"), (lifted, "this run"), (wav, "as it was")):
    show.display(picture(sound, title))
    play(sound, WIDE, title)

# %% [markdown]
# What others publish is measured on VCTK, real voices, from 16 to 48 kHz: sinc 2.57, NU-Wave2 .86, AP-BWE .72. Those
# figures and ours have other voices, other bands and another floor: do not put them into one table.
#
# ## 8. 48 kHz, honestly
#
# Nobody's speech at 48 kHz is at hand here to learn from. So the octave from 12 to 24 kHz is **not learned**: the band
# from 6 to 12 kHz is heard again there, ever weaker (18 dB an octave). It can be wrong for a voice; it is
# where the energy is, at the right instants, and faint.
#
# How good is such a rule? It cannot be measured at 48 kHz without recordings. It *can* be measured an octave lower: from
# the 0 to 6 kHz of our clips the rule guesses 6 to 12 kHz, where we know the truth. Speech falls in other ways down
# there, so this is a hint and no proof.

# %%
def rule_figures(rows):
    """Mean LSD of sinc and of the rule from 12 to 24 kHz: (float, float)."""
    pairs = []
    for row in rows:
        wav = wide_sound(row)
        halved = sinc(wav, 0.5)
        ruled = octave(halved, 96)  # 192 samples at 12 kHz are a period
        sounds = [x[0, 0].numpy() for x in (sinc(halved, 2), ruled, wav)]
        pairs.append([metrics.lsd(sound, sounds[2]) for sound in sounds[:2]])
    return np.mean(pairs, 0)


sinc_rule, rule = rule_figures(unseen)
show.display(show.table([
    {"12 -> 24 kHz": "sinc", "LSD": sinc_rule},
    {"12 -> 24 kHz": "the rule", "LSD": rule}]))
play(model.upsample(low, WIDEST), WIDEST, "48 kHz")

# %%
figures_of_card = {
    "lsd_16_to_24": our_lsd, "lsd_16_to_24_sinc": sinc_lsd,
    "loud_frames_db": level_gap,
    "lsd_rule_12_to_24": rule, "lsd_rule_12_to_24_sinc": sinc_rule}
card = {
    "name": "superres", "source": "notebooks/src/08_super_resolution.py", **corpus.credits(rows),
    "budget": BUDGET, "stages": [f"{name}: {steps} steps" for name, steps in done.items()],
    "figures": {name: round(float(value), 3) for name, value in figures_of_card.items()},
    "measured_on": "30 clips of the three valid voices of the embedded corpus",
    "limits": "Synthetic voices at 24 kHz only. The octave from 12 to 24 kHz is a rule, "
              "not learned, and no recording at 48 kHz was there to measure it on.",
}

# %%
training.save(RUN / "superres", model, model.config, card, pack=True)
size = sum(file.stat().st_size for file in (RUN / "superres").glob("*.safetensors"))
print(f"{size / 1e6:.1f} MB")

# %% [markdown]
# What is saved is a card and the weights, with matrices as 8-bit numbers and a scale for each row. The app finds them
# under the name *superres*; `Voices.upsample(speech, 24000)` uses them after any of the other tasks, and says so when a
# clip already has more than the rate that was asked for, as resampling it in silence would *lose* a band.
#
# ## Exercises
#
# **One.** `sinc` takes one period of the signal. Where do the ends of a clip come from, then? `mirrored` answers. Write
# `padded`, that gives the number of samples `mirrored` adds behind a clip of 1,000 samples with hop 128.
#
# <details><summary>solution</summary>EDGE (512), and what is missing to a multiple of 256: 1000 + 1024 = 2024, so 24 more: 536.</details>

# %% tags=["nbval-check-output"]
clip = torch.ones(1, 1, 1000)
behind = mirrored(clip, 128).shape[2] - 1000 - 512
print(f"{behind} samples behind, {mirrored(clip, 128).shape[2] % 256} left over")

# %% [markdown]
# - **Two.** Replace `unit` in `SuperRes.band` by random phases. LSD hardly moves. What do you hear in a low voice?
# - **Three.** Leave stage three out, then only its critic, then only its `power`. What do your ears say, what the
#   level of loud frames, and what LSD?
# - **Longer.** `DEMO_BUDGET=full .venv/bin/accelerate launch notebooks/src/08_super_resolution.py` is this same file.
#
# Sources: AP-BWE (Lu et al., 2024), NU-Wave 2 (Han and Lee, 2022), HierSpeech++ (Lee et al., 2023). The README lists
# them in full.
