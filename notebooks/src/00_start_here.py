# %% [markdown]
# # 00 · Start here: sound, frames and the letters
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/voice-atlas/voice-atlas/blob/main/notebooks/00_start_here.ipynb)
#
# Voice Atlas teaches a machine to *borrow a voice*: five seconds of somebody speaking, a sentence that person never
# said, and the sentence comes out in that voice. Everything that does so is trained in these lessons, by you, from
# end to end.
#
# This first lesson trains nothing. It takes a clip of speech apart, step by step, until only lists of numbers are
# left, and gives each list the name (the *letter*) that it keeps in every later lesson. In order:
#
# 1. hear what this is about;
# 2. from sound to **samples**, from samples to **frames**, from frames to the **mel** spectrogram;
# 3. why a spectrogram is not yet sound;
# 4. what makes a voice high or low, large or small;
# 5. from text to **phonemes**, **tokens** and **durations**;
# 6. what a **voice vector** is, with a simple one that already works a little.
#
# It needs no GPU and takes about half a minute on two CPU cores. Four exercises wait for you; each checks your
# answer.
#
# The first cell only makes sure that the project is here. On Colab it fetches and installs it (a minute or two).

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
# The project carries a small corpus of 230 clips. Its 23 voices are *virtual*: no person stands behind any of them,
# so you may do with them as you like. Four of the sentences are spoken by every voice. Here is one of them, three
# times. Listen for what stays the same and what changes: that question is the whole project.

# %%
from collections import Counter

import numpy as np
import torch

from lib import audio, show, text
from lib.data import corpus
from lib.evaluation import metrics
from lib.nn import align
from lib.voices import maps

rows = corpus.rows()
same_words = [row for row in rows if row["text"] == rows[0]["text"]]
print(rows[0]["text"])
for row in same_words[:3]:
    show.display(show.player(corpus.wav(row), label=f"voice {row['speaker']}"))

# %% [markdown]
# The words stayed; the voice changed. Now the other way round: a voice stays and the words change. The next cell
# lends the voice of a clip to a sentence that the clip does not hold. It uses the finished models that lessons 01, 03,
# 07 and 11 train (`assets/checkpoints`), through the one class that the app uses too: `Voices`. By the end of lesson 11
# you will have built every part of it.

# %%
if (corpus.EMBEDDED.parents[1] / "checkpoints" / "tts").is_dir():
    from lib.voices import Voices
    clip = audio.load(rows[0]["audio"])
    line = "Nobody has ever said this sentence in this voice."
    speech = Voices.load().speak(line, voice=clip, seed=0)
    title = f"a sentence in the voice {rows[0]['speaker']}"
    show.display(show.player(speech.wav, speech.rate, label=title))
else:
    print("There are no trained weights in assets/checkpoints: the lessons make them.")

# %% [markdown]
# ## 2. Sound is a list of numbers
#
# Sound is air pressure that goes up and down. A microphone measures it at regular moments, and each measurement is
# one **sample**. How many are taken in a second is the **rate**, in hertz (Hz). We use 16,000 Hz throughout, because
# a rate of 16,000 can hold every frequency up to half of it, 8,000 Hz, and nearly all that tells one sound of speech
# from another lies below that. Music asks for more (44,100); a telephone makes do with 8,000, which is why *s* and
# *f* are hard to tell apart on the phone.
#
# A whole clip is then one list, which we call `wav`, and its length in samples is the letter **T**. `corpus.wav`
# reads a clip the way every model here wants it: one channel, 16 kHz, silence trimmed from the edges, brought to a
# common loudness.
#
# The next cell draws the whole sentence, as a waveform and as a spectrogram (section 4 explains that), and then only
# 30 ms from the middle of a vowel. From far away, speech is a row of bursts, the syllables. From near by, a vowel
# *repeats*: every few milliseconds the vocal folds close and the same wiggle starts again. How often that happens in
# a second is the **pitch** of the voice. Count the repetitions in the last picture: which pitch has this voice?

