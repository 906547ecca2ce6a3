"""Names of saved files: what is a good one, what its tokens become, and that a bad one is told before anything runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from safelight.app import Studio
from safelight.graph import Document
from safelight.interop.delivery import deliver
from safelight.interop.naming import filled_name
from safelight.media.registry import built_in
from safelight.sdk.file_names import pattern_fault, value_in_name
from safelight.sdk.values import File


@pytest.mark.parametrize(
    "name",
    ["a", "a/b_{counter}", "{counter}/a", "{date} {time}/{seed}_{sample.steps}", "folder\\a"],
)
def test_good_names(name: str) -> None:
    assert pattern_fault(name) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty"),
        ("/a", "not below"),
        ("C:\\a", "not below"),
        ("a\\..\\b", "leads out"),
        ("a//b", "empty part"),
        ("aux.png", "device"),
        ("a/COM1", "device"),
        ("a./b", "begins or ends"),
        ("a?b", "'?'"),
        ("{colour}", "{colour}"),
        ("a{b", "brace"),
        ("é" * 80, "too long"),
    ],
)
def test_bad_names_say_why(name: str, said: str) -> None:
    fault = pattern_fault(name)
    assert fault is not None and said in fault[0] and fault[1]


def document(name: str) -> Document:
    return Document.parse(
        {
            "format": "safelight/1",
            "nodes": {
                "text": {"type": "values.text", "values": {"value": "red / green: {x}"}},
                "seed": {"type": "values.integer", "values": {"value": 7}},
                "load": {"type": "image.load", "values": {"file": "apple.png"}},
                "resize": {"type": "image.resize", "values": {"width": 8, "height": 8}},
                "save": {"type": "image.save", "values": {"name": name}},
            },
            "links": [
                {"from": "load.image", "to": "resize.image"},
                {"from": "seed.value", "to": "resize.width"},
                {"from": "resize.image", "to": "save.image"},
            ],
        }
    )


@pytest.fixture
def studio(tmp_path: Path) -> Any:
    with Studio.open(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    "name", ["aux", "{colour}", "a/../../b", "{resize.hight}", "{resise.height}", "{seed}", "{load.mask}"]
)
def test_a_bad_name_is_told_by_check(studio: Studio, name: str) -> None:
    found = [p for p in studio.check(document(name)).problems if p.code == "bad_file_name"]
    assert [(p.node, p.port, p.level) for p in found] == [("save", "name", "error")]


def test_tokens_become_dates_and_values(studio: Studio) -> None:
    graph = studio.check(document("a")).graph
    assert graph is not None
    moment = time.mktime((2026, 3, 1, 14, 5, 9, 0, 0, -1))

    def filled(pattern: str) -> str:
        return filled_name(pattern, graph.trail("save"), moment)

    assert filled("{date}/{time}_{counter}") == "2026-03-01/14-05-09_{counter}"
    assert filled("{resize.height}x{resize.width}") == "8x7", "typed in, and linked to a value that is typed in"
    assert filled("{text.value}") == "red _ green_ (x)"


def test_values_in_names_are_short_and_good_everywhere() -> None:
    assert value_in_name(0.5) == "0.5" and value_in_name(True) == "True" and value_in_name(" . ") == "none"
    assert len(value_in_name("é" * 500).encode()) <= 60
    assert pattern_fault("x" + value_in_name('a/b\\c:"*?<>|\n')) is None


def saved(folder: Path, name: str, data: bytes) -> str:
    file = File(name, "text/plain", "", len(data), embed="nothing")
    return Path(deliver(file, data, folder, "", built_in()).path).relative_to(folder).as_posix()


def test_counters_count_folders_and_are_one_number(tmp_path: Path) -> None:
    name = "run_{counter}/image_{counter}.txt"
    assert saved(tmp_path, name, b"1") == "run_00001/image_00001.txt"
    assert saved(tmp_path, name, b"2") == "run_00002/image_00002.txt"
    assert saved(tmp_path, name, b"1") == "run_00001/image_00001.txt", "the same bytes are found again"
    (tmp_path / "run_00007").mkdir()
    assert saved(tmp_path, name, b"3") == "run_00008/image_00008.txt"


def test_windows_separators_make_the_same_folders(tmp_path: Path) -> None:
    assert saved(tmp_path, "a\\b.txt", b"1") == "a/b.txt" == saved(tmp_path, "a/b.txt", b"1")


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    from safelight.sdk import ProblemError

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "away").symlink_to(tmp_path)
    with pytest.raises(ProblemError, match="away"):
        saved(tmp_path / "out", "away/b.txt", b"1")
