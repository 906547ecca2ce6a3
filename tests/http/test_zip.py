"""Several outputs as one file: complete, under names that differ, and told where one is not there."""

from __future__ import annotations

import asyncio
import io
import urllib.error
import urllib.request
from zipfile import ZipFile

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from safelight.host.files import Bytes
from safelight.http.zipped import Member, send_zip, unlike
from serving import Server, saved


def fetched(server: Server, items: str) -> tuple[dict[str, str], bytes]:
    request = f"{server.url}/api/v1/gallery/zip?items={items}"
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(answer.headers), answer.read()


def test_several_outputs_are_one_zip(server: Server) -> None:
    first, second = saved(server, 880_101), saved(server, 880_102)
    headers, data = fetched(server, f"{first['id']},{second['id']}")
    assert headers["Content-Type"] == "application/zip"
    assert "safelight.zip" in headers["Content-Disposition"]
    with ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [first["name"], second["name"]]
        assert archive.read(second["name"]) == b"880102\n"
        assert archive.infolist()[0].date_time[0] >= 2025


def test_what_is_in_the_trash_and_what_is_named_twice_is_in_it_once(server: Server) -> None:
    here, thrown = saved(server, 880_104), saved(server, 880_105)
    assert server.call("POST", "/gallery/trash", {"items": [thrown["id"]]})[0] == 200
    _, data = fetched(server, f"{here['id']},%20{thrown['id']},{here['id']}")
    with ZipFile(io.BytesIO(data)) as archive:
        assert [archive.read(name) for name in archive.namelist()] == [b"880104\n", b"880105\n"]


def test_one_that_is_not_there_is_told_and_none_is_refused(server: Server) -> None:
    here = saved(server, 880_103)
    for items, status in ((f"{here['id']},p99999999", 404), ("", 400), (",", 400), ("nonsense", 404)):
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetched(server, items)
        assert caught.value.code == status, items


def test_names_in_a_zip_differ() -> None:
    names = [
        "a/cat.png",
        "a/Cat.png",
        "a/cat (2).png",
        "a/cat.png",
        "b/cat.png",
        "\u00e9.png",
        "e\u0301.png",
        "..\\x.png",
    ]
    found = [member.name for member in unlike([Member(name, 0.0, empty) for name in names])]
    assert found[:5] == ["a/cat.png", "a/Cat (2).png", "a/cat (2) (2).png", "a/cat (3).png", "b/cat.png"]
    assert found[5:] == ["\u00e9.png", "\u00e9 (2).png", ".._x.png"]


def empty() -> Bytes:
    return Bytes("text/plain", 0, "0" * 40)


@pytest.mark.parametrize("made", [-1e20, 0.0, 5e9, 1e20])
def test_a_file_of_any_date_is_sent(made: float) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await send_zip(request, [Member("a.txt", made, empty)], "a.zip")

    async def got() -> bytes:
        app = web.Application()
        app.router.add_get("/", answer)
        async with TestClient(TestServer(app)) as client:
            return await (await client.get("/")).read()

    with ZipFile(io.BytesIO(asyncio.run(got()))) as archive:
        assert archive.namelist() == ["a.txt"]
        assert 1980 <= archive.infolist()[0].date_time[0] <= 2107