# %%
wav = corpus.wav(rows[0])
T = len(wav)
rate = audio.RATE
print(f"{T} samples at {rate} Hz are {T / rate:.2f} s")
print(f"{wav.dtype}, between {wav.min():.2f} and {wav.max():.2f}")

loudest = np.argmax(audio.frame_db(wav)) * audio.HOP
near = wav[loudest: loudest + int(0.03 * rate)]
show.display(show.sound(wav, title=rows[0]["text"]))
fig, axis = show.figure(height=1.8)
milliseconds = 1000 * np.arange(len(near)) / rate
axis.plot(milliseconds, near, color=show.COLOURS[1], marker=".", markersize=3, linewidth=0.8)
show.label(axis, "time (ms)", "sample value", "30 ms of a vowel: every dot is a sample")
show.display(fig)

# %% [markdown]
# ## 3. From samples to frames
#
# No model looks at single samples for long: 16,000 numbers a second is a lot, and a single one says nothing. So we
# cut the sound into short overlapping pieces, **frames**, and ask of each: *which frequencies are in it, and how
# strong are they?*
#
# The question has a simple answer. To find out how much of a frequency is in a frame, multiply the frame by a cosine
# (and by a sine) of that frequency and add everything up. Where the frame swings along with the wave, the products
# are positive and the sum grows large; where it does not, plus and minus cancel. Cosine *and* sine, because the swing
# may start anywhere; together, by Pythagoras, they give a strength that does not depend on where it starts:
#
# $$\text{spec}[k] = \sqrt{\Big(\sum_n v_n\, s_n \cos\tfrac{2\pi k n}{1024}\Big)^2 + \Big(\sum_n v_n\, s_n \sin\tfrac{2\pi k n}{1024}\Big)^2}$$
#
# Here $s_n$ are the 1024 samples of the frame. $v_n$ is a smooth hump, the *Hann window*, that fades the frame in and
# out, for a hard cut would sound like a click and put a little of every frequency into every frame. The result is the
# **discrete Fourier transform** (DFT) of the frame, without its angles.
#
# In this project every formula that matters has a **naive twin**: the slowest and most readable version we can write,
# held against the fast one of the library. Here is the first. Read it next to the formula.
#
# The library's `audio.spectrogram` takes a *batch* of clips `[B, 1, T]` (**B** clips, one channel, T samples) and
# returns `spec [B, 513, F]`. **F** is the number of frames; with our padding it is exactly `T // 256`. The twins are
# compared on random numbers rather than on speech, so that nothing is hidden by silence.

# %% tags=["nbval-check-output"]
N_FFT = audio.N_FFT  # 1024 samples (64 ms) a frame,
HOP = audio.HOP  # and a new frame every 256 samples (16 ms)


