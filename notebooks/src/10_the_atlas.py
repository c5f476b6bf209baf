# %% [markdown]
# # 10 · The atlas: a map of voices, real and invented
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/voice-atlas/voice-atlas/blob/main/notebooks/10_the_atlas.ipynb)
#
# Every lesson before this one used a voice as 128 numbers, and nobody has ever *seen* 128 numbers. In this lesson they
# become a picture: a dot for every voice, people and voices that belong to nobody, each of which can be heard. The app
# shows the same picture in its tab Atlas, because this lesson, run at full budget, is what makes it.
#
# A map persuades. Two dots lie side by side, so the voices must be alike; there is a gap, so something must be missing.
# Both may be false, since 128 directions do not fit into two. So this lesson draws the map **and measures how far to
# believe it**.
#
# In order:
#
# 1. walk from one voice to another and listen on the way;
# 2. one vector for each speaker;
# 3. invent voices: between two, and beside one, with the naive twins;
# 4. make the atlas: points, two maps, a short clip for every point;
# 5. look at it, and measure whether neighbours are true neighbours;
# 6. what the directions mean: gender and source;
# 7. why there is no way back from the map to a voice;
# 8. the explorer: two sliders, a path on the map, and sound.
#
# Quick budget (two CPU cores, the embedded corpus): about two minutes, of which UMAP compiles for half a minute. The
# small atlas made then goes to `runs/`; the pictures show the shipped one, which this lesson made at full budget from the
# corpus that its card names.

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
# ## 1. A walk
#
# Two virtual voices that no model here was trained on, and three points on the way from the one to the other. All five
# say the same words with the same seed; only the vector changes. Listen for what moves *first*: pitch is easily heard,
# but the colour of the vowels goes along with it.

# %%
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from sklearn.manifold import trustworthiness

from lib import audio, show, training
from lib.data import corpus, filling
from lib.training import budget
from lib.voices import maps
from lib.voices import Voices

BUDGET = budget.current()
voices, virtual = Voices.load(), corpus.rows(split="valid")
WORDS = "This is my voice, and nobody else has it."
alto, bass = (torch.tensor(voices.embed(audio.load(row["audio"]))) for row in (virtual[0], virtual[-1]))
for share in (0.0, 0.25, 0.5, 0.75, 1.0):
    spk_emb = filling.interpolate(alto, bass, share).numpy()
    show.display(show.player(voices.speak(WORDS, spk_emb).wav, label=f"{100 * share:.0f} % of the way"))

# %% [markdown]
# ## 2. One vector for each speaker
#
# A clip is one mood of a voice. The mean of several clips, made unit again, is nearer to the person than any one of them
# (exercise 3 of lesson 01). So each speaker becomes one point: the mean of up to `CLIPS` clips. The corpus is the
# embedded one at quick budget; at full it is whatever `VOICE_ATLAS_CORPUS` names.
#
# Two columns of the corpus become kinds of dots. A **training voice** was heard by the encoder and the synthesiser while
# they learned; a **held-out voice** never was. If the held-out ones lay in a corner of their own, the encoder would have
# learned its training people by heart instead of learning what voices are.
#
# Speakers get invented names here, such as "reader 012". The corpora are open, but their numbering leads to persons, and
# nothing on this map needs to.

# %%
CLIPS, MOST = budget.pick(quick=3, full=6), budget.pick(quick=20, full=50)  # of a speaker; training speakers of a kind
NOUNS, WHO = {"Kokoro-82M": "virtual", "hibari-tts": "virtual", "speechocean762": "learner"}, {"F": "woman", "M": "man", "": "not said"}
rows, points, emb, used, count = corpus.rows(corpus.source(BUDGET), hours=budget.pick(quick=1, full=20)), [], [], [], Counter()
for clips in corpus.by_speaker(rows).values():
    row, clips = rows[clips[0]], clips[:CLIPS]
    source, who, held_out = (row.get("source") or "own clips").split(" ")[0], WHO[row.get("gender") or ""], row["split"] == "valid"
    noun = NOUNS.get(source, "reader")
    count[source, who, held_out] += 1
    if held_out or count[source, who, held_out] <= MOST:
        count[noun] += 1
        mean = sum(voices.embed((audio.RATE, corpus.wav(rows[i]))) for i in clips)
        emb, used = [*emb, mean / np.linalg.norm(mean)], used + [rows[i] for i in clips]
        points.append(dict(name=f"{noun} {count[noun]:03d}", kind=maps.REAL[held_out], about=f"{who}, {source}", parents=()))
