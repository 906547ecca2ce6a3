"""Workflows of many kinds, in both formats of ComfyUI, run from end to end over tiny models."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import comfyui_home
from comfyui_files import Canvas, as_canvas
from comfyui_tools import TOOLS
from comfyui_workflows import API, lora, plain
from safelight.app import Studio
from safelight.engine import RunOptions
from safelight.graph import Document
from safelight.interop.reading import read


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    pytest.importorskip("gguf")
    pytest.importorskip("av")
    with pytest.MonkeyPatch.context() as patch:
        home = comfyui_home.fill(tmp_path_factory.mktemp("comfyui") / "home", patch)
        with Studio.open(home) as studio:
            yield studio


def imported(studio: Studio, data: Any) -> Document:
    document, report = read(json.dumps(data).encode(), studio.media)
    assert report is not None and report.whole, report.summary() if report else ""
    assert Document.loads(document.dumps()) == document
    assert [problem for problem in studio.check(document).problems if problem.level == "error"] == []
    return document


def runs(studio: Studio, document: Document, folder: Path) -> list[Path]:
    """Runs it twice; the second time nothing is computed that is known. Returns what was saved."""
    outcome = studio.run(document, output=folder, options=RunOptions(strict=True))
    assert outcome.result.problems == []
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files and all(path.stat().st_size for path in files)
    again = studio.run(document, output=folder).result.nodes
    savers = {name for name, node in document.nodes.items() if node.type.endswith((".save", ".preview"))}
    assert {name for name, report in again.items() if report.status == "ran"} <= savers
    return files


ALL = API | TOOLS


@pytest.mark.parametrize("name", ALL)
def test_a_workflow_runs(name: str, studio: Studio, tmp_path: Path) -> None:
    data = ALL[name]()
    by_api, by_canvas = imported(studio, data), imported(studio, as_canvas(data))
    kinds = [Counter(node.type for node in one.nodes.values()) for one in (by_api, by_canvas)]
    assert kinds[0] == kinds[1] and len(by_api.links) == len(by_canvas.links)
    assert _values(by_api) == _values(by_canvas), "values by place are those by name"
    runs(studio, by_canvas if list(ALL).index(name) % 2 else by_api, tmp_path)


def _values(document: Document) -> list[str]:
    return sorted(f"{node.type} {json.dumps(node.values, sort_keys=True)}" for node in document.nodes.values())


def test_a_subgraph_runs(studio: Studio, tmp_path: Path) -> None:
    """A sampler and its decoder inside; steps and seed are values of the instance."""
    inner = Canvas()
    sampler = inner.node("KSampler", [1, "fixed", 9, 4.0, "euler", "normal", 1.0])
    decoder = inner.node("VAEDecode")
    inner.link(sampler, 0, decoder, "samples", "LATENT")
    given = [("model", "MODEL"), ("positive", "CONDITIONING"), ("negative", "CONDITIONING"), ("latent_image", "LATENT")]
    for slot, (name, kind) in enumerate(given):
        inner.link(-10, slot, sampler, name, kind)
    inner.link(-10, 4, decoder, "vae", "VAE")
    for slot, (name, kind) in enumerate((("seed", "INT"), ("steps", "INT"))):
        inner.link(-10, 5 + slot, sampler, name, kind, widget=True)
    ends = inner.data["links"] + [[99, decoder, 0, -20, 0, "IMAGE"]]
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    inputs = [*given, ("vae", "VAE"), ("seed", "INT"), ("steps", "INT")]
    body = {
        **{"id": "5f0c", "name": "Draw it", "nodes": inner.data["nodes"], "groups": []},
        "links": [dict(zip(names, link, strict=True)) for link in ends],
        "inputs": [{"name": name, "type": kind} for name, kind in inputs],
        "outputs": [{"name": "image", "type": "IMAGE"}],
    }
    outer = Canvas()
    loader = outer.node("CheckpointLoaderSimple", ["sd1"])
    texts = [outer.node("CLIPTextEncode", [text]) for text in ("a red apple", "")]
    empty = outer.node("EmptyLatentImage", [64, 64, 1])
    drawn = outer.node("5f0c", [7, 2], outputs=[("image", "IMAGE")])
    save = outer.node("SaveImage", ["made"], outputs=[])
    for text in texts:
        outer.link(loader, 1, text, "clip", "CLIP")
    outer.link(loader, 0, drawn, "model", "MODEL")
    for text, name in zip(texts, ("positive", "negative"), strict=True):
        outer.link(text, 0, drawn, name, "CONDITIONING")
    outer.link(empty, 0, drawn, "latent_image", "LATENT")
    outer.link(loader, 2, drawn, "vae", "VAE")
    outer.link(drawn, 0, save, "images", "IMAGE")
    outer.data["definitions"] = {"subgraphs": [body]}
    document = imported(studio, outer.data)
    (instance,) = [node for node in document.nodes.values() if node.type.startswith("subgraph:")]
    assert instance.values == {"seed": 7, "steps": 2}
    same = plain(seed=7, steps=2) | {
        "no": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["model", 1]}}
    }
    assert _pixels(studio, document, tmp_path / "a") == _pixels(studio, imported(studio, same), tmp_path / "b")


def test_what_is_muted_or_bypassed_stays_so(studio: Studio, tmp_path: Path) -> None:
    data = as_canvas(lora())
    second = next(node for node in data["nodes"] if node["title"] == "second")
    saver = next(node for node in data["nodes"] if node["title"] == "save")
    data["nodes"].append({**saver, "id": 99, "title": "quiet", "mode": 2})
    second["mode"] = 4
    document = imported(studio, data)
    assert sorted(node.mode for node in document.nodes.values() if node.mode != "on") == ["bypass", "mute"]
    without = lora()
    without["sampler"]["inputs"]["model"] = ["lora", 0]
    del without["second"]
    assert _pixels(studio, document, tmp_path / "a") == _pixels(studio, imported(studio, without), tmp_path / "b")


def test_what_is_sent_everywhere_arrives(studio: Studio, tmp_path: Path) -> None:
    data = as_canvas(plain())
    for node in data["nodes"]:
        for entry in node["inputs"]:
            if entry["type"] in ("VAE", "CLIP"):
                entry["link"] = None
    data["links"] = [link for link in data["links"] if link[5] not in ("VAE", "CLIP")]
    loader = next(node for node in data["nodes"] if node["title"] == "model")
    inputs = [{"name": kind.lower(), "type": kind, "link": 90 + slot} for slot, kind in enumerate(("CLIP", "VAE"), 1)]
    data["nodes"].append({"id": 80, "type": "Anything Everywhere3", "mode": 0, "inputs": inputs, "outputs": []})
    data["links"] += [[91, loader["id"], 1, 80, 0, "CLIP"], [92, loader["id"], 2, 80, 1, "VAE"]]
    document = imported(studio, data)
    assert len(document.links) == len(imported(studio, plain()).links)
    assert _pixels(studio, document, tmp_path / "a") == _pixels(studio, imported(studio, plain()), tmp_path / "b")


def test_a_group_node_runs(studio: Studio, tmp_path: Path) -> None:
    """A group of the time before subgraphs: its values are those of the nodes inside, one after the other."""
    data = as_canvas(plain())
    titles = {node["title"]: node for node in data["nodes"]}
    inside = [{**titles[name], "index": place, "pos": [0, 0]} for place, name in enumerate(("sampler", "decode"))]
    inside[0]["widgets_values"] = [1, "fixed", 30, 1.0, "lms", "karras", 1.0]  # as they were when the group was made
    body = {"nodes": inside, "links": [[0, 0, 1, 0, 5, "LATENT"]], "external": [[1, 0, "IMAGE"]], "config": {}}
    kept = {"model": "MODEL", "positive": "CONDITIONING", "negative": "CONDITIONING", "latent_image": "LATENT"}
    inputs = [one for one in titles["sampler"]["inputs"] if one["name"] in kept]
    inputs += [one for one in titles["decode"]["inputs"] if one["name"] == "vae"]
    group = {
        **{"id": titles["sampler"]["id"], "type": "workflow>Draw", "pos": [0, 0], "mode": 0, "inputs": inputs},
        "outputs": titles["decode"]["outputs"],
        "widgets_values": titles["sampler"]["widgets_values"],
    }
    data["nodes"] = [node for node in data["nodes"] if node["title"] not in ("sampler", "decode")] + [group]
    data["links"] = [link for link in data["links"] if link[1] != group["id"]]
    for link in data["links"]:
        link[1] = group["id"] if link[1] == titles["decode"]["id"] else link[1]
    data["extra"] = {"groupNodes": {"Draw": body}}
    document = imported(studio, data)
    assert [node.type for node in document.nodes.values() if node.type.startswith("subgraph:")] == ["subgraph:draw"]
    assert _pixels(studio, document, tmp_path / "a") == _pixels(studio, imported(studio, plain()), tmp_path / "b")


def _pixels(studio: Studio, document: Document, folder: Path) -> bytes:
    from PIL import Image

    (file,) = [path for path in runs(studio, document, folder) if path.suffix == ".png"]
    with Image.open(file) as image:
        return image.tobytes()
