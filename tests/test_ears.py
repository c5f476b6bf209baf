"""What an ear learns from, and how it is asked."""
import numpy as np
import pytest
import torch

from lib import audio, text
from lib.data import corpus
from lib.data.clips import Clips
from lib.models.codec import CodecConfig
from lib.models.flow_vae import ContentEncoder, FlowVAEConfig
from lib.training import ears, stages
from lib.voices import Voices


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    sizes = FlowVAEConfig(hidden=16, residual_layers=6, code=len(text.SYMBOLS), tones=6, layers=1)
    return ContentEncoder(sizes, CodecConfig().C, CodecConfig().G).eval()


def test_marks_count_as_what_they_mark():
    x = np.array([text.INDEX[letter] for letter in "hˈiːə"])
    assert "".join(text.SYMBOLS[token] for token in ears.without_marks(x)) == "hiiiə"


def test_a_verdict_is_for_every_frame_and_looks_leave_no_trace(net):
    """Catches hooks that stay: a second question would then see twice as much."""
    mel = torch.randn(2, audio.N_MELS, 30)
    verdict, looks = ears.hear(net, mel)
    assert verdict.shape == (2, len(text.SYMBOLS), 30)
    assert [look.shape for look in looks] == 3 * [(2, 16, 30)]
    again, more = ears.hear(net, mel + 2)  # louder in every band: it is deaf to that
    assert len(more) == 3
    assert torch.allclose(verdict, again, atol=1e-3)


def test_who_knows_nothing_is_not_counted_as_wrong():
    verdict = torch.randn(1, 5, 3)
    alone = torch.nn.functional.cross_entropy(verdict[:, :, 1], torch.tensor([4]))
    assert torch.allclose(ears.misread(verdict, torch.tensor([[0, 4, 0]])), alone)


def test_disagreement_is_a_divergence():
    """Catches shares and logarithms mixed up, and the two sides exchanged."""
    verdict, wanted = torch.randn(2, 1, 5, 4)
    p = torch.distributions.Categorical(logits=wanted.transpose(1, 2))
    q = torch.distributions.Categorical(logits=verdict.transpose(1, 2))
    assert torch.allclose(ears.disagreement(verdict, wanted), torch.distributions.kl_divergence(p, q).mean())
    assert ears.disagreement(verdict, verdict + 3).abs() < 1e-6


def test_estrangement_is_a_share():
    looks = [torch.ones(1, 2, 3), torch.full((1, 2, 3), 10.0)]
    assert ears.estranged([1.1 * look for look in looks], looks) == pytest.approx(0.1)


def test_what_is_said_is_found_where_it_is_said(tmp_path):
    """The shipped synthesiser must find tokens of a clip in their order, each once or longer."""
    voices = Voices.load()
    clips = stages.ready(corpus.rows()[:2], tmp_path, voices.encoder)
    z = stages.latents(clips, tmp_path, voices.codec)
    found = ears.sounding(voices.tts, clips, 1, z)
    assert found.shape == (clips.frames[1],)
    x = ears.without_marks(clips.tokens[1])
    kept = [token for token, before in zip(x, [-1, *x]) if token != before]
    runs = [token for token, before in zip(found, [-1, *found]) if token != before]
    assert runs == kept


def test_nobody_knows_what_is_said_without_a_text(tmp_path):
    voices = Voices.load()
    rows = [row | {"text": ""} for row in corpus.rows()[:1]]
    clips = Clips(rows, tmp_path, lambda wav: voices.encoder.windows(torch.tensor(wav)[None, None]).numpy())
    assert not ears.sounding(voices.tts, clips, 0, None).any()


def test_symbols_lie_where_the_search_puts_them_in_frames_of_any_length(tmp_path):
    """At the rate of latents as `sounding` has them, but for marks; at the codec's rate in the same order."""
    voices = Voices.load()
    clips = stages.ready(corpus.rows()[:1], tmp_path, voices.encoder)
    z = stages.latents(clips, tmp_path, voices.codec)
    coarse = ears.said(voices.tts, clips, 0, audio.HOP)
    assert (ears.sounding(voices.tts, clips, 0, z) == coarse).mean() > 0.5  # marks lie in between
    fine = ears.said(voices.tts, clips, 0, 200)
    assert fine.shape == (len(clips.wav(0)) // 200,)
    runs = [token for token, before in zip(fine, [-1, *fine]) if token != before]
    assert runs == clips.tokens[0].tolist()


def test_symbols_of_a_clip_without_text_are_nobodys(tmp_path):
    voices = Voices.load()
    clips = stages.ready([row | {"text": ""} for row in corpus.rows()[:1]], tmp_path, voices.encoder)
    assert (ears.said(voices.tts, clips, 0, 200) == ears.NOBODY).all()
