"""Information perturbation: another voice, the same words, the same length."""

import numpy as np
import pytest
import torch

from lib import audio
from lib.audio import perturb
from lib.data import corpus
from lib.data.clips import Clips


@pytest.fixture(scope="module")
def wav():
    return corpus.wav(corpus.rows()[0])


def cut(wav):
    """Log-mels [M, F], each band standardised."""
    import torch

    mel = audio.mel(torch.tensor(wav)[None, None])[0].numpy()
    return (mel - mel.mean(1, keepdims=True)) / (mel.std(1, keepdims=True) + 1e-3)


def test_factors_lie_between_the_limits_and_both_ways():
    """Catches a factor that only raises: half of all voices would then be perturbed away from what is met at
    inference.
    """
    rng = np.random.default_rng(0)
    drawn = np.array([perturb.factor(rng) for _ in range(2000)])
    assert drawn.min() >= 1 / 1.4 and drawn.max() <= 1.4 and abs((drawn > 1).mean() - 0.5) < 0.05
    assert np.log(drawn).std() > 0.15


@pytest.mark.parametrize("pitch", [1 / 1.3, 1.25])
def test_pitch_is_shifted_by_its_factor(wav, pitch):
    """Catches factors that are swapped or ignored."""
    moved = perturb.shift(wav, 1.0, pitch)
    assert audio.register(audio.pitch(moved)) - audio.register(audio.pitch(wav)) == pytest.approx(
        np.log2(pitch), abs=0.06
    )


@pytest.mark.parametrize("formants", [1 / 1.3, 1.3])
def test_formants_are_shifted_and_pitch_is_not(wav, formants):
    """Catches a plain resampling, which moves both."""
    moved = perturb.shift(wav, formants, 1.0)
    assert audio.register(audio.pitch(moved)) == pytest.approx(audio.register(audio.pitch(wav)), abs=0.06)
    centre = [float((s := np.abs(np.fft.rfft(x))) @ np.arange(len(s)) / s.sum()) for x in (wav, moved)]
    assert (centre[1] > 1.05 * centre[0]) if formants > 1 else (centre[1] < 0.95 * centre[0])


@pytest.mark.parametrize("size", [9000, 16001, 40000])
def test_length_stays_and_so_do_the_words(wav, size):
    """Catches a copy that is longer, late or silent: frames of the two must belong together, those shifted in
    time must not.
    """
    part = wav[:size]
    other = perturb.perturb(np.random.default_rng(size), part)
    assert (
        other.shape == part.shape
        and other.dtype == np.float32
        and np.isfinite(other).all()
        and np.abs(other).max() <= 0.97 + 1e-5
    )
    a, b = cut(part), cut(other)
    alike = [float((np.roll(a, lag, 1) * b).mean()) for lag in (-12, 0, 12)]
    assert alike[1] > 0.4 and alike[1] > max(alike[0], alike[2]) + 0.2, alike


def test_the_equaliser_changes_colour_without_delay(wav):
    """Catches an equaliser with a phase, which would move the frames of the copy against the original."""
    coloured = perturb.equalise(np.random.default_rng(3), wav)
    spectra = [np.abs(np.fft.rfft(x)) + 1e-6 for x in (wav, coloured)]
    gain = 20 * np.log10(spectra[1] / spectra[0])[100:]
    assert gain.max() - gain.min() > 6 and np.abs(gain).max() < 40
    together = np.fft.irfft(np.fft.rfft(coloured) * np.fft.rfft(wav).conj())
    assert abs(int(together.argmax())) == 0


def test_silence_and_noise_pass(wav):
    """Catches Praat's complaint about a sound without any pitch."""
    noise = 0.01 * np.random.default_rng(0).standard_normal(16000).astype("float32")
    assert np.isfinite(perturb.perturb(np.random.default_rng(0), noise)).all()


def test_views_are_made_once_and_line_up(tmp_path):
    """Catches views out of step with the clips they belong to, and work done twice."""
    clips = Clips(corpus.rows()[:3], tmp_path)
    mels, f0 = perturb.views(clips, tmp_path, copies=2)
    total = int(clips.frames.sum())
    assert mels.shape == (3, total, 80) and f0.shape == (total,) and isinstance(mels, np.memmap)
    start = int(clips.frames[0])
    wav, end = clips.wav(1)[: clips.frames[1] * audio.HOP], start + int(clips.frames[1])
    assert np.allclose(mels[0, start:end].T, audio.mel(torch.tensor(wav)[None, None])[0], atol=0.01)
    assert np.allclose(f0[start:end], audio.pitch(wav), rtol=1e-3)
    assert not np.allclose(mels[1], mels[2], atol=0.1)
    stamp = (tmp_path / "views-2-mels.npy").stat().st_mtime_ns
    perturb.views(clips, tmp_path, copies=2)
    assert (tmp_path / "views-2-mels.npy").stat().st_mtime_ns == stamp


def test_another_throat_moves_bands_and_bends_their_levels():
    """Catches bands that move by more than a throat could, and rows that share their fate."""
    mel = torch.zeros(3, 128, 4)
    mel[:, 60] = 40  # one band stands out, by more than any equaliser adds
    moved = perturb.other_throat(np.random.default_rng(0), mel)
    assert moved.shape == mel.shape and torch.isfinite(moved).all()
    peaks = moved[:, :, 0].argmax(1)
    assert len(set(peaks.tolist())) > 1
    assert ((peaks - 60).abs() <= 60 * perturb.THROAT / (1 - perturb.THROAT) + 1).all()
    assert not torch.allclose(moved[0, :20], moved[1, :20])
    assert torch.allclose(moved[:, :, :1].expand_as(moved), moved)  # all frames alike
