# %% [markdown]
# # 06 · Voice conversion: the same words, another voice
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/voice-atlas/voice-atlas/blob/main/notebooks/06_voice_conversion.ipynb)
#
# Somebody says a sentence. You hear the same sentence, with the same pauses and the same melody, from somebody else.
# No text is involved, neither speaker was in any training set, and nothing is trained for them. This is *zero-shot
# voice conversion*, after the paper **Flow-VAE VC** (Xu et al., 2023).
#
# Lesson 03 built most of it already: an autoencoder that turns sound into latents `z` and back, told whose voice it is.
# What is missing is a way to `z` that starts from *other speech* instead of text. That is this whole lesson, and the
# question it turns on is not how to put the new voice in. It is **how to get the old one out**.
#
# In order:
#
# 1. hear it;
# 2. the idea, and four places where the old voice hides;
# 3. data: the same words from a throat of another size;
# 4. two pieces of mathematics with naive twins: the contrastive loss, and a layer that is deaf to equalisers;
# 5. model, losses, three stages;
# 6. the paper's question: what is the contrastive loss good for? Three seeds with it, three with a little, three without;
# 7. the paper's tables in small, against a converter of the 1990s that learns nothing;
# 8. play.
#
# Quick budget (two CPU cores): three to four minutes. A quick run continues from the shipped weights, if there are any;
# the switch is called `START`. Full budget starts its content encoder from nothing beside the shipped autoencoder of
# lesson 03. The shipped weights were made in more stages than it has: their card lists them.

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
# Two virtual voices that were in no training set. The first says a sentence; the second says something else, and shows
# its voice by that. If conversion weights are shipped, the third player has the sentence of the first in the voice of
# the second.

# %%
import copy
import shutil

import numpy as np
import torch

from lib import audio, losses, show, text, training
from lib.audio import perturb
from lib.data import corpus
from lib.evaluation import metrics, statistics
from lib.training import budget
from lib.data.clips import Clips
from lib.models.codec import Codec, CodecConfig
from lib.models.flow_vae import ContentEncoder, FlowVAE, FlowVAEConfig, standardise
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.models.vits import Vits, VitsConfig
from lib.nn.blocks import slices
from lib.nn.critics import Discriminator


BUDGET = budget.current()
RUN, CHECKPOINTS = corpus.EMBEDDED.parents[2] / f"runs/06-{BUDGET}", corpus.EMBEDDED.parents[1] / "checkpoints"
encoder, encoder_card = training.load(CHECKPOINTS / "speaker_encoder", SpeakerEncoder, SpeakerEncoderConfig)
codec, codec_card = training.load(CHECKPOINTS / "codec", Codec, CodecConfig)
vits, vits_card = training.load(CHECKPOINTS / "tts", Vits, VitsConfig, codec=codec)
lender = training.fingerprint(codec)
if BUDGET == "quick":  # begins anew each time; a full run continues where it was stopped
    shutil.rmtree(RUN, ignore_errors=True)
RUN.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# `START` says where the weights begin. `"nothing"`: the content encoder begins at random. `"shipped"`: from the shipped
# weights, with a tenth of every learning rate. `"kept"`: the shipped weights as they are; only the models of section 6 are trained.
# `VOICE_ATLAS_START` sets it; by default, quick runs take the shipped weights if there are any. Now listen.

# %%
START = os.environ.get("VOICE_ATLAS_START", budget.pick(quick="shipped", full="nothing"))
START = START if (CHECKPOINTS / "flow_vae").is_dir() else "nothing"
virtual = corpus.rows()  # the embedded corpus: its last three speakers are nobody's training data
source, target = (next(row for row in virtual if row["speaker"] == speaker) for speaker in ("va-21", "va-20"))
show.display(show.player(corpus.wav(source), label="source"), show.player(corpus.wav(target), label="voice to borrow"))
if (CHECKPOINTS / "flow_vae").is_dir():
    shipped, _ = training.load(CHECKPOINTS / "flow_vae", FlowVAE, FlowVAEConfig, codec=codec)
    wavs = [torch.tensor(corpus.wav(row))[None, None] for row in (source, target)]
    show.display(show.player(audio.normalise(shipped.convert(wavs[0], *(encoder.embed(wav)[None].detach() for wav in wavs))[0, 0].numpy()), label="converted"))

# %% [markdown]
# ## 2. The idea, and four places where the old voice hides
#
# Lesson 03 spoke so: text → prior (`m_p`, `logs_p`) → flow backwards, with the borrowed voice → `z` → decoder. Replace
# the text encoder by a **content encoder** that listens to the source, and you convert: source → prior → flow backwards
# with the *other* voice → `z` → decoder. Posterior, decoder and conditioning are the very modules of lesson 03, lent
# to this one; the flow starts as a copy. New is only what listens.
#
# Training needs no pairs of people saying the same thing. The model gets a clip and has to predict the `z` of that same
# clip, with the clip's own voice as the condition. And here lies the trap: if the content encoder hears the whole clip,
# it may pass everything on, timbre and all, and the voice condition is superfluous. Training looks splendid; at
# conversion, the source comes out unchanged. So the old voice must be taken out *before* the prior. It hides in four
# places, and each gets its own remedy:
#
# | where the voice hides | what removes it | from |
# |---|---|---|
# | in the **average spectrum** (throat, microphone) | each mel band loses its mean over time and gets unit variance: *instance normalisation* | AdaIN; ours |
# | in the **formants**, which move with the size of the throat | the encoder only ever hears *perturbed* copies: formants and pitch scaled by random factors, a random equaliser | paper, NANSY |
# | in the **pitch** | it goes *around* the content, as a number a frame. At conversion the curve is shifted to the register of the new voice, so nothing has to be guessed | ours |
# | in **whatever else** is useful | the **contrastive loss**: the codes of a clip and of its perturbed copy must agree frame by frame, while differing from all other frames. What tells the two copies apart cannot be in such a code | paper |
#
# The first two limit what goes in, the third leads one thing past the code, the last one cleans the code. The paper does
# not have the first and the third; its outlook names control of prosody as what is missing. With our budget (minutes,
# not four days on a V100) every remedy that needs no learning is welcome.
#
# A batch is a set of stretches of equal length, drawn from memory-mapped arrays (`stretches`). The voice vector comes from a
# random half of the clip's windows, or from another clip of the same person, as in lesson 03: a vector of *this very
# stretch* could whisper its content.

