"""Figures against cases whose answer is known on paper."""
import itertools
import math
import sys

import numpy as np
import pytest
import scipy.stats
import torch

from lib import audio
from lib.data import corpus
from lib.evaluation import metrics, statistics


@pytest.fixture(scope="module")
def speech():
    """Two sentences of one embedded voice, float32 [T] at 16 kHz."""
    rows = corpus.rows()
    return corpus.wav(rows[0]), corpus.wav(rows[1])


def orthogonal(rng, T):
    """A signal and a noise of equal energy, zero mean, at right angles."""
    ref, noise = rng.standard_normal((2, T))
    ref -= ref.mean()
    noise -= noise.mean()
    noise -= noise @ ref / (ref @ ref) * ref
    return ref, noise * np.linalg.norm(ref) / np.linalg.norm(noise)


# ---------------------------------------------------------------- voices

def test_eer_of_separable_scores_is_zero_and_the_threshold_separates():
    rate, threshold = metrics.eer([0.9, 0.8, 0.7, 0.2, 0.1], [1, 1, 1, 0, 0])
    assert rate == 0 and 0.2 < threshold <= 0.7
    assert metrics.eer([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0])[0] == 1


def test_eer_counts_by_hand():
    # one of four people below one of four strangers: a quarter on both sides
    assert metrics.eer([4, 3, 2.5, 1, 2, 0, -1, -2], [1, 1, 1, 1, 0, 0, 0, 0])[0] == pytest.approx(0.25)


def test_eer_of_two_gaussians_is_the_normal_tail():
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(2, 1, 20000), rng.normal(0, 1, 60000)])
    rate, threshold = metrics.eer(scores, np.arange(80000) < 20000)
    assert rate == pytest.approx(scipy.stats.norm.cdf(-1), abs=0.005)
    assert threshold == pytest.approx(1, abs=0.03)


def test_eer_of_chance_and_of_one_score_for_all_is_a_half():
    rng = np.random.default_rng(0)
    assert metrics.eer(rng.random(20000), rng.random(20000) < 0.3)[0] == pytest.approx(0.5, abs=0.02)
    assert metrics.eer([1.0, 1.0, 1.0], [1, 0, 0])[0] == pytest.approx(0.5)


def test_eer_of_embeddings_takes_every_pair_once():
    spk_emb = [[1, 0], [2, 0.1], [0, 1], [0.1, 3]]
    assert metrics.eer_of(spk_emb, ["a", "a", "b", "b"])[0] == 0
    rng = np.random.default_rng(0)
    spk_emb, who = rng.standard_normal((30, 8)), rng.integers(5, size=30)
    pairs = list(itertools.combinations(range(30), 2))
    slow = [metrics.secs(spk_emb[i], spk_emb[j]) for i, j in pairs], [who[i] == who[j] for i, j in pairs]
    assert metrics.eer_of(spk_emb, who) == pytest.approx(metrics.eer(*slow))


@pytest.mark.parametrize("scores, labels, said", [
    ([1, 2], [1], "equal length"), ([1, 2], [1, 1], "both are needed"),
    ([1, math.nan], [1, 0], "not finite")])
def test_eer_says_what_is_wrong(scores, labels, said):
    with pytest.raises(ValueError, match=said):
        metrics.eer(scores, labels)


def test_secs_is_the_cosine_whatever_the_length():
    assert metrics.secs([3, 0], [5, 5]) == pytest.approx(math.sqrt(0.5))
    assert metrics.secs([[1, 0], [1, 0]], [[0, 2], [-4, 0]]) == pytest.approx([0, -1])
    with pytest.raises(ValueError, match="zero"):
        metrics.secs([0, 0], [1, 0])
    with pytest.raises(ValueError, match="two encoders"):
        metrics.secs([1, 0, 0], [1, 0])


# ---------------------------------------------------------------- words

def test_wer_folds_case_and_punctuation_and_counts_over_the_whole_list():
    assert metrics.wer("Don’t stop—the ferry leaves!", "don't stop the FERRY, leaves") == 0
    # one error in ten words and one in two: 2 / 12, where a mean of ratios would say 0.3
    assert metrics.wer(["one two three four five six seven eight nine ten", "good day"],
                       ["one two three four five six seven eight nine pen", "good"]) == pytest.approx(2 / 12)
    assert metrics.wer("a b", "") == 1 and metrics.wer("a", "a b c") == 2


def test_cer_counts_characters():
    assert metrics.cer("abcd", "abxd") == pytest.approx(0.25)
    assert metrics.cer("Seoul, 서울", "seoul 서울") == 0


