"""Damage of every kind is a miss: payloads, the index, killed processes, several processes at once."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.cache_tools import Open, folder_of, index_of, open_cache, payload, python_paths, same
from safelight.engine.cache import MISSING, Action, Cache, ValueRef
from safelight.engine.cache.index import NAME, SCHEMA
from safelight.sdk import Image

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")
__all__ = ["open_cache"]

DAMAGES = ["flip", "flip-first", "flip-last", "cut", "longer", "empty", "gone", "random"]


def damaged(data: bytes, how: str) -> bytes | None:
    changed = bytearray(data)
    match how:
        case "flip":
            changed[len(data) // 2] ^= 1
        case "flip-first":
            changed[3] ^= 0x40
        case "flip-last":
            changed[-1] ^= 0x80
        case "cut":
            del changed[len(data) // 2 :]
        case "longer":
            changed += b"\0"
        case "empty":
            changed.clear()
        case "random":
            changed[:] = random.Random(3).randbytes(len(data))
        case _:
            return None
    return bytes(changed)


def large_values() -> list[Any]:
    return [Image(torch.rand(1, 90, 90, 3)), "text " * 10_000, torch.rand(300, 100).bfloat16()]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_a_miss_and_is_written_anew(open_cache: Open, how: str) -> None:
    cache = open_cache()
    values = large_values()
    refs = [cache.put(value) for value in values]
    blob = cache.put_bytes(data := os.urandom(50_000))
    cache.close()
    for key in (*(ref.digest for ref in refs), "b:" + blob):
        path = payload(cache, key)
        changed = damaged(path.read_bytes(), how)
        path.unlink() if changed is None else path.write_bytes(changed)
    cache = open_cache()
    for value, ref in zip(values, refs, strict=True):
        if how in ("cut", "longer", "empty", "gone"):
            assert not cache.has(ref), "the length tells without reading"
        assert cache.get(ref) is MISSING
        assert not cache.has(ref), "found damaged, removed"
        assert cache.put(value) == ref
    assert cache.get_bytes(blob) is None
    cache.put_bytes(data)
    cache.close()
    cache = open_cache()
    assert all(same(cache.get(ref), value) for value, ref in zip(values, refs, strict=True))
    assert cache.get_bytes(blob) == data


@pytest.mark.parametrize("how", DAMAGES[:-2])
def test_a_damaged_row_is_a_miss_and_is_written_anew(open_cache: Open, how: str) -> None:
    cache = open_cache()
    values = [7, "text", [1, 2], torch.rand(3), [torch.rand(2), 1]]
    refs = [cache.put(value) for value in values]
    cache.close()
    with index_of(cache) as connection:
        for key, body in connection.execute("SELECT id, body FROM entry").fetchall():
            connection.execute("UPDATE entry SET body = ? WHERE id = ?", (damaged(body.ljust(4), how), key))
    connection.close()
    cache = open_cache()
    for ref in refs:
        assert cache.get(ref) is MISSING
        assert not cache.has(ref)
    cache.close()
    heal(open_cache, values, refs)


def heal(open_cache: Open, values: list[Any], refs: list[ValueRef]) -> None:
    """Run after run computes what is missing; a damaged list may show its damaged elements one run later."""
    for _ in range(3):
        cache = open_cache()
        for value, ref in zip(values, refs, strict=True):
            if cache.get(ref) is MISSING:
                assert cache.put(value) == ref
        cache.close()
    cache = open_cache()
    assert all(same(cache.get(ref), value) for value, ref in zip(values, refs, strict=True))


@pytest.mark.parametrize("column", ["kind", "size", "bytes", "crc"])
def test_a_row_that_lies_is_survived(open_cache: Open, column: str) -> None:
    cache = open_cache()
    values = [7, [1, 2], torch.rand(3), [torch.rand(2), 1], *large_values()]
    refs = [cache.put(value) for value in values]
    cache.close()
    with index_of(cache) as connection:
        connection.execute(f"UPDATE entry SET {column} = ({column} + 1) % 4")
    connection.close()
    cache = open_cache()
    for value, ref in zip(values, refs, strict=True):
        got = cache.get(ref)
        assert got is MISSING or same(got, value)
    heal(open_cache, values, refs)


def test_a_damaged_action_is_a_miss(open_cache: Open) -> None:
    cache = open_cache()
    action = Action({"image": cache.put(1)}, 2.0)
    cache.record("key", action)
    cache.close()
    (body,) = index_of(cache).execute("SELECT body FROM action").fetchone()
    for place in range(0, len(body), 7):
        changed = bytearray(body)
        changed[place] ^= 1
        with index_of(cache) as connection:
            connection.execute("INSERT OR REPLACE INTO action VALUES ('key', 0, ?)", (bytes(changed),))
        again = open_cache()
        assert again.lookup("key") is None
        again.close()
    with index_of(cache) as connection:
        connection.execute("INSERT OR REPLACE INTO action VALUES ('other', 0, ?)", (body,))
    assert open_cache().lookup("other") is None, "an action answers its own key only"


@pytest.mark.parametrize("how", ["flip-first", "cut", "empty", "random", "text"])
def test_a_damaged_index_is_moved_aside(open_cache: Open, how: str, caplog: pytest.LogCaptureFixture) -> None:
    cache = open_cache()
    for number in range(300):
        cache.record(str(number), Action({"v": cache.put("x" * number)}))
    cache.close()
    path = folder_of(cache) / NAME
    path.write_bytes(b"not a database" * 1000 if how == "text" else damaged(path.read_bytes(), how) or b"")
    cache = open_cache()
    for number in range(300):
        action = cache.lookup(str(number))
        assert action is None or cache.get(action.outputs["v"]) in ("x" * number, MISSING)
    ref = cache.put("new")
    cache.record("new", Action({"v": ref}))
    cache.close()
    cache = open_cache()
    action = cache.lookup("new")
    assert action is not None and cache.get(ref) == "new"
    assert not cache.info().trouble
    if how != "empty":
        assert "moved aside" in caplog.text
        assert list(folder_of(cache).glob(f"{NAME}.damaged-*"))


def test_an_index_damaged_in_use_is_survived(open_cache: Open) -> None:
    cache, other = open_cache(memory_bytes=0), open_cache(memory_bytes=0)
    for number in range(500):
        cache.record(f"k{number}", Action({"v": cache.put(f"{number}" * 100)}))
    cache.flush()
    with index_of(cache) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    path = folder_of(cache) / NAME
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    late = open_cache(memory_bytes=0)
    for user in (late, cache, other):
        for number in range(500):
            action = user.lookup(f"k{number}")
            assert action is None or user.get(action.outputs["v"]) in (f"{number}" * 100, MISSING)
        user.record("after", Action({"v": user.put("after")}))
        user.flush()
        action = user.lookup("after")
        assert action is not None and user.get(action.outputs["v"]) == "after"
        assert not user.info().trouble
    assert open_cache().lookup("after") is not None


def test_a_folder_removed_in_use_is_made_again(open_cache: Open) -> None:
    import shutil

    cache = open_cache(memory_bytes=0)
    ref = cache.put(large_values()[0])
    cache.flush()
    shutil.rmtree(folder_of(cache))
    assert cache.get(ref) is MISSING and not cache.has(ref)
    ref = cache.put(value := large_values()[0])
    cache.save_state("key", {"step": 1})
    cache.flush()
    assert same(cache.get(ref), value) and cache.load_state("key") == {"step": 1}
    assert same(open_cache().get(ref), value)


def test_a_newer_index_is_left_alone(open_cache: Open, caplog: pytest.LogCaptureFixture) -> None:
    cache = open_cache()
    cache.put("kept")
    cache.close()
    with index_of(cache) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    connection.close()
    before = (folder_of(cache) / NAME).read_bytes()
    cache = open_cache()
    ref = cache.put("memory")
    cache.record("k", Action({"v": ref}))
    cache.flush()
    assert cache.get(ref) == "memory" and cache.lookup("k") is not None
    assert "version" in cache.info().trouble and "version" in caplog.text
    cache.close()
    assert (folder_of(cache) / NAME).read_bytes() == before


def test_an_older_index_is_replaced(open_cache: Open, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    with sqlite3.connect(folder / NAME) as connection:
        connection.execute("CREATE TABLE entry (something TEXT)")
        connection.execute("CREATE TABLE another (something TEXT)")
    connection.close()
    cache = open_cache()
    ref = cache.put("new")
    cache.close()
    assert open_cache().get(ref) == "new"


def test_remains_of_killed_processes_are_swept(open_cache: Open) -> None:
    cache = open_cache()
    ref = cache.put(value := large_values()[0])
    cache.put_bytes(os.urandom(50_000))
    cache.save_state("key", {"step": 1})
    cache.close()
    folder = payload(cache, ref.digest).parent
    states = folder_of(cache) / "states"
    old = [folder / ".1-2-3.tmp", folder / ("ab" * 20 + ".safetensors"), states / ".1-2-3.tmp", states / "old.state"]
    new = [folder / ".4-5-6.tmp", folder / ("cd" * 20 + ".safetensors"), states / ".4-5-6.tmp"]
    for path in (*old, *new):
        path.write_bytes(b"half")
    for path in (*old, payload(cache, ref.digest)):
        os.utime(path, (1, 1))
    with index_of(cache) as connection:
        connection.execute("UPDATE total SET value = 1 WHERE name = 'swept'")
    connection.close()
    cache = open_cache()
    cache.put("something")
    cache.save_state("another", {"step": 1})
    cache.flush()
    assert [path.exists() for path in old] == [False] * 4
    assert [path.exists() for path in new] == [True] * 3
    assert same(cache.get(ref), value) and cache.load_state("key") == {"step": 1}


def test_a_value_changed_after_it_was_put_is_not_kept_on_disk(
    open_cache: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    cache, gate = open_cache(), threading.Event()
    assert cache._disk is not None
    write = cache._disk._write_payload
    monkeypatch.setattr(cache._disk, "_write_payload", lambda item: gate.wait(10) and write(item))
    # Of the third a narrow copy was made when it was put: that is what is written.
    large, small, narrow = torch.rand(100, 100), torch.zeros(10), torch.zeros(100, 100)
    refs = [cache.put(large), cache.put(small), cache.put(narrow)]
    large[50] = 1
    narrow[50] = 1
    small[5] = 1
    gate.set()
    cache.close()
    cache = open_cache()
    assert not cache.has(refs[0]) and cache.get(refs[0]) is MISSING
    assert same(cache.get(refs[1]), torch.zeros(10)), "small ones were copied when they were put"
    assert same(cache.get(refs[2]), torch.zeros(100, 100))


def test_values_on_disk_are_safetensors(open_cache: Open) -> None:
    cache = open_cache()
    ref = cache.put({"a": (a := torch.rand(100, 500).bfloat16()), "b": (b := torch.arange(700)), "c": 1.5})
    cache.close()
    data = payload(cache, ref.digest).read_bytes()
    found = safetensors_torch.load(data)
    assert same(found, {"t0": a, "t1": b})
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert json.loads(header["__metadata__"]["safelight"])["$dict"]["c"] == 1.5


def test_a_transposed_tensor_keeps_its_order_in_memory(open_cache: Open) -> None:
    cache = open_cache()
    values = [torch.rand(2, 3, 40, 50).permute(0, 2, 3, 1), torch.rand(64, 65).T, torch.rand(80, 80)[::2, 1:]]
    refs = [cache.put(value) for value in values]
    assert refs == [cache.put(value.contiguous()) for value in values], "content decides, not its order in memory"
    cache.close()
    cache = open_cache()
    got = [cache.get(ref) for ref in refs]
    assert all(same(*pair) for pair in zip(got, values, strict=True))
    assert [value.stride() for value in got] == [values[0].stride(), values[1].stride(), (79, 1)]
    assert all(value.data_ptr() % 64 == 0 for value in got), "aligned as torch aligns what it makes"


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
shapes = st.lists(st.integers(0, 5), max_size=4)
dtypes = st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
tensors = st.builds(
    lambda shape, dtype, seed: torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)).to(dtype),
    shapes,
    dtypes,
    st.integers(0, 9),
)
nested = st.recursive(
    plain | tensors,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(nested, min_size=5, max_size=40))
def test_nested_values_survive_a_restart(open_cache: Open, values: list[Any]) -> None:
    cache = open_cache()
    refs = [cache.put(value) for value in values]
    assert refs == [cache.put(value) for value in values]
    cache.close()
    cache = open_cache()
    for value, ref in zip(values, refs, strict=True):
        assert cache.has(ref)
        assert same(cache.get(ref), value)
    cache.close()


HAMMER = """
    import random, sys, time, os
    from pathlib import Path
    from safelight.engine.cache import MISSING, Action, Cache
    from safelight.sdk.codec import Codec

    folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    cache = Cache(folder, Codec([]), memory_bytes=20_000, disk_bytes=400_000)
    source = random.Random(seed)
    number = 0
    print("ready", flush=True)
    while number < count:
        number += 1
        which = source.randrange(40)
        value = [which, str(which) * which * 1000]
        action = cache.lookup(f"key{which}")
        if action is not None:
            got = cache.get(action.outputs["v"])
            assert got is MISSING or got == value, got
        ref = cache.put(value, source.random())
        cache.record(f"key{which}", Action({"v": ref}))
        blob = cache.put_bytes(bytes([which]) * 20_000)
        assert cache.get_bytes(blob) in (None, bytes([which]) * 20_000)
        if number % 8 == 1:
            cache.save_state("shared", {"step": which, "latents": [which] * 5000})
        state = cache.load_state("shared")
        assert state is None or state["latents"] == [state["step"]] * 5000
        if source.random() < 0.05:
            cache.flush()
        if source.random() < 0.05:
            cache.clear() if "clear" in sys.argv else cache.info()
    cache.close()
    assert not cache.info().trouble, cache.info().trouble
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": python_paths(), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert not errors, "nor was there anything to warn of"


