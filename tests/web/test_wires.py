"""How wires are drawn, by choice: what is seen is also what is hit."""

from __future__ import annotations

import pytest

from web.editor import CHAIN, Editor

INK = """([x, y]) => {
    const canvas = document.querySelector('canvas.below'), box = canvas.getBoundingClientRect();
    const ratio = canvas.width / canvas.clientWidth;
    const place = (value) => Math.round(value * ratio) - 3;
    const { data } = canvas.getContext('2d').getImageData(place(x - box.x), place(y - box.y), 7, 7);
    const seen = [];
    for (let at = 0; at < data.length; at += 4) seen.push(data[at + 3]);
    return Math.max(...seen) > 150; // a dot of the grid is fainter
}"""


def choose(editor: Editor, style: str) -> None:
    editor.press("Control+,")
    editor.page.locator('[data-setting="wires"]').select_option(style)
    editor.page.keyboard.press("Escape")
    editor.settle()


@pytest.fixture
def slanted(editor: Editor) -> Editor:
    """A wire from high up on the left to far down on the right."""
    document = CHAIN | {"ui": {"nodes": {"empty": {"x": 0, "y": 0}, "sample": {"x": 600, "y": 300}}}}
    document["nodes"] = {name: CHAIN["nodes"][name] for name in ("empty", "sample")}
    editor.open(document)
    return editor


def test_a_wire_is_hit_where_its_style_draws_it(slanted: Editor) -> None:
    (ax, ay), (bx, by) = slanted.output("empty.latent"), slanted.input("sample.latent")
    quarter = {"straight": ay + (by - ay) / 4, "angled": ay}  # how high it is after a quarter of its way
    for style, y in quarter.items():
        choose(slanted, style)
        x = ax + (bx - ax) / 4
        assert slanted.page.evaluate(INK, [x, y]), style
        slanted.page.mouse.click(x, y)
        assert slanted.selection == ["/link/empty.latent>sample.latent"], style
        slanted.press("Escape")


def test_hidden_wires_show_at_what_is_selected(slanted: Editor) -> None:
    middle = slanted.middle("empty.latent", "sample.latent")
    assert slanted.page.evaluate(INK, middle)
    choose(slanted, "hidden")
    assert not slanted.page.evaluate(INK, middle)
    slanted.page.mouse.click(*slanted.header("sample"))
    slanted.settle()
    assert slanted.page.evaluate(INK, middle)


def test_links_between_the_same_nodes_run_side_by_side(editor: Editor) -> None:
    sides = ("left", "top", "width", "height")
    editor.open(
        {
            "format": "safelight/1",
            "nodes": {"box": {"type": "mask.bounding_box", "version": 1}, "crop": {"type": "image.crop", "version": 1}},
            "links": [{"from": f"box.{side}", "to": f"crop.{side}"} for side in sides],
            "ui": {"nodes": {"box": {"x": 0, "y": 0}, "crop": {"x": 700, "y": 260}}},
        }
    )
    before = editor.text
    editor.press("Control+,")
    editor.page.locator('[data-setting="bundles"]').check()
    editor.page.keyboard.press("Escape")
    editor.settle()

    def ribbon() -> int:
        return editor.page.evaluate("__safelight.stage.geometry.wires.filter(({ via }) => via).length")

    def middles() -> list[tuple[float, float]]:
        ways = editor.page.evaluate("__safelight.stage.geometry.wires.map(({ via }) => via)")
        assert all(ways), "every one is in the ribbon"
        return sorted(editor.at((a["x"] + b["x"]) / 2, (a["y"] + b["y"]) / 2) for a, b in ways)

    def hit() -> set[str]:
        found = set()
        for x, y in middles():
            editor.page.mouse.click(x, y)
            found |= set(editor.selection)
            editor.press("Escape")
        return found

    places = middles()
    assert max(y for _, y in places) - min(y for _, y in places) < 20, "they are near to each other"
    links = {f"/link/box.{side}>crop.{side}" for side in sides}
    assert hit() == links, "and each is hit by itself"
    assert editor.text == before, "the document says nothing of it"
    x, y = editor.header("crop")
    editor.drag((x, y), (x + 40, y + 60))
    assert hit() == links
    x, y = middles()[0]
    editor.page.mouse.dblclick(x, y)
    editor.settle()
    assert sum("bend" in link for link in editor.document["links"]) == 1
    assert editor.page.evaluate("__safelight.stage.geometry.wires.filter(({ via }) => !via).length") == 1, (
        "one that is bent leaves"
    )
