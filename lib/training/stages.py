"""What the lessons repeat: clips and latents, losses of a prior, the two turns of an adversarial step, a
stage of a run.
"""
from pathlib import Path

import torch

from lib import losses
from lib.data.clips import Clips
from lib.training.checkpoint import fingerprint
from lib.training.fit import cosine, fit

BETAS = (0.8, 0.99)  # of AdamW, as in [VITS] sec. 3.3 and [SATTS]
DECAY = 0.01  # of weights, as there


def ready(rows, folder, encoder):
    """Make rows ready for training (Clips), their voices by a speaker encoder; kept in folder."""
    def windows(wav):
        return encoder.windows(torch.tensor(wav)[None, None]).numpy()
    return Clips(rows, folder, windows, fingerprint(encoder))


def latents(clips, folder, codec):
    """Encode all clips once: m_q and logs_q [sum F, 2, C], kept in folder under the codec's fingerprint."""
    def encode(wav, spk_emb, band):
        voice = torch.tensor(spk_emb)[None]
        return codec.encode(torch.tensor(wav)[None, None], voice, torch.tensor([band]))[:2]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return clips.latents(folder / f"latents-{fingerprint(codec)}.f16", encode)


def prior_losses(out):
    """Losses {name: scalar} of text that predicts z, of the outputs of `Vits.forward` with the part "prior".

    Source: the second half of [VITS] eq. (1); kl is eq. (3), rhythm the variational bound of durations,
    [VITS] sec. 2.2.3."""
    return {
        "kl": losses.kl(out["z_p"], out["logs_q"], out["m_p"], out["logs_p"], out["z_mask"]),
        "duration": losses.duration_mse(out["logw"], out["w"], out["x_mask"]),
        "rhythm": out["rhythm"].mean(),
    }


def critic_losses(critic, wav, *fakes):
    """The critic's turn, {"critic": scalar}: recordings wav [B, 1, T] are real, fakes of that shape are not.

    No gradient reaches the fakes.  All go through the critic in one batch."""
    scores, _ = critic(torch.cat([wav, *fakes]).detach())
    parts = [score.chunk(1 + len(fakes)) for score in scores]  # per critic: real, first fake, ...
    real = [part[0] for part in parts]
    terms = []
    for k in range(1, 1 + len(fakes)):
        terms.append(losses.discriminator_adv(real, [part[k] for part in parts]))
    return {"critic": sum(terms) / len(fakes)}


def generator_losses(critic, wav, wav_hat, other=None):
    """The generator's turn, against the critic just updated: {"adv", "fm": scalar}; sound is [B, 1, T].

    wav_hat is the same speech as wav, so that its features should match.
    other: speech without such a twin (a converted voice); it only has to pass for real: "adv_other"."""
    fakes = [wav_hat] if other is None else [wav_hat, other]
    scores, fmaps = critic(torch.cat([wav, *fakes]))
    count = 1 + len(fakes)
    fmap_r = [[feature.chunk(count)[0] for feature in fmap] for fmap in fmaps]
    fmap_g = [[feature.chunk(count)[1] for feature in fmap] for fmap in fmaps]
    terms = {
        "adv": losses.generator_adv([score.chunk(count)[1] for score in scores]),
        "fm": losses.feature_matching(fmap_r, fmap_g),
    }
    if other is not None:
        terms["adv_other"] = losses.generator_adv([score.chunk(count)[2] for score in scores])
    return terms


def stage(name, step, nets, learn, draw, steps, *, lr, weights, folder=None, warmup=200, floor=0.05,
          average=None, betas=BETAS, **more):
    """Train the modules learn {optimiser name: [modules]} by `fit` with AdamW; all else in nets is frozen.

    A stage has a folder of its own, folder/name, from which an interrupted run goes on.  lr rises over
    `warmup` steps (at most a third of all), then falls along a cosine to `floor` of itself.
    average: (net name, decay): at the end the averaged weights of that net replace its last ones.
    betas: of AdamW.  more: further settings of `fit` (seed, clip, log_every, ...).
    Returns (log, bill), bill a dict of what the stage cost; nets are left on the CPU, in eval mode.
    Raises KeyboardInterrupt when a signal stopped the run before its last step."""
    for net in nets.values():
        net.requires_grad_(False)
    optims = {}
    for key, modules in learn.items():
        parameters = [p for module in modules for p in module.requires_grad_(True).parameters()]
        optims[key] = torch.optim.AdamW(parameters, lr, betas, weight_decay=DECAY)
    averaged, decay = average or (None, 0.0)
    rate = cosine(steps, min(warmup, steps // 3), floor)
    result = fit(step, nets, optims, draw, steps, folder and folder / name, weights=weights, rate=rate,
                 ema=averaged, ema_decay=decay, **more)
    if not result["finished"]:
        raise KeyboardInterrupt(f"{name} stopped at step {result['step']} of {steps}: "
                                "run this again to go on from there.")
    if averaged:
        nets[averaged].load_state_dict(result["ema"].state_dict())
    for net in nets.values():
        net.cpu().eval()
    spent = {"stage": name, "steps": steps, "seconds": result["seconds"], "s/step": result["seconds"] / steps}
    return result["log"], spent
