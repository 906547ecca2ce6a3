"""What the machine has: memory, devices, versions. Only `device_state` loads torch."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
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


def device_state(place: str) -> dict[str, Any]:
    """The device that nodes compute on (`cpu`, `cuda:1`, `xpu`, `mps`), its memory and what is free of it. Loads torch:
    for workers only."""
    import torch

    kind = place.partition(":")[0]
    if kind in ("cuda", "xpu"):
        own = torch.get_device_module(kind)
        free, total = own.mem_get_info(torch.device(place))
        return {"device": f"{place}: {own.get_device_name(place)}", "place": place, "memory": total, "free": free}
    if kind == "mps":
        return {"device": place, "place": place, "memory": 0, "free": 0}
    return {"device": place, "place": place, "memory": total_memory(), "free": free_memory()}


def device_free(place: str) -> int:
    """What is free of a device's memory now. Asks torch only where a run has loaded it."""
    torch = sys.modules.get("torch")
    kind = place.partition(":")[0]
    if torch is not None and kind in ("cuda", "xpu") and torch.get_device_module(kind).is_initialized():
        return torch.get_device_module(kind).mem_get_info(torch.device(place))[0]
    return free_memory()


def graphics_cards() -> int:
    """How many graphics cards torch can be expected to see, found without torch; 0 where that cannot be told."""
    for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        named = os.environ.get(variable)
        if named is not None:
            return sum(bool(one.strip()) and one.strip() != "-1" for one in named.split(","))
    nvidia = Path("/proc/driver/nvidia/gpus")
    if nvidia.is_dir():
        return len(list(nvidia.iterdir()))
    amd = list(Path("/sys/class/kfd/kfd/topology/nodes").glob("*/gpu_id"))  # 0 for processors
    if amd:
        return sum(_read(file).strip() not in ("", "0") for file in amd)
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run([tool, "--list-gpus"], capture_output=True, text=True, timeout=10, check=False)
        return sum(line.startswith("GPU ") for line in told.stdout.splitlines())
    return 0


def _read(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text()
    return ""


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
