"""How near a result came to a voice, in words: by a good referee where there is a recording of the voice,
else by the encoder.
"""

from lib.voices.speech import is_clip

TOO_SHORT = "not measured, as the result is too short or silent"
MOST_EER = 0.15  # of a referee that is shown: one that errs more often tells visitors nothing
SURE = 3.0  # s of a result: the pairs that it is compared with are that long, or longer
SCALE = "pairs of clips of one person (with a real clip: 50 % on average)"


def hears(voices, voice):
    """Whether the referee can judge: it is there, good enough, and the voice is given by a recording."""
    if not is_clip(voice) or not voices.bundle.has("referee"):
        return False
    return voices.bundle.card("referee")["figures"].get("eer", 1.0) <= MOST_EER


def share(part):
    """A share of pairs, 0 to 1, in words: what was counted on a few hundred is neither none nor all."""
    percent = round(100 * part)
    if percent < 1:
        return "less than 1 %"
    if percent > 99:
        return "more than 99 %"
    return f"{percent} %"


def error(voices, name):
    """The equal error rate of an encoder, in words."""
    rate = voices.bundle.card(name)["figures"].get("eer")
    return "not measured" if rate is None else f"{100 * rate:.1f} %"


def judge(voices, speech):
    """Who says so, and whether the Speech is long enough for it."""
    seconds = speech.facts["seconds"]
    words = f"By a referee that no training ever asked, equal error rate {error(voices, 'referee')}"
    if seconds < SURE:
        words += f"; less sure, as the result lasts {seconds:.1f} s"
    return words


def to_reference(voices, speech, voice):
    """A line of Markdown on how near a Speech came to a voice, a clip or an embedding [D]."""
    if hears(voices, voice):
        try:
            verdict = voices.verdict(speech, voice)
        except ValueError:  # one short word is less than it needs
            return f"**Likeness to the reference** {TOO_SHORT}"
        return (
            f"**Likeness to the reference** greater than in {share(verdict.same)} of {SCALE} and in "
            f"{share(verdict.other)} of pairs of two people. {judge(voices, speech)}"
        )
    try:
        alike = f"{voices.similarity(speech, voice):.2f} of 1"
    except ValueError:
        alike = f"{TOO_SHORT},"
    name = voices.bundle.card("speaker_encoder").get("name", "speaker_encoder")
    return (
        f"**Similarity to the reference** {alike} (cosine by our own {name}, whose equal error rate is "
        f"{error(voices, 'speaker_encoder')})"
    )


def between(voices, speech, voice, source):
    """A line of Markdown on how near a Speech came to a voice, and how near it stayed to the clip `source`.

    voice: a clip or an embedding [D]."""
    if hears(voices, voice):
        try:
            wanted = voices.verdict(speech, voice)
            left = voices.verdict(speech, source)
        except ValueError:
            return f"**Likeness of the result** {TOO_SHORT}"
        return (
            f"**Likeness of the result** to the voice asked for greater than in {share(wanted.same)} of "
            f"{SCALE} and in {share(wanted.other)} of pairs of two people; to the source, in "
            f"{share(left.same)} and in {share(left.other)}. {judge(voices, speech)}"
        )
    own = voices.embed(source)
    wanted = voices.voice(voice)
    try:
        result = voices.embed((speech.rate, speech.wav))
        alike = f"{result @ wanted:.2f} to the voice asked for, {result @ own:.2f} to the source"
    except ValueError:
        alike = TOO_SHORT
    return (
        f"**Similarity of the result** {alike} (cosine by our own encoder; "
        f"source and voice: {own @ wanted:.2f})"
    )
