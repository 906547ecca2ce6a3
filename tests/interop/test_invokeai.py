"""Workflows of InvokeAI become documents; what has no counterpart stays as a placeholder."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safelight.graph import Document, check
from safelight.interop.invokeai.opening import is_invokeai, read_invokeai_workflow
from safelight.interop.invokeai.prompts import prompt
from safelight.interop.reading import read
from safelight.media.registry import built_in
from safelight.sdk.problem import ProblemError, errors
from settings_images import CATALOGUE, png

MODEL = {"key": "k", "hash": "h", "base": "sd-1", "type": "main"}


class Canvas:
    """A workflow of InvokeAI's editor, node by node."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {
            **{"name": "Drawn", "nodes": [], "edges": [], "exposedFields": [], "meta": {"version": "3.0.0"}},
        }

    def node(self, name: str, type: str, **values: Any) -> str:
        inputs = {key: {"name": key, "label": "", "value": value} for key, value in values.items()}
        between = type not in ("l2i", "save_image")
        data = {"id": name, "type": type, "label": "", "inputs": inputs, "isIntermediate": between, "version": "1.0.0"}
        place = {"x": 400 * len(self.data["nodes"]), "y": 25}
        self.data["nodes"].append({"id": name, "type": "invocation", "data": data, "position": place})
        return name

    def edge(self, source: str, target: str) -> None:
        (origin, output), (end, field) = source.split("."), target.split(".")
        handles = {"sourceHandle": output, "targetHandle": field}
        self.data["edges"].append(
            {"id": source + target, "type": "default", "source": origin, "target": end, **handles}
        )

    def edges(self, **pairs: str) -> None:
        for source, targets in pairs.items():
            for target in targets.split():
                self.edge(source.replace("__", "."), target)


def drawn() -> Canvas:
    """Text to image by InvokeAI's own nodes."""
    made = Canvas()
    made.node("model", "main_model_loader", model={**MODEL, "name": "photo"})
    made.node("yes", "compel", prompt="a (red hat)1.3, blue++ sky")
    made.node("no", "compel", prompt="fog")
    made.node("noise", "noise", seed=7, width=512, height=768, use_cpu=True)
    made.node(
        "draw", "denoise_latents", steps=30, cfg_scale=6.5, scheduler="dpmpp_2m_k", denoising_start=0, denoising_end=1
    )
    made.node("show", "l2i", tiled=False, tile_size=0, fp32=True)
    made.edges(
        model__clip="yes.clip no.clip",
        model__unet="draw.unet",
        model__vae="show.vae",
        yes__conditioning="draw.positive_conditioning",
        no__conditioning="draw.negative_conditioning",
        noise__noise="draw.noise",
        draw__latents="show.latents",
    )
    return made


def opened(data: dict[str, Any]) -> tuple[Document, list[str]]:
    assert is_invokeai(data)
    document, report = read_invokeai_workflow(data)
    assert Document.loads(document.dumps()) == document
    assert not errors(check(document, CATALOGUE).problems), check(document, CATALOGUE).problems
    return document, [one.message for one in report.remarks]


def kinds(document: Document) -> dict[str, str]:
    """The name of a node by its type, of types that are there once."""
    return {node.type: name for name, node in document.nodes.items()}


def wired(document: Document) -> set[tuple[str, str]]:
    types = {name: node.type for name, node in document.nodes.items()}
    return {
        (f"{types[one.source.node]}.{one.source.port}", f"{types[one.target.node]}.{one.target.port}")
        for one in document.links
    }


def test_text_to_image() -> None:
    document, remarks = opened(drawn().data)
    assert not remarks
    named = kinds(document)
    values = {type: document.nodes[name].values for type, name in named.items()}
    assert values["models.load"] == {"model": "checkpoints/photo.safetensors"}
    assert values["latent.empty"] == {"width": 512, "height": 768}
    assert values["sampling.sample"] == {
        **{"steps": 30, "guidance": 6.5, "seed": 7, "sampler": "dpmpp_2m", "scheduler": "karras"}
    }
    texts = sorted(str(node.values["text"]) for node in document.nodes.values() if node.type == "text.encode")
    assert texts == ["a (red hat:1.3), (blue:1.21) sky", "fog"]
    assert wired(document) >= {
        ("models.load.vae", "latent.empty.vae"),
        ("latent.empty.latent", "sampling.sample.latent"),
        ("text.encode.conditioning", "sampling.sample.negative"),
        ("sampling.sample.latent", "vae.decode.latent"),
        ("vae.decode.image", "image.save.image"),
    }
    assert set(document.ui["nodes"]) >= set(named.values()) - {named["latent.empty"]}


