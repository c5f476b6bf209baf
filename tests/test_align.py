"""Alignment: the search against trying every path, the likelihood against torch's own."""
import itertools

import pytest
import torch

from lib.nn import align
from lib.nn.blocks import sequence_mask


def every_path(N, frames):
    """All monotonic paths [N, frames] that give every token at least one frame."""
    for cuts in itertools.combinations(range(1, frames), N - 1):
        edges, path = (0, *cuts, frames), torch.zeros(N, frames)
        for n, (a, b) in enumerate(itertools.pairwise(edges)):
            path[n, a:b] = 1
        yield path


@pytest.mark.parametrize("seed", range(6))
def test_search_finds_the_best_of_all_paths(seed):
    """Catches an alignment that is not the most likely one, or that reads the score transposed or beyond a
    clip's own length."""
    torch.manual_seed(seed)
    tokens, frames = torch.tensor([3, 4, 1]), torch.tensor([7, 4, 5])
    score = torch.randn(3, 4, 7)
    path = align.search(score, sequence_mask(tokens), sequence_mask(frames))
    assert path.shape == score.shape
    for b, (N, F) in enumerate(zip(tokens.tolist(), frames.tolist())):
        best = max(every_path(N, F), key=lambda p, b=b, N=N, F=F: float((p * score[b, :N, :F]).sum()))
        assert torch.equal(path[b, :N, :F], best)
        assert path[b].sum() == F


def test_search_gives_every_frame_to_one_token_and_every_token_a_frame():
    """Catches skipped phonemes (dropped words) and frames without a mean (a prior of zeros)."""
    torch.manual_seed(1)
    tokens, frames = torch.tensor([9, 5]), torch.tensor([30, 9])
    x_mask, z_mask = sequence_mask(tokens), sequence_mask(frames)
    path = align.search(torch.randn(2, 9, 30), x_mask, z_mask)
    assert torch.equal(path.sum(1, keepdim=True), z_mask)
    assert torch.equal(path.sum(2).ge(1).float(), x_mask[:, 0])


def test_search_refuses_more_tokens_than_frames():
    """Catches the silent nonsense that the compiled search returns when no path exists."""
    x_mask, z_mask = sequence_mask(torch.tensor([3, 8])), sequence_mask(torch.tensor([9, 7]))
    with pytest.raises(ValueError, match="8 tokens do not fit 7 frames: leave such clips out"):
        align.search(torch.randn(2, 8, 9), x_mask, z_mask)


def test_search_passes_no_gradient_and_keeps_the_type():
    """Catches an alignment that the loss could bend, and a float64 score that comes back in another type."""
    score = torch.randn(1, 2, 3, dtype=torch.float64, requires_grad=True)
    path = align.search(score, torch.ones(1, 1, 2), torch.ones(1, 1, 3))
    assert not path.requires_grad and path.dtype == torch.float64


def test_log_likelihood_equals_torchs_normal():
    """Catches a variance taken for a standard deviation, and a constant left out (it depends on the
    token)."""
    torch.manual_seed(2)
    z_p, m_p, logs_p = torch.randn(2, 3, 5), torch.randn(2, 3, 4), 0.5 * torch.randn(2, 3, 4)
    twin = torch.distributions.Normal(m_p.unsqueeze(3),
                                      logs_p.exp().unsqueeze(3)).log_prob(z_p.unsqueeze(2)).sum(1)
    assert torch.allclose(align.log_likelihood(z_p, m_p, logs_p), twin, atol=1e-4)


def test_path_from_gives_each_token_its_frames_in_order():
    """Catches durations shifted by one token, and a path that does not end where the clip ends."""
    w = torch.tensor([[[2.0, 0, 3]], [[1, 1, 0]]])
    path = align.path_from(w)
    assert path.shape == (2, 3, 5) and torch.equal(path.sum(2), w.squeeze(1))
    assert path[0].tolist() == [[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1, 1, 1]]
    assert path[1].tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert align.path_from(w, torch.ones(2, 1, 7)).shape == (2, 3, 7)


def test_path_from_undoes_search():
    """Catches two ideas of what a path is: training expands by search, synthesis by path_from."""
    torch.manual_seed(3)
    x_mask, z_mask = sequence_mask(torch.tensor([4, 3])), sequence_mask(torch.tensor([9, 8]))
    path = align.search(torch.randn(2, 4, 9), x_mask, z_mask)
    assert torch.equal(align.path_from(path.sum(2).unsqueeze(1), z_mask), path)
