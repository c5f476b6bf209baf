"""make bench: our decoder, speak(), extract() and convert() beside HiFi-GAN, in turns; then a training
step."""
import functools
import platform
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from lib import audio, losses, text
from lib.data import corpus
from lib.models.codec import Codec
from lib.models.speaker_encoder import SpeakerEncoder
from lib.models.vits import Vits, VitsConfig
from lib.nn.critics import Discriminator
from lib.nn.decoders import HiFiGANDecoder, fuse_weight_norm
from lib.voices import Bundle, Voices, convert, speak

THREADS = 2  # as on a free Space
SECONDS = 5.0  # of sound that every row makes
BATCH, SEGMENT = 4, 32  # of a training step: segments, and frames of each, as in [SATTS] sec. 3
ROUNDS, TRAINING_ROUNDS = 7, 3
V1, V2 = 512, 128  # channels of HiFi-GAN's two sizes
WORDS = "The kettle sings, the window is open, and somebody else's voice is saying good morning to you."
PAPERS = dict(channels=(32, 128, 512, 1024), resolutions=())  # widths of the papers' multi-period critics


class Job(NamedTuple):
    """Something to time: its name, the function, and the networks whose parameters are counted."""
    name: str
    run: Callable
    nets: tuple

    @property
    def size(self):
        """Parameters of all nets, in millions; what two of them share counts once."""
        counts = {id(p): p.numel() for net in self.nets for p in net.parameters()}
        return f"{sum(counts.values()) / 1e6:.1f} M"


def shipped():
    """(voices, what they are): the bundled weights, or the same sizes untrained, which cost the same."""
    try:
        voices = Voices.load()
        return voices, f"shipped weights, budget {voices.cards['tts']['budget']}"
    except ValueError:
        bundle = Bundle()
        codec = Codec()
        tts = Vits(VitsConfig(len(text.SYMBOLS)), codec)
        torch.nn.init.constant_(tts.durations.out.bias, 1.0)
        for name, net in (("speaker_encoder", SpeakerEncoder()), ("codec", codec), ("tts", tts)):
            bundle.put(name, net, {"budget": "none"})
        return Voices(bundle), "untrained weights of the shipped sizes"


def timed(jobs, rounds):
    """[(median, fastest) in s] of jobs: a warm-up, then `rounds` in turn, so that load meets all alike."""
    times = [[] for _ in jobs]
    for i in range(rounds + 1):
        for job, taken in zip(jobs, times):
            start = time.perf_counter()
            job.run()
            if i > 0:
                taken.append(time.perf_counter() - start)
    return [(statistics.median(taken), min(taken)) for taken in times]


def table(title, unit, jobs, times, scale=1.0):
    """Print one table; its first row is what the others are compared with."""
    print(f"\n{title}\n{'':46}{'parameters':>12}{unit + ', median':>16}{'fastest':>10}{'ratio':>8}")
    first, _ = times[0]
    for job, (median, fastest) in zip(jobs, times):
        cells = f"{median / scale:>16.4f}{fastest / scale:>10.4f}{median / first:>8.2f}"
        print(f"{job.name:46}{job.size:>12}{cells}")


def decoding(name, decoder, z, g):
    """The job of one decoder."""
    return Job(name, functools.partial(decoder, z, g), (decoder,))


def hearing(codec):
    """The job of the codec of frames: a voice at 150 Hz for SECONDS."""
    frames = round(SECONDS * audio.RATE / codec.config.hop)
    mel = torch.randn(1, codec.config.M, frames) - 5
    f0 = torch.full((1, frames), 150.0)
    return Job("our decoder (harmonic)", functools.partial(codec, mel, f0), (codec,))


