"""What belongs to the whole process and is put back after a node of another pack was called."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any


class Surroundings:
    """The current folder, the standard streams, and what torch computes with, as they were when this was made."""

    def __init__(self) -> None:
        self._folder = _folder()
        self._streams = sys.stdout, sys.stderr
        self._torch = _torch_settings()

    def restore(self) -> None:
        """Puts back what differs now."""
        if self._folder is not None and _folder() != self._folder:
            with contextlib.suppress(OSError):
                os.chdir(self._folder)
        sys.stdout, sys.stderr = self._streams
        if self._torch is not None and _torch_settings() != self._torch:
            import torch

            kind, gradients, threads = self._torch
            torch.set_default_dtype(kind)
            torch.set_grad_enabled(gradients)
            torch.set_num_threads(threads)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  a string is all that is needed, at every call of a node
    except OSError:
        return None


def _torch_settings() -> tuple[Any, bool, int] | None:
    torch = sys.modules.get("torch")
    get = getattr(torch, "get_default_dtype", None)
    if torch is None or get is None:  # not loaded, or being loaded in another thread
        return None
    return get(), torch.is_grad_enabled(), torch.get_num_threads()
