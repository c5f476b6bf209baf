# %%
import os
import sys
sys.path.insert(0, os.path.abspath(".." if os.path.basename(os.getcwd()) == "notebooks" else "."))
import numpy as np
import torch
from lib import audio, budget, corpus, losses, text, train
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.models.vits import Vits, VitsConfig
from lib.nn import slices
from lib.vocoder import Discriminator

BUDGET = budget.current()
RUN = f"runs/03-{BUDGET}"
encoder, encoder_card = train.load(os.environ.get("VOICE_ATLAS_ENCODER", "assets/checkpoints/speaker_encoder"), SpeakerEncoder, SpeakerEncoderConfig)
rows = corpus.rows(corpus.source(BUDGET), "train", hours=budget.pick(quick=0.3, full=100))


def embed(wav):
    return encoder.windows(torch.tensor(wav)[None, None]).numpy()


clips = corpus.Clips(rows, "runs/cache", embed, tag=encoder_card["figures"]["eer"])
print(len(rows), "clips,", clips.left_out, "left out,", len(clips.people), "people")
# %%
torch.manual_seed(0)
config = VitsConfig(len(text.SYMBOLS))
vits, critic = Vits(config), Discriminator()
WEIGHTS = {"mel": 45.0, "kl_standard": 5.0, "adv": 5.0, "fm": 40.0, "critic": 1.0, "kl": 50.0, "duration": 1.0, "rhythm": 1.0}
BATCH = budget.pick(quick=4, full=24)


def autoencoder(nets, batch):
    """z from sound, sound from z: mel loss and a pull to N(0, 1) only."""
    out = nets["vits"](batch | {"spec": audio.spectrogram(batch["wav"])}, ("autoencoder",))
    wav = slices(batch["wav"], out["start"] * audio.HOP, out["wav_hat"].shape[2])
    yield "vits", {"mel": losses.multi_mel(out["wav_hat"], wav), "kl_standard": losses.kl_standard(out["m_q"], out["logs_q"], out["z_mask"])}


def adversarial(nets, batch, parts=("autoencoder",)):
    """The critic first; then the generator, against the critic just updated."""
    out = nets["vits"](batch | {"spec": audio.spectrogram(batch["wav"])}, parts)
    wav = slices(batch["wav"], out["start"] * audio.HOP, out["wav_hat"].shape[2])
    scores, _ = nets["critic"](torch.cat([wav, out["wav_hat"].detach()]))
    real, fake = zip(*(s.chunk(2) for s in scores))
    yield "critic", {"critic": losses.discriminator_adv(real, fake)}
    scores, fmaps = nets["critic"](torch.cat([wav, out["wav_hat"]]))
    fmap_r, fmap_g = zip(*(zip(*(f.chunk(2) for f in fmap)) for fmap in fmaps))
    parts = {"mel": losses.multi_mel(out["wav_hat"], wav), "adv": losses.generator_adv([s.chunk(2)[1] for s in scores]),
             "fm": losses.feature_matching(fmap_r, fmap_g)}
    if "z_p" in out:
        parts |= prior_losses(out)
    else:
        parts["kl_standard"] = losses.kl_standard(out["m_q"], out["logs_q"], out["z_mask"])
    yield "vits", parts


def prior_losses(out):
    return {"kl": losses.kl(out["z_p"], out["logs_q"], out["m_p"], out["logs_p"], out["z_mask"]),
            "duration": losses.duration_mse(out["logw"], out["w"], out["x_mask"]), "rhythm": out["rhythm"].mean()}


def adam(rate, *modules):
    return torch.optim.AdamW([p for m in modules for p in m.parameters()], rate, (0.8, 0.99), weight_decay=0.01)


