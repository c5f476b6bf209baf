"""make bench: our decoder, speak(), extract() and convert() beside HiFi-GAN in one run, taking turns; then a training step."""
import itertools
import platform
import statistics
import time

import numpy as np
import torch

from lib import audio, losses, text
from lib.data import corpus
from lib.models.codec import Codec
from lib.models.speaker_encoder import SpeakerEncoder
from lib.models.vits import Vits, VitsConfig
from lib.nn.critics import Discriminator
from lib.nn.decoders import HiFiGANDecoder, fuse_weight_norm
from lib.voices import Bundle, Voices

THREADS, SECONDS, BATCH, SEGMENT = 2, 5.0, 4, 32
WORDS = "The kettle sings, the window is open, and somebody else's voice is saying good morning to you."
PAPERS = dict(channels=(32, 128, 512, 1024), resolutions=())  # widths of the papers' multi-period critics


def shipped():
    """(voices, what they are): the bundled weights, or the same sizes untrained, which cost the same."""
    try:
        voices = Voices.load()
        return voices, f"shipped weights, budget {voices.cards['tts']['budget']}"
    except ValueError:
        bundle, codec = Bundle(), Codec()
        tts = Vits(VitsConfig(len(text.SYMBOLS)), codec)
        torch.nn.init.constant_(tts.durations.out.bias, 1.0)
        for name, net in (("speaker_encoder", SpeakerEncoder()), ("codec", codec), ("tts", tts)):
            bundle.put(name, net, {"budget": "none"})
        return Voices(bundle), "untrained weights of the shipped sizes"


def medians(jobs, rounds):
    """{name: (median, fastest) in s} of {name: function}: a warm-up, then `rounds` in turn, so that load meets all alike."""
    times = {name: [] for name in jobs}
    for i, (name, job) in itertools.product(range(rounds + 1), jobs.items()):
        start = time.perf_counter()
        job()
        if i:
            times[name].append(time.perf_counter() - start)
    return {name: (statistics.median(taken), min(taken)) for name, taken in times.items()}


def trainer(decoder, critics, C, G):
    """A function that makes one adversarial step of `decoder` on a batch: critics' turn, decoder's turn, no optimiser."""
    z, g = torch.randn(BATCH, C, SEGMENT), torch.randn(BATCH, G, 1)
    wav = torch.randn(BATCH, 1, SEGMENT * audio.HOP) * 0.1

    def step():
        wav_hat = decoder(z, g)
        losses.discriminator_adv(critics(wav)[0], critics(wav_hat.detach())[0]).backward()
        with torch.no_grad():
            _, fmap_r = critics(wav)
        scores, fmap_g = critics(wav_hat)
        (losses.generator_adv(scores) + losses.feature_matching(fmap_r, fmap_g) + losses.multi_mel(wav_hat, wav)).backward()
        decoder.zero_grad()
        critics.zero_grad()
    return step


def millions(*nets):
    return f"{sum(p.numel() for net in nets for p in net.parameters()) / 1e6:.1f} M"


def table(title, unit, rows, taken, scale=1.0):
    """Print one table; the first row of `rows` {name: parameters} is what the others are compared with."""
    print(f"\n{title}\n{'':46}{'parameters':>12}{unit + ', median':>16}{'fastest':>10}{'ratio':>8}")
    first = taken[next(iter(rows))][0]
    for name, size in rows.items():
        median, fastest = taken[name]
        print(f"{name:46}{size:>12}{median / scale:>16.4f}{fastest / scale:>10.4f}{median / first:>8.2f}")


def main():
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    voices, what = shipped()
    c = voices.codec.config
    print(f"{platform.processor() or platform.machine()}, {THREADS} threads, torch {torch.__version__}; {what}; "
          f"{audio.RATE} Hz, hop {audio.HOP}, C {c.C}, G {c.G}")
    one, two = (fuse_weight_norm(HiFiGANDecoder(c.C, c.G, channels).eval()) for channels in (512, 128))
    z, g = torch.randn(1, c.C, round(SECONDS * audio.RATE / audio.HOP)), torch.randn(1, c.G, 1)
    clip = (audio.RATE, corpus.wav(corpus.rows()[0]))
    speed = voices.speak(WORDS, clip).facts["seconds"] / SECONDS  # that makes the sentence 5 s long
    jobs = {"HiFi-GAN V1": (lambda: one(z, g), one), "HiFi-GAN V2": (lambda: two(z, g), two),
            f"our decoder ({c.decoder})": (lambda: voices.codec.decoder(z, g), voices.codec.decoder),
            "our whole speak(text, clip)": (lambda: voices.speak(WORDS, clip, speed=min(2.0, max(0.5, speed))),
                                            voices.encoder, voices.tts)}
    size, (source, other) = round(SECONDS * audio.RATE), (corpus.wav(row) for row in corpus.rows(split="valid")[::9][:2])
    source, other = (audio.RATE, np.resize(source, size)), (audio.RATE, np.resize(other, size))  # of exactly SECONDS
    if voices.bundle.has("attractor"):
        both = (audio.RATE, source[1] + other[1])
        jobs["our whole extract(two at once)"] = (lambda: voices.extract(both, 2), voices.encoder, voices.attractor)
    if voices.bundle.has("flow_vae"):
        jobs["our whole convert(source, clip)"] = (lambda: voices.convert(source, other), voices.encoder, voices.flow_vae)
    with torch.no_grad():
        taken = medians({name: job for name, (job, *_) in jobs.items()}, 7)
    table(f"Inference of {SECONDS:g} s", "RTF", {name: millions(*nets) for name, (_, *nets) in jobs.items()}, taken, SECONDS)
    nets = {"HiFi-GAN V1, critics as wide as the papers'": (HiFiGANDecoder(c.C, c.G), Discriminator(**PAPERS)),
            "HiFi-GAN V1, our slim critics": (HiFiGANDecoder(c.C, c.G), Discriminator()),
            f"our decoder ({c.decoder}), our slim critics": (Codec(c).decoder, Discriminator())}
    taken = medians({name: trainer(*pair, c.C, c.G) for name, pair in nets.items()}, 3)
    table(f"One adversarial step, {BATCH} x {SEGMENT} frames, float32", "s", {k: millions(*v) for k, v in nets.items()}, taken)


if __name__ == "__main__":
    main()
