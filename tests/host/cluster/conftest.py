"""One cluster for all of these tests: starting it takes its time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from clusters import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'safelight[cluster]'")
    if sys.platform != "linux":
        pytest.skip("several machines of a cluster on one are for Linux")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield made
    finally:
        made.close()