# %%
rows = [row for row in corpus.rows(corpus.source(BUDGET), "train", hours=budget.pick(quick=1, full=20)) if row.get("accent") in (None, "", "native")]
clips = Clips(rows, RUN.parent / "cache", lambda wav: encoder.windows(torch.tensor(wav)[None, None]).numpy(), training.fingerprint(encoder))
first = np.concatenate([[0], np.cumsum(clips.frames)])
mels, f0 = perturb.views(clips, RUN)  # once
z = clips.latents(RUN / f"latents-{lender}.f16", lambda wav, spk_emb, band: codec.encode(
    torch.tensor(wav)[None, None], torch.tensor(spk_emb)[None], torch.tensor([band]))[:2])
registers = np.array([audio.register(f0[a:b]) for a, b in zip(first, first[1:])], "float32")

# %% [markdown]
# One more thing can be had for nothing. The paper's data have no texts; ours do, and lesson 03's search says which token
# sounds when. A frame-by-frame transcript of ten hours, by no human hand. Stage one will use it, and so will an *ear*, a net that
# learns nothing but to write such transcripts (`hear` asks one). The last line looks at how noisy `z` is. Section 5 needs all three.

# %%
STRESS, LONG = [text.INDEX[mark] for mark in "ˈˌ"], text.INDEX["ː"]


def sounding(i):
    """The token that sounds in each frame of clip i, [F], 0 where nobody knows; a mark of stress or length counts as what it marks."""
    x = clips.tokens[i]
    if not 2 < len(x) <= clips.frames[i]:
        return np.zeros(clips.frames[i])
    m_q, logs_q = (torch.tensor(np.array(z[first[i]: first[i + 1], k], "float32").T)[None] for k in (0, 1))
    batch = {"x": torch.tensor(x)[None], "tokens": torch.tensor([len(x)]), "frames": torch.tensor(clips.frames[i: i + 1]), "m_q": m_q,
             "logs_q": logs_q, "spk_emb": torch.tensor(clips.voice(np.random.default_rng(i), i, 0.0))[None]}
    with torch.inference_mode():
        path = vits(batch, ("prior",))["path"][0]  # [N, F]
    x = np.where(np.isin(x, STRESS), np.roll(x, -1), np.where(x == LONG, np.roll(x, 1), x))
    return x[path.argmax(0).numpy()]


tokens = clips.kept(RUN / f"tokens-{training.fingerprint(vits)}.npy", sounding)
print("one second of one clip:", "".join(text.SYMBOLS[token] for token in tokens[40:100].astype(int)))
signal, noise = np.asarray(z[::50, 0], "float32").std(0), np.exp(np.asarray(z[::50, 1], "float32")).mean(0)
print(f"in {(noise > signal).mean():.0%} of the channels of z, the posterior's noise is larger than what its means vary by")


def hear(ear, mel):
    """What an ear makes of a mel: a verdict on the tokens [B, tokens, F], and four looks at how it got there."""
    looks, ones = [], torch.ones_like(mel[:, :1])
    hooks = [layer.register_forward_pre_hook(lambda layer, given: looks.append(given[0].float())) for layer in (*ear.body.wide[2::2], ear.code)]
    verdict = ear(standardise(mel.float(), ones), ones).float()
    [hook.remove() for hook in hooks]
    return verdict, looks

# %% [markdown]
# ## 3. The same words from a throat of another size
#
# The cells above prepared all that training will ever read, and no step will touch sound again until the joint finish:
# the latents of every clip, the pitch `f0` of every frame (by autocorrelation: how well does the sound resemble itself a
# moment later?), and two log-mels, one of the clip and one of its perturbed copy.
#
# **Information perturbation** comes from NANSY, the factors from Flow-VAE VC. Formants and median pitch are each scaled by a factor from U(1, 1.4),
# turned into its reciprocal half of the time. Praat does it, the phoneticians' workbench, whose "change gender" moves
# the two independently (recall lesson 00: pitch and body size are two sliders). Then an equaliser with eight bells and
# two shelves, each up or down by as much as 12 dB. It is all done once, before training, and mapped into memory.
#
# Listen: the words stay, who says them changes every time.

# %%
original = corpus.wav(source)
show.display(show.player(original, label="as recorded"), show.spectrogram(original, title="as recorded"))
for k in range(3):
    copy_ = perturb.perturb(np.random.default_rng(k), original)
    show.display(show.player(copy_, label=f"perturbed, seed {k}"))
show.display(show.spectrogram(copy_, title="perturbed: the same pattern, stretched along the frequency axis"))

# %% [markdown]
# ## 4. Two pieces of mathematics
#
# ### Who belongs to whom? The contrastive loss
#
# `c` and `ĉ` are the codes of a clip and of its perturbed copy, K numbers for each of F frames. With
# $d$ the cosine, the paper's equations 2 and 3 are
#
# $$L_\text{ctr} = -\sum_t \log\big[\text{Ctr}(t, c, \hat c) + \text{Ctr}(t, \hat c, c)\big], \qquad
# \text{Ctr}(t, c, \hat c) = \frac{\exp d(c_t, \hat c_t)}{\sum_{n \in (c \setminus c_t) \cup (\hat c \setminus \hat c_t)} \exp d(c_t, n)}.$$
#
# Numerator: the same moment in the two copies should look alike. Denominator: every other moment, of both copies, should
# not. Without the denominator a constant code would be perfect. With it, the code must hold what *changes from frame to
# frame* and is *the same in both copies*: that is, the sounds of speech. A voice does the opposite on both counts.
#
# (Two things we read with care. The paper says the code has one channel; the cosine of two single numbers is only a
# sign, so ours has 64. And we divide the cosine by a temperature of 0.1, since a cosine between -1 and 1 makes for a
# very blunt `exp`: at temperature 1 as printed, even a perfect code gets a loss near log F. We also take the mean over
# frames instead of the sum, so that the weight does not depend on the length.)

