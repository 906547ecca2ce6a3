"""The painter: every tool in real pixels, and a part of an image painted again from end to end."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from web.editor import Editor, Point, graph

PIL = pytest.importorskip("PIL.Image")
SIDE = 128


class Painter:
    """Hands and eyes of the painter: places are pixels of an image of 128 x 128."""

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.page = editor.page
        self.page.wait_for_selector(".painter canvas")
        editor.settle()

    def at(self, x: float, y: float) -> Point:
        box = self.page.locator(".painter canvas").bounding_box()
        scale = 0.92 * min(box["width"], box["height"]) / SIDE
        left, top = ((box[side] - SIDE * scale) / 2 for side in ("width", "height"))
        return box["x"] + left + x * scale, box["y"] + top + y * scale

    def tool(self, name: str) -> None:
        self.page.click(f'.painter [data-tool="{name}"]')

    def size(self, pixels: int, feather: int = 0) -> None:
        for place, value in enumerate((pixels, feather)):
            self.page.locator('.painter input[type="range"]').nth(place).fill(str(value))

    def drag(self, *places: tuple[float, float], button: str = "left", keys: tuple[str, ...] = ()) -> None:
        mouse, keyboard = self.page.mouse, self.page.keyboard
        mouse.move(*self.at(*places[0]))
        for key in keys:
            keyboard.down(key)
        mouse.down(button=button)
        for place in places[1:]:
            mouse.move(*self.at(*place), steps=6)
        mouse.up(button=button)
        for key in keys:
            keyboard.up(key)
        self.editor.settle()

    def use(self, field: str = "mask.file") -> Any:
        """Finishes, and gives the mask that came out as a grey image."""
        node, _, port = field.rpartition(".")
        before = self.editor.document["nodes"].get(node, {}).get("values", {}).get(port)
        self.page.click(".painter .primary")
        self.page.wait_for_selector(".painter", state="detached")
        name = self.editor.document["nodes"][node]["values"][port]
        assert name != before
        return opened(self.editor, name)


def opened(editor: Editor, name: str) -> Any:
    with urlopen(f"{editor.url}/api/v1/files/input/{quote(name)}") as answer:
        return PIL.open(io.BytesIO(answer.read())).convert("RGBA")


def share(image: Any) -> float:
    return sum(image.convert("L").tobytes()) / (image.width * image.height) / 255


def grey(image: Any, x: int, y: int) -> int:
    return image.convert("L").getpixel((x, y))


@pytest.fixture
def painter(editor: Editor, image: str) -> Painter:
    """An image and its mask, both wired to a node; the painter was opened from the mask's field."""
    document = graph(
        {
            "load": ("image.load", 0, 0),
            "mask": ("image.load_mask", 0, 340),
            "encode": ("vae.encode_inpaint", 400, 0),
        },
        [("load.image", "encode.image"), ("mask.mask", "encode.mask")],
    )
    document["nodes"]["load"]["values"]["file"] = image
    editor.open(document)
    editor.node("mask").get_by_label("Paint a mask").click()
    return Painter(editor)


def test_brush_eraser_and_their_undo(painter: Painter) -> None:
    page = painter.page
    painter.size(20)
    painter.drag((20, 64), (108, 64))
    painter.tool("eraser")
    painter.drag((64, 40), (64, 90))
    page.keyboard.press("b")
    painter.drag((20, 20), (40, 20))
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+Z")
    mask = painter.use()
    assert mask.size == (SIDE, SIDE)
    assert grey(mask, 30, 64) == grey(mask, 100, 58) == 255
    assert grey(mask, 64, 64) == 0, "erased, undone, redone"
    assert grey(mask, 30, 20) == 0, "undone"
    assert grey(mask, 30, 50) == 0, "the brush is 20 pixels wide"
    assert mask.getchannel("A").getextrema() == (255, 255)


