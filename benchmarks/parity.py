"""Prints the table of parity: what every family and technique makes, beside what is held to be right.

The comparisons are those of the tests: this runs the tests that ask for `proof`, and writes down what they say.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .machine import machine

ROOT = Path(__file__).parent.parent
HEAD = """# Parity

Made by `python -m benchmarks.parity`, which runs the tests that compare and writes down what they find.

- *largest difference*: of a value of a pixel, 0 to 1, between an image made by Safelight's nodes and by the model's own
  pipeline in diffusers, from the same files, the same noise and the same settings, in float32. *bar* is what is let
  pass. Differential diffusion is no pipeline of its own: there, the paper's rule is put behind each step of one.
- *blocks alone*: for families that run in the modular blocks of diffusers, whether a run that is watched gives the bits
  of one that is not.
- *after a kill*: whether a process that gets a SIGKILL between two steps goes on when it is started again, and ends in
  the bits of a run that nobody disturbed. A pipeline that is run whole is one call, into which nobody sees: it begins
  at its first step again.

A dash says that there is nothing to compare with: no pipeline of diffusers does that, or the family has no blocks.

{machine}

| family | technique | images at once | cases | largest difference | bar | blocks alone | after a kill |
|---|---|---|---|---|---|---|---|"""
SAID = {None: "-", True: "same bits", "again": "same bits, from the start", False: "**NO**"}


@dataclass
class Row:
    """What was said of one technique of one family."""

    batches: set[int] = field(default_factory=set)
    found: list[float] = field(default_factory=list)
    bar: float = 0.0
    plain: bool | None = None
    resumed: bool | str | None = None

    def add(self, said: dict[str, Any]) -> None:
        if "found" in said:
            self.batches.add(said["batch"])
            self.found.append(said["found"])
            self.bar = max(self.bar, said["bar"])
        for name in ("plain", "resumed"):
            if name in said and getattr(self, name) is not False:
                setattr(self, name, said[name])

    def line(self, family: str, technique: str) -> str:
        worst = max(self.found, default=None)
        cells = (
            f"`{family}`",
            technique,
            ", ".join(str(batch) for batch in sorted(self.batches)) or "-",
            str(len(self.found) or "-"),
            "-" if worst is None else f"{worst:.1e}" if worst <= self.bar else f"**{worst:.1e}**",
            "-" if worst is None else f"{self.bar:.0e}",
            SAID[self.plain],
            SAID[self.resumed],
        )
        return f"| {' | '.join(cells)} |"


class Recorder:
    """A plugin of pytest: keeps the tests that ask for `proof` alone, and what they say."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.failed: list[str] = []

    def record(self, family: str, technique: str, **said: Any) -> None:
        self.rows.setdefault((family, technique), Row()).add(said)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        wanted = [item for item in items if "proof" in getattr(item, "fixturenames", ())]
        kept = set(wanted)
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = wanted

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)
        if report.when == "call":
            print("F" if report.failed else ".", end="", flush=True, file=sys.stderr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def page(self, before: str = "") -> str:
        """The page; `before` is one whose rows and cells stay where they were not made again."""
        lines = {key: line for line in before.splitlines() if (key := _key(line)) is not None}
        for key, row in self.rows.items():
            lines[key] = _merged(lines.get(key, ""), row.line(*key))
        return "\n".join([HEAD.format(machine=machine()), *(lines[key] for key in sorted(lines))])


def _merged(before: str, line: str) -> str:
    """A row, with the cells of the one before where its own say nothing: not all of its tests were run again."""
    old = before.split(" | ")
    return " | ".join(
        old[place] if cell.strip(" |") == "-" and len(old) > place else cell
        for place, cell in enumerate(line.split(" | "))
    )


def _key(line: str) -> tuple[str, str] | None:
    """Family and technique of a row of the page; None for any other line."""
    found = re.match(r"\| `([^`]+)` \| ([^|]+) \|", line)
    return (found[1], found[2].strip()) if found else None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument(
        "tests", nargs="*", default=["tests"], help="files or folders of tests; all, when none is named"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the page docs/parity.md, too")
    parser.add_argument("--keep", action="store_true", help="keep the rows and cells of FILE that are not made again")
    given = parser.parse_args()
    recorder = Recorder()
    sink = io.StringIO()
    with redirect_stdout(sink):
        options = ["--all", "--rootdir", str(ROOT), "-p", "no:xdist", "-p", "no:cacheprovider"]
        code = pytest.main([*options, *given.tests], plugins=[_Named(recorder)])
    print(file=sys.stderr)
    print(recorder.page())
    for name in recorder.failed:
        print(f"\nFAILED {name}")
    if code or not recorder.rows:
        print(sink.getvalue()[-10_000:], file=sys.stderr)
        return 1
    if given.output:
        before = given.output.read_text("utf-8") if given.keep and given.output.is_file() else ""
        given.output.write_text(recorder.page(before) + "\n", encoding="utf-8")
    return 0


class _Named:
    """Registers the recorder under the name by which the fixture finds it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(self._recorder, "parity")


if __name__ == "__main__":
    sys.exit(main())