def test_words_refuse_what_cannot_be_scored():
    with pytest.raises(ValueError, match="no words"):
        metrics.wer("...", "hello")
    with pytest.raises(ValueError, match="one reading for every text"):
        metrics.wer(["a", "b"], ["a"])


def test_asr_without_transformers_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match="pip install transformers"):
        metrics.asr()


# ---------------------------------------------------------------- spectra

def test_mel_cepstra_are_the_cosine_series_of_the_log_mels():
    M, F = 80, 7
    k = np.arange(M) + 0.5
    mel = 5 + 0.3 * np.cos(np.pi * 4 * k / M)[:,
                                              None] - 2 * np.cos(np.pi * 13 * k / M)[:,
                                                                                     None] + np.zeros((M, F))
    expected = np.zeros((F, 13))
    expected[:, 3], expected[:, 12] = 0.3, -2
    np.testing.assert_allclose(metrics.mel_cepstra(mel), expected, atol=1e-12)


def test_dtw_finds_the_cheapest_of_all_paths():
    rng = np.random.default_rng(0)
    cost = rng.random((4, 5))

    def cheapest(i, j):  # the definition, written as the recursion that it is
        if (i, j) == (0, 0):
            return cost[0, 0]
        before = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        return cost[i, j] + min(cheapest(a, b) for a, b in before if a >= 0 and b >= 0)
    i, j = metrics.dtw(cost)
    assert cost[i, j].sum() == pytest.approx(cheapest(3, 4))
    assert (i[0], j[0], i[-1], j[-1]) == (0, 0, 3, 4)
    assert set(zip(np.diff(i), np.diff(j))) <= {(1, 0), (0, 1), (1, 1)}


def test_mcd_of_itself_is_zero_and_does_not_hear_level_or_pace(speech):
    wav, other = speech
    assert metrics.mcd(wav, wav) == pytest.approx(0, abs=1e-6)
    stretched = np.concatenate([np.resize(part, int(1.25 * len(part))) for part in np.array_split(wav, 200)])
    far = metrics.mcd(wav, other)
    assert metrics.mcd(0.7 * wav, wav) < 0.15 * far  # not exactly 0: the mel floor does not scale
    assert metrics.mcd(stretched, wav) < 0.7 * far


def test_mcd_of_a_constant_tilt_is_k_times_its_cepstrum(monkeypatch):
    """A known change of the log-mels, +0.5 in the second cepstrum, must cost K * 0.5 dB."""
    mel = torch.tensor(np.random.default_rng(0).standard_normal((80, 20)) * 3, dtype=torch.float32)
    tilt = torch.tensor(0.5 * np.cos(np.pi * 2 * (np.arange(80) + 0.5) / 80), dtype=torch.float32)[:, None]
    answers = iter([mel[None], (mel + tilt)[None]])
    monkeypatch.setattr(audio, "mel", lambda wav: next(answers))
    sound = np.sin(np.arange(6000))
    assert metrics.mcd(sound, sound) == pytest.approx(10 * math.sqrt(2) / math.log(10) * 0.5, rel=1e-4)


def test_mcd_refuses_silence_and_snippets():
    with pytest.raises(ValueError, match="silent"):
        metrics.mcd(np.zeros(16000), np.sin(np.arange(16000)))
    with pytest.raises(ValueError, match="less than one frame"):
        metrics.mcd(np.sin(np.arange(100)), np.sin(np.arange(16000)))


# ---------------------------------------------------------------- waveforms

@pytest.mark.parametrize("db", [-5, 0, 10, 30])
def test_si_sdr_of_known_noise(db):
    ref, noise = orthogonal(np.random.default_rng(1), 8001)
    est = ref + noise * 10 ** (-db / 20)
    assert metrics.si_sdr(est, ref) == pytest.approx(db, abs=1e-6)
    assert metrics.sdr(est, ref) == pytest.approx(db, abs=1e-6)


def test_si_sdr_ignores_scale_and_offset_where_sdr_does_not():
    ref, noise = orthogonal(np.random.default_rng(2), 4000)
    est = ref + 0.1 * noise
    assert metrics.si_sdr(-0.2 * est + 3, ref) == pytest.approx(20, abs=1e-6)
    assert metrics.si_sdr(est, 7 * ref - 1) == pytest.approx(20, abs=1e-6)
    assert metrics.sdr(0.5 * ref, ref) == pytest.approx(20 * math.log10(2))


