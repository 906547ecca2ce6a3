"""Subgraphs: made, entered, left, their ports, one place for all instances, unpacked, kept in the library."""

from __future__ import annotations

import pytest

from web.editor import Editor, graph

CHAIN = graph(
    {
        "empty": ("latent.empty", 0, 0),
        "sample": ("sampling.sample", 340, 0),
        "repeat": ("latent.repeat", 700, 0),
        "decode": ("vae.decode", 1040, 0),
    },
    [("empty.latent", "sample.latent"), ("sample.latent", "repeat.latent"), ("repeat.latent", "decode.latent")],
)


@pytest.fixture
def packed(editor: Editor) -> Editor:
    """Two nodes of a chain as a subgraph; its instance is selected."""
    editor.open(CHAIN, zoom=0.8)
    choose(editor, "sample", "repeat")
    editor.press("Control+Shift+G")
    assert editor.selection == ["subgraph"]
    return editor


def choose(editor: Editor, *nodes: str) -> None:
    keyboard = editor.page.keyboard
    for number, node in enumerate(nodes):
        if number:
            keyboard.down("Shift")
        editor.page.mouse.click(*editor.header(node))
        keyboard.up("Shift")
    editor.settle()


def inside(editor: Editor) -> dict:
    return editor.document["subgraphs"]["subgraph"]


def path(editor: Editor) -> list[str]:
    return editor.state("tabs.find(tab => tab.id === state.active).path")


def menu(editor: Editor, command: str, locator: object) -> None:
    locator.click(button="right")  # type: ignore[attr-defined]
    editor.page.click(f'[role="menuitem"][data-command="{command}"]')
    editor.settle()


def test_made_from_a_selection_with_ports_for_crossing_wires_and_unpacked_again(editor: Editor) -> None:
    editor.open(CHAIN, zoom=0.8)
    choose(editor, "sample", "repeat")
    before = editor.links
    editor.one_step(lambda: editor.press("Control+Shift+G"))
    assert editor.links == {"empty.latent > subgraph.latent", "subgraph.latent > decode.latent"}
    assert [entry["name"] for entry in inside(editor)["inputs"]] == ["latent"]
    assert [entry["name"] for entry in inside(editor)["outputs"]] == ["latent"]
    choose(editor, "subgraph")
    editor.one_step(lambda: editor.press("Control+Alt+g"))
    assert editor.links == before
    assert "subgraphs" not in editor.document
    assert set(editor.document["nodes"]) == {"empty", "sample", "repeat", "decode"}


@pytest.mark.parametrize("way", ["double click", "Enter", "button"])
def test_entered_and_left(packed: Editor, way: str) -> None:
    if way == "double click":
        packed.node("subgraph").locator(".node-title").dblclick()
    elif way == "Enter":
        packed.press("Enter")
    else:
        packed.node("subgraph").get_by_label("Enter the subgraph").click()
    assert path(packed) == ["subgraph"]
    packed.page.wait_for_selector('[data-node="sample"]')
    if way == "Enter":
        packed.press("Escape")
    elif way == "button":
        packed.press("Control+ArrowUp")
    else:
        packed.page.locator(".breadcrumb button").first.click()
    assert path(packed) == []
    assert packed.selection == ["subgraph"], "what was left is selected"


def test_a_widget_is_promoted_and_set_from_outside(packed: Editor) -> None:
    packed.press("Enter")
    widget = packed.page.locator('[data-widget="sample.steps"]')
    packed.one_step(lambda: menu(packed, "expose", widget))
    assert {"name": "steps", "to": "sample.steps"} in inside(packed)["inputs"]
    packed.press("Control+ArrowUp")
    field = packed.page.locator(
        '[data-widget="subgraph.steps"] [role="spinbutton"], [data-widget="subgraph.steps"] [role="slider"]'
    )
    field.first.focus()
    packed.page.keyboard.press("ArrowRight")
    assert packed.document["nodes"]["subgraph"]["values"] == {"steps": 1}
    packed.press("Enter")
    menu(packed, "expose", widget)
    assert [entry["name"] for entry in inside(packed)["inputs"]] == ["latent"]
    assert packed.document["nodes"]["subgraph"].get("values", {}) == {}, "the value goes with the port"


