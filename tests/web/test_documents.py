"""Workflows as documents: saved by themselves, kept through crashes, versions side by side, shared."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from serving import Server
from web.conftest import FLAGS
from web.editor import Editor, graph

PAIR = graph({"empty": ("latent.empty", 0, 0), "decode": ("vae.decode", 400, 0)}, [("empty.latent", "decode.latent")])


def tab(editor: Editor, field: str) -> Any:
    return editor.state(f"tabs.find(tab => tab.id === state.active).{field}")


def set_width(editor: Editor, width: int) -> None:
    """A change through a field of a node, as a user makes it."""
    field = editor.node("empty").get_by_role("spinbutton", name="Width")
    field.focus()
    editor.page.keyboard.type(str(width))
    editor.page.keyboard.press("Enter")
    editor.settle()


def width(document: dict[str, Any]) -> Any:
    return document["nodes"]["empty"].get("values", {}).get("width")


def saved_as(editor: Editor, name: str, server: Server) -> None:
    """The document on screen becomes a saved workflow."""
    editor.page.keyboard.press("Control+s")
    field = editor.page.get_by_label("Name of the workflow")
    field.fill(name)
    editor.page.keyboard.press("Enter")
    editor.wait(f"__safelight.app.getState().workflows.some(one => one.name === {json.dumps(name)})")
    assert width(server.ask("GET", f"/workflows/{quote(name)}")["document"]) is None


def wait_saved(editor: Editor) -> None:
    editor.wait(
        "(() => { const s = __safelight.app.getState(); const t = s.tabs.find(t => t.id === s.active);"
        " return (t.name || t.draft) !== '' && t.base === t.document; })()"
    )


def test_a_change_of_a_saved_workflow_is_saved_by_itself(editor: Editor, server: Server) -> None:
    editor.open(PAIR)
    saved_as(editor, "by itself", server)
    for wanted in (64, 128):
        set_width(editor, wanted)
        wait_saved(editor)
        assert width(server.ask("GET", "/workflows/by%20itself")["document"]) == wanted


def test_an_earlier_revision_is_restored_and_that_can_be_undone(editor: Editor, server: Server) -> None:
    editor.open(PAIR)
    saved_as(editor, "restored", server)
    set_width(editor, 64)
    editor.page.keyboard.press("Control+s")
    wait_saved(editor)
    editor.page.get_by_role("button", name="Workflow menu").click()
    editor.page.click('[data-command="revisions"]')
    editor.page.click('[data-revision="1"]')
    editor.page.get_by_text("empty.width: 64 → default").wait_for()
    editor.page.get_by_role("button", name="Restore", exact=True).click()
    assert width(editor.document) is None
    wait_saved(editor)
    assert width(server.ask("GET", "/workflows/restored")["document"]) is None
    editor.press("Control+z")
    assert width(editor.document) == 64


@pytest.mark.parametrize("choice", ["mine", "theirs", "both"])
def test_a_conflict_shows_both_and_loses_neither(editor: Editor, server: Server, choice: str) -> None:
    name = f"conflict-{choice}"
    editor.open(PAIR)
    saved_as(editor, name, server)
    # While a change waits to be saved, somebody else saves one.
    set_width(editor, 64)
    theirs = {**PAIR, "nodes": {**PAIR["nodes"], "extra": {"type": "values.seed"}}}
    path = f"/workflows/{name}"
    server.ask("PUT", path, {"document": theirs, "revision": 1})
    editor.page.get_by_role("button", name="Compare the two").click()
    sheet = editor.page.locator("dialog.conflict")
    sheet.get_by_text("empty.width: default → 64").wait_for()
    assert sheet.locator(".graph-image").count() == 2
    sheet.get_by_text("− extra").wait_for()
    editor.page.click(f'[data-choice="{choice}"]')
    editor.wait("__safelight.app.getState().tabs.every(tab => tab.conflict === null)")
    there = server.ask("GET", path)["document"]
    if choice == "mine":
        wait_saved(editor)
        there = server.ask("GET", path)["document"]
        assert width(there) == 64
        assert "extra" in server.ask("GET", f"{path}/revisions/2")["document"]["nodes"]
    elif choice == "theirs":
        assert "extra" in editor.document["nodes"] and "extra" in there["nodes"]
        editor.press("Control+z")
        assert width(editor.document) == 64, "the way back is one undo"
    else:
        editor.wait("__safelight.app.getState().tabs.filter(tab => tab.revision > 0).length === 2")
        assert "extra" in there["nodes"]
        other = editor.state("tabs.find(tab => tab.name.startsWith('conflict-both ')).name")
        assert width(server.ask("GET", f"/workflows/{other.replace(' ', '%20')}")["document"]) == 64


def test_an_unchanged_tab_follows_what_is_saved_elsewhere(editor: Editor, server: Server) -> None:
    editor.open(PAIR)
    saved_as(editor, "followed", server)
    changed = json.loads(json.dumps(PAIR))
    changed["nodes"]["empty"]["values"]["width"] = 96
    server.ask("PUT", "/workflows/followed", {"document": changed, "revision": 1})
    editor.wait("__safelight.write().includes('\"width\": 96')")
    assert tab(editor, "conflict") is None


def test_a_closed_tab_is_brought_back(editor: Editor, server: Server) -> None:
    editor.open(PAIR)
    saved_as(editor, "closed one", server)
    set_width(editor, 72)
    editor.press("Alt+x")
    editor.wait("!__safelight.app.getState().tabs.some(tab => tab.name === 'closed one')")
    editor.page.reload()
    editor.wait("window.__safelight?.app.getState().ready")
    editor.press("t")
    editor.page.locator("[data-closed]", has_text="closed one").first.click()
    editor.wait("__safelight.app.getState().tabs.some(tab => tab.name === 'closed one')")
    assert width(editor.document) == 72


def test_saved_workflows_are_renamed_and_deleted_with_a_way_back(editor: Editor, server: Server) -> None:
    editor.open(PAIR)
    saved_as(editor, "plain name", server)
    page = editor.page
    page.keyboard.press("Escape")
    editor.press("t")
    row = page.locator(".workflow-list li", has=page.locator('[data-workflow="plain name"]'))
    row.hover()
    row.get_by_role("button", name="Menu of plain name").click()
    page.click('[data-command="rename"]')
    field = page.get_by_label("Name of the workflow")
    field.fill("better name")
    page.keyboard.press("Enter")
    page.locator('[data-workflow="better name"]').wait_for()
    assert tab(editor, "name") == "better name"
    set_width(editor, 80)
    wait_saved(editor)
    assert width(server.ask("GET", "/workflows/better%20name")["document"]) == 80
    row = page.locator(".workflow-list li", has=page.locator('[data-workflow="better name"]'))
    row.get_by_role("button", name="better name", exact=False).first.click(button="right")
    page.click('.menu-popup [data-command="delete"]')
    assert page.locator('[data-workflow="better name"]').count() == 0
    page.locator(".toast").get_by_role("button", name="Undo").click()
    page.locator('[data-workflow="better name"]').wait_for()
    assert server.ask("GET", "/workflows/better%20name")["revision"] > 1


def test_two_windows_keep_their_own_tabs(editor: Editor, context: Any, server: Server) -> None:
    editor.open({**PAIR, "name": "first window"})
    set_width(editor, 64)
    other = Editor(context.new_page(), server.url)
    other.visit()
    assert other.document["nodes"] == {}, "what the first window has open is not taken from it"
    other.open({**PAIR, "name": "second window"})
    for one, name in ((editor, "first window"), (other, "second window")):
        one.page.reload()
        one.wait("window.__safelight?.app.getState().ready")
        assert one.document["name"] == name
    # What a closed window had open goes to the next new one.
    other.page.close()
    third = Editor(context.new_page(), server.url)
    third.visit()
    assert third.document["name"] == "second window"


def test_what_is_not_on_this_machine_is_kept_and_says_what_to_do(editor: Editor) -> None:
    document = graph(
        {"odd": ("acme/paint.splash", 0, 0), "load": ("models.load", 0, 300), "decode": ("vae.decode", 400, 0)},
        [("odd.latent", "decode.latent"), ("load.vae", "decode.vae")],
    )
    document["nodes"]["odd"]["values"] = {"mood": "blue"}
    document["nodes"]["load"]["values"] = {"model": "someone/great-model"}
    editor.open(document)
    editor.page.get_by_role("button", name="What to do").click()
    pack, model = (
        editor.page.locator(f'[data-missing="{name}"]') for name in ("acme/paint.splash", "someone/great-model")
    )
    assert "pip install acme" in pack.inner_text()
    assert "safelight models download someone/great-model" in model.inner_text()
    assert editor.node("load").locator(".model-field.missing").count() == 1
    model.get_by_role("button", name="Show the node").click()
    assert editor.selection == ["load"]
    pack.get_by_role("button", name="Change its type").click()
    editor.page.keyboard.type("empty latent")
    editor.page.locator('[data-option="latent.empty"]').click()
    assert editor.document["nodes"]["odd"]["type"] == "latent.empty"
    assert "odd.latent > decode.latent" in editor.links, "the wire fits the new type"
    assert pack.count() == 0


def test_a_workflow_as_json_to_the_clipboard_to_a_file_and_back(editor: Editor, tmp_path: Path) -> None:
    editor.open(PAIR)
    editor.press("Control+k")
    editor.page.keyboard.type("copy the workflow")
    editor.page.keyboard.press("Enter")
    editor.page.get_by_text("copied as JSON").wait_for()
    copied = editor.page.evaluate("navigator.clipboard.readText()")
    assert json.loads(copied)["nodes"].keys() == PAIR["nodes"].keys()
    with editor.page.expect_download() as saved:
        editor.press("Control+e")
    path = tmp_path / saved.value.suggested_filename
    saved.value.save_as(path)
    assert path.suffix == ".json" and path.read_text(encoding="utf-8").strip() == copied.strip()
    editor.press("Alt+n")
    with editor.page.expect_file_chooser() as asked:
        editor.press("Control+o")
    asked.value.set_files(path)
    editor.wait("__safelight.stage.geometry.nodes.size === 2")
    assert editor.links == {"empty.latent > decode.latent"}


def test_a_server_killed_during_a_run(browser: Any, tmp_path: Path) -> None:
    server = Server(tmp_path / "home", pack=False)
    try:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        editor = Editor(page, server.url)
        editor.visit()
        page.locator('[data-template="text_to_image"]').first.click()
        editor.wait_plan()
        editor.page.evaluate("__safelight.view.set(40, 60, 0.8)")
        steps = editor.node("sample").get_by_role("slider", name="Steps")
        steps.focus()
        page.keyboard.type("60")
        page.keyboard.press("Enter")
        wait_saved(editor)
        page.keyboard.press("Control+Enter")
        running = "Object.values(__safelight.app.getState().runNodes).some(run => run.sample?.step > 2)"
        editor.wait(running, 60)
        server.kill()
        page.get_by_text("No connection to the server").wait_for()
        # Edits go on.
        page.locator('[data-node="prompt"] textarea').fill("a blue bird")
        assert editor.document["nodes"]["prompt"]["values"]["text"] == "a blue bird"
        server = Server(server.home, "--port", str(urlsplit(server.url).port), pack=False)
        page.get_by_text("Connected again").wait_for()
        assert not page.get_by_text("No connection to the server").is_visible()
        # The run goes on where it was, and ends; the page shows its true state.
        ended = (
            "(() => { const s = __safelight.app.getState(); const t = s.tabs.find(t => t.id === s.active);"
            " return s.runs[t.run]?.status; })()"
        )
        editor.wait(f"{ended} === 'done'", 240)
        assert editor.node("sample").get_attribute("data-status") in ("done", "cached", "will-run")
        wait_saved(editor)
        document = server.ask("GET", f"/workflows/{tab(editor, 'draft')}")["document"]
        assert document["nodes"]["prompt"]["values"]["text"] == "a blue bird"
        assert not editor.errors, editor.errors
        page.close()
    finally:
        server.stop()


class Chromium:
    """A browser of its own that can be killed as a power cut would."""

    def __init__(self, playwright: Any, path: str, profile: Path) -> None:
        port = profile / "DevToolsActivePort"
        port.unlink(missing_ok=True)
        command = [path, "--headless=new", *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        self._process = subprocess.Popen(
            [*command, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        for _ in range(200):
            if port.is_file() and re.match(r"\d+\n", port.read_text()):
                break
            time.sleep(0.1)
        address = f"http://127.0.0.1:{port.read_text().split()[0]}"
        self.browser = playwright.chromium.connect_over_cdp(address)

    def page(self) -> Any:
        return self.browser.contexts[0].new_page()

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@pytest.mark.parametrize("gesture", ["drag", "typing", "add"])
def test_a_browser_killed_in_mid_edit(
    playwright: Any, chromium: str, server: Server, tmp_path: Path, gesture: str
) -> None:
    first = Chromium(playwright, chromium, tmp_path)
    try:
        editor = Editor(first.page(), server.url)
        editor.visit()
        editor.open(PAIR)
        if gesture == "drag":
            x, y = editor.header("decode")
            editor.drag((x, y), (x + 60, y + 140), keys=("Control",))
        elif gesture == "typing":
            set_width(editor, 640)
        else:
            editor.page.mouse.dblclick(700, 500)
            editor.page.keyboard.type("seed")
            editor.page.keyboard.press("Enter")
            editor.settle()
        before = editor.text
        editor.page.wait_for_timeout(500)  # after many changes in a row it is written a quarter of a second later
    finally:
        first.kill()
    second = Chromium(playwright, chromium, tmp_path)
    try:
        editor = Editor(second.page(), server.url)
        editor.visit()
        assert editor.text == before
    finally:
        second.kill()