print(f"{len(points)} speakers, for example {', '.join(point['name'] for point in points[::8][:4])}")

# %% [markdown]
# ## 3. Voices that nobody has
#
# Two ways to invent a voice, both from the latent filling of lesson 04. **Between two**: a weighted mean of their
# vectors, divided by its length, for all voices live on the sphere. **Beside one**: a random vector is added, and again
# the sum is divided by its length.
#
# Below are the twins. The first goes the long way round: not a straight line that is pushed back to the sphere, but a
# walk *along* the sphere at constant speed, which mathematicians call *slerp*. With $\theta$ the angle between the
# voices $a$ and $b$:
#
# $$\text{slerp}(a, b, t) = \frac{\sin((1-t)\,\theta)}{\sin\theta}\,a + \frac{\sin(t\,\theta)}{\sin\theta}\,b$$
#
# Is this another voice than the simple mean? It lies on the same arc, only elsewhere; in the middle both are exactly
# equal, and in between, for voices up to 90 degrees apart, they differ by a few degrees. So the simple one will do.

# %% tags=["nbval-check-output"]
def slerp(a, b, t):
    """A walk along the sphere at constant speed."""
    theta = torch.acos(a @ b)
    return (torch.sin((1 - t) * theta) * a + torch.sin(t * theta) * b) / torch.sin(theta)


rng = torch.Generator().manual_seed(0)
a, b = torch.nn.functional.normalize(torch.randn(2, 128, generator=rng) + 0.1, dim=1)
assert torch.allclose(slerp(a, b, 0.5), filling.interpolate(a, b, 0.5), atol=1e-5)
cosine = min(slerp(a, b, t) @ filling.interpolate(a, b, t) for t in (0.1, 0.25, 0.4))
print(f"cosine of the two voices {a @ b:.2f}; of slerp and mean, where they differ most, {cosine:.3f}")

# %% [markdown]
# ### Exercise 1
#
# `filling.add_noise(spk_emb, scale)` adds a vector of expected length `scale` in a random direction. In 128 dimensions a
# random direction is nearly at right angles to anything. What cosine will the result have with the voice it began with?
# Write it as a function of `scale`. (Draw the triangle: one side 1, the other `scale`, a right angle between them.)

# %%
expected_cosine = None  # for example: lambda scale: ...

many = torch.nn.functional.normalize(torch.randn(2000, 128, generator=rng), dim=1)
show.exercise(1, expected_cosine, lambda answer: all(
    abs(answer(s) - (many * filling.add_noise(many, s, rng)).sum(1).mean()) < 0.01 for s in (0.3, 1.0, 2.0)),
    "Pythagoras gives the length of the sum; the cosine is the adjacent side divided by it.")

# %% [markdown]
# <details><summary>Solution 1</summary>
#
# `expected_cosine = lambda scale: 1 / (1 + scale**2) ** 0.5`. At `scale` 1 this is 0.71, an angle of 45 degrees. That is
# the order of the distance between two clips of one person in a bad recording, and it is why noise in *this* space
# soon means another voice.
# </details>
#
# Now the real thing: pairs of different speakers with a share between 0.3 and 0.7 (nearer to an end one would hear the
# end), and single speakers with noise of length 0.4 to 1. Every invented voice remembers its parents.

# %%
rng, draw, EACH = np.random.default_rng(0), torch.Generator().manual_seed(0), budget.pick(quick=12, full=64)
people = torch.tensor(np.array(emb))
for number in range(EACH):
    i, j = sorted(rng.choice(len(people), 2, replace=False).tolist())
    share = rng.uniform(0.3, 0.7)
    emb.append(filling.interpolate(people[i], people[j], share).numpy())
    points.append(dict(name=f"between {number + 1:03d}", kind="interpolated", parents=(i, j), about=f"{100 * share:.0f} % of the way"))

# %%
for number in range(EACH):
    i, scale = int(rng.integers(len(people))), rng.uniform(0.4, 1.0)
    emb.append(filling.add_noise(people[i], scale, draw).numpy())
    points.append(dict(name=f"beside {number + 1:03d}", kind="noise", parents=(i,), about=f"noise of length {scale:.1f}"))
