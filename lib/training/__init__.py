"""Training runs and the checkpoints they leave."""
from lib.training.checkpoint import frozen, load, parse, read, save, shards
from lib.training.fit import Batches, Log, Progress, Signals, agreed, cosine, fit, one_step, precision, resume, save_state, set_rate
from lib.training.packing import packed, unpacked

__all__ = ["Batches", "Log", "Progress", "Signals", "agreed", "cosine", "fit", "frozen", "load", "one_step", "packed", "parse", "precision", "read", "resume", "save", "save_state", "set_rate", "shards", "unpacked"]