def inference(voices):
    """Jobs that make SECONDS of sound each: two sizes of HiFi-GAN, then ours."""
    config = voices.codec.config
    z = torch.randn(1, config.C, round(SECONDS * audio.RATE / audio.HOP))
    g = torch.randn(1, config.G, 1)
    jobs = []
    for name, channels in (("HiFi-GAN V1", V1), ("HiFi-GAN V2", V2)):
        decoder = fuse_weight_norm(HiFiGANDecoder(config.C, config.G, channels).eval())
        jobs.append(decoding(name, decoder, z, g))
    jobs.append(decoding(f"our decoder ({config.decoder})", voices.codec.decoder, z, g))
    if voices.bundle.has("harmonic"):
        jobs.append(hearing(voices.bundle["harmonic"]))
    clip = (audio.RATE, corpus.wav(corpus.rows()[0]))
    speed = voices.speak(WORDS, clip).facts["seconds"] / SECONDS  # that makes the sentence SECONDS long
    speed = min(speak.FASTEST, max(speak.SLOWEST, speed))
    speaking = functools.partial(voices.speak, WORDS, clip, speed=speed)
    model = voices.bundle.choose(speak.NEEDS)
    networks = [voices.bundle[name] for name in speak.NEEDS[model]]
    jobs.append(Job("our whole speak(text, clip)", speaking, (voices.encoder, *networks)))
    rows = corpus.rows(split="valid")
    source, target = (np.resize(corpus.wav(row), round(SECONDS * audio.RATE)) for row in (rows[0], rows[9]))
    if voices.bundle.has("attractor"):
        extracting = functools.partial(voices.extract, (audio.RATE, source + target), 2)
        jobs.append(Job("our whole extract(two at once)", extracting, (voices.encoder, voices.attractor)))
    if voices.bundle.has("semantic") or voices.bundle.has("flow_vae"):
        model = voices.bundle.choose(convert.NEEDS)
        networks = [voices.bundle[name] for name in convert.NEEDS[model]]
        converting = functools.partial(voices.convert, (audio.RATE, source), (audio.RATE, target))
        jobs.append(Job("our whole convert(source, clip)", converting, (voices.encoder, *networks)))
    if voices.bundle.has("enhancer"):
        cleaning = functools.partial(voices.enhance, (audio.RATE, source + target), (audio.RATE, target))
        networks = voices.encoder, voices.bundle["enhancer"]
        jobs.append(Job("our whole enhance(two at once, clip)", cleaning, networks))
    if voices.bundle.has("superres"):
        jobs += lifting(voices)
    return jobs


def lifting(voices):
    """Jobs that lift SECONDS of sound from 16 kHz to each higher rate."""
    clip = (audio.RATE, np.resize(corpus.wav(corpus.rows()[0]), round(SECONDS * audio.RATE)))
    jobs = []
    for rate in (24000, 48000):
        job = functools.partial(voices.upsample, clip, rate)
        jobs.append(Job(f"our upsample(clip, {rate})", job, (voices.bundle["superres"],)))
    return jobs


def adversarial_step(decoder, critics, z, g, wav):
    """Gradients of the critics' turn, then of the decoder's; no optimiser."""
    wav_hat = decoder(z, g)
    real, _ = critics(wav)
    fake, _ = critics(wav_hat.detach())
    losses.discriminator_adv(real, fake).backward()
    with torch.no_grad():
        _, fmap_r = critics(wav)
    scores, fmap_g = critics(wav_hat)
    terms = (losses.generator_adv(scores), losses.feature_matching(fmap_r, fmap_g),
             losses.multi_mel(wav_hat, wav))
    sum(terms).backward()
    decoder.zero_grad()
    critics.zero_grad()


def training(config):
    """Jobs that make one adversarial step on a batch."""
    ours = Codec(config).decoder
    pairs = {
        "HiFi-GAN V1, critics as wide as the papers'": (HiFiGANDecoder(config.C, config.G),
                                                        Discriminator(**PAPERS)),
        "HiFi-GAN V1, our slim critics": (HiFiGANDecoder(config.C, config.G), Discriminator()),
        f"our decoder ({config.decoder}), our slim critics": (ours, Discriminator()),
    }
    z, g = torch.randn(BATCH, config.C, SEGMENT), torch.randn(BATCH, config.G, 1)
    wav = torch.randn(BATCH, 1, SEGMENT * audio.HOP) * 0.1
    return [Job(name, functools.partial(adversarial_step, *pair, z, g, wav), pair)
            for name, pair in pairs.items()]


def main():
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    voices, what = shipped()
    config = voices.codec.config
    processor = platform.processor() or platform.machine()
    print(f"{processor}, {THREADS} threads, torch {torch.__version__}; {what}; "
          f"{audio.RATE} Hz, hop {audio.HOP}, C {config.C}, G {config.G}")
    jobs = inference(voices)
    with torch.no_grad():
        times = timed(jobs, ROUNDS)
    table(f"Inference of {SECONDS:g} s", "RTF", jobs, times, SECONDS)
    jobs = training(config)
    title = f"One adversarial step, {BATCH} x {SEGMENT} frames, float32"
    table(title, "s", jobs, timed(jobs, TRAINING_ROUNDS))


if __name__ == "__main__":
    main()
