"""Nodes that take their process with them, or never come back."""

from __future__ import annotations

import ctypes
import os
import signal

from safelight.sdk import node


@node()
def leaves() -> int:
    """os._exit."""
    os._exit(7)


@node()
def kills() -> int:
    """SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


@node()
def crashes() -> int:
    """Reads where nothing is."""
    ctypes.string_at(0)
    return 1


@node()
def hangs() -> int:
    """Never comes back, and never looks whether it should."""
    while True:
        pass
