"""What somebody says, in a borrowed voice."""
import time

import numpy as np
import torch
import torch.nn.functional as F

from lib import audio
from lib.data.filling import interpolate
from lib.models.frames import FRAME_SECONDS
from lib.models.hierarchical import Source
from lib.nn.fine import without_harmonics
from lib.voices.speech import fade, finished, is_clip, result, seeded, stop_if

RANGES = {"strength": (0, 1), "pitch": (0, 1), "detail": (0, 1), "semitones": (-12, 12)}
# The better one by the judge comes first.
NEEDS = {"hierarchical": ("hierarchical", "semantic"), "frames": ("frames", "semantic"),
         "flow_vae": ("flow_vae",)}
MODELS = tuple(NEEDS)
# In whose card stands how each converts.
JUDGED = {"frames": "semantic", "hierarchical": "hierarchical", "flow_vae": "flow_vae"}
LOOK = (1.0, 6.0)  # s of a recording that are looked at
LOOKED = round(LOOK[1] / FRAME_SECONDS)  # frames of a source that tell its voice
# Of a rough draw that tells the register of a voice without a recording; 8 steps agree within a semitone.
REGISTER_STEPS = 2
# Shares of the fine content, and of what is still left out of the source, that are used: more of either
# brings words and leaves more of the voice of the source.  BEYOND: times the way from that voice to the one
# that is asked for; past it, the voice of the source is gone again.  68 dev pairs (words misheard in the
# recordings: .066); wer, SECS to the target, to the source, nearer to the target: hierarchical with these
# .143 .744 .606 .93; 1.25 times the way .143 .747 .612 .90; .4 of the rest and 1.3 times .154 .747 .604 .93;
# half of the fine content and 1.3 times .150 .746 .607 .91; frames with these .155 .773 .602 .99 (of 40
# pairs, half of the fine content and none of the rest: .219 .760 .573 1.00).
FINE = 0.75
REST = {"hierarchical": 0.6, "frames": 0.4}
BEYOND = {"hierarchical": 1.4, "frames": 1.4, "flow_vae": 1.0}
CONTRAST = 1.1  # of frames: 1.2, as in speaking, costs likeness here (20 dev pairs: .731 for .741)
SPREAD_LOW, SPREAD_HIGH = 0.8, 1.25  # a melody is widened or narrowed by no more: further it sounds acted
EVEN = 0.05  # spread of a melody, in log-Hz: one below is monotonous, and its measure is chance


def convert(voices, source, voice, strength=1.0, pitch=1.0, semitones=0.0, seed=0, detail=1.0, progress=None,
            cancelled=None, model=None):
    """Say what `source` (a clip of 1 to 60 s) says, at its pace, in `voice` (clip or embedding): Speech.

    strength: share of the way from the voice of the source to `voice`, 0 to 1; 1 ends a little past it (see
    BEYOND).  pitch: the same for the register, which ends there; semitones (-12 to 12) are added.  detail:
    how closely it follows the source (its sound by flow_vae; its melody, fine content and what they leave out
    by the others), 0 to 1.  model: one of MODELS; by default the first that is installed.
    progress(share, message) is told how far it is, cancelled() asked as often; when it says so,
    InterruptedError is raised.
    Raises ValueError for a bad clip, settings out of range, or a model that is not installed.
    """
    started = time.time()
    check_settings(strength=strength, pitch=pitch, detail=detail, semitones=semitones)
    model = voices.bundle.choose(NEEDS, model)
    wav, cuts = audio.cut_pauses(audio.source(source))  # silence would count as a part of the voice
    own = torch.tensor(voices.embed(source))[None]
    asked = torch.tensor(voices.voice(voice))[None]
    spk_emb = interpolate(own, asked, strength * BEYOND[model])

    def report(share):
        stop_if(cancelled)
        if progress:
            seconds = len(wav) / audio.RATE
            progress(share, f"{share * seconds:.0f} of {seconds:.0f} s")
    settings = {"strength": strength, "pitch": pitch, "semitones": semitones, "detail": detail}
    whole = torch.tensor(np.pad(wav, (0, -len(wav) % audio.HOP)))[None, None]
    if model in BY_FRAMES:
        clips = []
        if strength < 1:
            clips.append(source)
        if strength > 0 and is_clip(voice):
            clips.append(voice)
        with seeded(seed):
            wav_hat = BY_FRAMES[model](voices, whole, (own, spk_emb), clips, report, **settings)
        wav_hat = fade(audio.normalise(wav_hat[0, 0, : len(wav)].numpy()))
    else:
        with seeded(seed):
            wav_hat = voices.flow_vae.convert(whole, own, spk_emb, pitch, semitones, detail, progress=report)
        wav_hat = finished(wav_hat[0, 0, : len(wav)])
    wav_hat = audio.put_pauses(wav_hat, cuts)
    return result(voices.bundle, model, wav_hat, started, {"seed": seed, "model": model} | settings)