def test_lasso_fill_invert_all_and_nothing(painter: Painter) -> None:
    painter.tool("lasso")
    painter.drag((30, 30), (90, 30), (90, 90), (30, 90), (30, 31))
    painter.drag((50, 50), (70, 50), (70, 70), (50, 70), (50, 51), button="right")
    painter.tool("invert")
    painter.tool("fill")
    painter.page.mouse.click(*painter.at(60, 60))
    mask = painter.use()
    assert grey(mask, 40, 40) == 0 and grey(mask, 10, 10) == 255
    assert grey(mask, 60, 60) == 255, "the hole was chosen by inverting, and filling it changes nothing"
    painter.editor.node("mask").get_by_label("Paint a mask").click()
    again = Painter(painter.editor)
    again.tool("clear")
    again.size(3)
    again.drag((30, 30), (90, 30), (90, 90), (30, 90), (30, 30))
    again.tool("fill")
    again.page.mouse.click(*again.at(60, 60))
    mask = again.use()
    assert grey(mask, 60, 60) == grey(mask, 33, 33) == 255 and grey(mask, 20, 20) == 0
    assert share(mask) == pytest.approx(62 * 62 / SIDE**2, rel=0.1)
    painter.editor.node("mask").get_by_label("Paint a mask").click()
    last = Painter(painter.editor)
    last.tool("all")
    assert share(last.use()) == 1


def test_a_soft_edge_zoom_and_a_mask_to_go_on_with(painter: Painter) -> None:
    page = painter.page
    painter.size(40, feather=12)
    painter.drag((64, 64), (64, 64.5))
    mask = painter.use()
    assert grey(mask, 64, 64) > 240
    edge = [grey(mask, x, 64) for x in range(70, 100)]
    assert edge == sorted(edge, reverse=True)
    assert sum(10 < value < 245 for value in edge) >= 8
    painter.editor.node("mask").get_by_label("Paint a mask").click()
    again = Painter(painter.editor)
    x, y = again.at(20, 20)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -900)
    painter.editor.settle()
    again.size(4)
    page.mouse.click(x, y)
    more = again.use()
    assert grey(more, 20, 20) > 200, "the place under the pointer stays there while zooming"
    assert grey(more, 64, 64) > 240, "the mask that was there is gone on with"
    assert grey(more, 26, 20) == 0


def test_a_pens_pressure_is_the_width_of_the_line(painter: Painter) -> None:
    session = painter.page.context.new_cdp_session(painter.page)
    painter.size(40)

    def pen(kind: str, place: tuple[float, float], force: float) -> None:
        x, y = painter.at(*place)
        more = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen", "force": force}
        session.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more})

    for row, force in ((30, 0.1), (90, 1.0)):
        pen("mousePressed", (20, row), force)
        for x in range(24, 110, 6):
            pen("mouseMoved", (x, row), force)
        pen("mouseReleased", (108, row), force)
    mask = painter.use()
    widths = [sum(grey(mask, 64, y) > 128 for y in range(row - 28, row + 28)) for row in (30, 90)]
    assert widths[0] < 14
    assert 34 < widths[1] < 44


def test_the_keyboard_alone_paints(painter: Painter) -> None:
    page = painter.page
    painter.size(16)
    page.focus(".painter canvas")
    page.keyboard.press("Enter")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".painter", state="detached")
    mask = opened(painter.editor, painter.editor.document["nodes"]["mask"]["values"]["file"])
    assert grey(mask, 64, 64) == grey(mask, 92, 64) == 255
    assert grey(mask, 40, 64) == grey(mask, 92, 80) == 0


def test_closing_keeps_the_strokes_and_escape_closes(painter: Painter) -> None:
    painter.size(30)
    painter.drag((64, 64), (70, 64))
    before = painter.editor.text
    painter.page.keyboard.press("Escape")
    painter.page.wait_for_selector(".painter", state="detached")
    assert painter.editor.text == before
    painter.editor.node("mask").get_by_label("Paint a mask").click()
    again = Painter(painter.editor)
    assert grey(again.use(), 66, 64) == 255