# %%
half = [vits.conditioning, vits.posterior, vits.decoder]
STEPS = budget.pick(quick=60, full=2500)
result = train.fit(autoencoder, {"vits": vits}, {"vits": adam(1e-3, *half)}, lambda rng: clips.crops(rng, BATCH, 64), STEPS, f"{RUN}/mel",
                   weights=WEIGHTS, rate=train.cosine(STEPS, floor=0.3), clip=1000, seed=1)
# %%
STEPS = budget.pick(quick=20, full=1800)
result = train.fit(adversarial, {"vits": vits, "critic": critic}, {"vits": adam(4e-4, *half), "critic": adam(4e-4, critic)},
                   lambda rng: clips.crops(rng, BATCH * 2 // 3, 64), STEPS, f"{RUN}/adversarial", weights=WEIGHTS, rate=train.cosine(STEPS, 100, 0.2),
                   ema="vits", ema_decay=0.995, clip=1000, seed=2)
# %%
vits.load_state_dict(result["ema"].state_dict())


def latents():
    """m_q and logs_q of every clip, [sum F, 2, C] in half precision: the prior is trained on these, not on sound."""
    path = f"{RUN}/latents.npy"
    if not os.path.exists(path):
        out = np.lib.format.open_memmap(path + ".new", "w+", "float16", (int(clips.frames.sum()), 2, config.C))
        first = 0
        with torch.inference_mode():
            for i, frames in enumerate(clips.frames):
                wav = torch.tensor(clips.wav(i)[: frames * audio.HOP])[None, None]
                spk_emb = torch.tensor(clips.voice(np.random.default_rng(i), i, 0.0))[None]
                g = vits.conditioning(spk_emb, band=torch.tensor(clips.band[i:i + 1]))
                m_q, logs_q = vits.posterior(audio.spectrogram(wav), torch.ones(1, 1, int(frames)), g)
                out[first: first + frames] = torch.stack([m_q[0].T, logs_q[0].T], 1).numpy()
                first += frames
        os.rename(path + ".new", path)
    return np.load(path, mmap_mode="r")


vits.eval()
z = latents()
# %%


def prior(nets, batch):
    """Text to z, on cached latents: no sound is touched."""
    yield "vits", prior_losses(nets["vits"](batch, ("prior",)))


text_half = [vits.text, vits.flow, vits.durations, vits.rhythm]
everybody = clips.order
FRAMES = budget.pick(quick=1500, full=6000)
STEPS = budget.pick(quick=40, full=600)
one_voice = [i for i in clips.order if clips.rows[i]["speaker"] == budget.pick(quick="va-00", full="tv-heart")]
clips.order = np.array(one_voice) if len(one_voice) > 1 else everybody
result = train.fit(prior, {"vits": vits}, {"vits": adam(1e-3, *text_half)}, lambda rng: clips.batch(rng, FRAMES, z), STEPS, f"{RUN}/one-voice",
                   weights=WEIGHTS, rate=train.cosine(STEPS, floor=0.8), seed=3)
clips.order = everybody
STEPS = budget.pick(quick=60, full=4000)
result = train.fit(prior, {"vits": vits}, {"vits": adam(1e-3, *text_half)}, lambda rng: clips.batch(rng, FRAMES, z), STEPS, f"{RUN}/prior",
                   weights=WEIGHTS, rate=train.cosine(STEPS, floor=0.2), ema="vits", ema_decay=0.998, seed=4)
# %%
vits.load_state_dict(result["ema"].state_dict())


def joint(nets, batch):
    yield from adversarial(nets, batch, ("autoencoder", "prior"))


STEPS = budget.pick(quick=20, full=1500)
result = train.fit(joint, {"vits": vits, "critic": critic}, {"vits": adam(3e-4, vits), "critic": adam(3e-4, critic)},
                   lambda rng: clips.batch(rng, FRAMES), STEPS, f"{RUN}/joint", weights=WEIGHTS, rate=train.cosine(STEPS, 100, 0.2),
                   ema="vits", ema_decay=0.998, clip=1000, seed=5)
