"""Presets of the values of nodes, as they are kept. Every function but `today` works on a connection."""

from __future__ import annotations

import sqlite3
import time

import msgspec

from safelight.graph import Document, Node, migrate
from safelight.host.ids import number_in
from safelight.host.names import one_line
from safelight.protocol.presets import Preset, PresetBody, PresetChange
from safelight.sdk.pack import Catalogue
from safelight.sdk.problem import Problem, ProblemError

NAME_LENGTH = 100


def listed(connection: sqlite3.Connection) -> list[Preset]:
    """All of them by type and name, as they were saved."""
    return sorted(map(_preset, connection.execute("SELECT * FROM preset")), key=lambda one: (one.type, _order(one)))


def today(presets: list[Preset], catalogue: Catalogue) -> list[Preset]:
    """The same for the nodes that are installed: what a later version of a node calls otherwise has its new name.

    One that cannot be brought there, or whose node is not installed, stays as it was saved.
    """
    return [_today(preset, catalogue) for preset in presets]


def _today(preset: Preset, catalogue: Catalogue) -> Preset:
    document = Document(nodes={"node": Node(type=preset.type, version=preset.version, values=preset.values)})
    try:
        node = migrate(document, catalogue).nodes["node"]
    except ProblemError:
        return preset
    return msgspec.structs.replace(preset, type=node.type, version=node.version, values=dict(node.values))


def save(connection: sqlite3.Connection, body: PresetBody) -> Preset:
    """Raises ProblemError `bad_name`."""
    name = one_line(body.name, NAME_LENGTH, "bad_name", "the name of a preset")
    connection.execute(
        "INSERT INTO preset (type, version, name, body, standard, modified) VALUES (?, ?, ?, ?, 0, ?) "
        "ON CONFLICT (type, name) DO UPDATE SET version = excluded.version, body = excluded.body, "
        "modified = excluded.modified",
        (body.type, body.version, name, msgspec.json.encode(body.values).decode(), time.time()),
    )
    row = connection.execute("SELECT * FROM preset WHERE type = ? AND name = ?", (body.type, name)).fetchone()
    return _set_standard(connection, _preset(row), body.standard)


def change(connection: sqlite3.Connection, preset: str, body: PresetChange) -> Preset:
    """Raises ProblemError `preset_missing`, `bad_name`, `name_taken`."""
    found = get(connection, preset)
    if body.name is not None:
        name = one_line(body.name, NAME_LENGTH, "bad_name", "the name of a preset")
        taken = "SELECT 1 FROM preset WHERE type = ? AND name = ? AND number != ?"
        if connection.execute(taken, (found.type, name, _number(preset))).fetchone():
            message = f"There is already a preset named {name!r} for {found.type!r}."
            raise ProblemError(Problem(code="name_taken", message=message, hint="Choose another name.", value=name))
        connection.execute("UPDATE preset SET name = ? WHERE number = ?", (name, _number(preset)))
    if body.standard is not None:
        _set_standard(connection, found, body.standard)
    return get(connection, preset)


def remove(connection: sqlite3.Connection, preset: str) -> Preset:
    """Gives what it was. Raises ProblemError `preset_missing`."""
    found = get(connection, preset)
    connection.execute("DELETE FROM preset WHERE number = ?", (_number(preset),))
    return found


def get(connection: sqlite3.Connection, preset: str) -> Preset:
    """Raises ProblemError `preset_missing`."""
    row = connection.execute("SELECT * FROM preset WHERE number = ?", (_number(preset),)).fetchone()
    if row is None:
        raise _missing(preset)
    return _preset(row)


def _set_standard(connection: sqlite3.Connection, preset: Preset, standard: bool) -> Preset:
    if standard:
        connection.execute("UPDATE preset SET standard = 0 WHERE type = ?", (preset.type,))
    connection.execute("UPDATE preset SET standard = ? WHERE number = ?", (standard, _number(preset.id)))
    return get(connection, preset.id)


def _preset(row: sqlite3.Row) -> Preset:
    return Preset(
        id=f"s{row['number']}",
        type=row["type"],
        version=row["version"],
        name=row["name"],
        values=msgspec.json.decode(row["body"]),
        standard=bool(row["standard"]),
        modified=row["modified"],
    )


def _order(preset: Preset) -> str:
    return preset.name.casefold()


def _number(preset: str) -> int:
    number = number_in(preset, "s")
    if number is None:
        raise _missing(preset)
    return number


def _missing(preset: str) -> ProblemError:
    hint = "It was deleted, or never was."
    return ProblemError(
        Problem(code="preset_missing", message=f"There is no preset {preset[:30]!r}.", hint=hint, value=preset[:30])
    )