emb = np.array(emb, dtype="float32")
print(f"{len(points)} points: " + ", ".join(f"{sum(p['kind'] == kind for p in points)} {kind}" for kind in maps.KINDS))

# %% [markdown]
# ## 4. Make the atlas
#
# Each point gets a clip of about two seconds, spoken by our own synthesiser from the vector alone. No recording of a
# person goes into the atlas: what you hear is what the *vector* knows of a voice. Then `maps.Atlas.make` draws the two
# maps and packs everything into one file of plain arrays (`safetensors`, never a pickle), with a card beside it.
#
# Why are coordinates stored, and not the seed that made them? UMAP with the same seed gives the same picture on *this*
# machine, and another one on a machine with another processor, since it adds thousands of small steps and rounds each
# as the processor likes. An app whose dots wander with every server would be no map. And how does a *new* voice get its place
# on a map that is finished? UMAP's `transform` finds its nearest neighbours in 128 dimensions, starts among them, and
# takes a few steps while all other dots hold still. For this the app hands the stored coordinates to a fresh UMAP as its
# start, with no steps of its own (`Atlas.warm`).

# %%
def spoken(spk_emb, folder):
    """About two seconds in a voice, as the bytes of an mp3 file."""
    wav = voices.speak("Here I am, and this is how I sound.", spk_emb).wav[: int(2.2 * audio.RATE)]
    audio.save(folder / "clip.mp3", audio.RATE, wav)
    return (folder / "clip.mp3").read_bytes()


with tempfile.TemporaryDirectory() as folder:
    clips = [spoken(spk_emb, Path(folder)) for spk_emb in emb]

# %%
made = maps.Atlas.make(points, emb, clips, voices.encoder)
trust = {method: trustworthiness(emb, flat, n_neighbors=10, metric="cosine") for method, flat in
         (("umap", made.umap.numpy()), ("pca", made.place(emb, "pca")))}
