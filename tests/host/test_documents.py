"""Saved workflows and drafts in the server's tables."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from safelight.host.database import migrate
from safelight.host.documents import Graphs, workflows
from safelight.host.schema import MIGRATIONS
from safelight.sdk.problem import ProblemError

BEFORE_DRAFTS = 6


def save(connection: sqlite3.Connection, name: str, body: bytes = b"{}", **rest: Any) -> None:
    given: dict[str, Any] = {"revision": 0, **rest}
    workflows.save(connection, name, body, message="", description="", nodes=0, title=f"{name}'s", **given)


def names(connection: sqlite3.Connection, drafts: bool = False) -> set[str]:
    return {one.name for one in workflows.listed(connection, drafts=drafts)}


def test_what_was_saved_before_there_were_drafts_is_a_saved_workflow() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    for script in MIGRATIONS[:BEFORE_DRAFTS]:
        for statement in script.split(";\n"):
            connection.execute(statement) if statement.strip() else None
    connection.execute("INSERT INTO document VALUES ('d', '{\"old\": 1}')")
    connection.execute("INSERT INTO workflow VALUES ('old one', 1, 1.0, 2.0, 'mine', 3)")
    connection.execute("INSERT INTO revision VALUES ('old one', 1, 'd', 2.0, '', 0)")
    migrate(connection, BEFORE_DRAFTS)
    (found,) = workflows.listed(connection)
    assert (found.name, found.draft, found.title, found.nodes) == ("old one", False, "", 3)
    assert workflows.get(connection, "old one").document == {"old": 1}
    connection.close()


def test_drafts_are_listed_where_they_are_asked_for_and_found_by_their_titles(connection: sqlite3.Connection) -> None:
    save(connection, "saved")
    save(connection, "a1b2", draft=True)
    assert names(connection) == {"saved"}
    assert names(connection, drafts=True) == {"saved", "a1b2"}
    found = {one.name for one in workflows.listed(connection, "a1b2's", drafts=True)}
    assert found == {"a1b2"}
    assert workflows.listed(connection, "a1b2's") == []


def test_a_draft_stays_one_until_it_is_renamed(connection: sqlite3.Connection) -> None:
    save(connection, "key", b"[1]", draft=True)
    save(connection, "key", b"[2]", revision=1)
    assert workflows.info(connection, "key").draft
    made = workflows.rename(connection, "key", "named", 2)
    assert (made.name, made.draft, made.revision) == ("named", False, 2)
    assert [one.revision for one in workflows.revisions(connection, "named")] == [2, 1]
    save(connection, "other")
    save(connection, "next", draft=True)
    with pytest.raises(ProblemError, match="already a workflow named 'other'"):
        workflows.rename(connection, "next", "other", 1)
    assert workflows.info(connection, "next").draft


def test_checks_that_wait_for_a_model_keep_nothing_else_waiting() -> None:
    fetched = threading.Event()

    def check(*_: Any) -> Any:
        assert fetched.wait(30)
        return "checked"

    studio: Any = SimpleNamespace(check=check, close=lambda: None, home=Path("nowhere"))

    async def work() -> None:
        graphs = Graphs(studio)
        document = b'{"format": "safelight/1", "nodes": {}}'
        checks = [asyncio.create_task(graphs.check(document, None)) for _ in range(3)]
        try:
            assert await asyncio.wait_for(graphs.call(lambda _: "answered"), 20) == "answered"
            assert not any(one.done() for one in checks)
        finally:
            fetched.set()
        assert await asyncio.gather(*checks) == ["checked"] * 3
        graphs.close()

    asyncio.run(work())
