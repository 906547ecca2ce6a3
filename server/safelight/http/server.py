"""`serve`: the server as a process, from its start to its graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from safelight.host.files import Folders
from safelight.host.host import Host, HostOptions
from safelight.sdk.problem import Problem, ProblemError

from .application import ADDRESS_BYTES, application
from .proxies import Front
from .security import Guard, is_loopback, require_names
from .state import State
from .static import find_web

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServeOptions:
    """How to serve. Port 0 takes any free one. A token is needed for addresses beyond this machine. With `comfyui`
    ComfyUI's API is served, too. `root` is the path that it is reached below, `proxies` are the
    addresses of proxies that may say who the client is."""

    host: HostOptions
    address: str = "127.0.0.1"
    port: int = 8686
    token: str | None = None
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    web: Path | None = field(default_factory=find_web)
    comfyui: bool = False
    root: str = ""
    proxies: tuple[str, ...] = ()


def make_state(options: ServeOptions) -> State:
    """Everything the handlers need; nothing is opened yet. Raises ProblemError: `token_missing`, and what
    `Front.of` and `require_names` raise."""
    front = Front.of(options.root, options.proxies)
    require_names(options.names, options.origins)
    loopback = is_loopback(options.address)
    if not loopback and not options.token:
        message = f"The address {options.address!r} can be reached from other machines, and there is no token."
        raise ProblemError(Problem(code="token_missing", message=message, hint="Start with --token TOKEN."))
    host = Host(options.host)
    guard = Guard.of(options.address, options.token, options.names, options.origins, front)
    folders = Folders(host.studio, options.host.inputs)
    # One that goes by a public name, or below a path, is reached through a proxy: its clients are elsewhere, too.
    alone = loopback and not options.names and front.plain
    return State(host=host, folders=folders, guard=guard, web=options.web, loopback=alone, comfyui=options.comfyui)


async def serve(options: ServeOptions, ready: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM. `ready` is told the address once requests are answered.

    Raises:
        ProblemError: `folder_in_use`, `port_in_use`, `token_missing`, or what opening the data folder raises.
    """
    state = make_state(options)
    # Addresses beyond ADDRESS_BYTES are refused with a Problem; what the parser refuses, it refuses in its own words.
    runner = web.AppRunner(application(state), access_log=None, shutdown_timeout=2.0, max_line_size=8 * ADDRESS_BYTES)
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.address, options.port, backlog=512)
        try:
            await site.start()
        except OSError as error:
            raise _not_bound(options, error) from None
        port = runner.addresses[0][1]
        # "All addresses" is none that a browser can open.
        address = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(options.address, options.address)
        shown = f"[{address}]" if ":" in address else address
        url = f"http://{shown}:{port}{state.guard.front.root}"
        state.host.lock.note({"pid": _pid(), "url": url})
        ready(url)
        await _asked_to_stop()
        log.info("stopping: runs stop at their next step and go on after the next start")
    finally:
        await runner.cleanup()


def _not_bound(options: ServeOptions, error: OSError) -> ProblemError:
    message = f"The port {options.port} of {options.address} cannot be used: {error.strerror or error}."
    # Newer asyncio gives no number for addresses of other machines.
    if isinstance(error, socket.gaierror) or error.errno in (None, errno.EADDRNOTAVAIL):
        hint = "Give an address of this machine: --host 127.0.0.1, or --host 0.0.0.0 for all that it has."
        return ProblemError(Problem(code="bad_setting", message=message, hint=hint, value=options.address))
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "Your system lets only some users take it; choose one above 1023 with --port."
    else:
        hint = "Another program has it; choose one with --port."
    return ProblemError(Problem(code="port_in_use", message=message, hint=hint, value=options.port))


def _pid() -> int:
    import os

    return os.getpid()


async def _asked_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        # Signals reach the loop through handlers there; waiting in pieces lets Python look at them.
        signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(stop.set))
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