def naive_frame(wav, f):
    """Magnitudes [513] of frame f of wav [T], as the sums that they are."""
    padded = np.pad(wav, (N_FFT - HOP) // 2, mode="reflect")  # frame 0 is centred on HOP samples
    n = np.arange(N_FFT)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / N_FFT)
    frame = padded[f * HOP: f * HOP + N_FFT] * hann
    spec = []
    for k in range(N_FFT // 2 + 1):
        cosine = (frame * np.cos(2 * np.pi * k * n / N_FFT)).sum()
        sine = (frame * np.sin(2 * np.pi * k * n / N_FFT)).sum()
        spec.append(np.sqrt(cosine**2 + sine**2))
    return np.array(spec)


noise = np.random.default_rng(0).standard_normal(5000)
spec = audio.spectrogram(torch.tensor(noise)[None, None])
for f in (0, 7, 18):
    assert np.allclose(naive_frame(noise, f), spec[0, :, f], rtol=1e-3, atol=1e-3)
print("twins agree; wav [1, 1, 5000] -> spec", list(spec.shape), "and 5000 // 256 =", 5000 // HOP)

# %% [markdown]
# ### Exercise 1
#
# A later lesson will ask how long a generated sound will be before it exists. Write a function that turns a number of
# frames into seconds. Replace `None` and run the cell again.

# %%
seconds_of = None  # for example: lambda F: ...



def is_right(answer):
    """Whether 625 frames last ten seconds, and one 16 ms."""
    return np.isclose(answer(625), 10) and np.isclose(answer(1), 0.016)


show.exercise(1, seconds_of, is_right, "F frames of 256 samples each, 16,000 samples a second.")

# %% [markdown]
# <details><summary>Solution 1</summary>
#
# `seconds_of = lambda F: F * audio.HOP / audio.RATE`. One frame is 16 ms; 625 frames are ten seconds.
# </details>
#
# ### Time or frequency: choose
#
# Why 1024 samples in a frame? Because there is no right number, only a bargain. A long frame sees many swings of a
# wave and can tell 200 Hz from 210 Hz, but it smears everything that happens within it. A short frame knows exactly
# *when*, and hardly *what*: with 128 samples the finest step in frequency is 125 Hz, and all the harmonics of a low
# voice melt into one.
#
# Choose other sizes. At 128 you see the single closures of the vocal folds as vertical stripes; at 4096 you see the
# harmonics as fine horizontal lines, and the consonants blur. 1024 sits in between, and 16 ms steps are short enough
# that no sound of speech falls between two frames.

# %%
def resolution(frame_size):
    """The first 1.2 s of the clip, cut into frames of this size."""
    part = torch.tensor(wav[: int(1.2 * rate)])
    hump = torch.hann_window(frame_size)
    frames = torch.stft(part, frame_size, 64, window=hump, return_complex=True)
    db = 20 * torch.log10(frames.abs() + 1e-4).numpy()
    fig, axis = show.figure(height=2.4)
    corners = (0, 1.2, 0, rate / 2)  # seconds from and to, Hz from and to
    axis.imshow(db, "magma", aspect="auto", origin="lower", vmin=db.max() - 70, extent=corners)
    axis.set_ylim(0, 4000)
    title = f"{1000 * frame_size / rate:.0f} ms a frame, {rate / frame_size:.0f} Hz a bin"
    show.label(axis, "time (s)", "frequency (Hz)", title)
    show.display(fig)


show.sliders(resolution, frame_size=[1024, 128, 256, 512, 2048, 4096])

# %% [markdown]
# ## 4. From frames to mel
#
# 513 numbers a frame are still more than an ear cares for. The step from 200 to 300 Hz sounds large, the step from
# 5,000 to 5,100 Hz tiny. The **mel** scale bends frequency the way hearing does. We gather the 513 bins
# into **M** = 80 bands, narrow ones at the bottom and wide ones at the top, each a small triangle that weighs its
# neighbours; then we take the logarithm, since loudness, too, is heard in ratios and not in differences. That is the
# `mel [B, M, F]` which almost every model in speech looks at, and what the picture of the whole sentence above
# showed.
#
# The naive twin needs two loops. The triangles come from the library.

# %% tags=["nbval-check-output"]
filters = audio.mel_filters().numpy()  # [80, 513], one triangle a row
M, F = len(filters), spec.shape[2]
slow = np.zeros((M, F))
for m in range(M):
    for f in range(F):
        slow[m, f] = np.log(max(1e-5, (filters[m] * spec[0, :, f].numpy()).sum()))

mel = audio.mel(torch.tensor(noise)[None, None])
assert np.allclose(slow, mel[0], atol=1e-4)
widths = (filters > 0).sum(1)
print("twins agree; mel", list(mel.shape))
print("bins under the first and the last triangle:", widths[0], widths[-1])

# %% [markdown]
# ### What is missing
#
# From `wav` to `spec` we threw the *angles* away: we kept how strong each frequency is, and forgot where in its swing
# each wave begins (its **phase**). From `spec` to `mel` we threw away fine detail as well. So there is no formula
# that goes back from mel to sound. Many sounds share one spectrogram, and somebody has to choose.
#
# Below, the same magnitudes are turned into sound twice: with the angles they came with, and with random ones. Listen
# to what that does to a voice. (Neighbouring frames overlap. With random angles they no longer fit together, and partly
# cancel; that is what sounds rough.)
#
# The part of a model that makes good sound from such frames is called a **vocoder** or **decoder**. It must *learn*
# to invent what is missing, and learning that is the most expensive part of this whole project. We do it once and
# share it between all lessons.

# %%
window = torch.hann_window(N_FFT)
complex_spec = torch.stft(torch.tensor(wav), N_FFT, HOP, window=window, return_complex=True)
angles = 2 * torch.pi * torch.rand(complex_spec.shape, generator=torch.Generator().manual_seed(0))
for label, phase in (("with its own phase", complex_spec.angle()), ("with random phase", angles)):
    again = torch.istft(torch.polar(complex_spec.abs(), phase), N_FFT, HOP, window=window).numpy()
    show.display(show.player(again, label=label))

# %% [markdown]
# ## 5. What makes a voice
#
# A speaking body does two things at once. The **vocal folds** open and close, 80 to 300 times a second, and make a
# buzz: its pitch is that number, and the buzz holds every multiple of it (the *harmonics*). Then the **throat and
# mouth** form a tube that lets some frequencies through and holds others back. The ones let through are the
# **formants**, and moving the tongue moves them: that is the difference between *ah* and *ee*. A longer tube has
# lower formants, whatever vowel it speaks: that is one difference between a grown man and a child, and a voice vector
# will have to notice it.
#
# The function below is a whole voice in that spirit: a sum of harmonics, each as loud as the nearest formants allow.
# It is no model, just the physics of a textbook.

# %%
# Hz; means of 33 men [PETERSON]
FORMANTS = {"ah": (730, 1090, 2440), "ee": (270, 2290, 3010), "oo": (300, 870, 2240)}


def sing(pitch, vowel, body_size=1.0, seconds=1.0):
    """A vowel [T] at `pitch` Hz from a body `body_size` times that of a grown man."""
    t = np.arange(int(seconds * rate)) / rate
    falling = pitch * (1 - 0.1 * t / seconds)  # voices fall a little; machines do not
    phase = 2 * np.pi * np.cumsum(falling) / rate
    tone = np.zeros(len(t))
    for harmonic in range(1, int(7000 / pitch)):
        hz = harmonic * pitch
        through = 0.0
        for formant in FORMANTS[vowel]:
            away = (hz - formant / body_size) / 90  # in widths of a formant
            through += 1 / (1 + away**2)
        tone += through / harmonic**0.5 * np.sin(harmonic * phase)
    fade = np.minimum(1, 20 * np.minimum(t, seconds - t))  # 50 ms in, 50 ms out
    return (0.3 * tone / np.abs(tone).max() * fade).astype("float32")


# %% [markdown]
# Try this with the sliders, and listen each time:
#
# - Move only `pitch` from 100 to 250. Does it become another person, or the same person singing higher?
# - Leave `pitch` at 220 and move `body_size` from 1.0 to 0.7. *Now* who is it?
# - Keep both and change `vowel`. The voice stays; the word changes. In the picture the bright bands (formants) move
#   and the fine lines (harmonics) stay where they are.
#
# So words and voice are both written in the same bands of the same picture, mixed together. To lend a voice to other
# words, a model must learn to take them apart.

# %%
def voice(pitch, body_size, vowel):
    """Hear and see one vowel."""
    sound = sing(pitch, vowel, body_size)
    title = f"{vowel} at {pitch} Hz, body size {body_size:g}"
    show.display(show.player(sound, label=title), show.spectrogram(sound, title=title))


sizes = (0.6, 1.2, 0.05, 1.0)  # from, to, step, start
show.sliders(voice, pitch=(80, 300, 5, 120), body_size=sizes, vowel=["ah", "ee", "oo"])

# %% [markdown]
# ### Exercise 2
#
# The harmonics of a voice at 200 Hz lie 200 Hz apart. In which bin `k` of `spec` (0 to 512) does its fifth harmonic
# lie?

# %%
k = None

tone = np.cos(2 * np.pi * 5 * 200 * np.arange(4000) / rate)
loudest_bin = np.argmax(naive_frame(tone, 5))
show.exercise(2, k, lambda answer: answer == loudest_bin, "One bin is 16,000 / 1024 Hz wide.")

# %% [markdown]
# <details><summary>Solution 2</summary>
#
# `k = 64`: the fifth harmonic is 1,000 Hz, and 1,000 / 15.625 = 64.
# </details>
#
# ## 6. From text to tokens
#
# So much for sound. Text starts even further from speech than samples do: *through* and *rough* share four letters
# and hardly a sound, and nobody pronounces "$". Three steps bring it nearer:
#
# 1. `text.normalise` writes everything out the way a reader says it;
# 2. `text.phonemise` looks up (or guesses) the **phonemes**, the sounds of the language, in the international
#    phonetic alphabet. `ˈ` marks the stressed syllable, `ː` a long vowel. Punctuation stays, for it is heard: as a
#    pause, or a rising voice;
# 3. `text.encode` replaces each symbol by its number and puts a *blank* (number 0) at both ends. These are the
#    **tokens**; their count is the letter **N**.

# %%
line = "Dr. Lee paid $3.50 for 2 tickets in 1999, didn't she?"
print(text.normalise(line))
print(text.phonemise(line))
print(text.phonemise(["through", "rough", "I will read it", "I have read it"]))

# %% [markdown]
# The blanks stand for the moment of silence before the first sound and after the last. (The VITS paper puts one
# between *all* tokens. At our 16 ms a frame that would leave hardly two frames for each, so we do not.) The table of
# symbols may never change once a model is trained: the model knows the sounds only by their numbers.

# %% tags=["nbval-check-output"]
x = text.encode("Hello, voice.")
phonemes = text.decode(x)
assert phonemes == text.phonemise("Hello, voice.")
assert len(x) == len(phonemes) + 2
assert x[0] == x[-1] == 0
print("a table of", len(text.SYMBOLS), "symbols")
print(len(phonemes), "phonemes and marks ->", len(x), "tokens")

# %% [markdown]
# ## 7. Durations and the path
#
# N tokens, F frames, and F is much larger: *which token is heard in which frame?* The answer is a table of zeros and
# ones, the **path** `[B, N, F]`. It has three rules: time never runs backwards (it is *monotonic*), no token is left
# out (while learning), and each frame belongs to exactly one token. So one whole number for each token describes all
# of it: its **duration** in frames, `w [B, 1, N]`. Whoever knows `w` can draw the path, and the twin below does.
#
# The path is what stretches text to the length of speech. If a model has made a column of **C** numbers for each
# token, `m_p [B, C, N]`, then the matrix product `m_p @ path` is `[B, C, F]`: each column repeated as often as its
# token lasts.
#
# Nobody tells us `w` for recorded speech. Lesson 03 *searches* for the best path through each clip, and trains a
# small network to guess durations for new text. Here we write them by hand.

# %%
def naive_path(w):
    """Path [N, F] of durations w, a list of N whole numbers."""
    path, start = np.zeros((len(w), sum(w))), 0
    for n, frames in enumerate(w):
        path[n, start: start + frames] = 1
        start += frames
    return path


w = [2 if text.SYMBOLS[token] in "_ˈ" else 6 for token in x]  # blanks and stress marks are short
path = align.path_from(torch.tensor([[w]]))
assert np.array_equal(naive_path(w), path[0])
m_p = torch.arange(float(len(w)))[None, None]  # a single channel that counts the tokens
assert torch.equal((m_p @ path.float())[0, 0], torch.repeat_interleave(m_p[0, 0], torch.tensor(w)))

# %% [markdown]
# The slider below changes the pace: all durations are divided by the speed and rounded up. Slow speech is a flat
# staircase, fast speech a steep one. The app's *speed* control does this to slow down, only that it rounds with more care
# (how, you find out in exercise 3). To hurry it presses the finished sound instead: a sound of one frame is no word.

# %%
def pace(speed):
    """The staircase of "Hello, voice." at this speed."""
    faster = [int(np.ceil(frames / speed)) for frames in w]
    tokens = [text.SYMBOLS[token] if token else "·" for token in x]
    title = f"{sum(faster)} frames, {sum(faster) * HOP / rate:.2f} s"
    show.display(show.alignment(naive_path(faster), tokens, title))


show.sliders(pace, speed=(0.5, 2.0, 0.1, 1.0))

# %% [markdown]
# ### Exercise 3
#
# Sometimes the length is given and the durations must follow, for example when new words have to fit a gap in a film.
# Write `fit(w, F)`: it multiplies all durations by the same factor and rounds them so that they add up to *exactly*
# F.

# %%
fit = None  # for example: def fit(w, F): ...


def fits(fit):
    """Whether fit keeps the total, nothing is negative, and the longest token stays the longest."""
    for F in range(12, 60):
        fitted = fit([3, 1, 2, 5, 1], F)
        if sum(fitted) != F or min(fitted) < 0 or max(fitted) != fitted[3]:
            return False
    return True


show.exercise(3, fit, fits, "Round the moments at which tokens end (a running sum), then subtract.")

# %% [markdown]
# <details><summary>Solution 3</summary>
#
# ```python
# def fit(w, F):
#     ends = np.round(np.cumsum(w) * F / sum(w)).astype(int)
#     return np.diff(ends, prepend=0).tolist()
# ```
# Rounding each duration would let the errors add up. Rounding the ends keeps every token within half a frame of its
# place. `whole` in `lib/models/vits.py` is the same idea.
# </details>
#
# ## 8. A voice becomes a vector
#
# One thing is missing: a way to say *whose* voice. We want a function that takes any clip, of any length and any
# words, and returns **D** numbers, the **voice vector** `spk_emb [D]`, such that two clips of one person point in
# nearly the same direction and clips of two people do not. How close two directions are is measured by the cosine of
# the angle between them: 1 is the same, 0 has nothing in common.
#
# Lesson 01 trains a network to do this. But section 5 has shown how much of a voice lies in its average spectrum:
# pitch and body size move the bands, and over a whole sentence the vowels average out. So here is a voice vector
# without any learning: the mean of the mel frames, minus the mean over everybody, brought to length one.

# %%
def vectors(describe):
    """Unit vectors [n, D] of the sentences that all speak; describe: mel [80, F] -> D numbers."""
    raw = np.stack([describe(mel) for mel in mels])
    raw = raw - raw.mean(0)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


times_spoken = Counter(row["text"] for row in rows)
shared = [row for row in rows if times_spoken[row["text"]] == 23]
who = [row["speaker"] for row in shared]
mels = [audio.mel(torch.tensor(corpus.wav(row))[None, None])[0].numpy() for row in shared]
spk_emb = vectors(lambda mel: mel.mean(1))
print(f"one voice, two sentences: {spk_emb[0] @ spk_emb[1]:.2f}")
print(f"two voices: {spk_emb[0] @ spk_emb[4]:.2f}")

# %% [markdown]
# How good is it? Take all pairs of clips and call a pair *the same voice* when its cosine is above some threshold. A
# high threshold turns people away who are who they say they are; a low one lets strangers in. At one threshold both
# mistakes are equally frequent, and that frequency is the **equal error rate** (EER), the usual figure for such
# vectors. Guessing gives 50 %. On 23 clean virtual voices even the plain mean does much better than that. Real people,
# in noise, through bad microphones, are harder: that is what lesson 01 trains a network for, and tests on people whom
# it has never heard.
#
# The map shows the vectors from the side where they spread most. Clips of one voice should lie together. Play a few
# from the left edge and from the right: what does the first direction seem to measure?

# %%
rate_of_errors, threshold = metrics.eer_of(spk_emb, who)
cosines = spk_emb @ spk_emb.T
i, j = np.triu_indices(len(who), 1)
same = np.array(who)[i] == np.array(who)[j]
print(f"EER {100 * rate_of_errors:.1f} %")
print(f"over {len(i)} pairs of {len(who)} clips by {len(set(who))} voices")
show.display(show.scores(cosines[i, j], same, threshold, "The plain mean of the mel frames"))
show.display(show.voices(maps.embed_2d(spk_emb, "pca"), who, "A first map of voices"))

# %% [markdown]
# ### Exercise 4
#
# Beat it. Write a better `describe`: it gets one clip as mel `[80, F]` and returns as many numbers as you like.
# Ideas: people differ not only in their average but in how much they *vary*; pauses say nothing about a voice, so
# leave quiet frames out. The cell below prints your EER.

# %%
describe = None  # for example: lambda mel: mel.mean(1)



def is_better(answer):
    """Whether the answer's EER is below that of the plain mean; prints both."""
    yours, _ = metrics.eer_of(vectors(answer), who)
    print(f"your EER: {100 * yours:.1f} %, to beat: {100 * rate_of_errors:.1f} %")
    return yours < rate_of_errors


show.exercise(4, describe, is_better, "np.concatenate puts two descriptions side by side; "
              "mel.mean(0) is the loudness of each frame.")

# %% [markdown]
# <details><summary>A solution 4</summary>
#
# ```python
# def describe(mel):
#     loud = mel[:, mel.mean(0) > np.median(mel.mean(0))]
#     return np.concatenate([loud.mean(1), loud.std(1)])
# ```
# The mean and the spread over the louder half of the frames. Lesson 01's network ends in the very same two
# statistics; what it learns is what to measure before taking them.
# </details>
#
# ## 9. The letters
#
# Every lesson and every function of the library uses these names, with these shapes, and no others. Come back here
# when a name puzzles you; [GLOSSARY.md](GLOSSARY.md) says more about each.
#
# | letter | counts | here |
# |---|---|---|
# | **B** | clips in a batch | 1 |
# | **T** | samples | 16,000 a second |
# | **F** | frames | 62.5 a second |
# | **M** | mel bands | 80 |
# | **N** | tokens | a blank at both ends |
# | **C** | channels of a hidden layer or latent | |
# | **D** | numbers in a voice vector | 80 above |
# | **G** | channels of the conditioning made from it | |
# | **S** | sources (people talking at once) in a mixture | |
#
# | name | shape | what it is |
# |---|---|---|
# | `wav` | [B, 1, T] | sound |
# | `spec`, `mel` | [B, 513, F], [B, M, F] | magnitudes; their logarithm in 80 bands |
# | `x` | [B, N] | tokens |
# | `w`, `path` | [B, 1, N], [B, N, F] | durations in frames; who sounds when |
# | `spk_emb`, `g` | [B, D], [B, G, 1] | the voice vector; the form in which a model receives it |
# | `z` | [B, C, F] | what the decoder of lesson 03 turns into sound, and what it learns to predict from text |
# | `rate` | one number | samples a second, in Hz |
#
# ## Where to go from here
#
# - **01 · speaker encoder**: train the function from clip to voice vector, and see the training loop written out
#   once, by hand.
# - **03 · zero-shot TTS**: train the way from tokens and a voice vector to sound, and make the second sound of this
#   lesson yourself.
#
# Before you go, try one thing: in section 1 put another row of the corpus, or a path to a clip of your own, in the
# place of `rows[0]`, run everything again, and look at what changes in each picture. With a person's voice, ask that
# person first.
