"""One server for the tests of the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serving import Server, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("http") / "home") as made:
        yield made
