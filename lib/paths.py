"""Where things lie that are not code."""
import os
from pathlib import Path

ASSETS = Path(__file__).parent.parent / "assets"
CHECKPOINTS = ASSETS / "checkpoints"
ATLAS = ASSETS / "atlas"
EMBEDDED = ASSETS / "corpus" / "mini.parquet"
LISTENING = ASSETS / "listening"


def checkpoints():
    """Give the folder of weights to use: VOICE_ATLAS_CHECKPOINTS where that is set, else the shipped ones."""
    return Path(os.environ.get("VOICE_ATLAS_CHECKPOINTS", CHECKPOINTS))
