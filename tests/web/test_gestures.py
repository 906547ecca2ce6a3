"""Every gesture on the canvas, with the mouse and the keyboard, and that each is one step of undo."""

from __future__ import annotations

from typing import Any

import pytest

from web.editor import Editor, graph

CHAIN = graph(
    {
        "empty": ("latent.empty", 0, 0),
        "sample": ("sampling.sample", 340, 0),
        "decode": ("vae.decode", 700, 0),
        "save": ("image.save", 1000, 0),
    },
    [("empty.latent", "sample.latent"), ("sample.latent", "decode.latent"), ("decode.image", "save.image")],
)


@pytest.fixture
def chain(editor: Editor) -> Editor:
    editor.open(CHAIN)
    return editor


def search(editor: Editor, text: str) -> Any:
    editor.page.keyboard.type(text)
    return editor.page.locator('[role="option"][aria-selected="true"]')


@pytest.mark.parametrize("how", ["double click", "Tab", "menu"])
def test_the_palette_opens_filters_and_places_the_node_at_the_pointer(editor: Editor, how: str) -> None:
    page = editor.page
    page.mouse.move(500, 400)
    if how == "double click":
        page.mouse.dblclick(500, 400)
    elif how == "Tab":
        editor.press("Tab")
    else:
        page.mouse.click(500, 400, button="right")
        page.click('[data-command="add"]')
    page.wait_for_selector('[role="combobox"]:focus')
    assert search(editor, "decode").get_attribute("data-option") == "vae.decode"
    page.keyboard.press("Enter")
    assert editor.document["nodes"]["decode"]["type"] == "vae.decode"
    rect = editor.rect("decode")
    x, y = editor.at(rect["x"] + rect["w"] / 2, rect["y"] + 20)
    assert abs(x - 500) < 2 and abs(y - 400) < 2
    assert editor.selection == ["decode"]


def test_a_wire_into_the_void_lists_only_what_fits_and_connects_it(chain: Editor) -> None:
    def pull() -> None:
        chain.drag(chain.output("sample.latent"), chain.at(560, 420))
        chain.page.wait_for_selector('[role="combobox"]:focus')
        listed = chain.page.locator('[role="option"]').evaluate_all("all => all.map(one => one.dataset.option)")
        assert "vae.decode" in listed
        assert "image.save" not in listed
        search(chain, "decode")
        chain.page.keyboard.press("Enter")

    chain.one_step(pull)
    assert "sample.latent > decode_2.latent" in chain.links


def test_a_wire_pulled_backwards_lists_what_gives_it(chain: Editor) -> None:
    chain.drag(chain.input("sample.positive"), chain.at(150, 500))
    chain.page.wait_for_selector('[role="combobox"]:focus')
    search(chain, "text encode")
    chain.page.keyboard.press("Enter")
    assert "encode.conditioning > sample.positive" in chain.links


def test_connecting_replacing_and_refusing_with_the_reason(chain: Editor) -> None:
    chain.open(
        graph(
            {
                "a": ("latent.empty", 0, 0),
                "b": ("latent.empty", 0, 200),
                "decode": ("vae.decode", 400, 0),
                "save": ("image.save", 400, 250),
            }
        )
    )
    chain.one_step(lambda: chain.drag(chain.output("a.latent"), chain.input("decode.latent")))
    chain.one_step(lambda: chain.drag(chain.output("b.latent"), chain.input("decode.latent")))
    assert chain.links == {"b.latent > decode.latent"}
    before = chain.text
    chain.drag(chain.output("a.latent"), chain.input("save.image"), release=False)
    reason = chain.page.locator(".reason")
    assert "Decode it first." in reason.inner_text()
    lit = chain.page.locator('[data-port="decode.latent"]').get_attribute("class")
    dim = chain.page.locator('[data-port="save.image"]').get_attribute("class")
    assert "lit" in lit
    assert "dim" in dim
    chain.page.mouse.up()
    assert chain.text == before


def test_a_wire_dropped_on_a_body_takes_the_first_free_input_that_fits(chain: Editor) -> None:
    chain.open(graph({"a": ("latent.empty", 0, 0), "sample": ("sampling.sample", 400, 0)}))
    chain.one_step(lambda: chain.drag(chain.output("a.latent"), chain.header("sample")))
    assert chain.links == {"a.latent > sample.latent"}


