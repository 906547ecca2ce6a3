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
    editor.page.get_by_label("Links").select_option(style)
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
