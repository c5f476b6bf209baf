"""How good is it: figures for voices, words and waveforms.

The only door to pesq, pystoi and jiwer."""
import math
import warnings

import numpy as np

from lib import audio
from lib.nn import hub

DB_OF_CEPSTRA = 10 * math.sqrt(2) / math.log(10)  # a distance of cepstra in dB, as in [MCD]
# of the largest sample: what is left of a constant after its mean is taken is rounding, not sound
CONSTANT = 1e-9
SOFT = 1e-3  # of a variance: a number that stands still is not blown up
LSD_FFT = 2048  # samples of a window of the log-spectral distance, as in [NUWAVE2]
LSD_FLOOR = 1e-8  # of powers, before its logarithm


def eer(scores, labels):
    """Equal error rate of scores [n] with labels [n] (1 same speaker, 0 not): (rate in 0..1, threshold).

    A pair is accepted when its score >= threshold; there as many strangers get in (false acceptance) as
    people are turned away (false rejection), with a straight line between neighbouring scores where no score
    meets it exactly.
    Raises ValueError when the lengths differ, a score is not finite, or one kind of pair is missing."""
    scores, labels = np.asarray(scores, dtype="float64"), np.asarray(labels).astype(bool)
    if scores.shape != labels.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape} and labels {labels.shape} must be two lists of equal "
                         "length.")
    if not np.isfinite(scores).all():
        raise ValueError(f"{(~np.isfinite(scores)).sum()} of {len(scores)} scores are not finite: "
                         "check the encoder.")
    same, other = np.sort(scores[labels]), np.sort(scores[~labels])
    if not len(same) or not len(other):
        raise ValueError(f"{len(same)} same-speaker and {len(other)} other pairs: both are needed; "
                         "add clips.")
    steps = np.unique(scores)
    steps = np.append(steps, np.nextafter(steps[-1], np.inf))  # the last threshold turns everybody away
    rejected = np.searchsorted(same, steps, "left") / len(same)
    accepted = 1 - np.searchsorted(other, steps, "left") / len(other)
    gap = rejected - accepted  # rises from -1 to 1
    i = int(np.argmax(gap >= 0))
    share = gap[i - 1] / (gap[i - 1] - gap[i])  # of the way from one step to the next
    rate = rejected[i - 1] + share * (rejected[i] - rejected[i - 1])
    threshold = steps[i - 1] + share * (steps[i] - steps[i - 1])
    return float(rate), float(threshold)


def eer_of(spk_emb, speakers):
    """EER over all pairs of embeddings spk_emb [n, D] by cosine; speakers [n] says who speaks.

    Returns as `eer`."""
    spk_emb, speakers = _unit(spk_emb), np.asarray(speakers)
    if spk_emb.ndim != 2 or len(spk_emb) != len(speakers):
        raise ValueError(f"embeddings {spk_emb.shape} and {len(speakers)} speakers: give one row per label.")
    i, j = np.triu_indices(len(speakers), 1)
    return eer((spk_emb @ spk_emb.T)[i, j], speakers[i] == speakers[j])


def secs(spk_emb, other):
    """Speaker-embedding cosine similarity, -1 to 1: of [D] and [D] a float, of two [n, D] row by row [n]."""
    spk_emb, other = _unit(spk_emb), _unit(other)
    if spk_emb.shape != other.shape:
        raise ValueError(f"embeddings {spk_emb.shape} and {other.shape} differ in shape: "
                         "are they from two encoders?")
    cosine = (spk_emb * other).sum(-1)
    return float(cosine) if cosine.ndim == 0 else cosine


def _unit(spk_emb):
    spk_emb = np.asarray(spk_emb, dtype="float64")
    length = np.linalg.norm(spk_emb, axis=-1, keepdims=True)
    if not np.isfinite(length).all() or (length == 0).any():
        raise ValueError("An embedding is zero or not finite: it has no direction to compare.")
    return spk_emb / length


def nearest_is_same(vectors, labels):
    """Share of vectors [n, d] whose nearest other one has the same label [n], each of the d numbers scaled to
    mean 0 and variance 1 first; near is a large inner product.

    Of voices in what should not hold any: chance is low, and lower is better."""
    vectors, labels = np.asarray(vectors, dtype="float64"), np.asarray(labels)
    vectors = (vectors - vectors.mean(0)) / np.sqrt(vectors.var(0) + SOFT)
    products = vectors @ vectors.T
    np.fill_diagonal(products, -np.inf)
    return float((labels[products.argmax(1)] == labels).mean())


def linear_reader(vectors, labels, ridge=1e-2):
    """Fit a linear map of vectors [n, d] to their labels [n], whole numbers, by least squares.

    Returns a function that names the label of each of vectors [m, d].  The d numbers are scaled to variance
    1 first; ridge: of their own variance is added, so that two that say the same do no harm."""
    vectors = np.asarray(vectors, dtype="float64")
    mean, spread = vectors.mean(0), np.sqrt(vectors.var(0) + SOFT)
    kinds = np.unique(labels)

    def inputs(vectors):
        scaled = (np.asarray(vectors) - mean) / spread
        return np.concatenate([scaled, np.ones((len(scaled), 1))], 1)
    known = inputs(vectors)
    asked = (np.asarray(labels)[:, None] == kinds).astype(float)
    squares = known.T @ known + ridge * len(known) * np.eye(known.shape[1])
    weights = np.linalg.solve(squares, known.T @ asked)
    return lambda vectors: kinds[(inputs(vectors) @ weights).argmax(1)]