def test_an_image_is_changed_by_a_part_of_the_steps() -> None:
    canvas = drawn()
    canvas.node("start", "image", image={"image_name": "old.png"})
    canvas.node("see", "i2l")
    canvas.edges(start__image="see.image", see__latents="draw.latents", model__vae="see.vae")
    fields = canvas.data["nodes"][4]["data"]["inputs"]
    fields["denoising_start"]["value"] = 0.25
    document, remarks = opened(canvas.data)
    assert document.nodes[kinds(document)["sampling.sample"]].values["denoise"] == 0.75
    assert document.nodes[kinds(document)["image.load"]].values == {"file": "old.png"}
    assert len(remarks) == 1 and "old.png" in remarks[0]
    fields["denoising_end"]["value"] = 0.5
    document, _ = opened(canvas.data)
    values = document.nodes[kinds(document)["sampling.sample_part"]].values
    assert (values["start_step"], values["end_step"]) == (8, 15)


def test_control_and_adapters_come_between_the_prompts_and_the_sampler() -> None:
    canvas = drawn()
    canvas.node("image", "image", image={"image_name": "hint.png"})
    canvas.node("edges", "canny_edge_detection", low_threshold=50, high_threshold=150)
    control = {"control_weight": 0.8, "begin_step_percent": 0.1, "end_step_percent": 0.9}
    for name in ("one", "two"):
        canvas.node(name, "controlnet", control_model={**MODEL, "name": name}, control_mode="more_control", **control)
    canvas.node("all", "collect")
    canvas.node(
        "style", "ip_adapter", ip_adapter_model={**MODEL, "name": "plus"}, weight=0.6, image={"image_name": "s.png"}
    )
    canvas.edges(
        image__image="edges.image",
        edges__image="one.image two.image",
        one__control="all.item",
        two__control="all.item",
        all__collection="draw.control",
        style__ip_adapter="draw.ip_adapter",
    )
    document, _ = opened(canvas.data)
    networks = {node.values["controlnet"] for node in document.nodes.values() if node.type == "models.load_controlnet"}
    assert networks == {"controlnet/one.safetensors", "controlnet/two.safetensors"}
    applied = [node.values for node in document.nodes.values() if node.type == "controlnet.apply"]
    assert applied == [{"strength": 0.8, "start": 0.1, "end": 0.9, "guess": True}] * 2
    found = wired(document)
    assert ("controlnet.apply.positive", "controlnet.apply.positive") in found
    assert ("controlnet.apply.positive", "ip_adapter.apply.positive") in found
    assert ("ip_adapter.apply.conditioning", "sampling.sample.positive") in found
    assert ("controlnet.apply.negative", "sampling.sample.negative") in found
    assert document.nodes[kinds(document)["ip_adapter.apply"]].values == {"scale": 0.6}


def test_loras_one_by_one_and_collected() -> None:
    canvas = drawn()
    canvas.node("first", "lora_loader", lora={**MODEL, "name": "ink"}, weight=0.4)
    for name in ("a", "b"):
        canvas.node(name, "lora_selector", lora={**MODEL, "name": name}, weight=0.5)
    canvas.node("all", "collect")
    canvas.node("rest", "lora_collection_loader")
    canvas.data["edges"] = [one for one in canvas.data["edges"] if one["sourceHandle"] not in ("unet", "clip")]
    canvas.edges(
        model__unet="first.unet",
        model__clip="first.clip",
        first__unet="rest.unet",
        first__clip="rest.clip",
        a__lora="all.item",
        b__lora="all.item",
        all__collection="rest.loras",
        rest__unet="draw.unet",
        rest__clip="yes.clip no.clip",
    )
    document, remarks = opened(canvas.data)
    assert not remarks
    loras = [node.values for node in document.nodes.values() if node.type == "models.apply_lora"]
    assert [(one["lora"], one["weight"], one["text_weight"]) for one in loras] == [
        ("loras/ink.safetensors", 0.4, 0.4),
        ("loras/a.safetensors", 0.5, 0.5),
        ("loras/b.safetensors", 0.5, 0.5),
    ]


def test_black_of_a_mask_is_painted() -> None:
    canvas = drawn()
    canvas.node("mask", "image", image={"image_name": "m.png"})
    canvas.node("masked", "create_denoise_mask")
    canvas.edges(mask__image="masked.mask", masked__denoise_mask="draw.denoise_mask")
    found = wired(opened(canvas.data)[0])
    assert ("image.to_mask.mask", "mask.invert.mask") in found and ("mask.invert.mask", "latent.set_mask.mask") in found
    assert ("latent.set_mask.latent", "sampling.sample.latent") in found