def test_a_connected_input_is_picked_up_moved_or_taken_off(chain: Editor) -> None:
    chain.open(
        graph(
            {"a": ("latent.empty", 0, 0), "one": ("vae.decode", 400, 0), "two": ("vae.decode", 400, 250)},
            [("a.latent", "one.latent")],
        )
    )
    chain.one_step(lambda: chain.drag(chain.input("one.latent"), chain.input("two.latent")))
    assert chain.links == {"a.latent > two.latent"}
    chain.one_step(lambda: chain.drag(chain.input("two.latent"), chain.at(300, 600)))
    assert chain.links == set()


def test_ctrl_drag_moves_all_wires_of_an_output(chain: Editor) -> None:
    chain.open(
        graph(
            {
                "a": ("latent.empty", 0, 0),
                "b": ("latent.empty", 0, 250),
                "one": ("vae.decode", 400, 0),
                "two": ("vae.decode", 400, 250),
            },
            [("a.latent", "one.latent"), ("a.latent", "two.latent")],
        )
    )
    chain.one_step(lambda: chain.drag(chain.output("a.latent"), chain.output("b.latent"), keys=("Control",)))
    assert chain.links == {"b.latent > one.latent", "b.latent > two.latent"}


def test_a_free_node_dropped_on_a_wire_is_inserted(chain: Editor) -> None:
    chain.open(
        {
            **CHAIN,
            "nodes": {**CHAIN["nodes"], "repeat": {"type": "latent.repeat"}},
            "ui": {"nodes": {**CHAIN["ui"]["nodes"], "repeat": {"x": 300, "y": 500}}},
        }
    )
    chain.page.evaluate("__safelight.view.set(40, 60, 0.9)")
    x, y = chain.middle("sample.latent", "decode.latent")
    chain.one_step(lambda: chain.drag(chain.header("repeat"), (x, y)))
    assert {"sample.latent > repeat.latent", "repeat.latent > decode.latent"} <= chain.links


def test_delete_takes_links_along_and_dissolve_joins_them(chain: Editor) -> None:
    document = graph(
        {"a": ("latent.empty", 0, 0), "repeat": ("latent.repeat", 300, 0), "decode": ("vae.decode", 600, 0)},
        [("a.latent", "repeat.latent"), ("repeat.latent", "decode.latent")],
    )
    chain.open(document)
    chain.page.mouse.click(*chain.header("repeat"))
    chain.one_step(lambda: chain.press("Delete"))
    assert chain.links == set()
    chain.press("Control+z")
    chain.one_step(lambda: chain.press("Control+Delete"))
    assert chain.links == {"a.latent > decode.latent"}


def test_alt_click_takes_wires_off_and_a_cut_goes_through_all_it_crosses(chain: Editor) -> None:
    def unlink() -> None:
        chain.page.keyboard.down("Alt")
        chain.page.mouse.click(*chain.output("sample.latent"))
        chain.page.keyboard.up("Alt")

    chain.one_step(unlink)
    assert "sample.latent > decode.latent" not in chain.links
    chain.press("Control+z")
    (x, y) = chain.middle("sample.latent", "decode.latent")
    chain.one_step(lambda: chain.drag((x, y - 90), (x, y + 90), button="right", keys=("Control",)))
    assert "sample.latent > decode.latent" not in chain.links
    assert "empty.latent > sample.latent" in chain.links


def test_a_wire_bends_where_it_is_double_clicked(chain: Editor) -> None:
    x, y = chain.middle("empty.latent", "sample.latent")
    chain.one_step(lambda: chain.page.mouse.dblclick(x, y))
    wire = next(link for link in chain.document["links"] if link["to"] == "sample.latent")
    assert len(wire["bend"]) == 1
    chain.one_step(lambda: chain.drag((x, y), (x + 20, y + 120)))
    chain.one_step(lambda: chain.page.mouse.dblclick(x + 20, y + 120))
    assert chain.document["links"] == CHAIN["links"]


