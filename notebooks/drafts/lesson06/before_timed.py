import time as _t
_s=_t.time();_c=_t.process_time()
import importlib.util
import json
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


print("@@cell",0,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
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


print("@@cell",1,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
START = os.environ.get("VOICE_ATLAS_START", budget.pick(quick="shipped", full="nothing"))
START = START if (CHECKPOINTS / "flow_vae").is_dir() else "nothing"
virtual = corpus.rows()  # the embedded corpus: its last three speakers are nobody's training data
source, target = (next(row for row in virtual if row["speaker"] == speaker) for speaker in ("va-21", "va-20"))
show.display(show.player(corpus.wav(source), label="source"), show.player(corpus.wav(target), label="voice to borrow"))
if (CHECKPOINTS / "flow_vae").is_dir():
    shipped, _ = training.load(CHECKPOINTS / "flow_vae", FlowVAE, FlowVAEConfig, codec=codec)
    wavs = [torch.tensor(corpus.wav(row))[None, None] for row in (source, target)]
    show.display(show.player(audio.normalise(shipped.convert(wavs[0], *(encoder.embed(wav)[None].detach() for wav in wavs))[0, 0].numpy()), label="converted"))


print("@@cell",2,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
rows = [row for row in corpus.rows(corpus.source(BUDGET), "train", hours=budget.pick(quick=1, full=20)) if row.get("accent") in (None, "", "native")]
clips = Clips(rows, RUN.parent / "cache", lambda wav: encoder.windows(torch.tensor(wav)[None, None]).numpy(), training.fingerprint(encoder))
first = np.concatenate([[0], np.cumsum(clips.frames)])
mels, f0 = perturb.views(clips, RUN)  # once
z = clips.latents(RUN / f"latents-{lender}.f16", lambda wav, spk_emb, band: codec.encode(
    torch.tensor(wav)[None, None], torch.tensor(spk_emb)[None], torch.tensor([band]))[:2])
registers = np.array([audio.register(f0[a:b]) for a, b in zip(first, first[1:])], "float32")


print("@@cell",3,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
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


print("@@cell",4,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
original = corpus.wav(source)
show.display(show.player(original, label="as recorded"), show.spectrogram(original, title="as recorded"))
for k in range(3):
    copy_ = perturb.perturb(np.random.default_rng(k), original)
    show.display(show.player(copy_, label=f"perturbed, seed {k}"))
show.display(show.spectrogram(copy_, title="perturbed: the same pattern, stretched along the frequency axis"))


print("@@cell",5,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
c, c_hat = torch.randn(2, 64, 12, generator=torch.Generator().manual_seed(0))  # [K, F]


def ctr(t, one, two):  # equation 3 word for word; moment t of the other copy stands above, and neither t below
    alike = [(torch.cosine_similarity(one[:, t], x[:, n], dim=0) / 0.1).exp() for x in (two, one) for n in range(12)]
    return alike[t] / (sum(alike) - alike[t] - alike[12 + t])


same, noise = (losses.frame_contrastive(c[None], other[None], torch.ones(1, 1, 12), 0.1) for other in (c, c_hat))
assert torch.isclose(noise, torch.stack([-torch.log(ctr(t, c, c_hat) + ctr(t, c_hat, c)) for t in range(12)]).mean(), atol=1e-4)
print(f"twins agree; a perfect code {same:.1f}, noise {noise:.1f}")


print("@@cell",6,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
mel, mask = audio.mel(torch.tensor(original)[None, None]), torch.ones(1, 1, len(original) // audio.HOP)
gains = torch.linspace(-3, 3, 80)[None, :, None]  # tilts the spectrum by 52 dB from the lowest band to the highest
moved = [(change(mel + gains) - change(mel)).abs().max().item() for change in (lambda x: x, lambda x: standardise(x, mask))]
print("a tilt moves the mel by up to {:.1f}, the standardised mel by {:.1f}".format(*moved))


print("@@cell",7,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
torch.manual_seed(0)
config = FlowVAEConfig()
fresh, vc, critic, judge = FlowVAE(config, codec), FlowVAE(config, codec), Discriminator(), copy.deepcopy(encoder).requires_grad_(False)
[net.flow.load_state_dict(vits.flow.state_dict()) for net in (fresh, vc)]  # a start: the flow of lesson 03
if START != "nothing":
    vc, _ = training.load(CHECKPOINTS / "flow_vae", FlowVAE, FlowVAEConfig, codec=codec)
if (CHECKPOINTS / "discriminator").is_dir():
    critic.load_state_dict(training.read(CHECKPOINTS / "discriminator"))
print({part: f"{sum(p.numel() for p in net.parameters()) / 1e6:.1f} million numbers" for part, net in vc.named_children()})


print("@@cell",8,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
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


print("@@cell",9,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
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


print("@@cell",10,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
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


print("@@cell",11,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
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


print("@@cell",12,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
for seed, (name, known) in [(seed, one) for seed in range(3) for one in answers.items()]:
    (net := FlowVAE(config, codec)).load_state_dict(fresh.state_dict())
    weights = WEIGHTS | {"token": 0.0, "contrastive": WEIGHTS["contrastive"] * {"with": 1.0, "with a tenth of": 0.1, "without": 0.0}[name]}
    stage(f"{name} {seed}", content, net, [net.content, net.flow, net.register, reader], 8, 96, budget.pick(quick=25, full=1200), 1e-3, weights=weights, seed=seed, folder=None)
    known.append((know(net, pairs), net))
summary = {question: {name: statistics.mos_ci([one[question] for one, _ in known]) for name, known in answers.items()} for question in answers["with"][0][0]}
show.display(show.table([{"question": question, **{f"{name} the contrastive loss": "{:.1f} ({:.1f} to {:.1f})".format(*ci) for name, ci in by.items()}}
                         for question, by in summary.items()], "Mean of three seeds and its 95 % interval"))


print("@@cell",13,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
constant = None

show.exercise(1, constant, lambda answer: abs(answer - np.log(96)) < 0.01, "Each Ctr has 2 (F - 1) equal terms below, one above; two of them are added.")


print("@@cell",14,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
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



print("@@cell",15,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
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


print("@@cell",16,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
def turn(detail, rounds, guidance, strength, pitch, semitones):
    """Convert the source with these settings: a player."""
    vc.config, (own, other) = FlowVAEConfig(rounds=rounds, guidance=guidance), (torch.tensor(embed(corpus.wav(row))) for row in (source, target))
    mixed = torch.nn.functional.normalize((1 - strength) * own + strength * other, dim=0)
    wav = vc.convert(torch.tensor(original)[None, None], own[None], mixed[None], pitch, semitones, detail)[0, 0].numpy()
    show.display(show.player(audio.normalise(wav), label=f"strength {strength:g}, pitch {pitch:g}, {semitones:+d} semitones"))


show.sliders(turn, detail=(0.0, 1.0, 0.1, 1.0), rounds=(0, 8, 1, config.rounds), guidance=(0.0, 1.0, 0.1, config.guidance), strength=(0.0, 1.0, 0.1, 1.0), pitch=(0.0, 1.0, 0.1, 1.0), semitones=(-12, 12, 1, 0))


print("@@cell",17,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
fade = None  # for example: lambda n: ...

show.exercise(2, fade, lambda answer: all((g := np.asarray(answer(n)))[0] == 0 and g[-1] == 1 and not g[: n // 4].any() and (g[-(n // 4):] == 1).all()
              and np.abs(np.diff(g)).max() < 4 / n for n in (64, 1000)), "A straight line from -1/2 to 3/2, cut off at 0 and 1.")


print("@@cell",18,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
ours = [row for row in table if row["system"] == "ours" and row["situation"] == "unseen to unseen"][0]
spent = "; ".join(f"{one['stage']} {one['steps']} steps in {one['seconds']:.0f} s" for one in bill)
training.save(RUN / "codec", codec, codec.config, codec_card | {"decoder": f"learned, in the end with the posterior, in lesson 06, {bill[-2]['steps']} and {bill[-1]['steps']} steps"}, pack=True)
card = {"name": "flow_vae", "source": "notebooks/src/06_voice_conversion.py", **corpus.credits(rows), "start": vits_card["budget"],
        "budget": f"{BUDGET}, from {START}: {spent}; {budget.device()}", "figures": {**ours, "ablation": {key: str(value) for key, value in summary.items()}}}
training.save(RUN / "export", vc, config, card, pack=True, lenders={"codec": RUN / "codec"})
show.display(show.table([{"card": key, "says": str(value)} for key, value in card.items()]))


print("@@cell",19,round(_t.time()-_s,1),round(_t.process_time()-_c,1),flush=True);_s=_t.time();_c=_t.process_time()
