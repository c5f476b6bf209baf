"""Sounds of our own systems, for people to judge (the tab Listen)."""
import uuid
from pathlib import Path

import torch

from lib import audio
from lib.data import corpus
from lib.paths import LISTENING
from lib.voices.speech import Speech

SHARED_TEXT = 9  # more voices than this say it: any of them can be the source of a conversion


def own_set(voices, folder, clips=6):
    """Make a folder of sounds for `lib.evaluation.listening`, once, and return it.

    Systems: virtual voices recorded, coded and decoded, spoken by TTS, and converted where that is installed;
    clips are called as their rows in the corpus.  To them come the clips in LISTENING/SYSTEM/CLIP.ogg, said
    by models that are not shipped (see `speak_set`).  All are marked as made by a machine: so are the virtual
    voices of the embedded corpus, and a mark that some lack would tell which is which."""
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
    """Say the clips of `own_set` by voices.tts and leave them as folder/CLIP.ogg: a system that is not
    shipped."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    rows = corpus.rows("embedded")
    for row in chosen(rows, clips):
        voice = voices.embed(reference(rows, row)["audio"])
        voices.speak(row["text"], voice).save(Path(folder) / f"{row['id']}.ogg")


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
    spk_emb = voices.embed(other["audio"])
    made = {
        "recorded": wav,
        "coded": coded(voices, wav, spk_emb),
        "tts": voices.speak(row["text"], spk_emb).wav,
        "reference": corpus.wav(other),
    }
    if "flow_vae" in voices.cards:
        same = of_text(rows, row["text"])
        source = next(other for other in same if other["speaker"] != row["speaker"])
        made["conversion"] = voices.convert(source["audio"], spk_emb).wav
    for path in LISTENING.glob(f"*/{row['id']}.ogg"):
        made[path.parent.name] = audio.load(path)[1]
    return made


@torch.inference_mode()
def coded(voices, wav, spk_emb):
    """wav [T] after the codec: posterior mean, then decoder."""
    m_q, _, g = voices.codec.encode(torch.tensor(wav)[None, None], torch.tensor(spk_emb)[None])
    return voices.codec.decoder(m_q, g)[0, 0].numpy()
