"""The cache that a team shares: what one machine has made, another does not make again."""

from __future__ import annotations

import logging
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cache.shared_tools import KEY, LocalS3, Machine, change, objects
from engine.engine_bench import doc
from safelight.disk import try_lock
from safelight.engine.cache import MISSING, store
from safelight.engine.cache.shared import seal, tier
from safelight.engine.cache.shared.ledger import record_name
from safelight.engine.cache.shared.seal import Manifest, action_path, sealed
from safelight.graph import Document
from waiting import until

torch = pytest.importorskip("torch")

Open = Callable[..., Machine]


def graph(seed: int = 1) -> Document:
    """An image, made darker, written to a file; and a list of three images, each made darker: eight actions in all."""
    return doc(
        {
            "noise": ("noise", {"seed": seed}),
            "dark": ("darken", {"by": 0.25}),
            "file": "keep",
            "several": ("several", {"seed": seed}),
            "each": "darken",
        },
        [("noise.image", "dark.image"), ("dark.image", "file.image"), ("several.images", "each.image")],
        {"image": "dark.image", "list": "each.image", "file": "file.file"},
        prefix="tensor_nodes.",
    )


def pixels(machine: Machine, result: Any) -> list[Any]:
    images = [machine.output(result, "image"), *machine.output(result, "list")]
    return [image.pixels for image in images]


def test_the_second_machine_runs_nothing(machine: Open, bucket: str) -> None:
    first, second = machine("first", bucket), machine("second", bucket)
    made = first.run(graph())
    assert {report.status for report in made.nodes.values()} == {"ran"}
    first.sent()
    delivered = first.cache.get_bytes(first.output(made, "file").digest)

    planned = second.plan(graph())
    assert {node.status for node in planned.nodes.values()} == {"cached"}
    assert all(node.shared for node in planned.nodes.values()), "all of it is in the bucket alone"
    found = second.run(graph())
    assert {report.status for report in found.nodes.values()} == {"cached"}
    for one, other in zip(pixels(first, made), pixels(second, found), strict=True):
        assert torch.equal(one, other)
    assert second.cache.get_bytes(second.output(found, "file").digest) == delivered

    # What has come is here from now on, and what was not needed is still known to be there after a restart.
    second.restart()
    places = {name: node.shared for name, node in second.plan(graph()).nodes.items()}
    assert not places["dark"] and not places["file"] and not places["each"] and places["noise"]
    told = second.shared
    assert told.hits == 5 and told.misses == told.refused == told.waiting == 0 and told.bytes_down > 10_000
    assert first.shared.sent == 8 and first.shared.bytes_up > 10_000 and first.shared.misses == 8


def test_only_what_changed_runs(machine: Open, bucket: str) -> None:
    first, second = machine("first", bucket), machine("second", bucket)
    first.run(graph())
    first.sent()
    changed = graph().with_values({_port("dark.by"): 0.75})
    assert second.statuses(changed) | {"noise": ""} == {
        "noise": "",
        "dark": "ran",
        "file": "ran",
        "several": "cached",
        "each": "cached",
    }
    assert second.statuses(changed)["dark"] == "cached"


def test_elements_that_are_in_the_bucket_do_not_run(machine: Open, bucket: str) -> None:
    """A list that nobody has made is put together of elements that somebody has."""
    first, second = machine("first", bucket), machine("second", bucket)
    nodes = {"several": ("several", {"count": 3}), "each": "darken"}
    first.run(doc(nodes, [("several.images", "each.image")], {"list": "each.image"}, prefix="tensor_nodes."))
    first.sent()
    nodes["several"] = ("several", {"count": 4})
    second.run(doc(nodes, [("several.images", "each.image")], {"list": "each.image"}, prefix="tensor_nodes."))
    # Two nodes and four elements were asked for; three elements were there.
    assert (second.shared.hits, second.shared.misses) == (3, 3)


def test_large_values_go_through_the_disk(machine: Open, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tier, "LARGE", 1000)
    first, second = machine("first", bucket), machine("second", bucket)
    made = first.run(graph())
    first.sent()
    found = second.run(graph())
    for one, other in zip(pixels(first, made), pixels(second, found), strict=True):
        assert torch.equal(one, other)
    assert {report.status for report in found.nodes.values()} == {"cached"}
    assert not list((second.folder / "cache").rglob(".*.part")), "no draft is left behind"


