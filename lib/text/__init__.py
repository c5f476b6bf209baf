"""Text becomes numbers: normalised, spoken as phonemes, encoded as symbols."""
from lib.text.normalisation import normalise, sentences
from lib.text.phonemes import encode, phonemise
from lib.text.symbols import INDEX, PAD, PUNCTUATION, SYMBOLS, decode, ids

__all__ = [
    "INDEX", "PAD", "PUNCTUATION", "SYMBOLS",
    "decode", "encode", "ids", "normalise", "phonemise", "sentences",
]