def test_a_crop_is_a_new_file_in_the_same_field_and_one_step(editor: Editor, image: str) -> None:
    document = graph({"load": ("image.load", 0, 0)})
    document["nodes"]["load"]["values"]["file"] = image
    editor.open(document)

    def crop() -> None:
        editor.node("load").get_by_label("Paint a mask").click()
        painter = Painter(editor)
        painter.tool("crop")
        painter.drag((127.9, 127.9), (80, 70))
        painter.drag((0.1, 0.1), (16, 30))
        page = editor.page
        assert page.get_by_label("Left").input_value() == "16"
        page.get_by_label("Width").fill("60")
        page.get_by_label("Shape").select_option("1:1")
        assert (page.get_by_label("Width").input_value(), page.get_by_label("Height").input_value()) == ("40", "40")
        painter.use("load.file")

    editor.one_step(crop)
    made = opened(editor, editor.document["nodes"]["load"]["values"]["file"])
    whole = opened(editor, image)
    assert made.size == (40, 40)
    assert list(made.get_flattened_data()) == list(whole.crop((16, 30, 56, 70)).get_flattened_data())


def test_without_a_sam_the_painter_says_what_one_would_do(painter: Painter) -> None:
    painter.tool("segment")
    assert painter.page.locator(".painter-bar select").input_value() == ""
    assert "facebook/sam2.1-hiera-tiny" in painter.page.locator(".painter-said").inner_text()
    painter.tool("brush")
    assert painter.page.locator(".painter-said").inner_text() == ""


def test_a_mask_painted_on_a_image_comes_to_the_node_that_lacks_one(editor: Editor, image: str) -> None:
    document = graph(
        {"load": ("image.load", 0, 0), "encode": ("vae.encode_inpaint", 400, 0)}, [("load.image", "encode.image")]
    )
    document["nodes"]["load"]["values"]["file"] = image
    editor.open(document)

    def paint() -> None:
        editor.node("load").get_by_label("Paint a mask").click()
        painter = Painter(editor)
        painter.drag((40, 40), (90, 90))
        painter.use("load_mask.file")

    editor.one_step(paint)
    assert "load_mask.mask > encode.mask" in editor.links
    first = editor.document["nodes"]["load_mask"]["values"]["file"]
    editor.node("load").get_by_label("Paint a mask").click()
    painter = Painter(editor)
    painter.drag((40, 90), (90, 40))
    painter.use("load_mask.file")
    assert len(editor.document["nodes"]) == 3, "the same image has one mask"
    assert editor.document["nodes"]["load_mask"]["values"]["file"] != first


def test_a_cut_out_keeps_the_image_inside_the_mask_only(editor: Editor, image: str) -> None:
    document = graph({"load": ("image.load", 0, 0)})
    document["nodes"]["load"]["values"]["file"] = image
    editor.open(document)
    editor.node("load").get_by_label("Paint a mask").click()
    painter = Painter(editor)
    painter.tool("lasso")
    painter.drag((20, 20), (100, 20), (100, 100), (20, 100), (20, 21))
    editor.page.get_by_role("button", name="Cut out").click()
    editor.page.wait_for_selector(".painter", state="detached")
    made, whole = opened(editor, editor.document["nodes"]["load"]["values"]["file"]), opened(editor, image)
    assert made.getpixel((60, 60)) == whole.getpixel((60, 60)) and made.getpixel((5, 5))[3] == 0


