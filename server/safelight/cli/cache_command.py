"""`safelight cache`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec

from safelight.app import Studio

from .workflow import print_json


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    with Studio.open() as studio:
        if given.action == "clear":
            studio.cache.clear()
        info = msgspec.to_builtins(studio.cache.info())
        folder = studio.home / "cache"
    if given.json:
        print_json(info)
        return 0
    print(f"{folder}")
    for name, value in info.items():
        shown = f"{value / 1e6:,.1f} MB" if name.endswith("bytes") else value
        print(f"  {name.replace('_', ' '):<16} {shown}")
    return 0
