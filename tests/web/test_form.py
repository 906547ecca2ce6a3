"""The form of a workflow: fields chosen by clicking, put in order, and sweeps whose images are a grid."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from web.editor import Editor


@pytest.fixture
def form(editor: Editor) -> Editor:
    editor.page.locator('[data-template="text_to_image"]').first.click()
    editor.wait("__safelight.stage.geometry.nodes.size > 3")
    editor.page.keyboard.press("F4")
    editor.page.wait_for_selector('[data-field="prompt"]')
    return editor


def fields(editor: Editor) -> list[str]:
    return editor.page.locator("[data-field]").evaluate_all("all => all.map(one => one.dataset.field)")


def tools(editor: Editor, field: str) -> Any:
    editor.page.hover(f'[data-field="{field}"]')
    return editor.page.locator(f'[data-field="{field}"] .form-tools')


def test_fields_are_chosen_by_clicking_and_put_in_order(form: Editor) -> None:
    page = form.page
    before = fields(form)
    assert before[:2] == ["prompt", "negative"]
    tools(form, "negative").get_by_role("button", name="Move up").click()
    assert fields(form)[:2] == ["negative", "prompt"]
    page.locator('[data-field="steps"] .drag-grip').drag_to(page.locator('[data-field="negative"]'))
    assert fields(form)[:3] == ["steps", "negative", "prompt"]
    tools(form, "batch").get_by_role("button", name="Take out of the form").click()
    assert "batch" not in fields(form)
    page.get_by_role("button", name="Choose fields").click()
    page.wait_for_selector(".choose-bar")
    page.locator('[data-widget="sample.denoise"]').click()
    page.locator('[data-widget="prompt.text"]').click()
    page.locator('[data-port="sample.latent"][data-side="output"]').click()
    assert [entry["from"] for entry in form.document["outputs"]] == ["save.files", "sample.latent"]
    page.get_by_role("button", name="Show the form").click()
    assert "denoise" in fields(form) and "prompt" not in fields(form)
    page.locator('[data-field="denoise"] h2').dblclick()
    page.keyboard.type("how much")
    page.keyboard.press("Enter")
    assert fields(form)[-1] == "how_much"
    form.page.keyboard.press("F4")
    form.page.wait_for_selector("#canvas")
    for _ in range(7):
        form.press("Control+z")
    form.page.keyboard.press("F4")
    form.page.wait_for_selector('[data-field="prompt"]')
    assert fields(form) == before


def test_values_go_to_the_graph_and_the_run_shows_its_image(form: Editor) -> None:
    page = form.page
    page.locator('[data-field="prompt"] textarea').fill("a green pear")
    field = page.locator('[data-field="steps"]').get_by_role("slider")
    field.focus()
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    assert form.document["nodes"]["prompt"]["values"]["text"] == "a green pear"
    assert form.document["nodes"]["sample"]["values"]["steps"] == 3
    page.locator(".form-run .primary").click()
    page.locator(".form-results [data-result] img").first.wait_for(timeout=60_000)


def test_a_sweep_makes_a_grid_with_labelled_axes(form: Editor, tmp_path: Any) -> None:
    page = form.page
    field = page.locator('[data-field="steps"]').get_by_role("slider")
    field.focus()
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    tools(form, "seed").get_by_role("button", name="Try several values").click()
    page.get_by_role("textbox", name="Seed").fill("1..3")
    tools(form, "sampler").get_by_role("button", name="Try several values").click()
    page.locator('[data-field="sampler"]').get_by_role("button", name="heun", exact=True).click()
    run = page.locator("[data-sweep-count]")
    assert run.get_attribute("data-sweep-count") == "6"
    page.get_by_role("textbox", name="Seed").fill("1, x")
    page.get_by_text("No value of this field: x").wait_for()
    assert run.is_disabled()
    page.get_by_role("textbox", name="Seed").fill("1 2")
    run.click()
    page.wait_for_selector(".sweep-grid")
    page.get_by_text(re.compile("^4 of 4 done")).wait_for(timeout=90_000)
    heads = page.locator(".sweep-grid thead th").all_inner_texts()
    sides = page.locator(".sweep-grid tbody th").all_inner_texts()
    assert sides == ["Seed: 1", "Seed: 2"]
    assert sorted(heads) == ["Sampler: euler", "Sampler: heun"]
    assert page.locator(".sweep-grid td[data-cell] img").count() == 4
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the grid as one image").click()
    saved.value.save_as(tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
    page.reload()
    form.wait("window.__safelight?.app.getState().ready")
    page.locator(".sweep-grid td[data-cell] img").nth(3).wait_for()  # a page that showed the form shows it again
    page.keyboard.press("F4")
    page.reload()
    form.wait("window.__safelight?.app.getState().ready")
    page.wait_for_selector("#canvas")
    assert not page.locator(".sweep-grid").count()


def test_any_field_of_the_graph_can_be_varied(form: Editor) -> None:
    page = form.page
    page.keyboard.press("F4")
    page.wait_for_selector('[data-node="sample"]')
    page.locator('[data-widget="sample.denoise"]').click(button="right")
    page.click('[data-command="sweep"]')
    page.locator('[data-field="sample.denoise"] textarea').fill("0.5..1..0.25")
    assert page.locator("[data-sweep-count]").get_attribute("data-sweep-count") == "3"
    assert json.loads(form.text)["inputs"], "the fields of the form stay as they are"
