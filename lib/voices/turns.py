"""Who goes next where only one can: voices take turns, sentence by sentence."""
import contextlib
import itertools
import threading
from dataclasses import dataclass

PASSES = 16  # who came later and was let through; after so many nobody is passed over again


@dataclass(eq=False)
class Place:
    """One who waits.  had: turns of this request before.  passed: latecomers that went first."""
    had: int
    number: int
    passed: int = 0

    def key(self):
        """The smallest goes next: who was passed over enough, who had fewest turns, who came first."""
        had = self.had if self.passed < PASSES else -1
        return had, self.number


class Turns:
    """One thread at a time.  Of those that wait, the request that had fewest turns goes next.

    So a request of one sentence goes before every sentence of a long one but its first, whenever it comes;
    and a long one gets on however many short ones come, as it lets at most PASSES of them through.
    """

    def __init__(self):
        self.places = []
        self.taken = False
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def turn(self, had=0):
        """Wait for a turn and hold it.  had: how many turns this request had before."""
        self._enter(had)
        try:
            yield
        finally:
            self._leave()

    def waiting(self):
        """Turns that those who wait had before, in order of their coming."""
        with self._changed:
            return [place.had for place in self.places]

    def _enter(self, had):
        with self._changed:
            place = Place(had, next(self._numbers))
            self.places.append(place)
            try:
                self._changed.wait_for(lambda: self._is_next(place))
                self.taken = True
            finally:
                self.places.remove(place)
            for other in self.places:
                other.passed += other.number < place.number

    def _is_next(self, place):
        """Whether nobody holds the turn, and nobody who waits goes before this place."""
        return not self.taken and min(self.places, key=Place.key) is place

    def _leave(self):
        with self._changed:
            self.taken = False
            self._changed.notify_all()
