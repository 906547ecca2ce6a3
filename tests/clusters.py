"""A Ray cluster of processes on this machine: a head that computes nothing, and machines that join and leave."""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from serving import MAIN, Server, test_environment
from waiting import until

START_SECONDS = 180.0
SECONDS = 120.0
"""The longest that anything is waited for that takes a moment: the machine may be busy."""


class Machine:
    """One process that has joined, `safelight worker --join`, with all that it has started."""

    def __init__(self, home: Path, address: str, environment: dict[str, str]) -> None:
        self.home = home
        self.log = home.parent / f"{home.name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN, "worker", "--join", address, "--device", "cpu"],
                stdout=log,
                stderr=log,
                env=test_environment(home) | environment,
                start_new_session=True,
            )

    def family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def alive(self) -> bool:
        return self.process.poll() is None and bool(self.named("raylet/raylet"))

    def named(self, part: str) -> list[psutil.Process]:
        """Its processes whose command line holds this."""
        found: list[psutil.Process] = []
        for one in self.family():
            with contextlib.suppress(psutil.Error):
                if part in " ".join(one.cmdline()):
                    found.append(one)
        return found

    def leave(self) -> None:
        """Ctrl-C."""
        family = self.family()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
        self._end(family)

    def kill(self) -> None:
        family = self.family()
        self.process.kill()
        self.process.wait(30)
        self._end(family)

    def _end(self, family: list[psutil.Process]) -> None:
        _, alive = psutil.wait_procs(family, 15)
        for one in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.left = [one.pid for one in alive]
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)


class Cluster:
    """Its head, and the machines that have joined."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.token = secrets.token_hex(24)
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            # A machine that is gone is noticed within seconds.
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_timeout_ms": "2000",
            "RAY_health_check_failure_threshold": "4",
        } | environment
        self.machines: list[Machine] = []
        port = _free_port()
        self.address = f"127.0.0.1:{port}"
        self.session = Path(f"/tmp/slray-{secrets.token_hex(3)}")  # names of sockets may have 107 characters
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus", "0"]
        command += [
            "--num-gpus",
            "0",
            "--port",
            str(port),
            "--include-dashboard",
            "false",
            "--temp-dir",
            str(self.session),
        ]
        command += ["--object-store-memory", str(80_000_000), "--node-ip-address", "127.0.0.1"]
        self._command = command
        # Ray gives itself half a minute, which is too little for a busy machine.
        if not any(self._starts() for _ in range(3)):
            raise AssertionError((folder / "head.log").read_text()[-3000:])

    def _starts(self) -> bool:
        log = self.folder / "head.log"
        with log.open("wb") as file:
            self.head = subprocess.Popen(
                self._command,
                stdout=file,
                stderr=file,
                env=test_environment(self.folder / "head") | self.environment,
                start_new_session=True,
            )
        while "block forever" not in log.read_text():
            if self.head.poll() is not None:
                return False
            time.sleep(0.1)
        return True

    def join(self, count: int = 1) -> list[Machine]:
        new = [
            Machine(self.folder / f"machine-{len(self.machines) + number}", self.address, self.environment)
            for number in range(count)
        ]
        self.machines += new
        return new

    def have(self, count: int) -> int:
        """Lets machines join until there are so many; gives how many there are. Those that have lost their raylet, and
        would join again by themselves, leave for good."""
        for machine in self.machines:
            if machine.process.poll() is None and not machine.alive():
                machine.kill()
        alive = sum(machine.alive() for machine in self.machines)
        new = self.join(max(0, count - alive))
        deadline = time.monotonic() + START_SECONDS
        while not all(machine.alive() for machine in new):
            assert time.monotonic() < deadline, [machine.log.read_text()[-2000:] for machine in new]
            time.sleep(0.2)
        return alive + len(new)

    def close(self) -> None:
        for machine in self.machines:
            machine.kill()
        family = psutil.Process(self.head.pid).children(recursive=True) if self.head.poll() is None else []
        self.head.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.head.wait(20)
        _, alive = psutil.wait_procs(family, 10)
        for one in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        if self.head.poll() is None:
            self.head.kill()
            self.head.wait(20)
        subprocess.run(["rm", "-rf", str(self.session)], check=False)

    @contextmanager
    def serving(self, home: Path, workers: int) -> Iterator[Server]:
        """A server on this cluster that has so many workers."""
        server = Server(home, *self.arguments(), **self.environment)
        try:
            wait_workers(server, workers)
            yield server
        finally:
            if server.process.poll() is None:
                server.stop()

    def arguments(self) -> list[str]:
        return ["--pool", "ray", "--address", self.address, "--threads", "1"]


def wait_workers(server: Server, count: int, seconds: float = START_SECONDS) -> list[dict[str, Any]]:
    """The workers that take runs, once there are so many."""

    def look() -> list[dict[str, Any]]:
        return [one for one in server.ask("GET", "/system")["workers"] if one["state"] in ("idle", "busy", "warming")]

    try:
        return until(look, lambda ready: len(ready) == count, seconds=seconds)
    except AssertionError as error:
        raise AssertionError(f"{count} workers are wanted; {error}\n{server.log.read_text()[-3000:]}") from None


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
