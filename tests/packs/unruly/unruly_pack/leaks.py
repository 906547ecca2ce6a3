"""Nodes that leave something behind, or keep something back. Each of them works."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

from safelight.sdk import Image, node

_KEPT: dict[str, Any] = {}


@node(cache=False)
def keeps_its_output(*, shade: float = 0.5) -> Image:
    """Gives one image again and again, painted over each time."""
    import torch

    image = _KEPT.setdefault("image", Image(torch.zeros(1, 2, 2, 3)))
    image.pixels.fill_(shade)
    return image


@node()
def keeps_its_input(image: Image) -> float:
    """Holds on to what it was given."""
    _KEPT["given"] = image
    return float(image.pixels.mean())


@node(cache=False)
def paints_what_it_kept() -> int:
    """Writes to what another node was given."""
    if "given" in _KEPT:
        _KEPT["given"].pixels.fill_(0.25)
    return 1


@node()
def moves_away() -> int:
    """Changes the current folder."""
    os.chdir("/")
    return 1


@node()
def prints(*, lines: int = 3) -> int:
    """Prints, through Python and past it."""
    for number in range(lines):
        print("noise", number)  # noqa: T201
    os.write(1, b"raw noise\n")
    return lines


@node()
def takes_stdout() -> int:
    """Puts something else in the place of standard output."""
    sys.stdout = None  # type: ignore[assignment]
    return 1


@node()
def leaves_a_thread() -> int:
    """Starts a thread that goes on."""
    threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
    return 1


@node()
def leaves_a_stubborn_thread() -> int:
    """Starts a thread that the end of the program would wait for."""
    threading.Thread(target=time.sleep, args=(60,)).start()
    return 1


@node()
def computes_in_doubles() -> int:
    """Changes what torch computes with from now on."""
    import torch

    torch.set_default_dtype(torch.float64)
    return 1


@node()
def computes_elsewhere() -> int:
    """Changes where torch computes from now on, how deep Python may go, and the environment."""
    import torch

    torch.set_default_device("meta")
    sys.setrecursionlimit(200)
    os.environ["HOME"] = "/nowhere"
    return 1


@node()
def forks() -> int:
    """A child process comes back from the call, too."""
    os.fork()
    return 1


@node()
def leaves_a_child() -> int:
    """A child process goes on for a while."""
    if os.fork() == 0:
        time.sleep(1)
        os._exit(0)
    return 1
