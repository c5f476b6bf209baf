"""The public noun: Voices loads what the lessons trained, and speaks.  The app, the notebooks and users call only this."""
import functools
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from lib import audio, text, training
from lib.data.filling import interpolate
from lib.models.attractor import AttractorConfig, SpeakerAttractor, spoken
from lib.models.flow_vae import FlowVAE, FlowVAEConfig
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.models.vits import Vits, VitsConfig
from lib.nn.decoders import fuse_weight_norm
from lib.paths import CHECKPOINTS
from lib.voices import people

LIMIT = 1000  # characters of one request
PAUSE = 0.18  # s of silence between sentences


@dataclass(frozen=True)
class Speech:
    """Sound that was made: rate in Hz, wav float32 [T], and facts about how (seed, seconds, real_time_factor, checkpoint, ...)."""
    rate: int
    wav: np.ndarray
    facts: dict = field(default_factory=dict)

    def save(self, path):
        """Write the sound to `path` (.wav, .flac, .mp3 or .ogg); returns the path."""
        audio.save(path, self.rate, self.wav)
        return path


class Voices:
    """Embed voices and speak with them.

        voices = Voices.load()
        voices.speak("Hello there.", "someone.wav").save("hello.wav")"""

    def __init__(self, encoder, tts, cards, attractor=None, flow_vae=None):
        self.encoder, self.tts, self.cards = encoder.eval(), fuse_weight_norm(tts.eval()), cards
        self.attractor, self.flow_vae = attractor and attractor.eval(), flow_vae and flow_vae.eval()  # None: not trained yet
        self.lock = threading.Lock()  # torch's random state is shared by all threads: one voice draws at a time

    @classmethod
    def load(cls, root=CHECKPOINTS):
        """Open speaker_encoder/ and tts/ under `root`, and attractor/ and flow_vae/ where they are.  Raises ValueError for a broken one."""
        encoder, one = training.load(Path(root) / "speaker_encoder", SpeakerEncoder, SpeakerEncoderConfig)
        tts, two = training.load(Path(root) / "tts", Vits, VitsConfig)
        cards, more = {"speaker_encoder": one, "tts": two}, {}
        kinds = {"attractor": (SpeakerAttractor, AttractorConfig), "flow_vae": (lambda c: FlowVAE(c, tts), FlowVAEConfig)}
        for name in (name for name in kinds if (Path(root) / name).is_dir()):  # flow_vae borrows from tts what both need
            more[name], cards[name] = training.load(Path(root) / name, *kinds[name])
        return cls(encoder, tts, cards, **more)

    def embed(self, clip):
        """The voice of a clip (path, bytes or (rate, samples)): spk_emb, unit float32 [D].  Raises ValueError as audio.prepare does."""
        wav = torch.tensor(audio.prepare(clip))[None, None]
        with torch.inference_mode():
            return self.encoder.embed(wav).numpy()

    def voice(self, voice):
        """spk_emb [D] of a clip, or the embedding itself after a check.  Raises ValueError for one of another size, not finite or zero."""
        if voice is None:
            raise ValueError("There is no voice: give a clip of 1 s or more, 5 s is good.")
        if not isinstance(voice, (np.ndarray, torch.Tensor, list)):
            return self.embed(voice)
        spk_emb = np.asarray(voice, dtype="float32")
        D = self.encoder.config.D
        if spk_emb.shape != (D,) or not np.isfinite(spk_emb).all() or np.linalg.norm(spk_emb) < 1e-3:
            raise ValueError(f"A voice is {D} finite numbers that are not all zero; this one: {spk_emb.shape}. Embed a clip.")
        return spk_emb / np.linalg.norm(spk_emb)

    def similarity(self, clip, voice):
        """Cosine, -1 to 1, between the voice heard in `clip` (a clip or Speech) and `voice`, by our own encoder."""
        clip = (clip.rate, clip.wav) if isinstance(clip, Speech) else clip
        return float(self.embed(clip) @ self.voice(voice))

    def speak(self, words, voice, seed=0, speed=1.0, noise_scale=0.1, progress=None, cancelled=None):
        """Say `words` in `voice` (clip or embedding): Speech at 16 kHz.  The same seed gives the same samples.

        speed: 0.5 to 2.  noise_scale: temperature of the latents, 0 to 1 (expressiveness).  progress(share, message) is told of
        every sentence, cancelled() asked before each; when it says so, InterruptedError is raised.
        Raises ValueError for empty or unspeakable text, over 1,000 characters, or settings out of range."""
        started = time.time()
        check_request(words, speed, noise_scale)
        tokens = [text.encode(sentence) for sentence in text.sentences(words) or [words]]
        spk_emb, pieces = self.voice(voice), []
        for i, ids in enumerate(tokens):
            if cancelled and cancelled():
                raise InterruptedError("Stopped before the end, as asked.")
            if progress:
                progress(i / len(tokens), f"sentence {i + 1} of {len(tokens)}")
            pieces.append(self._sentence(ids, spk_emb, seed + 7919 * i, speed, noise_scale))
        wav = join(pieces)
        return Speech(audio.RATE, wav, {"seed": seed, "speed": speed, "noise_scale": noise_scale} | self._facts("tts", wav, started))

    def _facts(self, name, wav, started):
        """What every result says of its making."""
        took, seconds, card = time.time() - started, len(wav) / audio.RATE, self.cards[name]
        more = {"checkpoint": card.get("name", name), "budget": card["budget"]}
        return {"seconds": seconds, "took": took, "real_time_factor": took / seconds} | more

    def _sentence(self, ids, spk_emb, seed, speed, noise_scale):
        """wav [T] of one sentence's tokens; with less hiss, at LEVEL_DB, edges faded."""
        with self.lock, torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seed) % 2**63)  # torch refuses larger ones
            wav, _ = self.tts.infer(torch.tensor([ids]), torch.tensor(spk_emb)[None], noise_scale=noise_scale, speed=speed)
        return fade(audio.normalise(audio.spectral_subtraction(wav[0, 0].float())))

    def extract(self, mixture, speakers=None):
        """Take a mixture of people (a clip; at most 30 s of it are used) apart: a list of Speech, the loudest person first.

        speakers: 1 to 4, or None to count them.  facts of each: spk_emb [D] by the encoder, attractor [D'], share of the level, and
        mask [F, N] on the mixture's level [F, N].  Raises ValueError as audio.prepare does, or where no separation network is installed."""
        if self.attractor is None:
            raise ValueError(f"There is no separation network: run lesson 02 and copy its export to {CHECKPOINTS / 'attractor'}.")
        started = time.time()
        find = functools.partial(people.people, counting=self.attractor.config.counting, speakers=speakers)
        found, speeches = self.attractor.separate(torch.tensor(audio.prepare(mixture))[None, None], find), []
        for wav, attractor, mask in zip(found.wavs, found.attractors, found.masks, strict=True):
            wav = audio.normalise(wav)
            with torch.inference_mode():
                spk_emb = self.encoder.embed(torch.tensor(spoken(wav))[None, None]).numpy()
            speeches.append(Speech(audio.RATE, wav, {
                "spk_emb": spk_emb, "attractor": attractor, "share": float((mask * found.level).sum() / found.level.sum()),
                "mask": mask, "level": found.level, "seconds": len(wav) / audio.RATE, "took": time.time() - started}))
        return speeches

    def convert(self, source, voice, strength=1.0, pitch=1.0, semitones=0.0, seed=0, detail=1.0, progress=None, cancelled=None):
        """Say what `source` (a clip of 1 to 60 s) says, at its pace, in `voice` (clip or embedding): Speech, as long as the source.

        strength: share of the way from the voice of the source to `voice`, 0 to 1.  pitch: the same for the register; semitones (-12 to 12)
        are added.  detail: how closely it follows the source, 0 to 1; progress(share, message) is told of each
        stretch of 8 s, cancelled() asked before each; when it says so, InterruptedError is raised.
        Raises ValueError for a bad clip, settings out of range, or where the weights of lesson 06 are missing."""
        started = time.time()
        for name, value, low, high in (("strength", strength, 0, 1), ("pitch", pitch, 0, 1), ("detail", detail, 0, 1),
                                       ("semitones", semitones, -12, 12)):
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}: choose {low} to {high}.")
        if self.flow_vae is None:
            raise ValueError("There are no weights for conversion: make the folder flow_vae with lesson 06, or restore it from git.")
        wav = audio.source(source)
        own, asked = (torch.tensor(emb)[None] for emb in (self.embed(source), self.voice(voice)))

        def told(share):
            if cancelled and cancelled():
                raise InterruptedError("Stopped before the end, as asked.")
            if progress:
                progress(share, f"{share * len(wav) / audio.RATE:.0f} of {len(wav) / audio.RATE:.0f} s")
        whole = torch.tensor(np.pad(wav, (0, -len(wav) % audio.HOP)))[None, None]
        with self.lock, torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seed) % 2**63)
            said = self.flow_vae.convert(whole, own, interpolate(own, asked, strength), pitch, semitones, detail, told=told)
        said = fade(audio.normalise(audio.spectral_subtraction(said[0, 0, : len(wav)])))
        settings = {"seed": seed, "strength": strength, "pitch": pitch, "semitones": semitones, "detail": detail}
        return Speech(audio.RATE, said, settings | self._facts("flow_vae", said, started))


