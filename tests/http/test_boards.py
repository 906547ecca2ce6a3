"""Ratings, tags and boards of outputs: set at once, searched for, told of, and kept over what happens to files."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from safelight.host.database import migrate
from safelight.host.gallery import records as gallery
from safelight.host.gallery.records import Wanted
from safelight.host.schema import MIGRATIONS
from safelight.media.registry import built_in
from serving import Server, found, saved, serving


def marked(server: Server, item: dict[str, Any], **what: Any) -> dict[str, Any]:
    assert server.ask("PATCH", "/gallery", {"items": [item["id"]], **what}) == {"items": [item["id"]]}
    return server.ask("GET", f"/gallery/{item['id']}")


def test_outputs_are_rated_and_tagged_and_found_by_it(server: Server) -> None:
    one, other = saved(server, 990_001), saved(server, 990_002)
    assert (one["rating"], one["tags"], one["boards"]) == (0, [], [])
    assert marked(server, one, rating=4, add_tags=["  Night   sky ", "cat"])["tags"] == ["cat", "Night sky"]
    assert marked(server, other, rating=2, add_tags=["NIGHT SKY"])["tags"] == ["Night sky"], "as it is spelt already"
    assert found(server, "rating=3") == [one["name"]] and set(found(server, "rating=1")) == {one["name"], other["name"]}
    assert set(found(server, f"tag={quote('night SKY')}")) == {one["name"], other["name"]}
    assert found(server, f"tag={quote('night sky')}&rating=4") == [one["name"]]
    assert one["name"] in found(server, "search=night%20number") and found(server, "tag=night") == []
    assert server.ask("GET", "/gallery/facets")["tags"] == {"Night sky": 2, "cat": 1}
    assert found(server, f"digest={one['digest']}") == [one["name"]]
    assert marked(server, one, rating=0, remove_tags=["CAT"])["tags"] == ["Night sky"]
    assert found(server, "rating=1") == [other["name"]]
    server.ask("PATCH", "/gallery", {"items": [one["id"], other["id"]], "rating": 0, "remove_tags": ["night sky"]})
    assert server.ask("GET", "/gallery/facets")["tags"] == {}


def test_outputs_lie_on_boards_which_take_nothing_with_them(server: Server) -> None:
    one, other = saved(server, 990_101), saved(server, 990_102)
    board = server.ask("POST", "/boards", {"name": " Best  of ", "items": [one["id"], "p999999"]})
    assert (board["name"], board["count"]) == ("Best of", 1)
    second = server.ask("POST", "/boards", {"name": "again"})
    assert marked(server, other, add_boards=[board["id"], second["id"]])["boards"] == [board["id"], second["id"]]
    assert set(found(server, f"board={board['id']}")) == {one["name"], other["name"]}
    mine = [
        (one["name"], one["count"]) for one in server.ask("GET", "/boards") if one["id"] in (board["id"], second["id"])
    ]
    assert mine == [("again", 1), ("Best of", 2)]
    status, answer = server.call("PATCH", f"/boards/{second['id']}", {"name": "Best of"})
    assert status == 409 and answer["problems"][0]["code"] == "name_taken"
    assert server.ask("PATCH", f"/boards/{second['id']}", {"name": "second"})["name"] == "second"
    assert marked(server, other, remove_boards=[second["id"]])["boards"] == [board["id"]]
    assert server.ask("DELETE", f"/boards/{board['id']}") == {"items": [one["id"], other["id"]]}
    assert server.ask("GET", f"/gallery/{one['id']}")["boards"] == [] and one["name"] in found(server, "")
    assert server.call("GET", f"/gallery?board={board['id']}")[0] == 404
    server.ask("DELETE", f"/boards/{second['id']}")


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ({"rating": 6}, 400, "bad_request"),
        ({"rating": -1}, 400, "bad_request"),
        ({"stars": 1}, 400, "bad_request"),
        ({"add_tags": [" "]}, 400, "bad_tag"),
        ({"add_tags": ["a,b"]}, 400, "bad_tag"),
        ({"add_tags": ["x" * 61]}, 400, "bad_tag"),
        ({"add_tags": ["good"], "add_boards": ["g999999"]}, 404, "board_missing"),
        ({"remove_boards": ["../x"]}, 404, "board_missing"),
        ({"items": ["nonsense"]}, 404, "output_missing"),
    ],
)
def test_bad_marks_are_told_and_change_nothing(server: Server, what: dict[str, Any], status: int, code: str) -> None:
    item = saved(server, 990_201)
    answered, answer = server.call("PATCH", "/gallery", {"items": [item["id"]], "rating": 5, **what})
    assert (answered, answer["problems"][0]["code"]) == (status, code)
    after = server.ask("GET", f"/gallery/{item['id']}")
    assert (after["rating"], after["tags"]) == (0, []), "all or nothing"


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "two\x00"])
def test_a_board_needs_a_name(server: Server, name: str) -> None:
    status, answer = server.call("POST", "/boards", {"name": name})
    assert (status, answer["problems"][0]["code"]) == (400, "bad_name")


def test_what_was_said_of_a_file_stays_with_it(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        item = saved(server, 990_301)
        board = server.ask("POST", "/boards", {"name": "kept", "items": [item["id"]]})
        marked(server, item, rating=5, add_tags=["kept"])
        server.ask("POST", "/gallery/trash", {"items": [item["id"]]})
        assert found(server, "rating=5") == [] and server.ask("GET", "/boards")[0]["count"] == 0
        assert found(server, f"rating=5&trash=true&board={board['id']}") == [item["name"]]
        server.ask("POST", "/gallery/restore", {"items": [item["id"]]})
        assert found(server, f"rating=5&tag=kept&board={board['id']}") == [item["name"]]
        # By hand, in the folder: it is the same file at another place, and one that is gone is gone.
        lost = saved(server, 990_302)
        marked(server, lost, rating=5)
        output = server.home / "output"
        (output / "best").mkdir()
        shutil.move(output / item["name"], output / "best" / "moved.txt")
        (output / lost["name"]).unlink()
        deadline = time.monotonic() + 20
        while found(server, "rating=5") != ["best/moved.txt"]:
            assert time.monotonic() < deadline, found(server, "")
            time.sleep(0.2)
        assert found(server, f"tag=kept&board={board['id']}") == ["best/moved.txt"]


def test_an_older_database_gets_the_columns_and_keeps_its_outputs(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "old.sqlite", isolation_level=None)
    connection.row_factory = sqlite3.Row
    before = next(number for number, script in enumerate(MIGRATIONS) if "ADD COLUMN rating" in script)
    for script in MIGRATIONS[:before]:
        for statement in filter(str.strip, script.split(";\n")):
            connection.execute(statement)
    connection.execute(
        "INSERT INTO output (name, digest, made, media_type, size, width, height) "
        "VALUES ('a.png', 'abc', 5, 'image/png', 10, 4, 5)"
    )
    migrate(connection, before)
    items, total = gallery.page(connection, Wanted(), 0, 10, built_in())
    assert total == 1 and (items[0].name, items[0].rating, items[0].tags, items[0].boards) == ("a.png", 0, (), ())
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)


def test_every_window_is_told(server: Server) -> None:
    item = saved(server, 990_401)
    calls = [
        ("PATCH", "/gallery", {"items": [item["id"]], "rating": 3}),
        ("POST", "/boards", {"name": "told"}),
    ]

    async def watch() -> list[str]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{server.url}/api/v1/events", max_msg_size=0) as socket,
        ):
            await socket.receive(timeout=10)
            for method, address, body in calls:
                await asyncio.to_thread(server.ask, method, address, body)
            seen: list[str] = []
            async with asyncio.timeout(10):
                while seen.count("gallery_changed") < len(calls):
                    events = json.loads((await socket.receive()).data)["events"]
                    seen += [event["data"]["event"] for event in events]
            return seen

    assert asyncio.run(watch()).count("gallery_changed") == len(calls)
    (told,) = [board for board in server.ask("GET", "/boards") if board["name"] == "told"]
    server.ask("DELETE", f"/boards/{told['id']}")
