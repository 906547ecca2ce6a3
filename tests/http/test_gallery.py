"""The gallery: found by words, node, model and date; thrown away and taken back; files that came by other ways."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from safelight.graph import Document, check
from safelight.host.database import migrate
from safelight.host.documents import facts_of
from safelight.host.gallery import records as gallery
from safelight.host.gallery.records import Record, Wanted
from safelight.host.schema import MIGRATIONS
from safelight.media.registry import built_in
from safelight.places import shipped_workflows
from safelight.protocol.facts import Facts, Parameter
from safelight.sdk.pack import load_packs
from serving import Server, found, saved, serving
from waiting import until

embed = built_in().embed


def test_what_a_run_made_is_in_the_gallery_with_its_parameters(server: Server) -> None:
    item = saved(server, 880_001)
    assert item["media_type"] == "text/plain" and item["workflow"] == "test" and item["trashed"] is None
    assert item["nodes"] == ["trivial/work.number", "trivial/work.save"]
    assert item["name"] in found(server, "node=trivial/work.save")
    assert item["name"] in found(server, f"since={item['made'] - 1}&until={item['made'] + 1}")
    assert item["name"] not in found(server, f"until={item['made'] - 1}")
    assert found(server, "node=trivial/work.add") == []
    _, detail = server.call("GET", f"/gallery/{item['id']}")
    typed = {(one["node"], one["port"]): one["value"] for one in detail["parameters"]}
    assert typed["n", "value"] == 880_001 and typed["save", "name"] == "number_{counter}.txt"
    assert detail["inputs"] == {"value": 880_001}
    _, document = server.call("GET", f"/gallery/{item['id']}/document")
    assert document["nodes"]["n"]["values"]["value"] == 880_001
    _, facets = server.call("GET", "/gallery/facets")
    assert facets["nodes"]["trivial/work.save"] >= 1
    assert server.call("GET", "/gallery/p999999999")[0] == 404


def test_what_is_thrown_away_can_be_taken_back(server: Server) -> None:
    item, other = saved(server, 880_100), saved(server, 880_101)
    path = server.home / "output" / item["name"]
    assert server.call("POST", "/gallery/trash", {"items": [item["id"]]})[1] == {"items": [item["id"]]}
    assert server.call("POST", "/gallery/trash", {"items": [item["id"]]})[1] == {"items": []}, "only once"
    assert not path.exists()
    assert item["name"] not in found(server, "") and item["name"] in found(server, "trash=true")
    assert other["name"] in found(server, "")
    assert server.call("GET", item["url"].removeprefix("/api/v1"))[0] == 200, "it can still be looked at"
    path.write_text("in its place", encoding="utf-8")
    assert server.call("POST", "/gallery/restore", {"items": [item["id"]]})[1] == {"items": [item["id"]]}
    _, back = server.call("GET", f"/gallery/{item['id']}")
    assert back["name"] != item["name"] and back["trashed"] is None
    assert (server.home / "output" / back["name"]).read_text() == "880100\n"
    assert path.read_text() == "in its place", "nothing is overwritten"
    # The plain way of removing an output is no other: it lands in the trash, too.
    assert server.call("DELETE", f"/files/output/{quote(other['name'])}")[1] == {"count": 1}
    assert other["name"] in found(server, "trash=true")
    assert server.call("DELETE", f"/files/output/{quote(other['name'])}")[0] == 404
    assert server.call("POST", "/gallery/empty")[1]["count"] >= 1
    assert found(server, "trash=true") == [] and not list((server.home / "trash").iterdir())
    assert server.call("POST", "/gallery/restore", {"items": [other["id"]]})[1] == {"items": []}


def test_a_image_made_again_comes_out_of_the_trash_by_itself(server: Server) -> None:
    item = saved(server, 880_200)
    server.call("POST", "/gallery/trash", {"items": [item["id"]]})
    again = saved(server, 880_200)
    assert (again["name"], again["trashed"]) == (item["name"], None)
    assert (server.home / "output" / item["name"]).exists()


def test_images_that_came_by_other_ways_are_found(tmp_path: Path) -> None:
    document = json.loads((shipped_workflows() / "text_to_image.json").read_text(encoding="utf-8"))
    document["nodes"]["prompt"]["values"]["text"] = "A Purple whale"
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30)).save(buffer, "PNG")
    home = tmp_path / "home"
    folder = home / "output" / "old"
    folder.mkdir(parents=True)
    (folder / "whale.png").write_bytes(embed(buffer.getvalue(), "image/png", json.dumps(document)))
    (folder / "plain.png").write_bytes(buffer.getvalue())
    half_written, under_way = folder / ".0123.part", folder / ".4567.part"
    for path, age in ((half_written, 3600), (under_way, 0)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age, time.time() - age))

    def listed(query: str, names: list[str]) -> None:
        until(lambda: sorted(found(server, query)), lambda seen: seen == sorted(names))

    with serving(home) as server:
        listed("", ["old/whale.png", "old/plain.png"])
        listed("search=purple%20WHALE", ["old/whale.png"])
        listed("model=starter&node=sampling.sample", ["old/whale.png"])
        (item,) = server.call("GET", "/gallery?search=whale")[1]["items"]
        assert item["prompts"][0] == "A Purple whale" and item["seed"] == 1 and item["width"] == 40
        _, carried = server.call("GET", f"/gallery/{item['id']}/document")
        assert carried["nodes"]["prompt"]["values"]["text"] == "A Purple whale"
        assert under_way.exists() and not half_written.exists()
        (plain,) = server.call("GET", "/gallery?search=plain")[1]["items"]
        status, answer = server.call("GET", f"/gallery/{plain['id']}/document")
        assert (status, answer["problems"][0]["code"]) == (422, "no_workflow_inside")
        (folder / "plain.png").unlink()
    with serving(home) as server:
        listed("", ["old/whale.png"])


# On record, without a server


@pytest.fixture
def connection() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.row_factory = sqlite3.Row
    migrate(made, 0)
    return made


def test_ten_thousand_images_are_searched_in_no_time(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    gallery.add(connection, (record(number) for number in range(10_000)))
    connection.execute("COMMIT")
    slowest = 0.0
    for wanted, count in (
        (Wanted(), 10_000),
        (Wanted(search="apple blue"), 1_000),
        (Wanted(node="sampling.sample", model="org/model-3"), 1_000),
        (Wanted(since=9_000.0), 1_000),
    ):
        started = time.process_time()
        items, total = gallery.page(connection, wanted, max(0, count - 100), 100, built_in())
        slowest = max(slowest, time.process_time() - started)
        assert total == count and len(items) == 100
    # About 30 ms for the slowest here; the index gone or a decoded row each would cost seconds.
    assert slowest < 0.5


def record(number: int) -> Record:
    colour = "blue" if number % 10 == 0 else "red"
    parameters = tuple(Parameter(node=f"n{one}", type="sampling.sample", port="steps", value=one) for one in range(20))
    facts = Facts(
        prompts=(f"a {colour} apple, number {number}",),
        models=(f"org/model-{number % 10}",),
        nodes=("models.load", "sampling.sample", "image.save"),
        parameters=parameters,
    )
    return Record(
        name=f"p_{number:05}.png",
        digest=f"{number:040x}",
        made=float(number),
        media_type="image/png",
        size=1,
        facts=facts,
    )


def test_files_of_an_older_database_are_kept(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "old.sqlite", isolation_level=None)
    connection.row_factory = sqlite3.Row
    for statement in MIGRATIONS[0].split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute("PRAGMA user_version = 1")
    connection.execute("INSERT INTO document VALUES ('d', x'7b7d')")
    connection.execute(
        "INSERT INTO run (name, status, priority, rank, document, options, inputs, search, created, finished, "
        "workflow) VALUES ('n', 'done', 0, 0, 'd', '{}', '{}', '', 1, 77, 'mine')"
    )
    connection.execute("INSERT INTO file VALUES ('a.png', 'abc', 1, 'image/png', 10, 4, 5)")
    migrate(connection, 1)
    (item,) = gallery.page(connection, Wanted(), 0, 10, built_in())[0]
    assert (item.name, item.digest, item.run, item.made, item.workflow, item.width) == (
        "a.png",
        "abc",
        "r1",
        77.0,
        "mine",
        4,
    )


def test_the_facts_are_those_on_the_way_to_an_output() -> None:
    document = Document.loads((shipped_workflows() / "text_to_image.json").read_bytes())
    graph = check(document, load_packs()).require()
    facts = facts_of(graph, "save")
    assert facts.prompts == ("a red apple",) and facts.models == ("starter",) and facts.seed == 1
    assert facts.nodes[0] == "models.load" and facts.nodes[-1] == "image.save"
    assert facts_of(graph, "prompt").nodes == ("models.load", "text.encode")
