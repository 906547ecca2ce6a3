"""Select by segment: one touch of a thing in the painter chooses all of it, by a SAM or by colours and edges."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from serving import Server, serving
from web.conftest import ROOT, missing
from web.editor import Editor, graph
from web.test_painter import SIDE, Painter, grey, opened, share
from web.test_painting import Painting, made

PIL = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_segmenters

    home = tmp_path_factory.mktemp("segments") / "home"
    tiny_segmenters.tiny_sam(home / "models" / "tiny_sam")
    (home / "input").mkdir(parents=True)
    image = PIL.new("RGB", (SIDE, SIDE), "#dddddd")
    image.paste("#aa2211", (20, 20, 60, 60))
    image.paste("#1144aa", (70, 60, 110, 110))
    image.save(home / "input" / "squares.png")
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    if not (ROOT / "web" / "dist" / "index.html").is_file():
        missing("The editor is not built: run `npm ci && npm run build` in web/.")
    with serving(home, pack=False) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def painter(editor: Editor) -> Painter:
    document = graph(
        {"load": ("image.load", 0, 0), "mask": ("image.load_mask", 0, 340), "encode": ("vae.encode_inpaint", 400, 0)},
        [("load.image", "encode.image"), ("mask.mask", "encode.mask")],
    )
    document["nodes"]["load"]["values"]["file"] = "squares.png"
    editor.open(document)
    editor.node("mask").get_by_label("Paint a mask").click()
    return Painter(editor)


def touch(painter: Painter, x: float, y: float, key: str = "") -> None:
    """Until it has been found."""
    if key:
        painter.page.keyboard.down(key)
    painter.page.mouse.click(*painter.at(x, y))
    if key:
        painter.page.keyboard.up(key)
    found(painter.editor)


def found(editor: Editor) -> None:
    editor.wait("document.querySelector('.painter-said').textContent === ''", 120)
    editor.settle()


def by(painter: Painter, model: str) -> None:
    painter.page.locator(".painter-bar select").select_option(model)


def test_a_sam_that_is_there_is_asked_first_and_its_mask_is_the_one_that_is_used(
    painter: Painter, server: Server
) -> None:
    painter.tool("segment")
    # The models are looked for when the server starts.
    painter.editor.wait("document.querySelector('.painter-bar select').value === 'tiny_sam'")
    assert painter.page.locator(".painter-said").inner_text() == ""
    touch(painter, 40.5, 40.5)
    mask = painter.use()
    (body,) = asked(painter.editor)
    assert body["model"] == "tiny_sam" and body["image"] == "squares.png"
    assert all(abs(place - 40.5) < 1 for place in body["point"])
    answer = server.ask("POST", "/segments", body)
    with urlopen(f"{server.url}/api/v1/blobs/{answer['digest']}") as image:
        wanted = PIL.open(io.BytesIO(image.read())).convert("L")
    assert 0.02 < share(wanted) < 0.98
    assert mask.convert("L").tobytes() == wanted.tobytes()


def asked(editor: Editor) -> list[dict[str, Any]]:
    return editor.page.evaluate("window.__asked")


@pytest.fixture(autouse=True)
def listen(context: Any) -> None:
    """What the page asks of the route, word for word."""
    context.add_init_script(
        "window.__asked = []; const real = window.fetch; window.fetch = (address, how) => {"
        " if (String(address).endsWith('/segments')) window.__asked.push(JSON.parse(how.body));"
        " return real(address, how); };"
    )


def test_segments_are_added_and_taken_away_and_each_is_one_step(painter: Painter) -> None:
    page = painter.page
    painter.tool("segment")
    by(painter, "")
    touch(painter, 40, 40)
    touch(painter, 90, 90, "Shift")
    touch(painter, 40, 40, "Alt")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+Z")
    mask = painter.use()
    assert grey(mask, 40, 40) == grey(mask, 90, 90) == 255, "the last step, taking away, was undone"
    assert grey(mask, 10, 100) == grey(mask, 65, 30) == 0
    again = painter.editor
    again.node("mask").get_by_label("Paint a mask").click()
    painter = Painter(again)
    painter.tool("segment")
    by(painter, "")
    touch(painter, 40, 40, "Alt")
    mask = painter.use()
    assert grey(mask, 40, 40) == 0 and grey(mask, 90, 90) == 255


def test_by_keys_alone(painter: Painter) -> None:
    page = painter.page
    page.focus(".painter canvas")
    page.keyboard.press("s")
    by(painter, "")
    page.focus(".painter canvas")
    for key, times in (("ArrowLeft", 9), ("ArrowUp", 9)):
        for _ in range(times):
            page.keyboard.press(key)
    page.keyboard.press("Enter")
    painter.editor.wait("window.__asked.length === 1")
    found(painter.editor)
    mask = painter.use()
    assert grey(mask, 40, 40) == 255 and grey(mask, 90, 90) == 0 and grey(mask, 5, 5) == 0


def test_what_fails_is_told_in_the_painter(painter: Painter) -> None:
    painter.tool("segment")
    painter.editor.page.route("**/api/v1/segments", lambda route: route.abort())
    painter.page.mouse.click(*painter.at(40, 40))
    painter.editor.wait("document.querySelector('.painter-said').textContent.startsWith('The segment was not found')")
    assert painter.page.locator(".painter-said").is_visible()
    painter.page.unroute("**/api/v1/segments")
    painter.editor.errors.clear()
    touch(painter, 40, 40)


def test_a_layer_of_a_painting_is_filled_along_a_thing_of_the_image_below(editor: Editor) -> None:
    document = graph(
        {"load": ("image.load", 0, 0), "paint": ("image.paint", 400, 0), "show": ("image.preview", 800, 0)},
        [("load.image", "paint.image"), ("paint.image", "show.image")],
    )
    document["nodes"]["load"]["values"]["file"] = "squares.png"
    editor.open(document)
    editor.node("paint").locator("[data-paint]").click()
    painting = Painting(editor)
    painting.color("#00ff00")
    painting.tool("segment")
    editor.page.locator(".painter-bar select").select_option("")
    painting.click(90, 90)
    found(editor)
    ((mark,),) = [layer["marks"] for layer in painting.layers]
    assert mark["kind"] == "region" and mark["color"] == "#00ff00"
    painting.done()
    image = made(editor)
    assert image.getpixel((90, 90)) == (0, 255, 0) and image.getpixel((40, 40)) == (0xAA, 0x22, 0x11)


def test_an_image_that_was_made_is_copied_to_the_input_folder_once(editor: Editor, home: Path) -> None:
    document = graph(
        {"load": ("image.load", 0, 0), "flip": ("image.flip", 400, 0), "show": ("image.preview", 800, 0)},
        [("load.image", "flip.image"), ("flip.image", "show.image")],
    )
    document["nodes"]["load"]["values"]["file"] = "squares.png"
    editor.open(document)
    editor.press("Control+Enter")
    editor.page.locator('[data-node="show"] .result img').wait_for(timeout=60_000)
    before = {file.name for file in (home / "input").iterdir()}
    editor.node("show").locator(".result img").click(button="right")
    editor.page.click('[data-command="paint"]')
    painter = Painter(editor)
    painter.tool("segment")
    by(painter, "")
    touch(painter, 88, 40)
    touch(painter, 30, 90)
    editor.page.get_by_role("button", name="Use as mask").click()
    editor.page.wait_for_selector(".painter", state="detached")
    nodes = editor.document["nodes"]
    mask = opened(editor, nodes["load_mask"]["values"]["file"])
    assert grey(mask, 88, 40) == grey(mask, 30, 90) == 255 and grey(mask, 10, 10) == 0
    assert len({file.name for file in (home / "input").iterdir()} - before - {"masks"}) == 1
