"""The panel of models: found, looked at, put into nodes; what a workflow lacks is fetched and takes its place."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file, save

import tiny_models
from away import Away, serving_away
from serving import Server, serving
from web.conftest import ROOT
from web.editor import Editor, graph


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A LoRA as trainers write it, with words for the prompt."""
    path = tiny_models.tiny_lora(tmp_path_factory.mktemp("weights") / "one.safetensors", "sd1")
    about = {"modelspec.title": "Ink wash", "modelspec.trigger_phrase": "inkwash"}
    return save(load_file(path), about)


@pytest.fixture(scope="module")
def away(weights: bytes) -> Iterator[Away]:
    with serving_away(weights) as made:
        yield made


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, weights: bytes, away: Away) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("stocked")
    loras = home / "models" / "loras"
    loras.mkdir(parents=True)
    (loras / "ink.safetensors").write_bytes(weights)
    Image.new("RGB", (64, 64), (40, 90, 160)).save(loras / "ink.preview.png")
    (loras / "broken.safetensors").write_bytes(b"<html>")
    (home / "models.json").write_text(json.dumps({"hosts": [away.host]}))
    with serving(home, "--download", pack=False) as server:
        yield server


@pytest.fixture
def shelf(browser: Any, stocked: Server) -> Iterator[Editor]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark", locale="en-US")
    context.set_default_timeout(20_000)
    editor = Editor(context.new_page(), stocked.url)
    editor.visit()
    editor.wait("__safelight.app.getState().models.some(model => model.name === 'loras/ink.safetensors')", 60)
    yield editor
    assert not editor.errors, editor.errors
    context.close()


def test_a_model_is_found_looked_at_and_put_into_a_node(shelf: Editor) -> None:
    page = shelf.page
    shelf.open(graph({"lora": ("models.apply_lora", 500, 0)}))
    shelf.page.mouse.click(*shelf.header("lora"))
    page.click('[data-panel="models"]')
    page.get_by_label("Search models").fill("inkwash")  # a word for the prompt finds it
    card = page.locator('[data-model="loras/ink.safetensors"]')
    assert "Ink wash" in card.inner_text()
    assert page.locator("[data-model]").count() == 1
    shelf.wait("document.querySelector('.model-card img').naturalWidth > 0")
    card.click()
    page.get_by_role("button", name="inkwash").wait_for()
    page.get_by_role("button", name="Use in Apply LoRA").click()
    assert shelf.document["nodes"]["lora"]["values"]["lora"] == "loras/ink.safetensors"
    page.get_by_role("button", name="Add to the canvas").click()
    assert len(shelf.document["nodes"]) == 2


def test_kind_and_family_narrow_the_list_and_a_broken_file_says_why(shelf: Editor) -> None:
    page = shelf.page
    page.click('[data-panel="models"]')
    everything = page.locator("[data-model]").count()
    page.get_by_label("Every family").select_option("sd1")
    assert 0 < page.locator("[data-model]").count() < everything
    page.get_by_label("Every family").select_option("")
    page.get_by_label("Search models").fill("broken")
    page.locator('[data-model="loras/broken.safetensors"]').click()
    assert page.locator(".model-facts [role=note]").inner_text().strip()


def test_what_a_faulty_workflow_lacks_is_told_and_asked_for_when_nobody_types(shelf: Editor) -> None:
    page = shelf.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/model-missing") else None)
    lora, prompt = ("models.apply_lora", 500, 0), ("text.encode", 500, 400)
    document = graph({"lora": lora, "prompt": prompt})  # both lack their model
    document["nodes"]["lora"]["values"]["lora"] = "lost.safetensors"
    shelf.open(document)
    page.click('[data-panel="models"]')
    page.locator('[data-lacking="lost.safetensors"]').wait_for()
    before = len(asked)
    page.locator('[data-widget="prompt.text"] textarea').click()
    page.keyboard.type("a house by the sea", delay=20)
    shelf.wait(
        "__safelight.app.getState().tabs.some(tab => tab.document.nodes.prompt?.values?.text === 'a house by the sea')"
    )
    end = time.monotonic() + 60  # the first plan of a server waits for a worker
    while len(asked) == before:
        assert time.monotonic() < end, "it was not asked for again"
        page.wait_for_timeout(100)
    assert len(asked) - before < len("a house by the sea") / 2


def test_what_a_workflow_lacks_is_fetched_with_progress(shelf: Editor, away: Away) -> None:
    page = shelf.page
    document = json.loads((ROOT / "workflows" / "few_steps.json").read_text(encoding="utf-8"))
    document["nodes"]["lora"]["values"]["lora"] = "new.safetensors"
    document["models"] = [{"name": "new.safetensors", "url": away.url("new.safetensors"), "folder": "loras"}]
    shelf.open(document)
    page.click('[data-panel="models"]')
    lacking = page.locator('[data-lacking="new.safetensors"]')
    away.manner = "slow"
    lacking.get_by_role("button").click()
    row = page.locator("[data-download]")
    row.get_by_role("progressbar").wait_for()
    row.get_by_role("button", name="Pause").click()
    page.locator('[data-download][data-status="paused"]').wait_for()
    away.manner = "whole"
    row.get_by_role("button", name="Go on").click()
    shelf.wait("['done', 'failed'].includes(__safelight.app.getState().downloads[0].status)", 90)
    assert row.get_attribute("data-status") == "done", row.inner_text()
    lacking.wait_for(state="detached")
    page.locator('[data-model="loras/new.safetensors"]').wait_for()
    row.get_by_role("button", name="Remove from the list").click()
    row.wait_for(state="detached")
    page.get_by_label("Address of a model").fill("https://example.org/some.safetensors")
    page.get_by_role("button", name="Fetch").click()
    page.locator('[data-download][data-status="failed"], .toast.error').first.wait_for()
