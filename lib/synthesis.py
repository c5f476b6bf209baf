"""The public noun: Voices loads what the lessons trained, and speaks.  The app, the notebooks and users call only this."""
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from lib import audio, text, train
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.models.vits import Vits, VitsConfig
from lib.vocoder import fuse_weight_norm

CHECKPOINTS = Path(__file__).parent.parent / "assets" / "checkpoints"
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
        voices.speak("Hello there.", "someone.wav").save("hello.wav")
    """

    def __init__(self, encoder, tts, cards):
        self.encoder, self.tts, self.cards = encoder.eval(), fuse_weight_norm(tts.eval()), cards
        self.lock = threading.Lock()  # torch's random state is shared by all threads: one voice draws at a time

    @classmethod
    def load(cls, root=CHECKPOINTS):
        """Open the folders speaker_encoder/ and tts/ under `root`.  Raises ValueError when one is missing or broken."""
        encoder, one = train.load(Path(root) / "speaker_encoder", SpeakerEncoder, SpeakerEncoderConfig)
        tts, two = train.load(Path(root) / "tts", Vits, VitsConfig)
        return cls(encoder, tts, {"speaker_encoder": one, "tts": two})

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

    def speak(self, words, voice, seed=0, speed=1.0, noise_scale=0.333, progress=None, cancelled=None):
        """Say `words` in `voice` (clip or embedding): Speech at 16 kHz.  The same seed gives the same samples.

        speed: 0.5 to 2.  noise_scale: temperature of the latents, 0 to 1 (expressiveness).  progress(share, message) is told of
        every sentence, cancelled() asked before each; when it says so, InterruptedError is raised.
        Raises ValueError for empty or unspeakable text, over 1,000 characters, or settings out of range.
        """
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
        took, card = time.time() - started, self.cards["tts"]
        facts = {"seed": seed, "speed": speed, "noise_scale": noise_scale, "seconds": len(wav) / audio.RATE, "took": took,
                 "real_time_factor": took / (len(wav) / audio.RATE), "checkpoint": card.get("name", "tts"), "budget": card["budget"]}
        return Speech(audio.RATE, wav, facts)

    def _sentence(self, ids, spk_emb, seed, speed, noise_scale):
        """wav [T] of one sentence's tokens; at LEVEL_DB, edges faded."""
        with self.lock, torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seed) % 2**63)  # torch refuses larger ones
            wav, _ = self.tts.infer(torch.tensor([ids]), torch.tensor(spk_emb)[None], noise_scale=noise_scale, speed=speed)
        return fade(audio.normalise(wav[0, 0].float().numpy()))


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