def test_selecting(chain: Editor) -> None:
    mouse, keyboard = chain.page.mouse, chain.page.keyboard
    mouse.click(*chain.header("empty"))
    assert chain.selection == ["empty"]
    keyboard.down("Shift")
    mouse.click(*chain.header("sample"))
    keyboard.up("Shift")
    assert chain.selection == ["empty", "sample"]
    chain.press("Control+a")
    assert set(chain.selection) == set(CHAIN["nodes"])
    chain.press("Escape")
    assert chain.selection == []
    chain.drag(chain.at(-20, 700), chain.at(300, -20))
    assert chain.selection == ["empty"]
    chain.drag(chain.at(650, -30), chain.at(960, 300), keys=("Shift",))
    assert chain.selection == ["empty", "decode"]


def test_zoom_keeps_the_point_under_the_pointer_and_pan_moves_everything(chain: Editor) -> None:
    view = "(() => { const v = __safelight.view; return v.toGraph({x: 600, y: 500}); })()"
    chain.page.mouse.move(600, 500)
    before = chain.page.evaluate(view)
    chain.page.mouse.wheel(0, -240)
    chain.wait("__safelight.view.zoom > 1.1")
    after = chain.page.evaluate(view)
    zoom = chain.page.evaluate("__safelight.view.zoom")
    assert abs(before["x"] - after["x"]) * zoom < 1 and abs(before["y"] - after["y"]) * zoom < 1
    for button, keys in (("middle", ()), ("left", (" ",))):
        start = chain.page.evaluate("__safelight.view.x")
        chain.drag((600, 700), (700, 720), button=button, keys=keys)
        assert abs(chain.page.evaluate("__safelight.view.x") - start - 100) < 1
    chain.press("Shift+Digit0")
    assert chain.page.evaluate("__safelight.view.zoom") == 1


def test_fit_all_and_fit_the_selection(chain: Editor) -> None:
    chain.page.evaluate("__safelight.view.set(5000, 5000, 1)")
    chain.press("Home")
    chain.wait("!__safelight.view.moving")
    for name in CHAIN["nodes"]:
        x, y = chain.header(name)
        assert 0 < x < 1440 and 48 < y < 900
    chain.page.mouse.click(*chain.header("save"))
    chain.press(".")
    chain.wait("!__safelight.view.moving")
    assert chain.is_in_the_middle("save")
    chain.press("Escape")
    chain.press(".")
    chain.wait("!__safelight.view.moving")
    assert all(0 < chain.header(name)[0] < 1440 for name in CHAIN["nodes"]), "nothing is chosen: all of it"


def test_minimap_moves_the_view(chain: Editor) -> None:
    box = chain.page.locator(".minimap").bounding_box()
    before = chain.page.evaluate("__safelight.view.x")
    chain.page.mouse.click(box["x"] + 15, box["y"] + 60)
    assert chain.page.evaluate("__safelight.view.x") > before + 50


def test_arrows_nudge_and_a_burst_is_one_step(chain: Editor) -> None:
    chain.page.mouse.click(*chain.header("decode"))
    before = chain.text
    chain.press("ArrowRight")
    chain.page.keyboard.press("Shift+ArrowDown")
    chain.settle()
    rect = chain.rect("decode")
    assert (rect["x"], rect["y"]) == (701, 10)
    chain.press("Control+z")
    assert chain.text == before


def test_dragging_is_one_step_and_aligning_too(chain: Editor) -> None:
    x, y = chain.header("save")
    chain.one_step(lambda: chain.drag((x, y), (x - 60, y + 333), keys=("Control",)))
    rect = chain.rect("save")
    assert (rect["x"], rect["y"]) == (940, 333)
    chain.press("Control+a")
    chain.one_step(lambda: chain.press("Alt+w"))
    assert {chain.rect(name)["y"] for name in CHAIN["nodes"]} == {0}


def test_guides_pull_to_the_edges_of_others(chain: Editor) -> None:
    x, y = chain.header("save")
    chain.drag((x, y), (x, y + 100), keys=("Control",))
    x, y = chain.header("save")
    chain.drag((x, y), (x + 30, y - 97), release=False)
    assert chain.page.evaluate("__safelight.stage.guides.length") > 0
    chain.page.mouse.up()
    assert chain.rect("save")["y"] == 0


def test_alt_drag_copies_as_one_step(chain: Editor) -> None:
    x, y = chain.header("sample")
    chain.one_step(lambda: chain.drag((x, y), (x + 20, y + 430), keys=("Alt",)))
    assert "sample_2" in chain.document["nodes"]
    assert chain.rect("sample")["y"] == 0
    assert chain.rect("sample_2")["y"] > 350


