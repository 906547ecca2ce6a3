"""A real server in a process of its own, for tests: on any free port, with the trivial pack unless told otherwise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil

PACK = Path(__file__).parent / "host" / "pack"
MAIN = "import sys; from safelight.cli import main; sys.exit(main())"


class Server:
    """One start of `safelight serve`."""

    def __init__(self, home: Path, *arguments: str, pack: bool = True, **environment: str) -> None:
        self.home = home
        self.started = time.perf_counter()
        self.log = home.parent / f"{home.name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN, "serve", "--port", "0", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                env=test_environment(home, pack) | environment,
            )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline().decode()
        self.ready_seconds = time.perf_counter() - self.started
        self.url = self.said.strip().rpartition(" ")[2].partition("/?")[0]

    def stop(self) -> int:
        """Asks it to stop and waits."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def call(self, method: str, address: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and decoded answer; `address` below /api/v1."""
        data = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        given = {"Content-Type": "application/json"} | {key.replace("_", "-"): item for key, item in headers.items()}
        request = Request(f"{self.url}/api/v1{address}", data=data, method=method, headers=given)
        try:
            with urlopen(request, timeout=30) as response:
                return response.status, _decoded(response.read())
        except HTTPError as error:
            return error.code, _decoded(error.read())

    def ask(self, method: str, address: str, body: Any = None) -> Any:
        """The answer to a request that must succeed."""
        status, answer = self.call(method, address, body)
        assert status < 400, answer
        return answer

    def wait(self, run: str, seconds: float = 30.0) -> dict[str, Any]:
        """The run once it has ended."""
        deadline = time.monotonic() + seconds
        while (found := self.ask("GET", f"/runs/{run}"))["status"] not in ("done", "failed", "cancelled"):
            assert time.monotonic() < deadline, f"{run} did not end: {found['status']}"
            time.sleep(0.02)
        return found

    def wait_ready(self, seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with urlopen(f"{self.url}/healthz", timeout=5) as response:
                if json.loads(response.read())["ready"]:
                    return
            time.sleep(0.02)
        raise AssertionError("no worker became ready")


def test_environment(home: Path, pack: bool = True) -> dict[str, str]:
    paths = [str(PACK) if pack else "", *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return dict(os.environ) | {
        "SAFELIGHT_HOME": str(home),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OMP_NUM_THREADS": "1",
        # Measuring the processor takes seconds and is not what these tests are about.
        "SAFELIGHT_DEVICE": "cpu",
        "SAFELIGHT_PRECISION": "float32",
    }


test_environment.__test__ = False  # type: ignore[attr-defined]


@contextmanager
def serving(home: Path, *arguments: str, pack: bool = True, **environment: str) -> Iterator[Server]:
    """A server that has a worker, and is stopped at the end."""
    server = Server(home, *arguments, pack=pack, **environment)
    try:
        server.wait_ready()
        yield server
    finally:
        if server.process.poll() is None:
            try:
                server.stop()
            except subprocess.TimeoutExpired:
                server.kill()
                raise


def chain(count: int = 3, start: int = 0, **last: Any) -> dict[str, Any]:
    """A document: a number, additions in a chain, and their sum as an output."""
    nodes: dict[str, Any] = {"n0": {"type": "trivial/work.number", "values": {"value": start}}}
    links = []
    for number in range(1, count):
        nodes[f"n{number}"] = {"type": "trivial/work.add"}
        links.append({"from": f"n{number - 1}.value", "to": f"n{number}.a"})
    return document(nodes, links, output=f"n{count - 1}.value", value="n0.value", **last)


def single(kind: str, *, output: str = "x.value", **values: Any) -> dict[str, Any]:
    """A document: a number, and one node of the trivial pack that takes it."""
    nodes = {
        "n": {"type": "trivial/work.number", "values": {"value": 1}},
        "x": {"type": f"trivial/work.{kind}", "values": values},
    }
    return document(nodes, [{"from": "n.value", "to": "x.a"}], output=output, value="n.value")


def saving() -> dict[str, Any]:
    """A document that writes a file."""
    nodes = {
        "n": {"type": "trivial/work.number", "values": {"value": 1}},
        "save": {"type": "trivial/work.save"},
    }
    return document(nodes, [{"from": "n.value", "to": "save.value"}], value="n.value")


def document(
    nodes: Mapping[str, Any], links: list[dict[str, str]], *, output: str | None = None, value: str | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {"format": "safelight/1", "name": "test", "nodes": nodes, "links": links}
    if value is not None:
        made["inputs"] = [{"name": "value", "to": value}]
    if output is not None:
        made["outputs"] = [{"name": "result", "from": output}]
    return made


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data


def saved(server: Server, value: int) -> dict[str, Any]:
    """A run that has saved a number, and its item in the gallery."""
    _, run = server.call("POST", "/runs", {"document": saving(), "inputs": {"value": value}})
    assert server.wait(run["id"])["status"] == "done"
    _, page = server.call("GET", f"/gallery?run={run['id']}")
    (item,) = page["items"]
    return item


def found(server: Server, query: str) -> list[str]:
    status, page = server.call("GET", f"/gallery?{query}")
    assert status == 200, page
    return [item["name"] for item in page["items"]]
