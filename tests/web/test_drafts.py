"""What nobody has named yet: kept by the server as drafts, apart from the saved workflows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from serving import Server
from web.editor import Editor
from web.test_documents import PAIR, saved_as, set_width, tab, wait_saved, width


@pytest.fixture(autouse=True)
def tidy(server: Server) -> Iterator[None]:
    """No drafts of other tests, and none left for them."""
    forget_drafts(server)
    yield
    forget_drafts(server)


def forget_drafts(server: Server) -> None:
    for one in drafts(server):
        server.ask("DELETE", f"/workflows/{quote(one['name'])}")


def drafts(server: Server) -> list[dict[str, Any]]:
    return [one for one in server.ask("GET", "/workflows?drafts=true") if one["draft"]]


def named(server: Server) -> list[str]:
    return [one["name"] for one in server.ask("GET", "/workflows")]


def begin(editor: Editor, title: str, wide: int = 64) -> str:
    """A document that came from somewhere is changed; the key of the draft that comes of it."""
    editor.open({**PAIR, "name": title})
    set_width(editor, wide)
    wait_saved(editor)
    return tab(editor, "draft")


def test_a_template_that_was_only_looked_at_leaves_nothing(editor: Editor, server: Server) -> None:
    before = named(server)
    editor.page.locator('[data-template="text_to_image"]').first.click()
    editor.wait("JSON.parse(__safelight.write()).name === 'text_to_image'")
    x, y = editor.at(900, 900)
    editor.drag((x, y), (x - 120, y - 80), button="middle")
    editor.page.wait_for_timeout(2500)  # longer than a change waits to be saved
    editor.press("Alt+x")
    editor.page.wait_for_timeout(500)
    assert drafts(server) == [] and named(server) == before


def test_what_was_begun_is_a_draft_and_survives_a_reload_and_another_browser(
    editor: Editor, browser: Any, server: Server
) -> None:
    before = named(server)
    key = begin(editor, "begun_here")
    (draft,) = drafts(server)
    assert (draft["name"], draft["title"], draft["nodes"]) == (key, "begun_here", 2)
    assert named(server) == before, "it is not among the saved ones"
    set_width(editor, 128)
    wait_saved(editor)
    assert tab(editor, "draft") == key and len(drafts(server)) == 1, "the same draft goes on"
    editor.page.reload()
    editor.wait("window.__safelight?.app.getState().ready")
    assert width(editor.document) == 128 and tab(editor, "draft") == key
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    other = Editor(context.new_page(), server.url)
    other.visit()
    other.press("t")
    other.page.locator(f'[data-draft="{key}"]', has_text="Begun here").click()
    other.wait("__safelight.write().includes('begun_here')")
    assert width(other.document) == 128
    set_width(other, 256)
    wait_saved(other)
    editor.wait("__safelight.write().includes('\"width\": 256')")  # an unchanged tab follows
    assert not other.errors
    context.close()


def test_a_draft_that_is_named_becomes_a_workflow_with_its_history(editor: Editor, server: Server) -> None:
    key = begin(editor, "to be named")
    editor.press("t")
    editor.page.locator(f'[data-draft="{key}"]').wait_for()
    editor.page.keyboard.press("Control+s")
    editor.page.get_by_label("Name of the workflow").fill("named at last")
    editor.page.keyboard.press("Enter")
    editor.page.locator('[data-workflow="named at last"]').wait_for()
    editor.wait("!document.querySelector('[data-draft]')")
    assert drafts(server) == [] and (tab(editor, "name"), tab(editor, "draft")) == ("named at last", "")
    set_width(editor, 96)
    wait_saved(editor)
    assert drafts(server) == []
    assert width(server.ask("GET", "/workflows/named%20at%20last")["document"]) == 96
    assert width(server.ask("GET", "/workflows/named%20at%20last/revisions/1")["document"]) == 64


def test_a_name_that_is_taken_leaves_the_draft_as_it_is(editor: Editor, server: Server) -> None:
    key = begin(editor, "second")
    editor.press("Control+s")
    field = editor.page.get_by_label("Name of the workflow")
    field.fill("taken meanwhile")
    server.ask("PUT", "/workflows/taken%20meanwhile", {"document": PAIR, "revision": 0})
    editor.page.route("**/api/v1/workflows?*", lambda route: route.abort())  # the news has not come yet
    editor.page.keyboard.press("Enter")
    editor.page.get_by_text("There is already a workflow named taken meanwhile.").first.wait_for()
    editor.page.unroute("**/api/v1/workflows?*")
    assert (tab(editor, "name"), tab(editor, "draft")) == ("", key)
    assert width(server.ask("GET", "/workflows/taken%20meanwhile")["document"]) is None


def test_a_tab_closed_at_once_stays_among_the_drafts(editor: Editor, server: Server) -> None:
    editor.open({**PAIR, "name": "closed in haste"})
    set_width(editor, 72)
    editor.press("Alt+x")
    editor.press("t")
    row = editor.page.locator("[data-draft]", has_text="closed in haste")
    row.wait_for()
    assert editor.page.locator("[data-closed]", has_text="closed in haste").count() == 0, "it is listed once"
    (draft,) = drafts(server)
    assert width(server.ask("GET", f"/workflows/{draft['name']}")["document"]) == 72
    row.click()
    editor.wait("__safelight.write().includes('closed in haste')")
    assert width(editor.document) == 72


def test_a_closed_draft_that_is_brought_back_goes_on_as_the_same(editor: Editor, server: Server) -> None:
    editor.open({**PAIR, "name": "back again"})
    set_width(editor, 72)
    editor.press("Alt+x")
    editor.page.locator(".toast").get_by_role("button", name="Undo").click()
    editor.wait("__safelight.write().includes('back again')")
    set_width(editor, 88)
    wait_saved(editor)
    (draft,) = drafts(server)
    assert width(server.ask("GET", f"/workflows/{draft['name']}")["document"]) == 88
    assert tab(editor, "conflict") is None


def test_a_draft_is_deleted_with_a_way_back(editor: Editor, server: Server) -> None:
    key = begin(editor, "not wanted")
    editor.press("Alt+x")
    editor.press("t")
    row = editor.page.locator("li", has=editor.page.locator(f'[data-draft="{key}"]'))
    delete = row.get_by_role("button", name="Delete the draft not wanted")
    row.hover()
    delete.click()
    row.wait_for(state="detached")
    editor.page.locator(".toast", has_text="was deleted").get_by_role("button", name="Undo").click()
    row.wait_for()
    assert len(drafts(server)) == 1
    row.hover()
    delete.click()
    editor.page.wait_for_timeout(6500)  # until there is no way back
    assert drafts(server) == []


@pytest.mark.parametrize("choice", ["mine", "theirs", "both"])
def test_a_draft_changed_in_two_places_loses_neither(editor: Editor, server: Server, choice: str) -> None:
    key = begin(editor, f"twice {choice}")
    set_width(editor, 80)
    theirs = {**PAIR, "name": f"twice {choice}", "nodes": {**PAIR["nodes"], "extra": {"type": "values.seed"}}}
    server.ask("PUT", f"/workflows/{key}", {"document": theirs, "revision": 1, "draft": True})
    editor.page.get_by_role("button", name="Compare the two").click()
    editor.page.locator("dialog.conflict").get_by_text("− extra").wait_for()
    editor.page.click(f'[data-choice="{choice}"]')
    editor.wait("__safelight.app.getState().tabs.every(tab => tab.conflict === null)")
    if choice != "both":
        wait_saved(editor)
        there = server.ask("GET", f"/workflows/{key}")["document"]
        assert ("extra" in there["nodes"]) == (choice == "theirs")
        return
    editor.wait("__safelight.app.getState().tabs.filter(tab => tab.draft && tab.revision > 0).length === 2")
    found = [server.ask("GET", f"/workflows/{one['name']}")["document"] for one in drafts(server)]
    assert len(found) == 2 and sorted("extra" in one["nodes"] for one in found) == [False, True]
    assert {width(one) for one in found} == {80, None}


def test_what_was_saved_before_stays_a_saved_workflow(editor: Editor, server: Server) -> None:
    editor.open(PAIR)
    saved_as(editor, "always was one", server)
    editor.press("Alt+x")
    editor.press("t")
    editor.page.locator('[data-workflow="always was one"]').click()
    editor.wait("__safelight.stage.geometry.nodes.size === 2")
    assert (tab(editor, "name"), tab(editor, "draft")) == ("always was one", "")
    assert json.loads(editor.text)["nodes"].keys() == PAIR["nodes"].keys()
