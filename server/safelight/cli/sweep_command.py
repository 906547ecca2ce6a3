"""`safelight sweep`: one workflow many times, each time with other values, here or on a server."""

from __future__ import annotations

import argparse
import contextlib
import csv
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from safelight.app import Outcome, Studio
from safelight.client import Client
from safelight.engine import RunOptions
from safelight.graph import Document, Port
from safelight.graph.migrate import migrate
from safelight.interop.delivery import require_writable
from safelight.models.hardware import device_called
from safelight.protocol.runs import MAX_BATCH
from safelight.sdk.problem import Problem, ProblemError, errors

from .answer import print_json
from .rows import Row, read_rows
from .run_command import interruptible, refused
from .workflow import open_studio, print_help, read_workflow, report, send_results, typer

_CHECKED = 1_000
"""Runs that are checked before the first begins; what is wrong with a later one is told when it is its turn."""
_PATIENCE = 3.0
_RESTART = 60.0
"""Seconds for a server that has just accepted it."""
_LOOK = 1.0


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    try:
        _refuse_idle(given, rest)
        if given.device and not given.server:
            os.environ["SAFELIGHT_DEVICE"] = device_called(given.device)
    except ProblemError as error:
        return refused(error.problems, given.json)
    with open_studio(given) as studio:
        try:
            if given.batch:
                return _follow(given, given.batch)
            if given.help or not given.workflow:
                print_help(studio, given)
                return 0 if given.help else 2
            document, remarks = read_workflow(studio, given, rest)
            report(remarks)
            cells = list(_cells(studio, document, given))
            if given.server:
                return _there(studio, document, cells, given)
            studio.cache.catch_up()
            code = _here(studio, document, cells, given)
            send_results(studio)
            return code
        except ProblemError as error:
            return refused(error.problems, given.json)


def _refuse_idle(given: argparse.Namespace, rest: Sequence[str]) -> None:
    """Raises ProblemError `bad_set` for options that would change nothing."""
    problems: list[Problem] = []

    def idle(option: str, why: str, hint: str) -> None:
        problems.append(Problem(code="bad_set", message=f"{option} {why}.", hint=hint, value=option))

    if given.batch:
        if not given.server:
            idle("--batch", "names a sweep of a server", "Say on which server it is: --server URL.")
        given_too = {"--rows": given.rows, "--vary": given.vary, "--set": given.set, given.workflow: given.workflow}
        given_too |= {"--device": given.device, "--download": given.download}
        for option in [*(name for name, value in given_too.items() if value), *rest]:
            idle(option, "is not for a sweep that was accepted before", "Leave it out, or leave --batch out.")
    if given.retry and not given.batch:
        idle("--retry", "needs to know of which sweep", "Name it: --batch ID.")
    if given.fetch and not given.server:
        idle("--fetch", "is for files of a server", "Leave it out, or say which server: --server URL.")
    if problems:
        raise ProblemError(problems)


def _cells(studio: Studio, document: Document, given: argparse.Namespace) -> Iterator[Row]:
    """The values of each run. Raises ProblemError with all that is wrong with them."""
    problems: list[Problem] = []
    rows = read_rows(given.rows) if given.rows else [{}]
    axes: dict[str, list[Any]] = {}
    for text in given.vary:
        name, equals, values = text.partition("=")
        name, listed = name.strip(), _listed(values)
        if not equals or not name or not listed:
            hint = 'Write --vary NAME=V1,V2 or --vary \'NAME=["one", "two"]\'.'
            problems.append(Problem(code="bad_set", message=f"{text!r} gives no values.", hint=hint, value=text))
        elif name in axes:
            hint = f"Give all of its values at once: --vary {name}=V1,V2."
            problems.append(Problem(code="bad_set", message=f"{name!r} is varied twice.", hint=hint, value=text))
        else:
            axes[name] = listed
    if not given.rows and not given.vary:
        hint = "Give --rows TABLE, --vary NAME=V1,V2, or both."
        problems.append(Problem(code="bad_set", message="There is nothing that differs between the runs.", hint=hint))
    count = len(rows)
    for values in axes.values():
        count *= len(values)
    if count > MAX_BATCH:
        message = f"The sweep makes {count:,} runs, more than the {MAX_BATCH:,} that are taken at once."
        problems.append(Problem(code="too_many_runs", message=message, hint="Send it in parts.", value=count))
    if problems:
        raise ProblemError(problems)
    value = typer(studio, document)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for name in dict.fromkeys([*columns, *axes]):
        try:
            value(name, None)
        except ProblemError as error:
            problems += error.problems
    unknown = {problem.value for problem in problems}
    problems += _overlaps(migrate(document, studio.catalogue), rows, list(axes))
    made: list[Row] = []
    for number, row in enumerate(rows, 1):
        for combination in itertools.product(*axes.values()):
            cell: Row = {}
            for name, item in {**row, **dict(zip(axes, combination, strict=True))}.items():
                try:
                    cell[name] = value(name, item) if name not in unknown else item
                except ProblemError as error:
                    where = f"Row {number}: " if given.rows else ""
                    problems += [
                        Problem(code=one.code, message=where + one.message, hint=one.hint, value=one.value)
                        for one in error.problems
                    ]
            made.append(cell)
        if len(problems) > 50:
            break
    if problems:
        raise ProblemError(list(dict.fromkeys(problems)))
    yield from made


