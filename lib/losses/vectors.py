"""Losses of text that becomes semantic vectors and a melody."""
import torch
import torch.nn.functional as F

from lib.losses.speech import duration_mse, kl, masked_mean


def spoken(said, batch, symbols, mask):
    """Losses {name: scalar} of what a decoder made, over mask [B, 1, F].

    said: code_hat [B, S, F], pitch_hat, voiced [B, 1, F] (the second logits), low_hat [B, M, F] and the log
    probabilities [B, symbols, F] of a reader of code_hat, against code, pitch [B, 2, F] and low of the batch
    and the symbols [B, F] of the text.  Source: L1 of vectors and of log f0 as in [HIERSPEECH2] sec. 3.3.
    """
    f0, voicing = batch["pitch"].split(1, 1)
    is_voiced = (voicing > 0).float()
    voiced = F.binary_cross_entropy_with_logits(said["voiced"], is_voiced, reduction="none")
    phones = F.nll_loss(said["symbols"], symbols, reduction="none").unsqueeze(1)
    return {
        "vectors": masked_mean((said["code_hat"] - batch["code"]).abs(), mask),
        "pitch": masked_mean((said["pitch_hat"] - f0).abs(), mask * is_voiced),
        "voiced": masked_mean(voiced, mask),
        "low": masked_mean((said["low_hat"] - batch["low"]).abs(), mask),
        "phones": masked_mean(phones, mask),
    }


def text_to_vec(out, batch):
    """Losses {name: scalar} of the outputs of `TextToVec.forward`; those of told begin with "told_".

    batch: as there, with low [B, M, F], the lowest log-mels, at mean 0 and variance 1.
    """
    mask = out["mask"]
    symbols = torch.matmul(batch["x"].unsqueeze(1).float(), out["path"]).squeeze(1).round().long()
    told = spoken(out["told"], batch, symbols, mask)
    return {
        **spoken(out["heard"], batch, symbols, mask),
        **{f"told_{name}": loss for name, loss in told.items()},
        "kl": kl(out["z_p"], out["logs_q"], out["m_p"], out["logs_p"], mask),
        "duration": duration_mse(out["logw"], out["w"], out["x_mask"]),
        "usual": F.mse_loss(out["usual"].float(), out["prosody"].float()),
    }
