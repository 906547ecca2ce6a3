"""Checkpoints in the shared cache: work that one machine has begun goes on at another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cache.shared_tools import Machine, change, objects
from engine.engine_bench import doc
from safelight.engine import Cancel, RunOptions
from safelight.protocol.events import NodeProgress
from waiting import until

torch = pytest.importorskip("torch")

Open = Callable[..., Machine]
WORK = doc({"work": ("work", {"steps": 40})}, (), {"sum": "work.value"}, prefix="tensor_nodes.")


def states(bucket: str) -> dict[str, bytes]:
    return {path: data for path, data in objects(bucket).items() if "/states/" in path}


def run(machine: Machine, *, stop_at: int = 0) -> tuple[Any, list[int]]:
    """Runs the work, and gives the steps that were made here."""
    cancel = Cancel()
    steps: list[int] = []
    remember = machine.events.append

    class Events(list[Any]):
        def append(self, event: Any) -> None:
            remember(event)
            if isinstance(event, NodeProgress):
                steps.append(event.step)
                if event.step == stop_at:
                    cancel.set()

    graph = machine.graph(WORK)
    from safelight.engine import run as run_graph

    result = run_graph(
        graph,
        machine.services,
        "",
        emit=Events().append,
        cancel=cancel,
        options=RunOptions(checkpoint_seconds=0.0),
    )
    return result, steps


def test_work_goes_on_at_another_machine(machine: Open, bucket: str) -> None:
    first, second = machine("first", bucket), machine("second", bucket)
    stopped, _ = run(first, stop_at=15)
    assert stopped.status == "cancelled"
    first.sent()
    assert len(states(bucket)) == 1
    done, steps = run(second)
    assert done.status == "done" and second.output(done, "sum") == sum(range(40))
    assert steps[0] > 10 and steps[-1] == 40, "it did not begin again"
    # It is of no use to anybody now.
    second.sent()
    until(lambda: not states(bucket))


def test_states_come_back_bit_for_bit(machine: Open, bucket: str) -> None:
    first, second = machine("first", bucket), machine("second", bucket)
    state = {"latent": torch.randn(2, 4, 8, 8), "step": 7, "generator": torch.Generator().manual_seed(3).get_state()}
    first.cache.save_state("the work", state)
    first.sent()
    found = second.cache.load_state("the work")
    assert found is not None and found["step"] == 7
    assert all(torch.equal(found[name], state[name]) for name in ("latent", "generator"))
    assert second.cache.load_state("other work") is None
    second.restart()
    second.cache._shared = None
    assert second.cache.load_state("the work") is not None, "it is here from now on"


def test_the_last_one_counts(machine: Open, bucket: str) -> None:
    first, second = machine("first", bucket), machine("second", bucket)
    for step in range(5):
        first.cache.save_state("the work", {"step": step})
    first.sent()
    found = second.cache.load_state("the work")
    assert found is not None and found["step"] == 4 and len(states(bucket)) == 1


def test_they_are_not_sent_all_the_time(machine: Open, bucket: str) -> None:
    first = machine("first", bucket, state_seconds=60.0)
    for step in range(5):
        first.cache.save_state("the work", {"step": step})
        first.cache.flush()
        until(lambda: len(states(bucket)) == 1)
    assert first.shared.waiting == 1, "the newest waits for its turn"


def test_damaged_and_foreign_states_are_refused(machine: Open, bucket: str) -> None:
    first = machine("first", bucket)
    first.cache.save_state("the work", {"step": 3, "x": torch.arange(1000.0)})
    first.cache.save_state("other work", {"step": 9})
    first.sent()
    found = states(bucket)
    assert len(found) == 2
    (path, data), (other, others) = sorted(found.items(), key=lambda item: -len(item[1]))
    for number, place in enumerate((0, 70, len(data) // 2, len(data) - 1)):
        flipped = bytearray(data)
        flipped[place] ^= 4
        change(bucket, path, bytes(flipped))
        second = machine(f"second-{number}", bucket)
        assert second.cache.load_state("the work") is None and second.shared.refused == 1
    for number, wrong in enumerate((others, data[: len(data) // 2], b"", b"\n\n")):
        change(bucket, path, wrong)
        third = machine(f"third-{number}", bucket)
        assert third.cache.load_state("the work") is None and third.shared.refused == 1
    change(bucket, path, data)
    stranger = machine("stranger", bucket, key=b"a key of somebody else, long enough")
    assert stranger.cache.load_state("the work") is None and stranger.shared.refused == 1
    assert machine("fourth", bucket).cache.load_state("the work") is not None and other in states(bucket)


def test_one_without_use_is_taken_out_though_the_bucket_was_away(machine: Open, bucket: str) -> None:
    first = machine("first", bucket)
    first.cache.save_state("the work", {"step": 3})
    first.sent()
    first.cache.close()
    # Another program of this machine ends the work.
    first.open()
    first.cache.drop_state("the work")
    first.sent()
    assert not states(bucket)
