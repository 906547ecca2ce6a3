"""What installed distributions name under entry points: node packs, families, samplers, schedulers."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def installed(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group. Nothing they name is imported.

    Distributions are looked at again when one has been added or removed.
    """
    return tuple(_all(tuple((place, _changed(place)) for place in sys.path)).select(group=group))


def _changed(place: str) -> int:
    try:
        return Path(place or ".").stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=2)
def _all(places: tuple[tuple[str, int], ...]) -> Any:
    from importlib.metadata import entry_points

    del places  # where it looks, and when that changed last
    return entry_points()
