"""Text becomes numbers: normalised, spoken as phonemes, encoded as symbols."""
from lib.text.markup import dropped
from lib.text.normalisation import normalise, parts, sentences
from lib.text.phonemes import encode, phonemise
from lib.text.symbols import INDEX, PAD, PUNCTUATION, SYMBOLS, decode, ids

__all__ = [
    "INDEX", "PAD", "PUNCTUATION", "SYMBOLS",
    "decode", "dropped", "encode", "ids", "normalise", "parts", "phonemise", "sentences",
]
