"""Names that complete in a prompt: embeddings by the keyboard and the mouse, LoRAs that become nodes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from serving import Server
from web.editor import Editor, graph
from web.test_access import complaints

IMAGE = graph(
    {
        "load": ("models.load", 0, 0),
        "prompt": ("text.encode", 380, 0),
        "sample": ("sampling.sample", 760, 0),
    },
    [("load.text", "prompt.encoder"), ("prompt.conditioning", "sample.positive"), ("load.model", "sample.model")],
)


def write(path: Path, tensor: str, shape: list[int]) -> None:
    """A safetensors file of one tensor in float16."""
    size = 2 * shape[0] * shape[1]
    header = json.dumps({tensor: {"dtype": "F16", "shape": shape, "data_offsets": [0, size]}}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))


@pytest.fixture
def prompts(editor: Editor, server: Server) -> Editor:
    models = server.home / "models"
    for name in ("easynegative", "easyphoto", "styles/ink"):
        write(models / "embeddings" / f"{name}.safetensors", "emb_params", [1, 768])
    write(models / "lora" / "sketch.safetensors", "lora_unet_down.lora_down.weight", [1, 8])
    end = time.monotonic() + 30
    while {"embedding", "lora"} - {model["kind"] for model in server.ask("GET", "/models")["models"]}:
        assert time.monotonic() < end, "the new files are not listed"
        time.sleep(0.5)
    editor.visit()
    editor.wait("__safelight.app.getState().models.some(model => model.name.includes('easyphoto'))", 60)
    editor.open(IMAGE)
    return editor


def text(editor: Editor) -> str:
    return editor.document["nodes"]["prompt"]["values"].get("text", "")


def area(editor: Editor) -> Any:
    return editor.page.locator('[data-widget="prompt.text"] textarea')


def options(editor: Editor) -> list[str]:
    editor.settle()
    return editor.page.locator(".suggestions [role=option] .title").all_inner_texts()


def test_an_embedding_is_completed_by_the_keyboard(prompts: Editor) -> None:
    keyboard = prompts.page.keyboard
    area(prompts).click()
    keyboard.type("a cat, embedding:ea")
    assert options(prompts) == ["easyphoto", "easynegative"]
    field = area(prompts)
    assert (field.get_attribute("role"), field.get_attribute("aria-expanded")) == ("combobox", "true")
    active = prompts.page.locator(f"[id='{field.get_attribute('aria-activedescendant')}']")
    assert active.get_attribute("aria-selected") == "true" and "easyphoto" in active.inner_text()
    said = complaints(prompts, "completion")
    assert not [one for one in said if ": aria" in one or "option" in one or "<textarea" in one]
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    assert text(prompts) == "a cat, embedding:easynegative"
    assert options(prompts) == []
    keyboard.type(", in")
    assert options(prompts) == ["styles/ink"]
    keyboard.press("Tab")
    assert text(prompts) == "a cat, embedding:easynegative, embedding:styles/ink"
    keyboard.press("Control+z")
    assert text(prompts) == "a cat, embedding:easynegative, in", "undo gives back what was typed"
    assert field.evaluate("element => element === document.activeElement")


def test_escape_closes_the_list_and_a_click_chooses(prompts: Editor) -> None:
    keyboard = prompts.page.keyboard
    area(prompts).click()
    keyboard.type("eas")
    assert options(prompts) == ["easyphoto", "easynegative"]
    keyboard.press("Escape")
    keyboard.type("y")
    assert options(prompts) == [], "it stays closed while the same is typed on"
    keyboard.press("Enter")
    assert text(prompts) == "easy\n"
    keyboard.type("eas")
    prompts.page.locator(".suggestions [role=option]", has_text="easynegative").click()
    assert text(prompts) == "easy\nembedding:easynegative"
    assert area(prompts).evaluate("element => element.selectionStart") == len(text(prompts))


def test_a_lora_becomes_a_node_on_the_model(prompts: Editor) -> None:
    keyboard = prompts.page.keyboard
    area(prompts).click()
    keyboard.type("a cat <lora:sk")
    assert options(prompts) == ["lora/sketch"]
    before = prompts.document
    keyboard.press("Enter")
    assert text(prompts) == "a cat "
    assert prompts.document["nodes"]["apply_lora"]["values"] == {"lora": "lora/sketch.safetensors"}
    assert {
        "load.model > apply_lora.model",
        "load.text > apply_lora.text",
        "apply_lora.model > sample.model",
        "apply_lora.text > prompt.encoder",
    } <= prompts.links
    assert "sketch" in prompts.page.locator(".toast").first.inner_text()
    keyboard.press("Control+z")
    assert prompts.document == before, "one step of undo"


def test_a_model_that_is_dropped_in_shows_in_the_list_of_an_open_editor(editor: Editor, server: Server) -> None:
    editor.open(graph({"apply": ("models.apply_lora", 0, 0)}))
    editor.wait("__safelight.app.getState().models.length > 0")
    write(server.home / "models" / "lora" / "fresh.safetensors", "lora_unet_down.lora_down.weight", [1, 8])
    editor.wait("__safelight.app.getState().models.some(model => model.name === 'lora/fresh.safetensors')", 40)
    editor.page.locator('[data-widget="apply.lora"] button').first.click()
    editor.page.keyboard.type("fresh")
    editor.page.keyboard.press("Enter")
    assert editor.document["nodes"]["apply"]["values"] == {"lora": "lora/fresh.safetensors"}
