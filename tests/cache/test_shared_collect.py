"""Taking out of the bucket what is old or too much, beside machines that use it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.shared_tools import Machine, objects
from engine.engine_bench import doc
from safelight.engine.cache.shared import Away, collect
from safelight.engine.cache.shared.collect import _Collection
from safelight.graph import Document
from safelight.sdk import ProblemError

torch = pytest.importorskip("torch")

Open = Callable[..., Machine]
DAY = 86_400.0


def image(seed: int) -> Document:
    return doc({"n": ("noise", {"seed": seed})}, (), {"n": "n.image"}, prefix="tensor_nodes.")


def later(seconds: float) -> Callable[[], float]:
    return lambda: time.time() + seconds


def kinds(bucket: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in objects(bucket):
        kind = path.split("/")[2]
        found[kind] = found.get(kind, 0) + 1
    return found


def test_what_is_old_goes_and_what_it_named(machine: Open, bucket: str) -> None:
    there = machine("there", bucket)
    for seed in range(3):
        there.run(image(seed))
    there.cache.save_state("work", {"step": 1})
    there.sent()
    assert kinds(bucket) == {"actions": 3, "values": 3, "states": 1}
    kept = collect(bucket, older_than=30 * DAY, clock=later(29 * DAY))
    assert (kept.results, kept.values, kept.results_left, kept.values_left) == (0, 0, 3, 3)
    size = sum(map(len, objects(bucket).values()))
    told = collect(bucket, older_than=30 * DAY, clock=later(31 * DAY), dry_run=True)
    assert (told.results, told.values, told.states, told.bytes, told.bytes_left) == (3, 3, 1, size, 0)
    assert kinds(bucket) == {"actions": 3, "values": 3, "states": 1}, "nothing was done"
    assert collect(bucket, older_than=30 * DAY, clock=later(31 * DAY)) == told
    assert objects(bucket) == {}
    # Who was promised an entry that has gone computes it, and it is sent again.
    second = machine("second", bucket)
    assert second.statuses(image(0)) == {"n": "ran"}
    second.sent()
    assert machine("third", bucket).statuses(image(0)) == {"n": "cached"}


def test_what_is_young_stays_whatever_is_asked(machine: Open, bucket: str) -> None:
    there = machine("there", bucket)
    there.run(image(1))
    there.sent()
    told = collect(bucket, older_than=0.0, budget=0)
    assert (told.results, told.values) == (0, 0) and kinds(bucket) == {"actions": 1, "values": 1}


def test_the_oldest_goes_first_where_there_is_too_much(machine: Open, bucket: str) -> None:
    there = machine("there", bucket)
    for seed in range(3):
        there.run(image(seed))
        there.sent()
        time.sleep(1.1)  # S3 tells times in seconds
    size = sum(map(len, objects(bucket).values()))
    told = collect(bucket, budget=size * 2 // 3 + 10, clock=later(2 * DAY))
    assert (told.results, told.values, told.results_left) == (1, 1, 2)
    assert [machine(f"second-{seed}", bucket).statuses(image(seed))["n"] for seed in range(3)] == [
        "ran",
        "cached",
        "cached",
    ]


def test_a_value_that_several_name_goes_with_the_last(machine: Open, bucket: str) -> None:
    there = machine("there", bucket)
    twice = doc(
        {"n": ("noise", {"seed": 1}), "same": ("darken", {"by": 1.0})},
        [("n.image", "same.image")],
        {"n": "same.image"},
        prefix="tensor_nodes.",
    )
    there.run(image(1))
    there.sent()
    time.sleep(1.1)
    there.run(twice)
    there.sent()
    assert kinds(bucket) == {"actions": 2, "values": 1}
    size = sum(map(len, objects(bucket).values()))
    told = collect(bucket, budget=size - 10, clock=later(2 * DAY))
    assert (told.results, told.values) == (1, 0)
    told = collect(bucket, budget=0, clock=later(2 * DAY))
    assert (told.results, told.values) == (1, 1) and objects(bucket) == {}


def test_what_none_names_goes(machine: Open, bucket: str) -> None:
    """A machine that was killed between a value and its manifest leaves such."""
    import obstore

    from safelight.engine.cache.shared.bucket import Bucket

    there = machine("there", bucket)
    there.run(image(1))
    there.sent()
    obstore.put(Bucket(bucket)._opened(), f"safelight-shared/1/values/aa/{'a' * 40}", b"x" * 100)
    told = collect(bucket, older_than=365 * DAY, clock=later(2 * DAY))
    assert (told.results, told.values, told.bytes) == (0, 1, 100)


def test_what_is_named_meanwhile_stays(machine: Open, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest that is written while the collection runs keeps the old value that it names."""
    first, second = machine("first", bucket), machine("second", bucket)
    first.run(image(1))
    first.sent()
    beyond = _Collection._beyond

    def and_then_another_writes(self: _Collection, *given: object) -> set[str]:
        found = beyond(self, *given)  # type: ignore[arg-type]
        # The same value by another key: the bucket has it, so only the manifest is written.
        twice = doc(
            {"n": ("noise", {"seed": 1}), "same": ("darken", {"by": 1.0})},
            [("n.image", "same.image")],
            {"n": "same.image"},
            prefix="tensor_nodes.",
        )
        second.run(twice)
        second.sent()
        return found

    monkeypatch.setattr(_Collection, "_beyond", and_then_another_writes)
    told = collect(bucket, older_than=DAY, clock=later(2 * DAY))
    assert (told.results, told.values) == (1, 0)
    monkeypatch.undo()
    assert kinds(bucket)["values"] == 1
    third = machine("third", bucket)
    found = third.run(
        doc(
            {"n": ("noise", {"seed": 1}), "same": ("darken", {"by": 1.0})},
            [("n.image", "same.image")],
            {"n": "same.image"},
            prefix="tensor_nodes.",
        )
    )
    assert found.status == "done" and found.nodes["same"].status in ("cached", "ran")


def test_collections_beside_machines_that_work(machine: Open, bucket: str) -> None:
    """Results vanish at every moment: runs compute what they miss, and none fails."""
    there = [machine(f"machine-{number}", bucket) for number in range(2)]
    over = threading.Event()
    failures: list[object] = []

    def take_out() -> None:
        while not over.is_set():
            try:
                # As if all of it were old at once: no grace at all.
                collect(bucket, older_than=0.0, grace=-60.0)
            except Away as error:
                failures.append(error)

    def work(one: Machine) -> None:
        try:
            for seed in range(12):
                graph = doc(
                    {"n": ("noise", {"seed": seed % 4}), "dark": "darken", "file": "keep"},
                    [("n.image", "dark.image"), ("dark.image", "file.image")],
                    {"image": "dark.image", "file": "file.file"},
                    prefix="tensor_nodes.",
                )
                result = one.run(graph)
                assert result.status == "done", result.problems
                expected = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(seed % 4)) * 0.5
                assert torch.equal(one.output(result, "image").pixels, expected)
                one.cache.clear()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=take_out) for _ in range(2)]
    workers = [threading.Thread(target=work, args=(one,)) for one in there]
    for thread in (*threads, *workers):
        thread.start()
    for thread in workers:
        thread.join(120)
    over.set()
    for thread in threads:
        thread.join(60)
    assert not failures, failures
    for one in there:
        assert one.shared.refused == 0


def test_a_bucket_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Away):
        collect((tmp_path / "nothing").as_uri(), older_than=DAY)
    with pytest.raises(ProblemError):
        collect("ftp://somewhere", older_than=DAY)
