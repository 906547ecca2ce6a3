"""How much memory there is, what happens when it runs out, and how it is given back."""

from __future__ import annotations

import contextlib
import gc
import sys
from typing import TYPE_CHECKING, Protocol, cast, get_args

from safelight.environment import Environment
from safelight.sdk.models import MemoryWay, Source
from safelight.sdk.problem import Problem, ProblemError, one_of

from .hardware import free_memory, total_memory

if TYPE_CHECKING:
    import torch

_MIB = 1 << 20
SPARE = 256 * _MIB
"""Bytes left free on a device beside weights and scratch, for what the libraries take themselves."""
SHARE = 0.7
"""The part of main memory that models may hold while nobody uses them."""


class Memory:
    """How many bytes there are. A seam for tests, which have no small machine at hand."""

    def __init__(self, main_budget: int | None = None, device_budget: int | None = None) -> None:
        self._main_budget = main_budget
        self._device_budget = device_budget

    def budget(self, near: bool) -> int:
        """Bytes that models may take on the device (`near`, where it has memory of its own) or in main memory."""
        if near:
            return self._device_budget if self._device_budget is not None else sys.maxsize
        return self._main_budget if self._main_budget is not None else int(total_memory() * SHARE)

    def room(self, near: bool, memory: int) -> int:
        """Bytes that models may take in all, told without asking the device: `memory` is what it has of its own."""
        return min(self.budget(near), memory or sys.maxsize) if near else min(self.budget(near), total_memory())

    def swap(self, device: torch.device) -> int:
        """Bytes that the system can move out of main memory in need. It is slow, but better than giving up."""
        import psutil

        return psutil.swap_memory().free if device.type == "cpu" else 0

    def free(self, device: torch.device) -> int:
        """Bytes that can be allocated on a device now."""
        import torch

        if device.type in ("cuda", "xpu"):
            asked = torch.get_device_module(device)
            return asked.mem_get_info(device)[0] + asked.memory_reserved(device) - asked.memory_allocated(device)
        if device.type == "mps":
            return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return free_memory()


class _Named(Protocol):
    """A recipe, or what it is held by."""

    @property
    def kind(self) -> str: ...
    @property
    def source(self) -> Source: ...


def memory_way(environment: Environment) -> MemoryWay:
    """How models are held where their recipe leaves it open.

    Raises:
        ProblemError: `bad_setting`, for a word that means nothing.
    """
    ways = get_args(MemoryWay)
    if environment.memory and environment.memory not in ways:
        hint = f"Set it to {one_of(ways)}."
        raise _bad_setting("SAFELIGHT_MEMORY", environment.memory, hint)
    return cast(MemoryWay, environment.memory or "auto")


def device_budget(environment: Environment) -> int | None:
    """Bytes that models may take on the device, where that is set.

    Raises:
        ProblemError: `bad_setting`, for what is no number above 0.
    """
    if not environment.device_memory:
        return None
    with contextlib.suppress(ValueError):
        size = float(environment.device_memory)
        if 0 < size < 1e6:
            return int(size * 1e9)
    hint = "Set it to gigabytes, such as 6 or 7.5, or leave it out."
    raise _bad_setting("SAFELIGHT_DEVICE_MEMORY", environment.device_memory, hint)


def _bad_setting(name: str, given: str, hint: str) -> ProblemError:
    return ProblemError(Problem(code="bad_setting", message=f"{name} is {given!r}.", hint=hint, value=given))


def give_back() -> None:
    """Returns memory that is free inside this process to the system and the device."""
    gc.collect()
    torch = sys.modules.get("torch")
    for device in (torch.cuda, torch.xpu) if torch is not None else ():
        if device.is_initialized():
            device.empty_cache()
    if torch is not None and torch.backends.mps.is_available():
        torch.mps.empty_cache()
    _trim_heap()


def no_room(ref: _Named, device: str, needed: int, free: int, held: int) -> ProblemError:
    """What is said when a model and its scratch, `needed` bytes where that is known, find no place."""
    need = f"{needed / 1e9:.1f} GB are needed, " if needed else ""
    message = (
        f"The memory of {device} is too small for {ref.source.name!r} ({ref.kind}): "
        f"{need}{free / 1e9:.1f} GB are free, models in use hold {held / 1e9:.1f} GB."
    )
    hint = "Make the image or the batch smaller, use a smaller model or a half precision, or close other programs."
    return ProblemError(Problem(code="out_of_memory", message=message, hint=hint, value=ref.source.name))


_ALONE = 4 << 20
"""Bytes from which on a piece of memory is the system's own again as soon as it is freed."""
_MMAP_THRESHOLD = -3


def keep_heap_small() -> None:
    """glibc raises the size from which on it asks the system for memory up to 32 MiB, once a piece of that is freed.
    Frames and images are of such sizes, and its heaps are then left full of holes: a film grew a process by hundreds
    of MB. A size that is set stays (mallopt(3))."""
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _ALONE)


def _trim_heap() -> None:
    """glibc keeps what was freed for later; models are too large for that."""
    if sys.platform != "linux":
        return
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
