"""What a node is told by its context: when to keep its state."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.engine import Cancel
from safelight.engine.context import CHECKPOINT_PAYS, CHECKPOINT_SECONDS, NodeContext


class Clock:
    """Stands in for the machine: its time, and a cache that takes a while to keep a state."""

    def __init__(self, cost: float) -> None:
        self.now, self.cost, self.cache = 100.0, cost, self

    def monotonic(self) -> float:
        return self.now

    def save_state(self, key: str, state: Any) -> None:
        self.now += self.cost


def context(clock: Clock, seconds: float, cancel: Cancel, monkeypatch: pytest.MonkeyPatch) -> NodeContext:
    monkeypatch.setattr("safelight.engine.context.time", clock)
    services: Any = clock
    return NodeContext(services, "key", cancel, lambda *_: None, False, seconds, _last=clock.now)


@pytest.mark.parametrize(("cost", "first", "then"), [(0.002, 1.0, 0.2), (0.03, 1.0, 3.0), (0.5, 1.0, 5.0)])
def test_states_are_kept_often_where_it_costs_little(
    cost: float, first: float, then: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pytest.approx(first) == CHECKPOINT_PAYS * CHECKPOINT_SECONDS
    clock = Clock(cost)
    ctx = context(clock, 5.0, Cancel(), monkeypatch)
    for wait in (first, then):
        clock.now += wait * 0.9
        assert not ctx.checkpoint_due(1, 10)
        clock.now += wait * 0.2
        assert ctx.checkpoint_due(1, 10)
        assert not ctx.checkpoint_due(10, 10), "nothing is left to be done"
        ctx.checkpoint({})


def test_at_every_step_and_at_once_when_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert context(Clock(1), 0.0, Cancel(), monkeypatch).checkpoint_due(1, 10)
    cancel = Cancel()
    ctx = context(Clock(1), 5.0, cancel, monkeypatch)
    assert not ctx.checkpoint_due(1, 10)
    cancel.set()
    assert ctx.checkpoint_due(1, 10)
