"""Means and their intervals."""
import math

import numpy as np


def mos_ci(ratings, confidence=0.95):
    """Mean opinion score of ratings [n] with its confidence interval by Student's t: (mean, low, high).

    Ratings are taken as independent: with several per listener, give each listener's mean. Raises ValueError for fewer than two."""
    from scipy.stats import t
    ratings = np.asarray(ratings, dtype="float64")
    if ratings.ndim != 1 or len(ratings) < 2 or not np.isfinite(ratings).all():
        raise ValueError(f"Ratings of shape {ratings.shape}: an interval needs at least two numbers in one list.")
    half = t.ppf((1 + confidence) / 2, len(ratings) - 1) * ratings.std(ddof=1) / math.sqrt(len(ratings))
    return float(ratings.mean()), float(ratings.mean() - half), float(ratings.mean() + half)


def bootstrap(values, rounds=2000, confidence=0.95, seed=0):
    """Mean of values [n] with its percentile bootstrap interval: (mean, low, high).

    For a paired comparison give differences; where several values share a speaker, give one mean a speaker: draws must be independent.
    Raises ValueError for fewer than two."""
    values = np.asarray(values, dtype="float64")
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"values {values.shape}: an interval needs two or more finite numbers in a row.")
    means = np.random.default_rng(seed).choice(values, (rounds, len(values))).mean(1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(values.mean()), float(low), float(high)
