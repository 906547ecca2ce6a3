"""Prints the table of benchmarks, row by row as they are measured."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path

from .machine import machine
from .table import Row

PARTS = ("graphs", "processes", "server", "sampling", "memory", "film")
SLOW = ("memory", "film")
"""Those that take minutes: only when they are asked for."""
HEAD = """# Benchmarks

Made by `{command}`. Ratios are medians of runs taken side by side, in turn, so they hold on a busy machine as well;
plain times are the best of several on this machine as it was then: whatever else was at work on it makes them longer.

{machine}
"""
TABLE = "| what | measured | bar | reached |\n|---|---|---|---|"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="this part (may be repeated)")
    parser.add_argument(
        "--full", action="store_true", help="also a model of full SD 1.5 size (4 GB) and a film (minutes)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the page docs/benchmarks.md, too")
    given = parser.parse_args()
    parts = [part for part in PARTS if part in (given.only or PARTS) and (part not in SLOW or given.full or given.only)]
    page = [HEAD.format(command="python -m benchmarks" + " --full" * given.full, machine=machine()), TABLE]
    print(f"{machine()}\n\n{TABLE}")
    for part in parts:
        for row in measured(part, given.full):
            page.append(str(row))
            print(row, flush=True)
    if given.output:
        given.output.write_text("\n".join(page) + "\n", encoding="utf-8")


def measured(part: str, full: bool) -> Iterator[Row]:
    rows: Callable[..., Iterable[Row]] = import_module(f"benchmarks.{part}").rows
    yield from rows(full) if part == "sampling" else rows()


main()
