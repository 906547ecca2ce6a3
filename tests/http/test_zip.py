"""Several outputs as one file: complete, under names that differ, and told where one is not there."""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from zipfile import ZipFile

import pytest

from safelight.host.files import Bytes
from safelight.http.zipped import Member, unlike
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


def test_one_that_is_not_there_is_told_and_none_is_refused(server: Server) -> None:
    here = saved(server, 880_103)
    for items, status in ((f"{here['id']},p99999999", 404), ("", 400), (",", 400), ("nonsense", 404)):
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetched(server, items)
        assert caught.value.code == status, items


def test_names_in_a_zip_differ() -> None:
    nothing = Bytes("text/plain", 0, "0" * 40)
    names = ["a/cat.png", "a/Cat.png", "a/cat (2).png", "a/cat.png", "b/cat.png"]
    found = [member.name for member in unlike([Member(name, 0.0, nothing) for name in names])]
    assert found == ["a/cat.png", "a/Cat (2).png", "a/cat (2) (2).png", "a/cat (3).png", "b/cat.png"]
