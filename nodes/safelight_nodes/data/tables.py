"""Tables as CSV. A row is a JSON object, so that `data.read_json` over the rows gives a column."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from safelight.sdk import Text, node

from .. import _json
from .._refusal import refusal

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
_MOST = 100_000


class Table(NamedTuple):
    rows: Annotated[list[str], "Each row as a JSON object, by the names of the columns."]
    columns: Annotated[list[str], "The names of the columns."]


@node(version=1, title="Read table", tags=("CSV", "TSV", "spreadsheet", "load csv", "parse csv", "styles.csv"))
def read_table(
    text: Annotated[str, Text(multiline=True), "The table, as CSV."],
    *,
    delimiter: Annotated[
        Literal["auto", "comma", "semicolon", "tab", "bar"],
        "What lies between two columns. auto: what the first line has most of.",
    ] = "auto",
    header: Annotated[bool, "Whether the first row names the columns. Off: they are called 1, 2, 3, ..."] = True,
) -> Table:
    """Take a table apart into rows. Empty rows are left out, and missing cells are empty."""
    import csv
    import io

    first = text.strip("\ufeff\n").split("\n", 1)[0]
    mark = max(_DELIMITERS.values(), key=first.count) if delimiter == "auto" else _DELIMITERS[delimiter]
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=mark, strict=True, skipinitialspace=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
            if len(rows) > _MOST:
                raise _bad(f"The table has more than {_MOST:,} rows.", "Split it.")
    except csv.Error as error:
        hint = 'A cell with a quotation mark in it is written "so ""here""".'
        raise _bad(f"Line {reader.line_num} of the table cannot be read: {error}.", hint) from None
    width = max((len(row) for row in rows), default=0)
    names = [cell.strip() for cell in rows.pop(0)] if header and rows else []
    columns = [(names[place] if place < len(names) else "") or str(place + 1) for place in range(width)]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise _bad(f"Two columns are called {twice!r}.", "Give each another name, or set header to off.")
    cells = [row + [""] * (width - len(row)) for row in rows]
    return Table([_json.dumped(dict(zip(columns, row, strict=True))) for row in cells], columns)


@node(version=1, title="Write table", tags=("CSV", "TSV", "make csv", "spreadsheet", "export"))
def write_table(
    rows: Annotated[list[str], "Each row as a JSON object, by the names of the columns."],
    *,
    delimiter: Annotated[Literal["comma", "semicolon", "tab", "bar"], "What lies between two columns."] = "comma",
    header: Annotated[bool, "Whether the first row names the columns."] = True,
) -> str:
    """A table as CSV out of rows. It has the columns of all rows, in the order in which they first come."""
    import csv
    import io

    read = [_json.parsed(row, "rows") for row in rows]
    wrong = [row for row in read if not isinstance(row, dict)]
    if wrong:
        raise _bad(f"{_json.dumped(wrong[0])[:100]} is no JSON object.", "Make rows with data.put_json.", "rows")
    columns = list(dict.fromkeys(name for row in read for name in row))
    file = io.StringIO()
    writer = csv.writer(file, delimiter=_DELIMITERS[delimiter], lineterminator="\n")
    if header and columns:
        writer.writerow(columns)
    writer.writerows([_json.shown(row[name]) if name in row else "" for name in columns] for row in read)
    return file.getvalue()


def _bad(message: str, hint: str, port: str = "text") -> Exception:
    return refusal(code="bad_table", message=message, hint=hint, port=port)
