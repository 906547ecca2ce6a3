"""The strip of results, and two images compared: a slider, what differs, beside each other under one zoom."""

from __future__ import annotations

from typing import Any

import pytest

from web.editor import Editor, graph
from web.test_running import run

COLOURS = ("#ff0000", "#fa0000", "#0000ff")
SHOWN = graph({"paint": ("image.solid", 0, 0), "show": ("image.preview", 420, 0)}, [("paint.image", "show.image")])


@pytest.fixture
def feed(editor: Editor) -> Editor:
    """Three runs with an image each, and the strip open."""
    for number, colour in enumerate(COLOURS):
        SHOWN["nodes"]["paint"]["values"] = {"width": 64, "height": 48, "color": colour}
        editor.open(SHOWN)
        editor.wait_plan()
        run(editor, 240)
        editor.page.wait_for_selector('[data-node="show"] .result img')
        if not number:
            editor.page.click('.canvas-tools [data-tool="feed"]')
    editor.wait("document.querySelectorAll('.feed [data-feed]').length === 3")
    return editor


def items(editor: Editor) -> Any:
    return editor.page.locator(".feed [data-feed]")


def test_the_strip_has_the_newest_first_and_opens_the_viewer(feed: Editor) -> None:
    page = feed.page
    runs = [items(feed).nth(place).get_attribute("data-feed") for place in range(3)]
    assert runs == sorted(runs, key=lambda run: -int(run[1:]))
    items(feed).first.click()
    page.get_by_text("1 / 3").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("2 / 3").wait_for()
    page.keyboard.press("Escape")
    page.get_by_label("Close the strip").click()
    assert page.locator(".feed").count() == 0


def test_an_image_of_the_strip_dragged_onto_the_canvas_is_loaded(feed: Editor) -> None:
    page = feed.page
    items(feed).first.drag_to(page.locator("#canvas"), target_position={"x": 500, "y": 500})
    feed.wait("__safelight.stage.geometry.nodes.size === 3")
    (loader,) = [node for node in feed.document["nodes"].values() if node["type"] == "image.load"]
    assert loader["values"]["file"].endswith(".png")


def test_two_images_of_the_strip_are_compared_in_three_ways(feed: Editor) -> None:
    page = feed.page
    items(feed).nth(1).click(modifiers=["Control"])
    items(feed).nth(2).click(modifiers=["Control"])
    page.get_by_role("button", name="Compare the two").click()
    page.get_by_label("How much of each image is seen").wait_for()
    page.click('[data-compare="difference"]')
    # Red 250 and red 255 in all of their pixels.
    page.get_by_text("100 % of the pixels differ, by at most 5 of 255.").wait_for()
    page.locator('.compare .buttons input[type="range"]').fill("8")
    assert "brightness(8)" in page.locator(".compare .images").get_attribute("style")
    page.click('[data-compare="beside"]')
    assert page.locator(".compare .frame").count() == 2
    box = page.locator(".compare .frame").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
    page.mouse.wheel(0, -400)
    feed.wait("document.querySelector('.compare .images').style.transform.includes('scale(2')")
    first, second = (page.locator(".compare .images").nth(place).get_attribute("style") for place in (0, 1))
    assert first == second, "one zoom for both"


def test_the_second_image_is_chosen_wherever_it_is_shown(feed: Editor) -> None:
    page = feed.page
    items(feed).nth(2).click()
    page.get_by_role("button", name="Compare with…").click()
    page.wait_for_selector('[data-notice="compare"]')
    feed.node("show").locator(".result img").click()
    page.wait_for_selector(".compare")
    assert page.locator('[data-notice="compare"]').count() == 0
    page.click('[data-compare="difference"]')
    page.get_by_text("by at most 255 of 255").wait_for()
    page.keyboard.press("Escape")
    feed.node("show").locator(".result img").click(button="right")
    page.click('[data-command="compare"]')
    page.wait_for_selector('[data-notice="compare"]')
    page.keyboard.press("Escape")
    page.wait_for_selector('[data-notice="compare"]', state="detached")
