"""Teachers of semantic vectors: large models of speech, whose hidden states tell what is said."""
import torch
import torch.nn.functional as F

from lib import audio
from lib.nn import hub

# Name on the hub, and the hidden state that is taken: of MMS that of [HIERSPEECH2] sec. 3.1, the 7th of 24;
# of the two of half its depth also the 7th (others were not compared); of Whisper what its encoder gives.
TEACHERS = {
    "mms": ("facebook/mms-300m", 7),
    "wav2vec2": ("facebook/wav2vec2-base", 7),
    "hubert": ("facebook/hubert-base-ls960", 7),
    "whisper": ("openai/whisper-base", None),
}
HOP = 320  # samples at 16 kHz of a teacher's frame: 20 ms
EDGE = 40  # samples at both ends, so that there is a frame for every hop, as in [HIERSPEECH2]'s code
STRETCH = 30 * audio.RATE  # samples that are heard at a time: what Whisper's encoder reads, and the most
SILENT = 1e-7  # added to a variance


class Teacher:
    """wav [1, 1, T] at 16 kHz -> hidden states [1, channels, T // 320], 50 a second, by a frozen model."""

    def __init__(self, model, extractor, layer):
        self.model = model.eval().requires_grad_(False)
        self.extractor = extractor
        self.layer = layer
        self.is_whisper = model.config.model_type == "whisper"
        self.channels = model.config.d_model if self.is_whisper else model.config.hidden_size

    @torch.inference_mode()
    def __call__(self, wav):
        frames = wav.shape[2] // HOP
        listen = self.by_whisper if self.is_whisper else self.by_layer
        states = [listen(part) for part in wav[0, 0, : frames * HOP].split(STRETCH)]
        return torch.cat(states, 1).transpose(1, 2)

    def by_layer(self, wav):
        """The hidden state `layer` [1, F, channels] of wav [T], scaled to variance 1 as it was learned."""
        scaled = (wav - wav.mean()) / (wav.var(correction=0) + SILENT).sqrt()
        padded = F.pad(scaled[None, None], (EDGE, EDGE), mode="reflect")[0]
        return self.model(padded, output_hidden_states=True).hidden_states[self.layer]

    def by_whisper(self, wav):
        """What the encoder makes [1, F, channels] of wav [T], which it hears with silence behind it."""
        heard = self.extractor(wav.cpu().numpy(), sampling_rate=audio.RATE, return_tensors="pt")
        states = self.model.get_encoder()(heard.input_features.to(wav.device)).last_hidden_state
        return states[:, : len(wav) // HOP]


def teacher(name, layer=None):
    """Open a Teacher: one of TEACHERS by its name, or a model of these kinds from a folder (with `layer`).

    Raises ValueError, with the remedy, where transformers is not installed, the model cannot be had, or it
    has no such layer.
    """
    package = hub.transformers()
    where, usual = TEACHERS.get(name, (str(name), None))
    layer = usual if layer is None else layer
    try:
        model = package.AutoModel.from_pretrained(where)
        extractor = package.AutoFeatureExtractor.from_pretrained(where)
    except Exception as error:  # the hub raises a dozen kinds: what matters is the remedy
        raise ValueError(f"The teacher {where!r} could not be loaded ({type(error).__name__}): check the "
                         f"network, give one of {', '.join(TEACHERS)}, or the folder of one.") from error
    if model.config.model_type != "whisper":
        deepest = model.config.num_hidden_layers
        if layer is None or not 0 <= layer <= deepest:
            raise ValueError(f"{where!r} has hidden states 0 to {deepest}, and {layer} is none of them: "
                             "give layer=.")
    return Teacher(model, extractor, layer)
