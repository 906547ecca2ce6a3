"""An example document for each node.

One that is written lies in `tests/nodes/examples/ID.json`. The others are made from the description of the node: every
required socket is fed by a node that makes such a value, and every output is shown as an image if there is a way, or is
an output of the workflow as it is. What makes a value of a type stands in SOURCES, what shows one in SHOWN, and what a
node needs beyond its defaults in VALUES, MODELS and FED.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safelight.graph import Document
from safelight.sdk import NodeType

WRITTEN = Path(__file__).parent / "nodes" / "examples"

Fed = tuple[str, str, dict[str, Any]]
"""A node, its output, and the values of its widgets."""

SOURCES: dict[str, Fed] = {
    "Image": ("image.load", "image", {"file": "apple.png"}),
    "Mask": ("image.load_mask", "mask", {"file": "apple_mask.png"}),
    "Cutout": ("mask.crop", "cutout", {}),
    "ModelRef[Denoiser]": ("models.load", "model", {}),
    "ModelRef[TextEncoder]": ("models.load", "text", {}),
    "ModelRef[VAE]": ("models.load", "vae", {}),
    "ModelRef[ControlNet]": ("models.load_controlnet", "model", {}),
    "ModelRef[IPAdapter]": ("models.load_ip_adapter", "adapter", {}),
    "ModelRef[Motion]": ("models.load_motion", "model", {}),
    "ClipSet": ("dataset.loops", "clips", {}),
    "ModelRef[ImageEncoder]": ("models.load_ip_adapter", "encoder", {}),
    "ModelRef[GAN]": ("gan.load", "model", {}),
    "ModelRef[Upscaler]": ("upscale.load", "model", {}),
    "Conditioning": ("text.encode", "conditioning", {}),
    "Latent": ("vae.encode", "latent", {}),
    "Video": ("video.load", "video", {"file": "turn.webp"}),
    "Audio": ("audio.load", "audio", {"file": "tone.wav"}),
    "Mesh": ("mesh.load", "mesh", {"file": "shape.glb"}),
    "ImageSet": ("dataset.image_folder", "imageset", {"captions": "photos/captions.jsonl", "size": 64}),
    "LatentSet": ("dataset.encode", "latentset", {}),
    "ModelRef[Reader]": ("reading.load", "model", {"model": "tiny_embedder"}),
    "ModelRef[Variational]": ("variational.load", "model", {"model": "tiny_variational"}),
    "Vectors": ("reading.embed_images", "vectors", {}),
    "Tokenizer": ("training.tokenizer", "tokenizer", {}),
    "str": ("values.text", "text", {"value": "a red apple"}),
    "int": ("values.integer", "value", {"value": 3}),
    "float": ("values.number", "value", {"value": 2.5}),
    "T": ("values.integer", "value", {"value": 3}),
}
"""By type: what makes one."""

SHOWN: dict[str, tuple[str, str, str]] = {
    "Mask": ("image.from_mask", "mask", "image"),
    "list[Mask]": ("image.from_mask", "mask", "image"),
    "Latent": ("vae.decode", "latent", "image"),
    "Conditioning": ("sampling.sample", "positive", "latent"),
}
"""By type: the node that shows one, the input it takes it by, and what comes out."""

VOTES = "left,right,preferred\neuler,heun,right\nheun,ddim,left\nddim,euler,left\neuler,heun,tie\n"
_UPDATES = {"updates": 2, "batch": 2}
REGIONS = json.dumps(
    {
        "width": 128,
        "height": 128,
        "layers": [
            {
                "name": name,
                "prompt": prompt,
                "color": color,
                "marks": [{"kind": "area", "color": color, "points": points}],
            }
            for name, prompt, color, points in (
                ("Region 1", "a red apple", "#e4572e", [0, 0, 64, 0, 64, 128, 0, 128]),
                ("Region 2", "a green pear", "#3fae5a", [64, 0, 128, 0, 128, 128, 64, 128]),
            )
        ],
    }
)
VALUES: dict[str, dict[str, Any]] = {
    "models.load": {"model": "starter"},
    "models.load_denoiser": {"model": "tiny_sd1/unet"},
    "models.load_text_encoders": {"first": "text_encoders/umt5.safetensors"},
    "models.load_vae": {"vae": "tiny_sd1/vae"},
    "models.load_controlnet": {"controlnet": "tiny_controlnet"},
    "models.load_ip_adapter": {"adapter": "tiny_ip_adapter"},
    "models.load_motion": {"motion": "tiny_motion"},
    "models.load_image_encoder": {"encoder": "tiny_ip_adapter/image_encoder"},
    "models.apply_lora": {"lora": "tiny_lora.safetensors"},
    "models.apply_lora_to_model": {"lora": "tiny_lora.safetensors"},
    "models.apply_prompt_loras": {"prompt": "a red apple <lora:tiny_lora:0.8>"},
    "upscale.load": {"upscaler": "tiny_upscaler.safetensors"},
    "pipeline.run": {"pipeline": "tiny_ddpm", "steps": 2},
    "pipeline.run_sound": {"pipeline": "tiny_stable_audio", "prompt": "rain", "steps": 2},
    "sampling.sample": {"seed": 1},
    "sampling.sample_part": {"start_step": 8, "seed": 1},
    "sampling.guider": {"kind": "apg"},
    "latent.resize": {"scale": 2.0},
    "latent.repeat": {"times": 2},
    "text.encode": {"text": "a red apple"},
    "text.set_area": {"width": 0.5},
    "text.regions": {"painting": REGIONS, "rest": "a blue plate", "width": 128, "height": 128},
    "text.set_range": {"end": 0.6},
    "text.set_size": {"width": 1024, "height": 1024},
    "image.load": {"file": "apple.png"},
    "image.load_mask": {"file": "apple_mask.png"},
    "image.load_exr": {"file": "light.exr"},
    "image.read_metadata": {"file": "apple.png"},
    "image.apply_lut": {"file": "warm.cube"},
    "image.labelled_grid": {"columns": ["euler", "heun"], "names": ["an apple", "an apple again"]},
    "image.split_tiles": {"width": 64, "height": 64, "overlap": 16},
    "image.merge_tiles": {"width": 64, "height": 64, "overlap": 16},
    "image.text": {"size": 18.0},
    "image.hue_saturation": {"hue": 60.0},
    "image.white_balance": {"kelvin": 4000},
    "image.exposure": {"stops": 1.0},
    "image.brightness_contrast": {"contrast": 1.4},
    "image.levels": {"black": 0.1, "white": 0.8},
    "image.blend": {"mode": "multiply"},
    "image.place": {"scale": 0.4, "x": 0.75, "y": 0.75},
    "image.crop": {"left": 32, "top": 32, "width": 64, "height": 64},
    "image.crop_to_ratio": {"across": 16.0, "down": 9.0},
    "image.transform": {"zoom": 1.5, "angle": 10.0},
    "mask.from_color": {"color": "#c03020"},
    "audio.load": {"file": "tone.wav"},
    "mesh.load": {"file": "shape.glb"},
    "video.load": {"file": "turn.webp"},
    "video.save": {"format": "webp"},
    "dataset.image_folder": {"captions": "photos/captions.jsonl", "size": 64},
    "dataset.from_images": {"caption": "a red apple", "size": 64},
    "dataset.image_set": {"index": "emoji/images.json", "pixels": "emoji/images.npy"},
    "dataset.encode": {"backgrounds": 1},
    "dataset.images_of": {"count": 3},
    "variational.load": {"model": "tiny_variational"},
    "variational.sample": {"batch": 3},
    "variational.interpolate": {"steps": 3},
    "training.vae": _UPDATES | {"side": "16", "latent": 4, "width": 8, "widest": 8},
    "dataset.contact_sheet": {"columns": 3, "rows": 2},
    "training.tokenizer": {"vocabulary": 600},
    "training.autoencoder": _UPDATES | {"crop": 32},
    "training.clip": _UPDATES | {"width": 32, "layers": 1, "patch": 16, "text_width": 32, "text_layers": 1},
    "training.denoiser": _UPDATES
    | {"width": 16, "widest": 32, "levels": 2, "heads": 2, "text_width": 32, "text_layers": 1},
    "training.captioner": _UPDATES | {"width": 32, "layers": 1, "text_width": 48, "text_layers": 1, "vocabulary": 400},
    "training.pixel_denoiser": _UPDATES | {"side": 16, "width": 16, "widest": 16, "levels": 2},
    "training.classifier": _UPDATES | {"held_out": 0.0, "width": 8, "levels": 1, "side": 32},
    "reading.classify": {"model": "tiny_classifier"},
    "reading.embed_by_classifier": {"model": "tiny_classifier"},
    "training.gan": _UPDATES | {"side": 16, "width": 8, "latent": 8},
    "training.upscaler": _UPDATES | {"width": 8, "blocks": 1, "crop": 32},
    "gan.load": {"model": "tiny_gan"},
    "training.few_step": _UPDATES | {"steps": 2, "inner": 1, "rank": 2},
    "training.consistency": _UPDATES | {"rank": 2},
    "training.adversarial": _UPDATES | {"rank": 2, "width": 8},
    "training.lora": _UPDATES | {"rank": 2},
    "training.words": _UPDATES | {"rank": 2, "wordings": "kitty = cat"},
    "training.dreambooth": _UPDATES,
    "training.textual_inversion": _UPDATES | {"vectors": 2, "initial": "apple"},
    "training.controlnet": _UPDATES,
    "training.ip_adapter": _UPDATES,
    "training.motion": _UPDATES,
    "dataset.loops": {"clips": 2, "frames": 3},
    "training.inpainting": _UPDATES,
    "dataset.split": {"share": 0.4},
    "metrics.precision_recall": {"neighbors": 1},
    "metrics.lpips": {"model": "squeezenet1_1-b8a52dc0.pth"},
    "metrics.inception_score": {"model": "tiny_classifier", "splits": 2},
    "metrics.bars": {"title": "What three samplers score"},
    "preprocess.segment_at": {"model": "", "points": "64 76"},
    "values.integer": {"value": 3},
    "values.number": {"value": 2.5},
    "values.text": {"value": "a red apple"},
    "values.toggle": {"value": True},
    "values.seed": {"value": 7},
    "values.integers": {"values": [1, 2, 3]},
    "values.numbers": {"values": [0.5, 1.0, 1.5]},
    "values.texts": {"values": ["a red apple", "a green pear"]},
    "values.replace": {"find": "red", "put": "green"},
    "values.calculate": {"operation": "multiply"},
    "values.compare": {"operation": "equal"},
    "values.to_integer": {"multiple_of": 2},
}
"""By node: values of widgets that an example needs, or is clearer with."""

MODELS: dict[str, str] = {
    "controlnet.apply": "tiny_sd1",
    "ip_adapter.apply": "tiny_sd1",
    "motion.apply": "tiny_sd1",
    "models.apply_lora": "tiny_sd1",
    "models.apply_lora_to_model": "tiny_sd1",
    "models.apply_prompt_loras": "tiny_sd1",
    "text.encode_with_images": "tiny_qwen_edit",
    "guide.edit": "tiny_edit",
    "guide.depth": "tiny_sd_depth",
    "guide.frames": "tiny_wan_image",
    "latent.empty_video": "tiny_wan",
    "vae.decode_video": "tiny_wan",
}
"""By node: the model that its example is made with, where it is not the starter model."""

NOT_SHOWN = (
    "text.encode_with_images",
    "guide.edit",
    "guide.frames",
    "latent.empty_layers",
    "latent.empty_video",
    "text.set_range",
    "text.zero_out",
)
"""Nodes whose output is a part of what a sampler needs, or is no image."""

NEGATIVE: Fed = ("text.encode", "conditioning", {"text": "dark"})
EMPTY_VIDEO: Fed = ("latent.empty_video", "latent", {"width": 64, "height": 48, "frames": 5})
LARGER = {"width": 256, "height": 256, "method": "nearest"}
FED: dict[str, dict[str, Fed]] = {
    "image.merge_tiles": {"tiles": ("image.split_tiles", "tiles", {})},
    "choice.switch": {"if_true": SOURCES["Image"], "if_false": ("image.invert", "image", {})},
    "choice.select": {"first": SOURCES["Image"]},
    "sampling.sample": {"negative": NEGATIVE, "latent": ("latent.empty", "latent", {})},
    "sampling.sample_part": {"negative": NEGATIVE},
    "text.concatenate": {"second": ("text.encode", "conditioning", {"text": "on a blue plate"})},
    "text.average": {"second": ("text.encode", "conditioning", {"text": "a green pear"})},
    "guide.frames": {"latent": EMPTY_VIDEO},
    "ip_adapter.apply": {"encoder": SOURCES["ModelRef[ImageEncoder]"], "image": SOURCES["Image"]},
    "metrics.psnr": {"reference": ("image.gaussian_blur", "image", {})},
    "metrics.ssim": {"reference": ("image.gaussian_blur", "image", {})},
    "metrics.lpips": {"reference": ("image.gaussian_blur", "image", {})},
    "metrics.dists": {"reference": ("image.gaussian_blur", "image", {})},
    "metrics.ms_ssim": {"image": ("image.scale", "image", {}), "reference": ("image.resize", "image", LARGER)},
    "metrics.diversity": {
        "images": ("gan.generate", "image", {}),
        "real": ("dataset.draw", "image", {}),
    },
    "metrics.preferences": {"votes": ("values.text", "text", {"value": VOTES})},
    "metrics.clip_score": {"texts": ("reading.embed_texts", "vectors", {})},
    "metrics.bars": {
        "values": ("values.numbers", "values", {}),
        "names": ("values.texts", "texts", {"values": ["euler", "heun", "ddim"]}),
    },
    "training.clip": {"tokenizer": SOURCES["Tokenizer"]},
    "training.denoiser": {"tokenizer": SOURCES["Tokenizer"]},
    "vae.decode_video": {"latent": EMPTY_VIDEO},
    "weights.save_vae": {"weights": ("training.autoencoder", "weights", {})},
    "reading.embed_by_encoder": {
        "encoder": ("models.load_image_encoder", "model", {"encoder": "starter/image_encoder"})
    },
    "variational.interpolate": {"second": ("image.invert", "image", {})},
    "metrics.auroc": {
        "odd": ("values.numbers", "values", {"values": [0.7, 0.9]}),
        "usual": ("values.numbers", "values", {"values": [0.2, 0.8]}),
    },
    "weights.save_variational": {"weights": ("training.vae", "weights", {})},
    "weights.save_pixel_model": {"weights": ("training.pixel_denoiser", "weights", {})},
    "weights.save_captioner": {
        "captioner": ("training.captioner", "captioner", {}),
        "tokenizer": ("training.captioner", "tokenizer", {}),
    },
    "weights.save_classifier": {"weights": ("training.classifier", "classifier", {})},
    "metrics.confusion": {
        "predicted": ("values.texts", "texts", {"values": ["cat", "dog", "cat", "cat"]}),
        "actual": ("values.texts", "texts", {"values": ["cat", "dog", "dog", "cat"]}),
    },
    "weights.save_upscaler": {"weights": ("training.upscaler", "weights", {})},
    "weights.save_gan": {"weights": ("training.gan", "weights", {})},
    "weights.draw_curve": {"weights": ("training.autoencoder", "weights", {})},
    "weights.save_image_encoder": {"weights": ("training.clip", "image", {})},
    "weights.save_model": {
        "denoiser": ("training.denoiser", "denoiser", {}),
        "text": ("training.denoiser", "text", {}),
        "tokenizer": ("training.denoiser", "tokenizer", {}),
    },
    "weights.mix": {
        "first": ("training.dreambooth", "weights", {}),
        "second": ("training.dreambooth", "weights", {"seed": 1}),
    },
    "weights.save_finetuned": {"weights": ("training.dreambooth", "weights", {})},
    "weights.save_embedding": {"weights": ("training.textual_inversion", "weights", {})},
    "weights.save_lora": {"weights": ("training.few_step", "weights", {})},
    "weights.save_words": {"weights": ("training.words", "weights", {})},
    "weights.save_controlnet": {"weights": ("training.controlnet", "weights", {})},
    "weights.save_motion": {"weights": ("training.motion", "weights", {})},
    "weights.save_ip_adapter": {"weights": ("training.ip_adapter", "weights", {})},
    "values.join": {"texts": ("values.texts", "texts", {})},
    "values.pick": {"items": ("values.texts", "texts", {})},
}
"""By node and port: another source than that of the type, and what an optional one is fed by."""


def example(kind: NodeType, catalogue: Mapping[str, NodeType]) -> Document:
    """A document that uses a node. Raises KeyError for a type of socket that SOURCES does not know."""
    written = WRITTEN / f"{kind.spec.id}.json"
    return Document.loads(written.read_text(encoding="utf-8")) if written.is_file() else _made(kind, catalogue)


def _made(kind: NodeType, catalogue: Mapping[str, NodeType]) -> Document:
    maker = _Maker(catalogue, MODELS.get(kind.spec.id))
    maker.add("node", kind, VALUES.get(kind.spec.id, {}))
    outputs = [{"name": port.name, "from": maker.shown(f"node.{port.name}", port.type)} for port in kind.spec.outputs]
    return Document.parse(
        {
            "format": "safelight/1",
            "name": kind.spec.id.replace(".", "_"),
            "description": kind.spec.help.splitlines()[0],
            "nodes": maker.nodes,
            "links": maker.links,
            "outputs": outputs,
        }
    )


class _Maker:
    def __init__(self, catalogue: Mapping[str, NodeType], model: str | None) -> None:
        self.catalogue = catalogue
        self.model = model
        self.nodes: dict[str, dict[str, Any]] = {}
        self.links: list[dict[str, str]] = []
        self._made: dict[str, str] = {}

    def add(self, name: str, kind: NodeType, values: dict[str, Any], skip: str = "") -> None:
        """A node and all that it needs, but what comes in at `skip`."""
        if kind.spec.id == "models.load" and self.model:
            values = {**values, "model": self.model}
        self.nodes[name] = {"type": kind.spec.id, "version": kind.spec.version, "values": values}
        for port in kind.spec.inputs:
            source = FED.get(kind.spec.id, {}).get(port.name)
            if port.name == skip or (source is None and (port.widget is not None or not port.required)):
                continue
            several = port.type.startswith("list[")
            inner = port.type.removeprefix("list[").removesuffix("]") if several else port.type
            for number in range(2 if several and source is None else 1):
                fed = self._feeder(source or SOURCES[inner], number)
                self.links.append({"from": fed, "to": f"{name}.{port.name}"})

    def _feeder(self, source: Fed, number: int) -> str:
        """The output of a node that makes a value, the same one for all that need it."""
        made_by, output, given = source
        values = {**VALUES.get(made_by, {}), **given}
        key = f"{made_by} {values} {number}"
        if key not in self._made:
            alike = sum(one.startswith(f"{made_by} ") for one in self._made)
            self._made[key] = made_by.replace(".", "_") + (f"_{alike + 1}" if alike else "")
            self.add(self._made[key], self.catalogue[made_by], values)
        return f"{self._made[key]}.{output}"

    def shown(self, at: str, port_type: str) -> str:
        """Where an output can be looked at."""
        if port_type not in SHOWN or self.nodes["node"]["type"] in NOT_SHOWN:
            return at
        made_by, takes, output = SHOWN[port_type]
        name = f"show_{at.replace('.', '_')}"
        kind = self.catalogue[made_by]
        self.add(name, kind, VALUES.get(made_by, {}), skip=takes)
        self.links.append({"from": at, "to": f"{name}.{takes}"})
        given = next(port.type for port in kind.spec.outputs if port.name == output)
        return self.shown(f"{name}.{output}", given)
