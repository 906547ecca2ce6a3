"""Prints the table of benchmarks, row by row as they are measured."""

from __future__ import annotations

import argparse
import platform

from . import graphs, memory, processes, sampling


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=["graphs", "processes", "sampling", "memory"], action="append")
    parser.add_argument("--full", action="store_true", help="also with a model of full SD 1.5 size (4 GB, minutes)")
    given = parser.parse_args()
    parts = given.only or ["graphs", "processes", "sampling", *(["memory"] if given.full else [])]
    print(f"{platform.machine()}, {platform.python_version()}\n")
    print("| what | measured | bar | reached |\n|---|---|---|---|")
    makers = {
        "graphs": graphs.rows,
        "processes": processes.rows,
        "sampling": lambda: sampling.rows(given.full),
        "memory": memory.rows,
    }
    for part in parts:
        for row in makers[part]():
            print(row, flush=True)


main()
