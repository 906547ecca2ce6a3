"""Documents written for ComfyUI, and read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comfyui_files import api, canvas
from safelight.app import Studio
from safelight.graph import Document, Port
from safelight.graph.document import Link, Node
from safelight.interop.comfyui import classes
from safelight.interop.comfyui.export.opening import Form, write_comfyui
from safelight.interop.comfyui.opening import read_comfyui
from safelight.interop.reading import read
from safelight.places import shipped_names
from safelight.protocol.imports import ExportReport


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio.open(tmp_path_factory.mktemp("home")) as opened:
        yield opened


def _back(studio: Studio, document: Document, form: Form = "comfyui") -> tuple[dict[str, Any], Document, ExportReport]:
    file, report = write_comfyui(document, studio.catalogue, form)
    return file, read(json.dumps(file).encode(), studio.media).document, report


def test_what_is_odd_in_a_document_is_written_as_far_as_it_goes(studio: Studio) -> None:
    """A placeholder keeps the node as a file had it, which may hold anything; a subgraph may have been taken out."""
    odd = {"id": 1, "type": "Loose", "inputs": [{"name": {}}, {"name": ["a"]}, {}, 5, {"name": "image", "link": 1}]}
    document, _ = read_comfyui({"nodes": [odd, {"id": 2, "type": "LoadImage"}], "links": [[1, 2, 0, 1, 4, "IMAGE"]]})
    nodes = document.nodes | {"gone": Node("subgraph:gone")}
    file, _, _ = _back(studio, replace(document, nodes=nodes))
    written = next(one for one in file["nodes"] if one["type"] == "Loose")
    assert [one["name"] for one in written["inputs"]] == ["image"]


def test_what_came_from_there_goes_back_under_its_number(studio: Studio) -> None:
    """By which scripts know it. A copy, and what is new, get numbers that nothing had."""
    nodes = {"12" if key == "3" else key: node for key, node in json.loads(json.dumps(api())).items()}
    nodes["8"]["inputs"]["samples"] = ["12", 0]
    document, _ = read_comfyui(nodes)
    same, _, _ = _back(studio, document, "comfyui-api")
    assert {key: node["class_type"] for key, node in same.items()} == {
        key: node["class_type"] for key, node in nodes.items()
    }
    saved = next(name for name, node in document.nodes.items() if node.type == "image.save")
    more = {"copy": document.nodes[saved], "made": Node("latent.empty")}
    made, _, _ = _back(studio, replace(document, nodes=document.nodes | more), "comfyui-api")
    assert set(nodes) < set(made) and set(made) - set(nodes) == {"1", "2"}


def _meaning(document: Document) -> dict[str, Any]:
    """Nodes with what they say, and links, without versions and what only drawing needs."""
    return {
        "nodes": {
            name: (node.type, node.mode, node.title, node.values, node.repeat) for name, node in document.nodes.items()
        },
        "links": {(str(link.source), str(link.target)) for link in document.links},
        "subgraphs": {key: _meaning(body) for key, body in document.subgraphs.items()},
    }


SAME = ("enlarge", "hires_fix", "image_to_image", "prompt_schedule", "text_to_image", "two_prompts", "variations")


@pytest.mark.parametrize("name", SAME)
def test_what_comfyui_has_nodes_for_comes_home_as_it_was(studio: Studio, name: str) -> None:
    document = studio.read(name)
    _, back, report = _back(studio, document)
    assert report.written == report.nodes
    mine, theirs = _meaning(document), _meaning(back)
    assert {key: one[:3] for key, one in theirs["nodes"].items()} == {
        key: one[:3] for key, one in mine["nodes"].items()
    }
    assert theirs["links"] == mine["links"]
    specs = {key: studio.catalogue[one[0]].spec for key, one in mine["nodes"].items() if one[0] in studio.catalogue}
    for key, spec in specs.items():
        defaults = {one.name: one.default for one in spec.inputs}
        assert defaults | theirs["nodes"][key][3] == defaults | mine["nodes"][key][3], key


@pytest.mark.parametrize("name", sorted(shipped_names()))
@pytest.mark.parametrize("form", ["comfyui", "comfyui-api"])
def test_every_shipped_workflow_is_written_and_opens(studio: Studio, name: str, form: Form) -> None:
    document = studio.read(name)
    file, back, report = _back(studio, document, form)
    bodies = sum(len(body.nodes) for body in document.subgraphs.values())
    assert report.nodes == report.written + sum(report.kept.values())
    assert report.nodes <= len(document.nodes) + bodies
    assert not [one for one in back.nodes.values() if one.type.startswith("comfyui:")]
    assert set(report.kept) <= {one.type for one in (*back.nodes.values(), *_inner(back))}
    if form == "comfyui":
        _sound(file)
        assert studio.check(back).graph is not None or report.kept


def _inner(document: Document) -> list[Node]:
    return [node for body in document.subgraphs.values() for node in body.nodes.values()]


def _sound(file: dict[str, Any]) -> None:
    """What ComfyUI's editor takes for granted of a file."""
    levels = [file, *file.get("definitions", {}).get("subgraphs", [])]
    ids = [node["id"] for level in levels for node in level["nodes"] if node["type"] != "MarkdownNote"]
    assert len(ids) == len(set(ids))
    assert max(ids) <= file["last_node_id"]
    for level in levels:
        nodes = {node["id"]: node for node in level["nodes"]}
        links = {}
        for one in level["links"]:
            number, origin, slot, target, target_slot, kind = one.values() if isinstance(one, dict) else one
            links[number] = (origin, slot, target, target_slot, kind)
        for number, (origin, slot, target, target_slot, _) in links.items():
            if target != -20:
                assert nodes[target]["inputs"][target_slot]["link"] == number
            if origin != -10:
                assert number in nodes[origin]["outputs"][slot]["links"]
        for node in nodes.values():
            known = classes.find(node["type"])
            seeds = [one for one in known.widgets if one.name in ("seed", "noise_seed")] if known else []
            extra = 1 if node["type"] == "LoadImage" else 0
            if known is not None and known.widgets and not node["type"].startswith("Load"):
                assert len(node["widgets_values"]) == len(known.widgets) + len(seeds) + extra, node["type"]
    assert all(one <= file["last_link_id"] for level in levels for one in _numbers(level))