def test_a_socket_is_promoted_by_its_menu(packed: Editor) -> None:
    packed.press("Enter")
    packed.one_step(lambda: menu(packed, "expose", packed.page.locator('[data-port="sample.positive"]')))
    packed.one_step(
        lambda: menu(packed, "expose", packed.page.locator('[data-port="sample.latent"][data-side="output"]'))
    )
    assert [entry["to"] for entry in inside(packed)["inputs"]] == ["sample.latent", "sample.positive"]
    assert [entry["from"] for entry in inside(packed)["outputs"]] == ["repeat.latent", "sample.latent"]
    packed.press("Control+ArrowUp")
    assert packed.page.locator('[data-port="subgraph.positive"]').count() == 1


def test_ports_are_named_ordered_and_taken_off_and_the_wires_follow(packed: Editor) -> None:
    page = packed.page
    packed.press("Enter")
    menu(packed, "expose", page.locator('[data-widget="sample.seed"]'))
    ports = page.locator('[data-ports="inputs"] li')

    def rename() -> None:
        name = ports.first.get_by_label("Name of the field")
        name.fill("start image")
        name.press("Enter")

    packed.one_step(rename)
    assert "empty.latent > subgraph.start_image" in packed.links
    packed.one_step(lambda: page.get_by_label("Move down: start_image").click())
    assert [entry["name"] for entry in inside(packed)["inputs"]] == ["seed", "start_image"]
    page.get_by_label("Name", exact=True).fill("Two samplers")
    page.get_by_label("Name", exact=True).press("Enter")
    packed.one_step(lambda: page.get_by_label("Take off the outside: start_image").click())
    packed.press("Control+ArrowUp")
    assert packed.links == {"subgraph.latent > decode.latent"}
    assert packed.node("subgraph").locator(".node-title").inner_text().startswith("Two samplers")


def test_one_place_for_all_instances(packed: Editor) -> None:
    packed.press("Control+d")
    assert packed.selection == ["subgraph_2"]
    packed.press("Enter")
    assert path(packed) == ["subgraph_2"]
    assert "Used 2 ×" in packed.page.locator(".ports").inner_text()
    packed.page.locator('[data-widget="sample.steps"] [role="slider"]').focus()
    packed.page.keyboard.press("ArrowRight")
    packed.press("Control+ArrowUp")
    choose(packed, "subgraph")
    packed.press("Enter")
    assert path(packed) == ["subgraph"]
    assert inside(packed)["nodes"]["sample"]["values"]["steps"] == 1
    packed.page.wait_for_selector('[data-node="sample"]')
    assert "1" in packed.page.locator('[data-widget="sample.steps"]').inner_text()


def test_nested_ones_have_their_own_breadcrumb_and_none_lies_in_itself(packed: Editor) -> None:
    page = packed.page
    packed.press("Enter")
    choose(packed, "repeat")
    packed.press("Control+Shift+G")
    packed.press("Enter")
    assert path(packed) == ["subgraph", "subgraph_2"]
    assert page.locator(".breadcrumb button").count() == 3
    packed.press("a")
    page.wait_for_selector('[role="combobox"]:focus')
    listed = page.locator('[role="option"]').evaluate_all("all => all.map(one => one.dataset.option)")
    assert not [name for name in listed if name.startswith("subgraph:")]
    page.keyboard.press("Escape")
    page.locator(".breadcrumb button").nth(1).click()
    assert path(packed) == ["subgraph"]
    packed.press("Control+z")
    assert set(inside(packed)["nodes"]) == {"sample", "repeat"}


def test_kept_in_the_library_and_used_in_another_workflow(packed: Editor) -> None:
    page = packed.page
    menu(packed, "keep", packed.node("subgraph").locator("header"))
    packed.wait("__safelight.app.getState().workflows.some(one => one.name.startsWith('library: '))")
    packed.press("Alt+n")
    page.mouse.dblclick(600, 400)
    page.wait_for_selector('[role="combobox"]:focus')
    page.keyboard.type("Subgraph")
    page.locator('[role="option"][data-option^="library: "]').click()
    packed.wait(
        "Object.keys(__safelight.stage.geometry.nodes.size ? JSON.parse(__safelight.write()).nodes : {}).length === 1"
    )
    document = packed.document
    assert [node["type"] for node in document["nodes"].values()] == ["subgraph:subgraph"]
    assert set(document["subgraphs"]["subgraph"]["nodes"]) == {"sample", "repeat"}


