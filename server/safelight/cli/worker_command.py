"""`safelight worker`: this machine computes for a server elsewhere, as one of a Ray cluster."""

from __future__ import annotations

import argparse
import os
import signal
import socket
from collections.abc import Sequence

from safelight.host.logs import start_logging
from safelight.host.workers.cluster import STORE_BYTES, demand_ray, demand_token
from safelight.host.workers.cluster.machine import Machine
from safelight.models.hardware import device_called
from safelight.places import data_folder
from safelight.sdk.problem import Problem, ProblemError

from .workflow import report

_KNOCK_SECONDS = 5.0


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    try:
        head = head_of(given.join)
        demand_ray()
        demand_token()
        environment, offers = on_devices(given.device)
    except ProblemError as error:
        report(error.problems)
        return 2
    environment = dict(os.environ) | environment
    environment["SAFELIGHT_HOME"] = str(data_folder().resolve())  # Ray's processes start in folders of their own
    environment.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    start_logging(environment.get("SAFELIGHT_LOG", "text"))
    machine = Machine(
        ["start", "--block", "--address", given.join, "--object-store-memory", str(STORE_BYTES), *offers], environment
    )
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: machine.leave())
    print(f"Joining {given.join}. Ctrl-C leaves.", flush=True)
    report(_unheard(given.join, *head))
    return machine.stay()


def head_of(address: str) -> tuple[str, int]:
    """Host and port of the head of a cluster. Raises ProblemError `bad_setting` for what is none."""
    host, colon, port = address.rpartition(":")
    if colon and host and not set(host) & set("/@ ") and port.isdecimal() and 0 < int(port) < 1 << 16:
        return host.strip("[]"), int(port)
    message = f"--join is {address[:200]!r}, which is no address of a cluster's head."
    hint = "Give HOST:PORT, with the port that `ray start --head` was given: --join 192.0.2.1:6379."
    raise ProblemError(Problem(code="bad_setting", message=message, hint=hint, value=address[:200]))


def _unheard(address: str, host: str, port: int) -> list[Problem]:
    """What is said where nobody listens there: Ray waits for it without a word, and joins once it is up."""
    try:
        socket.create_connection((host, port), _KNOCK_SECONDS).close()
    except (OSError, UnicodeError) as error:  # the second for what is no name of a machine
        message = (
            f"Nobody answers at {address}: {getattr(error, 'strerror', None) or error}. It is tried again and again."
        )
        hint = "Is its head up (`ray start --head`), and is that its address and port?"
        return [Problem(code="cluster_unreachable", message=message, hint=hint, value=address).warning()]
    return []


def on_devices(names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """What to say to the workers and to Ray, so that these devices are computed on; by default all GPUs that Ray finds,
    or the processor.

    Raises:
        ProblemError: `bad_setting`, for devices of several kinds or a name that is none.
    """
    devices = [device_called(name) for name in names]
    kinds = {device.partition(":")[0] for device in devices}
    if len(kinds) > 1:
        message = f"A machine joins with devices of one kind, not with {' and '.join(sorted(kinds))}."
        hint = "Start `safelight worker` once for each kind."
        raise ProblemError(Problem(code="bad_setting", message=message, hint=hint, value=", ".join(devices)))
    if not devices:
        return {}, []
    if kinds != {"cuda"}:
        return {"SAFELIGHT_DEVICE": devices[0]}, ["--num-gpus", "0"]
    numbers = [number for device in devices if (number := device.partition(":")[2])]
    return ({"CUDA_VISIBLE_DEVICES": ",".join(numbers)} if numbers else {}), []
