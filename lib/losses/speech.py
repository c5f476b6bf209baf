"""Losses of speech models: pure functions, masked means.

The names in a loss dict are the names in the log and in the weights table.
"""
import torch
import torch.nn.functional as F

from lib import audio

# samples and bands, as in [DAC]
WINDOWS = ((64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320))
BACKWARD = 0.5  # of bidirectional_kl, the share of the way from the prior to the posterior
PRESSED, PRESSED_WINDOW, PRESSED_HOP = 0.3, 512, 160  # power of magnitudes; 32 ms every 10 ms
FAINT = 1e-3  # power under which a magnitude hardly counts, beside speech whose RMS is one
LOG_FLOOR = -1.0  # of log durations: no token is asked to be shorter than 0.4 frames


def total(losses, weights):
    """Weighted sum of {name: scalar}.

    Raises KeyError for a name without a weight, so that no loss is ever lost by a typo."""
    unknown = set(losses) - set(weights)
    if unknown:
        raise KeyError(f"losses without a weight: {sorted(unknown)}; the table has {sorted(weights)}")
    return sum(weights[name] * loss for name, loss in losses.items())


def masked_mean(values, mask):
    """Mean of values [B, C, F] where mask [B, 1, F] is one."""
    return (values * mask).sum() / (mask.sum() * values.shape[1]).clamp_min(1)


def kl(z_p, logs_q, m_p, logs_p, mask):
    """KL divergence of the posterior from the expanded prior, all [B, C, F], after the flow.

    A mean over mask [B, 1, F].
    Source: [VITS] eq. (3)-(4), the expectation taken with the one sample z_p.  Differs: a mean over channels
    too, so that the weight does not depend on C."""
    z_p, logs_q, m_p, logs_p = z_p.float(), logs_q.float(), m_p.float(), logs_p.float()
    divergence = logs_p - logs_q - 0.5 + 0.5 * (z_p - m_p) ** 2 * torch.exp(-2 * logs_p)
    return masked_mean(divergence, mask)


def bidirectional_kl(forth, q, back, p, mask):
    """KL divergence of q from p after the flow, and half of that of p from q before it.

    q, p: (m, logs) of the posterior and of the prior, [B, C, F] each.  forth: a draw from q that went
    through the flow; back: a draw from p that went through it the other way, which is the way of every
    conversion.  Source: [HIERSPEECH2] sec. 3.2, its bidirectional flow; the half as in its released
    configuration.  Differs: a mean over channels, as in `kl`.
    """
    (m_q, logs_q), (m_p, logs_p) = q, p
    return kl(forth, logs_q, m_p, logs_p, mask) + BACKWARD * kl(back, logs_p, m_q, logs_q, mask)


def kl_standard(m_q, logs_q, mask):
    """KL divergence of N(m_q, exp(logs_q)^2) [B, C, F] from N(0, 1).

    Keeps z in reach of a prior that is learned later."""
    m_q, logs_q = m_q.float(), logs_q.float()
    return masked_mean(0.5 * (m_q**2 + torch.exp(2 * logs_q) - 1) - logs_q, mask)


def mel_l1(mel_hat, mel):
    """Reconstruction loss of [VITS] eq. (2): mean absolute difference of log-mels [B, M, F]."""
    return F.l1_loss(mel_hat.float(), mel.float())


def multi_mel(wav_hat, wav):
    """Mean of mel_l1 at six windows, for wav_hat, wav [B, 1, T].  Source: [DAC] sec. 3.3.

    Differs from [VITS] (1024 and 80 alone): 80 bands do not tell harmonics above 1 kHz apart; short windows
    see the pulses of a voice."""
    terms = [mel_l1(audio.mel(wav_hat, n_fft, bands), audio.mel(wav, n_fft, bands))
             for n_fft, bands in WINDOWS]
    return sum(terms) / len(terms)


def pressed_l1(est_speech, speech):
    """Mean absolute difference of magnitudes to the power .3, of est_speech and speech [B, 1, T].

    Pressed so, a consonant counts nearly as a vowel does.  Source: [POWERLAW] sec. 3.2.  Differs: of
    magnitudes only, at the level of the speech.  Unlike the sum of squares of an SDR this asks for what is
    faint, too."""
    level = speech.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-4)
    window = torch.hann_window(PRESSED_WINDOW, device=speech.device)
    magnitudes = []
    for wav in (est_speech, speech):
        spec = torch.stft((wav / level)[:, 0].float(), PRESSED_WINDOW, PRESSED_HOP, window=window,
                          return_complex=True) / (PRESSED_WINDOW / 16)
        power = spec.real.square() + spec.imag.square()
        magnitudes.append((power + FAINT) ** (PRESSED / 2))
    return (magnitudes[0] - magnitudes[1]).abs().mean()


def duration_mse(logw_hat, w, x_mask):
    """Squared error of log durations: logw_hat [B, 1, N] against w [B, 1, N] frames, over x_mask.

    Source: [GLOWTTS] sec. 2.2."""
    logw = torch.log(w.float() + 1e-6).clamp_min(LOG_FLOOR)
    return masked_mean((logw_hat.float() - logw) ** 2, x_mask)


def discriminator_adv(real, fake):
    """Least-squares loss of the discriminator over lists of scores.  Source: [VITS] eq. (8)."""
    terms = []
    for r, f in zip(real, fake, strict=True):
        terms.append(((r.float() - 1) ** 2).mean() + (f.float() ** 2).mean())
    return sum(terms) / len(terms)


def generator_adv(fake):
    """Least-squares loss of the generator over a list of scores.  Source: [VITS] eq. (9)."""
    return sum(((score.float() - 1) ** 2).mean() for score in fake) / len(fake)


def feature_matching(fmap_r, fmap_g):
    """Mean absolute difference of discriminator features, lists of lists.  Source: [VITS] eq. (10)."""
    terms = []
    for real, made in zip(fmap_r, fmap_g, strict=True):
        for r, g in zip(real, made, strict=True):
            terms.append(F.l1_loss(g.float(), r.float().detach()))
    return sum(terms) / len(terms)
