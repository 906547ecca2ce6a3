"""Buckets for the tests of the shared cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cache.shared_tools import LocalS3, Machine, local_s3


@pytest.fixture(scope="session")
def s3() -> Iterator[LocalS3]:
    with local_s3() as server:
        yield server


@pytest.fixture(params=["file", "s3"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty bucket: a folder, or one of a server that speaks S3."""
    if request.param == "s3":
        return request.getfixturevalue("s3").url(tmp_path.name)
    folder = tmp_path / "bucket"
    folder.mkdir()
    return folder.as_uri()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    opened: list[Machine] = []

    def open_(name: str, url: str, **more: Any) -> Machine:
        made = Machine(tmp_path / name, url, **more)
        opened.append(made)
        return made

    yield open_
    for made in opened:
        made.cache.close()
