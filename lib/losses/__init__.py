"""Losses: pure functions, masked means."""
from lib.losses.contrastive import aam_softmax, angular_prototypical, frame_contrastive, speaker_consistency
from lib.losses.separation import (
    affinity,
    circle,
    circle_of_known,
    compactness,
    negative_sdr,
    negative_si_sdr,
    pairwise,
    pit,
)
from lib.losses.speech import (
    bidirectional_kl,
    discriminator_adv,
    duration_mse,
    feature_matching,
    generator_adv,
    kl,
    kl_standard,
    masked_mean,
    mel_l1,
    multi_mel,
    pressed_l1,
    total,
)

__all__ = [
    "aam_softmax", "affinity", "angular_prototypical", "bidirectional_kl", "circle",
    "circle_of_known", "compactness", "discriminator_adv", "duration_mse", "feature_matching",
    "frame_contrastive", "generator_adv", "kl", "kl_standard", "masked_mean", "mel_l1", "multi_mel",
    "negative_sdr", "negative_si_sdr", "pairwise", "pit", "pressed_l1", "speaker_consistency",
    "total",
]
