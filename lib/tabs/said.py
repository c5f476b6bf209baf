"""What voices of the Atlas said in this visit, each kept with the voice and the settings that it came of."""

import gradio as gr

from lib.tabs import history, speak


class Said:
    """The functions behind the buttons of the tab that let somebody speak.

    Each is the function of the Desk of that name, takes the results of this visit as well, `kept`, and gives
    updates of History.outputs() behind all else."""

    def __init__(self, desk):
        """desk: the desk.Desk of the tab."""
        self.desk = desk

    def add(self, kept, sound, words, name, own, mixing=None):
        """Updates of the list after the voice `name` said words; sound: path.

        mixing: (A, B, share, noise, draw) where the voice is a mixture that was made for it."""
        voice = (own or {}).get(name)  # none for a dot, whose name says it all
        fields = (name, voice, words, mixing)
        return history.shown(history.added(kept, f"{name}: {words}", (sound,), fields))

    def speak_at_point(self, words, point, method, own, allowed, kept):
        """Say something in the voice in hand."""
        sound, facts = self.desk.speak_at_point(words, point, method, own, allowed)
        return sound, facts, *self.add(kept, sound, words, point, own)

    def mix_on_page(self, one, two, share, noise, draw, words, method, own, allowed, kept):
        """Mix two voices and say something in what comes out."""
        mixing = (one, two, share, noise, draw)
        own, name, sound, *scene = self.desk.mix_on_page(*mixing, words, method, own, allowed)
        return own, name, sound, *scene, *self.add(kept, sound, words, name, own, mixing)

    def place_on_page(self, clip, consent, two, method, own, kept):
        """Place the voice of an uploaded clip, and let it say the sample."""
        return self.brought(self.desk.place_on_page(clip, consent, two, method, own), kept)

    def load(self, file, consent, two, method, own, kept):
        """Place the voice of an uploaded voice file, and let it say the sample."""
        return self.brought(self.desk.load(file, consent, two, method, own), kept)

    def brought(self, shown, kept):
        """`shown`, what the Desk gives for a voice from outside, and updates of the list behind it."""
        own, name, _, _, sound, *_ = shown
        return *shown, *self.add(kept, sound, speak.SAMPLE, name, own)

    def use(self, label, kept, one, two, method, own):
        """Take the voice of an earlier result in hand, with its words and, of a mixture, its settings.

        No earlier tick counts: both boxes of consent are empty again.  Raises WrongField."""
        name, voice, words, mixing = history.chosen(kept, label).fields
        if voice:
            own = (own or {}) | {name: voice}
        sliders = [gr.skip()] * 3
        if mixing:
            one, two, *sliders = mixing
        needed = self.desk.asks(name, one, two, own)
        boxes = [gr.update(value=False, visible=is_needed) for is_needed in needed]
        return own, name, one, two, *sliders, words, *boxes, *self.desk.scene(name, one, two, method, own)