def test_si_sdr_keeps_leading_axes():
    rng = np.random.default_rng(3)
    ref, noise = orthogonal(rng, 4000)
    est, ref = np.stack([ref + noise, ref + 0.1 * noise]), np.stack([ref, ref])
    np.testing.assert_allclose(metrics.si_sdr(est, ref), [0, 20], atol=1e-6)
    assert metrics.sdr(ref[0], ref[0]) == math.inf


@pytest.mark.parametrize("measure", [metrics.si_sdr, metrics.sdr, metrics.estoi, metrics.pesq])
def test_waveform_measures_refuse_silence_and_unequal_lengths(measure):
    wav = np.random.default_rng(0).standard_normal(16000)
    for silent in (np.zeros(16000), np.full(16000, 0.3)):
        for pair in ((wav, silent), (silent, wav)):
            with pytest.raises(ValueError, match="silent"):
                measure(*pair)
    with pytest.raises(ValueError, match=r"\(16000,\) and \(15999,\)"):
        measure(wav, wav[1:])
    with pytest.raises(ValueError, match="not numbers"):
        measure(wav, np.where(np.arange(16000) == 5, np.nan, wav))


def test_estoi_and_pesq_fall_as_noise_grows(speech):
    wav = speech[0]
    noise = np.random.default_rng(0).standard_normal(len(wav)) * wav.std()
    noisy = [wav + 10 ** (-db / 20) * noise for db in (40, 15, 0)]
    assert metrics.estoi(wav, wav) == pytest.approx(1, abs=1e-6) and metrics.pesq(wav, wav) > 4.6
    for measure in (metrics.estoi, metrics.pesq):
        figures = [measure(wav, wav), *(measure(est, wav) for est in noisy)]
        assert figures == sorted(figures, reverse=True) and figures[0] - figures[-1] > 0.3


def test_estoi_and_pesq_say_when_there_is_too_little():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="too little speech"):
        metrics.estoi(*rng.standard_normal((2, 2000)))
    with pytest.raises(ValueError, match="PESQ"):
        metrics.pesq(*rng.standard_normal((2, 500)))


# ---------------------------------------------------------------- opinions

def test_mos_interval_is_that_of_scipy():
    ratings = np.random.default_rng(0).integers(1, 6, 25)
    mean, low, high = statistics.mos_ci(ratings)
    expected = scipy.stats.t.interval(0.95, 24, loc=ratings.mean(), scale=scipy.stats.sem(ratings))
    assert mean == pytest.approx(ratings.mean()) and (low, high) == pytest.approx(expected)
    with pytest.raises(ValueError, match="at least two"):
        statistics.mos_ci([4])


def test_mos_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [statistics.mos_ci(rng.normal(3.5, 1, 8))[1:] for _ in range(1000)]
    assert 0.93 < np.mean([low < 3.5 < high for low, high in intervals]) < 0.97


