"""What somebody says, in a borrowed voice."""
import time

import numpy as np
import torch

from lib import audio
from lib.data.filling import interpolate
from lib.voices.speech import fade, finished, is_clip, result, seeded, stop_if

RANGES = {"strength": (0, 1), "pitch": (0, 1), "detail": (0, 1), "semitones": (-12, 12)}
# The better one by the judge comes first.
NEEDS = {"frames": ("frames", "semantic"), "hierarchical": ("hierarchical", "semantic"),
         "flow_vae": ("flow_vae",)}
MODELS = tuple(NEEDS)
# In whose card stands how each converts.
JUDGED = {"frames": "semantic", "hierarchical": "hierarchical", "flow_vae": "flow_vae"}
LOOK = (1.0, 6.0)  # s of a recording that are looked at
# Of a rough draw that tells the register of a voice without a recording; 8 steps agree within a semitone.
REGISTER_STEPS = 2
# Half of the fine content: more of it brings words and leaves more of the voice of the source.  40 dev pairs,
# half and all: wer .219, .197; SECS to the target .760, .758, to the source .573, .590.  Without any, by
# earlier weights and of 20 pairs: wer .264 for .184.
FINE = 0.5
CONTRAST = 1.1  # of frames: 1.2, as in speaking, costs likeness here (20 dev pairs: .731 for .741)
SPREAD_LOW, SPREAD_HIGH = 0.8, 1.25  # a melody is widened or narrowed by no more: further it sounds acted
EVEN = 0.05  # spread of a melody, in log-Hz: one below is monotonous, and its measure is chance


def convert(voices, source, voice, strength=1.0, pitch=1.0, semitones=0.0, seed=0, detail=1.0, progress=None,
            cancelled=None, model=None):
    """Say what `source` (a clip of 1 to 60 s) says, at its pace, in `voice` (clip or embedding): Speech.

    strength: share of the way from the voice of the source to `voice`, 0 to 1.  pitch: the same for the
    register; semitones (-12 to 12) are added.  detail: how closely it follows the source (its sound by
    flow_vae, its melody and fine content by the others), 0 to 1.  model: one of MODELS; by
    default the first that is installed.  progress(share, message) is told how far it is, cancelled() asked as
    often; when it says so, InterruptedError is raised.
    Raises ValueError for a bad clip, settings out of range, or a model that is not installed.
    """
    started = time.time()
    check_settings(strength=strength, pitch=pitch, detail=detail, semitones=semitones)
    model = voices.bundle.choose(NEEDS, model)
    wav, cuts = audio.cut_pauses(audio.source(source))  # silence would count as a part of the voice
    own = torch.tensor(voices.embed(source))[None]
    asked = torch.tensor(voices.voice(voice))[None]
    spk_emb = interpolate(own, asked, strength)

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
            wav_hat = BY_FRAMES[model](voices, whole, spk_emb, clips, report, **settings)
        wav_hat = fade(audio.normalise(wav_hat[0, 0, : len(wav)].numpy()))
    else:
        with seeded(seed):
            wav_hat = voices.flow_vae.convert(whole, own, spk_emb, pitch, semitones, detail, progress=report)
        wav_hat = finished(wav_hat[0, 0, : len(wav)])
    wav_hat = audio.put_pauses(wav_hat, cuts)
    return result(voices.bundle, model, wav_hat, started, {"seed": seed, "model": model} | settings)


@torch.inference_mode()
def by_frames(voices, wav, spk_emb, clips, report, strength, pitch, semitones, detail):
    """wav [1, 1, T] said again by the frames of the codec, told its semantic vectors and led along its f0.

    clips: recordings of the voice spk_emb [1, D] that are looked at; of both voices where it is between two.
    """
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
    x = frames.sample(content, spk_emb, ref, lead, detail, contrast=CONTRAST, progress=report)
    return frames.harmonic(*frames.decode(x))


@torch.inference_mode()
def by_hierarchy(voices, wav, spk_emb, clips, report, strength, pitch, semitones, detail):
    """wav [1, 1, T] said again by the hierarchical synthesiser; all else as by_frames.

    detail: share of the melody and the fine content of the source; the rest of a melody is what its
    predictor expects of the voice.
    """
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
    mel_hat = net.sample(code, f0_told, spk_emb, ref, fine=FINE * detail * net.fine(mel))
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