def _overlaps(document: Document, rows: Sequence[Row], axes: Sequence[str]) -> list[Problem]:
    """What is said of two names that set one port: one of them would change nothing."""
    found: dict[str, Problem] = {}
    for names in {(*row, *axes) for row in rows}:
        set_by: dict[Port, str] = {}
        for name in names:
            node, dot, port = name.rpartition(".")
            ports = [Port(node, port)] if dot else [entry.to for entry in document.inputs if entry.name == name]
            for one in ports:
                other = set_by.setdefault(one, name)
                if other != name or names.count(name) > 1:
                    message = f"{other!r} and {name!r} both set {one}."
                    if other == name:
                        message = f"{name!r} is a column of the table, and is varied, too."
                    hint = "Take one of them out of the sweep."
                    found.setdefault(message, Problem(code="duplicate_name", message=message, hint=hint, value=name))
    return list(found.values())


def _listed(text: str) -> list[Any]:
    """Values with commas between them, or a list as JSON; none where that is empty, or begins as one and is none."""
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            found = [] if text.lstrip().startswith('["') else None
        if isinstance(found, list):
            return found
    return [part.strip() for part in text.split(",")]


def _here(studio: Studio, document: Document, cells: Sequence[Row], given: argparse.Namespace) -> int:
    """One run after the other in this process. The table has a line as soon as a run has ended."""
    wrong: dict[tuple[str, str | None, str | None], Problem] = {}
    plain: dict[str, None] = {}
    for cell in cells[:_CHECKED]:
        checked = studio.check(_filled(document, cell))
        plain |= dict.fromkeys(checked.graph.plain_outputs() if checked.graph is not None else ())
        for problem in errors(checked.problems):
            wrong.setdefault((problem.message, problem.node, problem.port), problem)
    if wrong:
        raise ProblemError(list(wrong.values()))
    names = list(dict.fromkeys(name for cell in cells for name in cell))
    table = _table(given, "sweep.csv")
    table.parent.mkdir(parents=True, exist_ok=True)
    ended: list[dict[str, Any]] = []
    options = RunOptions(checkpoint_seconds=given.checkpoint)
    file = table.open("w", encoding="utf-8", newline="")
    try:
        with interruptible() as cancel:
            writer = csv.writer(file, lineterminator="\n")

            def write(line: Sequence[Any]) -> None:
                try:
                    writer.writerow(line)
                    file.flush()
                except OSError as error:
                    raise _cannot_write(table, error.strerror or str(error)) from None

            write([*names, "status", "seconds", *plain, "files", "problems"])
            for number, cell in enumerate(cells, 1):
                started = time.perf_counter()
                files: list[str] = []
                outputs: dict[str, list[dict[str, Any]]] = {}
                try:
                    outcome = studio.run(_filled(document, cell), output=given.output, cancel=cancel, options=options)
                except ProblemError as error:
                    status, problems = "failed", list(error.problems)
                else:
                    status, problems, outputs = outcome.result.status, list(outcome.result.problems), outcome.outputs
                    files = _files(outcome)
                seconds = round(time.perf_counter() - started, 3)
                failures = errors(problems)
                write(
                    [
                        *(_text(cell.get(name, "")) for name in names),
                        status,
                        seconds,
                        *(" ".join(_text(item.get("value", "")) for item in outputs.get(name, ())) for name in plain),
                        " ".join(files),
                        "; ".join(problem.message for problem in failures),
                    ]
                )
                told = {"status": status, "seconds": seconds, "outputs": outputs, "files": files, "problems": problems}
                ended.append({"values": cell, **told})
                if not given.quiet and not given.json:
                    _tell(f"{number:,} of {len(cells):,}: {status} in {seconds:.1f} s", failures)
                if status == "cancelled":
                    break
    finally:
        with contextlib.suppress(OSError):  # each line was flushed: what a full disk refused has been told
            file.close()
    return _told(ended, len(cells), table, given)


def _table(given: argparse.Namespace, name: str) -> Path:
    """Where the table of results is written: never over the table of `--rows`, or the workflow.

    Raises:
        ProblemError: `cannot_write`.
    """
    table: Path = given.table or given.output / name
    try:
        new = not table.exists()
        for of, other in {"the table of --rows": given.rows, "the workflow": given.workflow}.items():
            if not new and other and Path(other).exists() and table.samefile(other):
                raise _cannot_write(table, f"it is {of}")
        table.parent.mkdir(parents=True, exist_ok=True)
        with table.open("a", encoding="utf-8"):
            pass
        if new:
            table.unlink()
    except OSError as error:
        raise _cannot_write(table, error.strerror or str(error)) from None
    return table


