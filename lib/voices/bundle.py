"""The registry of models: by name, loaded when first used, each beside those it was trained with."""
import threading
from pathlib import Path
from typing import NamedTuple

import torch

from lib import training
from lib.models.attractor import AttractorConfig, SpeakerAttractor
from lib.models.codec import Codec, CodecConfig
from lib.models.enhancer import Enhancer, EnhancerConfig
from lib.models.flow_vae import FlowVAE, FlowVAEConfig
from lib.models.frames import Frames, FramesConfig
from lib.models.harmonic import HarmonicCodec, HarmonicCodecConfig
from lib.models.hierarchical import Hierarchical, HierarchicalConfig
from lib.models.referee import Referee, RefereeConfig
from lib.models.semantic import Semantic, SemanticConfig
from lib.models.speaker_encoder import SpeakerEncoder, SpeakerEncoderConfig
from lib.models.superres import SuperRes, SuperResConfig
from lib.models.text_to_vec import TextToVec, TextToVecConfig
from lib.models.vits import Vits, VitsConfig
from lib.paths import checkpoints


class Kind(NamedTuple):
    """What a checkpoint of one name holds.  What else it needs, its model says: NEEDS."""
    model: type
    config: type
    lesson: str  # that makes it


REGISTRY = {
    "speaker_encoder": Kind(SpeakerEncoder, SpeakerEncoderConfig, "01"),
    "referee": Kind(Referee, RefereeConfig, "01"),
    "attractor": Kind(SpeakerAttractor, AttractorConfig, "02"),
    "codec": Kind(Codec, CodecConfig, "03"),
    "harmonic": Kind(HarmonicCodec, HarmonicCodecConfig, "11"),
    "tts": Kind(Vits, VitsConfig, "03"),
    "frames": Kind(Frames, FramesConfig, "11"),
    "semantic": Kind(Semantic, SemanticConfig, "07"),
    "hierarchical": Kind(Hierarchical, HierarchicalConfig, "07"),
    "text_to_vec": Kind(TextToVec, TextToVecConfig, "07"),
    "flow_vae": Kind(FlowVAE, FlowVAEConfig, "06"),
    "superres": Kind(SuperRes, SuperResConfig, "08"),
    "enhancer": Kind(Enhancer, EnhancerConfig, "09"),
}


class Bundle:
    """The checkpoints under one root: bundle["tts"] is that model, in eval mode; threads may ask at once."""

    def __init__(self, root=None):
        """root: folder of the checkpoint folders; None: lib.paths.checkpoints()."""
        self.root = checkpoints() if root is None else Path(root)
        self.loaded = {}  # {name: model} so far
        self._cards = {}
        self._lock = threading.RLock()  # a model asks for its lenders while it is loaded

    def has(self, name):
        """Whether the folder of `name`, and those of its lenders, are there; nothing is read."""
        there = name in self.loaded or (self.root / name).is_dir()
        return there and all(self.has(need) for need in REGISTRY[name].model.NEEDS)

    def names(self):
        """Names of all that is there."""
        return [name for name in REGISTRY if self.has(name)]

    def __getitem__(self, name):
        """The model `name`.  Raises ValueError for a folder missing, broken or beside another lender."""
        with self._lock:
            if name not in self.loaded:
                kind = REGISTRY[name]
                lenders = {need: self[need] for need in kind.model.NEEDS}
                folder = self._folder(name)
                with torch.inference_mode(False):  # a model made in that mode could never be trained
                    self.loaded[name], _ = training.load(folder, kind.model, kind.config, **lenders)
            return self.loaded[name]

    def card(self, name):
        """What is said about the weights of `name` (data, licence, budget, figures); nothing else is read."""
        with self._lock:
            if name not in self._cards:
                self._cards[name] = training.card(self._folder(name))
            return self._cards[name]

    def check(self, *names):
        """Load these models, by default all that are there, so that what is broken raises ValueError now."""
        for name in names or self.names():
            _ = self[name]

    def installed(self, needs):
        """Those of the models `needs` (model -> what it needs) for which all is there, in their order."""
        return [name for name in needs if all(map(self.has, needs[name]))]

    def choose(self, needs, model=None):
        """The model asked for, else the first of `needs` (model -> what it needs) for which all is there.

        What it needs is loaded, so that nothing is drawn later.  Raises ValueError for a model that is
        unknown or misses something.
        """
        if model is not None and model not in needs:
            raise ValueError(f"There is no model {model!r}: choose one of {', '.join(needs)}.")
        if model is None:
            model = next(iter(self.installed(needs)), list(needs)[-1])  # check says what is missing
        self.check(*needs[model])
        return model

    def put(self, name, net, card):
        """Use `net` in place of the checkpoint `name`: one that was just trained, or is not saved at all."""
        with self._lock:
            self.loaded[name] = net.eval()
            self._cards[name] = card

    def _folder(self, name):
        folder = self.root / name
        if not folder.is_dir():
            lesson = REGISTRY[name].lesson
            raise ValueError(f"{folder} is not there: make it with lesson {lesson}, or restore it from git.")
        return folder