def frames_found(code, code_hat, within=1):
    """Share of frames of code [K, F] whose nearest among those of code_hat [K, F], by cosine, is the same
    one, give or take `within`."""
    nearest = (_unit(np.asarray(code).T) @ _unit(np.asarray(code_hat).T).T).argmax(1)
    return float((np.abs(nearest - np.arange(len(nearest))) <= within).mean())


def fold(text):
    """Bring text to what can be heard: lower case, no punctuation (apostrophes stay), single spaces."""
    text = text.lower().replace("’", "'").replace("‘", "'")
    letters = [letter if letter.isalnum() or letter == "'" else " " for letter in text]
    return " ".join("".join(letters).split())


def wer(texts, heard):
    """Word error rate of what was `heard` against `texts` (a string or a list each), both folded.

    Errors of the whole list over its words; above 1 when more words are invented than were asked.
    Raises ValueError for unequal lists or an empty text."""
    import jiwer
    return float(jiwer.wer(*_folded(texts, heard)))


def cer(texts, heard):
    """Character error rate, as `wer`; spaces between words count as characters."""
    import jiwer
    return float(jiwer.cer(*_folded(texts, heard)))


def _folded(texts, heard):
    texts = [texts] if isinstance(texts, str) else list(texts)
    heard = [heard] if isinstance(heard, str) else list(heard)
    if len(texts) != len(heard) or not texts:
        raise ValueError(f"{len(texts)} texts and {len(heard)} readings: give one reading for every text.")
    folded = [fold(text) for text in texts]
    if not all(folded):
        raise ValueError(f"Text {folded.index('')} has no words ({texts[folded.index('')]!r}): leave it out.")
    return folded, [fold(text) for text in heard]


def asr(model="openai/whisper-base", language="english"):
    """A reader, read(wav [T] at 16 kHz) -> str, from a Whisper model by name on the hub or by folder.

    Raises ValueError, with the remedy, when transformers is not installed or the model cannot be had."""
    package = hub.transformers()
    try:
        pipe = package.pipeline("automatic-speech-recognition", model=model)
    except Exception as error:  # the hub raises a dozen kinds: what matters is the remedy
        raise ValueError(f"The recogniser {model!r} could not be loaded ({type(error).__name__}): "
                         "check the network, or give the folder of a downloaded Whisper model.") from error

    def read(wav):
        """Text heard in wav [T] at 16 kHz."""
        sound = {"raw": np.asarray(wav, dtype="float32"), "sampling_rate": audio.RATE}
        options = {"language": language, "task": "transcribe"}
        return pipe(sound, generate_kwargs=options, return_timestamps=True)["text"].strip()
    return read


def mel_cepstra(mel, order=13):
    """Mel-cepstra 1 to `order` of log-mels [M, F] (natural log of magnitudes) as [F, order].

    log-mel = c_0 / 2 + sum over m of c_m cos(pi m (k + 1/2) / M): c_0, the loudness, is left out."""
    mel = np.asarray(mel, dtype="float64")
    M = len(mel)
    k = np.arange(M) + 0.5
    m = np.arange(1, order + 1)
    waves = 2 / M * np.cos(np.pi * m[:, None] * k / M)
    return (waves @ mel).T


def dtw(cost):
    """Cheapest monotonic path through cost [n, m] from corner to corner: (i [p], j [p]).

    Steps are (1, 0), (0, 1) and (1, 1)."""
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0
    for d in range(2, n + m + 1):  # anti-diagonals: every cell on one needs only the two before it
        i = np.arange(max(1, d - m), min(n, d - 1) + 1)
        j = d - i
        aside = np.minimum(total[i - 1, j], total[i, j - 1])
        total[i, j] = cost[i - 1, j - 1] + np.minimum(total[i - 1, j - 1], aside)
    i, j = n, m
    path = []
    while i and j:
        path.append((i - 1, j - 1))
        before = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(before, key=total.__getitem__)
    rows, columns = np.array(path[::-1]).T
    return rows, columns


def mcd(wav, ref_wav, order=13):
    """Mel-cepstral distortion in dB of wav [T] against ref_wav [T'], both 16 kHz, same words; 0 is identical.

    K = 10 sqrt(2) / ln 10 times the distance of cepstra, a mean along the path that DTW finds.
    Source: [MCD].  Differs: cepstra come from the 80 log-mels of lib.audio, so compare figures of this
    function only with each other.
    Raises ValueError for silence or less than one frame."""
    a, b = _cepstra(wav, order), _cepstra(ref_wav, order)
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    cost = DB_OF_CEPSTRA * np.sqrt(np.maximum(squares, 0))
    i, j = dtw(cost)
    return float(cost[i, j].mean())


