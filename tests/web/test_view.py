"""Looking at the graph: zoom, pan, the map, snapping, and dragging things in from the side."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from web.editor import CHAIN, Editor, graph


def viewport(editor: Editor) -> dict[str, float]:
    return editor.page.evaluate("__safelight.view.viewport")


def wheel(editor: Editor, x: float, y: float, **event: Any) -> None:
    """A wheel event as a touchpad sends it; the driver's own has no control key and whole steps only."""
    editor.page.evaluate(
        """([x, y, event]) => document.getElementById("canvas").dispatchEvent(
            new WheelEvent("wheel", {clientX: x, clientY: y, bubbles: true, cancelable: true, ...event}))""",
        [x, y, event],
    )


def test_two_fingers_move_the_view_and_a_pinch_zooms_at_the_pointer(chain: Editor) -> None:
    start = viewport(chain)
    wheel(chain, 600, 500, deltaX=12.5, deltaY=-7.5)
    now = viewport(chain)
    assert (now["x"], now["y"], now["zoom"]) == (start["x"] - 12.5, start["y"] + 7.5, 1)
    before = chain.page.evaluate("__safelight.view.toGraph({x: 600, y: 500})")
    wheel(chain, 600, 500, deltaY=-12, ctrlKey=True)
    after = chain.page.evaluate("__safelight.view.toGraph({x: 600, y: 500})")
    zoom = viewport(chain)["zoom"]
    assert zoom > 1.05
    assert abs(before["x"] - after["x"]) * zoom < 1 and abs(before["y"] - after["y"]) * zoom < 1


def test_zoom_by_keys(chain: Editor) -> None:
    chain.press("Alt+=")
    assert viewport(chain)["zoom"] == pytest.approx(1.25)
    chain.press("Alt+-")
    assert viewport(chain)["zoom"] == pytest.approx(1)
    chain.page.mouse.click(*chain.header("sample"))
    chain.press("Shift+Digit2")
    chain.wait("!__safelight.view.moving")
    assert chain.is_in_the_middle("sample")
    chain.press("Shift+Digit1")
    chain.wait("!__safelight.view.moving")
    assert all(0 < chain.header(name)[0] < 1440 for name in CHAIN["nodes"])


def test_the_zoom_that_is_said_is_the_zoom_that_is_seen(editor: Editor) -> None:
    page = editor.page
    page.set_viewport_size({"width": 820, "height": 1180})
    page.get_by_role("button", name="Text to image").first.click()
    page.wait_for_selector(".canvas-tools")
    editor.wait("!__safelight.view.moving")
    zoom = page.evaluate("__safelight.view.zoom")
    assert zoom < 0.9
    assert page.inner_text('[data-tool="zoom100"]') == f"{round(100 * zoom)} %"


def test_the_left_button_pans_where_that_is_preferred(chain: Editor) -> None:
    chain.page.evaluate(
        """() => { const {preferences} = __safelight.app.getState();
            __safelight.app.setState({preferences: {...preferences, leftDrag: "pan"}}); }"""
    )
    x = viewport(chain)["x"]
    chain.drag((600, 700), (700, 700))
    assert viewport(chain)["x"] == x + 100
    chain.drag(chain.at(-20, 500), chain.at(200, -20), keys=("Shift",))
    assert chain.selection == ["empty"]


def test_the_map_shows_what_is_in_sight_and_is_dragged(chain: Editor) -> None:
    chain.page.evaluate("__safelight.view.set(-400, 60, 2)")
    chain.page.wait_for_timeout(250)
    shown = chain.page.evaluate(
        """() => {
            const {view, stage} = __safelight;
            const box = document.querySelector(".minimap").getBoundingClientRect();
            const seen = document.querySelector(".minimap .seen").getBoundingClientRect();
            const rects = [...stage.geometry.nodes.values()].map((node) => node.rect);
            const x0 = Math.min(...rects.map((r) => r.x)) - 40, y0 = Math.min(...rects.map((r) => r.y)) - 40;
            const w = Math.max(...rects.map((r) => r.x + r.w)) + 40 - x0;
            const h = Math.max(...rects.map((r) => r.y + r.h)) + 40 - y0;
            const k = Math.min(180 / w, 120 / h), sight = view.visible();
            const left = box.left + 1 + (180 - w * k) / 2 + (sight.x - x0) * k;
            return {k, width: sight.w * k, seen: seen.width, left, at: seen.left};
        }"""
    )
    assert abs(shown["seen"] - shown["width"]) < 2
    assert abs(shown["at"] - shown["left"]) < 2
    box = chain.page.locator(".minimap").bounding_box()
    chain.page.mouse.move(box["x"] + 60, box["y"] + 60)
    chain.page.mouse.down()
    before = viewport(chain)
    chain.page.mouse.move(box["x"] + 80, box["y"] + 60, steps=4)
    chain.page.mouse.up()
    after = viewport(chain)
    assert before["x"] - after["x"] == pytest.approx(20 / shown["k"] * 2, rel=0.05)


def test_snapping_to_the_grid_is_switched(chain: Editor) -> None:
    chain.press("Shift+Tab")
    x, y = chain.header("decode")
    chain.drag((x, y), (x + 7, y + 156))
    assert (chain.rect("decode")["x"], chain.rect("decode")["y"]) == (700, 160)
    chain.press("Shift+Tab")
    x, y = chain.header("decode")
    chain.drag((x, y), (x + 33, y + 45), keys=("Control",))
    assert (chain.rect("decode")["x"], chain.rect("decode")["y"]) == (733, 205)


