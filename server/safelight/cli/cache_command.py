"""`safelight cache`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec

from safelight.app import Studio
from safelight.sdk.problem import Problem

from .answer import print_json
from .workflow import report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    with Studio.open() as studio:
        if given.action == "clear":
            studio.cache.clear()
        found = studio.cache.info()
        folder = studio.home / "cache"
    info = msgspec.to_builtins(found)
    if given.action == "clear" and (found.trouble or found.disk_values or found.actions or found.states):
        message = f"The cache in {str(folder)!r} could not be cleared" + (
            f": {found.trouble}." if found.trouble else "."
        )
        hint = "Look for missing rights, or for a run that is writing to it."
        problem = Problem(code="cache_not_cleared", message=message, hint=hint, value=str(folder))
        if given.json:
            print_json({"problems": [problem]})
        else:
            report([problem])
        return 1
    if given.json:
        print_json(info)
        return 0
    print(f"{folder}")
    for name, value in info.items():
        shown = f"{value / 1e6:,.1f} MB" if name.endswith("bytes") else value
        print(f"  {name.replace('_', ' '):<16} {shown}")
    return 0