@pytest.mark.parametrize("also", ["info", "clear"])
def test_processes_share_a_folder(open_cache: Open, tmp_path: Path, also: str) -> None:
    folder = tmp_path / "cache"
    processes = [start(HAMMER, folder, seed, 60, also) for seed in range(3)]
    for process in processes:
        finish(process)
    check_all(open_cache(memory_bytes=0))


def check_all(cache: Cache) -> int:
    """Everything that the cache says it has is whole and right. Gives how many values that were."""
    found = 0
    for which in range(40):
        action = cache.lookup(f"key{which}")
        if action is not None:
            got = cache.get(action.outputs["v"])
            if got is not MISSING:
                found += 1
                assert got == [which, str(which) * which * 1000]
    total = index_of(cache).execute("SELECT coalesce(sum(bytes + 256), 0), count(*) FROM entry").fetchone()
    info = cache.info()
    assert total == (info.disk_bytes, info.disk_values)
    return found


def test_a_writer_killed_at_any_moment_leaves_what_can_be_read(open_cache: Open, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    source = random.Random(5)
    found = 0
    for seed in range(4):
        process = start(HAMMER, folder, seed, 1_000_000)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(source.uniform(0.1, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        cache = open_cache(memory_bytes=0, disk_bytes=400_000)
        assert not list(folder.glob("*damaged*"))
        found += check_all(cache)
        state = cache.load_state("shared")
        assert state is not None, "one was saved, and it is never half replaced"
        assert state["latents"] == [state["step"]] * 5000
        ref = cache.put(value := Image(torch.rand(1, 50, 50, 3)), 100.0)
        cache.close()
        assert same(open_cache(disk_bytes=400_000).get(ref), value)
    assert found > 0


def test_a_disk_that_takes_no_more_is_no_error(open_cache: Open, tmp_path: Path) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        from safelight.engine.cache import Action, Cache
        from safelight.sdk.codec import Codec
        cache = Cache(Path(sys.argv[1]), Codec([]), memory_bytes=1 << 26, disk_bytes=1 << 26)
        first = cache.put("first")
        cache.record("first", Action({"v": first}))
        cache.flush()
        size = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        refs = []
        for number in range(300):
            refs.append(cache.put(f"{number}" * (50 if number % 2 else 50_000)))
            cache.record(f"{number}", Action({"v": refs[-1]}))
            if number % 50 == 0:
                cache.flush()
                cache.save_state("state", {"step": number, "latents": [1] * 100_000})
        cache.flush()
        assert cache.info().trouble
        assert all(cache.get(ref).startswith(str(number)) for number, ref in enumerate(refs))
        assert cache.load_state("state")["step"] == 250
        assert cache.lookup("first") and cache.get(first) == "first"
        cache.close()
    """
    for size in (0, 90_000):
        process = start(code, tmp_path / "cache", size)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert errors.count("kept in memory") <= 2
        cache = open_cache()
        action = cache.lookup("first")
        assert action is not None and cache.get(action.outputs["v"]) == "first"
        for number in range(300):
            action = cache.lookup(str(number))
            assert action is None or cache.get(action.outputs["v"]) in (
                MISSING,
                f"{number}" * (50 if number % 2 else 50_000),
            )
        cache.close()


def test_a_checkpoint_is_durable_when_save_returns(open_cache: Open, tmp_path: Path) -> None:
    code = """
        import os, signal, sys
        from pathlib import Path
        from safelight.engine.cache import Cache
        from safelight.sdk.codec import Codec
        cache = Cache(Path(sys.argv[1]), Codec([]), memory_bytes=0, disk_bytes=1 << 20)
        for step in range(1, 4):
            cache.save_state("run", {"step": step, "latents": [step] * 5000})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = start(code, tmp_path / "cache")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    state = open_cache().load_state("run")
    assert state is not None and same(dict(state), {"step": 3, "latents": [3] * 5000})
