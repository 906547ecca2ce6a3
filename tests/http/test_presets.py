"""Presets of the values of nodes: kept, renamed, one for new nodes; brought to the nodes that are installed."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from safelight.host.database import migrate
from safelight.host.documents import presets
from safelight.host.schema import MIGRATIONS
from safelight.protocol.presets import PresetBody
from serving import Server

TYPE = "trivial/work.number"


def kept(server: Server, name: str, **more: Any) -> dict[str, Any]:
    return server.ask("PUT", "/presets", {"type": TYPE, "name": name, **({"values": {"value": 7}} | more)})


def test_presets_are_kept_changed_and_deleted(server: Server) -> None:
    one = kept(server, "  Seven  of nine ")
    other = kept(server, "Other", standard=True)
    assert (one["name"], one["standard"], one["values"]) == ("Seven of nine", False, {"value": 7})
    assert server.ask("PATCH", f"/presets/{one['id']}", {"standard": True})["standard"]
    found = {item["name"]: item for item in server.ask("GET", "/presets")}
    assert not found["Other"]["standard"], "new nodes begin with one"
    again = kept(server, "Seven of nine", values={"value": 9})
    assert (again["id"], again["values"], again["standard"]) == (one["id"], {"value": 9}, False)
    status, answer = server.call("PATCH", f"/presets/{one['id']}", {"name": "Other"})
    assert (status, answer["problems"][0]["code"]) == (409, "name_taken")
    assert server.ask("PATCH", f"/presets/{one['id']}", {"name": "Nine"})["name"] == "Nine"
    assert server.ask("DELETE", f"/presets/{one['id']}")["values"] == {"value": 9}
    server.ask("DELETE", f"/presets/{other['id']}")
    assert not {one["id"], other["id"]} & {item["id"] for item in server.ask("GET", "/presets")}


@pytest.mark.parametrize(
    ("method", "address", "body", "status", "code"),
    [
        ("PUT", "/presets", {"type": TYPE, "name": " ", "values": {}}, 400, "bad_name"),
        ("PUT", "/presets", {"type": TYPE, "name": "x" * 101, "values": {}}, 400, "bad_name"),
        ("PUT", "/presets", {"type": TYPE, "name": "x", "values": [1]}, 400, "bad_request"),
        ("PUT", "/presets", {"type": "", "name": "x", "values": {}}, 400, "bad_request"),
        ("PATCH", "/presets/s999999", {"name": "x"}, 404, "preset_missing"),
        ("DELETE", "/presets/nonsense", None, 404, "preset_missing"),
    ],
)
def test_bad_presets_are_told(server: Server, method: str, address: str, body: Any, status: int, code: str) -> None:
    answered, answer = server.call(method, address, body)
    assert (answered, answer["problems"][0]["code"]) == (status, code)


def test_a_preset_of_an_older_node_is_brought_to_the_one_that_is_installed(server: Server) -> None:
    old = server.ask(
        "PUT", "/presets", {"type": "sampling.sample", "name": "old", "values": {"spacing": "karras", "steps": 5}}
    )
    away = server.ask("PUT", "/presets", {"type": "gone/away.node", "version": 3, "name": "n", "values": {"a": 1}})
    found = {one["id"]: one for one in server.ask("GET", "/presets")}
    assert found[old["id"]]["values"]["scheduler"] == "karras" and "spacing" not in found[old["id"]]["values"]
    assert found[old["id"]]["version"] > old["version"] and found[old["id"]]["values"]["steps"] == 5
    assert found[away["id"]] == away, "it waits for its pack"
    for one in (old, away):
        server.ask("DELETE", f"/presets/{one['id']}")


def test_the_table_is_added_to_an_older_database(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "old.sqlite", isolation_level=None)
    connection.row_factory = sqlite3.Row
    before = next(number for number, script in enumerate(MIGRATIONS) if "CREATE TABLE preset" in script)
    for script in MIGRATIONS[:before]:
        for statement in filter(str.strip, script.split(";\n")):
            connection.execute(statement)
    migrate(connection, before)
    made = presets.save(connection, PresetBody(type=TYPE, name="n", values={"value": 1}))
    assert presets.listed(connection) == [made]
