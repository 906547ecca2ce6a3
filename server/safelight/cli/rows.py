"""The rows of a sweep, read from a table: CSV, TSV, JSON, JSON Lines or Parquet."""

from __future__ import annotations

import csv
import datetime
import decimal
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from safelight.sdk.problem import Problem, ProblemError

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """One dictionary a row, by the names of its columns. Cells of CSV and TSV are texts, empty ones are left out.

    Raises:
        ProblemError: `bad_table`, when it cannot be read, has no rows, or is of a kind that is not known.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise _bad(path, f"is not a table: its name ends in {path.suffix or 'nothing'}")
    try:
        rows = list(read(path))
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise _bad(path, "is not UTF-8", "Save it as UTF-8; spreadsheets call that CSV UTF-8.") from None
    except RecursionError:
        raise _bad(path, "cannot be read: it nests lists and objects too deep") from None
    except (ValueError, csv.Error) as error:
        raise _bad(path, f"cannot be read: {error}") from None
    if not rows:
        raise _bad(path, "has no rows")
    return rows


def _separated(delimiter: str) -> Callable[[Path], Iterator[Row]]:
    def read(path: Path) -> Iterator[Row]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            names = reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            _require_names(names)
            for number, row in enumerate(reader, 1):
                if None in row or None in row.values():
                    raise ValueError(f"row {number} has another number of cells than the first line has names")
                yield {name: value for name, value in row.items() if value != ""}

    return read


def _require_names(names: Sequence[str]) -> None:
    if "" in names:
        raise ValueError(f"column {names.index('') + 1} has no name")
    if len(set(names)) < len(names):
        raise ValueError("two columns have one name")


def _lines(path: Path) -> Iterator[Row]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
        if line.strip():
            yield _object(json.loads(line), f"line {number}")


def _list(path: Path) -> Iterator[Row]:
    found = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(found, list):
        raise ValueError("it is no list of objects")
    for number, item in enumerate(found, 1):
        yield _object(item, f"item {number}")


def _object(item: Any, where: str) -> Row:
    if not isinstance(item, dict):
        raise ValueError(f"{where} is no object")
    return item


def _parquet(path: Path) -> Iterator[Row]:
    try:
        from pyarrow import parquet
    except ImportError:
        message = "Reading Parquet files needs the package pyarrow."
        hint = "pip install pyarrow (or pip install 'safelight[tables]')."
        raise ProblemError(Problem(code="needs_package", message=message, hint=hint, value=str(path))) from None
    for piece in sorted(path.rglob("*.parquet")) if path.is_dir() else [path]:  # Spark and Dask write folders
        with parquet.ParquetFile(piece) as file:
            _require_names(file.schema_arrow.names)
            table = file.read()
        for row in table.to_pylist():
            yield {name: _plain(value, name) for name, value in row.items() if value is not None}


def _plain(value: Any, column: str) -> Any:
    """A cell as JSON has it: dates and times as ISO 8601, decimal numbers as numbers."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list):
        return [_plain(item, column) for item in value]
    if isinstance(value, str | bool | int | float) or value is None:
        return value
    raise ValueError(f"the column {column!r} holds {type(value).__name__}, which is neither text nor a number")


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".json": _list,
    ".parquet": _parquet,
}


def _bad(path: Path, what: str, hint: str = "") -> ProblemError:
    hint = hint or "Give a .csv or .tsv with names in the first line, a .json list of objects, a .jsonl, or a .parquet."
    return ProblemError(
        Problem(code="bad_table", message=f"The table {str(path)!r} {what}.", hint=hint, value=str(path))
    )
