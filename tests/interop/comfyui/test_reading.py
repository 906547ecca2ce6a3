"""Files of ComfyUI become documents that mean the same; nothing of them is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from comfyui_files import Canvas, api, canvas
from safelight.graph import Document, check
from safelight.interop.comfyui.opening import is_comfyui, read_comfyui
from safelight.interop.reading import read
from safelight.media.registry import built_in
from safelight.sdk.pack import load_packs
from safelight.sdk.problem import errors
from tiny_images import encoded

CATALOGUE = load_packs()


def made(data: Any) -> Document:
    assert is_comfyui(data)
    document, report = read_comfyui(data)
    assert report.whole, report.summary()
    assert Document.loads(document.dumps()) == document
    assert not errors(check(document, CATALOGUE).problems)
    return document


def essence(document: Document) -> tuple[set[str], set[tuple[str, str]], dict[str, dict[str, Any]]]:
    """What a document does, by types of nodes instead of names."""
    nodes = {name: f"{node.type} {node.values.get('text', '')}" for name, node in document.nodes.items()}
    links = {
        (f"{nodes[one.source.node]}.{one.source.port}", f"{nodes[one.target.node]}.{one.target.port}")
        for one in document.links
    }
    return set(nodes.values()), links, {nodes[name]: dict(node.values) for name, node in document.nodes.items()}


def test_both_formats_mean_the_same() -> None:
    ours = essence(made(api()))
    theirs = essence(made(canvas()[0].data))
    assert ours[0] == theirs[0] and ours[1] == theirs[1]
    assert ours[2] == theirs[2]
    sampler = ours[2]["sampling.sample "]
    assert sampler == {
        **{"seed": 5, "steps": 4, "denoise": 1.0, "guidance": 2.0},
        **{"sampler": "dpmpp_2m", "scheduler": "karras", "formulas": "k-diffusion"},
    }
    assert ours[2]["models.load "] == {"model": "checkpoints/sd15/a.safetensors"}
    assert ours[2]["image.save "]["name"] == "folder/it_{counter}"


def test_the_canvas_stays_as_it_was() -> None:
    made_, ids = canvas()
    document = made(made_.data)
    places = document.ui["nodes"]
    assert len(places) == len(document.nodes) == 7
    sampler = next(name for name, node in document.nodes.items() if node.type == "sampling.sample")
    assert places[sampler] == {"x": 100 * ids["sampler"], "y": 50, "w": 300}
    assert document.ui["frames"] == [
        {"id": "frame_0", "title": "All", "x": 0, "y": 0, "w": 900, "h": 400, "color": "#3f789e"}
    ]
    assert [note["text"] for note in document.ui["notes"]] == ["Look here."]
    assert next(node.title for node in document.nodes.values() if node.values.get("text") == "a red apple") == "Yes"


@pytest.mark.parametrize("key", ["workflow", "prompt"])
def test_an_image_carries_it(key: str) -> None:
    info = PngImagePlugin.PngInfo()
    text = json.dumps(
        canvas()[0].data if key == "workflow" else api() | {"10": {"class_type": "Note", "x": float("nan")}}
    )
    info.add_text(key, text)
    reading = read(encoded(Image.new("RGB", (8, 8)), pnginfo=info), built_in())
    assert reading.report is not None and reading.report.program == "ComfyUI"
    assert any(node.type == "sampling.sample" for node in reading.document.nodes.values())


@pytest.mark.parametrize("form", ["WEBP", "JPEG"])
def test_other_images_carry_it_in_their_tags(form: str) -> None:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110] = f"workflow:{json.dumps(canvas()[0].data)}", f"prompt:{json.dumps(api())}"
    reading = read(encoded(Image.new("RGB", (8, 8)), form, exif=tags.tobytes()), built_in())
    assert reading.document.ui["frames"], "what was on the canvas comes before what was run"


def test_what_has_no_rule_stays_with_values_links_and_place() -> None:
    graph, ids = canvas()
    unknown = graph.node(
        "Somebody's Sharpener",
        [0.5, "soft"],
        outputs=[("IMAGE", "IMAGE"), ("IMAGE", "IMAGE")],
        inputs=[{"name": "amount", "type": "FLOAT", "widget": {"name": "amount"}, "link": None}],
    )
    graph.link(ids["decode"], 0, unknown, "image", "IMAGE")
    save = next(one for one in graph.data["nodes"] if one["id"] == ids["save"])
    save["inputs"] = []
    graph.link(unknown, 1, ids["save"], "images", "IMAGE")
    document, report = read_comfyui(graph.data)
    assert report.placeholders == {"Somebody's Sharpener": 1} and report.mapped == report.nodes - 1
    name, node = next((name, node) for name, node in document.nodes.items() if node.type.startswith("comfyui:"))
    assert node.type == "comfyui:Somebody's Sharpener" and node.values == {"amount": 0.5}
    assert node.extra["comfyui"]["node"]["widgets_values"] == [0.5, "soft"]
    links = {(str(one.source), str(one.target)) for one in document.links}
    assert any(target == f"{name}.image" for _, target in links)
    assert any(source == f"{name}.IMAGE_2" for source, _ in links)
    (problem,) = errors(check(document, CATALOGUE).problems)
    assert problem.code == "placeholder" and problem.node == name and "Sharpener" in problem.message
    assert Document.loads(document.dumps()) == document


def test_a_bypassed_node_hands_on_and_a_muted_one_does_not() -> None:
    graph, ids = canvas()
    unknown = graph.node("Blurrer", [], outputs=[("IMAGE", "IMAGE")], mode=4)
    graph.link(ids["decode"], 0, unknown, "image", "IMAGE")
    save = next(one for one in graph.data["nodes"] if one["id"] == ids["save"])
    save["inputs"] = []
    graph.link(unknown, 0, ids["save"], "images", "IMAGE")
    document, _ = read_comfyui(graph.data)
    assert not errors(check(document, CATALOGUE).problems)
    links = {(str(one.source), str(one.target)) for one in document.links}
    assert any(source.startswith("vae_decode") and target.startswith("save_image") for source, target in links)
    graph.data["nodes"][-1]["mode"] = 2
    document, _ = read_comfyui(graph.data)
    codes = {problem.code for problem in errors(check(document, CATALOGUE).problems)}
    assert codes == {"missing_input"}


def test_values_of_old_files_find_their_names() -> None:
    """Files of 2023 had a switch behind the seed; newer ones name their values."""
    graph, ids = canvas()
    sampler = next(one for one in graph.data["nodes"] if one["id"] == ids["sampler"])
    wanted = essence(made(graph.data))[2]
    sampler["widgets_values"] = [77, True, 4, 2.0, "dpmpp_2m", "karras", 1.0]
    assert essence(made(graph.data))[2] == wanted
    del sampler["widgets_values"]
    sampler["widgets_values_named"] = {
        **{"seed": 77, "control_after_generate": "fixed", "steps": 4, "cfg": 2.0, "sampler_name": "dpmpp_2m"},
        **{"scheduler": "karras", "denoise": 1.0},
    }
    assert essence(made(graph.data))[2] == wanted


def _wrapped() -> Canvas:
    """The sampler inside a subgraph, whose seed and text are promoted, and which is nested in a second one."""
    inner, ids = canvas()
    keep = ("sampler", "empty", "yes", "no")
    nodes = [one for one in inner.data["nodes"] if one["id"] in {ids[name] for name in keep}]
    for one in nodes:
        one["inputs"] = []
    body = Canvas()
    body.data["nodes"] = nodes
    body.data["last_node_id"] = 50
    names = [("model", "MODEL"), ("clip", "CLIP"), ("text", "STRING"), ("seed", "INT")]
    targets = [("sampler", "model"), ("yes", "clip"), ("no", "clip"), ("yes", "text"), ("sampler", "seed")]
    slots = {"model": 0, "clip": 1, "text": 2, "seed": 3}
    for target, name in targets:
        body.link(-10, slots[name], ids[target], name, "*", widget=name in ("text", "seed"))
    body.link(ids["yes"], 0, ids["sampler"], "positive", "CONDITIONING")
    body.link(ids["no"], 0, ids["sampler"], "negative", "CONDITIONING")
    body.link(ids["empty"], 0, ids["sampler"], "latent_image", "LATENT")
    links = [
        dict(zip(("id", "origin_id", "origin_slot", "target_id", "target_slot", "type"), one, strict=True))
        for one in body.data["links"]
    ]
    links.append(
        {"id": 99, "origin_id": ids["sampler"], "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "LATENT"}
    )
    definition = {
        "id": "aaaa-1",
        "name": "Draw it",
        "inputNode": {"id": -10},
        "outputNode": {"id": -20},
        "inputs": [{"id": name, "name": name, "type": kind} for name, kind in names],
        "outputs": [{"id": "l", "name": "LATENT", "type": "LATENT"}],
        "nodes": nodes,
        "links": links,
        "groups": [],
    }
    top = Canvas()
    model = top.node("CheckpointLoaderSimple", ["sd15/a.safetensors"])
    instance = top.node("aaaa-1", ["a green pear", 9], outputs=[("LATENT", "LATENT")])
    decode = top.node("VAEDecode")
    save = top.node("SaveImage", ["it"], outputs=[])
    top.link(model, 0, instance, "model", "MODEL")
    top.link(model, 1, instance, "clip", "CLIP")
    top.link(instance, 0, decode, "samples", "LATENT")
    top.link(model, 2, decode, "vae", "VAE")
    top.link(decode, 0, save, "images", "IMAGE")
    top.data["definitions"] = {"subgraphs": [definition]}
    return top


@pytest.mark.parametrize("kinds", [("SetNode", "GetNode"), ("easy setNode", "easy getNode")])
def test_set_and_get_are_links_that_are_shown_as_their_name(kinds: tuple[str, str]) -> None:
    plain, _ = canvas()
    graph, ids = canvas()
    graph.data["links"] = [link for link in graph.data["links"] if (link[1], link[3]) != (ids["empty"], ids["sampler"])]
    (sampler,) = (node for node in graph.data["nodes"] if node["id"] == ids["sampler"])
    sampler["inputs"] = [entry for entry in sampler["inputs"] if entry["name"] != "latent_image"]
    kept, got = graph.node(kinds[0], ["start latent"]), graph.node(kinds[1], ["start latent"], [("LATENT", "LATENT")])
    graph.link(ids["empty"], 0, kept, "LATENT", "LATENT")
    graph.link(got, 0, ids["sampler"], "latent_image", "LATENT")
    # A slot is a place in the list of a node's inputs, which is shorter by one now.
    for link in graph.data["links"]:
        node = next(one for one in graph.data["nodes"] if one["id"] == link[3])
        link[4] = next(place for place, entry in enumerate(node["inputs"]) if entry["link"] == link[0])
    document, without = made(graph.data), made(plain.data)
    assert essence(document) == essence(without), "it means the same"
    named = [(link.target.port, link.extra) for link in document.links if link.extra]
    assert named == [("latent", {"flag": "start latent"})]
    assert not any(link.extra for link in without.links)


def test_a_subgraph_is_one_and_asks_for_what_it_lacks() -> None:
    """Ours has an input more: an empty latent knows its VAE here, which lies outside of the subgraph."""
    document = made(_wrapped().data)
    body = document.subgraphs["draw_it"]
    name, instance = next((name, node) for name, node in document.nodes.items() if node.type == "subgraph:draw_it")
    assert instance.values == {"text": "a green pear", "seed": 9}
    into = {(str(one.source).split(".")[1], one.target.port) for one in document.links if one.target.node == name}
    assert into == {("model", "model"), ("text", "clip"), ("text", "clip_2"), ("vae", "vae")}
    assert {port.name for port in body.inputs} == {"model", "clip", "clip_2", "text", "seed", "vae"}
    assert [port.name for port in body.outputs] == ["LATENT"]


def test_a_subgraph_in_itself_ends() -> None:
    graph = _wrapped()
    definition = graph.data["definitions"]["subgraphs"][0]
    definition["nodes"].append({"id": 70, "type": "aaaa-1", "pos": [0, 0], "size": [1, 1], "inputs": [], "outputs": []})
    document, _ = read_comfyui(graph.data)
    assert Document.loads(document.dumps()) == document


@pytest.mark.parametrize(
    "data",
    [
        {"nodes": [{"id": 1, "type": "KSampler"}], "links": [[1, 1, 0, 1, 0, "LATENT"]], "last_node_id": 1},
        {"nodes": [{"id": {"a": 1}, "type": ["x"]}], "links": [3, [1], {}], "groups": [3, {"bounding": [None]}]},
        {"nodes": [{"id": 1, "type": "SetNode", "widgets_values": [[1]]}], "links": [None], "definitions": 5},
        {"nodes": [{"id": 1, "type": "KSampler", "widgets_values": [{}, [], None, "x", True]}], "links": []},
        {"1": {"class_type": "KSampler", "inputs": {"seed": [1, 2], "model": ["1", 0], "cfg": "high"}}},
        {"1": {"class_type": "KSampler", "inputs": [1]}, "2": {"class_type": 5}},
        {"1": {"class_type": "Reroute", "inputs": {"": ["1", 0]}}},
        {
            "nodes": [{"id": 1, "type": "KSampler", "mode": "--5"}, {"id": "²", "type": "A"}],
            "links": [["²", 1, 0, 1, 0]],
        },
        {"nodes": [{"id": 1, "type": "KSampler", "mode": "9" * 5000}], "links": [], "groups": [{"bounding": 5}]},
        {"nodes": [{"id": 1, "type": "KSampler", "inputs": 1.5, "widgets_values": [1]}], "links": []},
        {
            "nodes": [],
            "links": [],
            "last_node_id": 1,
            "definitions": {"subgraphs": [{"id": "a", "nodes": 5, "links": 5, "groups": 5, "inputs": 5}]},
        },
        {
            "nodes": [{"id": 1, "type": "workflow/g"}],
            "links": [],
            "extra": {
                "groupNodes": {
                    "g": {"nodes": [{}], "links": [[0, {}, 0, []], [None, 0, {}, 0, 0, "A"]], "external": [[0, []], 5]}
                }
            },
        },
        {
            "nodes": [{"id": 1, "type": "workflow/g"}],
            "links": [],
            "extra": {"groupNodes": {"g": {"nodes": [], "links": 5}}},
        },
        {
            "1": {"class_type": "Loose", "inputs": {}, "_meta": {"safelight": {"outputs": [""]}}},
            "2": {"class_type": "safelight:image.glow", "inputs": {"": ["1", 0], ".": ["1", 0], "a.b": ["1", 0]}},
        },
        {
            "1": {"class_type": "safelight:a.b", "inputs": {}, "_meta": {"safelight": {"outputs": [""]}}},
            "2": {"class_type": "Other", "inputs": {".": ["1", 0]}},
        },
    ],
)
def test_what_is_odd_is_read_as_far_as_it_goes(data: Any) -> None:
    assert is_comfyui(data)
    document, report = read_comfyui(data)
    assert Document.loads(document.dumps()) == document and report.nodes <= 2


@pytest.mark.parametrize(
    "data", [{}, {"nodes": []}, {"a": 1}, [], {"nodes": [1], "links": [], "format": "safelight/1"}]
)
def test_what_is_none_is_not_taken_for_one(data: Any) -> None:
    assert not is_comfyui(data)


def test_inputs_without_names_keep_what_leads_into_each() -> None:
    graph = Canvas()
    first, second = (graph.node("LoadImage", [name], outputs=[("IMAGE", "IMAGE")]) for name in ("a.png", "b.png"))
    odd = graph.node("Somebody's Mix", outputs=[])
    for source, name in ((first, ""), (second, ""), (first, "a b"), (second, "a.b")):
        graph.link(source, 0, odd, name, "IMAGE")
    document, _ = read_comfyui(graph.data)
    name = next(name for name, node in document.nodes.items() if node.type == "comfyui:Somebody's Mix")
    files = {key: node.values.get("file") for key, node in document.nodes.items()}
    given = {link.target.port: files[link.source.node] for link in document.links if link.target.node == name}
    assert given == {"input": "a.png", "input_2": "b.png", "a_b": "a.png", "a_b_2": "b.png"}


def test_damaged_links_of_a_group_are_told() -> None:
    inside = [{"type": "VAEDecode", "inputs": [{"name": "samples", "type": "LATENT"}], "outputs": []}] * 2
    links = [[0, 0, 1, 0, 0, "LATENT"], [0, 0, 9, 0, 0, "LATENT"], [0, 0, 1, "x"], 5]
    data = {
        "nodes": [{"id": 1, "type": "workflow/Draw"}],
        "links": [],
        "extra": {"groupNodes": {"Draw": {"nodes": inside, "links": links}}},
    }
    _, report = read_comfyui(data)
    assert [one.message for one in report.remarks if "damaged" in one.message] == [
        "The group node 'Draw' has 3 damaged links, which are left out."
    ]
    data["extra"]["groupNodes"]["Draw"]["links"] = links[:1]
    _, report = read_comfyui(data)
    assert not [one for one in report.remarks if "damaged" in one.message]


@pytest.mark.parametrize("wrap", [lambda one: one, json.dumps], ids=["object", "text"])
@pytest.mark.parametrize("key", ["prompt", "workflow"])
def test_what_a_script_posts_opens(key: str, wrap: Any) -> None:
    data = json.dumps({key: wrap(api()), "client_id": "me"}).encode()
    document, report = read(data, built_in())
    assert report is not None and report.whole and len(document.nodes) == len(api())


def test_nodes_that_are_none_and_such_of_one_id_are_told() -> None:
    data = json.loads(json.dumps(canvas()[0].data))
    twice = {**data["nodes"][0], "type": "VAEDecode"}
    data["nodes"] += [5, {"id": 400}, {"type": "VAEDecode"}, twice]
    assert is_comfyui(data)
    document, report = read_comfyui(data)
    assert len(document.nodes) == 7
    first, second = (remark.message for remark in report.remarks[:2])
    assert f"id {twice['id']}: " in first and second.startswith("3 of the nodes")


@pytest.mark.parametrize("layers", [0, 3])
def test_an_image_in_layers(layers: int) -> None:
    """Those of a Qwen-Image Layered, which are cut out of their latent there; none of them is a plain image."""
    data = api()
    empty = next(number for number, one in data.items() if one["class_type"] == "EmptyLatentImage")
    decode = next(one for one in data.values() if one["class_type"] == "VAEDecode")
    given = {"width": 640, "height": 320, "layers": layers, "batch_size": 1}
    data[empty] = {"class_type": "EmptyQwenImageLayeredLatentImage", "inputs": given}
    if layers:
        inputs = {"samples": decode["inputs"]["samples"], "dim": "t", "slice_size": 1}
        data["cut"] = {"class_type": "LatentCutToBatch", "inputs": inputs}
        decode["inputs"]["samples"] = ["cut", 0]
    document, report = read_comfyui(data)
    assert not errors(check(document, CATALOGUE).problems)
    types, links, values = essence(document)
    assert "latent.empty " in types
    sizes = next(found for name, found in values.items() if name.startswith("latent.empty "))
    assert (sizes["width"], sizes["height"]) == (640, 320)
    assert ("latent.empty_layers " in types) == ("vae.decode_layers " in types) == bool(layers)
    if layers:
        assert values["latent.empty_layers "]["layers"] == 3
        assert ("sampling.sample .latent", "vae.decode_layers .latent") in links
        assert ["left out" in one.message for one in report.remarks] == [True]