def test_distributing_gives_equal_gaps(chain: Editor) -> None:
    x, y = chain.header("decode")
    chain.drag((x, y), (x + 157, y), keys=("Control",))
    chain.press("Control+a")
    chain.one_step(lambda: chain.press("Alt+Shift+H"))
    rects = [chain.rect(name) for name in ("empty", "sample", "decode")]
    gaps = [b["x"] - a["x"] - a["w"] for a, b in pairwise(rects)]
    assert abs(gaps[0] - gaps[1]) <= 1


def test_undo_leaves_the_view_alone(chain: Editor) -> None:
    x, y = chain.header("decode")
    chain.drag((x, y), (x, y + 100), keys=("Control",))
    chain.page.evaluate("__safelight.view.set(-120, 33, 0.8)")
    chain.press("Control+z")
    assert viewport(chain) == {"x": -120, "y": 33, "zoom": 0.8}


def test_a_node_dropped_on_a_wire_with_ctrl_stays_beside_it(chain: Editor) -> None:
    document = {**CHAIN, "nodes": {**CHAIN["nodes"], "repeat": {"type": "latent.repeat"}}}
    document["ui"] = {"nodes": {**CHAIN["ui"]["nodes"], "repeat": {"x": 300, "y": 500}}}
    chain.open(document, zoom=0.9)
    spot = chain.middle("empty.latent", "sample.latent")
    chain.drag(chain.header("repeat"), spot, release=False)
    assert chain.page.evaluate("__safelight.stage.dropWire") == "empty.latent>sample.latent"
    chain.page.keyboard.press("Escape")
    chain.page.mouse.up()
    chain.drag(chain.header("repeat"), spot, keys=("Control",))
    assert chain.links == {"empty.latent > sample.latent"}


def test_pasting_with_incoming_wires_and_copying_them_along(chain: Editor) -> None:
    chain.page.mouse.click(*chain.header("sample"))
    chain.press("Control+c")
    chain.page.mouse.move(500, 700)
    chain.one_step(lambda: (chain.press("Control+Shift+V"), chain.wait("__safelight.stage.geometry.nodes.size === 4")))
    assert "empty.latent > sample_2.latent" in chain.links
    chain.press("Control+z")
    x, y = chain.header("sample")
    chain.one_step(lambda: chain.drag((x, y), (x + 20, y + 430), keys=("Alt", "Control")))
    assert "empty.latent > sample_2.latent" in chain.links


def test_wires_of_a_collapsed_node_end_at_its_header(chain: Editor) -> None:
    chain.page.mouse.click(*chain.header("sample"))
    chain.press("Alt+c")
    wire = chain.page.evaluate("__safelight.stage.geometry.wires[0].points.at(-1)")
    rect = chain.rect("sample")
    assert wire["x"] == rect["x"] and rect["y"] <= wire["y"] <= rect["y"] + rect["h"] == rect["y"] + 34


def test_a_node_joins_and_leaves_a_frame_by_being_dragged(chain: Editor) -> None:
    chain.page.mouse.click(*chain.header("sample"))
    chain.press("Control+g")
    frame = chain.document["ui"]["frames"][0]
    grip = (frame["x"] + 60, frame["y"] + 12)
    chain.drag(chain.header("sample"), chain.at(600, 560), keys=("Control",))
    was = chain.rect("sample")
    chain.drag(chain.at(*grip), chain.at(grip[0], grip[1] + 40), keys=("Control",))
    assert chain.rect("sample") == was, "it has left the frame"
    chain.drag(chain.header("decode"), chain.at(frame["x"] + 130, frame["y"] + 150), keys=("Control",))
    was = chain.rect("decode")
    chain.drag(chain.at(grip[0], grip[1] + 40), chain.at(grip[0], grip[1] + 60), keys=("Control",))
    assert chain.rect("decode")["y"] == was["y"] + 20, "it has joined the frame"


def test_a_node_is_resized_and_the_extra_height_goes_to_its_text(editor: Editor) -> None:
    editor.open(graph({"prompt": ("text.encode", 0, 0)}))
    rect = editor.rect("prompt")
    corner = editor.at(rect["w"] - 5, rect["h"] - 5)
    editor.one_step(lambda: editor.drag(corner, (corner[0] + 80, corner[1] + 120)))
    assert abs(editor.rect("prompt")["w"] - rect["w"] - 75) <= 8
    area = editor.node("prompt").locator("textarea").bounding_box()
    assert area["height"] > 180


def test_nodes_and_models_are_dragged_in_from_the_side(chain: Editor) -> None:
    chain.press("b")
    chain.page.fill(".side-panel .filter", "vae encode")
    node = chain.page.locator('[data-type="vae.encode"]')
    canvas = chain.page.locator("#canvas")
    chain.page.evaluate("__safelight.view.set(420, 60, 1)")
    chain.one_step(lambda: node.drag_to(canvas, target_position={"x": 700, "y": 600}))
    rect, corner = chain.rect("encode"), canvas.bounding_box()
    x, y = chain.at(rect["x"] + 120, rect["y"] + 20)
    assert abs(x - corner["x"] - 700) < 2 and abs(y - corner["y"] - 600) < 2
    chain.press("Shift+M")
    chain.page.fill(".side-panel .filter", "starter")
    model = chain.page.locator('[data-model="starter"]')
    model.drag_to(canvas, target_position={"x": 1000, "y": 600})
    assert chain.document["nodes"]["load"] | {"version": 0} == {
        "type": "models.load",
        "version": 0,
        "values": {"model": "starter"},
    }
    chain.page.evaluate("""() => { const state = __safelight.app.getState();
        __safelight.app.setState({models: [...state.models, {...state.models[0], name: "other"}]}); }""")
    chain.page.fill(".side-panel .filter", "other")
    chain.page.locator('[data-model="other"]').drag_to(chain.page.locator('[data-widget="load.model"]'))
    assert chain.document["nodes"]["load"]["values"] == {"model": "other"}
