"""The live state: order, and the time that is left."""

from __future__ import annotations

import time

import pytest

from safelight.engine import NodeFinished, NodeProgress, NodeStarted, RunStarted
from safelight.host.queue.live import Live
from safelight.protocol.records import Run


def run(number: int, status: str = "queued", **more: object) -> Run:
    return Run(id=f"r{number}", name="", status=status, rank=float(number), **more)  # type: ignore[arg-type]


def test_the_first_are_those_that_run_then_those_that_wait_in_their_order() -> None:
    live = Live(lambda: 1)
    live.fill([run(1), run(2, priority=5), run(3, "interrupted"), run(4, "paused"), run(5, "running")])
    assert [one.id for one in live.first(10)] == ["r5", "r3", "r2", "r1", "r4"]
    live.changed(run(1, priority=9))
    assert [one.id for one in live.first(3)] == ["r5", "r3", "r1"]
    live.changed(run(5, "done"))
    live.removed("r3")
    assert [one.id for one in live.first(10)] == ["r1", "r2", "r4"]
    queue = live.queue(paused=False)
    assert (queue.waiting, queue.running) == (2, 0)


def test_waiting_runs_go_to_the_worker_that_is_free_first() -> None:
    live = Live(lambda: 2)
    live.fill([run(1, "running", estimate=10.0, started=time.time()), *(run(n, estimate=4.0) for n in (2, 3, 4))])
    left = live.lefts()
    assert left["r1"] == pytest.approx(10, abs=0.1)
    assert [left[name] for name in ("r2", "r3", "r4")] == pytest.approx([4, 8, 12], abs=0.1)
    assert live.queue(paused=False).seconds == pytest.approx(12, abs=0.1)
    live.changed(run(5, estimate=1.0))
    assert "r5" in live.lefts(), "at once"


def test_what_nothing_is_known_of_takes_as_long_as_the_others_or_is_left_open() -> None:
    live = Live(lambda: 1)
    live.fill([run(1), run(2)])
    assert live.lefts() == {} and live.queue(paused=False).seconds is None
    known = Live(lambda: 1)
    known.fill([run(1, estimate=3.0), run(2)])
    assert known.lefts() == {"r1": 3.0, "r2": 6.0}


def test_steps_tell_more_than_the_past() -> None:
    live = Live(lambda: 1)
    live.changed(run(1, "running", estimate=0.1, started=time.time() - 5))
    live.begin("r1", 1, "w1")
    active = live.active("r1")
    assert active is not None
    active.follow(RunStarted(run="r1", nodes=("a", "b")))
    active.follow(NodeStarted(run="r1", node="a"))
    active.follow(NodeFinished(run="r1", node="a", cached=False, seconds=1.0, bytes=0, files=()))
    active.follow(NodeStarted(run="r1", node="b"))
    active.begun["b"] -= 2.0  # it began two seconds ago
    active.follow(NodeProgress(run="r1", node="b", step=1, total=4))
    assert active.progress() == 0.625
    assert live.lefts()["r1"] == pytest.approx(6, abs=0.5)
    assert not live.end("r1", 2), "another attempt"
    assert live.end("r1", 1) and live.active("r1") is None


def test_a_hundred_thousand_waiting_runs_are_no_work() -> None:
    live = Live(lambda: 2)
    live.fill(run(number, estimate=1.0) for number in range(100_000))
    started = time.thread_time()
    live.changed(run(50_000, "running", estimate=1.0))
    live.first(500)
    seconds = live.queue(paused=False).seconds
    assert seconds == pytest.approx(50_000, rel=0.01)
    # About 2 ms here; a sort of all of them takes a hundred.
    assert time.thread_time() - started < 0.05