figures = {"points": len(points), "clips_kB": made.config.size // 1000} | {f"trustworthiness_{m}": round(float(t), 4) for m, t in trust.items()}
card = corpus.credits(used) | dict(name="atlas", budget=f"{BUDGET}, {budget.device()}", encoder=made.config.encoder, figures=figures)
training.save(budget.pick(quick=maps.ATLAS.parents[1] / "runs/10-quick", full=maps.ATLAS), made, made.config, card, half=False)
print(figures)

# %% [markdown]
# ## 5. Look, and then measure
#
# From here on we look at the shipped atlas, if the shipped encoder made it (at full budget it is the one just written).
# **PCA** turns the cloud until the two directions of most spread face you; distances can only shrink. **UMAP** cares for
# neighbours: it builds a graph of who is near whom in 128 dimensions, and pulls and pushes dots until the flat graph
# looks like it. Held-out voices should be strewn among the training voices, and invented ones between their parents.

# %%
shipped = maps.Atlas.load()[0] if maps.ATLAS.is_dir() else made
atlas = shipped if shipped.config.encoder == made.config.encoder else made
emb, kinds = atlas.vectors(), np.array(atlas.config.kinds)
flat = {"UMAP": atlas.umap.numpy(), "PCA": atlas.place(emb, "pca")}
for method, where in flat.items():
    show.display(show.voices(where, kinds, f"{len(emb)} voices by {method}"))

# %% [markdown]
# How much of this is true? **Trustworthiness** asks: of those who are neighbours on the map, how many are neighbours in
# truth, and if not, how far off are they? With $r(i,j)$ the rank of $j$ among the true neighbours of $i$ (1 is the
# nearest), $U_k(i)$ the dots among the $k$ nearest on the map that are not among the $k$ nearest in truth, and $n$ dots:
#
# $$T_k = 1 - \frac{2}{nk(2n - 3k - 1)} \sum_i \sum_{j \in U_k(i)} \big(r(i, j) - k\big)$$
#
# 1 means that every neighbour shown is one; the factor makes the worst possible map 0, and a map by chance comes out
# near 0.5. The twin below counts it dot by dot and agrees with scikit-learn's.

# %% tags=["nbval-check-output"]
def naive_trust(emb, where, k):
    n, wrong = len(emb), 0
    for i in range(n):
        true = [j for j in np.argsort(np.linalg.norm(emb - emb[i], axis=1)) if j != i]
        shown = [j for j in np.argsort(np.linalg.norm(where - where[i], axis=1)) if j != i][:k]
        wrong += sum(true.index(j) + 1 - k for j in shown if j not in true[:k])
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * wrong


cloud = np.random.default_rng(0).standard_normal((60, 8))
assert abs(naive_trust(cloud, cloud[:, :2], 5) - trustworthiness(cloud, cloud[:, :2], n_neighbors=5)) < 1e-9
print(f"twins agree; a map that drops six of eight directions: {naive_trust(cloud, cloud[:, :2], 5):.2f}")

# %% [markdown]
# In the table, "by chance" is a map with the dots dealt out at random: what you would believe of a picture that knows
# nothing. The last column is what you would ask as a visitor: of the five nearest dots, how many are among the five
# nearest voices? This is the figure that the app shows beside every dot, and it is much lower than the trustworthiness,
# because trustworthiness forgives whom it puts sixth instead of fifth.

# %%
def near(places, k=5):
    """The k nearest other points of each, [n, k]."""
    far = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(far, np.inf)
    return np.argsort(far, axis=1)[:, :k]


# %%
true, lines = near(emb), []
flat["by chance"] = np.random.default_rng(0).permutation(flat["UMAP"])
for method, where in flat.items():
    hits = np.mean([len(set(a) & set(b)) for a, b in zip(true, near(where))])
    lines.append({"map": method, "trustworthiness": trustworthiness(emb, where, n_neighbors=10, metric="cosine"), "true of 5": hits})
show.display(show.table(lines, f"{len(emb)} voices on a plane"))

# %% [markdown]
# ### Exercise 2
#
# Trustworthiness punishes *false* neighbours: dots shown side by side whose voices are not. The opposite fault is to tear
# true neighbours apart, and its measure is called **continuity**. Its formula is the same with the two spaces
# exchanged. Write `continuity(emb, where, k)` in one line with `naive_trust`, or with scikit-learn.

# %%
continuity = None  # for example: def continuity(emb, where, k): ...

show.exercise(2, continuity, lambda answer: abs(answer(cloud, cloud[:, :2], 5) - naive_trust(cloud[:, :2], cloud, 5)) < 1e-9,
              "Who are the true neighbours now, and who are those on the map?")

# %% [markdown]
# <details><summary>Solution 2</summary>
#
# `continuity = lambda emb, where, k: naive_trust(where, emb, k)`. PCA is often better by this measure than by the other:
# a projection can put strangers on top of each other, but it cannot move those who are close far apart.
# </details>
#
# ## 6. What the directions mean
#
# Nobody told the encoder who is a woman, or which recording comes from which corpus; it was asked only for *the same* or
# *another* person. Colour the dots by what the corpus knows and see what it found by itself. The figures say how well five
# neighbours can guess the answer by a vote, in 128 dimensions and on each map.
#
# If the *source* can be told from the dots as well as the gender, think twice: the encoder then hears microphones and
# codecs along with voices, and the nearest neighbour of your voice may be the nearest *recording*. That is a limit of
# our training data, and the map is how one finds out.

# %%
def vote(places, tags):
    """Share of points whose tag is that of most of their five neighbours."""
    return np.mean([max(set(tags[five]), key=list(tags[five]).count) == tag for five, tag in zip(near(places), tags)])


real = np.isin(kinds, maps.REAL)
tags, lines = np.array([text.split(", ") for text, corpus_voice in zip(atlas.config.about, real) if corpus_voice]).T, []
for what, one in zip(("gender", "source"), tags):
    known = one != "not said"
    if len(set(one[known])) > 1:
        show.display(show.voices(flat["UMAP"][real][known], one[known], f"The corpus by {what} (UMAP)"))
        spaces = {"in 128 dimensions": emb, "UMAP": flat["UMAP"], "PCA": flat["PCA"]}
        lines.append({"tag": what, **{name: vote(places[real][known], one[known]) for name, places in spaces.items()},
                      "always the commonest": max((one[known] == tag).mean() for tag in set(one[known]))})
if lines:
    show.display(show.table(lines, "Guessed right by five neighbours"))

# %% [markdown]
# ## 7. No way back
#
# It would be charming to click on an *empty* spot of the map and hear the voice there. UMAP offers this: `inverse_transform`
# takes two numbers and returns 128. We do not use it, and here is the measurement, in two parts.
#
# Places between two dots are decoded, and each result is compared with its nearest real vector; as a yardstick, real
# voices are compared with *their* nearest real neighbour. By this figure decoding looks well: what comes back is a blend of
# the dots around the place, and a blend is near to somebody.
#
# The second part asks for more. The places of *dots* are decoded, whose voices we know. Does the voice come back? On the
# atlas as first built the median cosine between a voice and its own return was 0.38, and fifty other voices were nearer: who
# goes onto the map and comes back is somebody else. A plane has lost what 126 directions knew, and no algorithm can guess
# it back. So the empty spots of our map are mute, and new voices are made in the space of vectors, by mixing and by noise,
# where it is known who the parents are; only then does the map show where they came to lie.

# %%
mapper, rng = maps.mapper(emb).fit(emb), np.random.default_rng(1)
pairs, some = rng.choice(len(emb), (40, 2)), rng.choice(len(emb), 40, replace=False)
decoded, back = (mapper.inverse_transform(places) for places in (mapper.embedding_[pairs].mean(1), mapper.embedding_[some]))
decoded, back = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (decoded, back))
mixed = filling.interpolate(*torch.tensor(emb)[pairs.T], 0.5).numpy()
cosines, own = emb[real] @ emb[real].T - 2 * np.eye(real.sum()), (back * emb[some]).sum(1)
lines = [{"voices": name, "nearest real voice, median cosine": float(np.median(best))} for name, best in (
    ("real", cosines.max(1)), ("decoded from the map", (decoded @ emb[real].T).max(1)), ("mixed in 128 dimensions", (mixed @ emb[real].T).max(1)))]