def _cepstra(wav, order):
    """Mel-cepstra [F, order] of wav [T].  Raises ValueError for silence or less than one frame."""
    import torch
    wav = _sound(wav)
    if len(wav) < audio.N_FFT:
        raise ValueError(f"{len(wav)} samples are less than one frame of {audio.N_FFT}: give longer clips.")
    mel = audio.mel(torch.tensor(wav, dtype=torch.float32)[None, None])
    return mel_cepstra(mel[0].numpy(), order)


def si_sdr(est, ref):
    """Scale-invariant signal-to-distortion ratio in dB of est against ref, [T] (a float) or [..., T] ([...]).

    The part of est along ref against the rest, means removed; inf when exact.  Source: [SISDR] eq. (3).
    Raises ValueError for silence or unequal shapes."""
    est, ref = _pair(est, ref)
    est, ref = est - est.mean(-1, keepdims=True), ref - ref.mean(-1, keepdims=True)
    target = (est * ref).sum(-1, keepdims=True) / (ref**2).sum(-1, keepdims=True) * ref
    return _ratio(target, est - target)


def sdr(est, ref):
    """Plain signal-to-distortion ratio in dB, 10 log10(|ref|^2 / |ref - est|^2).

    Level and delay count as errors.  Differs: not the SDR of BSS Eval, which first allows est a filter of 512
    taps and so gives higher figures."""
    est, ref = _pair(est, ref)
    return _ratio(ref, ref - est)


def estoi(est, ref, rate=audio.RATE):
    """Extended short-time objective intelligibility of est [T] against clean ref [T], about 0 to 1.

    Source: [ESTOI].
    Raises ValueError for silence, unequal lengths, or under about 0.4 s of speech."""
    from pystoi import stoi
    est, ref = _pair(est, ref)
    with warnings.catch_warnings():
        # pystoi warns and returns 1e-5 where it could not measure
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(stoi(ref, est, rate, extended=True))
        except RuntimeWarning as error:
            raise ValueError(f"{len(ref) / rate:.2f} s hold too little speech for eSTOI: "
                             "give 0.5 s.") from error


def pesq(est, ref):
    """Wide-band PESQ (MOS-LQO, 1.0 to 4.64) of est [T] against clean ref [T], both 16 kHz.  Source: [PESQ].

    Raises ValueError for silence, unequal lengths, or where PESQ finds no utterance."""
    import pesq as package
    est, ref = _pair(est, ref)
    try:
        return float(package.pesq(audio.RATE, ref.astype("float32"), est.astype("float32"), "wb"))
    except package.PesqError as error:
        reason = error.args[0] if error.args else type(error).__name__
        if isinstance(reason, bytes):
            reason = reason.decode()
        seconds = len(ref) / audio.RATE
        raise ValueError(f"PESQ cannot measure {seconds:.2f} s ({reason}): is it speech?") from error


def _sound(wav):
    """wav as float64; ValueError where a measure would divide by its energy or spread NaN."""
    wav = np.asarray(wav, dtype="float64")
    if not wav.size or not np.isfinite(wav).all():
        raise ValueError(f"A signal of shape {wav.shape} is empty or holds values that are not numbers.")
    if (np.ptp(wav, axis=-1) <= CONSTANT * np.abs(wav).max()).any():
        raise ValueError("A signal is silent (constant): there is nothing to measure; "
                         "leave it out and say so.")
    return wav


def _pair(est, ref):
    est, ref = _sound(est), _sound(ref)
    if est.shape != ref.shape:
        raise ValueError(f"The signals have shapes {est.shape} and {ref.shape}: "
                         "cut both to the same samples first.")
    return est, ref


def _ratio(signal, noise):
    """10 log10 of the energies' ratio along the last axis; inf where there is no noise."""
    with np.errstate(divide="ignore"):
        ratio = 10 * np.log10((signal**2).sum(-1) / (noise**2).sum(-1))
    return float(ratio) if ratio.ndim == 0 else ratio


def lsd(est, ref):
    """Log-spectral distance of est [T] from ref [T] at the same rate; 0 is identical.

    Root mean square over bins of the difference of log10 powers, a mean over frames; windows of 2048 samples,
    hop 512.  Source: [NUWAVE2].  Differs: powers have a floor of 1e-8, so that an empty band has a
    figure at all: compare figures of this function only with each other.
    Raises ValueError for silence, unequal lengths or less than one window."""
    import torch
    est, ref = _pair(est, ref)
    if len(ref) < LSD_FFT:
        raise ValueError(f"{len(ref)} samples are less than one window of {LSD_FFT}: give longer clips.")
    both = torch.tensor(np.stack([est, ref]), dtype=torch.float32)
    window = torch.hann_window(LSD_FFT)
    spec = torch.stft(both, LSD_FFT, LSD_FFT // 4, window=window, center=False, return_complex=True)
    level = spec.abs().square().clamp_min(LSD_FLOOR).log10()
    return float((level[0] - level[1]).square().mean(0).sqrt().mean())
