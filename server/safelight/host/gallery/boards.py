"""Ratings, tags and boards of outputs: what people say of what was made, to find the good ones again.

A rating is 0 (none) to 5. A tag is a word or a few; two that differ in case only are one. A board is a named collection
that outputs lie on; one may lie on several, and removing a board removes nothing else. Every function works on a
connection, inside a transaction.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from safelight.host.ids import number_in
from safelight.host.names import one_line
from safelight.protocol.files import Board, MarkBody
from safelight.sdk.problem import Problem, ProblemError

TAG_LENGTH = 60
NAME_LENGTH = 100


def mark(connection: sqlite3.Connection, numbers: Sequence[int], body: MarkBody) -> list[int]:
    """Does what `body` asks to outputs by number, and gives those that are there.

    Raises:
        ProblemError: `bad_tag`, `board_missing`.
    """
    there = _there(connection, numbers)
    if body.rating is not None:
        connection.executemany("UPDATE output SET rating = ? WHERE number = ?", [(body.rating, one) for one in there])
    for word in map(tag, body.add_tags):
        folded = word.casefold()
        known = connection.execute("SELECT word FROM tag WHERE folded = ? LIMIT 1", (folded,)).fetchone()
        spelt = known["word"] if known else word
        connection.executemany("INSERT OR IGNORE INTO tag VALUES (?, ?, ?)", [(one, folded, spelt) for one in there])
    for word in body.remove_tags:
        connection.executemany(
            "DELETE FROM tag WHERE output = ? AND folded = ?", [(one, word.casefold()) for one in there]
        )
    for board in body.add_boards:
        lay(connection, board_number(connection, board), there)
    for board in body.remove_boards:
        number = board_number(connection, board)
        connection.executemany(
            "DELETE FROM board_output WHERE board = ? AND output = ?", [(number, one) for one in there]
        )
    return there


def lay(connection: sqlite3.Connection, board: int, outputs: Iterable[int]) -> None:
    connection.executemany("INSERT OR IGNORE INTO board_output VALUES (?, ?)", [(board, one) for one in outputs])


def tag(word: str) -> str:
    """A tag as it is kept. Raises ProblemError `bad_tag`."""
    return one_line(word, TAG_LENGTH, "bad_tag", "a tag", without=",")


def tags_of(connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The tags of each output, by alphabet."""
    found: dict[int, list[str]] = {}
    marks = ", ".join("?" * len(numbers))
    for row in connection.execute(f"SELECT output, word FROM tag WHERE output IN ({marks}) ORDER BY folded", numbers):
        found.setdefault(row["output"], []).append(row["word"])
    return {number: tuple(words) for number, words in found.items()}


def boards_of(connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The ids of the boards that each output lies on."""
    found: dict[int, list[str]] = {}
    marks = ", ".join("?" * len(numbers))
    rows = connection.execute(
        f"SELECT output, board FROM board_output WHERE output IN ({marks}) ORDER BY board", numbers
    )
    for row in rows:
        found.setdefault(row["output"], []).append(f"g{row['board']}")
    return {number: tuple(ids) for number, ids in found.items()}


def all_tags(connection: sqlite3.Connection) -> Counter[str]:
    """Every tag in use outside of the trash, with how often."""
    rows = connection.execute(
        "SELECT min(word) AS word, count(*) AS count FROM tag JOIN output ON number = output WHERE trashed IS NULL "
        "GROUP BY folded"
    )
    return Counter({row["word"]: row["count"] for row in rows})


def all_boards(connection: sqlite3.Connection) -> list[Board]:
    """All boards by name, with how many outputs lie on them; what is in the trash is not counted."""
    rows = connection.execute(
        "SELECT board.number, board.name, board.created, count(output.number) AS count FROM board "
        "LEFT JOIN board_output ON board = board.number "
        "LEFT JOIN output ON output.number = output AND trashed IS NULL GROUP BY board.number"
    ).fetchall()
    made = [Board(id=f"g{row['number']}", name=row["name"], created=row["created"], count=row["count"]) for row in rows]
    return sorted(made, key=lambda board: board.name.casefold())


def board_of(connection: sqlite3.Connection, board: str) -> Board:
    """Raises ProblemError `board_missing`."""
    for one in all_boards(connection):
        if one.id == board:
            return one
    raise _missing(board)


def make_board(connection: sqlite3.Connection, name: str, outputs: Iterable[int]) -> Board:
    """A new board with these outputs on it; unknown ones are left out.

    Raises:
        ProblemError: `bad_name`, `name_taken`.
    """
    name = _free(connection, name)
    number = connection.execute("INSERT INTO board (name, created) VALUES (?, ?)", (name, time.time())).lastrowid
    lay(connection, number or 0, _there(connection, outputs))
    return board_of(connection, f"g{number}")


def rename_board(connection: sqlite3.Connection, board: str, name: str) -> Board:
    """Raises ProblemError `board_missing`, `bad_name`, `name_taken`."""
    number = board_number(connection, board)
    connection.execute("UPDATE board SET name = ? WHERE number = ?", (_free(connection, name, number), number))
    return board_of(connection, board)


def remove_board(connection: sqlite3.Connection, board: str) -> list[str]:
    """Removes a board and gives the ids of what lay on it, which stays where it is.

    Raises:
        ProblemError: `board_missing`.
    """
    number = board_number(connection, board)
    rows = connection.execute("SELECT output FROM board_output WHERE board = ? ORDER BY output", (number,)).fetchall()
    connection.execute("DELETE FROM board WHERE number = ?", (number,))
    return [f"p{row['output']}" for row in rows]


def board_number(connection: sqlite3.Connection, board: str) -> int:
    """The number in a board's id. Raises ProblemError `board_missing`."""
    number = number_in(board, "g")
    if number is None or not connection.execute("SELECT 1 FROM board WHERE number = ?", (number,)).fetchone():
        raise _missing(board)
    return number


def _there(connection: sqlite3.Connection, numbers: Iterable[int]) -> list[int]:
    """Those that are on record."""
    # One by one: thousands are more than a statement takes.
    return [one for one in numbers if connection.execute("SELECT 1 FROM output WHERE number = ?", (one,)).fetchone()]


def _free(connection: sqlite3.Connection, name: str, own: int = 0) -> str:
    clean = one_line(name, NAME_LENGTH, "bad_name", "the name of a board")
    if connection.execute("SELECT 1 FROM board WHERE name = ? AND number != ?", (clean, own)).fetchone():
        message = f"There is already a board named {clean!r}."
        raise ProblemError(Problem(code="name_taken", message=message, hint="Choose another name.", value=clean))
    return clean


def _missing(board: str) -> ProblemError:
    hint = "It was deleted, or never was."
    return ProblemError(
        Problem(code="board_missing", message=f"There is no board {board[:30]!r}.", hint=hint, value=board[:30])
    )