def _cannot_write(table: Path, why: str) -> ProblemError:
    message = f"The table of results {str(table)!r} cannot be written: {why}."
    return ProblemError(
        Problem(code="cannot_write", message=message, hint="Name another: --table FILE.", value=str(table))
    )


def _filled(document: Document, cell: Row) -> Document:
    inputs = {name: item for name, item in cell.items() if "." not in name}
    values: dict[Port, Any] = {}
    for name, item in cell.items():
        node, dot, port = name.rpartition(".")
        if dot:
            values[Port(node, port)] = item
    return document.with_inputs(inputs).with_values(values)


def _files(outcome: Outcome) -> list[str]:
    """What nodes have saved, and what outputs of the workflow were written as."""
    paths = [file.path for files in outcome.delivered.values() for file in files]
    shown = [item["path"] for items in outcome.outputs.values() for item in items if "path" in item]
    return list(dict.fromkeys([*paths, *shown]))


def _told(ended: Sequence[dict[str, Any]], wanted: int, table: Path, given: argparse.Namespace) -> int:
    counts = {status: sum(one["status"] == status for one in ended) for status in ("done", "failed", "cancelled")}
    stopped = len(ended) < wanted or counts["cancelled"] > 0
    if given.json:
        status = "cancelled" if stopped else "failed" if counts["failed"] else "done"
        print_json({"status": status, "table": str(table), "runs": list(ended)})
    else:
        print(table)
        said = f"{counts['done']:,} done, {counts['failed']:,} failed, {wanted - len(ended):,} not begun."
        print(said + (" The same command goes on from the cache." if stopped else ""), file=sys.stderr)
    return 130 if stopped else 1 if counts["failed"] else 0


def _there(studio: Studio, document: Document, cells: Sequence[Row], given: argparse.Namespace) -> int:
    """All of them in the queue of a server, which goes on with them whatever becomes of this command."""
    from .remote import with_uploads

    if given.table:
        _table(given, "")
    if given.fetch or not given.table:
        require_writable(given.output)
    with Client(given.server, patience=_PATIENCE) as client:
        accepted = client.submit_batch(
            with_uploads(client, studio, document),
            rows=list(cells),
            checkpoint_seconds=given.checkpoint,
            device=given.device,
        )
    _tell(f"Accepted as {accepted.batch}: {len(accepted.runs):,} runs.")
    return _follow(given, accepted.batch, _RESTART)


def _follow(given: argparse.Namespace, batch: str, patience: float = _PATIENCE) -> int:
    """Waits for a sweep on a server, which is reached within `patience` seconds, and writes its table."""
    from .remote import goes_on

    again = f"safelight sweep --server {given.server} --batch {batch}"
    table = _table(given, f"{Path(batch).name}.csv")
    with Client(given.server, patience=patience) as client:
        try:
            if given.retry:
                _tell(f"{len(client.retry_batch(batch).runs):,} runs that failed or were cancelled begin again.")
            counts = _wait(client, batch, given)
        except KeyboardInterrupt:
            _tell(f"\nThe server goes on with it. `{again}` waits for it again.")
            return 130
        except ProblemError as error:
            raise goes_on(error, f"What was accepted goes on there; `{again}` waits for it again.") from None
        try:
            table.write_text(client.batch_table(batch), encoding="utf-8")
        except OSError as error:
            raise _cannot_write(table, error.strerror or str(error)) from None
        found = client.batch(batch)
        if given.fetch:
            for run in found.runs:
                for file in run.files:
                    client.fetch(file, given.output)
    if given.json:
        status = "failed" if counts["failed"] else "cancelled" if counts["cancelled"] else "done"
        print_json({"status": status, "batch": batch, "table": str(table), "runs": found.runs})
    else:
        print(table)
        _tell(", ".join(f"{count:,} {status}" for status, count in counts.items()) + ".")
    return 1 if counts["failed"] else 130 if counts["cancelled"] else 0


def _wait(client: Client, batch: str, given: argparse.Namespace) -> dict[str, int]:
    """How the runs of a sweep have ended, once all have. Of a repeated one the last try counts."""
    said = ""
    while True:
        statuses = [run.status for run in client.batch(batch).runs]
        counts = {status: statuses.count(status) for status in ("done", "failed", "cancelled")}
        left = len(statuses) - sum(counts.values())
        if not left:
            return counts
        now = f"{left:,} left, {counts['done']:,} done, {counts['failed']:,} failed"
        if now != said and not given.quiet and not given.json:
            _tell(now)
        said = now
        time.sleep(_LOOK + 0.0005 * len(statuses))  # the grid of ten thousand takes the server a moment


def _tell(text: str, problems: Sequence[Problem] = ()) -> None:
    print(text, file=sys.stderr)
    report(problems)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
