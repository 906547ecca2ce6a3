"""Groups, the fold and conditions of fields, deprecated nodes and former ids; and a pack that is edited meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from made_packs import make_pack, write
from serving import serving
from web.editor import Editor, graph

NODES = '''
from typing import Annotated, Literal

from safelight.sdk import Choice, Migration, Number, Seed, Slider, Toggle, node

@node(
    version=2,
    aliases={{"old.paint": 1}},
    migrations={{1: Migration(inputs={{"big": "size"}})}},
    tags=("Photoshop brush",),
)
def paint(
    *,
    method: Literal["brush", "spray"] = "brush",
    size: Annotated[int, Slider(1, 100, group="Tip")] = 10,
    spread: Annotated[int, Slider(0, 100, group="Tip", shown_if={{"method": "spray"}})] = 0,
    seed: Annotated[int, Seed(advanced=True)] = 0,
    wet: Annotated[bool, Toggle(advanced=True, group="Paper")] = False,
) -> int:
    """Paints{more}."""
    return size

@node(deprecated="use paint: it has more tips")
def daub(*, size: int = 1) -> int:
    """Daubs."""
    return size
'''


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("lab")
    package = make_pack(folder / "packs", "lab", {"art.py": NODES.format(more="")})
    paths = os.pathsep.join([str(folder / "packs"), os.environ.get("PYTHONPATH", "")])
    with serving(folder / "home", "--dev", pack=False, PYTHONPATH=paths) as server:
        yield package, server.url


@pytest.fixture
def canvas(browser: Any, server: object, lab: tuple[Path, str]) -> Iterator[Editor]:
    """`server` sees to it that the editor is built."""
    context = browser.new_context(viewport={"width": 900, "height": 700}, color_scheme="dark", locale="en-US")
    context.set_default_timeout(20_000)
    opened = Editor(context.new_page(), lab[1])
    opened.visit()
    yield opened
    assert not opened.errors, opened.errors
    context.close()


def rows(canvas: Editor) -> list[str]:
    """What stands on the node `n`, from top to bottom."""
    found = canvas.node("n").locator(".row:not(.message)").all()
    return [row.inner_text().split("\n")[0] for row in sorted(found, key=lambda row: row.bounding_box()["y"])][1:]


def test_groups_fold_and_conditions(canvas: Editor) -> None:
    canvas.open(graph({"n": ("lab/art.paint", 0, 0)}))
    assert rows(canvas) == ["Method", "Tip", "Size", "Advanced (2)"]

    def open_fold() -> None:
        canvas.node("n").get_by_role("button", name="Advanced (2)").click()

    canvas.one_step(open_fold)
    assert rows(canvas) == ["Method", "Tip", "Size", "Advanced (2)", "Seed", "Paper", "Wet"]
    assert canvas.document["nodes"]["n"]["values"] == {}, "the fold is a matter of the screen"
    canvas.node("n").get_by_role("button", name="Advanced (2)").click()

    def choose(method: str) -> None:
        canvas.page.locator('[data-widget="n.method"] button').click()
        canvas.page.get_by_role("combobox").fill(method)
        canvas.page.keyboard.press("Enter")
        canvas.settle()

    choose("spray")
    assert rows(canvas) == ["Method", "Tip", "Size", "Spread", "Advanced (2)"]
    choose("brush")
    assert rows(canvas) == ["Method", "Tip", "Size", "Advanced (2)"]


def test_what_acts_is_in_sight(canvas: Editor) -> None:
    document = graph({"n": ("lab/art.paint", 0, 0)})
    document["nodes"]["n"]["values"] = {"spread": 5, "seed": 7}
    canvas.open(document)
    assert rows(canvas) == ["Method", "Tip", "Size", "Spread", "Advanced (1)", "Seed"]


def test_deprecated_nodes_are_marked_and_not_offered(canvas: Editor) -> None:
    canvas.open(graph({"n": ("lab/art.daub", 0, 0)}))
    assert canvas.node("n").locator("header .deprecated").inner_text() == "deprecated"
    canvas.node("n").get_by_role("alert").wait_for()
    assert "Use paint: it has more tips." in canvas.node("n").get_by_role("alert").inner_text()
    canvas.page.mouse.dblclick(600, 500)
    search = canvas.page.get_by_role("combobox")
    search.fill("art.daub")
    canvas.page.wait_for_timeout(300)  # the list follows each key
    assert canvas.page.locator('[data-option="lab/art.daub"]').count() == 0
    search.fill("photoshop")
    canvas.page.locator('[data-option="lab/art.paint"]').wait_for()


def test_documents_of_a_former_id_go_on_with_the_new_one(canvas: Editor) -> None:
    old = graph({"n": ("lab/old.paint", 0, 0)}, ui={"nodes": {"n": {"x": 30, "y": 40, "sockets": ["big"]}}})
    old["nodes"]["n"] |= {"version": 1, "values": {"big": 55}}
    canvas.open(old)
    canvas.wait("__safelight.stage.geometry.nodes.get('n').ports.missing === ''")
    made = canvas.document
    assert made["nodes"]["n"]["type"] == "lab/art.paint"
    assert (made["nodes"]["n"]["version"], made["nodes"]["n"]["values"]) == (2, {"size": 55})
    assert made["ui"]["nodes"]["n"] == {"x": 30, "y": 40, "sockets": ["size"]}


def test_an_edited_pack_comes_to_the_open_page(canvas: Editor, lab: tuple[Path, str]) -> None:
    file = lab[0] / "art.py"
    canvas.open(graph({"n": ("lab/art.paint", 0, 0)}))
    write(file, "import no_such_library_at_all")
    canvas.wait("__safelight.stage.geometry.nodes.get('n').ports.missing === 'type'")
    canvas.page.get_by_text("no_such_library_at_all").first.wait_for()
    write(file, NODES.format(more=" anything"))
    canvas.wait("__safelight.stage.geometry.nodes.get('n').ports.help === 'Paints anything.'")
    assert canvas.node("n").get_by_text("Tip").count() == 1


def test_one_value_for_the_same_field_of_all_that_are_selected(editor: Editor) -> None:
    """By the menu of the field, as one step; a field that a link feeds, and nodes without it, stay as they are."""
    editor.open(
        graph(
            {
                "one": ("sampling.sample", 0, 0),
                "two": ("sampling.sample", 340, 0),
                "fed": ("sampling.sample", 680, 0),
                "steps": ("numbers.random_integer", 340, 500),
                "decode": ("vae.decode", 1020, 0),
            },
            [("steps.value", "fed.steps")],
        )
    )
    editor.node("one").get_by_role("slider", name="Steps").focus()
    editor.page.keyboard.type("7")
    editor.page.keyboard.press("Enter")
    editor.press("Control+a")

    def share() -> None:
        editor.page.locator('[data-widget="one.steps"]').click(button="right")
        editor.page.click('[data-command="share"]')

    editor.one_step(share)
    nodes = editor.document["nodes"]
    assert nodes["two"]["values"]["steps"] == 7
    assert "steps" not in nodes["fed"].get("values", {}) and "steps" not in nodes["decode"].get("values", {})
