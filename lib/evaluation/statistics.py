"""Means, their intervals, and differences that may be called so.  The only door to scipy."""
import math
from typing import NamedTuple

import numpy as np

NOISE = "inside the noise"


class Difference(NamedTuple):
    """A paired difference: its mean, the ends of its interval, and a verdict ("better", "worse" or NOISE)."""
    mean: float
    low: float
    high: float
    verdict: str

    def text(self, digits=4):
        """The mean with its interval, signs shown."""
        return f"{self.mean:+.{digits}f} [{self.low:+.{digits}f}, {self.high:+.{digits}f}]"


def mos_ci(ratings, confidence=0.95):
    """Mean opinion score of ratings [n] with its confidence interval by Student's t: (mean, low, high).

    Ratings are taken as independent: with several per listener, give each listener's mean.
    Raises ValueError for fewer than two."""
    from scipy.stats import t
    ratings = np.asarray(ratings, dtype="float64")
    if ratings.ndim != 1 or len(ratings) < 2 or not np.isfinite(ratings).all():
        raise ValueError(f"Ratings of shape {ratings.shape}: give a list of at least two numbers.")
    mean = float(ratings.mean())
    error = ratings.std(ddof=1) / math.sqrt(len(ratings))
    half = t.ppf((1 + confidence) / 2, len(ratings) - 1) * error
    return mean, mean - float(half), mean + float(half)


def shown(interval, digits=2):
    """A mean and its interval (mean, low, high) as a cell of a table."""
    mean, low, high = interval
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def over_seeds(answers, digits=1):
    """Rows of a table of answers {system: [{question: number} of every seed]}: means with their intervals."""
    rows = []
    for question in next(iter(answers.values()))[0]:
        row = {"question": question}
        for system, given in answers.items():
            row[system] = shown(mos_ci([one[question] for one in given]), digits)
        rows.append(row)
    return rows


def wilson(hits, count, confidence=0.95):
    """Share of hits in `count` independent trials with Wilson's interval: (share, low, high)."""
    from scipy.stats import binomtest
    low, high = binomtest(int(hits), int(count)).proportion_ci(confidence, method="wilson")
    return hits / count, float(low), float(high)


def bootstrap(values, rounds=2000, confidence=0.95, seed=0):
    """Mean of values [n] with its percentile bootstrap interval: (mean, low, high).

    Where several values share a speaker, give one mean a speaker: draws must be independent.
    Raises ValueError for fewer than two."""
    values = np.asarray(values, dtype="float64")
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"values {values.shape}: an interval needs two or more finite numbers in a row.")
    means = np.random.default_rng(seed).choice(values, (rounds, len(values))).mean(1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(values.mean()), float(low), float(high)


def rank_correlation(values, others):
    """Spearman's rank correlation of values [n] and others [n]: [rho, p], p of no connection.

    Raises ValueError for unequal lengths, fewer than three, and where all of one side are equal."""
    from scipy.stats import spearmanr
    values, others = np.asarray(values, dtype="float64"), np.asarray(others, dtype="float64")
    if values.shape != others.shape or values.ndim != 1 or len(values) < 3:
        raise ValueError(f"{values.shape} and {others.shape}: ranks need two lists of three or more numbers.")
    if np.ptp(values) == 0 or np.ptp(others) == 0:
        raise ValueError("All numbers of one list are equal: there is nothing to rank.")
    rho, p = spearmanr(values, others)
    return [round(float(rho), 3), round(float(p), 3)]


def paired(values, base, higher=True):
    """Difference of values [n] to base [n], marks of the same n speakers (or clips) in the same order.

    higher: whether a higher mark is better (an error rate: False).
    Raises ValueError for unequal lengths or fewer than two."""
    values, base = np.asarray(values, dtype="float64"), np.asarray(base, dtype="float64")
    if values.shape != base.shape:
        raise ValueError(f"marks {values.shape} and {base.shape}: a pair needs the same speakers in both.")
    mean, low, high = bootstrap(values - base)
    if low <= 0 <= high:
        verdict = NOISE
    else:
        verdict = "better" if (mean > 0) == higher else "worse"
    return Difference(mean, low, high, verdict)


def compared(marks, digits=3):
    """Rows of a table of marks {system: {judge: [n]}}: means, intervals, paired gains over the first system.

    The n speakers are the same for all.  The verdict is that of all judges, or names the one of each where
    they disagree."""
    first = next(iter(marks))
    rows = []
    for system, by_judge in marks.items():
        row = {"system": system}
        verdicts = {}
        for judge, values in by_judge.items():
            mean, low, high = bootstrap(values)
            gain = paired(values, marks[first][judge])
            row[judge] = f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
            row[f"gain in {judge}"] = "-" if system == first else gain.text(digits)
            verdicts[judge] = gain.verdict
        row[f"against {first}"] = "-" if system == first else _together(verdicts)
        rows.append(row)
    return rows


def _together(verdicts):
    """One verdict of several judges {judge: verdict}."""
    if len(set(verdicts.values())) == 1:
        return next(iter(verdicts.values()))
    return "the judges disagree: " + "; ".join(f"{said} ({judge})" for judge, said in verdicts.items())
