"""What the machine has: memory, devices, versions. Only `device_state` loads torch."""

from __future__ import annotations

import contextlib
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from safelight.models.hardware import free_memory, total_memory

_LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "peft", "safetensors", "aiohttp", "msgspec", "pillow")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that matter, read from their metadata without importing them."""
    found: dict[str, str] = {}
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def resident_bytes() -> int:
    """What this process holds in memory."""
    import psutil

    return psutil.Process().memory_info().rss


def device_state() -> dict[str, Any]:
    """The device that nodes compute on, its memory and what is free of it. Loads torch: for workers only."""
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return {"device": f"cuda: {torch.cuda.get_device_name()}", "memory": total, "free": free}
    if torch.backends.mps.is_available():
        return {"device": "mps", "memory": 0, "free": 0}
    return {"device": "cpu", "memory": total_memory(), "free": free_memory()}


def device_free() -> int:
    """What is free of the device's memory now. Asks torch only where a run has loaded it."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized():
        return torch.cuda.mem_get_info()[0]
    return free_memory()


def out_of_memory_kills() -> int:
    """How many processes the kernel has ended for want of memory so far; 0 where it does not say."""
    if sys.platform != "linux":
        return 0
    kills = 0
    for path, key in ((Path("/proc/vmstat"), "oom_kill"), (Path("/sys/fs/cgroup/memory.events"), "oom_kill")):
        with contextlib.suppress(OSError, ValueError):
            for line in path.read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == key:
                    kills += int(value)
    return kills
