"""The public noun: Voices loads what the lessons trained, speaks, converts and extracts.

    from lib.voices import Voices
    voices = Voices.load()
    voices.speak("Hello there.", "someone.wav").save("hello.wav")
"""
import numpy as np
import torch

from lib import audio
from lib.voices import convert, enhance, extract, speak, tune, upsample
from lib.voices.bundle import Bundle
from lib.voices.speech import Speech, as_clip, is_clip

__all__ = ["Bundle", "Speech", "Voices"]

NO_LENGTH = 1e-3  # of an embedding: under that it points nowhere
JUDGED = (1.0, 10.0)  # s that the referee needs, and hears at most: more would cost time and change little


class Voices:
    """A bundle of models, and one method a task; each task is a module of this package."""

    def __init__(self, bundle):
        self.bundle = bundle

    @classmethod
    def load(cls, root=None):
        """Open the checkpoints under `root` (None: VOICE_ATLAS_CHECKPOINTS, else the shipped ones).

        speaker_encoder and tts must be there; all others are loaded when first used.  Raises ValueError for
        a broken one; `voices.bundle.check()` looks at all that are there.
        """
        bundle = Bundle(root)
        bundle.check("speaker_encoder", "tts")
        return cls(bundle)

    stream = speak.stream
    speak = speak.speak
    convert = convert.convert
    extract = extract.extract
    upsample = upsample.upsample
    enhance = enhance.enhance
    tune = tune.tune

    @property
    def encoder(self):
        """The speaker encoder."""
        return self.bundle["speaker_encoder"]

    @property
    def codec(self):
        """What turns sound into latents, and back."""
        return self.bundle["codec"]

    @property
    def tts(self):
        """What turns text into latents."""
        return self.bundle["tts"]

    @property
    def attractor(self):
        """The separation network."""
        return self.bundle["attractor"]

    @property
    def flow_vae(self):
        """The conversion model."""
        return self.bundle["flow_vae"]

    @property
    def cards(self):
        """{name: card} of all models that are there."""
        return {name: self.bundle.card(name) for name in self.bundle.names()}

    def embed(self, clip):
        """The voice of a clip (path, bytes or (rate, samples)): spk_emb, unit float32 [D].

        Raises ValueError as audio.prepare does.
        """
        wav = torch.tensor(audio.prepare(clip))[None, None]
        with torch.inference_mode():
            return self.encoder.embed(wav).numpy()

    def voice(self, voice):
        """spk_emb [D] of a clip, or the embedding itself after a check.

        Raises ValueError for no voice, and for an embedding of another size, not finite or zero.
        """
        if voice is None:
            raise ValueError("There is no voice: give a clip of 1 s or more, 5 s is good.")
        if is_clip(voice):
            return self.embed(voice)
        spk_emb = np.asarray(voice, dtype="float32")
        D = self.encoder.config.D
        length = np.linalg.norm(spk_emb)
        if spk_emb.shape != (D,) or not np.isfinite(spk_emb).all() or length < NO_LENGTH:
            raise ValueError(f"A voice is {D} finite numbers that are not all zero; this one: "
                             f"{spk_emb.shape}. Embed a clip.")
        return spk_emb / length

    def is_marked(self, clip):
        """Whether a clip (path, bytes, (rate, samples) or Speech) carries the mark of what this project made.

        See lib.audio.watermark for what that means.  Raises ValueError as audio.load does.
        """
        return audio.watermark.detect(as_clip(clip)).found

    def similarity(self, clip, voice):
        """Cosine, -1 to 1, between the voice in `clip` (a clip or Speech) and `voice`, by our own encoder."""
        return float(self.embed(as_clip(clip)) @ self.voice(voice))

    def verdict(self, clip, voice):
        """How alike the voices in `clip` (a clip or Speech) and in the clip `voice` are: a Verdict.

        By the referee, whom no loss of any training asked, on the scale of real pairs (lib.models.referee).
        Of a long clip the loudest 10 s are heard.  Raises ValueError for a voice that is no recording, as
        audio.prepare does, and where the referee is not installed.
        """
        if not is_clip(voice):
            raise ValueError("The referee compares recordings: give a clip of the voice, not its embedding.")
        referee = self.bundle["referee"]
        wavs = []
        for heard in (as_clip(clip), voice):
            wav = torch.tensor(audio.prepare(heard, JUDGED))
            wavs.append(wav[None, None])
        return referee.verdict(*wavs)
