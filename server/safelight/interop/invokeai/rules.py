"""What each class of InvokeAI's is here, by its name there: `rules` of ComfyUI's say what a rule is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..comfyui.rules.base import Lead, Made, Part, Ref, Row, Rule, Site, Through, Unfit, one, pick
from .sampling import collected, denoise
from .values import file_in, image_into, words

_METHOD = pick(
    {"nearest": "nearest", "box": "area", "bilinear": "bilinear", "hamming": "bilinear", "bicubic": "bicubic"}
    | {"lanczos": "lanczos", "nearest-exact": "nearest", "linear": "bilinear", "area": "bilinear"},
    "Scaled bicubically here.",
)


def loader(*outputs: str) -> Rule:
    """A model in one file or folder, with its text encoders and VAE."""

    def rule(site: Site) -> Made:
        part = Part("models.load")
        site.put(part, "model", "model", file_in("checkpoints"))
        return one(part, *outputs)

    return rule


def flux_loader(site: Site) -> Made:
    """A denoiser, two text encoders and a VAE, each a model of its own."""
    parts = {"": Part("models.load_denoiser"), "text": Part("models.load_text_encoders", {"family": "flux"})}
    site.put(parts[""], "model", "model", file_in("diffusion_models"))
    site.put(parts["text"], "first", "t5_encoder_model", file_in("text_encoders"))
    site.put(parts["text"], "second", "clip_embed_model", file_in("text_encoders"))
    parts["vae"] = Part("models.load_vae")
    site.put(parts["vae"], "vae", "vae_model", file_in("vae"))
    text = Ref("text", "model")
    return Made(parts, [Ref("", "model"), text, text, Ref("vae", "model"), None])


def loras(model: str, outputs: int) -> Rule:
    """One LoRA, or those that are collected, on a denoiser (by its name there) and its text encoders."""

    def rule(site: Site) -> Made:
        given = [site] if site.typed("lora") is not None or "lora" in site.node.wires else collected(site, "loras")
        text = next((name for name in ("clip", "clip2", "t5_encoder") if site.wire(name) is not None), "clip")
        parts: dict[str, Part] = {}
        before: str | None = None
        for number, unit in enumerate(given):
            if unit is not site and unit.node.type != "lora_selector":
                raise Unfit(f"A LoRA of {unit.node.type} is not known here.")
            part = Part("models.apply_lora")
            for port, name in (("model", model), ("text", text)):
                if before is None:
                    site.put(part, port, name)
                else:
                    part.inputs[port] = Ref(before, port)
            unit.put(part, "lora", "lora", file_in("loras"))
            unit.put(part, "weight", "weight")
            unit.put(part, "text_weight", "weight")
            part.values.setdefault("weight", 0.75)  # what InvokeAI sets by default
            before = f"lora_{number + 1}" if number else ""
            parts[before] = part
        if before is None:
            return Made({}, [site.wire(model), *[site.wire(text)] * (outputs - 1)])
        return Made(parts, [Ref(before, "model"), *[Ref(before, "text")] * (outputs - 1)])

    return rule


def encode(prompt: str, *encoders: str) -> Rule:
    def rule(site: Site) -> Made:
        part = Part("text.encode")
        name = next((one for one in encoders if site.wire(one) is not None), encoders[0])
        site.put(part, "encoder", name)
        words(site, part, "text", prompt)
        skipped = next((at for at in site.upwards(name) if at.node.type == "clip_skip"), None)
        if skipped is not None:
            skipped.put(part, "clip_skip", "skipped_layers")
        style = site.typed("style", "")
        if prompt != "style" and (site.wire("style") is not None or style not in ("", site.typed(prompt))):
            site.approximate("A style of its own for the second text encoder is left out: both read the prompt.")
        if site.live(site.wire("mask")):
            site.approximate("The mask of a prompt is left out: text.set_area limits where it counts.")
        return one(part, "conditioning")

    return rule


def picture(type: str, inputs: Mapping[str, str | tuple[str, Callable[[Any], Any]]], image: str = "image") -> Rule:
    """A node that makes one image of another."""

    def rule(site: Site) -> Made:
        parts = {"": Part(type)}
        image_into(site, parts, "", "image", image)
        for name, ours in inputs.items():
            port, convert = ours if isinstance(ours, tuple) else (ours, None)
            site.put(parts[""], port, name, convert)
        return shown(site, parts, "")

    return rule


def shown(site: Site, parts: dict[str, Part], key: str) -> Made:
    """The image that a part makes, with its size, and saved where InvokeAI keeps it: unless it is a step on the way."""
    image = Ref(key, "image")
    outputs = [image, None, None]
    if site.takes(1) or site.takes(2):
        parts["size"] = Part("image.size", {}, {"image": image})
        outputs[1:] = [Ref("size", "width"), Ref("size", "height")]
    raw = site.node.raw
    between = raw.get("isIntermediate", raw.get("is_intermediate", False))
    if not between and "save_image" not in site.takers(0):
        parts["save"] = Part("image.save", {}, {"image": image})
    return Made(parts, outputs)


def decode(site: Site) -> Made:
    parts = {"": Part("vae.decode")}
    site.put(parts[""], "vae", "vae")
    site.put(parts[""], "latent", "latents")
    if site.typed("tiled", False) is True:
        site.put(parts[""], "tile", "tile_size")
    return shown(site, parts, "")


def encode_image(site: Site) -> Made:
    parts = {"": Part("vae.encode", {"fit": "crop"})}
    site.put(parts[""], "vae", "vae")
    image_into(site, parts, "", "image", "image")
    return Made(parts, [Ref("", "latent"), None, None])


def load(site: Site) -> Made:
    given = site.typed("image")
    if not isinstance(given, Mapping) or not given.get("image_name"):
        return Made({"": Part("image.load")}, [Ref("", "image"), None, None])
    site.approximate(f"{given['image_name']} lies with InvokeAI: put it among the input files.")
    return Made({"": Part("image.load", {"file": str(given["image_name"])})}, [Ref("", "image"), None, None])


def save(site: Site) -> Made:
    parts = {"": Part("image.save")}
    image_into(site, parts, "", "image", "image")
    return Made(parts, [site.wire("image"), None, None])


def esrgan(site: Site) -> Made:
    parts = {"": Part("upscale.apply"), "network": Part("upscale.load")}
    image_into(site, parts, "", "image", "image")
    site.put(parts["network"], "upscaler", "model_name", lambda value: f"upscale_models/{value}")
    parts[""].inputs["upscaler"] = Ref("network", "model")
    return shown(site, parts, "")


def collect(site: Site) -> Made:
    """What is collected for a sampler or for LoRAs is taken in there; one thing alone is handed on."""
    wires = [wire for name, wire in site.node.wires.items() if name.startswith("item")]
    givers = [found.node.type for wire in wires if (found := site.giver(wire)) is not None]
    if givers and set(givers) <= _TAKEN_IN:
        return Made({}, [None])
    if len(wires) == 1:
        return Made({}, [wires[0]])
    raise Unfit("values.collect makes a list of what is alike.")


def taken_in(outputs: int, *takers: str) -> Rule:
    """A node that is a part of those it leads to."""

    def rule(site: Site) -> Made:
        if not site.leads_to(*takers):
            raise Unfit("What takes it is not known here.")
        if any(site.takes(slot) for slot in range(1, outputs)):
            site.approximate("Its size is not given here: link what it comes from.")
        return Made({}, [None] * outputs)

    return rule


def calculated(last: str) -> Rule:
    """A calculation of two numbers; one of whole numbers is made whole behind it."""

    def rule(site: Site) -> Made:
        part = Part("values.calculate")
        for port, name in (("a", "a"), ("b", "b"), ("operation", "operation")):
            site.put(part, port, name, _OPERATION if name == "operation" else None)
        if "operation" not in part.values:
            raise Unfit("There is no such operation of two numbers here: take numbers.expression.")
        if last == part.type:
            return one(part, "value")
        return Made({"": part, "whole": Part(last, {}, {"value": Ref("", "value")})}, [Ref("whole", "value")])

    return rule


def joined(site: Site) -> Made:
    """Two texts, one behind the other."""
    part = Part("values.join", {"separator": ""})
    parts = {"": part}
    for name in ("string_left", "string_right"):
        wire = site.wire(name)
        if wire is not None:
            part.lead("texts", Lead(wire))
        elif site.typed(name):
            parts[name] = Part("values.text", {"value": str(site.typed(name))})
            part.lead("texts", Ref(name, "text"))
    return Made(parts, [Ref("", "text")])


_TAKEN_IN = {"controlnet", "ip_adapter", "t2i_adapter", "lora_selector"}
_SAMPLERS = ("denoise_latents", "flux_denoise")
_COLLECTIONS = ("lora_collection_loader", "sdxl_lora_collection_loader", "flux_lora_collection_loader")
_OPERATION = pick(
    {"ADD": "add", "SUB": "subtract", "MUL": "multiply", "DIV": "divide", "EXP": "power"}
    | {"MIN": "minimum", "MAX": "maximum"}
)
_VALUE = {"integer": "values.integer", "float": "values.number", "boolean": "values.toggle"}
RULES: Mapping[str, Rule] = {
    "main_model_loader": loader("model", "text", "vae"),
    "sdxl_model_loader": loader("model", "text", "text", "vae"),
    "sdxl_refiner_model_loader": loader("model", "text", "vae"),
    "flux_model_loader": flux_loader,
    "vae_loader": Row("models.load_vae", {"vae_model": ("vae", file_in("vae"))}, ("model",)),
    "lora_loader": loras("unet", 2),
    "sdxl_lora_loader": loras("unet", 3),
    "flux_lora_loader": loras("transformer", 3),
    "lora_collection_loader": loras("unet", 2),
    "sdxl_lora_collection_loader": loras("unet", 3),
    "flux_lora_collection_loader": loras("transformer", 3),
    "lora_selector": taken_in(1, *_COLLECTIONS),
    "clip_skip": lambda site: Made({}, [site.wire("clip")]),
    "compel": encode("prompt", "clip"),
    "sdxl_compel_prompt": encode("prompt", "clip", "clip2"),
    "sdxl_refiner_compel_prompt": encode("style", "clip2"),
    "flux_text_encoder": encode("prompt", "t5_encoder", "clip"),
    "noise": taken_in(3, *_SAMPLERS),
    "denoise_latents": denoise("positive_conditioning", "negative_conditioning", "unet", "steps", "cfg_scale"),
    "flux_denoise": denoise(
        "positive_text_conditioning", "negative_text_conditioning", "transformer", "num_steps", "guidance"
    ),
    "controlnet": taken_in(1, "denoise_latents"),
    "ip_adapter": taken_in(1, "denoise_latents"),
    "create_denoise_mask": taken_in(1, *_SAMPLERS),
    "collect": collect,
    "l2i": decode,
    "flux_vae_decode": decode,
    "i2l": encode_image,
    "flux_vae_encode": encode_image,
    "lresize": Row(
        "latent.resize",
        {"latents": "latent", "width": "width", "height": "height", "mode": ("method", _METHOD)},
        ("latent", None, None),
        unused=("antialias",),
    ),
    "lscale": Row(
        "latent.resize",
        {"latents": "latent", "scale_factor": "scale", "mode": ("method", _METHOD)},
        ("latent", None, None),
        unused=("antialias",),
    ),
    "image": load,
    "save_image": save,
    "show_image": lambda site: Made({}, [site.wire("image"), None, None]),
    "img_resize": picture("image.resize", {"width": "width", "height": "height", "resample_mode": ("method", _METHOD)}),
    "img_scale": picture("image.scale", {"scale_factor": "factor", "resample_mode": ("method", _METHOD)}),
    "img_crop": picture("image.crop", {"x": "left", "y": "top", "width": "width", "height": "height"}),
    "img_blur": picture("image.gaussian_blur", {"radius": "sigma"}),
    "canny_edge_detection": picture("image.canny", {"low_threshold": "low", "high_threshold": "high"}),
    "canny_image_processor": picture("image.canny", {"low_threshold": "low", "high_threshold": "high"}),
    "esrgan": esrgan,
    **{name: Row(type, {"value": "value"}, ("value",)) for name, type in _VALUE.items()},
    "string": Row("values.text", {"value": "value"}, ("text",)),
    "rand_int": Row("numbers.random_integer", {"low": "low", "high": "high"}, ("value",)),
    "float_math": calculated("values.calculate"),
    "integer_math": calculated("values.to_integer"),
    "float_to_int": Row(
        "values.to_integer", {"value": "value", "multiple": "multiple_of"}, ("value",), unused=("method",)
    ),
    "string_join": joined,
    "core_metadata": Through((None,)),  # of InvokeAI's gallery alone
}