ADDS = {
    "name": "adds",
    "nodes": {"sum": {"type": "values.calculate", "values": {"b": 2.0}}},
    "links": [],
    "inputs": [{"name": "a", "to": "sum.a"}],
    "outputs": [{"name": "out", "from": "sum.value"}],
}
LOOP = graph(
    {"start": ("values.number", 0, 0), "loop": ("subgraph:adds", 340, 0)},
    [("start.value", "loop.a")],
    outputs=[{"name": "out", "from": "loop.out"}],
    subgraphs={"adds": ADDS},
)


def test_an_instance_is_repeated_in_its_panel_and_shows_its_last_turn(editor: Editor) -> None:
    editor.open(LOOP, zoom=0.8)
    choose(editor, "loop")
    panel = editor.page.locator(".repeat-box")
    panel.locator("summary").click()
    editor.one_step(lambda: panel.get_by_label("Runs").select_option("times"))
    editor.one_step(lambda: panel.get_by_label("A gets what the turn before gave at").select_option("out"))
    assert editor.document["nodes"]["loop"]["repeat"] == {"times": 2, "carry": {"a": "out"}}
    assert "↻ 2" in editor.node("loop").inner_text()
    editor.press("Control+Enter")
    editor.wait(
        "(() => { const s = __safelight.app.getState(); const t = s.tabs.find(t => t.id === s.active);"
        " return t.run && s.runs[t.run]?.status === 'done'; })()",
        60,
    )
    assert editor.node("loop").get_attribute("data-status") in ("done", "cached")
    editor.page.mouse.dblclick(*editor.header("loop"))
    editor.settle()
    assert path(editor) == ["loop"]
    assert editor.node("sum").get_attribute("data-status") in ("done", "cached")


KEEPS = {
    "name": "keeps",
    "nodes": {"save": {"type": "image.save", "values": {"name": "kept_{counter}"}}},
    "links": [],
    "inputs": [{"name": "image", "to": "save.image"}],
    "outputs": [{"name": "files", "from": "save.files"}],
}
SHOTS = graph(
    {"load": ("image.load", 0, 0), "lists": ("values.collect", 320, 0), "loop": ("subgraph:keeps", 640, 0)},
    [("load.image", "lists.items")] * 4 + [("lists.values", "loop.image")],
    outputs=[{"name": "files", "from": "loop.files"}],
    subgraphs={"keeps": KEEPS},
)


def test_an_instance_shows_the_files_of_all_its_turns(editor: Editor) -> None:
    SHOTS["nodes"]["load"]["values"] = {"file": "apple.png"}
    SHOTS["nodes"]["loop"]["repeat"] = {"each": ["image"]}
    editor.open(SHOTS, zoom=0.8)
    editor.press("Control+Enter")
    editor.wait("document.querySelectorAll('[data-node=loop] .result img').length === 4", 60)
    editor.wait("[...document.querySelectorAll('[data-node=loop] .result img')].every((one) => one.naturalWidth > 0)")
    box = editor.page.locator("[data-node=loop] .result").bounding_box()
    for image in editor.page.locator("[data-node=loop] .result img").all():
        at = image.bounding_box()
        assert at and box
        assert at["y"] >= box["y"] - 1 and at["y"] + at["height"] <= box["y"] + box["height"] + 1, "it is seen whole"


def test_unpacking_keeps_names_and_notes_and_says_that_a_repetition_is_gone(editor: Editor) -> None:
    editor.open(CHAIN, zoom=0.8)
    choose(editor, "empty")
    editor.press("Shift+W")
    choose(editor, "sample", "repeat")
    editor.press("Control+Shift+G")
    assert editor.document["links"][-2]["flag"] == "Latent", "shown as a name outside as before"
    editor.page.click(".repeat-box summary")
    editor.page.locator(".repeat-box select").first.select_option("times")
    editor.press("Enter")
    editor.page.mouse.move(900, 700)
    editor.press("n")
    editor.page.keyboard.type("Why twice")
    editor.press("Control+ArrowUp")
    editor.one_step(lambda: editor.press("Control+Alt+G"))
    assert [note["text"] for note in editor.document["ui"]["notes"]] == ["Why twice"]
    assert [link["flag"] for link in editor.document["links"] if link["to"] == "sample.latent"] == ["Latent"]
    assert "Its repetition is gone" in editor.page.locator(".toast").first.inner_text()