def check_request(words, speed, noise_scale):
    """Raise ValueError, with the limit, for what `speak` will not do."""
    if not isinstance(words, str) or not words.strip():
        raise ValueError("There is no text: type a sentence to speak.")
    if len(words) > LIMIT:
        raise ValueError(f"The text has {len(words):,} characters; the limit is {LIMIT:,}. Send it in parts.")
    if not 0.5 <= speed <= 2.0:
        raise ValueError(f"Speed {speed} is out of range: choose 0.5 to 2.")
    if not 0.0 <= noise_scale <= 1.0:
        raise ValueError(f"Expressiveness {noise_scale} is out of range: choose 0 to 1.")


def fade(wav, seconds=0.008):
    """Ramp both ends of wav [T], so that sentences join without clicks."""
    size = min(int(seconds * audio.RATE), len(wav) // 2)
    ramp = np.ones(len(wav), "float32")
    ramp[:size] = np.linspace(0, 1, size)
    ramp[len(wav) - size:] = np.linspace(1, 0, size)
    return wav * ramp


def join(pieces):
    """One wav [T] of several, PAUSE s of silence between them."""
    silence = np.zeros(int(PAUSE * audio.RATE), "float32")
    return np.concatenate([part for i, piece in enumerate(pieces) for part in ((silence, piece) if i else (piece,))])
