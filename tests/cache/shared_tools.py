"""What the tests of the shared cache have in common: machines with a home each, and buckets of two kinds."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

import tensor_nodes
from engine.engine_bench import Engine
from safelight.engine import Cache, Services
from safelight.engine.cache.shared import SharedOptions
from safelight.media.registry import built_in
from safelight.places import InputFolders

pytest.importorskip("obstore")

KEY = b"a key of the team that tests"
OPTIONS = SharedOptions("", KEY, wait=20.0, rest=0.2, state_seconds=0.0)


class Machine(Engine):
    """An engine with a cache of its own, before a bucket."""

    def __init__(self, folder: Path, url: str, **more: Any) -> None:
        self.options = replace(OPTIONS, url=url, **more)
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, catalogue=tensor_nodes.catalogue())

    def open(self) -> None:
        cache = Cache(
            self.folder / "cache",
            self.catalogue.codec,
            memory_bytes=self.memory_bytes,
            disk_bytes=self.disk_bytes or 0,
            shared=self.options,
        )
        models: Any = None
        self.services = Services(cache, models, InputFolders((self.folder,)), built_in())

    @property
    def cache(self) -> Cache:
        return self.services.cache

    @property
    def shared(self) -> Any:
        """The state of the shared tier."""
        return self.cache.info().shared

    def sent(self) -> None:
        """Waits until all is in the bucket."""
        assert self.cache.drain(30.0) == 0


class LocalS3:
    """A server that speaks S3, in this process: moto. It can be stopped and started again, and keeps what it has."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._server: Any = None
        self.start()
        request = Request(f"http://127.0.0.1:{self.port}/team", method="PUT")
        urlopen(request, timeout=10).close()

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request otherwise
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def url(self, folder: str) -> str:
        return f"s3://team/{folder}?endpoint=http://127.0.0.1:{self.port}&region=us-east-1"


@contextmanager
def local_s3() -> Iterator[LocalS3]:
    pytest.importorskip("moto.server")
    before = {name: os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    os.environ |= dict.fromkeys(before, "testing")
    server = LocalS3()
    try:
        yield server
    finally:
        server.stop()
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def objects(url: str) -> dict[str, bytes]:
    """All that is in a bucket."""
    import obstore

    from safelight.engine.cache.shared.bucket import Bucket

    store = Bucket(url)._opened()
    return {
        found["path"]: bytes(obstore.get(store, found["path"]).bytes())
        for page in obstore.list(store)
        for found in page
    }


def change(url: str, path: str, data: bytes) -> None:
    """Puts other bytes in the place of an object, as whoever may write there can."""
    import obstore

    from safelight.engine.cache.shared.bucket import Bucket

    obstore.put(Bucket(url)._opened(), path, data)
