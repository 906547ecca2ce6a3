"""Links shown as names: flags at both ends in the place of a wire, renamed, followed, saved, and run as before."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from web.editor import Editor, graph

FORK = graph(
    {
        "empty": ("latent.empty", 0, 0),
        "sample": ("sampling.sample", 420, 0),
        "decode": ("vae.decode", 1700, 0),
        "again": ("latent.repeat", 860, 240),
    },
    [("empty.latent", "sample.latent"), ("sample.latent", "decode.latent"), ("sample.latent", "again.latent")],
)
WIRE = "sample.latent>decode.latent"


@pytest.fixture
def fork(editor: Editor) -> Editor:
    editor.open(copy.deepcopy(FORK), zoom=0.8)
    return editor


def flags(editor: Editor) -> dict[str, str]:
    return {f"{link['from']}>{link['to']}": link["flag"] for link in editor.document["links"] if "flag" in link}


def before(point: tuple[float, float], by: float) -> tuple[float, float]:
    return point[0] + by, point[1]


def drawn(editor: Editor, x: float, y: float) -> list[int]:
    """The colour of a pixel of the painted canvas."""
    return editor.page.evaluate(
        """([x, y]) => {
            const sheet = document.querySelector('canvas.below'), box = sheet.getBoundingClientRect();
            const k = sheet.width / box.width;
            return [...sheet.getContext('2d').getImageData((x - box.left) * k, (y - box.top) * k, 1, 1).data];
        }""",
        [x, y],
    )


def menu(editor: Editor, at: tuple[float, float], command: str) -> None:
    editor.page.mouse.click(*at, button="right")
    editor.page.click(f'[role^="menuitem"][data-command="{command}"]')
    editor.settle()


def test_a_link_by_its_menu_and_back(fork: Editor) -> None:
    middle = fork.middle("empty.latent", "sample.latent")
    wire = drawn(fork, *middle)
    fork.one_step(lambda: menu(fork, middle, "flag"))
    assert flags(fork) == {"empty.latent>sample.latent": "Latent"}
    fork.press("Escape")
    fork.page.mouse.move(700, 700)
    fork.settle()
    assert drawn(fork, *middle) != wire, "no wire is drawn"
    flag = before(fork.input("sample.latent"), -24)
    fork.page.mouse.move(*flag)
    fork.settle()
    fork.settle()
    assert drawn(fork, *middle)[3] == 255 and drawn(fork, *middle) != drawn(fork, middle[0] + 40, middle[1] + 60)
    menu(fork, flag, "flag")
    assert flags(fork) == {}


def test_all_links_of_an_output_by_its_socket_and_of_a_node_by_key(fork: Editor) -> None:
    fork.one_step(lambda: menu(fork, fork.output("sample.latent"), "flagAll"))
    assert flags(fork) == {WIRE: "Latent", "sample.latent>again.latent": "Latent"}
    fork.page.mouse.click(*fork.header("empty"))
    fork.one_step(lambda: fork.press("Shift+W"))
    assert flags(fork)["empty.latent>sample.latent"] == "Latent 2", "another output has another name"
    fork.press("Shift+W")
    assert len(flags(fork)) == 2


def test_a_name_is_edited_for_all_links_of_its_output(fork: Editor) -> None:
    menu(fork, fork.output("sample.latent"), "flagAll")
    flag = before(fork.output("sample.latent"), 24)

    def rename() -> None:
        fork.page.mouse.click(*flag, button="right")
        fork.page.click('[role="menuitem"][data-command="rename"]')
        fork.page.wait_for_selector(".flag-name:focus")
        fork.page.keyboard.type("latent A")
        fork.page.keyboard.press("Enter")

    fork.one_step(rename)
    assert set(flags(fork).values()) == {"latent A"}
    fork.press("F2")
    fork.page.wait_for_selector(".flag-name:focus")
    fork.page.keyboard.type("never")
    fork.page.keyboard.press("Escape")
    assert set(flags(fork).values()) == {"latent A"}


def test_a_click_goes_to_the_other_end_and_several_are_a_choice(fork: Editor) -> None:
    page = fork.page
    menu(fork, fork.output("sample.latent"), "flagAll")
    page.mouse.click(*before(fork.output("sample.latent"), 24))
    ends = page.locator('[role="menuitem"][data-command="go"]')
    assert ends.all_inner_texts() == ["→ VAE decode · Latent", "→ Repeat latent · Latent"]
    ends.first.click()
    fork.wait("!__safelight.view.moving")
    fork.settle()
    assert fork.selection == [f"/link/{WIRE}"]
    x, y = fork.input("decode.latent")
    assert 500 < x < 1000 and 250 < y < 650, "the other end is in the middle"
    page.mouse.click(*before((x, y), -24))
    fork.wait("!__safelight.view.moving")
    x, _ = fork.output("sample.latent")
    assert 500 < x < 1000
    fork.press("Shift+J")
    fork.wait("!__safelight.view.moving")
    x, _ = fork.input("decode.latent")
    assert 500 < x < 1000, "by key from end to end"
    fork.one_step(lambda: fork.press("Delete"))
    assert WIRE.replace(">", " > ") not in fork.links


def test_it_is_only_a_way_of_drawing(fork: Editor) -> None:
    plain = fork.document
    menu(fork, fork.output("sample.latent"), "flagAll")
    named = fork.document
    for link in named["links"]:
        link.pop("flag", None)
    assert named == plain
    text = fork.text
    fork.open(json.loads(text), zoom=None)
    assert fork.text == text
    fork.press("Control+a")
    fork.press("Control+d")
    copies: dict[str, Any] = flags(fork)
    assert copies["sample_2.latent>decode_2.latent"] == "Latent"


def test_a_wire_of_the_border_of_a_subgraph(fork: Editor) -> None:
    fork.page.mouse.click(*fork.header("sample"))
    fork.press("Control+Shift+G")
    fork.press("Enter")
    fork.page.wait_for_selector('[data-node="/inputs"]')
    fork.wait("!__safelight.view.moving")
    fork.one_step(lambda: menu(fork, fork.middle("/inputs.latent", "sample.latent"), "flag"))
    inputs = fork.document["subgraphs"]["subgraph"]["inputs"]
    assert inputs == [{"name": "latent", "to": "sample.latent", "flag": "Latent"}]


def test_flags_of_a_collapsed_node_fan_out(editor: Editor) -> None:
    targets = {"model": "sample.model", "text": "encode.encoder", "vae": "decode.vae"}
    nodes = {
        "load": ("models.load", 0, 200),
        "sample": ("sampling.sample", 700, 0),
        "encode": ("text.encode", 1100, 0),
        "decode": ("vae.decode", 1100, 300),
    }
    editor.open(graph(nodes, [(f"load.{port}", target) for port, target in targets.items()]), zoom=0.8)
    editor.page.mouse.click(*editor.header("load"))
    editor.press("Alt+c")
    editor.press("Shift+W")
    rect = editor.rect("load")
    middle = (editor.output("load.model")[1] + editor.output("load.vae")[1]) / 2
    for row, (port, target) in enumerate(targets.items()):
        editor.page.evaluate("__safelight.view.set(40, 60, 0.8)")
        x, _ = editor.at(rect["x"] + rect["w"] + 26, rect["y"])
        editor.page.mouse.click(x, middle + (row - 1) * 23 * 0.8)
        editor.settle()
        assert editor.selection == [f"/link/load.{port}>{target}"], "each is there to be clicked"
        editor.wait("!__safelight.view.moving")
