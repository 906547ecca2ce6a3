"""Documents of ComfyUI as its editor and its API write them, made small."""

from __future__ import annotations

from typing import Any

from safelight.interop.comfyui import classes


def api() -> dict[str, Any]:
    """Text to image."""
    return {
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15\\a.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 128, "height": 128, "batch_size": 1}},
        "6": {
            "class_type": "CLIPTextEncode",
            "inputs": {"text": "a red apple", "clip": ["4", 1]},
            "_meta": {"title": "Yes"},
        },
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["4", 1]}},
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": 5,
                "steps": 4,
                "cfg": 2.0,
                "sampler_name": "dpmpp_2m",
                "scheduler": "karras",
                "denoise": 1.0,
                "model": ["4", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
            },
        },
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "folder/it", "images": ["8", 0]}},
    }


_SLOTS: dict[str, list[tuple[str, str]]] = {
    "CheckpointLoaderSimple": [("MODEL", "MODEL"), ("CLIP", "CLIP"), ("VAE", "VAE")],
    "EmptyLatentImage": [("LATENT", "LATENT")],
    "CLIPTextEncode": [("CONDITIONING", "CONDITIONING")],
    "KSampler": [("LATENT", "LATENT")],
    "VAEDecode": [("IMAGE", "IMAGE")],
    "Reroute": [("", "*")],
    "PrimitiveNode": [("INT", "INT")],
}


class Canvas:
    """Builds a file of the editor node by node."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {
            "last_node_id": 0,
            "last_link_id": 0,
            "nodes": [],
            "links": [],
            "groups": [],
            "config": {},
            "extra": {},
            "version": 0.4,
        }

    def node(self, type: str, values: Any = None, outputs: list[tuple[str, str]] | None = None, **more: Any) -> int:
        number = self.data["last_node_id"] = self.data["last_node_id"] + 1
        made = outputs if outputs is not None else _SLOTS.get(type, [])
        node = {
            "id": number,
            "type": type,
            "pos": [100 * number, 50],
            "size": [300, 200],
            "mode": 0,
            "inputs": [],
            "outputs": [{"name": name, "type": kind, "links": []} for name, kind in made],
            "properties": {"Node name for S&R": type},
            **more,
        }
        if values is not None:
            node["widgets_values"] = values
        self.data["nodes"].append(node)
        return number

    def link(self, origin: int, slot: int, target: int, name: str, kind: str, widget: bool = False) -> None:
        number = self.data["last_link_id"] = self.data["last_link_id"] + 1
        node = next(one for one in self.data["nodes"] if one["id"] == target)
        entry = {"name": name, "type": kind, "link": number, **({"widget": {"name": name}} if widget else {})}
        node["inputs"].append(entry)
        self.data["links"].append([number, origin, slot, target, len(node["inputs"]) - 1, kind])


def canvas() -> tuple[Canvas, dict[str, int]]:
    """The same text to image, with a reroute, a primitive that gives the seed, a group and a note."""
    made = Canvas()
    ids = {
        "model": made.node("CheckpointLoaderSimple", ["sd15/a.safetensors"]),
        "empty": made.node("EmptyLatentImage", [128, 128, 1]),
        "yes": made.node("CLIPTextEncode", ["a red apple"], title="Yes"),
        "no": made.node("CLIPTextEncode", [""]),
        "route": made.node("Reroute"),
        "seed": made.node("PrimitiveNode", [5, "randomize"]),
        "sampler": made.node("KSampler", [77, "randomize", 4, 2.0, "dpmpp_2m", "karras", 1.0]),
        "decode": made.node("VAEDecode"),
        "save": made.node("SaveImage", ["folder/it"], outputs=[]),
    }
    made.node("Note", ["Look here."])
    made.data["groups"].append({"title": "All", "bounding": [0, 0, 900, 400], "color": "#3f789e"})
    made.link(ids["model"], 1, ids["yes"], "clip", "CLIP")
    made.link(ids["model"], 1, ids["no"], "clip", "CLIP")
    made.link(ids["model"], 0, ids["route"], "", "*")
    made.link(ids["route"], 0, ids["sampler"], "model", "MODEL")
    made.link(ids["yes"], 0, ids["sampler"], "positive", "CONDITIONING")
    made.link(ids["no"], 0, ids["sampler"], "negative", "CONDITIONING")
    made.link(ids["empty"], 0, ids["sampler"], "latent_image", "LATENT")
    made.link(ids["seed"], 0, ids["sampler"], "seed", "INT", widget=True)
    made.link(ids["sampler"], 0, ids["decode"], "samples", "LATENT")
    made.link(ids["model"], 2, ids["decode"], "vae", "VAE")
    made.link(ids["decode"], 0, ids["save"], "images", "IMAGE")
    return made, ids


def as_canvas(api: dict[str, Any]) -> dict[str, Any]:
    """The same workflow as the editor saves it: values by their place, seeds with what happens to them behind."""
    numbers = {name: place for place, name in enumerate(api, 1)}
    nodes: dict[str, dict[str, Any]] = {}
    links: list[list[Any]] = []
    for name, one in api.items():
        known = classes.find(one["class_type"])
        assert known is not None, one["class_type"]
        values: list[Any] = []
        inputs: list[dict[str, Any]] = []
        listed = list(known.inputs)
        extra = [key for key in one["inputs"] if key not in {each.name for each in listed}]
        for each in listed:
            given = one["inputs"].get(each.name)
            if each.widget:
                values.append(each.default if given is None or isinstance(given, list) else given)
                values += ["randomize"] * (each.name in ("seed", "noise_seed"))
                values += [one["inputs"][key] for key in extra if key.startswith(f"{each.name}.")]
            if not each.widget or isinstance(given, list):
                widget = {"widget": {"name": each.name}} if each.widget else {}
                inputs.append({"name": each.name, "type": each.type.removeprefix("!"), "link": None, **widget})
        inputs += [{"name": key, "type": "*", "link": None} for key in extra if isinstance(one["inputs"][key], list)]
        nodes[name] = {
            "id": numbers[name],
            "type": one["class_type"],
            "pos": [260 * numbers[name], 80],
            "size": {"0": 240, "1": 120},
            "mode": 0,
            "title": name,
            "inputs": inputs,
            "outputs": [{"name": title, "type": kind, "links": []} for title, kind in known.outputs],
            "widgets_values": values,
        }
    for name, one in api.items():
        for place, entry in enumerate(nodes[name]["inputs"]):
            given = one["inputs"].get(entry["name"])
            if isinstance(given, list):
                entry["link"] = len(links) + 1
                kind = nodes[given[0]]["outputs"][given[1]]["type"]
                nodes[given[0]]["outputs"][given[1]]["links"].append(entry["link"])
                links.append([entry["link"], numbers[given[0]], given[1], numbers[name], place, kind])
    return {
        **{"last_node_id": len(nodes), "last_link_id": len(links), "nodes": list(nodes.values()), "links": links},
        **{"groups": [], "config": {}, "extra": {}, "version": 0.4},
    }
