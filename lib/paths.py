"""Where things lie that are not code."""
from pathlib import Path

ASSETS = Path(__file__).parent.parent / "assets"
CHECKPOINTS = ASSETS / "checkpoints"
ATLAS = ASSETS / "atlas"
EMBEDDED = ASSETS / "corpus" / "mini.parquet"
LISTENING = ASSETS / "listening"