# %% tags=["nbval-check-output"]
c, c_hat = torch.randn(2, 64, 12, generator=torch.Generator().manual_seed(0))  # [K, F]


def ctr(t, one, two):  # equation 3 word for word; moment t of the other copy stands above, and neither t below
    alike = [(torch.cosine_similarity(one[:, t], x[:, n], dim=0) / 0.1).exp() for x in (two, one) for n in range(12)]
    return alike[t] / (sum(alike) - alike[t] - alike[12 + t])


same, noise = (losses.frame_contrastive(c[None], other[None], torch.ones(1, 1, 12), 0.1) for other in (c, c_hat))
assert torch.isclose(noise, torch.stack([-torch.log(ctr(t, c, c_hat) + ctr(t, c_hat, c)) for t in range(12)]).mean(), atol=1e-4)
print(f"twins agree; a perfect code {same:.1f}, noise {noise:.1f}")

# %% [markdown]
# ### Deaf to equalisers
#
# An equaliser multiplies each frequency by a constant, which in a *logarithmic* mel is adding a constant to each band. So
# is a microphone, and, to a first approximation, the long-term colour of a voice. `standardise` subtracts each
# band's mean over time and divides by its spread: whatever was constant is gone, exactly. (Then why perturb with an
# equaliser, too? Because of what is *not* constant: silence has a floor that no equaliser moves. And because you can
# now take one remedy away and see whether the other suffices.)
#
# The price: the encoder must hear a few seconds before "average" means anything. A one-word source is converted worse.

