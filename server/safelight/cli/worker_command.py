"""`safelight worker`: this machine computes for a server elsewhere, as one of a Ray cluster."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence

from safelight.host.logs import start_logging
from safelight.host.workers.cluster import STORE_BYTES, demand_ray, demand_token
from safelight.host.workers.cluster.machine import Machine
from safelight.models.hardware import device_called
from safelight.places import data_folder
from safelight.sdk.problem import Problem, ProblemError

from .workflow import report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    try:
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
    return machine.stay()


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