def _numbers(level: dict[str, Any]) -> list[int]:
    return [one["id"] if isinstance(one, dict) else one[0] for one in level["links"]]


@pytest.mark.parametrize("make", [api, lambda: canvas()[0].data], ids=["api", "canvas"])
@pytest.mark.parametrize("form", ["comfyui", "comfyui-api"])
def test_what_came_from_there_goes_back(studio: Studio, make: Any, form: Form) -> None:
    first = read(json.dumps(make()).encode(), studio.media).document
    file, back, report = _back(studio, first, form)
    assert report.remarks == []
    mine, theirs = _meaning(first), _meaning(back)
    assert theirs == mine
    if form == "comfyui-api":
        told = {one["class_type"]: one["inputs"] for one in file.values()}
        was = {one["class_type"]: one["inputs"] for one in api().values() if one["class_type"] == "KSampler"}
        literal = {key: value for key, value in was["KSampler"].items() if not isinstance(value, list)}
        assert {key: told["KSampler"][key] for key in literal} == literal


def test_a_placeholder_goes_back_unchanged(studio: Studio) -> None:
    made, ids = canvas()
    strange = made.node("Strange Node (pack)", [1, "two", {"three": 3}], outputs=[("IMAGE", "IMAGE")], color="#223")
    made.link(ids["decode"], 0, strange, "some image", "IMAGE")
    document = read(json.dumps(made.data).encode(), studio.media).document
    file, back, report = _back(studio, document)
    assert report.remarks == []
    was = next(one for one in made.data["nodes"] if one["type"] == "Strange Node (pack)")
    now = next(one for one in file["nodes"] if one["type"] == "Strange Node (pack)")
    assert (now["widgets_values"], now["color"]) == (was["widgets_values"], was["color"])
    origin = {node["id"]: node["type"] for node in file["nodes"]}
    link = next(one for one in file["links"] if one[0] == now["inputs"][0]["link"])
    assert origin[link[1]] == "VAEDecode"
    assert _meaning(back) == _meaning(document)


def test_a_node_without_counterpart_comes_home(studio: Studio) -> None:
    document = studio.read("film_look")
    for form in ("comfyui", "comfyui-api"):
        _, back, report = _back(studio, document, form)
        assert report.kept == {"image.glow": 1}
        name = next(name for name, node in document.nodes.items() if node.type == "image.glow")
        assert back.nodes[name].values == document.nodes[name].values
        assert {str(link.target) for link in back.links if link.target.node == name} == {
            str(link.target) for link in document.links if link.target.node == name
        }
        assert any(link.source.node == name for link in back.links)


