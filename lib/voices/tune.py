"""An enhancer tuned to one person, on speech that this person never said."""
import copy
import time
from dataclasses import dataclass

import numpy as np
import torch

from lib import audio, losses, training
from lib.data import corpus, noisy
from lib.paths import EMBEDDED
from lib.voices.enhance import Specialist, listened
from lib.voices.rivals import RIVALS, say
from lib.voices.speech import is_clip, stop_if

SENTENCES = 40  # spoken in the voice: two to three minutes of it
AT_ONCE = 8  # of them in one request to speak, which takes 1,000 characters
HELD = 5  # every fifth sentence is kept for looking how far it is
SNR_DB = (-2.5, 2.5)  # of mixtures, as in [PERSONAL] sec. 3
B, SECONDS = 8, 2.5  # mixtures in a step, and their length
LOOKED_AT = 16  # mixtures of the held sentences, always the same
EVERY, PATIENCE = 20, 3  # steps between two looks; looks without a gain before it ends
SPEAKING = 0.3  # share of the time that the speaking takes, for the bar of progress
GENERATED, OTHERS = 4, 8  # noises of every kind where none are brought, and other voices among them
NOISES = 5  # that may be brought, as many as a person has in [PERSONAL]
LOOKS = 1  # sets the draws of the looks apart from those of the steps
CLIP = 5.0  # largest norm of a gradient, as in training


@dataclass(frozen=True)
class Recipe:
    """How to tune: steps at most, learning rate of Adam, seed, and seconds after which it ends anyhow.

    Lesson 09 has lr beside the 1e-6 of [PERSONAL], which is for twenty and more passes over the speech."""
    steps: int = 240
    lr: float = 1e-4
    seed: int = 0
    seconds: float = 150.0


def tune(voices, voice, noises=None, recipe=None, progress=None, cancelled=None):
    """Tune the enhancer to `voice`, a clip of about 5 s or an embedding: a Specialist, for `enhance`.

    `speak` says sentences in that voice; they are mixed with noise, and the network, told the voice, learns
    to take it out.  Source: [PERSONAL] sec. 3.
    Differs: the paper's networks are told nothing, and tuned longer at a hundredth of this rate.
    noises: up to 5 clips of what is to go; None: generated ones and other people.  progress(share, message)
    is told how far it is, cancelled() asked as often; when it says so, InterruptedError is raised.
    recipe: a Recipe, None: the usual one.
    Raises ValueError as `speak` and `enhance` do, and for more noises than that.
    """
    started = time.time()
    recipe = recipe or Recipe()
    generalist = voices.bundle["enhancer"]
    spk_emb = voices.voice(voice)
    unwanted = others(recipe.seed) if noises is None else brought(noises)

    def tell(share, words):
        stop_if(cancelled)
        if progress:
            progress(share, words)
    borrowed = voice if is_clip(voice) else spk_emb
    speech = spoken(voices, borrowed, recipe.seed, tell)
    spent = time.time() - started

    def report(step, gained):
        share = SPEAKING + (1 - SPEAKING) * step / recipe.steps
        tell(share, f"step {step} of {recipe.steps}, {gained:.1f} dB cleaner on sentences it did not learn")
    net, facts = tuned(generalist, spk_emb, speech, unwanted, recipe, report)
    return Specialist(net, spk_emb, facts | {"took": facts["took"] + spent})


def brought(noises):
    """Noises [T] of clips.  Raises ValueError for none, too many, and what `listened` refuses."""
    if not 1 <= len(noises) <= NOISES:
        raise ValueError(f"There are {len(noises)} noises: bring 1 to {NOISES}, or None for made ones.")
    return [listened(noise) for noise in noises]


def others(seed):
    """Noises [T] for who brings none: coloured, hums, clicks, babble, and one virtual voice at a time."""
    rng = np.random.default_rng([seed, LOOKS])
    rows = corpus.rows("embedded")
    places = rng.choice(len(rows), OTHERS, replace=False)
    people = [corpus.wav(rows[i]) for i in places]
    return noisy.generated(rng, people, GENERATED) + people


