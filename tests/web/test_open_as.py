"""A file that holds several workflows opens as ours, and is offered as the others."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, PngImagePlugin

from safelight.media.registry import built_in
from web.editor import Editor
from web.test_journey import drop

SETTINGS = "a <lora:ink:1> tree\nNegative prompt: b\nSteps: 5, Sampler: Euler, Seed: 3, ADetailer model: face.pt"
OWN = {"format": "safelight/1", "name": "mine", "nodes": {"one": {"type": "values.seed"}}, "links": []}
PROMPT = {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}, "2": {"class_type": "Odd", "inputs": {}}}


def test_another_workflow_of_the_file_is_a_click_away(editor: Editor, tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("parameters", SETTINGS)
    info.add_itxt("prompt", json.dumps(PROMPT))
    path = tmp_path / "several.png"
    Image.new("RGB", (64, 48), (200, 30, 60)).save(path, pnginfo=info)
    path.write_bytes(built_in().embed(path.read_bytes(), "image/png", json.dumps(OWN)))
    drop(editor, path, "image/png", (600, 300))
    editor.page.get_by_role("button", name="Open the workflow").click()
    editor.wait("__safelight.write().includes('mine')")
    # Ours is there at once; a line tells what else the file holds.
    editor.page.get_by_role("button", name="Open as …").click()
    sheet = editor.page.get_by_role("dialog")
    assert sheet.locator(".import-kinds button").all_inner_texts() == ["What ComfyUI ran", "A1111's settings"]
    sheet.get_by_role("button", name="A1111's settings").click()
    editor.wait("__safelight.write().includes('ink')")
    # What is not as it was is told, and from there the others are offered.
    assert "ADetailer" in sheet.inner_text()
    sheet.get_by_role("button", name="What ComfyUI ran").click()
    editor.wait("__safelight.write().includes('comfyui:Odd')")
    assert sheet.locator(".import-kinds button").all_inner_texts() == ["Safelight's workflow", "A1111's settings"]
