"""Paintings: coloured strokes on layers, kept as data in the document, each a step of undo, and the pixels of a run."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.request import urlopen

import pytest

from serving import Server
from web.editor import Editor, Point, graph
from web.test_painter import opened
from web.test_running import run

PIL = pytest.importorskip("PIL.Image")
SIDE = 128
SHEET = graph({"paint": ("image.paint", 0, 0), "show": ("image.preview", 420, 0)}, [("paint.image", "show.image")])
SHEET["nodes"]["paint"]["values"] = {"width": SIDE, "height": SIDE, "background": "#ffffff"}


class Painting:
    """Hands of the painter: places are pixels of a painting of 128 x 128."""

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.page = editor.page
        self.page.wait_for_selector(".painting canvas")
        editor.settle()

    @property
    def layers(self) -> list[dict[str, Any]]:
        """From below, as the document has them."""
        text = self.editor.document["nodes"]["paint"]["values"].get("painting", "")
        return json.loads(text)["layers"] if text else []

    def at(self, x: float, y: float) -> Point:
        box = self.page.locator(".painting > canvas").bounding_box()
        scale = 0.92 * min(box["width"], box["height"]) / SIDE
        left, top = ((box[side] - SIDE * scale) / 2 for side in ("width", "height"))
        return box["x"] + left + x * scale, box["y"] + top + y * scale

    def tool(self, name: str) -> None:
        self.page.click(f'.painting [data-tool="{name}"]')

    def size(self, pixels: int) -> None:
        self.page.locator('.painter-bar input[type="range"]').first.fill(str(pixels))

    def color(self, value: str) -> None:
        self.page.locator('.swatches input[type="color"]').fill(value)

    def drag(self, *places: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(*places[0]))
        mouse.down()
        for place in places[1:]:
            mouse.move(*self.at(*place), steps=5)
        mouse.up()

    def click(self, x: int, y: int) -> None:
        """In the middle of a pixel."""
        self.page.mouse.click(*self.at(x + 0.5, y + 0.5))
        self.editor.settle()

    def act(self, name: str) -> None:
        self.page.click(f'[data-layer-act="{name}"]')
        self.editor.settle()

    def rest(self) -> None:
        """Until no run is at work: what comes next is measured alone."""
        self.editor.wait(
            "(() => { const s = __safelight.app.getState(); const t = s.tabs.find(t => t.id === s.active);"
            " return !t.queued.length && s.runs[t.run]?.status !== 'running'; })()",
            60,
        )

    def done(self) -> None:
        self.page.click(".painter-actions .primary")
        self.page.wait_for_selector(".painting", state="detached")


@pytest.fixture
def painting(editor: Editor) -> Painting:
    editor.open(SHEET)
    editor.node("paint").locator("[data-paint]").click()
    return Painting(editor)


def made(editor: Editor) -> Any:
    """What the run shows at the node behind the painting: previews are in no folder."""
    run(editor, 240)
    editor.page.wait_for_selector('[data-node="show"] .result img')
    address = editor.node("show").locator(".result img").get_attribute("data-url")
    with urlopen(f"{editor.url}{address}") as answer:
        return PIL.open(io.BytesIO(answer.read())).convert("RGB")


def test_strokes_are_data_and_become_the_pixels_of_the_run(painting: Painting) -> None:
    painting.size(12)
    painting.color("#ff0000")
    painting.drag((20, 30), (100, 30))
    painting.color("#0000ff")
    painting.drag((60, 20), (60, 110))
    painting.tool("eraser")
    painting.drag((20, 60), (100, 60))
    (layer,) = painting.layers
    assert [(mark["kind"], mark["color"]) for mark in layer["marks"]] == [
        ("stroke", "#ff0000"),
        ("stroke", "#0000ff"),
        ("stroke", None),
    ]
    assert len(layer["marks"][0]["spots"]) % 3 == 0 and layer["marks"][0]["spots"][2] == 6
    painting.done()
    editor = painting.editor
    assert "3 marks on 1 layers" in editor.node("paint").locator("[data-paint]").inner_text()
    image = made(editor)
    assert image.size == (SIDE, SIDE)
    assert image.getpixel((30, 30)) == (255, 0, 0) and image.getpixel((60, 100)) == (0, 0, 255)
    assert image.getpixel((60, 30)) == (0, 0, 255), "the later stroke lies above"
    assert image.getpixel((60, 60)) == (255, 255, 255) and image.getpixel((5, 5)) == (255, 255, 255)


def test_undo_goes_across_layers_and_no_further_than_what_was_painted(painting: Painting) -> None:
    page = painting.page
    empty = painting.editor.text
    painting.drag((20, 20), (60, 20))
    painting.act("add")
    painting.drag((20, 60), (60, 60))
    page.locator('[data-layer="1"] input[type="range"]').fill("40")
    full = painting.layers
    assert [len(layer["marks"]) for layer in full] == [1, 1] and full[1]["opacity"] == 0.4
    page.focus(".painting > canvas")
    for _ in range(8):
        page.keyboard.press("Control+z")
    assert painting.editor.text == empty
    assert page.locator('.painting [data-tool="undo"]').is_disabled()
    for _ in range(4):
        page.keyboard.press("Control+Shift+Z")
    assert painting.layers == full


def test_layers_have_an_order_a_name_an_opacity_and_can_be_hidden_and_deleted(painting: Painting) -> None:
    page = painting.page
    painting.size(60)
    painting.color("#ff0000")
    painting.drag((64, 64), (66, 64))
    painting.act("add")
    painting.color("#0000ff")
    painting.drag((64, 64), (66, 64))
    page.locator('[data-layer="1"] input[type="text"]').fill("Blue")
    page.locator('[data-layer="1"] input[type="range"]').fill("50")
    assert [layer["name"] for layer in painting.layers] == ["Layer 1", "Blue"]
    painting.act("down")
    assert [layer["name"] for layer in painting.layers] == ["Blue", "Layer 1"]
    painting.done()
    editor = painting.editor
    assert made(editor).getpixel((64, 64)) == (255, 0, 0), "blue lies below"
    editor.node("paint").locator("[data-paint]").click()
    page.locator('[data-layer="1"] input[type="checkbox"]').uncheck()
    painting.done()
    assert made(editor).getpixel((64, 64)) == (127, 127, 255) or made(editor).getpixel((64, 64)) == (128, 128, 255)
    editor.node("paint").locator("[data-paint]").click()
    page.locator('[data-layer="0"] input[type="text"]').click()
    painting.act("remove")
    assert [layer["name"] for layer in painting.layers] == ["Layer 1"]
    assert page.locator('[data-layer-act="remove"]').is_disabled()


def test_a_colour_is_picked_and_similar_colours_are_filled(painting: Painting) -> None:
    page = painting.page
    painting.size(20)
    painting.color("#12ab34")
    painting.drag((0, 64), (128, 64))
    painting.color("#ff0000")
    painting.tool("picker")
    painting.click(64, 64)
    assert page.locator('.swatches input[type="color"]').input_value() == "#12ab34"
    assert page.locator('.painting [data-tool="brush"]').get_attribute("aria-pressed") == "true"
    painting.color("#ffff00")
    painting.tool("similar")
    painting.click(64, 20)  # the sheet above the line
    region = painting.layers[0]["marks"][1]
    assert region["kind"] == "region" and region["color"] == "#ffff00"
    painting.done()
    image = made(painting.editor)
    assert image.getpixel((10, 10)) == (255, 255, 0) and image.getpixel((10, 120)) == (255, 255, 255)
    painting.editor.node("paint").locator("[data-paint]").click()
    painting.tool("similar")
    page.get_by_label("Connected only").uncheck()
    painting.color("#0000ff")
    painting.click(64, 120)
    painting.click(64, 10)
    painting.done()
    image = made(painting.editor)
    assert image.getpixel((10, 120)) == image.getpixel((10, 10)) == (0, 0, 255)
    assert image.getpixel((64, 64)) == (0x12, 0xAB, 0x34)


def test_it_lies_on_the_image_that_is_linked_below_it(editor: Editor, server: Server, image: str) -> None:
    document = json.loads(json.dumps(SHEET))
    document["nodes"]["load"] = {"type": "image.load", "values": {"file": image}}
    document["links"].append({"from": "load.image", "to": "paint.image"})
    document["ui"]["nodes"]["load"] = {"x": 0, "y": 400}
    editor.open(document)
    editor.node("paint").locator("[data-paint]").click()
    painting = Painting(editor)
    painting.size(20)
    painting.color("#ff00ff")
    painting.drag((20, 64), (40, 64))
    painting.tool("picker")
    painting.click(100, 20)
    red, green, blue = opened(editor, image).convert("RGB").getpixel((100, 20))
    assert painting.page.locator('.swatches input[type="color"]').input_value() == f"#{red:02x}{green:02x}{blue:02x}"
    painting.done()
    result = made(editor)
    assert result.getpixel((30, 64)) == (255, 0, 255)
    assert result.getpixel((100, 20)) == (red, green, blue)


def test_similar_colours_choose_a_mask(editor: Editor, image: str) -> None:
    document = graph(
        {"load": ("image.load", 0, 0), "mask": ("image.load_mask", 0, 340), "encode": ("vae.encode_inpaint", 400, 0)},
        [("load.image", "encode.image"), ("mask.mask", "encode.mask")],
    )
    document["nodes"]["load"]["values"]["file"] = image
    editor.open(document)
    editor.node("mask").get_by_label("Paint a mask").click()
    editor.page.wait_for_selector(".painter canvas")
    editor.settle()
    editor.page.click('.painter [data-tool="similar"]')
    editor.page.locator('.painter-bar input[type="range"]').nth(2).fill("20")
    editor.page.get_by_label("Connected only").uncheck()
    box = editor.page.locator(".painter canvas").bounding_box()
    scale = 0.92 * min(box["width"], box["height"]) / SIDE
    editor.page.mouse.click(box["x"] + box["width"] / 2 + 0.5 * scale, box["y"] + box["height"] / 2 + 0.5 * scale)
    editor.page.click(".painter .primary")
    editor.page.wait_for_selector(".painter", state="detached")
    mask = opened(editor, editor.document["nodes"]["mask"]["values"]["file"]).convert("L")
    below = opened(editor, image).convert("RGB")
    wanted = below.getpixel((64, 64))
    chosen = [all(abs(a - b) <= 20 for a, b in zip(pixel, wanted, strict=True)) for pixel in below.get_flattened_data()]
    assert [value == 255 for value in mask.get_flattened_data()] == chosen
    assert 0 < sum(chosen) < SIDE * SIDE / 4