def test_what_has_no_counterpart_keeps_its_values_links_and_place() -> None:
    canvas = drawn()
    canvas.node("odd", "somebodys_filter", amount=3)
    canvas.node("save", "save_image")
    canvas.edges(show__image="odd.image", odd__image="save.image")
    document, report = read_invokeai_workflow(canvas.data)
    (name,) = (key for key, node in document.nodes.items() if node.type == "invokeai:somebodys_filter")
    assert document.nodes[name].values == {"amount": 3} and report.placeholders == {"somebodys_filter": 1}
    assert {str(one.target) for one in document.links if one.source.node == name} == {
        f"{kinds(document)['image.save']}.image"
    }
    assert document.ui["nodes"][name]["x"] == 400 * 6
    (problem,) = errors(check(document, CATALOGUE).problems)
    assert problem.code == "placeholder" and "InvokeAI" in problem.message


def test_connectors_are_followed_and_notes_kept() -> None:
    canvas = drawn()
    edge = next(one for one in canvas.data["edges"] if one["targetHandle"] == "latents")
    place = {"position": {"x": 1, "y": 2}}
    canvas.data["nodes"] += [
        {"id": "c", "type": "connector", "data": {"id": "c", "type": "connector", "label": ""}, **place},
        {"id": "n", "type": "notes", "data": {"id": "n", "type": "notes", "label": "Note", "notes": "Look."}, **place},
    ]
    canvas.edge("c.out", "show.latents")
    edge |= {"target": "c", "targetHandle": "in"}
    document, _ = opened(canvas.data)
    assert ("sampling.sample.latent", "vae.decode.latent") in wired(document)
    assert [one["text"] for one in document.ui["notes"]] == ["Look."]


def as_graph(data: dict[str, Any]) -> dict[str, Any]:
    """What InvokeAI's server runs of such a workflow."""
    nodes = {}
    for one in data["nodes"]:
        fields = {key: given["value"] for key, given in one["data"]["inputs"].items()}
        between = {"is_intermediate": one["data"]["isIntermediate"], "use_cache": True}
        nodes[one["id"]] = {"id": one["id"], "type": one["data"]["type"], **between, **fields}
    edges = [
        {
            "source": {"node_id": one["source"], "field": one["sourceHandle"]},
            "destination": {"node_id": one["target"], "field": one["targetHandle"]},
        }
        for one in data["edges"]
    ]
    return {"id": "g", "nodes": nodes, "edges": edges}


def test_what_the_server_ran_means_the_same() -> None:
    first, _ = opened(drawn().data)
    second, remarks = opened(as_graph(drawn().data))
    assert not remarks
    assert {name: (node.type, node.values) for name, node in second.nodes.items()} == {
        name: (node.type, node.values) for name, node in first.nodes.items()
    }
    assert second.links == first.links


def test_a_workflow_in_an_image_counts_before_its_settings() -> None:
    said = {"positive_prompt": "from the settings", "steps": 5, "seed": 1}
    data = png(invokeai_metadata=json.dumps(said), invokeai_workflow=json.dumps(drawn().data))
    assert read(data, built_in()).document.name == "Drawn"
    reading = read(data, built_in(), kind="invokeai-settings")
    assert reading.document.nodes["prompt"].values["text"] == "from the settings"


@pytest.mark.parametrize(
    "data",
    [
        {"nodes": [{"id": 5}, 3, {"data": []}], "edges": [3, {}, {"source": {}, "destination": 5}], "meta": 1},
        {"nodes": [], "edges": [], "exposedFields": []},
        {"nodes": {"a": {"type": "denoise_latents", "steps": {}, "denoising_start": "x"}}, "edges": []},
        {"nodes": {"a": {"type": "compel", "prompt": []}, "b": {"type": ["collect"]}}, "edges": [{"source": "a"}]},
        {"nodes": [{"id": "c", "type": "connector", "position": []}], "meta": {}, "edges": [
            {"source": "c", "target": "c", "sourceHandle": "out", "targetHandle": "in"}]},
    ],
)  # fmt: skip
def test_what_is_odd_is_read_as_far_as_it_goes(data: dict[str, Any]) -> None:
    assert is_invokeai(data)
    document, _ = read_invokeai_workflow(data)
    assert Document.loads(document.dumps()) == document


@pytest.mark.parametrize("data", [{}, [], {"nodes": []}, {"nodes": {}}, {"nodes": [], "edges": [], "format": "x"}])
def test_what_is_none_is_not_taken_for_one(data: Any) -> None:
    assert not is_invokeai(data)
    with pytest.raises(ProblemError):
        read(json.dumps(data).encode(), built_in())


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("a cat", "a cat"),
        ("a cat++ runs-", "a (cat:1.21) (runs:0.9)"),
        ("(a cat)1.5 and (a dog)-", "(a cat:1.5) and (a dog:0.9)"),
        ("(plain brackets)", "plain brackets"),
        ("((deep)1.2 words)0.5", "((deep:1.2) words:0.5)"),
        ("well-known, [x], a + b, (open", r"well-known, \[x\], a + b, \(open"),
        (r"by \(her\)", r"by \(her\)"),
    ],
)
def test_weights_are_written_in_our_signs(theirs: str, ours: str) -> None:
    assert prompt(theirs) == ours
