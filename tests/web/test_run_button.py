"""The Run button and its menu: progress and Stop, a number of runs, a run for each line, new seeds."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import urlopen

import pytest

from web.editor import Editor, graph
from web.test_running import TAB, finished, run, sent

CHANCE = graph(
    {"seed": ("values.seed", 0, 0), "text": ("values.text", 0, 160)},
    outputs=[{"name": "seed", "from": "seed.value"}, {"name": "text", "from": "text.text"}],
)
CHANCE["nodes"]["seed"]["values"] = {"value": 41}
CHANCE["nodes"]["text"]["values"] = {"value": "one"}


def choose(editor: Editor, command: str) -> None:
    editor.page.click(".run-menu")
    editor.page.click(f'.menu-popup [data-command="{command}"]')


def ended(editor: Editor) -> dict[str, Any]:
    """The batch of the tab, once all its runs have ended, as the server tells."""
    editor.wait(f"(() => {{ const state = __safelight.app.getState(); return state.{TAB}.batch; }})()")
    name = editor.state(f"{TAB}.batch")
    editor.wait(
        "(() => { const s = __safelight.app.getState();"
        f" const own = Object.values(s.runs).filter(run => run.batch === {name!r});"
        " return own.length > 0 && own.every(run => run.status === 'done'); })()",
        60,
    )
    with urlopen(f"{editor.url}/api/v1/batches/{name}") as answer:
        return json.load(answer)


@pytest.fixture
def chance(editor: Editor) -> Editor:
    editor.open(CHANCE)
    editor.wait_plan()
    return editor


def test_a_run_for_each_line_of_a_list(chance: Editor) -> None:
    page = chance.page
    before = chance.text
    choose(chance, "runLines")
    page.locator(".several select").select_option(label="text · Value")
    page.locator(".several textarea").fill("first\n\nsecond\n  third  \n")
    assert "Run 3 times" in page.locator(".several .primary").inner_text()
    page.click(".several .primary")
    batch = ended(chance)
    assert batch["axes"] == [{"name": "text.value", "values": ["first", "second", "third"]}]
    assert [one["outputs"]["text"][0]["value"] for one in batch["runs"]] == ["first", "second", "third"]
    assert chance.text == before, "the document stays as it was"
    page.get_by_role("button", name="Show the grid").click()
    page.wait_for_selector(".sweep-grid thead th")
    heads = page.locator(".sweep-grid thead th").all_inner_texts()
    assert heads == ["text · Value: first", "text · Value: second", "text · Value: third"]


def test_a_number_of_runs_with_seeds_of_their_own(chance: Editor) -> None:
    page = chance.page
    choose(chance, "runTimes")
    page.locator('.several input[type="number"]').fill("3")
    page.locator(".several select").select_option("step")
    page.click(".several .primary")
    assert [one["outputs"]["seed"][0]["value"] for one in ended(chance)["runs"]] == [41, 42, 43]
    page.wait_for_selector(".several", state="detached")
    first = chance.state(f"{TAB}.batch")
    choose(chance, "runTimes")
    page.locator('.several input[type="number"]').fill("2")
    page.click(".several .primary")
    chance.wait(
        f"__safelight.app.getState().{TAB.replace('state.', '__safelight.app.getState().')}.batch !== {first!r}"
    )
    drawn = [one["outputs"]["seed"][0]["value"] for one in ended(chance)["runs"]]
    assert len(set(drawn)) == 2 and 41 not in drawn


def test_the_number_of_runs_is_what_was_typed(chance: Editor) -> None:
    page = chance.page
    choose(chance, "runTimes")
    field, button = page.locator('.several input[type="number"]'), page.locator(".several .primary")
    field.press("Control+a")
    field.press("Delete")
    assert field.input_value() == "" and button.is_disabled(), "an emptied field is empty"
    page.keyboard.type("5")
    assert button.inner_text() == "Run 5 times"
    for wrong in ("0", "-3", "2.5", "1001"):
        field.fill(wrong)
        assert button.is_disabled(), wrong


def test_without_a_seed_it_is_said_why_not(editor: Editor) -> None:
    editor.open(graph({"text": ("values.text", 0, 0)}, outputs=[{"name": "text", "from": "text.value"}]))
    choose(editor, "runTimes")
    assert editor.page.locator(".several .primary").is_disabled()
    editor.page.get_by_text("This workflow has no seed").wait_for()


def test_new_seeds_for_each_run_is_what_the_sign_beside_a_seed_says(chance: Editor) -> None:
    choose(chance, "newSeeds")
    assert chance.document["ui"]["nodes"]["seed"]["seeds"] == {"value": "random"}
    bodies = sent(chance)
    run(chance)
    run(chance)
    values = [body["document"]["nodes"]["seed"]["values"]["value"] for body in bodies]
    assert values[0] == 41 and values[1] != 41
    chance.page.click(".run-menu")
    item = chance.page.locator('.menu-popup [data-command="newSeeds"]')
    assert item.get_attribute("aria-checked") == "true"
    item.click()
    assert "seeds" not in chance.document["ui"]["nodes"]["seed"]


def test_while_it_runs_the_button_tells_how_far_and_stops_it(editor: Editor) -> None:
    page = editor.page
    page.click('[data-panel="templates"]')
    page.click('[data-template="text_to_image"]')
    editor.wait("__safelight.stage.geometry.nodes.size > 4")
    document = editor.document
    document["nodes"]["sample"]["values"] |= {"steps": 150, "seed": 7101}
    document["nodes"]["latent"]["values"] = {"width": 384, "height": 384}  # minutes, if nobody stopped it
    editor.open(document, zoom=None)
    editor.wait_plan()
    page.dblclick(".run-button")  # the second click is no Stop, and no second run
    editor.wait("/\\d+ %/.test(document.querySelector('.run-button.cancel')?.textContent ?? '')", 120)
    assert "Stop" in page.locator(".run-button").inner_text()
    assert editor.state(f"{TAB}.queued") == []
    # Another one behind it, by the menu.
    choose(editor, "run")
    editor.wait(f"(() => {{ const state = __safelight.app.getState(); return state.{TAB}.queued.length === 1; }})()")
    assert "+1" in page.locator(".run-button").inner_text()
    choose(editor, "cancelAll")
    finished(editor)
    editor.wait("Object.values(__safelight.app.getState().runs).every(run => run.status === 'cancelled')", 60)
    editor.wait("!document.querySelector('.run-button.cancel')")
    assert "Run" in page.locator(".run-button").inner_text()