def test_duplicate_keeps_inner_links_only(chain: Editor) -> None:
    chain.press("Control+a")
    chain.one_step(lambda: chain.press("Control+d"))
    assert "empty_2.latent > sample_2.latent" in chain.links
    assert len(chain.document["nodes"]) == 8


def test_copy_and_paste_between_two_pages(chain: Editor, context: Any, server: Any) -> None:
    chain.page.mouse.click(*chain.header("sample"))
    chain.page.keyboard.down("Shift")
    chain.page.mouse.click(*chain.header("decode"))
    chain.page.keyboard.up("Shift")
    chain.press("Control+c")
    copied = chain.page.evaluate("navigator.clipboard.readText()")
    assert '"format": "safelight/1"' in copied
    other = Editor(context.new_page(), server.url)
    other.visit()
    other.open(graph({"empty": ("latent.empty", 0, 0)}))
    other.page.mouse.move(640, 420)
    other.press("Control+v")
    other.wait("__safelight.stage.geometry.nodes.size === 3")
    assert "sample.latent > decode.latent" in other.links
    x, y = other.at(other.rect("sample")["x"], other.rect("sample")["y"])
    assert abs(x - 640) < 2 and abs(y - 420) < 2


def test_cut_takes_away_what_paste_brings_back(chain: Editor) -> None:
    chain.page.mouse.click(*chain.header("sample"))
    chain.page.keyboard.down("Shift")
    chain.page.mouse.click(*chain.header("decode"))
    chain.page.keyboard.up("Shift")

    def cut() -> None:
        chain.press("Control+x")
        chain.wait("__safelight.stage.geometry.nodes.size === 2")

    chain.one_step(cut)
    assert set(chain.document["nodes"]) == {"empty", "save"}
    chain.page.mouse.move(640, 420)
    chain.press("Control+v")
    chain.wait("__safelight.stage.geometry.nodes.size === 4")
    assert chain.links == {"sample.latent > decode.latent"}


def test_mute_bypass_collapse_pin(chain: Editor) -> None:
    chain.page.mouse.click(*chain.header("sample"))
    chain.one_step(lambda: chain.press("Control+m"))
    assert chain.document["nodes"]["sample"]["mode"] == "mute"
    assert "mode-mute" in chain.node("sample").get_attribute("class")
    chain.one_step(lambda: chain.press("Control+b"))
    assert chain.document["nodes"]["sample"]["mode"] == "bypass"
    chain.one_step(lambda: chain.press("Alt+c"))
    assert chain.rect("sample")["h"] == 34
    chain.one_step(lambda: chain.press("p"))
    x, y = chain.header("sample")
    before = chain.text
    chain.drag((x, y), (x + 100, y + 100))
    assert chain.text == before


def test_renaming(chain: Editor) -> None:
    chain.page.mouse.click(*chain.header("sample"))
    chain.press("F2")

    def rename() -> None:
        chain.page.keyboard.type("Painter")
        chain.page.keyboard.press("Enter")

    chain.one_step(rename)
    assert chain.document["nodes"]["sample"]["title"] == "Painter"


def test_a_frame_carries_its_nodes(chain: Editor) -> None:
    chain.page.mouse.click(*chain.header("sample"))
    chain.one_step(lambda: chain.press("Control+g"))
    frame = chain.document["ui"]["frames"][0]
    start = chain.at(frame["x"] + 40, frame["y"] + 12)
    chain.one_step(lambda: chain.drag(start, (start[0] + 20, start[1] + 150), keys=("Control",)))
    assert chain.rect("sample") | {"w": 0, "h": 0} == {"x": 360, "y": 150, "w": 0, "h": 0}
    assert chain.rect("empty")["y"] == 0
    frame = chain.document["ui"]["frames"][0]
    corner = chain.at(frame["x"] + frame["w"] - 4, frame["y"] + frame["h"] - 4)
    chain.one_step(lambda: chain.drag(corner, (corner[0] + 60, corner[1] + 30)))
    assert chain.document["ui"]["frames"][0]["w"] > frame["w"] + 50


def test_notes(chain: Editor) -> None:
    chain.page.mouse.move(600, 780)
    chain.press("n")
    chain.page.keyboard.type("# Plan\nUse **less** guidance")
    chain.page.mouse.click(1200, 850)
    assert chain.document["ui"]["notes"][0]["text"].startswith("# Plan")
    assert chain.page.locator(".note strong").inner_text() == "less"


