"""What the shared cache costs and saves: the same work from memory, disk, a folder, and a local server that speaks S3.

`python -m benchmarks.shared` prints the table of docs/shared_cache.md. It needs the extras `bucket` and `test`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from safelight.app import Studio
from safelight.engine import Cache, Services, run
from safelight.engine.cache.shared import SharedOptions
from safelight.graph import check
from safelight.media.registry import built_in
from safelight.places import InputFolders
from safelight.sdk import Image

from .graphs import CATALOGUE, chain
from .machine import machine
from .table import seconds

_KEY = b"a key to measure with"
_TIMES = 3
_SIDE = 2896
"""Pixels of an image of 100 MB."""


def main() -> None:
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "SAFELIGHT_TEAM_KEY": _KEY.decode()}
    print(f"{machine()}\n\n| what | computed | memory | disk | folder | local S3 |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name, _s3() as server:
        (Path(name) / "bucket").mkdir()
        buckets = [f"{(Path(name) / 'bucket').as_uri()}", f"s3://team/x?endpoint={server}&region=us-east-1"]
        for what, measure in (
            ("`text_to_image` of the starter, 7 nodes, to its file", _image),
            ("a chain of 1,000 nodes that do nothing", _chain),
            ("one value of 100 MB", _value),
        ):
            shown = " | ".join(_shown(found) for found in measure(Path(name), buckets))
            print(f"| {what} | {shown} |", flush=True)


def _image(folder: Path, buckets: list[str]) -> list[float]:
    """Seconds of a run in a program that has its libraries loaded."""
    count = iter(range(1000))

    def timed(studio: Studio) -> float:
        document = studio.read("text_to_image")
        _ = studio.numerics
        return seconds(lambda: studio.run(document, output=folder / f"output{next(count)}"))

    with Studio.open(folder / "warm") as studio:
        timed(studio)  # loads torch and diffusers
    with Studio.open(folder / "image") as studio:
        found = [timed(studio), min(timed(studio) for _ in range(_TIMES))]
    found.append(min(_again(folder / "image", timed) for _ in range(_TIMES)))
    for number, bucket in enumerate(buckets):
        with Studio.open(folder / f"first{number}", shared_cache=bucket) as studio:
            timed(studio)
            studio.cache.drain(60.0)
        homes = [folder / f"image{number}-{time}" for time in range(_TIMES)]
        found.append(min(_again(home, timed, bucket) for home in homes))
    return found


def _again(home: Path, timed: Any, bucket: str = "") -> float:
    with Studio.open(home, shared_cache=bucket) as studio:
        return timed(studio)


def _chain(folder: Path, buckets: list[str]) -> list[float]:
    graph = check(chain(1000), CATALOGUE).require()

    def timed(cache: Cache) -> float:
        models: Any = None
        opened = Services(cache, models, InputFolders((folder,)), built_in())
        return seconds(lambda: run(graph, opened, ""))

    return _tiers(folder / "chain", buckets, timed, timed)


def _value(folder: Path, buckets: list[str]) -> list[float]:
    import torch

    refs: list[Any] = []

    def made(cache: Cache) -> float:
        from safelight.engine import Action

        def make() -> None:
            image = Image(torch.rand(1, _SIDE, _SIDE, 3))
            refs[:] = [cache.put(image, 10.0)]
            cache.record("the value", Action(outputs={"image": refs[0]}, seconds=10.0))

        return seconds(make)

    def timed(cache: Cache) -> float:
        def get() -> None:
            assert cache.lookup("the value") is not None
            assert float(cache.get(refs[0]).pixels.sum()) > 0

        return seconds(get)

    return _tiers(folder / "value", buckets, made, timed)


def _tiers(folder: Path, buckets: list[str], make: Any, use: Any) -> list[float]:
    def opened(name: str, bucket: str = "") -> Cache:
        shared = SharedOptions(bucket, _KEY, wait=10.0) if bucket else None
        return Cache(folder / name, _codec(), memory_bytes=1 << 30, disk_bytes=4 << 30, shared=shared)

    cache = opened("plain")
    found = [make(cache), min(use(cache) for _ in range(_TIMES))]
    cache.close()
    times: list[float] = []
    for _ in range(_TIMES):
        cache = opened("plain")
        times.append(use(cache))
        cache.close()
    found.append(min(times))
    for number, bucket in enumerate(buckets):
        cache = opened(f"first{number}", bucket)
        make(cache)
        assert cache.drain(300.0) == 0, cache.info()
        cache.close()
        times = []
        for time_ in range(_TIMES):
            cache = opened(f"{number}-{time_}", bucket)
            times.append(use(cache))
            cache.close()
        found.append(min(times))
    return found


def _codec() -> Any:
    from safelight.sdk.codec import Codec
    from safelight.sdk.pack import value_classes

    return Codec(value_classes(sys.modules[Image.__module__]))


@contextmanager
def _s3() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urlopen(Request(f"{address}/team", method="PUT"), timeout=5).close()
                break
            except URLError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _shown(found: float) -> str:
    return f"{found * 1e3:.1f} ms" if found < 1 else f"{found:.2f} s"


if __name__ == "__main__":
    main()
