"""Waiting for what comes to be so in another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")


def until(look: Callable[[], Seen], enough: Callable[[Seen], object] = bool, *, seconds: float = 20.0) -> Seen:
    """What is seen, once it is enough.

    Raises:
        AssertionError: it was not after so many seconds; it says what was seen last.
    """
    end = time.monotonic() + seconds
    while not enough(seen := look()):
        assert time.monotonic() < end, f"after {seconds:g} seconds: {str(seen)[-3000:]}"
        time.sleep(0.02)
    return seen
