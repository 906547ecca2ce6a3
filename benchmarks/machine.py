"""What figures depend on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def machine(device: str = "no GPU used") -> str:
    """What the figures depend on: processor, memory, versions, and whether others were at work."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "diffusers", "transformers"))
    busy = os.getloadavg()[0]
    return (
        f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {device}; Python {platform.python_version()}, "
        f"{libraries}. Load of the machine at the start: {busy:.1f}"
        + (", so others were at work on it." if busy > 0.5 else ".")
    )


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
