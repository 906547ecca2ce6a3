"""The first visit: a tour that is offered once, goes by keys, and is found again; and where things of ComfyUI are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from serving import Server
from web.editor import PREFERENCES, Editor

STEPS = 5


@pytest.fixture
def newcomer(context: Any, server: Server) -> Iterator[Editor]:
    """Someone who was never here."""
    editor = Editor(context.new_page(), server.url, {})
    editor.visit()
    yield editor
    assert not editor.errors, editor.errors


def offered(editor: Editor) -> bool:
    return editor.page.locator(".tour-offer").count() == 1


def test_it_is_offered_once_and_refused_for_good(newcomer: Editor) -> None:
    page = newcomer.page
    page.locator(".tour-offer").wait_for()
    page.get_by_role("button", name="Not now").click()
    assert not offered(newcomer)
    newcomer.visit()
    page.locator(".start-strip").wait_for()
    assert not offered(newcomer)


def test_it_stands_in_nobodys_way(newcomer: Editor) -> None:
    """The canvas, the templates and their cards work beside it, and it is gone once there is a graph."""
    page = newcomer.page
    page.locator(".tour-offer").wait_for()
    page.locator('.start-strip [data-template="text_to_image"]').click()
    newcomer.wait("JSON.parse(__safelight.write()).name === 'text_to_image'")
    assert not offered(newcomer)


def test_five_steps_by_keys_alone_point_at_what_they_tell_of(newcomer: Editor) -> None:
    page = newcomer.page
    page.get_by_role("button", name="Show me").focus()
    page.keyboard.press("Enter")
    tour = page.get_by_role("dialog", name="Tour")
    tour.wait_for()
    newcomer.wait("JSON.parse(__safelight.write()).name === 'text_to_image'")
    seen = []
    targets = (
        '[data-node="sample"]',
        '[data-port="sample.latent"]',
        ".run-button",
        '[data-node="sample"] header',
        ".share-button",
    )
    for number, target in enumerate(targets, 1):
        assert f"Step {number} of {STEPS}" in tour.inner_text()
        seen.append(tour.get_by_role("heading").inner_text())
        page.wait_for_timeout(100)
        ring, box = (page.locator(one).first.bounding_box() for one in (".tour-ring", target))
        assert ring["x"] <= box["x"] + 1 and ring["x"] + ring["width"] >= box["x"] + box["width"] - 1, target
        assert ring["y"] <= box["y"] + 1 and ring["y"] + ring["height"] >= box["y"] + box["height"] - 1, target
        page.keyboard.press("ArrowRight" if number % 2 else "Enter")
    assert len(set(seen)) == STEPS
    assert tour.count() == 0
    assert page.evaluate("document.activeElement.id") == "canvas"
    newcomer.visit()
    assert not offered(newcomer)
    assert page.evaluate(f"JSON.parse(localStorage['{PREFERENCES}']).offerTour") is False


def test_it_is_left_by_escape_and_found_again_in_the_help(editor: Editor) -> None:
    page = editor.page
    assert not offered(editor)
    for _ in range(2):
        editor.press("?")
        page.click('[data-help="tour"]')
        tour = page.get_by_role("dialog", name="Tour")
        tour.wait_for()
        assert page.locator("dialog[open]").count() == 0
        page.keyboard.press("Escape")
        assert tour.count() == 0


def test_a_word_of_comfyui_leads_to_our_node(editor: Editor) -> None:
    page = editor.page
    editor.press("?")
    page.click('[data-help="where"]')
    sheet = page.get_by_role("dialog", name="Where is it?")
    sheet.get_by_role("searchbox").fill("KSampler")
    row = sheet.locator("[data-where]").first
    assert row.inner_text().startswith("KSampler")
    assert row.get_attribute("data-where") == "sampling.sample"
    row.click()
    assert [node["type"] for node in editor.document["nodes"].values()] == ["sampling.sample"]


def test_a_word_that_nobody_has_says_what_to_do(editor: Editor) -> None:
    editor.page.evaluate("__safelight.app.setState({ overlay: { kind: 'where' } })")
    sheet = editor.page.get_by_role("dialog", name="Where is it?")
    sheet.get_by_role("searchbox").fill("xyzzyplugh")
    assert "No node has that name" in sheet.inner_text()
