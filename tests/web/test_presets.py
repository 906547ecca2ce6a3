"""Presets of a node and snippets: kept, applied and inserted in one step, renamed, deleted, written and read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import Server
from web.editor import Editor

SAMPLE = {"steps": 31, "guidance": 4.5, "seed": 77}


@pytest.fixture
def own(chain: Editor, server: Server) -> Iterator[Editor]:
    """The chain with values of its own, on a server that keeps no presets and no snippets."""
    forget(server)
    document = chain.document
    document["nodes"]["sample"]["values"] = dict(SAMPLE)
    chain.open(document)
    yield chain
    forget(server)


def forget(server: Server) -> None:
    for preset in server.ask("GET", "/presets"):
        server.ask("DELETE", f"/presets/{preset['id']}")
    for workflow in server.ask("GET", "/workflows"):
        if workflow["name"].startswith("library: "):
            server.ask("DELETE", f"/workflows/{workflow['name'].replace(' ', '%20')}")


def menu(editor: Editor, node: str, command: str) -> None:
    editor.page.mouse.click(*editor.header(node), button="right")
    editor.page.locator(f'[data-command="{command}"]').click()


def keep(editor: Editor, name: str, standard: bool = False) -> None:
    """Keeps the values of the sampler, with the seed as the sheet proposes it: without."""
    menu(editor, "sample", "presets")
    sheet = editor.page.get_by_role("dialog")
    sheet.get_by_label("Name of the preset").fill(name)
    assert not sheet.get_by_label("Seed").is_checked()
    if standard:
        sheet.get_by_label("For new nodes of this type").check()
    sheet.get_by_role("button", name="Save").click()
    sheet.locator(f'[data-preset="{name}"]').wait_for()


def values(editor: Editor, node: str) -> dict[str, Any]:
    return editor.document["nodes"][node].get("values", {})


def test_a_preset_is_applied_by_the_menu_and_the_help_in_one_step(own: Editor) -> None:
    page = own.page
    keep(own, "Many steps")
    page.keyboard.press("Escape")
    document = own.document
    document["nodes"]["sample"]["values"] = {"steps": 5, "guidance": 1, "seed": 3}
    own.open(document)
    own.one_step(lambda: menu(own, "sample", "preset:Many steps"))
    assert (values(own, "sample")["steps"], values(own, "sample")["guidance"], values(own, "sample")["seed"]) == (
        31,
        4.5,
        3,
    ), "the seed was not kept"
    own.press("Control+z")
    page.mouse.click(*own.header("sample"))

    def by_help() -> None:
        own.press("h")
        page.locator('.help [data-preset="Many steps"]').click()
        page.keyboard.press("Escape")

    own.one_step(by_help)
    assert values(own, "sample")["steps"] == 31


def test_new_nodes_begin_with_the_preset_for_them(own: Editor, server: Server) -> None:
    page = own.page
    keep(own, "Mine", standard=True)
    page.keyboard.press("Escape")

    def add() -> None:
        page.mouse.dblclick(*own.at(300, 500))
        page.keyboard.type("sampling.sample")
        page.keyboard.press("Enter")

    own.one_step(add)
    (made,) = set(own.document["nodes"]) - {"empty", "sample", "decode"}
    assert values(own, made)["steps"] == 31 and "seed" not in values(own, made)
    # Another one takes its place, and without any the defaults are there again.
    menu(own, "sample", "presets")
    page.get_by_role("button", name="New nodes begin with “Mine”").click()
    own.wait("__safelight.app.getState().presets.every(preset => !preset.standard)")
    assert [preset["standard"] for preset in server.ask("GET", "/presets")] == [False]


def test_presets_are_renamed_deleted_and_go_through_a_file(own: Editor, tmp_path: Path) -> None:
    page = own.page
    keep(own, "First")
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("button", name="Rename: First").click()
    page.keyboard.type("Second")
    page.keyboard.press("Enter")
    sheet.locator('[data-preset="Second"]').wait_for()
    with page.expect_download() as download:
        sheet.get_by_role("button", name="Export as JSON").click()
    path = tmp_path / "presets.json"
    download.value.save_as(path)
    assert json.loads(path.read_text())["presets"][0]["values"]["steps"] == 31
    sheet.get_by_role("button", name="Delete: Second").click()
    sheet.locator('[data-preset="Second"]').wait_for(state="detached")
    with page.expect_file_chooser() as chooser:
        sheet.get_by_role("button", name="Import…").click()
    chooser.value.set_files(path)
    sheet.locator('[data-preset="Second"]').wait_for()
    odd = tmp_path / "odd.json"
    odd.write_text("[1]")
    with page.expect_file_chooser() as chooser:
        sheet.get_by_role("button", name="Import…").click()
    chooser.value.set_files(odd)
    page.get_by_text("The file holds no presets.").wait_for()


def snippet(editor: Editor, name: str) -> None:
    editor.press("Control+a")
    menu(editor, "sample", "snippet")
    editor.page.get_by_label("Name of the snippet").fill(name)
    editor.page.keyboard.press("Enter")
    editor.wait(f"__safelight.app.getState().workflows.some(one => one.name === 'library: {name}')")


def test_a_snippet_is_found_in_the_node_search_and_inserted_at_the_pointer(own: Editor) -> None:
    page = own.page
    snippet(own, "Three of a kind")

    def insert() -> None:
        page.mouse.dblclick(*own.at(300, 500))
        page.keyboard.type("three of")
        page.locator('[role="option"]', has_text="Three of a kind").locator(".aside", has_text="Snippet").wait_for()
        page.keyboard.press("Enter")
        own.wait("__safelight.stage.geometry.nodes.size === 6")

    own.one_step(insert)
    added = set(own.document["nodes"]) - {"empty", "sample", "decode"}
    assert set(own.selection) == added and len(own.links) == 2, "with the link between"
    places = [own.document["ui"]["nodes"][name] for name in added]
    assert abs(min(place["x"] for place in places) - 300) < 140
    assert abs(min(place["y"] for place in places) - 500) < 40
    assert {"steps": 31, "guidance": 4.5, "seed": 77} in [values(own, name) for name in added]


def test_snippets_stand_in_the_panel_of_nodes(own: Editor, tmp_path: Path) -> None:
    page = own.page
    snippet(own, "Kept")
    page.click('[data-panel="nodes"]')
    row = page.locator('[data-snippet="Kept"]')
    row.drag_to(page.locator("#canvas"), target_position={"x": 700, "y": 500})
    own.wait("__safelight.stage.geometry.nodes.size === 6")
    row.focus()
    page.keyboard.press("Enter")
    own.wait("__safelight.stage.geometry.nodes.size === 9")

    page.locator(".snippet-row .icon").click()
    page.locator('[data-command="rename"]').click()
    page.get_by_label("Name of the snippet").fill("Renamed")
    page.keyboard.press("Enter")
    page.locator('[data-snippet="Renamed"]').wait_for()
    page.locator(".snippet-row .icon").click()
    with page.expect_download() as download:
        page.locator('[data-command="export"]').click()
    path = tmp_path / "renamed.json"
    download.value.save_as(path)
    assert len(json.loads(path.read_text())["nodes"]) == 3
    page.locator(".snippet-row .icon").click()
    page.locator('[data-command="delete"]').click()
    page.locator('[data-snippet="Renamed"]').wait_for(state="detached")
    page.locator(".toast", has_text="Renamed").get_by_role("button", name="Undo").click()
    page.locator('[data-snippet="Renamed"]').wait_for()
    page.locator(".snippet-row .icon").click()
    page.locator('[data-command="delete"]').click()
    page.locator('[data-snippet="Renamed"]').wait_for(state="detached")
    with page.expect_file_chooser() as chooser:
        page.locator(".snippets").get_by_role("button", name="Import…").click()
    chooser.value.set_files(path)
    page.locator(".snippet-row").wait_for()
