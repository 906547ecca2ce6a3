"""A file that holds several workflows tells them all, and opens as the one that is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from comfyui_files import api, canvas
from safelight.app import Studio
from safelight.cli import main
from safelight.graph import Document
from safelight.graph.document import Node
from safelight.interop.reading import offers, read
from safelight.media.registry import built_in
from safelight.protocol.imports import Kind
from safelight.sdk.problem import ProblemError
from settings_images import png

MEDIA = built_in()
A1111 = "from A1111\nNegative prompt: b\nSteps: 5, Sampler: Euler, Seed: 3"
INVOKEAI = {
    "nodes": [{"id": "a", "type": "invocation", "data": {"id": "a", "type": "string", "inputs": {}}}],
    **{"edges": [], "exposedFields": [], "name": "from InvokeAI"},
}


def everything() -> bytes:
    """An image with what five programs wrote into it."""
    data = png(
        parameters=A1111,
        prompt=json.dumps(api()),
        workflow=json.dumps(canvas()[0].data),
        invokeai_workflow=json.dumps(INVOKEAI),
        invokeai_metadata=json.dumps({"positive_prompt": "from its settings", "seed": 1}),
    )
    own = Document(name="ours", nodes={"one": Node("values.seed")})
    return MEDIA.embed(data, "image/png", own.dumps())


FOUND: list[Kind] = ["safelight", "comfyui", "comfyui-api", "invokeai", "a1111", "invokeai-settings"]


def test_all_that_a_file_holds_is_told_ours_first() -> None:
    assert [one.kind for one in offers(everything(), MEDIA)] == FOUND
    assert read(everything(), MEDIA).document.name == "ours"
    for one in offers(everything(), MEDIA):
        assert one.read() == read(everything(), MEDIA, kind=one.kind)


@pytest.mark.parametrize("kind", FOUND)
def test_it_opens_as_each(kind: Kind) -> None:
    document, report = read(everything(), MEDIA, kind=kind)
    programs = {"safelight": None, "a1111": "AUTOMATIC1111", "comfyui": "ComfyUI", "comfyui-api": "ComfyUI"}
    wanted = programs.get(kind, "InvokeAI")
    assert (report is None) if wanted is None else (report is not None and report.program.startswith(wanted))
    if kind == "a1111":
        assert document.nodes["prompt"].values["text"] == "from A1111"
    if kind == "comfyui":
        assert document.ui["frames"][0]["title"] == "All"
    if kind == "comfyui-api":
        assert "frames" not in document.ui


def test_what_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(ProblemError) as caught:
        read(everything(), MEDIA, "a.png", kind="novelai")
    (problem,) = caught.value.problems
    assert (problem.code, problem.value) == ("kind_missing", "novelai") and "'a.png'" in problem.message
    assert all(kind in problem.hint for kind in FOUND)
    with pytest.raises(ProblemError) as caught:
        read(png(), MEDIA, kind="a1111")
    assert caught.value.problems[0].code == "no_workflow_inside"


def test_the_command_names_and_chooses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(everything())
    assert main(["convert", str(path), "--list"]) == 0
    assert capsys.readouterr().out.split() == FOUND
    assert main(["convert", str(path), "--as", "a1111"]) == 0
    assert Document.loads(capsys.readouterr().out).nodes["prompt"].values["text"] == "from A1111"
    assert main(["convert", str(path)]) == 0
    assert Document.loads(capsys.readouterr().out).name == "ours"
    assert main(["convert", str(path), "--as", "somebody"]) == 2
    assert "It can be opened as safelight, comfyui" in capsys.readouterr().err
    path.write_bytes(png())
    assert main(["convert", str(path), "--list"]) == 2
    assert "no workflow" in capsys.readouterr().err


def test_a_shipped_workflow_is_ours(tmp_path: Path) -> None:
    with Studio.open(tmp_path) as studio:
        assert studio.kinds("text_to_image") == ["safelight"]
