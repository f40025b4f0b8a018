"""The queue: one at a time, in order, told how many are before; and those who leave."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from glcic_hub.ui.turns import TooManyWaiting, Turns

SECONDS = 60


def wait_until(condition) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Occupied:
    """Turns that somebody has, until `leave` is called."""

    def __init__(self, turns: Turns):
        self._leave, entered = threading.Event(), threading.Event()

        def stay() -> None:
            with turns.turn(lambda before: None):
                entered.set()
                self._leave.wait(SECONDS)

        self._thread = threading.Thread(target=stay)
        self._thread.start()
        assert entered.wait(SECONDS)

    def leave(self) -> None:
        self._leave.set()
        self._thread.join()


def test_one_at_a_time_in_order():
    turns, told, order = Turns(), [[] for _ in range(10)], []
    occupied, inside = Occupied(turns), threading.Lock()

    def take(number: int) -> None:
        with turns.turn(told[number].append):
            assert inside.acquire(blocking=False), "two at once"
            order.append(number)
            inside.release()

    with ThreadPoolExecutor(10) as people:
        taken = []
        for number in range(10):
            taken.append(people.submit(take, number))
            wait_until(told[number].__len__)
        occupied.leave()
        for one in taken:
            one.result()
    assert order == list(range(10))
    for number, said in enumerate(told):
        assert said[0] == number + 1 and said == sorted(said, reverse=True) and said[-1] >= 1


def test_who_leaves_is_not_waited_for():
    turns, told = Turns(), []
    occupied = Occupied(turns)

    def leave(before: int) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError), turns.turn(leave):
        raise AssertionError
    occupied.leave()
    with turns.turn(told.append):
        assert not told


def test_an_error_ends_the_turn():
    turns = Turns()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), turns.turn(lambda before: None):
            raise ZeroDivisionError


def test_who_waits_is_told_again():
    turns, told = Turns(), []
    occupied = Occupied(turns)

    def wait(before: int) -> None:
        told.append(before)
        if len(told) == 3:
            occupied.leave()

    with turns.turn(wait):
        assert told == [1, 1, 1]


def test_the_queue_is_bounded():
    turns = Turns(most_waiting=1)
    occupied, told = Occupied(turns), []
    with ThreadPoolExecutor(1) as people:

        def wait() -> None:
            with turns.turn(told.append):
                pass

        waiting = people.submit(wait)
        wait_until(lambda: told)
        with (
            pytest.raises(TooManyWaiting, match="Too many people are waiting: try again in a minute."),
            turns.turn(print),
        ):
            raise AssertionError
        occupied.leave()
        waiting.result()
    with turns.turn(print):
        pass
