"""What problems say in Chinese: words by their codes, with the values that the server sends."""

from __future__ import annotations

import re
from typing import Any

import pytest

from serving import Server
from web.conftest import ROOT
from web.editor import Editor, graph
from web.test_documents import PAIR
from web.test_languages import chinese as in_chinese

chinese = in_chinese  # the fixture
SOURCE = (ROOT / "web" / "src" / "i18n" / "problems.zh.ts").read_text(encoding="utf-8")
MESSAGES = dict(re.findall(r'^  (\w+): "([^"]*\{[^"]*)",$', SOURCE, re.MULTILINE))
ODD = graph({"odd": ("acme/paint.splash", 0, 0), "sample": ("sampling.sample", 300, 0)})
ODD["nodes"]["sample"]["values"] = {"sampler": "eular"}
# A request that meets the problem, and the value that is to be told.
MET: dict[str, tuple[str, str, Any, str | int]] = {
    "unknown_type": ("POST", "/check", {"document": ODD}, "acme/paint.splash"),
    "not_a_choice": ("POST", "/check", {"document": ODD}, "eular"),
    "unknown_node": ("POST", "/check", {"document": PAIR, "targets": ["nobody"]}, "nobody"),
    "run_missing": ("GET", "/runs/r987654", None, "r987654"),
    "batch_missing": ("GET", "/batches/b0123456789ab", None, "b0123456789ab"),
    "output_missing": ("GET", "/gallery/p987654", None, "p987654"),
    "download_missing": ("DELETE", "/downloads/d0123456789ab", None, "d0123456789ab"),
    "revision_missing": ("GET", "/workflows/told%20in%20chinese/revisions/77", None, 77),
    "name_taken": ("POST", "/workflows/told%20in%20chinese/rename", {"name": "taken", "revision": 1}, "taken"),
}


def test_every_message_has_a_request_that_meets_it() -> None:
    assert MESSAGES.keys() == MET.keys()
    assert {gap for text in MESSAGES.values() for gap in re.findall(r"\{(\w+)\}", text)} == {"value"}


@pytest.mark.parametrize("code", sorted(MET))
def test_the_server_sends_the_value_that_a_message_names(server: Server, code: str) -> None:
    for name in ("told%20in%20chinese", "taken"):
        server.call("PUT", f"/workflows/{name}", {"document": PAIR, "revision": 0})
    method, address, body, value = MET[code]
    _, answer = server.call(method, address, body)
    assert [problem["value"] for problem in answer["problems"] if problem["code"] == code] == [value]


def test_a_problem_is_said_in_chinese_with_its_value(chinese: Editor) -> None:
    chinese.open(ODD)
    chinese.press("Control+Enter")
    problem = chinese.node("odd").locator(".node-problem", has_text="没有安装类型为“acme/paint.splash”的节点。")
    problem.wait_for()
    assert "There is no" not in problem.inner_text()
    chinese.press("e")
    row = chinese.page.locator(".problem-list li", has_text="“eular”不在可选项之中。")
    row.wait_for()
    assert "is not one of" not in row.inner_text()
