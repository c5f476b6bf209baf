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
# Quick budget (two CPU cores, the embedded corpus): about a minute, in which UMAP is also compiled.
# The small atlas made then goes to `runs/`; the pictures show the shipped one, which this lesson made at full budget
# from the corpus that its card names.

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
from lib.voices import Voices, maps

# %%
BUDGET = budget.current()
WORDS = "This is my voice, and nobody else has it."
voices = Voices.load()
virtual = corpus.rows(split="valid")
alto = torch.tensor(voices.embed(audio.load(virtual[0]["audio"])))
bass = torch.tensor(voices.embed(audio.load(virtual[-1]["audio"])))
for share in (0.0, 0.25, 0.5, 0.75, 1.0):
    spk_emb = filling.interpolate(alto, bass, share).numpy()
    speech = voices.speak(WORDS, spk_emb)
    show.display(show.player(speech.wav, label=f"{100 * share:.0f} % of the way"))

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
CLIPS = budget.pick(quick=3, full=6)  # of a speaker
MOST = budget.pick(quick=20, full=50)  # training speakers of one source and gender
NOUNS = {"Kokoro-82M": "virtual", "hibari-tts": "virtual", "speechocean762": "learner"}
WHO = {"F": "woman", "M": "man"}


def described(row):
    """(source, who, whether held out) of the speaker of a row."""
    source = (row.get("source") or "own clips").split(" ")[0]
    gender = (row.get("gender") or "?")[0].upper()
    return source, WHO.get(gender, "not said"), row["split"] == "valid"

# %%
rows = corpus.rows(corpus.source(BUDGET), hours=budget.pick(quick=1, full=20))
count = Counter()
points = []
emb = []
used = []
for numbers in corpus.by_speaker(rows).values():
    clips = [rows[i] for i in numbers[:CLIPS]]
    source, who, held_out = described(clips[0])
    count[source, who, held_out] += 1
    if count[source, who, held_out] > MOST and not held_out:
        continue  # there are enough of this kind
    noun = NOUNS.get(source, "reader")
    count[noun] += 1
    total = sum(voices.embed((audio.RATE, corpus.wav(row))) for row in clips)
    emb.append(total / np.linalg.norm(total))
    used += clips
    points.append({"name": f"{noun} {count[noun]:03d}", "kind": maps.REAL[held_out],
                   "about": f"{who}, {source}", "parents": ()})
examples = [point["name"] for point in points[::8][:4]]
print(f"{len(points)} speakers, for example {', '.join(examples)}")

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
least = min(slerp(a, b, t) @ filling.interpolate(a, b, t) for t in (0.1, 0.25, 0.4))
print(f"cosine of the two voices {a @ b:.2f}; of slerp and mean, at the least, {least:.3f}")

# %% [markdown]
# ### Exercise 1
#
# `filling.add_noise(spk_emb, scale)` adds a vector of expected length `scale` in a random direction. In 128 dimensions a
# random direction is nearly at right angles to anything. What cosine will the result have with the voice it began with?
# Write it as a function of `scale`. (Draw the triangle: one side 1, the other `scale`, a right angle between them.)

# %%
expected_cosine = None  # for example: lambda scale: ...

many = torch.nn.functional.normalize(torch.randn(2000, 128, generator=rng), dim=1)


def right(answer):
    """Whether it is the cosine measured on 2,000 voices, at three strengths."""
    for scale in (0.3, 1.0, 2.0):
        measured = (many * filling.add_noise(many, scale, rng)).sum(1).mean()
        if abs(answer(scale) - measured) > 0.01:
            return False
    return True


hint = "Pythagoras gives the length of the sum; the cosine is the adjacent side divided by it."
show.exercise(1, expected_cosine, right, hint)

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
EACH = budget.pick(quick=12, full=64)  # voices of each of the two ways
people = torch.tensor(np.array(emb))
rng = np.random.default_rng(0)
for number in range(1, EACH + 1):
    i, j = sorted(rng.choice(len(people), 2, replace=False).tolist())
    share = rng.uniform(0.3, 0.7)
    emb.append(filling.interpolate(people[i], people[j], share).numpy())
    points.append({"name": f"between {number:03d}", "kind": "interpolated",
                   "about": f"{100 * share:.0f} % of the way", "parents": (i, j)})

# %%
generator = torch.Generator().manual_seed(0)
for number in range(1, EACH + 1):
    i = int(rng.integers(len(people)))
    scale = rng.uniform(0.4, 1.0)
    emb.append(filling.add_noise(people[i], scale, generator).numpy())
    points.append({"name": f"beside {number:03d}", "kind": "noise",
                   "about": f"noise of length {scale:.1f}", "parents": (i,)})
