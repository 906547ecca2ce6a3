"""The stream of events: order, resuming, slow listeners."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from safelight.host.stream import Listener, Stream
from safelight.host.workers.wire import Preview
from safelight.protocol.records import QueueInfo, RunRemoved, Snapshot


def make(first: int = 1, keep: int = 100, keep_bytes: int = 1 << 30) -> Stream:
    queue = QueueInfo(paused=False, waiting=0, running=0)
    return Stream(first, lambda: Snapshot(runs=[], nodes={}, queue=queue, workers=[]), keep, keep_bytes)


async def read(listener: Listener) -> list[dict[str, Any]]:
    frame, _ = await asyncio.wait_for(listener.next(), 5)
    assert frame is not None
    return json.loads(frame)


def test_a_new_listener_starts_with_a_snapshot_and_then_sees_everything() -> None:
    async def work() -> None:
        stream = make()
        for number in range(5):
            stream.publish(RunRemoved(id=f"r{number}"))
        listener = stream.listen(None)
        assert not listener.resumed
        (snapshot,) = await read(listener)
        assert snapshot["number"] == 5 and snapshot["data"]["event"] == "snapshot"
        stream.publish(RunRemoved(id="r9"))
        (event,) = await read(listener)
        assert event["number"] == 6 and event["data"] == {"event": "run_removed", "id": "r9"}

    asyncio.run(work())


def test_a_listener_that_comes_back_misses_nothing() -> None:
    async def work() -> None:
        stream = make()
        for number in range(50):
            stream.publish(RunRemoved(id=f"r{number}"))
        listener = stream.listen(20)
        assert listener.resumed
        events = await read(listener)
        assert [event["number"] for event in events] == list(range(21, 51))

    asyncio.run(work())


def test_one_that_was_away_too_long_or_comes_from_another_start_gets_a_snapshot() -> None:
    async def work() -> None:
        stream = make(first=1000, keep=10)
        for number in range(50):
            stream.publish(RunRemoved(id=f"r{number}"))
        for after in (3, 1005, 99_999):
            listener = stream.listen(after)
            assert not listener.resumed
            (event,) = await read(listener)
            assert event["data"]["event"] == "snapshot" and event["number"] == stream.last
        assert stream.listen(stream.last).resumed
        assert stream.listen(stream.last - 10).resumed

    asyncio.run(work())


def test_one_that_does_not_read_gets_a_snapshot_in_the_place_of_what_is_gone() -> None:
    async def work() -> None:
        stream = make(keep=10)
        slow, quick = stream.listen(0), stream.listen(0)
        seen: list[int] = []
        for number in range(30):
            stream.publish(RunRemoved(id=f"r{number}"))
            seen += [event["number"] for event in await read(quick)]
        assert seen == list(range(1, 31))
        (event,) = await read(slow)
        assert event["number"] == 30 and event["data"]["event"] == "snapshot"
        stream.publish(RunRemoved(id="x"))
        assert [event["number"] for event in await read(slow)] == [31]

    asyncio.run(work())


def test_large_events_are_kept_by_their_bytes_and_sent_in_small_frames() -> None:
    async def work() -> None:
        stream = make(keep_bytes=10 << 20)
        for number in range(20):
            stream.publish(RunRemoved(id=str(number) * (900_000 // len(str(number)))))
        listener = stream.listen(0)
        (event,) = await read(listener)
        assert event["data"]["event"] == "snapshot", "the first are gone"
        again = stream.listen(stream.last - 10)
        assert again.resumed
        numbers: list[int] = []
        while len(numbers) < 10:
            events = await read(again)
            assert len(events) == 1, "a frame holds about a megabyte"
            numbers += [event["number"] for event in events]
        assert numbers == list(range(11, 21))

    asyncio.run(work())


def test_previews_go_to_those_who_asked_and_only_the_newest() -> None:
    async def work() -> None:
        stream = make()
        one, all_of_them, none = stream.listen(0), stream.listen(0), stream.listen(0)
        one.watch(["r1"])
        all_of_them.watch(["*"])
        assert stream.watched("r1") and stream.watched("r2")
        for step in range(5):
            for run in ("r1", "r2"):
                image = Preview(
                    run=run, node="n", step=step, total=5, media_type="image/jpeg", width=1, height=1, data=b"x"
                )
                stream.show(image)
        _, images = await one.next()
        assert [(image.run, image.step) for image in images] == [("r1", 4)]
        _, images = await all_of_them.next()
        assert [(image.run, image.step) for image in images] == [("r1", 4), ("r2", 4)]
        assert not none.images

    asyncio.run(work())
