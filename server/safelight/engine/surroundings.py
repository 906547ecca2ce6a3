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
        if self._torch is not None and _torch_settings() != self._torch:
            import torch

            kind, gradients, threads, device = self._torch
            torch.set_default_dtype(kind)
            torch.set_grad_enabled(gradients)
            torch.set_num_threads(threads)
            torch.set_default_device(device)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  a string is all that is needed, at every call of a node
    except OSError:
        return None


def _torch_settings() -> tuple[Any, bool, int, Any] | None:
    torch = sys.modules.get("torch")
    get = getattr(torch, "get_default_dtype", None)
    if torch is None or get is None:  # not loaded, or being loaded in another thread
        return None
    return get(), torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_device()