@pytest.mark.parametrize("form", ["comfyui", "comfyui-api"])
@pytest.mark.parametrize("formulas", ["diffusers", "k-diffusion"])
def test_a_sampler_of_given_levels_gets_its_formulas_back(studio: Studio, form: Form, formulas: str) -> None:
    """Its sampler is a node of its own there, and its levels another."""
    document = _along_levels(studio)
    own = {
        Port("custom", "sampler"): "auto",
        Port("custom", "formulas"): formulas,
        Port("levels", "sampler"): "heun",
        Port("levels", "formulas"): formulas,
    }
    document = document.with_values(own)
    file, _ = write_comfyui(document, studio.catalogue, form)
    back = read(json.dumps(file).encode(), studio.media).document
    for port, value in own.items():
        kind = studio.catalogue[document.nodes[port.node].type].spec
        default = next(one.default for one in kind.inputs if one.name == port.port)
        assert back.nodes[port.node].type == document.nodes[port.node].type
        assert back.nodes[port.node].values.get(port.port, default) == value, port
    assert _meaning(document)["links"] <= _meaning(back)["links"]


def test_another_sampler_of_given_levels_that_was_chosen_there_counts(studio: Studio) -> None:
    document = _along_levels(studio).with_values({Port("custom", "sampler"): "auto"})
    file, _ = write_comfyui(document, studio.catalogue, "comfyui")
    chosen = next(one for one in file["nodes"] if one["type"] == "KSamplerSelect")
    chosen["widgets_values"] = ["heun"]
    values = read(json.dumps(file).encode(), studio.media).document.nodes["custom"].values
    assert (values["sampler"], values["formulas"]) == ("heun", "k-diffusion")


def _along_levels(studio: Studio) -> Document:
    example = Path(__file__).parents[2] / "nodes/examples/sampling.custom.json"
    document = studio.read(example)
    nodes = {name: node for name, node in document.nodes.items() if name != "curve"}
    links = tuple(link for link in document.links if link.source.node != "curve")
    links += (_link("load.model", "levels.model"), _link("levels.sigmas", "custom.sigmas"))
    return replace(document, nodes=nodes | {"levels": Node("sigmas.make")}, links=links)


def test_names_of_a_placeholder_go_back_to_the_api_as_they_came(studio: Studio) -> None:
    inputs = {"mode.width": 5, "mode width": 6, "image": ["1", 0]}
    first = {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}
    first["2"] = {"class_type": "Somebody's", "inputs": inputs}
    file, _, _ = _back(studio, read(json.dumps(first).encode(), studio.media).document, "comfyui-api")
    (written,) = (one["inputs"] for one in file.values() if one["class_type"] == "Somebody's")
    assert written.keys() == inputs.keys() and written["mode.width"] == 5 and written["mode width"] == 6


def test_a_change_that_was_made_there_counts(studio: Studio) -> None:
    document = studio.read("text_to_image").with_values({Port("sample", "steps"): 0})
    file, _ = write_comfyui(document, studio.catalogue, "comfyui")
    sampler = next(one for one in file["nodes"] if one["type"] == "KSampler")
    loader = next(one for one in file["nodes"] if one["type"] == "CheckpointLoaderSimple")
    assert sampler["widgets_values"][2] == 20
    back = read(json.dumps(file).encode(), studio.media).document
    assert back.nodes["sample"].values.get("steps", 0) == 0
    assert back.nodes["model"].values["model"] == "starter"
    sampler["widgets_values"][2] = 33
    loader["widgets_values"][0] = "other.safetensors"
    back = read(json.dumps(file).encode(), studio.media).document
    assert back.nodes["sample"].values["steps"] == 33
    assert back.nodes["model"].values["model"] == "checkpoints/other.safetensors"


def test_a_loop_is_kept_for_when_it_comes_home(studio: Studio) -> None:
    document = studio.read("redraw")
    _, back, report = _back(studio, document)
    was = next(node for node in document.nodes.values() if node.repeat is not None)
    now = next(node for node in back.nodes.values() if node.repeat is not None)
    assert now.repeat == was.repeat
    assert any("several times" in one.message for one in report.remarks)
    assert [one for one in studio.check(back).problems if one.level == "error"] == []


