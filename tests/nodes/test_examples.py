"""Every node has an example: it has no problems and runs; a second run computes nothing that is known."""

from __future__ import annotations

from pathlib import Path

import pytest

import example_home
from node_examples import WRITTEN, example
from safelight.app import Studio
from safelight.engine import RunOptions
from safelight.graph import Document
from safelight.sdk import load_packs

CATALOGUE = load_packs()
LARGE = {
    *("preprocess.lineart_anime", "preprocess.midas", "preprocess.zoe", "preprocess.leres", "preprocess.normal_bae"),
    *("preprocess.openpose", "preprocess.everything", "preprocess.mediapipe_face", "faces.repair"),
}
"""Nodes whose networks are of one size, hundreds of megabytes, or come with a package of their own: checked alone."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio.open(example_home.fill(tmp_path_factory.mktemp("examples") / "home"))


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_example_runs(name: str, studio: Studio, tmp_path: Path) -> None:
    if name.endswith("_exr"):
        pytest.importorskip("OpenEXR")
    if name == "mask.matte":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    document = example(CATALOGUE[name], CATALOGUE)
    if "clip.mp4" in document.dumps():
        pytest.importorskip("av")
    assert document.description
    assert name in {node.type for graph in graphs(document) for node in graph.nodes.values()}
    problems = studio.check(document).problems
    if name in LARGE:
        assert {problem.code for problem in problems} <= {"model_missing"}
        return
    assert problems == []
    outcome = studio.run(document, output=tmp_path, options=RunOptions(strict=True))
    assert outcome.result.problems == []
    assert {report.status for report in outcome.result.nodes.values()} <= {"ran", "cached"}
    again = studio.run(document, output=tmp_path).result.nodes
    fresh = {document.nodes[node].type for node, report in again.items() if report.status == "ran"}
    assert all(not CATALOGUE[kind].spec.cache or CATALOGUE[kind].spec.output for kind in fresh)


def graphs(document: Document) -> list[Document]:
    return [document, *document.subgraphs.values()]


@pytest.mark.parametrize("path", sorted(WRITTEN.glob("*.json")), ids=lambda path: path.stem)
def test_a_written_example_is_of_a_node_and_as_we_write_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert example(CATALOGUE[path.stem], CATALOGUE).dumps() == text, "save it with Document.dumps()"
