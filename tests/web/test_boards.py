"""Ratings, tags and boards in the gallery and the viewer: by mouse, keyboard and finger; two windows in step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from PIL import Image

from safelight.media.registry import built_in
from serving import Server, serving
from web.conftest import ROOT, missing
from web.editor import Editor

COUNT = 12


def made(folder: Path, number: int) -> None:
    document = json.loads((ROOT / "workflows" / "text_to_image.json").read_text(encoding="utf-8"))
    document["nodes"]["prompt"]["values"]["text"] = f"a red apple, number {number}"
    document["nodes"]["sample"]["values"]["seed"] = 100 + number
    path = folder / f"made_{number:02}.png"
    Image.new("RGB", (96, 64), (number * 20, 90, 200 - number * 10)).save(path)
    path.write_bytes(built_in().embed(path.read_bytes(), "image/png", json.dumps(document)))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not (ROOT / "web" / "dist" / "index.html").is_file():
        missing("The editor is not built: run `npm ci && npm run build` in web/.")
    home = tmp_path_factory.mktemp("boards")
    (home / "output").mkdir()
    for number in range(COUNT):
        made(home / "output", number)
    with serving(home, pack=False) as server:
        yield server


def window(browser: Any, server: Server, **options: Any) -> Editor:
    size = options.pop("viewport", {"width": 1440, "height": 900})
    context = browser.new_context(viewport=size, locale="en-US", **options)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    context.set_default_timeout(20_000)
    editor = Editor(context.new_page(), server.url)
    editor.visit()
    editor.page.click('[data-panel="gallery"]')
    for _ in range(100):
        if editor.page.locator("[data-image]").count() == COUNT:
            break
        editor.page.wait_for_timeout(100)
    return editor


@pytest.fixture
def gallery(browser: Any, few: Server) -> Iterator[Editor]:
    for board in few.ask("GET", "/boards"):
        few.ask("DELETE", f"/boards/{board['id']}")
    items = few.ask("GET", "/gallery")["items"]
    tags = list(few.ask("GET", "/gallery/facets")["tags"])
    few.ask("PATCH", "/gallery", {"items": [item["id"] for item in items], "rating": 0, "remove_tags": tags})
    editor = window(browser, few)
    yield editor
    assert not editor.errors, editor.errors
    editor.page.context.close()


def cell(editor: Editor, number: int) -> Any:
    return editor.page.locator(f'[data-image="made_{number:02}.png"]')


def item(server: Server, number: int) -> dict[str, Any]:
    (found,) = server.ask("GET", f"/gallery?search=made_{number:02}")["items"]
    return found


def until(editor: Editor, ask: Any, wanted: Any) -> None:
    got = ask()
    for _ in range(100):
        if got == wanted:
            break
        editor.page.wait_for_timeout(50)
        got = ask()
    assert got == wanted


def shown(editor: Editor) -> list[str]:
    return sorted(editor.page.evaluate("[...document.querySelectorAll('[data-image]')].map(one => one.dataset.image)"))


def names(*numbers: int) -> list[str]:
    return [f"made_{number:02}.png" for number in numbers]


def test_keys_rate_what_is_chosen_and_stars_filter(gallery: Editor, few: Server) -> None:
    page = gallery.page
    cell(gallery, 3).click()
    cell(gallery, 5).click(modifiers=["Control"])
    page.get_by_text("2 chosen").wait_for()
    page.keyboard.press("4")
    cell(gallery, 3).locator(".cell-stars", has_text="★★★★").wait_for()
    assert [item(few, number)["rating"] for number in (3, 4, 5)] == [4, 0, 4]
    # With a mouse, on one: the same star again takes the rating away.
    cell(gallery, 5).click()
    page.locator('.image-detail [data-stars="2"]').click()
    until(gallery, lambda: item(few, 5)["rating"], 2)
    page.get_by_label("Any rating").select_option("3")
    until(gallery, lambda: shown(gallery), names(3))
    page.get_by_label("Any rating").select_option("1")
    until(gallery, lambda: shown(gallery), names(3, 5))
    cell(gallery, 5).focus()
    page.keyboard.press("0")
    until(gallery, lambda: shown(gallery), names(3))


def test_tags_are_added_completed_filtered_and_removed(gallery: Editor, few: Server) -> None:
    page = gallery.page
    few.ask("PATCH", "/gallery", {"items": [item(few, 9)["id"]], "add_tags": ["Portrait"]})
    cell(gallery, 0).focus()
    page.keyboard.press("Space")
    cell(gallery, 1).focus()
    page.keyboard.press("Space")
    page.get_by_text("2 chosen").wait_for()
    field = page.get_by_label("Add a tag")
    options = "[...document.querySelectorAll('.image-detail datalist option')].map(one => one.value)"
    until(gallery, lambda: page.evaluate(options), ["Portrait"])
    field.fill("portrait, night")
    field.press("Enter")
    page.locator('.image-detail [data-tag="night"]').wait_for()
    assert item(few, 0)["tags"] == ["night", "Portrait"] == item(few, 1)["tags"]
    page.get_by_label("Any tag").select_option("Portrait")
    until(gallery, lambda: shown(gallery), names(0, 1, 9))
    page.get_by_label("Any tag").select_option("night")
    until(gallery, lambda: shown(gallery), names(0, 1))
    cell(gallery, 0).click()
    page.get_by_role("button", name="Remove the tag “night”").click()
    until(gallery, lambda: shown(gallery), names(1))
    page.get_by_label("Any tag").select_option("")
    page.get_by_label("Search by prompt, text or name").fill("portrait")
    until(gallery, lambda: shown(gallery), names(0, 1, 9))


def test_images_are_dragged_to_a_board_which_is_renamed_and_deleted(gallery: Editor, few: Server) -> None:
    page = gallery.page
    strip = page.get_by_role("group", name="Boards")
    strip.get_by_role("button", name="New board").click()
    page.get_by_label("Name of the board").fill("Best")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing found").wait_for()
    strip.get_by_role("button", name="All", exact=True).click()
    until(gallery, lambda: len(shown(gallery)), COUNT)
    cell(gallery, 2).click()
    cell(gallery, 4).click(modifiers=["Shift"])
    cell(gallery, 3).drag_to(page.locator('[data-board="Best"]'))
    page.locator('[data-board="Best"] small', has_text="3").wait_for()
    page.locator('[data-board="Best"]').click()
    until(gallery, lambda: shown(gallery), names(2, 3, 4))
    # One that is dragged onto the plus lies on a new board; it may lie on several.
    cell(gallery, 4).drag_to(strip.get_by_role("button", name="New board"))
    page.get_by_label("Name of the board").fill("Second")
    page.keyboard.press("Enter")
    page.locator('[data-board="Second"] small', has_text="1").wait_for()
    cell(gallery, 4).click()
    page.locator('.image-detail [data-on-board="Best"] button').click()
    until(gallery, lambda: shown(gallery), names(2, 3))
    strip.get_by_role("button", name="Rename the board").click()
    page.get_by_label("Name of the board").fill("Very best")
    page.keyboard.press("Enter")
    page.locator('[data-board="Very best"]').wait_for()
    strip.get_by_role("button", name="Delete the board").click()
    until(gallery, lambda: len(shown(gallery)), COUNT)
    assert [board["name"] for board in few.ask("GET", "/boards")] == ["Second"]
    page.locator(".toast", has_text="Very best").get_by_role("button", name="Undo").click()
    page.locator('[data-board="Very best"] small', has_text="2").wait_for()


def test_the_viewer_tells_rates_tags_and_copies(gallery: Editor, few: Server) -> None:
    page = gallery.page
    cell(gallery, 7).dblclick()
    viewer = page.locator("dialog.viewer")
    details = viewer.locator(".image-detail")
    details.get_by_text("a red apple, number 7").wait_for()
    for text in ("107", "96 × 64", "made_07.png", "starter"):
        details.get_by_text(text).first.wait_for()
    page.keyboard.press("5")
    until(gallery, lambda: item(few, 7)["rating"], 5)
    viewer.locator('[data-stars="5"][aria-pressed="true"]').wait_for()
    viewer.get_by_role("button", name="Copy: Seed").click()
    assert page.evaluate("navigator.clipboard.readText()") == "107"
    viewer.get_by_label("Add a tag").fill("7 of 9")
    page.keyboard.press("Enter")
    viewer.locator('[data-tag="7 of 9"]').wait_for()
    assert item(few, 7)["rating"] == 5, "what is typed rates nothing"
    viewer.locator(".image").focus()
    page.keyboard.press("ArrowRight")
    details.get_by_text("a red apple, number 6").wait_for()
    viewer.locator('[data-stars="1"][aria-pressed="false"]').wait_for()
    with page.expect_download() as download:
        viewer.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "made_06.png"
    viewer.get_by_role("button", name="Details").click()
    details.wait_for(state="detached")
    viewer.get_by_role("button", name="Details").click()
    details.wait_for()


def test_several_are_downloaded_thrown_away_and_opened(gallery: Editor) -> None:
    page = gallery.page
    cell(gallery, 10).click()
    cell(gallery, 11).click(modifiers=["Control"])
    several = page.get_by_role("region", name="2 chosen")
    with page.expect_download() as download:
        several.get_by_role("button", name="Download").click()
    with ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == names(10, 11)
        assert all(archive.read(name) for name in archive.namelist())
    several.get_by_role("button", name="Open their workflows").click()
    gallery.wait(
        "__safelight.app.getState().tabs.filter("
        "tab => [110, 111].includes(tab.document.nodes.sample?.values?.seed)).length === 2"
    )
    several.get_by_role("button", name="Delete").click()
    until(gallery, lambda: len(shown(gallery)), COUNT - 2)
    page.locator(".toast", has_text="trash").get_by_role("button", name="Undo").click()
    until(gallery, lambda: len(shown(gallery)), COUNT)


def test_two_windows_are_in_step(gallery: Editor, browser: Any, few: Server) -> None:
    other = window(browser, few)
    cell(gallery, 8).click()
    gallery.page.keyboard.press("3")
    cell(other, 8).locator(".cell-stars", has_text="★★★").wait_for()
    cell(other, 8).click()
    other.page.locator('.image-detail [data-stars="3"][aria-pressed="true"]').wait_for()
    gallery.page.get_by_label("Add a tag").fill("seen")
    gallery.page.keyboard.press("Enter")
    other.page.locator('.image-detail [data-tag="seen"]').wait_for()
    assert not other.errors
    other.page.context.close()


def test_a_finger_that_rests_chooses_and_taps_add(gallery: Editor, browser: Any, few: Server) -> None:
    hand = window(browser, few, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    touch = hand.fingers()

    def tap(number: int, seconds: float = 0.05) -> None:
        box = cell(hand, number).bounding_box()
        touch("touchStart", (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
        hand.page.wait_for_timeout(seconds * 1000)
        touch("touchEnd")
        hand.page.wait_for_timeout(100)

    tap(11, 0.7)
    tap(10)
    tap(9)
    hand.page.get_by_text("3 chosen").wait_for()
    tap(9)
    hand.page.get_by_text("2 chosen").wait_for()
    hand.page.get_by_role("region", name="2 chosen").locator('[data-stars="2"]').tap()
    until(hand, lambda: [item(few, number)["rating"] for number in (9, 10, 11)], [0, 2, 2])
    hand.page.get_by_role("button", name="Clear the selection").tap()
    tap(9)
    hand.page.get_by_role("region", name="made_09.png").wait_for()
    assert not hand.errors
    hand.page.context.close()
