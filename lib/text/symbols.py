"""The symbols that a model reads, and their numbers."""


PAD, PUNCTUATION = "_", ";:,.!?¡¿—…\"()' "
LETTERS = "abcdefghijklmnopqrstuvwxyz"
IPA = ("ɑɐɒæɓʙβɔɕçɗɖðʤəɘɚɛɜɝɞɟʄɡɠɢʛɦɧħɥʜɨɪʝɭɬɫɮʟɱɯɰŋ"
       "ɳɲɴøɵɸθœɶʘɹɺɾɻʀʁɽʂʃʈʧʉʊʋⱱʌɣɤʍχʎʏʑʐʒʔʡʕʢǀǁǂǃᵻ"
       "ˈˌːˑʼʰʱʲʷˠˤ˞↓↑→↗↘\u0329\u0303\u032a\u0325\u032f\u0306")
# Fixed once: the weights of every text encoder index into this.  0 is padding and the blank between symbols.
SYMBOLS = tuple(PAD + PUNCTUATION + LETTERS + IPA)
INDEX = {symbol: number for number, symbol in enumerate(SYMBOLS)}


def ids(phonemes):
    """Give the numbers of phonemes, [N].  Differs: [VITS] puts blanks between all, which would leave two
    frames of 16 ms a token.
    """
    return [0, *(INDEX[phoneme] for phoneme in phonemes), 0]


def decode(numbers):
    """Give back the phonemes of `numbers` [N]; blanks and padding vanish."""
    return "".join(SYMBOLS[number] for number in numbers if number)
