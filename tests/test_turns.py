"""Turns: who goes next.  Threads queue up while the test holds the turn, so nothing depends on time."""
import threading

import pytest
from conftest import until

from lib import audio
from lib.voices import Voices
from lib.voices.speech import TURNS
from lib.voices.turns import PASSES, Turns

JOIN = 60  # s


class Queue:
    """Threads that wait for one turn each, and the order in which they got it."""

    def __init__(self):
        self.turns, self.order, self.threads = Turns(), [], []

    def add(self, name, had):
        """Let a thread wait for a turn; returns when it does."""
        before = len(self.turns.waiting())
        thread = threading.Thread(target=self.take, args=(name, had))
        thread.start()
        self.threads.append(thread)
        until(lambda: len(self.turns.waiting()) > before, "nobody waits")

    def take(self, name, had):
        """Wait for a turn and note it."""
        with self.turns.turn(had):
            self.order.append(name)

    def join(self):
        """Wait for all threads."""
        for thread in self.threads:
            thread.join(JOIN)
            assert not thread.is_alive()


def test_who_had_fewest_turns_goes_next_then_who_came_first():
    """Catches first come, first served: long ones wait for their next sentence when a short one comes."""
    queue = Queue()
    with queue.turns.turn():
        for name, had in {"a": 1, "b": 1, "c": 3, "d": 1}.items():
            queue.add(name, had)
        queue.add("short", 0)
        queue.add("another", 0)
        assert queue.turns.waiting() == [1, 1, 3, 1, 0, 0]
    queue.join()
    assert queue.order == ["short", "another", "a", "b", "d", "c"]


def test_nobody_waits_for_ever():
    """Catches short ones that keep coming and a long one that is never heard again."""
    queue = Queue()
    with queue.turns.turn():
        queue.add("long", 7)
        for i in range(PASSES + 3):
            queue.add(i, 0)
    queue.join()
    assert queue.order.index("long") == PASSES


def test_one_at_a_time():
    """Catches two holders at once, and a turn lost so that all wait for ever."""
    turns, holders, most = Turns(), [], []

    def work():
        for had in range(30):
            with turns.turn(had):
                holders.append(1)
                most.append(len(holders))
                holders.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(JOIN)
    assert len(most) == 180 and set(most) == {1} and turns.waiting() == []


def test_a_turn_that_fails_is_given_back():
    """Catches a turn that an error keeps."""
    turns = Turns()
    with pytest.raises(KeyError), turns.turn():
        raise KeyError
    with turns.turn():
        assert turns.taken
    assert not turns.taken


def test_separation_takes_a_turn_as_sentences_do(wav):
    """Catches two models at work at once, which then take longer than one after the other."""
    found = []

    def extract():
        found.extend(Voices.load().extract((audio.RATE, wav), 2))

    thread = threading.Thread(target=extract)
    with TURNS.turn():
        thread.start()
        until(lambda: TURNS.waiting() == [0], "the separation does not wait")
        assert not found
    thread.join(JOIN)
    assert len(found) == 2
