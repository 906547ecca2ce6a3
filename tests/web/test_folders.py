"""The saved workflows in order: folders, favourites, what was opened last; all of them found by a search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from serving import Server
from web.editor import Editor
from web.test_documents import PAIR


@pytest.fixture
def listed(editor: Editor, server: Server) -> Iterator[Editor]:
    """Three saved workflows, one of them in a folder in a folder."""
    for one in server.ask("GET", "/workflows?drafts=true"):
        server.ask("DELETE", f"/workflows/{quote(one['name'])}")
    for name in ("lamp", "face", "hills"):
        server.ask("PUT", f"/workflows/{name}", {"document": PAIR, "revision": 0})
    server.ask("PATCH", "/workflows/face", {"folder": "portraits/night"})
    editor.press("t")
    editor.page.locator('[data-workflow="face"]').wait_for()
    yield editor


def one(server: Server, name: str) -> dict[str, Any]:
    return next(found for found in server.ask("GET", "/workflows") if found["name"] == name)


def folder_of(editor: Editor, name: str) -> str | None:
    row = editor.page.locator(f'[data-workflow="{name}"]')
    return row.evaluate("one => one.closest('[data-folder]').dataset.folder")


def shown(editor: Editor) -> list[str]:
    return editor.page.locator("[data-workflow]").evaluate_all("all => all.map(one => one.dataset.workflow)")


def test_a_workflow_is_dragged_into_a_folder_and_out_of_it(listed: Editor, server: Server) -> None:
    page = listed.page
    assert folder_of(listed, "face") == "portraits/night" and folder_of(listed, "lamp") == ""
    page.locator('[data-workflow="lamp"]').drag_to(page.locator('[data-folder="portraits"] > .folder'))
    page.locator('[data-folder="portraits"] [data-workflow="lamp"]').wait_for()
    assert one(server, "lamp")["folder"] == "portraits" and one(server, "lamp")["revision"] == 1
    page.locator('[data-workflow="lamp"]').drag_to(page.locator('[data-workflow="hills"]'))
    page.locator('[data-folder="portraits"] [data-workflow="lamp"]').wait_for(state="detached")
    assert one(server, "lamp")["folder"] == ""


def test_a_workflow_is_moved_by_its_menu_and_a_folder_stays_shut(listed: Editor, server: Server) -> None:
    page = listed.page
    page.locator('[data-workflow="hills"]').click(button="right")
    page.click('[data-command="move"]')
    page.get_by_label("Folder").fill(" land / far ")
    page.keyboard.press("Enter")
    page.locator('[data-folder="land/far"] [data-workflow="hills"]').wait_for()
    assert one(server, "hills")["folder"] == "land/far"
    head = page.locator('[data-folder="land"] > .folder')
    assert "1" in head.inner_text()
    head.focus()
    page.keyboard.press("Enter")
    page.locator('[data-workflow="hills"]').wait_for(state="detached")
    page.reload()
    listed.wait("window.__safelight?.app.getState().ready")
    listed.press("t")
    page.locator('[data-workflow="face"]').wait_for()
    assert "hills" not in shown(listed), "shut is shut after a reload"
    page.get_by_label("Search workflows").fill("hil")
    page.locator('[data-workflow="hills"]', has_text="land/far").wait_for()
    assert shown(listed) == ["hills"], "a search finds what lies in a shut folder"


def test_stars_and_what_was_opened_last(listed: Editor, server: Server) -> None:
    page = listed.page
    row = page.locator("li", has=page.locator('[data-workflow="face"]'))
    row.hover()
    row.get_by_role("button", name="face is a favourite").click()
    page.click('[data-view="starred"]')
    listed.wait("document.querySelectorAll('[data-workflow]').length === 1")
    assert shown(listed) == ["face"] and one(server, "face")["starred"] is True
    page.click('[data-view="recent"]')
    page.get_by_text("Nothing opened yet").wait_for()
    page.click('[data-view="all"]')
    for name in ("hills", "face"):
        page.click(f'[data-workflow="{name}"]')
        listed.wait(f"__safelight.app.getState().tabs.some(tab => tab.name === '{name}')")
    page.click('[data-view="recent"]')
    listed.wait("document.querySelectorAll('[data-workflow]').length === 2")
    assert shown(listed) == ["face", "hills"]
    page.click('[data-workflow="hills"]')
    listed.wait("document.querySelector('[data-workflow]').dataset.workflow === 'hills'")


def test_a_renamed_workflow_stays_in_its_folder_with_its_star(listed: Editor, server: Server) -> None:
    server.ask("PATCH", "/workflows/face", {"starred": True})
    page = listed.page
    page.locator('[data-workflow="face"]').click(button="right")
    page.click('[data-command="rename"]')
    page.get_by_label("Name of the workflow").fill("faces")
    page.keyboard.press("Enter")
    page.locator('[data-workflow="faces"]').wait_for()
    assert folder_of(listed, "faces") == "portraits/night" and one(server, "faces")["starred"]


@pytest.mark.parametrize("folder", ["a//b", "/a", "..", "a/ b", "a\\b"])
def test_a_folder_that_cannot_be_named_is_refused(listed: Editor, server: Server, folder: str) -> None:
    status, answer = server.call("PATCH", "/workflows/lamp", {"folder": folder})
    assert (status, answer["problems"][0]["code"]) == (400, "bad_name")
    assert one(server, "lamp")["folder"] == ""