def test_bootstrap_covers_the_mean_as_often_as_it_says():
    """Catches an interval of single values instead of means, which would call every difference noise."""
    rng = np.random.default_rng(0)
    hits = 0
    for k in range(200):
        mean, low, high = statistics.bootstrap(rng.normal(1.0, 2.0, 40), rounds=300, seed=k)
        assert low < mean < high and high - low < 2
        hits += low <= 1.0 <= high
    assert 0.88 < hits / 200 <= 0.99
    assert statistics.bootstrap([1.0, 2.0, 3.0]) == statistics.bootstrap([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="two or more"):
        statistics.bootstrap([1.0])


def test_rank_correlation_by_hand_and_what_has_no_ranks():
    """Catches a correlation of values instead of ranks: 1 - 6 * 2 / (4 * 15) with one swapped pair."""
    rho, p = statistics.rank_correlation([1, 2, 3, 4], [10, 20, 4000, 30])
    assert rho == 0.8 and 0 < p < 1
    assert statistics.rank_correlation([1, 2, 3], [9, 4, 1])[0] == -1
    for values, others, words in (([1, 2], [1, 2], "three"), ([1, 2, 3], [1, 2], "two lists"),
                                  ([1, 1, 1], [1, 2, 3], "equal")):
        with pytest.raises(ValueError, match=words):
            statistics.rank_correlation(values, others)


def test_a_paired_difference_has_a_verdict():
    """Catches a lower error that is called worse, noise that is called better, and marks that are not of the
    same speakers."""
    rng = np.random.default_rng(0)
    base = rng.normal(0.5, 0.2, 30)
    raised = base + rng.normal(0.05, 0.02, 30)
    gain = statistics.paired(raised, base)
    assert gain.verdict == "better" and gain[:3] == statistics.bootstrap(raised - base)
    assert statistics.paired(base + 0.05 + rng.normal(0, 0.02, 30), base, higher=False).verdict == "worse"
    assert statistics.paired(base - 0.05 + rng.normal(0, 0.02, 30), base, higher=False).verdict == "better"
    assert statistics.paired(base + rng.normal(0, 0.2, 30), base).verdict == "inside the noise"
    assert statistics.paired(base, base).text(2) == "+0.00 [+0.00, +0.00]"
    with pytest.raises(ValueError, match="same speakers"):
        statistics.paired(base, base[:-1])


def test_a_table_of_systems_names_the_verdict_of_each_judge_where_they_disagree():
    """Catches a gain over the wrong system, and a verdict that one judge alone has given."""
    base = np.linspace(0.4, 0.8, 8)
    marks = {
        "first": {"one": base, "two": base},
        "both": {"one": base + 0.1, "two": base + 0.2},
        "one": {"one": base - 0.1, "two": base},
    }
    first, both, one = statistics.compared(marks)
    assert first["gain in one"] == first["against first"] == "-"
    assert both["against first"] == "better" and both["gain in two"] == "+0.200 [+0.200, +0.200]"
    assert both["two"].startswith("0.800 [")
    assert one["against first"] == "the judges disagree: worse (one); inside the noise (two)"


def test_wilsons_interval_stays_inside_0_to_1():
    """Catches the interval of the normal distribution, which gives 8 of 8 no width at all."""
    share, low, high = statistics.wilson(81, 263)
    assert (share, low, high) == pytest.approx((0.3080, 0.2553, 0.3662), abs=1e-4)
    share, low, high = statistics.wilson(8, 8)
    assert share == 1 and 0.5 < low < 1 and high <= 1 + 1e-9


def test_voices_are_guessed_from_vectors_that_hold_them_only():
    """Catches a vector that finds itself, and one large number that drowns the others."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 4)
    held = rng.standard_normal((5, 8))[labels] + 0.1 * rng.standard_normal((20, 8))
    loud = 1000 * rng.standard_normal((20, 1))
    assert metrics.nearest_is_same(np.hstack([held, loud]), labels) > 0.9
    chance = [metrics.nearest_is_same(rng.standard_normal((20, 8)), labels) for _ in range(50)]
    assert np.mean(chance) == pytest.approx(3 / 19, abs=0.06)


def test_frames_are_found_in_a_copy_give_or_take_one():
    code = np.random.default_rng(0).standard_normal((16, 40))
    assert metrics.frames_found(code, 3 * code) == 1
    shifted = np.roll(code, 1, axis=1)
    assert metrics.frames_found(code, shifted) == 39 / 40
    assert metrics.frames_found(code, shifted, within=0) == 0
    constant = np.ones((16, 40))
    assert metrics.frames_found(constant, constant) == 2 / 40


def test_answers_over_seeds_are_means_with_intervals():
    answers = {"with": [{"a": 1.0, "b": 5.0}, {"a": 3.0, "b": 5.0}], "without": [{"a": 0.0, "b": 0.0}] * 2}
    rows = statistics.over_seeds(answers)
    half = scipy.stats.t.ppf(0.975, 1)
    assert rows[0] == {
        "question": "a", "with": f"2.0 ({2 - half:.1f} to {2 + half:.1f})", "without": "0.0 (0.0 to 0.0)",
    }
    assert rows[1]["with"] == "5.0 (5.0 to 5.0)"
    assert statistics.shown((0.5, 0.25, 0.75), 3) == "0.500 (0.250 to 0.750)"


def test_a_linear_reader_names_what_lies_on_a_line_and_nothing_else():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, 6, 400)
    told = np.eye(3)[labels - 3] @ rng.standard_normal((3, 10)) + 0.1 * rng.standard_normal((400, 10))
    read = metrics.linear_reader(told[:200], labels[:200])
    assert (read(told[200:]) == labels[200:]).mean() > 0.95
    silent = rng.standard_normal((400, 10))
    chance = (metrics.linear_reader(silent[:200], labels[:200])(silent[200:]) == labels[200:]).mean()
    assert chance < 0.5
    constant = np.hstack([told, np.ones((400, 1))])  # a number that stands still does no harm
    assert (metrics.linear_reader(constant[:200], labels[:200])(constant[200:]) == labels[200:]).mean() > 0.95
