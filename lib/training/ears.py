"""An ear: a net that hears which token sounds in every frame, and the transcripts that it learns from."""
import numpy as np
import torch
import torch.nn.functional as F

from lib import audio, text
from lib.models.flow_vae import standardise
from lib.nn import align

STRESS = [text.INDEX[mark] for mark in "ˈˌ"]  # stand before what they mark,
LONG = text.INDEX["ː"]  # and this one behind it
NOBODY = -1  # of a frame of which nobody knows the symbol
FLOORS = 2  # an ear is looked at before every second layer


def sounding(vits, clips, i, z):
    """Find which token sounds in each frame of clip i by the search of `vits`: [F]; 0 where nobody knows.

    clips: lib.data.clips.Clips, and z [sum F, 2, C] their latents.  A mark of stress or length counts as
    what it marks.
    """
    x = clips.tokens[i]
    frames = int(clips.frames[i])
    if not 2 < len(x) <= frames:  # no text, or more of it than can be said in that time
        return np.zeros(frames, "int64")
    first = int(clips.frames[:i].sum())
    m_q, logs_q = np.array(z[first: first + frames], "float32").transpose(1, 2, 0)  # [C, F] each
    batch = {
        "x": torch.tensor(x)[None],
        "tokens": torch.tensor([len(x)]),
        "frames": torch.tensor([frames]),
        "m_q": torch.tensor(m_q)[None],
        "logs_q": torch.tensor(logs_q)[None],
        "spk_emb": torch.tensor(clips.voice(np.random.default_rng(i), i, 0.0))[None],
    }
    with torch.inference_mode():
        path = vits(batch, ("prior",))["path"][0]  # [N, F]
    return without_marks(x)[path.argmax(0).numpy()]


@torch.inference_mode()
def said(vits, clips, i, hop):
    """Find which symbol of its text sounds in each frame of clip i by the search of `vits`: [F]; NOBODY where
    no text fits.

    hop: samples of a frame; it gets the symbol in whose time its middle lies.
    """
    wav = torch.tensor(clips.wav(i))[None, None]
    frames = wav.shape[2] // hop
    if i not in clips.order:
        return np.full(frames, NOBODY)
    tokens = torch.tensor(clips.tokens[i])[None]
    spk_emb = torch.tensor(clips.voice(np.random.default_rng(i), i, 0.0))[None]
    m_q, _, g = vits.codec.encode(wav, spk_emb)
    mask = torch.ones_like(m_q[:, :1])
    x_mask = torch.ones(1, 1, tokens.shape[1])
    _, m_p, logs_p = vits.text(tokens, x_mask)
    score = align.log_likelihood(vits.flow(m_q, mask, g), m_p, logs_p)
    path = align.search(score, x_mask, mask)[0]  # [N, F of the latents]
    middles = (np.arange(frames) + 0.5) * hop / audio.HOP
    owner = path.argmax(0)[np.minimum(middles.astype(int), path.shape[1] - 1)]
    return tokens[0, owner].numpy()


def without_marks(x):
    """Give tokens x [N] in which what a mark of stress or length marks stands in the place of the mark."""
    x = np.where(np.isin(x, STRESS), np.roll(x, -1), x)
    return np.where(x == LONG, np.roll(x, 1), x)


def hear(ear, mel):
    """Ask an ear (ContentEncoder) about mel [B, M, F]: its verdict on tokens [B, tokens, F], and looks.

    The looks are what it had made of the mel on its way: a list of [B, hidden, F], one for each floor.
    """
    looks = []

    def look(layer, given):
        looks.append(given[0].float())
    watched = [*ear.body.wide[FLOORS::FLOORS], ear.code]
    hooks = [layer.register_forward_pre_hook(look) for layer in watched]
    mask = torch.ones_like(mel[:, :1])
    verdict = ear(standardise(mel.float(), mask), mask).float()
    for hook in hooks:
        hook.remove()
    return verdict, looks


def misread(verdict, token):
    """Measure how wrong a verdict [B, tokens, F] is on token [B, F]: cross-entropy; a token 0 is left out."""
    return F.cross_entropy(verdict.float(), token.long(), ignore_index=0)


def disagreement(verdict, wanted):
    """Measure how far a verdict [B, tokens, F] is from another one: KL(wanted || verdict), a mean of frames.
    """
    share, wanted_share = verdict.log_softmax(1), wanted.log_softmax(1)
    return F.kl_div(share, wanted_share, reduction="none", log_target=True).sum(1).mean()


def estranged(looks, wanted):
    """Measure how far looks are from others, both lists of [B, hidden, F], as shares of the others' size."""
    shares = []
    for look, other in zip(looks, wanted):
        shares.append((look - other).abs().mean() / other.abs().mean())
    return sum(shares) / len(shares)