@torch.inference_mode()
def by_frames(voices, wav, both, clips, report, strength, pitch, semitones, detail):
    """wav [1, 1, T] said again by the frames of the codec, told its semantic vectors and led along its f0.

    both: the voice of wav and the one that is asked for, [1, D] each.  clips: recordings of the latter that
    are looked at; of both voices where it is between two.
    """
    own, spk_emb = both
    frames = voices.bundle["frames"]
    mel, f0 = frames.harmonic.analyse(wav)
    nothing = wav.new_zeros(1, frames.config.C, mel.shape[2])
    code = voices.bundle["semantic"].encode(mel)
    content = frames.told(nothing, code=code, fine=FINE * detail * frames.fine(mel))
    looks = pieces(clips)
    ref = torch.cat([frames.look_at(look) for look in looks], 1) if looks else None
    if clips and strength == 1:
        f0_asked = frames.harmonic.f0(looks[-1])
    else:
        _, f0_asked = frames.decode(frames.sample(content, spk_emb, ref, steps=REGISTER_STEPS))
    moved = moved_f0(f0, f0_asked, pitch, semitones)
    lead = frames.encode(mel, moved)[:, :, frames.config.M:]
    rest = left_out(frames, frames.encode(mel, f0), content, own) if detail > 0 else 0.0
    x = frames.sample(content, spk_emb, ref, lead, detail, contrast=CONTRAST, progress=report)
    return frames.harmonic(*frames.decode(x + REST["frames"] * detail * rest))


def left_out(frames, x, content, own):
    """What is lost of x [1, F, K] when it is said again in its own voice [1, D]: [1, F, K].

    Of mean 0 over time, and of the bands only: the pitch is led.
    """
    bands = frames.config.M
    with torch.random.fork_rng(devices=[]):  # the same draw as for the other voice
        again = frames.sample(content, own, x[:, :LOOKED], x[:, :, bands:], contrast=1.0)
    rest = without_harmonics((x - again)[:, :, :bands].transpose(1, 2))
    return F.pad(rest.transpose(1, 2), (0, x.shape[2] - bands))


@torch.inference_mode()
def by_hierarchy(voices, wav, both, clips, report, strength, pitch, semitones, detail):
    """wav [1, 1, T] said again by the hierarchical synthesiser; all else as by_frames.

    detail: share of the melody, the fine content and the rest of the source; what a melody lacks is what its
    predictor expects of the voice.
    """
    own, spk_emb = both
    net = voices.bundle["hierarchical"]
    report(0.0)
    mel, f0 = net.harmonic.analyse(wav)
    code = voices.bundle["semantic"].encode(mel)
    looks = pieces(clips)
    ref = torch.cat([net.look_at(look) for look in looks], 2) if looks else None
    expected = net.predict_f0(code, f0, spk_emb)
    f0_asked = net.harmonic.f0(looks[-1]) if clips and strength == 1 else expected
    moved = moved_f0(f0, f0_asked, pitch, semitones)
    f0_told = expected ** (1 - detail) * moved**detail
    report(0.5)
    source = Source(mel, f0, own, net.seen(mel, f0)[:, :, :LOOKED])
    fine = FINE * detail * net.fine(mel)
    close = REST["hierarchical"] * detail
    mel_hat = net.sample(code, f0_told, spk_emb, ref, fine, source, close)
    return net.harmonic(mel_hat, f0_told)


BY_FRAMES = {"frames": by_frames, "hierarchical": by_hierarchy}


def pieces(clips):
    """What is looked at of each clip, wav [1, 1, T]."""
    return [torch.tensor(audio.prepare(clip, LOOK))[None, None] for clip in clips]


def moved_f0(f0, f0_asked, pitch, semitones):
    """f0 [1, F] in Hz (0: unvoiced) moved towards the middle and the spread of f0_asked, in log-Hz.

    pitch: share of the way; semitones are added.  Where one of them has no voice, only these count.
    """
    shift = semitones * np.log(2) / 12
    middle, widen = 0.0, 1.0
    own, asked = f0[f0 > 0].log(), f0_asked[f0_asked > 0].log()
    if len(own) > 1 and len(asked) > 1:
        middle = own.median()
        shift = shift + pitch * (asked.median() - middle)
        ratio = asked.std().clamp_min(EVEN) / own.std().clamp_min(EVEN)
        widen = ratio.clamp(SPREAD_LOW, SPREAD_HIGH) ** pitch
    hz = torch.exp((f0.clamp_min(1).log() - middle) * widen + middle + shift)
    return torch.where(f0 > 0, hz, 0.0)


def check_settings(**settings):
    """Raise ValueError, with the limits, for a setting out of its range."""
    for name, value in settings.items():
        low, high = RANGES[name]
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}: choose {low} to {high}.")