def test_a_cache_in_memory_reads_from_the_bucket(machine: Open, tmp_path: Path, bucket: str) -> None:
    from safelight.engine import Cache

    first = machine("first", bucket)
    ref = first.run(graph()).outputs["image"]
    first.sent()
    key = _key_of(first, "dark")
    cache = Cache(None, first.catalogue.codec, memory_bytes=1 << 26, disk_bytes=0, shared=first.options)
    action = cache.lookup(key)
    assert action is not None and action.outputs["image"] == ref
    assert torch.equal(cache.get(ref).pixels, first.cache.get(ref).pixels)
    assert cache.has(ref)
    cache.close()


# Trust


def test_flipped_bytes_are_refused_and_computed_again(
    machine: Open, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = machine("first", bucket), machine("second", bucket)
    made = first.run(graph())
    first.sent()
    spoiled = [path for path in objects(bucket) if "/values/" in path or "/blobs/" in path]
    assert len(spoiled) >= 5
    for path in spoiled:
        data = bytearray(objects(bucket)[path])
        data[-1] ^= 1
        change(bucket, path, bytes(data))
    with caplog.at_level(logging.WARNING):
        found = second.run(graph())
    statuses = {name: report.status for name, report in found.nodes.items()}
    assert statuses == dict.fromkeys(statuses, "ran")
    for one, other in zip(pixels(first, made), pixels(second, found), strict=True):
        assert torch.equal(one, other)
    assert second.shared.refused >= 3
    assert len([entry for entry in caplog.records if "is refused" in entry.message]) == 1, "told once, then counted"

    # What was refused is replaced by what was made here, so the next machine has all of it.
    second.sent()
    third = machine("third", bucket)
    assert set(third.statuses(graph()).values()) == {"cached"}
    assert third.shared.refused == 0


def test_each_bit_of_a_manifest_counts(machine: Open, tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    url = (tmp_path / "bucket").as_uri()
    first, second = machine("first", url), machine("second", url)
    first.run(doc({"n": ("number", {"value": 7})}, (), {"n": "n.value"}))
    first.sent()
    ((path, data),) = objects(url).items()
    for place in range(0, len(data), 3):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        change(url, path, bytes(flipped))
        # Asked without the cache, which would not ask twice.
        assert second.cache._shared is not None
        second.cache._shared._absent.clear()
        assert second.cache._shared.lookup(_key_of(first, "n", number=7)) is None
    for cut in (0, 10, 64, 65, len(data) - 1):
        change(url, path, data[:cut])
        second.cache._shared._absent.clear()
        assert second.cache._shared.lookup(_key_of(first, "n", number=7)) is None
    change(url, path, data)
    second.cache._shared._absent.clear()
    assert second.cache._shared.lookup(_key_of(first, "n", number=7)) is not None


def test_foreign_and_missing_signatures_are_refused(machine: Open, bucket: str) -> None:
    stranger = machine("stranger", bucket, key=b"a key of somebody else, long enough")
    stranger.run(graph())
    stranger.sent()
    ours = machine("ours", bucket)
    assert set(ours.statuses(graph()).values()) == {"ran"}
    assert ours.shared.refused >= 3 and ours.shared.hits == 0
    ours.sent()
    # Manifests are one's own again. A stranger who takes the signatures away gets no further.
    for path, data in objects(bucket).items():
        if "/actions/" in path:
            change(bucket, path, data.partition(b"\n")[2])
    third = machine("third", bucket)
    assert set(third.statuses(graph()).values()) == {"ran"}
    assert third.shared.refused >= 3 and third.shared.hits == 0


def test_an_entry_under_another_key_is_refused(machine: Open, bucket: str) -> None:
    """Whoever may write to the bucket, and has not the key, cannot give one node's result for another's."""
    first, second = machine("first", bucket), machine("second", bucket)
    seven = doc({"n": ("number", {"value": 7})}, (), {"n": "n.value"})
    eight = doc({"n": ("number", {"value": 8})}, (), {"n": "n.value"})
    first.run(seven)
    first.run(eight)
    first.sent()
    mine, other = (action_path(_key_of(first, "n", number=number)) for number in (7, 8))
    change(bucket, mine, objects(bucket)[other])
    found = second.run(seven)
    assert second.output(found, "n") == 7 and found.nodes["n"].status == "ran" and second.shared.refused == 1


def test_values_in_each_others_place_are_refused(machine: Open, bucket: str) -> None:
    first, second = machine("first", bucket), machine("second", bucket)
    made = first.run(graph())
    first.sent()
    values = [path for path in objects(bucket) if "/values/" in path]
    found = objects(bucket)
    for path, other in zip(values, [*values[1:], values[0]], strict=True):
        change(bucket, path, found[other])
    again = second.run(graph())
    for one, other in zip(pixels(first, made), pixels(second, again), strict=True):
        assert torch.equal(one, other)
    assert second.shared.refused >= 3


def test_one_value_may_be_written_in_two_ways(machine: Open, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As tensors in another memory order are: each manifest names the bytes that its machine has sent."""
    once = doc(
        {"noise": "noise", "dark": ("darken", {"by": 0.25})},
        [("noise.image", "dark.image")],
        {"image": "dark.image"},
        prefix="tensor_nodes.",
    )
    twice = doc(
        {"noise": "noise", "half": ("darken", {"by": 0.5}), "dark": ("darken", {"by": 0.5})},
        [("noise.image", "half.image"), ("half.image", "dark.image")],
        {"image": "dark.image"},
        prefix="tensor_nodes.",
    )
    first, second = machine("first", bucket), machine("second", bucket)
    with nothing_sent(first), nothing_sent(second):
        made = first.run(once)
        first.cache.drain(1.0)
        before = store.pack
        monkeypatch.setattr(store, "pack", lambda text, tensors: before(text + " " * 64, tensors))
        assert second.run(twice).outputs["image"] == made.outputs["image"]
        second.cache.drain(1.0)
    first.sent()
    second.sent()
    for name, document in (("third", once), ("fourth", twice)):
        there = machine(name, bucket)
        found = there.run(document)
        assert {report.status for report in found.nodes.values()} == {"cached"}
        assert torch.equal(there.output(found, "image").pixels, first.output(made, "image").pixels)
        assert there.shared.refused == 0


class Trap:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_pickles_are_never_read_even_from_a_member(machine: Open, bucket: str, tmp_path: Path) -> None:
    first, second = machine("first", bucket), machine("second", bucket)
    ref = first.run(graph()).outputs["image"]
    first.sent()
    key = _key_of(first, "dark")
    evil = pickle.dumps(Trap(tmp_path / "mark"))
    action = first.cache.lookup(key)
    assert action is not None
    for kind in (0, 1, 2):
        entry = seal.Entry(ref.digest, kind, 100, len(evil), 0, seal.sha256(evil))
        change(bucket, seal.value_path(entry), evil)
        told = sealed(KEY, seal.ACTION, key, Manifest(action, (entry,)))
        change(bucket, action_path(key), told)
        third = machine(f"third-{kind}", bucket)
        assert third.cache.lookup(key) is not None
        assert third.cache.get(ref) is MISSING and third.shared.refused == 1
    assert second.statuses(graph())["dark"] == "ran"
    assert not (tmp_path / "mark").exists()


def test_a_manifest_of_a_member_names_nothing_but_digests(machine: Open, bucket: str) -> None:
    """Ids become names of files on this machine."""
    first = machine("first", bucket)
    first.run(graph())
    first.sent()
    key = _key_of(first, "dark")
    action = first.cache.lookup(key)
    assert action is not None
    for id in ("../../../etc/passwd", "b:../x", "", "A" * 40, "0" * 39):
        entry = seal.Entry(id, 0, 100, 1, 0, seal.sha256(b"1"), data=b"1")
        with pytest.raises(seal.Refused):
            seal.unsealed(KEY, seal.ACTION, key, sealed(KEY, seal.ACTION, key, Manifest(action, (entry,))), Manifest)


def test_a_bucket_of_another_team_costs_no_more_than_the_wait(machine: Open, tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    url = (tmp_path / "bucket").as_uri()
    nodes = {f"n{number}": ("number", {"value": number}) for number in range(40)}
    document = doc(nodes, (), {name: f"{name}.value" for name in nodes})
    stranger = machine("stranger", url, key=b"a key of somebody else, long enough")
    stranger.run(document)
    stranger.sent()
    ours = machine("ours", url, wait=0.5)
    slowly(ours, 0.1)
    started = time.monotonic()
    assert set(ours.statuses(document).values()) == {"ran"}
    assert time.monotonic() - started < 1.5, "forty refusals would take four seconds"
    assert 3 <= ours.shared.refused <= 5


def test_values_that_vanish_are_sent_again(machine: Open, bucket: str) -> None:
    """Somebody has emptied the bucket by hand, but for the manifests."""
    import obstore

    from safelight.engine.cache.shared.bucket import Bucket

    first, second = machine("first", bucket), machine("second", bucket)
    first.run(graph())
    first.sent()
    for path in objects(bucket):
        if "/actions/" not in path:
            obstore.delete(Bucket(bucket)._opened(), path)
    assert second.statuses(graph())["dark"] == "ran"
    assert second.shared.refused == 0
    second.sent()
    assert set(machine("third", bucket).statuses(graph()).values()) == {"cached"}


# A bucket that is away


@pytest.fixture
def silent() -> Any:
    """A server that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"s3://team/x?endpoint=http://127.0.0.1:{listening.getsockname()[1]}&region=us-east-1"


def test_a_bucket_that_says_nothing_costs_no_more_than_the_wait(
    machine: Open, silent: str, s3: LocalS3, caplog: pytest.LogCaptureFixture
) -> None:
    there = machine("there", silent, wait=0.5, rest=60.0)
    started = time.monotonic()
    found = there.run(graph())
    took = time.monotonic() - started
    assert {report.status for report in found.nodes.values()} == {"ran"}
    assert 0.5 <= took < 1.5, "it waits once, and not for each node"
    started = time.monotonic()
    assert set(there.statuses(graph(2)).values()) == {"ran"}
    assert time.monotonic() - started < 0.5, "and then it leaves the bucket alone for a while"
    assert len([entry for entry in caplog.records if "cannot be reached" in entry.message]) == 1
    assert there.shared.waiting == 14 and there.shared.trouble
    started = time.monotonic()
    there.cache.close()
    assert time.monotonic() - started < 5.0


def test_what_waits_is_sent_when_the_bucket_is_back(machine: Open, s3: LocalS3, tmp_path: Path) -> None:
    url = s3.url(tmp_path.name)
    first = machine("first", url)
    s3.stop()
    try:
        started = time.monotonic()
        assert set(first.statuses(graph()).values()) == {"ran"}
        assert time.monotonic() - started < first.options.wait + 1.0
        assert first.cache.drain(30.0) == 8, "a bucket that is away is not waited for"
        # The program ends. What waits is on record, and the next one goes on with it.
        first.restart()
        assert first.shared.waiting == 8
    finally:
        s3.start()
    first.cache.catch_up()
    until(lambda: first.shared.waiting == 0)
    assert first.shared.trouble == "" and first.shared.sent == 8
    second = machine("second", url)
    assert set(second.statuses(graph()).values()) == {"cached"}


def test_a_killed_program_leaves_what_waits_on_record(machine: Open, s3: LocalS3, tmp_path: Path) -> None:
    import subprocess
    import sys

    from engine.cache_tools import python_paths

    url = s3.url(tmp_path.name)
    code = """
        import os, signal, sys
        from pathlib import Path
        from cache.shared_tools import Machine
        from engine.engine_bench import doc
        there = Machine(Path(sys.argv[1]), sys.argv[2])
        there.run(doc({"n": ("noise", {"seed": 5})}, (), {"n": "n.image"}, prefix="tensor_nodes."))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    import os
    import textwrap

    s3.stop()
    try:
        ended = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "first"), url],
            env={**os.environ, "PYTHONPATH": python_paths()},
            timeout=60,
            check=False,
        )
    finally:
        s3.start()
    assert ended.returncode == -9
    first = machine("first", url)
    first.cache.catch_up()
    first.sent()
    second = machine("second", url)
    found = second.run(doc({"n": ("noise", {"seed": 5})}, (), {"n": "n.image"}, prefix="tensor_nodes."))
    assert found.nodes["n"].status == "cached"


def test_what_waits_for_one_bucket_goes_to_no_other(machine: Open, bucket: str) -> None:
    first = machine("first", "s3://team/x?endpoint=http://127.0.0.1:9&region=us-east-1", rest=60.0)
    first.run(graph())
    until(lambda: first.shared.waiting > 0)
    first.cache.close()
    other = machine("first", bucket)
    other.cache.catch_up()
    other.sent()
    assert objects(bucket) == {}


def test_an_object_that_is_too_long_is_refused_and_the_bucket_is_asked_on(machine: Open, bucket: str) -> None:
    first, second = machine("first", bucket), machine("second", bucket, rest=60.0)
    first.run(graph())
    first.sent()
    for path, data in objects(bucket).items():
        if "/values/" in path:
            change(bucket, path, data + b"more")
    assert second.run(graph()).status == "done"
    assert second.shared.refused > 0 and not second.shared.trouble
    second.sent()
    assert set(machine("third", bucket).statuses(graph()).values()) == {"cached"}


def test_the_bucket_goes_while_values_are_fetched(machine: Open, s3: LocalS3, tmp_path: Path) -> None:
    """The plan has promised results that are out of reach when they are needed."""
    url = s3.url(tmp_path.name)
    first, second = machine("first", url), machine("second", url, rest=60.0)
    first.run(graph())
    first.sent()
    assert {node.status for node in second.plan(graph()).nodes.values()} == {"cached"}
    s3.stop()
    try:
        started = time.monotonic()
        found = second.run(graph())
        assert time.monotonic() - started < second.options.wait + 1.0
        assert found.status == "done" and found.nodes["dark"].status == "ran"
        assert {node.status for node in second.plan(graph()).nodes.values()} == {"cached"}
    finally:
        s3.start()


def test_a_slow_bucket_slows_no_run_by_more_than_the_wait(machine: Open, tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    slow = machine("slow", (tmp_path / "bucket").as_uri(), wait=0.5)
    slowly(slow, 0.1)
    nodes = {f"n{number}": ("number", {"value": number}) for number in range(40)}
    started = time.monotonic()
    found = slow.run(doc(nodes, (), {name: f"{name}.value" for name in nodes}))
    assert found.status == "done" and time.monotonic() - started < 1.5, "forty questions would take four seconds"


# What is sent, and how


def test_the_queue_is_bounded_and_says_what_it_lost(machine: Open) -> None:
    there = machine("there", "s3://team/x?endpoint=http://127.0.0.1:9&region=us-east-1", queue=3, rest=60.0)
    for number in range(10):
        there.run(doc({"n": ("number", {"value": number})}, (), {"n": "n.value"}))
    assert there.shared.waiting == 3 and there.shared.lost == 7


def test_values_above_the_budget_stay_here(machine: Open, bucket: str) -> None:
    first, second = machine("first", bucket, entry_bytes=10_000), machine("second", bucket)
    nodes: dict[str, Any] = {"small": ("noise", {"side": 16}), "large": ("noise", {"side": 64})}
    document = doc(nodes, (), {name: f"{name}.image" for name in nodes}, prefix="tensor_nodes.")
    first.run(document)
    first.sent()
    assert first.shared.large == 1
    assert second.statuses(document) == {"small": "cached", "large": "ran"}


def test_one_that_takes_less_does_not_fetch_more(machine: Open, bucket: str) -> None:
    first, second = machine("first", bucket), machine("second", bucket, entry_bytes=10_000)
    document = doc({"large": ("noise", {"side": 64})}, (), {"large": "large.image"}, prefix="tensor_nodes.")
    first.run(document)
    first.sent()
    assert second.statuses(document) == {"large": "ran"}


def test_uploads_keep_to_their_rate(machine: Open, bucket: str) -> None:
    there = machine("there", bucket, upload_rate=200_000)
    nodes = {f"n{number}": ("noise", {"seed": number}) for number in range(3)}
    started = time.monotonic()
    there.run(doc(nodes, (), {name: f"{name}.image" for name in nodes}, prefix="tensor_nodes."))
    ran = time.monotonic() - started
    there.sent()
    took = time.monotonic() - started
    assert there.shared.bytes_up > 140_000
    assert took > 0.8 * (there.shared.bytes_up - 50_000) / 200_000 > ran, "the run did not wait for it"


@contextmanager
def nothing_sent(there: Machine) -> Iterator[None]:
    """As if another program of this machine sent, and was slow."""
    release = try_lock(there.folder / "cache" / f"{record_name(there.options.url)}.lock")
    assert release is not None
    try:
        yield
    finally:
        release()


def test_what_the_disk_has_lost_is_not_sent(machine: Open, bucket: str) -> None:
    there = machine("there", bucket)
    with nothing_sent(there):
        ref = there.run(graph()).outputs["image"]
        there.cache.drain(1.0)
        there.cache.close()
        for path in (there.folder / "cache").rglob("*.safetensors"):
            path.unlink()
    there.open()
    there.cache.catch_up()
    there.sent()
    assert not any(ref.digest in path for path in objects(bucket))
    statuses = machine("second", bucket).statuses(graph())
    assert statuses["dark"] == "ran" and statuses["each"] == "cached", "what has no value there runs"


def test_a_damaged_payload_of_this_machine_is_not_sent(machine: Open, bucket: str) -> None:
    there = machine("there", bucket)
    with nothing_sent(there):
        ref = there.run(graph()).outputs["image"]
        there.cache.close()
        (path,) = (there.folder / "cache").rglob(ref.digest + "*")
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    there.open()
    there.cache.catch_up()
    there.sent()
    assert not any(ref.digest in path for path in objects(bucket))


def test_two_programs_of_one_home_send_once(machine: Open, bucket: str) -> None:
    one, other = machine("home", bucket), machine("home", bucket)
    one.run(graph())
    other.run(graph(2))
    one.sent()
    until(lambda: other.shared.waiting == 0)
    assert other.shared.sent == 14, "counts are those of the home"
    assert set(machine("second", bucket).statuses(graph(2)).values()) == {"cached"}


def test_clear_leaves_the_bucket_alone(machine: Open, bucket: str) -> None:
    there = machine("there", bucket)
    there.run(graph())
    there.sent()
    before = objects(bucket)
    there.cache.clear()
    assert objects(bucket) == before and there.shared.waiting == 0
    assert set(there.statuses(graph()).values()) == {"cached"}, "it comes from there again"


def test_a_damaged_record_is_begun_again(machine: Open, bucket: str) -> None:
    there = machine("there", bucket)
    there.run(graph())
    there.sent()
    there.cache.close()
    for path in (there.folder / "cache").glob("shared-*.sqlite*"):
        path.write_bytes(b"not a database" * 1000)
    there.open()
    assert set(there.statuses(graph()).values()) == {"cached"}
    there.run(graph(3))
    there.sent()
    assert set(machine("second", bucket).statuses(graph(3)).values()) == {"cached"}


def test_many_threads_read_and_write_one_bucket(machine: Open, bucket: str) -> None:
    first, second = machine("first", bucket), machine("second", bucket)
    failures: list[BaseException] = []

    def use(there: Machine, start: int) -> None:
        try:
            for seed in range(start, start + 4):
                result = there.run(graph(seed))
                assert result.status == "done", result.problems
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(there, start)) for there in (first, second) for start in (0, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    first.sent()
    second.sent()
    assert first.shared.refused == second.shared.refused == 0


def slowly(there: Machine, seconds: float) -> None:
    """Has each answer of the bucket come so late."""
    assert there.cache._shared is not None
    ask = there.cache._shared._bucket.get

    def wait(*given: Any) -> Any:
        time.sleep(seconds)
        return ask(*given)

    there.cache._shared._bucket.get = wait  # type: ignore[method-assign]


def _key_of(machine: Machine, node: str, number: int = 0) -> str:
    from safelight.engine import CacheMemory
    from safelight.graph.keys import Keys
    from safelight.graph.survey import Survey

    document = graph() if node != "n" else doc({"n": ("number", {"value": number})}, (), {"n": "n.value"})
    checked = machine.graph(document)
    memory = CacheMemory(machine.services)
    survey = Survey(checked, memory, Keys(memory, ""))
    return survey.keys[checked.index[node]]


def _port(text: str) -> Any:
    from safelight.graph import Port

    name, _, port = text.partition(".")
    return Port(name, port)