emb = np.array(emb, dtype="float32")
amounts = Counter(point["kind"] for point in points)
print(f"{len(points)} points: " + ", ".join(f"{amounts[kind]} {kind}" for kind in maps.KINDS))

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
figures = {"points": len(points), "clips_kB": made.config.size // 1000}
for method, where in ("umap", made.umap.numpy()), ("pca", made.place(emb, "pca")):
    trust = trustworthiness(emb, where, n_neighbors=10, metric="cosine")
    figures[f"trustworthiness_{method}"] = round(float(trust), 4)
card = {
    "name": "atlas",
    **corpus.credits(used),
    "budget": f"{BUDGET}, {budget.device()}",
    "encoder": made.config.encoder,
    "figures": figures,
}
RUN = maps.ATLAS.parents[1] / "runs/10-quick"
training.save(budget.pick(quick=RUN, full=maps.ATLAS), made, made.config, card, half=False)
print(figures)

# %% [markdown]
# ## 5. Look, and then measure
#
# From here on we look at the shipped atlas, if the shipped encoder made it (at full budget it is the one just written).
# **PCA** turns the cloud until the two directions of most spread face you; distances can only shrink. **UMAP** cares for
# neighbours: it builds a graph of who is near whom in 128 dimensions, and pulls and pushes dots until the flat graph
# looks like it. Held-out voices should be strewn among the training voices, and invented ones between their parents.

# %%
atlas = made
if maps.ATLAS.is_dir():
    shipped, _ = maps.Atlas.load()
    if shipped.config.encoder == made.config.encoder:
        atlas = shipped
emb = atlas.vectors()
kinds = np.array(atlas.config.kinds)
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
def by_distance(places, i):
    """The numbers of all other places, the nearest to place i first."""
    order = np.argsort(np.linalg.norm(places - places[i], axis=1))
    return [j for j in order if j != i]


def naive_trust(emb, where, k):
    """T_k of the formula, dot by dot."""
    n = len(emb)
    wrong = 0
    for i in range(n):
        true = by_distance(emb, i)
        for j in by_distance(where, i)[:k]:
            if j not in true[:k]:
                wrong += true.index(j) + 1 - k
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * wrong


cloud = np.random.default_rng(0).standard_normal((60, 8))
dropped = cloud[:, :2]  # six of eight directions are gone
naive = naive_trust(cloud, dropped, 5)
assert abs(naive - trustworthiness(cloud, dropped, n_neighbors=5)) < 1e-9
print(f"twins agree; a map that drops six of eight directions: {naive:.2f}")

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


true = near(emb)
flat["by chance"] = np.random.default_rng(0).permutation(flat["UMAP"])
lines = []
for method, where in flat.items():
    hits = [len(set(a) & set(b)) for a, b in zip(true, near(where))]
    trust = trustworthiness(emb, where, n_neighbors=10, metric="cosine")
    lines.append({"map": method, "trustworthiness": trust, "true of 5": np.mean(hits)})
show.display(show.table(lines, f"{len(emb)} voices on a plane"))

# %% [markdown]
# ### Exercise 2
#
# Trustworthiness punishes *false* neighbours: dots shown side by side whose voices are not. The opposite fault is to tear
# true neighbours apart, and its measure is called **continuity**. Its formula is the same with the two spaces
# exchanged. Write `continuity(emb, where, k)` in one line with `naive_trust`, or with scikit-learn.

# %%
continuity = None  # for example: def continuity(emb, where, k): ...


def right(answer):
    """Whether it is trustworthiness with the spaces exchanged."""
    return abs(answer(cloud, dropped, 5) - naive_trust(dropped, cloud, 5)) < 1e-9


hint = "Who are the true neighbours now, and who are those on the map?"
show.exercise(2, continuity, right, hint)

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
# neighbours can guess the answer by a vote, in 128 dimensions and on each map; the last column is what one gets by
# always saying what is commonest.
#
# If the *source* can be told from the dots as well as the gender, think twice: the encoder then hears microphones and
# codecs along with voices, and the nearest neighbour of your voice may be the nearest *recording*. That is a limit of
# our training data, and the map is how one finds out.

# %%
def vote(places, tags):
    """Share of points whose tag is that of most of their five neighbours (if tied, the nearest)."""
    right = 0
    for five, tag in zip(near(places), tags):
        (winner, _), *_ = Counter(tags[five]).most_common()
        right += winner == tag
    return right / len(tags)

# %%
real = np.isin(kinds, maps.REAL)
about = [word.split(", ") for word, is_real in zip(atlas.config.about, real) if is_real]
genders, sources = np.array(about).T
lines = []
for what, tags in ("gender", genders), ("source", sources):
    known = tags != "not said"
    tags = tags[known]
    if len(set(tags)) < 2:
        continue  # nothing to guess
    where = flat["UMAP"][real][known]
    show.display(show.voices(where, tags, f"The corpus by {what} (UMAP)"))
    line = {"tag": what}
    for name, space in ("in 128 dimensions", emb), ("UMAP", flat["UMAP"]), ("PCA", flat["PCA"]):
        line[name] = vote(space[real][known], tags)
    line["always the commonest"] = max(Counter(tags).values()) / len(tags)
    lines.append(line)
if lines:
    show.display(show.table(lines, "Guessed right by five neighbours"))

# %% [markdown]
# ## 7. No way back
#
# It would be charming to click on an *empty* spot of the map and hear the voice there. UMAP offers this:
# `inverse_transform` takes two numbers and returns 128. We do not use it, and here is the measurement, in two parts.
#
# The places of *dots* are decoded first, whose voices we know. Does the voice come back? On the atlas as first built the
# median cosine between a voice and its own return was 0.38, and fifty other voices were nearer: who goes onto the map
# and comes back is somebody else. A plane has lost what 126 directions knew, and no algorithm can guess it back.

# %%
mapper = maps.mapper(emb).fit(emb)
rng = np.random.default_rng(1)
pairs = rng.choice(len(emb), (40, 2))
some = rng.choice(len(emb), 40, replace=False)


def decoded(places):
    """Unit vectors [n, D] that UMAP gives for places [n, 2]."""
    vectors = mapper.inverse_transform(places)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


midway = decoded(mapper.embedding_[pairs].mean(1))
back = decoded(mapper.embedding_[some])
one, two = torch.tensor(emb)[pairs.T]
mixed = filling.interpolate(one, two, 0.5).numpy()
own = (back * emb[some]).sum(1)
nearer = (back @ emb.T > own[:, None]).sum(1)
print(f"a dot decoded: cosine {np.median(own):.2f} to its own voice, "
      f"{np.median(nearer):.0f} others are nearer (medians)")

# %% [markdown]
# Then places *between* two dots are decoded, and each result is compared with its nearest real vector; as a yardstick,
# real voices are compared with *their* nearest real neighbour. By this figure decoding looks well, and that is the trap:
# what comes back is a blend of the dots around the place, and a blend is near to somebody.
#
# So the empty spots of our map are mute, and new voices are made in the space of vectors, by mixing and by noise, where
# it is known who the parents are; only then does the map show where they came to lie.

# %%
people = emb[real]
itself = 2 * np.eye(len(people))  # taken off: nobody is their own neighbour
nearest = {
    "real": (people @ people.T - itself).max(1),
    "decoded from the map": (midway @ people.T).max(1),
    "mixed in 128 dimensions": (mixed @ people.T).max(1),
}
lines = []
for name, cosines in nearest.items():
    lines.append({"voices": name, "nearest real voice, median cosine": float(np.median(cosines))})
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
held_out = np.flatnonzero(kinds == "held-out voice")
start, end = torch.tensor(emb)[[held_out[0], held_out[-1]]]


def explore(share, noise):
    """Draw the way between two dots, and hear a voice on it."""
    mixed = filling.interpolate(start, end, share)
    spk_emb = filling.add_noise(mixed, noise, torch.Generator().manual_seed(0)).numpy()
    way = [filling.interpolate(start, end, t) for t in np.linspace(0, 1, 9)]
    path = atlas.place(torch.stack(way).numpy())
    fig = show.voices(flat["UMAP"], kinds, f"{100 * share:.0f} % of the way, noise {noise:g}")
    fig.axes[0].plot(*path.T, "k--", linewidth=1)
    fig.axes[0].plot(*atlas.place(spk_emb[None])[0], "k*", markersize=16)
    three = atlas.neighbours(spk_emb, 3)
    nearest = ", ".join(f"{atlas.config.names[i]} ({cosine:.2f})" for i, cosine in three)
    wav = voices.speak(WORDS, spk_emb).wav
    show.display(fig, f"nearest in truth: {nearest}", show.player(wav, label="this voice"))


show.sliders(explore, share=(0.0, 1.0, 0.1, 0.5), noise=(0.0, 2.0, 0.1, 0.0))

# %% [markdown]
# ### What to take along
#
# A voice vector is a point, a map is an opinion about points, and ears decide. In the app you can place your own voice on
# this map, mix it with others, and take a point along as a file of 128 numbers. Treat such a file like a photograph of
# a face: there is no sound in it, but somebody can be recognised by it.
#
# A voice that is not yours should say so. The players above hold bare samples; but `speech.save("me.wav")`, and all that
# leaves the app, carries a **watermark**: bands of 94 Hz made louder or softer by about 1 dB, 31 times a second, as a
# fixed pattern says. Nobody hears it, and `voices.is_marked("me.wav")` finds it by correlation [SSW], also after MP3 of
# 64 kbit/s, at 8 kHz, or in two seconds cut out. It helps the honest and stops nobody: played in a room, stretched or
# spoken anew, sound loses it; whoever reads `lib/audio/watermark.py` can destroy it or put it into a true recording; and
# no mark does not mean that a person spoke.