def written():
    """The sentences that are spoken where none are brought."""
    return EMBEDDED.with_name("sentences.txt").read_text().splitlines()[:SENTENCES]


def spoken(voices, voice, seed, tell=None, sentences=None, model=None):
    """Sentences (None: those of `written`) in `voice`, wavs [T]; tell(share, words) after each.

    model: of `speak`, or one of rivals.RIVALS, whose server must run.  A sentence ends with a full stop and
    has at most 120 characters, as AT_ONCE go into one request."""
    if sentences is None:
        sentences = written()
    if model in RIVALS:
        pieces = (say(model, sentence, voice) for sentence in sentences)
    else:
        pieces = streamed(voices, voice, seed, sentences, model)
    wavs = []
    for wav in pieces:
        wavs.append(wav)
        if tell:
            tell(SPEAKING * len(wavs) / len(sentences), f"sentence {len(wavs)} of {len(sentences)}")
    return wavs


def streamed(voices, voice, seed, sentences, model):
    """Yield each sentence in `voice`, wav [T], spoken by one of our models."""
    for first in range(0, len(sentences), AT_ONCE):
        words = " ".join(sentences[first: first + AT_ONCE])
        for piece in voices.stream(words, voice, seed + first, model=model):
            yield piece.wav


def tuned(generalist, spk_emb, speech, noises, recipe=Recipe(), report=None, recorded=None):
    """A network that learned to find one person, of `generalist`, and facts about it; that stays as it is.

    speech: clean wavs [T] of the person; noises: wavs [T].  recorded: one more wav [T], a recording of the
    person, which is learned from as often as all of speech.  report(step, dB gained) after every look, and
    may raise to stop.  Of all looks the best counts, the first one, before any step, included."""
    started = time.time()
    net = copy.deepcopy(generalist).requires_grad_(True)
    learned = [wav for i, wav in enumerate(speech) if i % HELD]
    if recorded is not None:
        learned += [recorded] * len(learned)
    draws = mixtures(learned, spk_emb, noises, B)
    rng = np.random.default_rng([recipe.seed, LOOKS])
    looked = mixtures(speech[::HELD], spk_emb, noises, LOOKED_AT).draw(rng)
    optim = torch.optim.Adam(net.parameters(), recipe.lr)
    before = best = gain(net, looked)
    kept = copy.deepcopy(net.state_dict())
    at = step = 0
    while step < recipe.steps and time.time() - started < recipe.seconds:
        learn(net, optim, draws.draw(np.random.default_rng([recipe.seed, 0, step])))
        step += 1
        if step % EVERY == 0:
            now = gain(net, looked)
            if now > best:
                kept = copy.deepcopy(net.state_dict())
                best = now
                at = step
            if report:
                report(step, best - before)
            if step - at >= PATIENCE * EVERY:
                break
    net.load_state_dict(kept)
    seconds = sum(len(wav) for wav in speech) / audio.RATE
    facts = {"before": before, "after": best, "steps": at, "sentences": len(speech), "seconds": seconds}
    return net.eval().requires_grad_(False), facts | {"took": time.time() - started}


def mixtures(speech, spk_emb, noises, count):
    """A noisy.Noisy that draws `count` mixtures of one person, whose voice is told."""
    person = noisy.Pool(speech, np.zeros(len(speech), int), np.tile(spk_emb, (len(speech), 1)))
    return noisy.Noisy(person, noises, count, SECONDS, SNR_DB, told=1.0)


def learn(net, optim, batch):
    """One step."""
    with torch.autocast("cpu", torch.bfloat16, enabled=training.precision() == "bf16"):
        est = net(batch["noisy"], batch["spk_emb"], batch["told"])
    optim.zero_grad()
    losses.negative_sdr(est, batch["speech"]).mean().backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
    optim.step()


@torch.no_grad()
def gain(net, batch):
    """SDR in dB that a network adds to a batch of mixtures."""
    est = net(batch["noisy"], batch["spk_emb"], batch["told"])
    gained = losses.negative_sdr(batch["noisy"], batch["speech"]) - losses.negative_sdr(est, batch["speech"])
    return float(gained.mean())
