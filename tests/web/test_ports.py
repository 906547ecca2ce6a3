"""The border of a subgraph as two nodes inside it: wires to and from them, ports named, ordered and removed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from web.editor import Editor
from web.test_subgraphs import CHAIN, choose, inside, path

INPUTS, OUTPUTS = "/inputs", "/outputs"


@pytest.fixture
def opened(editor: Editor) -> Editor:
    """Two nodes of a chain as a subgraph, which is open."""
    editor.open(CHAIN, zoom=0.8)
    choose(editor, "sample", "repeat")
    editor.press("Control+Shift+G")
    editor.press("Enter")
    editor.page.wait_for_selector(f'[data-node="{OUTPUTS}"]')
    editor.wait("!__safelight.view.moving")
    return editor


def entries(editor: Editor, side: str = "inputs") -> list[tuple[str, str]]:
    return [(entry["name"], entry["to" if side == "inputs" else "from"]) for entry in inside(editor).get(side, [])]


def row(editor: Editor, name: str, side: str = "inputs") -> Any:
    return editor.page.locator(f'[data-key="/port/{side}/{name}"]')


def shown(editor: Editor, side: str = "inputs") -> list[str]:
    return editor.page.locator(f'[data-key^="/port/{side}/"]').evaluate_all("all => all.map(one => one.innerText)")


def test_inputs_stand_left_and_outputs_right_in_the_order_of_the_outside(opened: Editor) -> None:
    before = opened.text
    left, right = opened.rect(INPUTS), opened.rect(OUTPUTS)
    nodes = [opened.rect(name) for name in ("sample", "repeat")]
    assert left["x"] + left["w"] < min(rect["x"] for rect in nodes)
    assert right["x"] > max(rect["x"] + rect["w"] for rect in nodes)
    opened.drag(opened.output(f"{INPUTS}./new"), opened.input("sample.positive"))
    opened.drag(opened.output("sample.latent"), opened.input(f"{OUTPUTS}./new"))
    assert shown(opened) == ["Latent", "Positive"] and shown(opened, "outputs") == ["Latent", "Latent 2"]
    wires = opened.page.evaluate("__safelight.stage.geometry.wires.map(wire => `${wire.id} ${wire.type}`)")
    assert "/inputs.positive>sample.positive Conditioning" in wires
    assert "sample.latent>/outputs.latent_2 Latent" in wires
    opened.press("Control+ArrowUp")
    outside = opened.node("subgraph").locator(".in, .out").evaluate_all("all => all.map(one => one.innerText)")
    assert outside == ["Latent", "Latent", "Positive", "Latent 2"]
    opened.press("Control+z")
    opened.press("Control+z")
    assert opened.text == before, "opening a subgraph changes nothing"


def test_a_wire_makes_a_port_another_uses_it_again_and_its_end_moves(opened: Editor) -> None:
    opened.one_step(lambda: opened.drag(opened.output(f"{INPUTS}./new"), opened.input("sample.positive")))
    assert entries(opened)[-1] == ("positive", "sample.positive")
    opened.one_step(lambda: opened.drag(opened.output(f"{INPUTS}.positive"), opened.input("sample.negative")))
    assert entries(opened)[-2:] == [("positive", "sample.positive"), ("positive", "sample.negative")]
    # The end of a wire in hand: to another input, the port keeps its name; and to no input, the port stays at the rest.
    opened.drag(opened.input("sample.positive"), opened.at(-60, -90))
    assert entries(opened)[-1] == ("positive", "sample.negative")
    opened.one_step(lambda: opened.drag(opened.input("sample.negative"), opened.input("sample.positive")))
    assert entries(opened)[-1] == ("positive", "sample.positive")
    opened.press("Control+ArrowUp")
    assert opened.page.locator('[data-port="subgraph.positive"]').count() == 1


def test_a_wire_from_a_widget_and_from_an_output_onto_plus(opened: Editor) -> None:
    opened.node("sample").hover()
    opened.one_step(lambda: opened.drag(opened.input("sample.steps"), opened.output(f"{INPUTS}./new")))
    assert entries(opened)[-1] == ("steps", "sample.steps")
    assert opened.page.locator('[data-widget="sample.steps"] .field').count(), "its field inside is the default outside"
    opened.one_step(lambda: opened.drag(opened.output("sample.latent"), opened.input(f"{OUTPUTS}.latent")))
    assert entries(opened, "outputs") == [("latent", "sample.latent")], "an output has one source"
    opened.press("Control+ArrowUp")
    assert "subgraph.latent > decode.latent" in opened.links
    label = opened.page.locator('[data-widget="subgraph.steps"] .label')
    assert label.inner_text() == "Steps"


def test_what_does_not_fit_is_refused(opened: Editor) -> None:
    before = opened.text
    opened.drag(opened.output(f"{INPUTS}.latent"), opened.input("sample.positive"), release=False)
    assert opened.page.locator(".reason").inner_text()
    opened.page.mouse.up()
    opened.drag(opened.output(f"{INPUTS}.latent"), opened.input(f"{OUTPUTS}./new"))
    opened.drag(opened.output(f"{INPUTS}./new"), opened.input(f"{OUTPUTS}.latent"))
    assert opened.text == before


@pytest.mark.parametrize("way", ["double click", "F2", "menu"])
def test_a_port_is_renamed_and_the_links_outside_follow(opened: Editor, way: str) -> None:
    def rename() -> None:
        if way == "double click":
            row(opened, "latent").dblclick()
        elif way == "F2":
            row(opened, "latent").click()
            opened.press("F2")
        else:
            row(opened, "latent").click(button="right")
            opened.page.click('[role="menuitem"][data-command="rename"]')
        opened.page.wait_for_selector(".row.port input:focus")
        opened.page.keyboard.type("start image")
        opened.page.keyboard.press("Enter")

    opened.one_step(rename)
    assert entries(opened) == [("start_image", "sample.latent")]
    opened.press("Control+z")
    rename()
    assert opened.selection == ["/port/inputs/start_image"]
    opened.press("Escape")
    opened.press("Control+ArrowUp")
    assert "empty.latent > subgraph.start_image" in opened.links


def test_ports_are_ordered_by_drag_menu_and_keys(opened: Editor) -> None:
    page = opened.page
    for port in ("positive", "negative"):
        opened.drag(opened.output(f"{INPUTS}./new"), opened.input(f"sample.{port}"))
    names = lambda: [name for name, _ in entries(opened)]  # noqa: E731
    assert names() == ["latent", "positive", "negative"]
    x, y = opened.output(f"{INPUTS}.latent")
    _, last = opened.output(f"{INPUTS}.negative")
    opened.one_step(lambda: opened.drag((x - 60, y), (x - 60, last + 6)))
    assert names() == ["positive", "negative", "latent"]
    row(opened, "latent").click(button="right")
    opened.one_step(lambda: page.click('[role="menuitem"][data-command="portUp"]'))
    assert names() == ["positive", "latent", "negative"]
    opened.one_step(lambda: opened.press("Alt+ArrowUp"))
    opened.one_step(lambda: opened.press("Alt+ArrowDown"))
    assert names() == ["positive", "latent", "negative"]
    opened.press("Control+ArrowUp")
    outside = opened.node("subgraph").locator(".in").evaluate_all("all => all.map(one => one.innerText)")
    assert outside == ["Positive", "Latent", "Negative"]


def test_removing_a_port_tells_of_the_links_outside_and_is_one_step(opened: Editor) -> None:
    row(opened, "latent", "outputs").click()
    opened.one_step(lambda: opened.press("Delete"))
    assert entries(opened, "outputs") == [] and "outputs" not in inside(opened)
    assert opened.links == {"empty.latent > subgraph.latent"}
    assert "Links outside removed with their port: 1 (latent)" in opened.page.locator(".toast").first.inner_text()
    opened.press("Control+z")
    assert "subgraph.latent > decode.latent" in opened.links


def test_a_node_that_goes_takes_its_ports_along(opened: Editor) -> None:
    choose(opened, "repeat")
    opened.one_step(lambda: opened.press("Delete"))
    assert entries(opened, "outputs") == []
    assert opened.links == {"empty.latent > subgraph.latent"}, "no link outside hangs in the air"


def test_both_are_moved_and_their_places_kept(opened: Editor) -> None:
    before = opened.document
    where = {name: opened.rect(name) for name in (INPUTS, OUTPUTS)}
    x, y = opened.header(INPUTS)
    opened.one_step(lambda: opened.drag((x, y), (x - 40, y + 80)))
    kept = inside(opened)["ui"]["nodes"]
    assert kept[OUTPUTS] == {"x": where[OUTPUTS]["x"], "y": where[OUTPUTS]["y"]}, "what was not moved stays"
    assert (kept[INPUTS]["x"], kept[INPUTS]["y"]) != (where[INPUTS]["x"], where[INPUTS]["y"])
    after = opened.document
    for document in (before, after):
        document["subgraphs"]["subgraph"].pop("ui")
    assert before == after, "places alone have changed"
    choose(opened, INPUTS)
    opened.one_step(lambda: opened.press("ArrowRight"))
    opened.open(json.loads(opened.text), zoom=None)
    choose(opened, "subgraph")
    place = kept[INPUTS]
    opened.press("Enter")
    opened.page.wait_for_selector(f'[data-node="{INPUTS}"]')
    assert opened.rect(INPUTS)["x"] == place["x"] + 1


def test_select_all_frame_arrange_and_the_map_know_them(opened: Editor) -> None:
    opened.press("Control+a")
    assert {INPUTS, OUTPUTS, "sample", "repeat"} == set(opened.selection)
    opened.press("Control+g")
    frame = inside(opened)["ui"]["frames"][0]
    assert frame["x"] < opened.rect(INPUTS)["x"]
    assert frame["x"] + frame["w"] > opened.rect(OUTPUTS)["x"] + opened.rect(OUTPUTS)["w"]
    opened.press("Control+z")
    opened.press("Escape")
    before = opened.text
    opened.press("Shift+L")
    opened.wait("'/inputs' in JSON.parse(__safelight.write()).subgraphs.subgraph.ui.nodes")
    opened.press("Control+z")
    assert opened.text == before, "one step"
    opened.press("Control+Shift+Z")
    opened.press("Home")
    opened.wait("!__safelight.view.moving")
    rects = {name: opened.rect(name) for name in (INPUTS, "sample", "repeat", OUTPUTS)}
    assert rects[INPUTS]["x"] < rects["sample"]["x"] < rects["repeat"]["x"] < rects[OUTPUTS]["x"]
    for name in (INPUTS, OUTPUTS):
        x, y = opened.at(rects[name]["x"], rects[name]["y"])
        assert 90 < x < 1440 and 60 < y < 900, "all of it is in sight"
    opened.press("Control+a")
    opened.press("Delete")
    assert inside(opened)["nodes"] == {} and "inputs" not in inside(opened)
    assert opened.node(INPUTS).count() == 1, "the border cannot be removed"


def test_by_keyboard_alone(opened: Editor) -> None:
    page = opened.page
    choose(opened, "sample")
    opened.press("Alt+ArrowLeft")
    assert opened.selection == [INPUTS]
    opened.press("c")
    page.wait_for_selector('[role="combobox"]:focus')
    page.keyboard.type("positive")
    page.keyboard.press("Enter")
    assert entries(opened)[-1] == ("positive", "sample.positive")
    opened.press("Enter")
    assert opened.selection == ["/port/inputs/latent"]
    opened.press("ArrowDown")
    assert opened.selection == ["/port/inputs/positive"]
    opened.press("Alt+ArrowUp")
    assert [name for name, _ in entries(opened)] == ["positive", "latent"]
    opened.press("F2")
    page.wait_for_selector(".row.port input:focus")
    page.keyboard.type("prompt")
    page.keyboard.press("Enter")
    opened.press("Delete")
    assert [name for name, _ in entries(opened)] == ["latent"]
    assert opened.selection == [INPUTS]
    opened.press("Escape")
    assert path(opened) == ["subgraph"], "only the choice was given up"


def test_a_reroute_point_in_a_wire_of_the_border(opened: Editor) -> None:
    middle = opened.middle(f"{INPUTS}.latent", "sample.latent")
    opened.one_step(lambda: opened.page.mouse.dblclick(*middle))
    assert len(inside(opened)["inputs"][0]["bend"]) == 1
    opened.one_step(lambda: opened.drag(middle, (middle[0], middle[1] + 60)))
    opened.one_step(lambda: opened.page.mouse.dblclick(middle[0], middle[1] + 60))
    assert "bend" not in inside(opened)["inputs"][0]


def test_by_touch(opened: Editor) -> None:
    touch = opened.fingers()
    start, end = opened.output(f"{INPUTS}./new"), opened.input("sample.positive")
    touch("touchStart", start)
    for part in range(1, 6):
        touch("touchMove", (start[0] + (end[0] - start[0]) * part / 5, start[1] + (end[1] - start[1]) * part / 5))
    touch("touchEnd")
    opened.settle()
    assert entries(opened)[-1] == ("positive", "sample.positive")
    x, y = opened.output(f"{INPUTS}.latent")
    touch("touchStart", (x - 70, y))
    touch("touchEnd")
    opened.settle()
    assert opened.selection == ["/port/inputs/latent"]


def test_a_port_of_a_nested_subgraph_is_removed_as_far_out_as_it_is_used(opened: Editor) -> None:
    choose(opened, "sample")
    opened.press("Control+Shift+G")
    opened.press("Enter")
    opened.wait("!__safelight.view.moving")
    assert len(path(opened)) == 2

    def outermost() -> set[str]:
        return {port for link in opened.links for port in link.split(" > ") if port.startswith("subgraph.")}

    assert "subgraph.latent" in outermost()
    row(opened, "latent").click()
    opened.one_step(lambda: opened.press("Delete"))
    assert opened.links == {"subgraph.latent > decode.latent"}, "what led there from the outermost went with it"
    assert "(latent)" in opened.page.locator(".toast").first.inner_text()
    opened.press("Control+z")
    assert "empty.latent > subgraph.latent" in opened.links
    opened.one_step(opened.page.locator('[data-ports="inputs"] li button').last.click)
    assert opened.links == {"subgraph.latent > decode.latent"}


def test_a_taken_name_is_told(opened: Editor) -> None:
    opened.drag(opened.output(f"{INPUTS}./new"), opened.input("sample.positive"))
    before = opened.text
    for by_panel in (False, True):
        if by_panel:
            opened.page.locator('[data-name="positive"] input').click(click_count=3)
        else:
            row(opened, "positive").dblclick()
        opened.page.keyboard.type("latent")
        opened.page.keyboard.press("Enter")
        opened.page.wait_for_selector(".toast:has-text('There is already a port named “latent”')")
        opened.page.click(".toast button")
        assert opened.text == before
