"""`safelight serve`."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from safelight.app import Budgets, Studio
from safelight.environment import Environment
from safelight.host.host import HostOptions
from safelight.host.logs import start_logging
from safelight.host.workers import graphics_cards, library_versions
from safelight.host.workers.cluster import ClusterOptions, demand_ray, demand_token
from safelight.http.proxies import Front
from safelight.http.security import is_loopback, require_names
from safelight.http.server import ServeOptions, serve
from safelight.models.hardware import device_called
from safelight.places import data_folder
from safelight.sdk.problem import Problem, ProblemError

from .workflow import report

_MIB = 1 << 20


def _cards(workers: int) -> tuple[str, ...]:
    """The graphics cards that several workers are dealt over; none where they all take what they find."""
    if workers < 2 or Environment.read().device or "+cpu" in (library_versions().get("torch") or ""):
        return ()
    cards = graphics_cards()
    return tuple(f"cuda:{number}" for number in range(cards)) if cards > 1 else ()


def _cluster(given: argparse.Namespace) -> ClusterOptions | None:
    """How to use a cluster; None where workers are processes of this machine.

    Raises:
        ProblemError: `cluster_missing`, `cluster_open`; `bad_setting` for what only such processes have.
    """
    if given.pool == "local":
        return None
    if given.workers or given.device:
        message = "A cluster has a worker for each GPU of its machines: --workers and --device are not for --pool ray."
        hint = "Say it where a machine joins: safelight worker --join HOST:PORT --device NAME."
        raise ProblemError(Problem(code="bad_setting", message=message, hint=hint))
    demand_ray()
    demand_token()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return ClusterOptions(address=given.address)


def _wrong(given: argparse.Namespace, home: Path) -> Iterator[Problem]:
    """All that is wrong with what was typed, and with the settings: told now, and not by the first run."""
    checks: list[Callable[[], object]] = [
        lambda: _cluster(given),
        lambda: Studio.open(home, shared_cache=given.shared_cache).shared,
        lambda: Front.of(given.root_path, given.trusted_proxy),
        lambda: require_names(given.allow_host, given.allow_origin),
        *(lambda name=name: device_called(name) for name in given.device),
    ]
    for check in checks:
        try:
            check()
        except ProblemError as error:
            yield from error.problems
    for folder in given.input:
        if not folder.is_dir():
            message = f"--input {str(folder)!r} is no folder."
            yield Problem(code="bad_setting", message=message, hint="Make it, or leave it out.", value=str(folder))
    if given.pool == "local" and given.address != "auto":
        message = "--address is of a cluster, and workers are processes of this machine."
        yield Problem(code="bad_setting", message=message, hint="Add --pool ray, or leave it out.", value=given.address)


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    os.environ["SAFELIGHT_LOG"] = given.log  # workers log in the same form
    start_logging(given.log)
    if given.dev:
        # Compiled files are told from their source by its size and the second it was written in: too coarse for edits.
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = True
    token = given.token or Environment.read().token or None
    if token is None and not is_loopback(given.host):
        token = secrets.token_urlsafe(24)

    def ready(url: str) -> None:
        address = f"{url}/?token={quote(token)}" if token else url
        print(f"Safelight is ready at {address}", flush=True)
        if given.open:
            import webbrowser

            webbrowser.open(address)

    home = data_folder().resolve()
    problems = list(_wrong(given, home))
    if problems:
        report(problems)
        return 2
    cluster = _cluster(given)
    devices = tuple(map(device_called, given.device)) or _cards(given.workers)
    options = ServeOptions(
        host=HostOptions(
            home=home,
            inputs=tuple(folder.resolve() for folder in given.input),
            workers=given.workers or len(devices) or 1,
            devices=devices,
            threads=given.threads,
            budgets=Budgets(memory=given.memory * _MIB, disk=given.disk * _MIB),
            allow_download=given.download,
            shared_cache=given.shared_cache,
            dev=given.dev,
            cluster=cluster,
        ),
        address=given.host,
        port=given.port,
        token=token,
        names=tuple(given.allow_host),
        origins=tuple(given.allow_origin),
        comfyui=given.comfyui_api,
        root=given.root_path,
        proxies=tuple(given.trusted_proxy),
    )
    try:
        asyncio.run(serve(options, ready))
    except ProblemError as error:
        report(error.problems)
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stderr.write("Stopped.\n")
    return 0
