"""What this machine computes with: device, precision, memory, threads. Never imports torch by itself.

Which precision is fastest is measured once (see `probe`) and remembered in the data folder, so a process without torch
can read it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import msgspec

from safelight.disk import write_file
from safelight.environment import Environment
from safelight.sdk.codec import hash_text
from safelight.sdk.problem import Problem, ProblemError, one_of

from .devices import DEVICE, KINDS, Attention, DeviceKind, kind_of
from .measured import PRECISIONS, Computed, Measured

REMEMBERED = "hardware.json"
_LIBRARIES = ("torch", "diffusers", "transformers")


class Numerics(msgspec.Struct, frozen=True, kw_only=True):
    """How models are computed here when a recipe leaves it open.

    `device` is `cpu`, `mps`, `cuda`, `cuda:1` or `xpu`; `precision` is for denoisers and encoders, `vae` for VAEs.
    `text` says all that changes bits: it is part of every cache key. `kind` is what the table of devices says of it,
    `memory` the bytes of its own memory, where it has some, `attention` the implementation that was asked for. With
    `compiles` the blocks of transformers are compiled.
    """

    device: str
    precision: Computed
    vae: Computed
    text: str
    kind: DeviceKind = KINDS["cpu"]
    memory: int = 0
    attention: Attention | None = None
    compiles: bool = False


def numerics(folder: Path, environment: Environment | None = None) -> Numerics:
    """Device and precision of this machine; measured the first time, in a process of its own unless torch is here.

    `SAFELIGHT_DEVICE` and `SAFELIGHT_PRECISION` go before what was measured; `SAFELIGHT_ATTENTION` and
    `SAFELIGHT_COMPILE` are as they are set.

    Raises:
        ProblemError: `bad_setting`, when one of them names what is not there.
    """
    given = environment or Environment.read()
    device, precision = _wished(given)
    if device == "cpu" and precision:
        found = Measured(device="cpu", precision=precision, vae=precision)
    else:
        found = _measured(folder, device, given)
    if precision:
        found = msgspec.structs.replace(found, precision=precision, vae=precision)
    kind = kind_of(found.device, found.hip)
    libraries = " ".join(f"{name} {_version(name)}" for name in _LIBRARIES)
    text = f"{kind.name} {found.precision} vae {found.vae} {libraries}"
    attention = _attention(given.attention, kind)
    compiles = given.compiles and _can_compile(given, kind)
    return Numerics(
        device=found.device,
        precision=found.precision,
        vae=found.vae,
        text=" ".join([text, *([f"attention {attention}"] if attention else []), *(["compiled"] if compiles else [])]),
        kind=kind,
        memory=found.memory,
        attention=attention,
        compiles=compiles,
    )


def attend_by(name: Attention) -> None:
    """Has torch compute attention by one implementation in this process, and by math what that one does not take."""
    import torch

    switches: Mapping[Attention, Callable[[bool], None]] = {
        "math": torch.backends.cuda.enable_math_sdp,
        "flash": torch.backends.cuda.enable_flash_sdp,
        "efficient": torch.backends.cuda.enable_mem_efficient_sdp,
        "cudnn": torch.backends.cuda.enable_cudnn_sdp,
    }
    for one, switch in switches.items():
        switch(one in (name, "math"))


def free_memory() -> int:
    """Bytes of main memory that can be had now without swapping; within a container, within its limit."""
    import psutil

    free = psutil.virtual_memory().available
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    if limit is not None and used is not None:
        # What the group's page cache holds can be taken back.
        free = min(free, limit - used + (_cgroup_stat("inactive_file") or 0))
    return max(0, free)


def total_memory() -> int:
    """Bytes of main memory of this machine or container."""
    import psutil

    limit = _cgroup("memory.max")
    return min(psutil.virtual_memory().total, limit or sys.maxsize)


def thread_count(environment: Environment) -> int:
    """Threads to compute with: as many as are set, else the cores that this process may use."""
    if environment.threads is not None:
        return environment.threads
    import psutil

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    # torch sees the whole machine; a container with a share of it would be slowed down by its own threads.
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def device_called(name: str, where: str = "--device") -> str:
    """A device by the name that a user gave it, where such a name there can be.

    Raises:
        ProblemError: `bad_setting`.
    """
    if re.fullmatch(DEVICE, name) is None:
        raise _bad_setting(where, name, "Set it to cpu, cuda, cuda:1, mps or xpu, or leave it out.")
    return name


def _wished(environment: Environment) -> tuple[str, Computed | None]:
    device, wish = environment.device, environment.precision
    if device:
        device_called(device, "SAFELIGHT_DEVICE")
    if not wish:
        return device, None
    if wish not in PRECISIONS:
        raise _bad_setting("SAFELIGHT_PRECISION", wish, f"Set it to auto, {one_of(PRECISIONS)}.")
    return device, cast(Computed, wish)


def _attention(wish: str, kind: DeviceKind) -> Attention | None:
    if not wish:
        return None
    if wish not in kind.attention:
        raise _bad_setting("SAFELIGHT_ATTENTION", wish, f"On {kind.name}, set it to auto, {one_of(kind.attention)}.")
    return cast("Attention", wish)


def _can_compile(environment: Environment, kind: DeviceKind) -> bool:
    """True; raises ProblemError, `bad_setting`, where there is nothing to compile with."""
    if kind.compiler == "c++":
        usual = {"win32": "cl", "darwin": "clang++"}.get(sys.platform, "g++")
        name = environment.compiler or usual
        if shutil.which(name):
            return True
        hint = f"Install a C++ compiler ({name}), or leave SAFELIGHT_COMPILE out."
    elif kind.compiler:
        if importlib.util.find_spec(kind.compiler) is not None:
            return True
        hint = f"Install {kind.compiler}, or leave SAFELIGHT_COMPILE out."
    else:
        hint = f"Leave it out: on {kind.name}, models are run as they are."
    raise _bad_setting("SAFELIGHT_COMPILE", "1", hint)


def _measured(folder: Path, device: str, environment: Environment) -> Measured:
    key = _machine(device, environment)
    path = folder / REMEMBERED
    known = _remembered(path)
    with contextlib.suppress(KeyError, msgspec.ValidationError):
        return msgspec.convert(known[key], Measured)
    found = _probe(device)
    _remember(path, {**known, key: msgspec.to_builtins(found)})
    return found


def _probe(device: str) -> Measured:
    if "torch" in sys.modules:
        from .probe import measure

        return measure(device)
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.probe", device],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    with contextlib.suppress(msgspec.MsgspecError):
        answer = msgspec.json.decode(done.stdout)
        if "problem" in answer:
            raise ProblemError(msgspec.convert(answer["problem"], Problem))
        return msgspec.convert(answer, Measured)
    message = "torch could not be started to measure this machine."
    hint = "Set SAFELIGHT_DEVICE and SAFELIGHT_PRECISION, or mend the installation of torch."
    raise ProblemError(Problem(code="torch_broken", message=message, hint=hint, details=done.stderr[-4000:]))


def _machine(device: str, environment: Environment) -> str:
    """A name for this machine and its torch: what is remembered holds for it alone."""
    facts = [
        device,
        platform.node(),
        platform.machine(),
        _processor(),
        str(os.cpu_count()),
        environment.visible_devices,
        _read("/proc/driver/nvidia/version"),
        _version("torch"),
        "2",  # raised when the probe changes
    ]
    return hash_text("\n".join(facts))


def _processor() -> str:
    facts: dict[str, str] = {}
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "flags", "Features"):
            facts.setdefault(key.strip(), value.strip())
    return " ".join(facts.values()) or platform.processor()


def _remembered(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(path: Path, known: dict[str, Any]) -> None:
    # Without a place to keep it, it is measured again next time; that is no reason to stop.
    with contextlib.suppress(OSError):
        write_file(path, [json.dumps(known, indent=1).encode()])


def _cgroup(name: str) -> int | None:
    text = _read(f"/sys/fs/cgroup/{name}").strip()
    return int(text) if text.isdigit() else None


def _cgroup_stat(name: str) -> int | None:
    for line in _read("/sys/fs/cgroup/memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _bad_setting(name: str, given: str, hint: str) -> ProblemError:
    message = f"{name} is {given!r}."
    return ProblemError(Problem(code="bad_setting", message=message, hint=hint, value=given))
