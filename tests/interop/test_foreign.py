"""Images of other programs are told for what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from safelight.app import Studio
from safelight.interop.foreign import carried, foreign
from safelight.interop.pictures import embed
from safelight.interop.reading import read
from safelight.sdk import ProblemError
from tiny_images import encoded

GRAPH = json.dumps({"nodes": [], "links": [], "version": 0.4})
PROMPT = '{"3": {"class_type": "KSampler", "inputs": {"seed": NaN}}}'
PARAMETERS = "a cat 🐱\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"


def png(**entries: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in entries.items():
        info.add_itxt(key.replace("__", "-"), text)
    return encoded(Image.new("RGB", (8, 8)), pnginfo=info)


def commented(form: str, text: str) -> bytes:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    return encoded(Image.new("RGB", (8, 8)), form, exif=tags.tobytes())


def tagged(form: str) -> bytes:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110] = f"workflow:{GRAPH}", f"prompt:{PROMPT}"
    return encoded(Image.new("RGB", (8, 8)), form, exif=tags.tobytes())


CASES = {
    "comfy": (lambda: png(prompt=PROMPT, workflow=GRAPH), "ComfyUI", "workflow and the prompt"),
    "comfy's workflow": (lambda: png(workflow=GRAPH), "ComfyUI", "a ComfyUI workflow"),
    "comfy's prompt": (lambda: png(prompt=PROMPT), "ComfyUI", "API format"),
    "comfy in webp": (lambda: tagged("WEBP"), "ComfyUI", "workflow and the prompt"),
    "comfy in jpeg": (lambda: tagged("JPEG"), "ComfyUI", "workflow and the prompt"),
    "parameters": (lambda: png(parameters=PARAMETERS), "AUTOMATIC1111", "generation parameters"),
    "parameters in jpeg": (lambda: commented("JPEG", PARAMETERS), "AUTOMATIC1111", "generation parameters"),
    "parameters in webp": (lambda: commented("WEBP", PARAMETERS), "AUTOMATIC1111", "generation parameters"),
    "invoke": (lambda: png(invokeai_metadata="{}", invokeai_workflow="{}"), "InvokeAI", "an InvokeAI workflow"),
    "invoke's settings": (lambda: png(invokeai_metadata="{}"), "InvokeAI", "settings"),
    "invoke of old": (lambda: png(sd__metadata="{}"), "InvokeAI", "settings"),
    "swarm": (lambda: png(parameters='{"sui_image_params": {}}'), "SwarmUI", "parameters"),
    "novel": (lambda: png(Software="NovelAI", Comment="{}"), "NovelAI", "parameters"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_told_who_made_an_image_and_what_it_carries(case: str, tmp_path: Path) -> None:
    make, program, carries = CASES[case]
    path = tmp_path / "a.png"
    path.write_bytes(make())
    studio = Studio.open(tmp_path / "home")
    for take, name in ((lambda: studio.read(path), str(path)), (lambda: read(path.read_bytes()), "The image")):
        with pytest.raises(ProblemError) as caught:
            take()
        (problem,) = caught.value.problems
        assert problem.code == "foreign_workflow" and problem.hint
        assert program in problem.message and carries in problem.message and name in problem.message


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {"prompt": "a cat", "workflow": "none", "parameters": "a cat"},
        {"prompt": "[1, 2]", "workflow": "[" * 100_000},
        {"workflow": '{"nodes": 3}', "prompt": '{"a": 1}'},
    ],
)
def test_what_only_looks_like_it_is_nothing(entries: dict[str, str]) -> None:
    assert foreign(png(**entries)) is None
    with pytest.raises(ProblemError) as caught:
        carried(png(**entries), "a.png")
    assert caught.value.problems[0].code == "no_workflow_inside"


def test_our_own_workflow_comes_first() -> None:
    assert carried(embed(png(workflow=GRAPH), "image/png", "{}")) == "{}"