def test_muted_and_bypassed_nodes(studio: Studio) -> None:
    made, ids = canvas()
    larger = made.node("LatentUpscaleBy", ["bicubic", 2.0], outputs=[("LATENT", "LATENT")], mode=4)
    made.link(ids["sampler"], 0, larger, "samples", "LATENT")
    again = made.node("VAEDecode")
    made.link(larger, 0, again, "samples", "LATENT")
    made.link(ids["model"], 2, again, "vae", "VAE")
    shown = made.node("PreviewImage", outputs=[], mode=2)
    made.link(again, 0, shown, "images", "IMAGE")
    document = read(json.dumps(made.data).encode(), studio.media).document
    file, back, _ = _back(studio, document)
    modes = {one["type"]: one["mode"] for one in file["nodes"]}
    assert (modes["LatentUpscaleBy"], modes["PreviewImage"], modes["KSampler"]) == (4, 2, 0)
    assert _meaning(back) == _meaning(document)
    prompt, _ = write_comfyui(document, studio.catalogue, "comfyui-api")
    classes_there = [one["class_type"] for one in prompt.values()]
    assert "LatentUpscaleBy" not in classes_there and "PreviewImage" not in classes_there
    (sampler,) = (key for key, one in prompt.items() if one["class_type"] == "KSampler")
    decoded = [one["inputs"]["samples"] for one in prompt.values() if one["class_type"] == "VAEDecode"]
    assert decoded == [[sampler, 0], [sampler, 0]]


def test_subgraphs_inside_subgraphs(studio: Studio) -> None:
    """One that only a subgraph knows; two of the same name mean different things."""
    leaf = Document(
        nodes={"turn": Node("image.invert")},
        inputs=(_input("image", "turn.image"),),
        outputs=(_output("image", "turn.image"),),
    )
    other = replace(leaf, nodes={"turn": Node("image.flip", values={"way": "vertical"})})
    middle = Document(
        nodes={"deep": Node("subgraph:leaf")},
        inputs=(_input("image", "deep.image"),),
        outputs=(_output("image", "deep.image"),),
        subgraphs={"leaf": leaf},
    )
    top = Document(
        nodes={
            "load": Node("image.load", values={"file": "a.png"}),
            "one": Node("subgraph:middle"),
            "two": Node("subgraph:leaf"),
            "save": Node("image.save"),
        },
        links=(_link("load.image", "one.image"), _link("one.image", "two.image"), _link("two.image", "save.image")),
        subgraphs={"middle": middle, "leaf": other},
    )
    file, back, _ = _back(studio, top)
    _sound(file)
    assert len(file["definitions"]["subgraphs"]) == 3
    types = {key: {node.type for node in body.nodes.values()} for key, body in back.subgraphs.items()}
    assert {"image.invert"} in types.values()
    assert {"image.flip"} in types.values()
    prompt, _ = write_comfyui(top, studio.catalogue, "comfyui-api")
    by_class = {one["class_type"]: (key, one["inputs"]) for key, one in prompt.items()}
    assert by_class["ImageInvert"][0].count(":") == 2
    assert by_class["ImageFlip"][1]["image"] == [by_class["ImageInvert"][0], 0]
    assert by_class["SaveImage"][1]["images"] == [by_class["ImageFlip"][0], 0]


def _input(name: str, to: str) -> Any:
    from safelight.graph.document import InputPort

    return InputPort(name, Port(*to.split(".")))


def _output(name: str, source: str) -> Any:
    from safelight.graph.document import OutputPort

    return OutputPort(name, Port(*source.split(".")))


def _link(source: str, target: str) -> Link:
    return Link(Port(*source.split(".")), Port(*target.split(".")))


def test_the_command(studio: Studio, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safelight.cli import main

    out = tmp_path / "workflow.json"
    assert main(["convert", "film_look", "--to", "comfyui", "-o", str(out)]) == 0
    told = capsys.readouterr()
    assert "image.glow" in told.err
    assert "8 of 9 nodes have a counterpart in ComfyUI" in told.err
    assert read(out.read_bytes(), studio.media).document.nodes.keys() == studio.read("film_look").nodes.keys()
    assert main(["convert", "text_to_image", "--to", "comfyui-api"]) == 0
    assert {one["class_type"] for one in json.loads(capsys.readouterr().out).values()} >= {"KSampler", "SaveImage"}
