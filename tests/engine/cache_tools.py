"""What the tests of the cache share."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from safelight.engine.cache import Cache
from safelight.sdk import File
from safelight.sdk.codec import Codec
from safelight.sdk.pack import value_classes

torch = pytest.importorskip("torch")

Open = Callable[..., Cache]


def make_codec() -> Codec:
    return Codec(value_classes(sys.modules[File.__module__]))


@pytest.fixture
def open_cache(tmp_path: Path) -> Iterator[Open]:
    opened: list[Cache] = []

    def open_(folder: Path | None = tmp_path / "cache", **options: Any) -> Cache:
        cache = Cache(folder, make_codec(), **{"memory_bytes": 1 << 26, "disk_bytes": 1 << 28, **options})
        opened.append(cache)
        return cache

    yield open_
    for cache in opened:
        cache.close()


def same(a: Any, b: Any) -> bool:
    """Equal, with tensors compared bit by bit and types compared too."""
    if isinstance(a, torch.Tensor):
        return (
            isinstance(b, torch.Tensor)
            and (a.dtype, a.shape) == (b.dtype, b.shape)
            and torch.equal(a.contiguous().reshape(-1).view(torch.uint8), b.contiguous().reshape(-1).view(torch.uint8))
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, key), getattr(b, key)) for key in a.__dataclass_fields__)
    return a == b or repr(a) == repr(b) == "nan"


def run_python(code: str, *arguments: object) -> str:
    """Runs it in a process of its own. Returns what it printed."""
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": python_paths()},
        stdout=subprocess.PIPE,
        text=True,
    )
    return ended.stdout


def python_paths() -> str:
    return os.pathsep.join(path for path in sys.path if path)


def folder_of(cache: Cache) -> Path:
    folder = cache.info().folder
    assert folder is not None
    return Path(folder)


def payload(cache: Cache, key: str) -> Path:
    (path,) = folder_of(cache).rglob(key.removeprefix("b:") + "*")
    return path


def index_of(cache: Cache) -> sqlite3.Connection:
    return sqlite3.connect(folder_of(cache) / "index.sqlite")