def test_subgraph_make_enter_leave_unpack(chain: Editor) -> None:
    chain.page.mouse.click(*chain.header("sample"))
    before = chain.links
    chain.one_step(lambda: chain.press("Control+Shift+G"))
    assert chain.document["nodes"]["subgraph"]["type"] == "subgraph:subgraph"
    assert "empty.latent > subgraph.latent" in chain.links
    chain.press("Enter")
    chain.page.wait_for_selector('[data-node="sample"]')
    assert chain.page.locator(".breadcrumb").is_visible()
    chain.press("Escape")
    chain.page.wait_for_selector('[data-node="subgraph"]')
    chain.one_step(lambda: chain.press("Control+Alt+g"))
    assert chain.links == before


def test_swapping_the_type_keeps_what_fits(chain: Editor) -> None:
    chain.page.mouse.click(*chain.header("sample"))
    chain.press("Shift+S")
    chain.page.wait_for_selector('[role="combobox"]:focus')
    search(chain, "sample part")
    chain.page.keyboard.press("Enter")
    assert chain.document["nodes"]["sample"]["type"] == "sampling.sample_part"
    assert "sample.latent > decode.latent" in chain.links


def test_automatic_layout(chain: Editor) -> None:
    chain.page.evaluate("__safelight.view.set(40, 60, 0.7)")
    before = chain.text
    chain.press("Shift+L")
    chain.wait("__safelight.stage.geometry.nodes.get('sample').rect.x !== 340")
    xs = [chain.rect(name)["x"] for name in ("empty", "sample", "decode", "save")]
    assert xs == sorted(xs)
    chain.press("Control+z")
    assert chain.text == before


@pytest.mark.parametrize("text", ["zebra", "Final image", "image.save"])
def test_finding_a_node_by_its_value_title_or_type(chain: Editor, text: str) -> None:
    save = {"type": "image.save", "title": "Final image", "values": {"name": "zebra"}}
    chain.open({**CHAIN, "nodes": {**CHAIN["nodes"], "save": save}})
    chain.press("Control+f")
    search(chain, text)
    chain.page.keyboard.press("Enter")
    chain.wait("!__safelight.view.moving")
    assert chain.selection == ["save"]


def test_unknown_nodes_keep_their_values_and_wires(editor: Editor) -> None:
    document = graph(
        {"odd": ("pack/odd.thing", 0, 0), "decode": ("vae.decode", 400, 0)}, [("odd.latent", "decode.latent")]
    )
    document["nodes"]["odd"]["values"] = {"mood": "blue"}
    editor.open(document)
    assert "Not installed: pack/odd.thing" in editor.node("odd").inner_text()
    assert editor.document["nodes"]["odd"]["values"] == {"mood": "blue"}
    assert editor.links == {"odd.latent > decode.latent"}


def test_sockets_lie_where_the_wires_end(chain: Editor) -> None:
    chain.page.evaluate("__safelight.view.set(40, 60, 0.8)")
    chain.settle()
    for side, ports in (
        ("inputs", ["sample.model", "sample.latent", "save.image"]),
        ("outputs", ["sample.latent", "decode.image"]),
    ):
        for port in ports:
            kind = side.removesuffix("s")
            box = chain.page.locator(f'[data-port="{port}"][data-side="{kind}"]').bounding_box()
            x, y = chain.socket(port, side)
            assert abs(box["x"] + box["width"] / 2 - x) < 1.5, port
            assert abs(box["y"] + box["height"] / 2 - y) < 1.5, port


def test_the_far_view_draws_boxes_and_drags_them(chain: Editor) -> None:
    chain.page.evaluate("__safelight.view.set(300, 300, 0.2)")
    chain.wait("document.querySelectorAll('.node').length === 0")
    x, y = chain.header("decode")
    chain.one_step(lambda: chain.drag((x, y), (x + 10, y + 40), keys=("Control",)))
    assert (chain.rect("decode")["x"], chain.rect("decode")["y"]) == (750, 200)
    chain.page.evaluate("__safelight.view.set(0, 60, 1)")
    chain.page.wait_for_selector('[data-node="sample"]')
