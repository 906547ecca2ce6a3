"""Images of other programs are told for what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from safelight.app import Studio
from safelight.interop.foreign import carried, foreign
from safelight.interop.reading import read
from safelight.media.registry import built_in
from safelight.sdk import ProblemError
from tiny_images import encoded

embed = built_in().embed

GRAPH = json.dumps({"nodes": [], "links": [], "version": 0.4})


def png(**entries: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in entries.items():
        info.add_itxt(key.replace("__", "-"), text)
    return encoded(Image.new("RGB", (8, 8)), pnginfo=info)


CASES = {
    "invoke": (lambda: png(invokeai_metadata="{}", invokeai_workflow="{}"), "InvokeAI", "an InvokeAI workflow"),
    "invoke's settings": (lambda: png(invokeai_metadata="{}"), "InvokeAI", "settings"),
    "invoke of old": (lambda: png(sd__metadata="{}"), "InvokeAI", "settings"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_told_who_made_an_image_and_what_it_carries(case: str, tmp_path: Path) -> None:
    make, program, carries = CASES[case]
    path = tmp_path / "a.png"
    path.write_bytes(make())
    studio = Studio.open(tmp_path / "home")
    for take, name in (
        (lambda: studio.read(path), str(path)),
        (lambda: read(path.read_bytes(), built_in()), "The image"),
    ):
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
        carried(png(**entries), built_in(), "a.png")
    assert caught.value.problems[0].code == "no_workflow_inside"


def test_our_own_workflow_comes_first() -> None:
    assert carried(embed(png(workflow=GRAPH), "image/png", "{}"), built_in()) == "{}"


def test_what_cannot_be_translated_is_not_sent_to_be_translated() -> None:
    damaged = {"nodes": [{"type": "KSampler"}], "last_node_id": 5}
    with pytest.raises(ProblemError) as caught:
        read(json.dumps(damaged).encode(), built_in())
    (problem,) = caught.value.problems
    assert problem.code == "foreign_workflow" and "convert" not in problem.hint and "damaged" in problem.hint
