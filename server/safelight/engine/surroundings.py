"""What belongs to the whole process and is put back after a node of another pack was called."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any


class Surroundings:
    """Folder, environment, standard streams, the depth of recursion and what torch computes with, as they are now."""

    def __init__(self) -> None:
        self._folder = _folder()
        self._streams = sys.stdout, sys.stderr
        self._environment = dict(os.environ)
        self._depth = sys.getrecursionlimit()
        self._torch = _torch_settings()

    def restore(self) -> None:
        """Puts back what differs now."""
        if self._folder is not None and _folder() != self._folder:
            with contextlib.suppress(OSError):
                os.chdir(self._folder)
        sys.stdout, sys.stderr = self._streams
        if sys.getrecursionlimit() != self._depth:
            sys.setrecursionlimit(self._depth)
        if dict(os.environ) != self._environment:
            for name in os.environ.keys() - self._environment.keys():
                del os.environ[name]
            os.environ.update(self._environment)
        now = _torch_settings() if self._torch is not None else None
        if self._torch is not None and now is not None:
            for name, value in self._torch.items():
                if now[name] != value:
                    _set_torch(name, value)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  a string is all that is needed, at every call of a node
    except OSError:
        return None


_TORCH = {
    "default_dtype": ("get_default_dtype", "set_default_dtype"),
    "gradients": ("is_grad_enabled", "set_grad_enabled"),
    "threads": ("get_num_threads", "set_num_threads"),
    "device": ("get_default_device", "set_default_device"),
    "precision": ("get_float32_matmul_precision", "set_float32_matmul_precision"),
    "deterministic": ("are_deterministic_algorithms_enabled", "use_deterministic_algorithms"),
}
"""What torch keeps for the whole process: by what it is read, and by what it is set."""


def _torch_settings() -> dict[str, Any] | None:
    torch = sys.modules.get("torch")
    if torch is None or getattr(torch.__spec__, "_initializing", False):
        return None  # not loaded, or being loaded in another thread
    return {name: getattr(torch, get)() for name, (get, _) in _TORCH.items()}


def _set_torch(name: str, value: Any) -> None:
    getattr(sys.modules["torch"], _TORCH[name][1])(value)
