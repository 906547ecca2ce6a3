"""Who waits for a result that is computed elsewhere looks at the graph again when it is there, and not before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from safelight.engine.cancel import Cancel, Cancelled
from safelight.engine.flights import Flights
from safelight.engine.pulling import Goal, Pulling

KEYS = ["one", "two", "three"]


class Walked:
    """Nodes of these keys, all of which others compute; counts how often they are looked at."""

    def __init__(self, flights: Flights, pulling: Pulling) -> None:
        self.flights, self.pulling = flights, pulling
        self.done: set[int] = set()
        self.looks = 0

    def satisfied(self, number: int, values: bool) -> bool:
        return number in self.done

    def advance(self, number: int) -> list[Goal]:
        self.looks += 1
        if not self.flights.take_off(KEYS[number], shared=True):
            self.pulling.leave(number, KEYS[number])
        else:
            self.done.add(number)
            self.flights.land(KEYS[number])
        return []


@pytest.fixture(params=["this process", "another"])
def flights(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Flights, Flights]:
    """Those of who waits, and those of who computes."""
    mine = Flights(tmp_path)
    return mine, mine if request.param == "this process" else Flights(tmp_path)


@pytest.mark.parametrize("count", [1, 3])
def test_a_wait_costs_no_walks(flights: tuple[Flights, Flights], count: int) -> None:
    mine, theirs = flights
    assert all(theirs.take_off(key, shared=True) for key in KEYS[:count])
    pulling = Pulling(mine, Cancel())
    walked = Walked(mine, pulling)
    landing = threading.Thread(target=_land, args=(theirs, KEYS[:count]))
    landing.start()
    pulling.to(walked, [(number, True) for number in range(count)])
    landing.join()
    assert walked.done == set(range(count))
    assert walked.looks <= 2 * count + sum(range(count + 1)), "it looked again though nothing had landed"


def test_who_is_killed_is_waited_for_no_longer(tmp_path: Path) -> None:
    (tmp_path / "one").touch()  # a lock that nobody holds any more
    started = time.monotonic()
    Flights(tmp_path).wait(["one"], Cancel())
    assert time.monotonic() - started < 5


def test_a_wait_is_cancelled(flights: tuple[Flights, Flights]) -> None:
    mine, theirs = flights
    theirs.take_off("one", shared=True)
    cancel = Cancel()
    _later(0.2, cancel.set)
    with pytest.raises(Cancelled):
        mine.wait(["one"], cancel)
    theirs.land("one")


def _land(flights: Flights, keys: list[str]) -> None:
    for key in keys:
        time.sleep(0.5)
        flights.land(key)


def _later(seconds: float, what: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, what)
    timer.daemon = True
    timer.start()