def test_a_image_in_a_node_is_painted_on_from_its_menu(editor: Editor, image: str) -> None:
    document = graph(
        {"load": ("image.load", 0, 0), "resize": ("image.resize", 400, 0), "show": ("image.preview", 800, 0)}
    )
    document["links"] = [
        {"from": "load.image", "to": "resize.image"},
        {"from": "resize.image", "to": "show.image"},
    ]
    document["nodes"]["load"]["values"]["file"] = image
    document["nodes"]["resize"]["values"]["width"] = 64
    editor.open(document)

    def paint(node: str) -> Painter:
        editor.node(node).locator(".result img").click(button="right")
        editor.page.click('[data-command="paint"]')
        return Painter(editor)

    # What is loaded: as from the field. A crop stays in it.
    painter = paint("load")
    painter.tool("crop")
    painter.drag((127.9, 127.9), (96, 96))
    painter.use("load.file")
    editor.wait("document.querySelector('[data-node=load] .result img')?.naturalWidth === 96")
    # What was made: the mask needs the image as a file, so both come to be loaded.
    editor.press("Control+Enter")
    editor.page.locator('[data-node="show"] .result img').wait_for(timeout=60_000)
    painter = paint("show")
    painter.drag((20, 20), (40, 40))
    editor.page.get_by_role("button", name="Use as mask").click()
    editor.page.wait_for_selector(".painter", state="detached")
    nodes = editor.document["nodes"]
    assert {name for name in nodes if name not in document["nodes"]} == {"load_2", "load_mask"}
    assert opened(editor, nodes["load_2"]["values"]["file"]).size == (64, 64)
    # The other entries of the menu.
    editor.node("show").locator(".result img").click(button="right")
    with editor.page.expect_download() as saved:
        editor.page.click('[data-command="download"]')
    assert saved.value.suggested_filename.endswith((".png", ".webp"))
    editor.node("show").locator(".result img").click(button="right")
    editor.page.click('[data-command="look"]')
    editor.wait("document.querySelector('.viewer .images img')?.naturalWidth === 64")


def test_inpainting_from_end_to_end_leaves_everything_outside_the_mask_as_it_was(editor: Editor, image: str) -> None:
    """Template, own image, painted mask, run; then the result is painted on in its turn, from the viewer."""
    page = editor.page
    page.click('[data-panel="templates"]')
    page.click('[data-template="inpaint"]')
    editor.wait("__safelight.stage.geometry.nodes.size > 8")
    document = editor.document
    document["nodes"]["load"]["values"]["file"] = image
    document["nodes"]["sample"]["values"]["steps"] = 4
    editor.open(document, zoom=None)
    page.evaluate("__safelight.view.set(300, 40, 0.8)")
    editor.settle()
    editor.node("mask").get_by_label("Paint a mask").click()
    painter = Painter(editor)
    painter.tool("clear")
    painter.size(40)
    painter.drag((64, 64), (80, 64))
    mask = painter.use()
    page.keyboard.press("Control+Enter")
    editor.wait(
        "(() => { const s = __safelight.app.getState(); const tab = s.tabs.find(one => one.id === s.active);"
        " return tab.run && s.runs[tab.run]?.status === 'done'; })()",
        120,
    )
    (file,) = editor.state("runs[state.tabs.find(tab => tab.id === state.active).run].files")
    with urlopen(f"{editor.url}{file['url']}") as answer:
        made = PIL.open(io.BytesIO(answer.read())).convert("RGB")
    before, chosen = opened(editor, image).convert("RGB"), mask.convert("L")
    pixels = list(zip(made.get_flattened_data(), before.get_flattened_data(), chosen.get_flattened_data(), strict=True))
    assert all(now == was for now, was, inside in pixels if inside == 0)
    changed = [now != was for now, was, inside in pixels if inside == 255]
    assert len(changed) > 1000 and sum(changed) > 0.95 * len(changed)

    page.evaluate("__safelight.view.set(-900, 40, 0.8)")
    editor.node("save").locator(".result img").dblclick()
    page.locator("dialog.viewer").get_by_text("Paint a mask").click()
    again = Painter(editor)
    again.drag((20, 20), (40, 20))
    again.use("load_mask.file")
    loaded = editor.document["nodes"]["load_2"]["values"]["file"]
    assert opened(editor, loaded).convert("RGB").tobytes() == made.tobytes()