# %% tags=["nbval-check-output"]
mel, mask = audio.mel(torch.tensor(original)[None, None]), torch.ones(1, 1, len(original) // audio.HOP)
gains = torch.linspace(-3, 3, 80)[None, :, None]  # tilts the spectrum by 52 dB from the lowest band to the highest
moved = [(change(mel + gains) - change(mel)).abs().max().item() for change in (lambda x: x, lambda x: standardise(x, mask))]
print("a tilt moves the mel by up to {:.1f}, the standardised mel by {:.1f}".format(*moved))

# %% [markdown]
# ## 5. The model
#
# `FlowVAE` borrows `vits`. In its state there are three things only: the **content encoder** (convolutions to the code,
# then a transformer that reads code and pitch and says `m_p`, `logs_p`), its **flow**, and a small head,
# **register**, which guesses from a voice vector how high that voice speaks. Read the file: `forward` and `convert`
# stand one below the other.
#
# | part | paper | here |
# |---|---|---|
# | content to code | 4 residual blocks of 6 convolutions, linear spectrogram | 4 ConvNeXt blocks, standardised mel |
# | code to prior | transformer | transformer, 3 layers; pitch and voice enter here |
# | flow | affine couplings of WaveNet blocks | shift-only couplings, begun as those of lesson 03 |
# | posterior | trained along | lent by lesson 03, trained along in the third stage, and given back |
# | decoder | trained along | lent by lesson 03, trained along from the second stage on, and given back |
# | speaker encoder | ECAPA-TDNN, trained on VoxCeleb | lesson 01 |

# %%
torch.manual_seed(0)
config = FlowVAEConfig()
fresh, vc, critic, judge = FlowVAE(config, codec), FlowVAE(config, codec), Discriminator(), copy.deepcopy(encoder).requires_grad_(False)
[net.flow.load_state_dict(vits.flow.state_dict()) for net in (fresh, vc)]  # a start: the flow of lesson 03
if START != "nothing":
    vc, _ = training.load(CHECKPOINTS / "flow_vae", FlowVAE, FlowVAEConfig, codec=codec)
if (CHECKPOINTS / "discriminator").is_dir():
    critic.load_state_dict(training.read(CHECKPOINTS / "discriminator"))
print({part: f"{sum(p.numel() for p in net.parameters()) / 1e6:.1f} million numbers" for part, net in vc.named_children()})

# %% [markdown]
# ### What the prior did not foresee
#
# The paper converts from the prior alone: what the content encoder did not catch is lost, and a content encoder of half an
# hour's training does not catch every consonant. VITS converts the other way round (lesson 03's `Vits.convert`): the source's
# *own* `z` through the flow and back, which loses nothing and takes much of the old voice along. `convert` does either and all in
# between. It says what the prior foresees in the old voice, looks what `z` in truth was, and carries a share of the
# difference, the **detail**, over to what the prior foresees in the new voice:
#
# $$z_p = m_p(\text{new}) + \text{detail} \cdot \big(f(z; \text{old}) - m_p(\text{old})\big)$$
#
# At 0 that is the paper, at 1 nothing is thrown away. If flow and prior had taken every trace of the old voice out, the
# difference would be noise and 1 would cost nothing. They have not, so it is a bargain between words and voice, and section 8 lets
# you strike it. It costs a second look at the source, by the posterior. (The posterior is told if a recording has lost its top band,
# as old MP3s have: `narrow` looks.) We trained with 0.8 at first, and end with 1: what the old voice leaves behind in the difference
# can be unlearned by the stages below, a lost consonant cannot be found.
#
# ### What the posterior did not foresee
#
# A posterior encoder looks at a spectrogram once and must say which `z` will make the decoder say the same. It never hears what
# comes out. You would: *say it back, listen, correct*. That is **analysis by synthesis**, and here it costs no learning at all: `refined`
# lets the decoder speak in the *old* voice, measures the mel loss against the source and moves `z` downhill, a few steps of Adam on
# `z` itself. (Kim et al., 2018, call a VAE with such steps semi-amortised: the posterior amortises the search over all clips, the
# steps are for this one.) Section 8 lets you choose how many.
#
# Whatever carries more of the source carries more of its *voice*. Two things work against it. The stages below train decoder and
# posterior on refined `z` (the shipped weights have not been through that: their cards say what they have). And the decoder is led
# beyond the new voice, away from the old one: of what the two voices' conditionings `g` differ by, it gets a share on top, the
# **guidance**: $g_\text{new} + 0.2\,(g_\text{new} - g_\text{old})$. (Classifier-free guidance does that to the two predictions of a
# diffusion model; here it is done to the question instead.)
#
# The app does one thing more, after the model, to what is converted and to what is spoken: of the hiss that such a decoder leaves
# even in pauses it takes a part away (`audio.spectral_subtraction`, Boll, 1979). The tables here are made without it.
#
# ### The objective
#
# The paper's equation 10: $L = L_\text{recon} + L_\text{KL} + L_\text{ctr} + L_\text{adv} + L_\text{fm}$. We pay for it in
# stages:
#
# 1. **content**: on the cached latents. `kl` pulls prior and posterior together through the flow (equations 4 and 5; the
#    prior listens to the *perturbed* copy, `z` comes from the *original*), `contrastive` as above, `register` for the
#    small head, and `token`: a single layer must be able to read off the code which token sounds, in the clip and in its
#    copy. That one is ours, since we have texts. No sound, no decoder.
# 2. **finish**: the `z` of conversion goes backwards through the flow and through the decoder, and what comes out
#    is compared with the recording: mel loss (equation 6) and the critic (7 to 9). In text to speech this could
#    not be done, since predicted durations never fit the recording. Here timing is the source's.
# 3. **decoder**: the same once more, with judges that insist on the words; now posterior and decoder learn, flow and prior rest.
#
# But nobody will ever convert a clip into its own voice (with detail 1, flow and prior cancel on that way, and only the decoder learns
# from it), and for another voice there is no recording to compare with. The paper stops here. We let the same words go through
# in the voice of the *next* clip of the batch as well, nearly the path that conversion takes (which adds
# a little noise and corrects its latents besides), and ask those who need no recording:
#
# | term | who judges | what it holds fast |
# |---|---|---|
# | `voice`, `away` | lesson 01's encoder: is it the person asked for? And not still the source, where the two do not resemble each other? | who |
# | `codes` | a frozen copy of the content encoder: is it nearly the code of the source? | what |
# | `words`, `same` | an **ear**: does it hear the tokens, and what it heard in the source? | what |
# | `adv_other` | the critic: could it be a recording? | how |
#
# The ear is a content encoder of twice the depth that learns one thing, alone and before the rest: which token sounds. It is thrown
# away afterwards. It listens to the clip in its own voice, too, and must not notice a difference in its verdict (`self`) or on any
# floor below (`own`).
#
# **Who may learn from the ear?** If flow and prior learn from it, the words become clear fast, in part because there is an easy
# way to clear words: let more of the *source* through, voice and all. What the decoder learns costs less: it is told of the new
# voice only. So in stage 2 the ear whispers (`softly`). In stage 3 it speaks up, and flow and prior rest. The posterior learns with
# the decoder, but may not go far (`anchor`, in units of its own noise): text to speech must still find its `z` where it was.
#
# **How much noise?** VITS trains its decoder on samples of the posterior, and the noise in them is stronger than the
# signal in most channels of ours (the share is printed below the transcript in section 2). Conversion has none of it. A
# decoder that was trained on noise has learned to mistrust `z`, so the stages here give it little.
#
# Judges that are trained against become partial, as ever (lesson 03, section 7): the figures of the card come from others. (At
# quick budget the ear has learned for 30 steps when its opinion is asked, and twelve steps follow: that shows how it works,
# not that it works.)

# %%
WEIGHTS = {"kl": 50.0, "contrastive": 5.0, "register": 5.0, "mel": 45.0, "adv": 7.0, "fm": 40.0, "critic": 1.0, "token": 4.0, "voice": 20.0, "away": 20.0,
           "words": 8.0, "codes": 80.0, "adv_other": 9.0, "same": 30.0, "own": 30.0, "self": 40.0, "anchor": 10.0}
reader = torch.nn.Conv1d(config.code, len(text.SYMBOLS), 1)  # reads tokens off a code; only training needs it
ear = ContentEncoder(FlowVAEConfig(hidden=256, residual_layers=8, code=len(text.SYMBOLS)), codec.config.C, codec.config.G)  # and so this


def prior_losses(out, batch, slice_=96):  # the contrastive loss looks at 96 frames: its cost grows with their square
    terms = {"kl": losses.kl(out["z_p"], out["logs_q"], out["m_p"], out["logs_p"], out["mask"]),
             "register": ((out["register_hat"] - batch["register"]) ** 2).mean()}
    return terms | {"contrastive": losses.frame_contrastive(*(out[name][:, :, :slice_] for name in ("code", "code_hat", "mask")), 0.1)}


def misread(verdicts, token):  # cross-entropy of verdicts [B, tokens, F] on which token sounds
    return sum(torch.nn.functional.cross_entropy(one.float(), token.long(), ignore_index=0) for one in verdicts) / len(verdicts)


def content(nets, batch):  # no sound; and a reader must be able to tell from either code which token sounds
    out = nets["vc"](batch)
    yield "vc", prior_losses(out, batch) | {"token": misread([nets["reader"](out[name]) for name in ("code", "code_hat")], batch["token"])}


def hearing(nets, batch):  # the ear alone
    yield "vc", {"token": misread([hear(nets["vc"], batch[name])[0] for name in ("mel", "mel_hat")], batch["token"])}


def stretches(rng, count, frames):
    """All that FlowVAE.forward reads, and the sound of it; old MP3s are the hardest and come more often."""
    batch = clips.stretches(rng, count, frames, 1 + 1.5 * clips.band, mel=mels[0], mel_hat=mels[1], f0=f0, token=tokens, m_q=z[:, 0], logs_q=z[:, 1])
    return batch | {"register": torch.tensor(registers[batch["index"].numpy()])}

# %%
def heard(nets, out, batch, wav):  # is wav_other still the source, and wav_hat still wav, for those who do not learn any more?
    size, listener, who = out["wav_other"].shape[2] // audio.HOP, nets["listener"].eval(), nets["judge"].eval()(out["wav_other"])
    token, mel = (slices(one.float(), out["start_other"], size) for one in (batch["token"][:, None], batch["mel"]))
    said, *own = (audio.mel(one.float())[..., : one.shape[2] // audio.HOP] for one in (out["wav_other"], out["wav_hat"], wav))
    code, wanted = (listener(standardise(one, torch.ones_like(token)), torch.ones_like(token)).float() for one in (said, mel))
    (verdict, _), (wished, _), (mine, looks), (meant, views) = (hear(nets["ear"], one) for one in (said, mel, *own))
    apart = [(a - b).abs().mean() / b.abs().mean() for a, b in zip(looks, views)]
    strangers = (batch["spk_emb"] * out["asked"]).sum(1) < 0.4  # those who resemble each other may do so afterwards
    return {"words": misread([verdict], token[:, 0]), "own": sum(apart) / len(apart), "codes": 1 - torch.cosine_similarity(code, wanted, dim=1).mean(),
            **{name: torch.nn.functional.kl_div(one.log_softmax(1), other.log_softmax(1), reduction="none", log_target=True).sum(1).mean()
               for name, one, other in (("same", verdict, wished), ("self", mine, meant))},
            "voice": losses.speaker_consistency(who, out["asked"]), "away": (torch.cosine_similarity(who, batch["spk_emb"]).relu() * strangers).mean()}


def finish(nets, batch):
    """Stages 2 and 3: the critic first; then the whole path of conversion, against the critic just updated."""
    out = nets["vc"](batch | {"spec": audio.spectrogram(batch["wav"])}, True)
    wav = slices(batch["wav"], out["start"] * audio.HOP, out["wav_hat"].shape[2])
    three = torch.cat([one[:, :, : 32 * audio.HOP] for one in (wav, out["wav_hat"], out["wav_other"])])  # the critic is the dearest of all
    real, *fakes = zip(*(s.chunk(3) for s in nets["critic"](three.detach())[0]))
    yield "critic", {"critic": sum(losses.discriminator_adv(real, fake) for fake in fakes) / 2}
    scores, fmaps = nets["critic"](three)
    (_, own, other), (fmap_r, fmap_g, _) = zip(*(s.chunk(3) for s in scores)), zip(*(zip(*(f.chunk(3) for f in fmap)) for fmap in fmaps))
    moved = ((out["m_q"] - batch["m_q"]) * torch.exp(-batch["logs_q"])).square().mean(1, keepdim=True) * out["mask"]
    yield "vc", prior_losses(out, batch) | heard(nets, out, batch, wav) | {
        "mel": losses.multi_mel(out["wav_hat"], wav), "adv": losses.generator_adv(own), "adv_other": losses.generator_adv(other),
        "fm": losses.feature_matching(fmap_r, fmap_g), "anchor": moved.sum() / out["mask"].sum()}

# %% [markdown]
# `stage` is that of lesson 03, shorter: one call of `training.fit` with AdamW and betas 0.8, 0.99 as in the paper, a cosine
# in the place of the paper's slow exponential decay, and the average of the weights at the end.

# %%
def stage(name, step, net, learn, count, frames, steps, lr, others=(), weights=WEIGHTS, seed=0, folder=RUN):
    """Train the modules in `learn` (and the critic, where others are given); the averaged weights of `net` replace the last ones."""
    vc.requires_grad_(False)
    nets = {"vc": net, "reader": reader, **dict(others)}
    learns = {"vc": [one.requires_grad_(True) for one in learn], **({"critic": [critic]} if others else {})}
    optims = {key: torch.optim.AdamW([p for one in parts for p in one.parameters()], lr, (0.8, 0.99), weight_decay=0.01) for key, parts in learns.items()}
    result = training.fit(step, nets, optims, lambda rng: stretches(rng, count, frames), steps, folder and folder / name, weights=weights,
                       seed=seed, clip=1000.0 if others else 5.0, rate=training.cosine(steps, min(100, steps // 4), 0.1), ema="vc",
                       ema_decay=budget.pick(quick=0.9, full=0.998), log_every=budget.pick(quick=20, full=50))
    assert result["finished"], f"{name} stopped at step {result['step']} of {steps}: run this again to go on from there"
    net.load_state_dict(result["ema"].state_dict())
    [one.cpu().eval() for one in nets.values()]
    return result["log"], {"stage": name, "steps": steps, "seconds": result["seconds"], "s/step": result["seconds"] / steps}


if START != "kept":
    gentle = 0.1 if START == "shipped" else 1.0
    log, *bill = stage("content", content, vc, [vc.content, vc.flow, vc.register, reader], *budget.pick(quick=(8, 96, 40), full=(12, 256, 3700)), 1e-3 * gentle, seed=1)
    bill += stage("ear", hearing, ear, [ear], *budget.pick(quick=(8, 96, 30), full=(24, 96, 5000)), 1e-3, seed=3)[1:]
    listener, ear = (copy.deepcopy(one).requires_grad_(False) for one in (vc.content, ear))
    others, size = {"critic": critic, "judge": judge, "listener": listener, "ear": ear}, budget.pick(quick=(4, 96, 6), full=(10, 128, 3000))
    softly = {"voice": 6.0, "away": 0.0, "words": 14.0, "same": 0.0, "own": 0.0, "self": 0.0}  # for flow and prior
    more, line = stage("finish", finish, vc, [vc.content, vc.flow, vc.register, codec.decoder], *size, 3e-4 * gentle, others, WEIGHTS | softly, seed=4)
    _, last = stage("decoder", finish, vc, [codec.posterior, codec.decoder], *size[:2], budget.pick(quick=6, full=1000), 3e-4 * gentle, others, WEIGHTS | {"kl": 0.0, "contrastive": 0.0, "register": 0.0}, seed=5)
    show.display(show.losses(log + more, ["kl", "contrastive"], "What is predicted, and what is kept"), show.table([*bill, line, last], "What it cost"))

# %% [markdown]
# ## 6. What is the contrastive loss good for?
#
# The paper's ablation: without it, WER 39.1 instead of 30.6 %, similarity 3.79 instead of 3.97 of 5. "Content
# information and speaker timbre are not well decoupled." We can ask the code itself, which is cheaper and sharper than
# asking the converted speech. Nine models from the same random start, three seeds with the loss, three with a tenth of its weight,
# three without, all else equal and nothing read from texts (25 steps at quick budget, 1,200 at full). For each, three questions:
#
# - **Does the code know who speaks?** Eight clips each of twenty training voices become vectors, mean and spread of their
#   codes. Does the nearest other vector belong to the same person? Chance is 4.4 %. *Lower is better.*
# - **Does the code know what is said?** A frame of a clip, and all frames of its *perturbed copy*: is the right one, give or
#   take one, the nearest? *Higher is better.*
# - **How well does it convert?** Parallel sentences exist in the embedded corpus, so a converted sentence can be laid
#   against the *target's own recording* of it: MCD in dB. *Lower is better.* (With no detail, see section 5: whatever the code
#   has lost is lost.)
#
# At quick budget these are models of a minute on twenty voices; the gap between the rows is what counts, and whether it
# is larger than its interval.

# %%
def know(net, parallel):
    """Answers to the three questions as a dict; parallel: (source, target) rows of one text."""
    codes = {}
    with torch.inference_mode():
        for i in [i for mine in [one for one in clips.people.values() if len(one) >= 8][:20] for i in mine[:8]]:
            views = [torch.tensor(np.asarray(one[first[i]: first[i + 1]], "float32").T)[None] for one in mels[:2]]
            mask = torch.ones(1, 1, views[0].shape[2])
            codes[i] = [torch.nn.functional.normalize(net.content(standardise(view, mask), mask)[0], dim=0) for view in views]
    vectors = standardise(torch.stack([torch.cat([one.mean(1), one.std(1)]) for one, _ in codes.values()], 1)[None], torch.ones(1, 1, len(codes)))[0].T
    near, who = (vectors @ vectors.T).fill_diagonal_(-torch.inf).argmax(1), clips.speaker[list(codes)]
    found = [((one.T @ two).argmax(1) - torch.arange(one.shape[1])).abs().le(1).float().mean().item() for one, two in codes.values()]
    return {"voice guessed (%)": 100 * (who[near.numpy()] == who).mean(), "frame found (%)": 100 * np.mean(found),
            "MCD (dB)": np.mean([metrics.mcd(say(net, *pair, detail=0.0), corpus.wav(pair[1])) for pair in parallel])}


def say(net, row, voice, **how):
    """Sound of one row in the voice of another row."""
    torch.manual_seed(0)
    wavs = [torch.tensor(corpus.wav(one))[None, None] for one in (row, voice)]
    return audio.normalise(net.convert(wavs[0], *(encoder.embed(wav)[None].detach() for wav in wavs), **how)[0, 0].numpy())


def couples(some, borrowed, count):
    """Pairs of rows, one of `some` and one of `borrowed`, by two people; those who say the same words come first."""
    rng = np.random.default_rng(0)
    found = [(row, max(rng.permutation(borrowed), key=lambda other: (other["speaker"] != row["speaker"], other["text"] == row["text"]))) for row in rng.permutation(some)]
    return sorted(found, key=lambda pair: pair[0]["text"] != pair[1]["text"])[:count]


pairs, answers = couples(*[[row for row in virtual if row["split"] == "valid"]] * 2, 4), {"with": [], "with a tenth of": [], "without": []}

# %%
for seed, (name, known) in [(seed, one) for seed in range(3) for one in answers.items()]:
    (net := FlowVAE(config, codec)).load_state_dict(fresh.state_dict())
    weights = WEIGHTS | {"token": 0.0, "contrastive": WEIGHTS["contrastive"] * {"with": 1.0, "with a tenth of": 0.1, "without": 0.0}[name]}
    stage(f"{name} {seed}", content, net, [net.content, net.flow, net.register, reader], 8, 96, budget.pick(quick=25, full=1200), 1e-3, weights=weights, seed=seed, folder=None)
    known.append((know(net, pairs), net))
summary = {question: {name: statistics.mos_ci([one[question] for one, _ in known]) for name, known in answers.items()} for question in answers["with"][0][0]}
show.display(show.table([{"question": question, **{f"{name} the contrastive loss": "{:.1f} ({:.1f} to {:.1f})".format(*ci) for name, ci in by.items()}}
                         for question, by in summary.items()], "Mean of three seeds and its 95 % interval"))

# %% [markdown]
# ### Exercise 1
#
# Suppose the code of every frame were the same vector, so that all cosines are 1. What is the contrastive loss of a clip of
# F = 97 frames, at any temperature? (Mean over frames; natural logarithm.)

# %%
constant = None

show.exercise(1, constant, lambda answer: abs(answer - np.log(96)) < 0.01, "Each Ctr has 2 (F - 1) equal terms below, one above; two of them are added.")

# %% [markdown]
# <details><summary>Solution 1</summary>
#
# `constant = np.log(96)`: each of the two Ctr is 1 / (2 · 96), their sum is 1 / 96. A code that says nothing gets 4.56, so a
# training loss well under that means that frames have become distinguishable.
# </details>
#
# ## 7. The paper's tables in small
#
# Four situations, by whether source and target are among the voices that this run trained on. (A quick run trains on the
# virtual voices of the embedded corpus, but "ours" begins with the shipped weights, which met real people instead.) Where the corpus
# has a sentence twice, by two people, such pairs are taken. The rows of the table:
#
# - **the source** itself: the top line for WER, the floor for similarity;
# - **WORLD statistics**, what was used before anything was learned from many voices: take speech apart into pitch, spectral
#   envelope and noise (the WORLD vocoder), move mean and spread of log-pitch and of each cepstral coefficient to those of
#   the target's clip, put it together. If `pyworld` is not installed, its rows are left out;
# - **flow of lesson 03**: `Vits.convert`, which carries the source's own `z` through the flow to the other voice. Its
#   timbre moves, but nothing takes the old voice out of what passes through;
# - **ours**, with all detail, and with none, as in the paper;
# - **with**, **with a tenth of** and **without the contrastive loss**: the models of section 6, with no detail; the length of the
#   sentence decides which of the three seeds says it.
#
# SECS is the cosine to the *target* and, beside it, to the *source*: a conversion has happened when the first exceeds the
# second. (Judged by our own encoder, which is lenient with us.) MCD as above.
#
# A second table comes from a judge who was not there when we trained: whisper-base for the words, for the voices an encoder
# that is not ours. Its intervals are over clips, not over people (all unseen sources are by six). The sounds of
# section 7 stay in the folder `tables`; `make judge TASK=situations` listens to those of a full run on LibriSpeech whose
# `START` was `"kept"`, so that "ours" are the shipped weights, *seen* means the people they were trained on, and the models of
# section 6 have learned for 1,200 steps. What it said is in `assets/situations.json`.

# %%
import json


def embed(wav):
    return encoder.embed(torch.tensor(wav)[None, None]).detach().numpy()


def world(row, voice, order=24):
    """A row in the voice of another by WORLD's statistics; None without pyworld."""
    try:
        import pyworld
    except ImportError:
        return None
    parts = []
    for one in (row, voice):
        wav = corpus.wav(one).astype("float64")
        hz, t = pyworld.harvest(wav, audio.RATE)
        envelope, rough = pyworld.cheaptrick(wav, hz, t, audio.RATE), pyworld.d4c(wav, hz, t, audio.RATE)
        parts.append((hz, pyworld.code_spectral_envelope(envelope, audio.RATE, order), rough))
    (hz, cepstra, rough), (to_hz, to_cepstra, _) = parts
    voiced, log_hz, to_log = hz > 0, np.log(hz[hz > 0]), np.log(to_hz[to_hz > 0])
    hz[voiced] = np.exp((log_hz - log_hz.mean()) / log_hz.std() * to_log.std() + to_log.mean())
    moved = (cepstra - cepstra.mean(0)) / cepstra.std(0) * to_cepstra.std(0) + to_cepstra.mean(0)
    moved[:, 0] = cepstra[:, 0]  # loudness stays the source's
    envelope = pyworld.decode_spectral_envelope(np.ascontiguousarray(moved), audio.RATE, pyworld.get_cheaptrick_fft_size(audio.RATE))
    return audio.normalise(pyworld.synthesize(hz, envelope, rough, audio.RATE).astype("float32"))


# %%
systems = {"the source": lambda row, voice: corpus.wav(row), "WORLD statistics": world, "flow of lesson 03": lambda *pair: say(vits, *pair),
           "ours, detail 0": lambda *pair: say(vc, *pair, detail=0.0), "ours": lambda *pair: say(vc, *pair),
           **{f"{name} the contrastive loss": lambda row, voice, known=known: say(known[len(row["text"]) % 3][1], row, voice, detail=0.0) for name, known in answers.items()}}
sides, table = {"unseen": corpus.rows(corpus.source(BUDGET), "valid")}, []
sides["seen"] = [row for row in rows if row.get("source") in {other.get("source") for other in sides["unseen"]}]
for situation in ("seen to seen", "unseen to seen", "seen to unseen", "unseen to unseen"):
    some, borrowed = (sides[side] for side in situation.split(" to "))
    chosen = couples([row for row in some if row.get("text_kind") != "asr"], borrowed, budget.pick(quick=4, full=24))
    for name, system in systems.items():
        wavs = [(row, other, system(row, other)) for row, other in chosen]
        if wavs[0][2] is None:
            continue
        to, of = (np.array([metrics.secs(embed(wav), embed(corpus.wav(pair[k]))) for *pair, wav in wavs]) for k in (1, 0))
        mcd = [metrics.mcd(wav, corpus.wav(other)) for row, other, wav in wavs if row["text"] == other["text"]]
        (folder := RUN / "tables" / f"{situation}, {name}").mkdir(parents=True, exist_ok=True)
        for i, (_, other, wav) in enumerate(wavs):
            audio.save(folder / f"{i}.wav", audio.RATE, wav), audio.save(folder / f"voice-{i}.wav", audio.RATE, corpus.wav(other))
        (folder / "manifest.jsonl").write_text("".join(
            json.dumps({"wav": f"{i}.wav", "text": row["text"], "reference": f"voice-{i}.wav"}) + "\n" for i, (row, *_) in enumerate(wavs)))
        columns = {what: "{:.2f} ({:.2f} to {:.2f})".format(*statistics.mos_ci(x)) if len(x) > 1 else "no text twice" for what, x in (("SECS to target", to), ("to source", of), ("MCD (dB)", mcd))}
        table.append({"situation": situation, "system": name, **columns, "nearer to target (%)": float(100 * (to > of).mean())})
show.display(show.table(table, f"{len(chosen)} pairs a situation; 95 % intervals"))
print("" if any(row["system"].startswith("WORLD") for row in table) else "no WORLD rows: pip install pyworld 'setuptools<81'")
if (said := CHECKPOINTS.parent / "situations.json").exists():
    show.display(show.table(json.loads(said.read_text()), "Said by the judge"))

# %% [markdown]
# **Against the paper.** There, going from seen to unseen speakers cost 0.16 of 5 in similarity and 0.18 in naturalness:
# little. In the judge's table it costs the shipped weights voice (the intervals of SECS in the first situation and in the last
# do not meet); what it costs in words is within the intervals. WORLD keeps nearly every word, but most of its results stay
# nearer to the source than to the target: that is what is gained. (MCD hardly told the paper's systems apart: 4.56 with, 4.53
# without the contrastive loss, although listeners heard a clear difference. Distrust it accordingly: it sees the average
# spectrum and is blind to most of what makes a voice a voice.)
#
# **And the contrastive loss?** Section 6 at full size (`contrastive` in the card of `flow_vae`): on the *code* it does what
# the paper says of content, as the frame of the copy is found in all cases instead of three of four; whether the voice is
# guessed less often, three seeds do not tell. In the *speech*, less of the source's voice is left (SECS to the source is .02
# to .05 lower than without the loss, in all four situations), and that is what the paper says, too. But the paper's gain in
# words we cannot confirm: a tenth of the loss changes little, and all of it costs words, plainly.
#
# One reading of that: `kl` alone asks for much of the same, since the prior hears the perturbed copy and must foresee the
# latents of the original, and the other remedies have taken the average spectrum and the pitch away. What the loss asks for
# beyond is that any two frames differ, two of one vowel as well, and in a training of minutes that room is missed elsewhere.
# (The shipped weights had it beside `token`, which wants the frames of one sound to be alike.) The paper had neither of the
# other remedies, and four days.
#
# ## 8. Play
#
# - **detail** is that of section 5: 0 is the paper's way, 1 keeps all that the prior did not foresee. Listen to the
#   consonants at one end and for the old voice at the other.
# - **rounds** and **guidance**, too: how often the model corrects itself before it lets go, and how far it is led from the old voice.
# - **strength** moves the voice vector from the source's own (0) to the target's (1), along the sphere. In between lives
#   a person who does not exist.
# - **pitch** moves the register the same way: at 0 the new voice keeps the melody at its old height.
# - **semitones** are added to that.
#
# Try strength 1 with pitch 0, then strength 0 with pitch 1. Which of the two sounds more like the target? Timbre and pitch
# are two different things, and most people are surprised by which one carries the person.

# %%
def turn(detail, rounds, guidance, strength, pitch, semitones):
    """Convert the source with these settings: a player."""
    vc.config, (own, other) = FlowVAEConfig(rounds=rounds, guidance=guidance), (torch.tensor(embed(corpus.wav(row))) for row in (source, target))
    mixed = torch.nn.functional.normalize((1 - strength) * own + strength * other, dim=0)
    wav = vc.convert(torch.tensor(original)[None, None], own[None], mixed[None], pitch, semitones, detail)[0, 0].numpy()
    show.display(show.player(audio.normalise(wav), label=f"strength {strength:g}, pitch {pitch:g}, {semitones:+d} semitones"))


show.sliders(turn, detail=(0.0, 1.0, 0.1, 1.0), rounds=(0, 8, 1, config.rounds), guidance=(0.0, 1.0, 0.1, config.guidance), strength=(0.0, 1.0, 0.1, 1.0), pitch=(0.0, 1.0, 0.1, 1.0), semitones=(-12, 12, 1, 0))

# %% [markdown]
# ### Exercise 2
#
# A long recording does not go through the model at once: memory would grow with it. `audio.chunked` cuts it into stretches
# that overlap, and fades from one to the next. Write `fade(n)`: the gain `[n]` of the stretch that *comes in*, from 0 to 1, so
# that it and the gain of the one that goes out (`1 - fade(n)`) always add up to one, and that the outer quarters, where one
# of the two stretches has not heard its surroundings, belong to the other alone.

# %%
fade = None  # for example: lambda n: ...

show.exercise(2, fade, lambda answer: all((g := np.asarray(answer(n)))[0] == 0 and g[-1] == 1 and not g[: n // 4].any() and (g[-(n // 4):] == 1).all()
              and np.abs(np.diff(g)).max() < 4 / n for n in (64, 1000)), "A straight line from -1/2 to 3/2, cut off at 0 and 1.")

# %% [markdown]
# <details><summary>Solution 2</summary>
#
# `fade = lambda n: np.clip(np.linspace(-0.5, 1.5, n), 0, 1)`, which is what `audio.chunked` does.
# </details>
#
# ## 9. Keep it
#
# Only the three new parts are saved here; the rest is lesson 03's, whose decoder has learned along and is saved again. That makes the two
# folders a pair: latents of *another* autoencoder would be gibberish to this one. So the card names the weights it belongs to.

# %%
ours = [row for row in table if row["system"] == "ours" and row["situation"] == "unseen to unseen"][0]
spent = "; ".join(f"{one['stage']} {one['steps']} steps in {one['seconds']:.0f} s" for one in bill)
training.save(RUN / "codec", codec, codec.config, codec_card | {"decoder": f"learned, in the end with the posterior, in lesson 06, {bill[-2]['steps']} and {bill[-1]['steps']} steps"}, pack=True)
card = {"name": "flow_vae", "source": "notebooks/src/06_voice_conversion.py", **corpus.credits(rows), "start": vits_card["budget"],
        "budget": f"{BUDGET}, from {START}: {spent}; {budget.device()}", "figures": {**ours, "ablation": {key: str(value) for key, value in summary.items()}}}
training.save(RUN / "export", vc, config, card, pack=True, lenders={"codec": RUN / "codec"})
show.display(show.table([{"card": key, "says": str(value)} for key, value in card.items()]))

# %% [markdown]
# ## Where to go from here
#
# - **Your voice.** `say` takes rows; for files use the app's tab *Convert*, or `Voices.load().convert("me.wav", "other.wav")`.
#   Ask the other first.
# - **Take a remedy away.** Replace `standardise` by the identity, or `mel_hat` by `mel` in `stretches`, train again, and watch
#   SECS to the source rise. Which of the four hiding places matters most?
# - **Whisper** into the microphone. A whisper has no pitch at all. What does the model do with f0 = 0 throughout?
# - **Longer.** `DEMO_BUDGET=full .venv/bin/accelerate launch notebooks/src/06_voice_conversion.py` is this same file,
#   without pictures.
#
# Sources: Flow-VAE VC (Xu et al., 2023), NANSY (Choi et al., 2021) for the perturbation, AdaIN-VC (Chou et al., 2019) for
# instance normalisation, VITS (Kim et al., 2021), YourTTS (Casanova et al., 2022) for the consistency of voices. The README
# lists them in full.
