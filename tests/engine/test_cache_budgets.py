"""What stays and what goes: budgets of memory and disk, eviction by cost, back-pressure."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from engine.cache_tools import Open, folder_of, index_of, open_cache, same
from safelight.engine.cache import MISSING, Action, Cache, ValueRef
from safelight.engine.cache.memory import Memory, worth
from safelight.engine.cache.writer import Writer
from safelight.sdk import Image

torch = pytest.importorskip("torch")
__all__ = ["open_cache"]


def image(side: int = 100) -> Image:
    """side x side x 3 float32: 120 kB for 100."""
    return Image(torch.rand(1, side, side, 3))


def test_memory_evicts_what_is_cheapest_by_byte(open_cache: Open) -> None:
    cache = open_cache(None, memory_bytes=520_000)
    dear = cache.put(image(), seconds=10)
    cheap = cache.put(image(), seconds=0.1)
    large = cache.put(image(110), seconds=9)
    more = [cache.put(image(), seconds=5) for _ in range(2)]
    assert [cache.has(ref) for ref in (dear, cheap, large, *more)] == [True, False, True, True, True]
    assert cache.info().memory_bytes <= 520_000
    cache.put(image(), seconds=8)
    assert cache.has(dear) and cache.has(large)
    assert [cache.has(ref) for ref in more].count(False) == 1


def test_memory_keeps_what_is_used_often(open_cache: Open) -> None:
    cache = open_cache(None, memory_bytes=500_000)
    often, rarely = cache.put(image(), seconds=1), cache.put(image(), seconds=1)
    for _ in range(3):
        cache.get(often)
    for _ in range(3):
        cache.put(image(), seconds=1.5)
    assert cache.has(often) and not cache.has(rarely)


def test_of_equals_the_oldest_goes(open_cache: Open) -> None:
    cache = open_cache(None, memory_bytes=500_000)
    refs = [cache.put(image(), seconds=1) for _ in range(6)]
    assert [cache.has(ref) for ref in refs] == [False, False, True, True, True, True]


def test_what_is_dear_but_never_used_grows_old(open_cache: Open) -> None:
    cache = open_cache(None, memory_bytes=500_000)
    dear = cache.put(image(), seconds=4)
    for number in range(60):
        cache.put(image(), seconds=1)
        if not cache.has(dear):
            assert number > 5
            return
    raise AssertionError("it stayed for good")


def test_memory_in_front_of_a_disk_weighs_what_reading_costs(open_cache: Open) -> None:
    cache = open_cache(memory_bytes=500_000)
    dear = cache.put(image(), seconds=1000)
    for _ in range(20):
        cache.put(image(), seconds=1)
    cache.flush()
    with cache._lock:
        assert dear.digest not in cache._memory, "it is on disk: losing it from memory costs a read, not 1000 s"
    assert cache.has(dear)


@pytest.mark.parametrize("limit", [0, 1_000, 150_000, 400_000])
def test_memory_never_holds_more_than_its_budget(open_cache: Open, limit: int) -> None:
    cache = open_cache(None, memory_bytes=limit)
    for number in range(20):
        cache.put([image(10 * number + 1), "x" * number * 100, number], seconds=number)
        assert cache.info().memory_bytes <= limit


def test_memory_charges_a_shared_storage_once_and_to_the_last(open_cache: Open) -> None:
    memory = Memory(10_000)
    batch = torch.zeros(1000)
    for place in range(4):
        memory.put(str(place), batch[place : place + 1], 4 + 200, 1.0, [batch[place : place + 1]])
    assert memory.used == 4000 + 4 * 200
    for place in range(3):
        memory.drop(str(place))
    assert memory.used == 4000 + 200, "one element keeps the whole batch"
    memory.drop("3")
    assert memory.used == 0
    memory.put("large", batch[:1], 204, 1.0, [torch.zeros(5000)[:1]])
    assert "large" not in memory and memory.used == 0


def test_what_is_larger_than_memory_pushes_nothing_out(open_cache: Open) -> None:
    cache = open_cache(None, memory_bytes=200_000)
    small = cache.put(image(), seconds=0.1)
    assert not cache.has(cache.put(image(150), seconds=100))
    assert cache.has(small)


def test_memory_forgets_ranks_that_are_out_of_date() -> None:
    memory = Memory(10_000)
    memory.put("a", 1, 100, 1.0)
    for _ in range(10_000):
        memory.get("a")
    assert len(memory._heap) < 100


def test_worth_is_greedy_dual_size_frequency() -> None:
    assert worth(0, 1, 10, 100) > worth(0, 1, 1, 100)
    assert worth(0, 1, 1, 100) > worth(0, 1, 1, 1000)
    assert worth(0, 2, 1, 100) > worth(0, 1, 1, 100)
    assert worth(0.2, 1, 1, 100) > worth(0, 2, 1, 100) * 0.9
    assert worth(0, 1, 0, 100) > 0


def disk_values(cache: Cache, refs: list[ValueRef]) -> list[bool]:
    assert cache._disk is not None
    return [cache._disk.whole(ref.digest) is not None for ref in refs]


def test_disk_evicts_what_is_cheapest_and_keeps_to_its_budget(open_cache: Open) -> None:
    cache = open_cache(memory_bytes=0, disk_bytes=500_000)
    refs = [cache.put(image(), seconds=seconds) for seconds in (10, 0.1, 7, 9, 8)]
    cache.flush()
    assert disk_values(cache, refs) == [True, False, True, True, True]
    info = cache.info()
    assert 0 < info.disk_bytes <= 500_000
    files = list(folder_of(cache).rglob("*.safetensors"))
    assert sum(path.stat().st_size for path in files) <= info.disk_bytes
    assert len(files) == info.disk_values == 4
    gone = cache.get(refs[1])
    assert gone is MISSING


def test_what_is_dear_but_never_used_grows_old_on_disk_too(open_cache: Open) -> None:
    cache = open_cache(memory_bytes=0, disk_bytes=500_000)
    dear = cache.put(image(), seconds=4)
    for number in range(60):
        cache.put(image(), seconds=1)
        cache.flush()
        if not cache.has(dear):
            assert number > 5
            return
    raise AssertionError("it stayed for good")


def test_disk_counts_uses_across_processes(open_cache: Open) -> None:
    cache = open_cache(memory_bytes=0, disk_bytes=500_000)
    refs = [cache.put(image(), seconds=1) for _ in range(4)]
    cache.close()
    cache = open_cache(memory_bytes=0, disk_bytes=500_000)
    for _ in range(3):
        cache.get(refs[2])
    cache.close()
    cache = open_cache(memory_bytes=0, disk_bytes=500_000)
    for _ in range(3):
        cache.put(image(), seconds=1.2)
    cache.flush()
    assert disk_values(cache, refs) == [False, False, True, False]


def test_disk_sum_stays_right(open_cache: Open) -> None:
    cache = open_cache(disk_bytes=300_000)
    for number in range(12):
        cache.put([image(40 + number), "x" * 100, number], seconds=number)
        cache.put_bytes(os.urandom(20_000))
        cache.flush()
    total = index_of(cache).execute("SELECT sum(bytes + 256), count(*) FROM entry").fetchone()
    info = cache.info()
    assert total == (info.disk_bytes, info.disk_values)
    assert info.disk_bytes <= 300_000


def test_what_is_larger_than_the_disk_is_not_written(open_cache: Open) -> None:
    cache = open_cache(disk_bytes=100_000)
    small, large = cache.put(image(50)), cache.put(image(200))
    cache.flush()
    assert disk_values(cache, [small, large]) == [True, False]
    assert cache.get(large) is not MISSING
    assert cache.get(open_cache(None, memory_bytes=0).put(image())) is MISSING


def test_actions_outlive_the_values_they_name(open_cache: Open) -> None:
    cache = open_cache(memory_bytes=0, disk_bytes=300_000)
    for number in range(10):
        cache.record(str(number), Action({"image": cache.put(image(), seconds=number)}))
    cache.close()
    cache = open_cache(memory_bytes=0, disk_bytes=300_000)
    actions = [cache.lookup(str(number)) for number in range(10)]
    assert all(actions)
    assert [cache.has(action.outputs["image"]) for action in actions if action].count(True) == 2


def test_a_value_on_its_way_to_the_disk_can_be_got(open_cache: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    cache = open_cache(memory_bytes=0)
    assert cache._disk is not None
    write = cache._disk._write_payload
    monkeypatch.setattr(cache._disk, "_write_payload", lambda item: gate.wait(10) and write(item))
    value = image()
    ref = cache.put([value, 3])
    blob = cache.put_bytes(b"abc" * 10_000)
    assert cache.has(ref) and same(cache.get(ref), [value, 3])
    assert cache.get_bytes(blob) == b"abc" * 10_000
    assert cache.info().pending > 0
    gate.set()
    cache.flush()
    assert cache.info().pending == 0
    assert same(cache.get(ref), [value, 3]) and not cache._disk._pending


def test_an_action_is_seen_only_when_its_values_are_on_disk(open_cache: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, other = open_cache(), open_cache()
    assert cache._disk is not None
    write = cache._disk._write_payload
    seen: list[Action | None] = []

    def look_and_write(item: Any) -> bool:
        seen.append(other.lookup("key"))
        return write(item)

    monkeypatch.setattr(cache._disk, "_write_payload", look_and_write)
    ref = cache.put(image())
    cache.record("key", Action({"image": ref}))
    cache.flush()
    assert seen == [None]
    assert other.lookup("key") is not None and other.has(ref)


def test_the_writer_holds_back_who_hands_over_too_much() -> None:
    gate, done = threading.Event(), []

    def process(batch: list[int]) -> None:
        gate.wait(10)
        done.extend(batch)

    writer: Writer[int] = Writer(process, limit=100)
    writer.submit(1, 60)
    late: list[float] = []

    def hand_over() -> None:
        for number in range(2, 5):
            writer.submit(number, 60)
        late.append(time.monotonic())

    thread = threading.Thread(target=hand_over)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive() and len(writer) <= 2
    gate.set()
    thread.join(10)
    writer.flush()
    assert done == [1, 2, 3, 4]
    writer.submit(5, 1_000)
    writer.close()
    assert done[-1] == 5, "what is larger than the queue goes through alone"
    assert not writer.submit(6)


def test_the_writer_survives_what_it_is_told_to_do() -> None:
    seen: list[int] = []

    def process(batch: list[int]) -> None:
        seen.extend(batch)
        if 1 in batch:
            raise RuntimeError("once")

    writer: Writer[int] = Writer(process, limit=100)
    writer.submit(1)
    assert writer.flush(10)
    writer.submit(2)
    assert writer.flush(10) and seen == [1, 2]
    writer.close()


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), PermissionError(13, "denied")])
def test_a_full_disk_leaves_everything_in_memory(
    open_cache: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failure: OSError
) -> None:
    cache = open_cache(memory_bytes=250_000)
    before = cache.put("before")
    cache.flush()

    def fail(*_: Any) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        blob = cache.put_bytes(os.urandom(100_000))
        refs = [cache.put(image(), seconds=1)]
        cache.flush()
        refs.append(cache.put(image(20)))
        cache.flush()
        cache.save_state("key", {"step": 4})
    assert cache.info().trouble
    assert len([entry for entry in caplog.records if "kept in memory" in entry.message]) == 2, "one for the checkpoint"
    assert cache.get_bytes(blob) is not None and cache.has(refs[0]) and cache.has(refs[1])
    assert cache.load_state("key") == {"step": 4}
    assert open_cache().get(before) == "before", "what is on disk can still be read"
    assert not list(folder_of(cache).rglob("*.tmp")), "nothing half written stays"

    # Later the disk has room again.
    assert cache._disk is not None
    cache._disk._retry_at = 0.0
    ref = cache.put(image(30))
    cache.flush()
    assert not cache.info().trouble and disk_values(cache, [ref]) == [True]


def test_what_was_pushed_out_of_memory_and_could_not_be_written_is_saved(
    open_cache: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = open_cache(memory_bytes=250_000)
    gate = threading.Event()

    def fail(*_: Any) -> None:
        gate.wait(10)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    value = image()
    first = cache.put(value, seconds=100)
    for _ in range(2):
        other = cache.put(image(), seconds=1)
        cache.get(other)
    with cache._lock:
        assert first.digest not in cache._memory
    gate.set()
    cache.flush()
    assert same(cache.get(first), value)


def test_opening_is_quick_and_reads_no_folders(open_cache: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = open_cache()
    for number in range(300):
        cache.put(number)
    cache.close()

    def fail(*_: Any) -> None:
        raise AssertionError("a folder was listed")

    for name in ("os.scandir", "os.listdir", "os.walk"):
        monkeypatch.setattr(name, fail)
    best = 1.0
    for _ in range(5):
        started = time.perf_counter()
        cache = open_cache()
        best = min(best, time.perf_counter() - started)
        cache.close()
    assert best < 0.01


def test_look_up_and_record_are_quick(open_cache: Open, tmp_path: Path) -> None:
    best = 1.0
    for attempt in range(5):
        cache = open_cache(tmp_path / str(attempt))
        refs = [ValueRef(f"{number:040x}", 8) for number in range(1000)]
        started = time.perf_counter()
        for number in range(1000):
            cache.lookup(f"key {number}")
            cache.record(f"key {number}", Action({"value": refs[number]}, 0.1))
        best = min(best, time.perf_counter() - started)
    assert best < 0.06
