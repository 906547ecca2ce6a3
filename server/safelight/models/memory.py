"""How much memory there is, what happens when it runs out, and how it is given back."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from safelight.sdk.models import ModelRef
from safelight.sdk.problem import Problem, ProblemError

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

    def swap(self, device: torch.device) -> int:
        """Bytes that the system can move out of main memory in need. It is slow, but better than giving up."""
        import psutil

        return psutil.swap_memory().free if device.type == "cpu" else 0

    def free(self, device: torch.device) -> int:
        """Bytes that can be allocated on a device now."""
        import torch

        if device.type == "cuda":
            cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            return torch.cuda.mem_get_info(device)[0] + cached
        if device.type == "mps":
            return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return free_memory()


def give_back() -> None:
    """Returns memory that is free inside this process to the system and the device."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch is not None and torch.backends.mps.is_available():
        torch.mps.empty_cache()
    _trim_heap()


def no_room(ref: ModelRef[Any], device: str, needed: int, free: int, held: int) -> ProblemError:
    """What is said when a model and its scratch, `needed` bytes where that is known, find no place."""
    need = f"{needed / 1e9:.1f} GB are needed, " if needed else ""
    message = (
        f"The memory of {device} is too small for {ref.source.name!r} ({ref.kind}): "
        f"{need}{free / 1e9:.1f} GB are free, models in use hold {held / 1e9:.1f} GB."
    )
    hint = "Make the image or the batch smaller, use a smaller model or a half precision, or close other programs."
    return ProblemError(Problem(code="out_of_memory", message=message, hint=hint, value=ref.source.name))


def _trim_heap() -> None:
    """glibc keeps what was freed for later; models are too large for that."""
    if sys.platform != "linux":
        return
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
