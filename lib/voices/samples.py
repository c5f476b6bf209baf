"""Sounds of our own systems, for people to judge (the tab Listen)."""
import uuid
from pathlib import Path

import torch

from lib import audio, text
from lib.data import corpus
from lib.paths import LISTENING
from lib.voices.convert import NEEDS as CONVERTERS
from lib.voices.speech import Speech, finished, seeded

SHARED_TEXT = 9  # more voices than this say it: any of them can be the source of a conversion
CALM = 0.1  # temperature of the latents, that of `speak`


def own_set(voices, folder, clips=6):
    """Make a folder of sounds for `lib.evaluation.listening`, once, and return it.

    Systems: virtual voices recorded, coded and decoded, spoken by `speak`, and converted where that is
    installed; clips are called as their rows in the corpus.  To them come the clips in
    LISTENING/SYSTEM/CLIP.ogg, said by models that are not shipped (see `speak_set`).  All are marked as made
    by a machine: so are the virtual voices of the embedded corpus, and a mark that some lack would tell which
    is which.
    """
    if Path(folder).is_dir():
        return folder
    part = Path(f"{folder}.{uuid.uuid4().hex}")  # whole or not at all
    rows = corpus.rows("embedded")
    for row in chosen(rows, clips):
        for system, wav in sounds(voices, rows, row).items():
            (part / system).mkdir(parents=True, exist_ok=True)
            Speech(audio.RATE, wav).save(part / system / f"{row['id']}.wav")
    part.rename(folder)
    return folder


def speak_set(voices, folder, clips=6):
    """Say the clips of `own_set` by voices.tts and its own decoder, and leave them as folder/CLIP.ogg.

    For a model that was put in the place of tts and is not shipped: `speak` would ask better ones.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    rows = corpus.rows("embedded")
    for row in chosen(rows, clips):
        spk_emb = torch.tensor(voices.embed(reference(rows, row)["audio"]))[None]
        tokens = torch.tensor([text.encode(row["text"])])
        with seeded(0):
            wav, _ = voices.tts.infer(tokens, spk_emb, noise_scale=CALM)
        speech = Speech(audio.RATE, finished(wav[0, 0]), {"checkpoint": "tts"})
        speech.save(Path(folder) / f"{row['id']}.ogg")


def chosen(rows, clips):
    """Up to `clips` held-out rows, evenly spread, of a sentence that many voices say."""
    held_out = [row for row in rows if row["split"] == "valid"]
    held_out = [row for row in held_out if len(of_text(rows, row["text"])) > SHARED_TEXT]
    return held_out[:: max(1, len(held_out) // clips)][:clips]


def of_text(rows, text):
    """The rows that say a text."""
    return [row for row in rows if row["text"] == text]


def reference(rows, row):
    """Another recording of the voice of a row: the last there is."""
    own = [other for other in rows if other["speaker"] == row["speaker"]]
    return [other for other in own if other["id"] != row["id"]][-1]


def sounds(voices, rows, row):
    """{system: wav [T]} of one row: the same sentence in the same voice by every system, and a reference."""
    wav = corpus.wav(row)
    other = reference(rows, row)
    made = {
        "recorded": wav,
        "coded": coded(voices, wav, other["audio"]),
        "speak": voices.speak(row["text"], other["audio"]).wav,
        "reference": corpus.wav(other),
    }
    if voices.bundle.installed(CONVERTERS):
        same = of_text(rows, row["text"])
        source = next(other for other in same if other["speaker"] != row["speaker"])
        made["conversion"] = voices.convert(source["audio"], other["audio"]).wav
    for path in LISTENING.glob(f"*/{row['id']}.ogg"):
        made[path.parent.name] = audio.load(path)[1]
    return made


@torch.inference_mode()
def coded(voices, wav, voice):
    """wav [T] after the codec that `speak` and `convert` speak through: that of frames where it is installed.

    Else that of latents, posterior mean and decoder, which is told whose voice it is.
    """
    clip = torch.tensor(wav)[None, None]
    if voices.bundle.has("frames"):
        harmonic = voices.bundle["harmonic"]
        return harmonic(*harmonic.analyse(clip))[0, 0].numpy()
    m_q, _, g = voices.codec.encode(clip, torch.tensor(voices.voice(voice))[None])
    return voices.codec.decoder(m_q, g)[0, 0].numpy()
