"""Run here: a part of an image that was made is painted again by the workflow that made it; all else stays."""

from __future__ import annotations

import io
from typing import Any
from urllib.request import urlopen

import pytest

from web.editor import Editor
from web.test_live import choose
from web.test_painter import Painter, opened

PIL = pytest.importorskip("PIL.Image")
DONE = (
    "(() => { const s = __safelight.app.getState(); const tab = s.tabs.find(one => one.id === s.active);"
    " return tab.run && s.runs[tab.run]?.status === 'done'; })()"
)


def result(editor: Editor) -> Any:
    editor.wait(DONE, 120)
    (file,) = editor.state("runs[state.tabs.find(tab => tab.id === state.active).run].files")
    with urlopen(f"{editor.url}{file['url']}") as answer:
        return PIL.open(io.BytesIO(answer.read())).convert("RGB")


def values(document: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [node.get("values", {}) for node in document["nodes"].values() if node["type"] == kind]


def test_the_chosen_part_is_painted_with_the_models_words_and_all_else_is_byte_for_byte_the_same(
    editor: Editor,
) -> None:
    page = editor.page
    page.click('[data-panel="templates"]')
    page.click('[data-template="text_to_image"]')
    editor.wait("Object.keys(__safelight.app.getState().tabs.find(t => true).document.nodes).length > 5")
    document = editor.document
    document["nodes"]["sample"]["values"] |= {"steps": 4, "seed": 12}
    (prompt,) = (entry["to"] for entry in document["inputs"] if entry["name"] == "prompt")
    document["nodes"][prompt.split(".")[0]]["values"]["text"] = "a green pear"
    editor.open(document, zoom=None)
    page.keyboard.press("Control+Enter")
    first = result(editor)
    tabs = len(editor.state("tabs"))
    save = next(name for name, node in document["nodes"].items() if node["type"] == "image.save")
    editor.node(save).locator(".result img").click(button="right")
    page.click('[data-command="paint"]')
    painter = Painter(editor)
    page.click('[data-act="run-here"]')
    editor.wait("document.querySelector('.painter-said').textContent.startsWith('Paint where')")
    painter.size(30)
    painter.drag((64, 64), (80, 64))
    page.click('[data-act="run-here"]')
    page.wait_for_selector(".painter", state="detached")
    assert len(editor.state("tabs")) == tabs + 1
    second = result(editor)
    made = editor.document
    assert {one["text"] for one in values(made, "text.encode")} >= {"a green pear"}
    (sampled,) = values(made, "sampling.sample")
    assert sampled["seed"] == 12 and sampled["steps"] == 4
    assert opened(editor, values(made, "image.load")[0]["file"]).convert("RGB").tobytes() == first.tobytes()
    # The mask grows by its soft edge; beyond, not a bit differs.
    outside = [
        (x, y) for y in range(128) for x in range(128) if not (64 - 15 - 28 <= x <= 80 + 15 + 28 and 21 <= y <= 107)
    ]
    assert len(outside) > 6000 and all(first.getpixel(one) == second.getpixel(one) for one in outside)
    inside = [(x, y) for y in range(56, 72) for x in range(56, 88)]
    assert sum(first.getpixel(one) != second.getpixel(one) for one in inside) > 0.9 * len(inside)
    # Once more at every change: another prompt, and the part follows.
    choose(editor, "live")
    page.wait_for_selector(".run.live")
    editor.wait(DONE, 120)
    field = page.locator('[data-field="prompt"] textarea')
    field.fill("a blue car")
    editor.wait(
        "(() => { const s = __safelight.app.getState(); const tab = s.tabs.find(one => one.id === s.active);"
        " const text = JSON.stringify(tab.runDocument ?? '');"
        " return text.includes('a blue car') && s.runs[tab.run]?.status === 'done'; })()",
        120,
    )
    third = result(editor)
    assert third.tobytes() != second.tobytes()
    assert all(first.getpixel(one) == third.getpixel(one) for one in outside)
