# DRAFT, parts run by hand: two sections for lesson 03 (already 20 of 20 code cells!). Needs: from lib.losses import flow_matching as fm;
# from lib.training import stages; from lib.data import references; from lib.data.decoded import digest, kept_array; from lib.audio import praat.
# %% [markdown]
# ### A decoder with a source of its own
#
# A voice is two things at once: pulses of the vocal folds, which are *harmonics* of one pitch, and the *noise* of air.
# The decoder above has to invent both. This one is given them: a pulse train at f0 and white noise, and it learns only
# what the throat does to them, band by band. What lies between is known without any training, a log-mel of 128 bands
# and f0, so whoever predicts it later need not wait for this half, and f0 can be heard, drawn and moved.

# %%
harmonic = HarmonicCodec()
if START == "shipped" and (CHECKPOINTS / "harmonic").is_dir():
    harmonic, _ = training.load(CHECKPOINTS / "harmonic", HarmonicCodec, HarmonicCodecConfig)
harmonic_critic = Discriminator()
HOP, CROP = harmonic.config.hop, 40  # samples of a frame (12.5 ms); frames of a stretch
LATER = budget.pick(quick=0, full=2550)  # steps without the critic


def tracks():
    """f0 of every clip, an array of arrays."""
    out = np.empty(len(clips.rows), dtype=object)
    for i in range(len(out)):
        out[i] = praat.track(clips.wav(i), HOP)
    return out


f0 = kept_array(RUN.parent / "cache" / f"{digest(clips.rows, 'text', 'speaker')}-f0.npy", tracks)


# %%
def throat(rng, count):
    """Stretches; a quarter are played .85 to 1.2 times as fast: another throat, another pitch."""
    lengths = np.array([len(track) for track in f0])
    wavs, pitches = np.zeros((count, 1, CROP * HOP), "float32"), np.zeros((count, CROP), "float32")
    for row, i in enumerate(rng.choice(len(f0), count, p=lengths / lengths.sum())):
        factor = rng.uniform(0.85, 1.2) if rng.random() < 0.25 else 1.0
        size = min(int(np.ceil(CROP * factor)) + 1, lengths[i])
        begin = rng.integers(lengths[i] - size + 1)
        wav = clips.wav(i)[begin * HOP: (begin + size) * HOP]
        wav = audio.resample(wav, round(audio.RATE * factor), audio.RATE)[: CROP * HOP]
        at = ((np.arange(CROP) + 0.5) * factor).astype(int)
        at = at[at < size]
        gain = min(10 ** (rng.uniform(-9, 4) / 20), 0.97 / max(np.abs(wav).max(), 1e-4))
        wavs[row, 0, : len(wav)] = wav * gain
        pitches[row, : len(at)] = f0[i][begin + at] * factor
    return {"wav": torch.tensor(wavs), "f0": torch.tensor(pitches)}


def resynthesis(nets, batch):
    """The multi-window mel loss (weight 45) alone."""
    wav_hat = nets["harmonic"](harmonic.mel(batch["wav"]), batch["f0"])
    yield "harmonic", {"mel": losses.multi_mel(wav_hat.float(), batch["wav"])}


def refined(nets, batch):
    """With the critic, as `adversarial`: 45, 5, 40."""
    wav = batch["wav"]
    wav_hat = nets["harmonic"](harmonic.mel(wav), batch["f0"]).float()
    yield "critic", stages.critic_losses(nets["critic"], wav, wav_hat)
    terms = stages.generator_losses(nets["critic"], wav, wav_hat)
    yield "harmonic", terms | {"mel": losses.multi_mel(wav_hat, wav)}


# %% [markdown]
# ### Draw, do not average
#
# Given `z` there are many right frames: a consonant may be sharper, the pitch a little higher. A network with a squared
# error answers with their *mean*, and a mean of voices is nobody's voice: its mels are smooth, its sound is dull. **Flow
# matching** learns to *draw* one of them. Choose noise, choose a frame, walk straight from one to the other, and ask the
# network at a random moment in which direction you are walking. It answers with the mean direction of all walkers that
# pass there; to follow these directions from fresh noise ends at one frame, not between all. The network may *look* at
# seconds of the same voice (never those it has to draw). And **classifier-free guidance**: in a tenth of the steps it is
# told neither voice nor reference, so it knows the direction of *anybody*; to go 1.5 times from anybody to somebody
# makes somebody clearer.

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


dice = torch.Generator().manual_seed(0)
x, noise, velocity = torch.randn(3, 2, 7, 4, generator=dice)
mask, weight = torch.ones(2, 7, 1), torch.tensor([1.0, 1.0, 6.0, 3.0])
mask[1, 4:] = 0
twins = naive_matching(velocity, x, noise, mask, weight), fm.flow_matching(velocity, x, noise, mask, weight)
assert abs(twins[0] - twins[1]) < 1e-4
print(f"twins agree: {twins[0]:.2f}")


# %%
def drawn(rng):
    """Targets and references (lib.data.references), with the latents of the targets."""
    batch = references.draw(rng, clips, f0, HOP, budget.pick(quick=4, full=14))
    loud = rng.uniform(-0.7, 0.5, (len(batch["wav"]), 1, 1))  # the level of a reference says nothing
    batch["ref_wav"] = (batch["ref_wav"] * np.exp(loud)).astype("float32")
    z = [timed(rng, i, begin, int(m.sum())) for i, begin, m in zip(batch["index"], batch["begin"], batch["mask"])]
    return {key: torch.as_tensor(value) for key, value in batch.items()} | {"z": torch.stack(z)}


def matching(nets, batch):
    """One step of flow matching; drops: both 10 %, the reference 15 % more."""
    x = frames.encode(harmonic.mel(batch["wav"]), batch["f0"])
    ref = frames.encode(harmonic.mel(batch["ref_wav"]), batch["ref_f0"])
    B = len(x)
    known = torch.rand(B, device=x.device) > 0.1
    ref_mask = batch["ref_mask"] & known[:, None] & (torch.rand(B, 1, device=x.device) > 0.15)
    t, noise = fm.times(B, x.device), torch.randn_like(x)
    v_hat = nets["frames"](fm.between(x, t, noise), t, batch["z"], batch["spk_emb"], known.float(),
                           ref, ref_mask, batch["mask"])
    weight = torch.ones(x.shape[2], device=x.device)
    weight[-2:] = torch.tensor([6.0, 3.0])  # log f0 and voicing are two channels among 130
    yield "frames", {"matching": fm.flow_matching(v_hat, x, noise, batch["mask"], weight)}

# STILL TO WRITE: timed(rng, i, begin, F) -> z [C, 128] zero-padded: 65 %: z of text with the recording's timing (clips.kept,
#   runs/frames/cache.py lines z_p .. z, noise .2), else m_q + s_q * noise * U(0, .6); whole clip through F.interpolate to
#   round(F * 1.28) frames linear, then cut.  frames.mean/std from the first 250 clips.  Copies of single-clip people with
#   spk_emb of their own (factor .84-.94 or 1.06-1.2, equaliser +-6 dB).  Stages: harmonic 6e-4 (critic 3e-4) warmup 100 EMA .998 clip 100;
#   frames 8e-4 betas (.9, .98) warmup 200 clip 1 EMA .999.  training.save harmonic, harmonic_critic, frames(lenders=codec, harmonic).
# The references of zero length keep frames.encode's f0 at 0: their mask is False.
