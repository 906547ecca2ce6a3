"""Regions of prompts, painted: each layer is a region with a colour, a prompt and a strength, kept in the document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from web.editor import Editor, graph
from web.test_painting import Painting

DOCUMENT = graph({"model": ("models.load", 0, 0), "paint": ("text.regions", 400, 0)}, [("model.text", "paint.encoder")])
DOCUMENT["nodes"]["model"]["values"] = {"model": "starter"}
DOCUMENT["nodes"]["paint"]["values"] = {"width": 128, "height": 128}


@pytest.fixture
def painting(editor: Editor) -> Painting:
    editor.open(DOCUMENT)
    editor.node("paint").locator("[data-paint]").click()
    return Painting(editor)


def row(painting: Painting, index: int) -> Any:
    return painting.page.locator(f'[data-layer="{index}"]')


def test_two_regions_are_painted_and_told_what_they_show(painting: Painting) -> None:
    painting.size(30)
    painting.drag((30, 30), (30, 100))
    row(painting, 0).locator("textarea").fill("a red apple")
    painting.act("add")
    painting.drag((100, 30), (100, 100))
    row(painting, 1).locator("textarea").fill("a green pear")
    row(painting, 1).locator('input[type="range"]').fill("150")
    first, second = painting.layers
    assert (first["prompt"], second["prompt"], second["strength"]) == ("a red apple", "a green pear", 1.5)
    assert "strength" not in first, "what is usual is not written"
    assert first["color"] != second["color"]
    assert [mark["color"] for mark in first["marks"]] == [first["color"]]
    assert painting.page.locator('.painting [data-tool="picker"]').count() == 0
    row(painting, 0).locator('input[type="color"]').fill("#00ff00")
    assert painting.layers[0]["color"] == "#00ff00" and painting.layers[0]["marks"][0]["color"] == "#00ff00"
    painting.done()
    assert "2 marks on 2 layers" in painting.editor.node("paint").locator("[data-paint]").inner_text()


def test_every_step_is_undone_and_a_prompt_in_one(painting: Painting) -> None:
    page, before = painting.page, painting.editor.text
    painting.drag((30, 30), (30, 60))
    row(painting, 0).locator("textarea").click()
    page.keyboard.type("a red apple")
    page.locator('.painting [data-tool="undo"]').click()
    assert painting.layers[0].get("prompt", "") == "" and len(painting.layers[0]["marks"]) == 1
    page.locator('.painting [data-tool="undo"]').click()
    assert painting.editor.text == before
    page.locator('.painting [data-tool="redo"]').click()
    page.locator('.painting [data-tool="redo"]').click()
    assert painting.layers[0]["prompt"] == "a red apple"


def test_letters_typed_into_a_prompt_are_no_keys_of_tools(painting: Painting) -> None:
    row(painting, 0).locator("textarea").click()
    painting.page.keyboard.type("beleg 0 [x] ")
    assert painting.page.locator('.painting [data-tool="brush"]').get_attribute("aria-pressed") == "true"
    assert painting.layers[0]["prompt"] == "beleg 0 [x] "


def test_by_keys_alone_and_by_a_finger(painting: Painting) -> None:
    page = painting.page
    page.focus(".painting > canvas")
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert len(painting.layers[0]["marks"]) >= 1
    count = len(painting.layers[0]["marks"])
    touch = painting.editor.fingers()
    touch("touchStart", painting.at(20, 100))
    touch("touchMove", painting.at(50, 100))
    touch("touchEnd")
    painting.editor.settle()
    assert len(painting.layers[0]["marks"]) == count + 1


def test_a_document_of_an_older_painting_stays_as_it_was(editor: Editor) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    text = '{"width":128,"height":128,"layers":[{"name":"A","opacity":1,"visible":true,"marks":[]}]}'
    document["nodes"]["paint"] = {"type": "image.paint", "version": 1, "values": {"painting": text}}
    document["links"] = []
    editor.open(document)
    editor.node("paint").locator("[data-paint]").click()
    painting = Painting(editor)
    painting.drag((20, 20), (40, 20))
    (layer,) = painting.layers
    assert set(layer) == {"name", "opacity", "visible", "marks"}, "nothing of prompts is written where there are none"