print(f"a dot decoded: cosine {np.median(own):.2f} to its own voice, {np.median((back @ emb.T > own[:, None]).sum(1)):.0f} others are nearer (medians)")
show.display(show.table(lines, "How near is a real voice?"))

# %% [markdown]
# ## 8. The explorer
#
# Now the tab of the app, by hand. Choose a share of the way between two dots and a length of noise; the path is drawn on
# the map and the voice speaks. Watch the path: on the sphere it is a smooth arc, and on the map it jumps. Where it
# jumps, the nearest neighbours change. This is the one honest thing the picture can say about a voice: who is near.
#
# Then turn the noise up and listen for the point where it stops being a variation and becomes somebody else. By your
# own exercise 1, at noise 1 the cosine is 0.71.

# %%
atlas.warm().join()  # what the app does in the background at its start
START, END = int(np.flatnonzero(kinds == "held-out voice")[0]), int(np.flatnonzero(kinds == "held-out voice")[-1])


def explore(share, noise):
    ends, generator = torch.tensor(emb)[[START, END]], torch.Generator().manual_seed(0)
    spk_emb = filling.add_noise(filling.interpolate(*ends, share), noise, generator).numpy()
    path = atlas.place(torch.stack([filling.interpolate(*ends, t) for t in np.linspace(0, 1, 9)]).numpy())
    fig = show.voices(flat["UMAP"], kinds, f"{100 * share:.0f} % of the way, noise {noise:g}")
    fig.axes[0].plot(*path.T, "k--", linewidth=1)
    fig.axes[0].plot(*atlas.place(spk_emb[None])[0], "k*", markersize=16)
    nearest = ", ".join(f"{atlas.config.names[i]} ({cosine:.2f})" for i, cosine in atlas.neighbours(spk_emb, 3))
    show.display(fig, f"nearest in truth: {nearest}", show.player(voices.speak(WORDS, spk_emb).wav, label="this voice"))


show.sliders(explore, share=(0.0, 1.0, 0.1, 0.5), noise=(0.0, 2.0, 0.1, 0.0))

# %% [markdown]
# ### What to take along
#
# A voice vector is a point, a map is an opinion about points, and ears decide. In the app you can place your own voice on
# this map, mix it with others, and take a point along as a file of 128 numbers. Treat such a file like a photograph of
# a face: there is no sound in it, but somebody can be recognised by it.
