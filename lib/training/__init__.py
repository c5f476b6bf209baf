"""Training runs and the checkpoints they leave."""
from lib.training.checkpoint import card, fingerprint, load, read, save, shards
from lib.training.fit import Log, cosine, fit, precision

__all__ = ["Log", "card", "cosine", "fingerprint", "fit", "load", "precision", "read", "save", "shards"]
