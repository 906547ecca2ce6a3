"""Loaders of models, LoRAs, and what is set on a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from .base import Made, Part, Ref, Row, Rule, Site, Through, Unfit, named, one, told

CHECKPOINT, UNET, CLIP, VAE, LORA = map(named, ("checkpoints", "diffusion_models", "text_encoders", "vae", "loras"))
_NUMBERS = "Numbers are kept as this machine's memory allows; models.set_memory keeps weights in float8."


def checkpoint(site: Site) -> Made:
    part = Part("models.load")
    site.put(part, "model", "ckpt_name", CHECKPOINT)
    told(site, "ckpt_name", "config_name")
    return one(part, "model", "text", "vae")


def diffusers_folder(site: Site) -> Made:
    part = Part("models.load")
    site.put(part, "model", "model_path", named("diffusers"))
    return one(part, "model", "text", "vae")


def denoiser(site: Site) -> Made:
    part = Part("models.load_denoiser")
    site.put(part, "model", "unet_name", UNET)
    if str(site.typed("weight_dtype", "default")) != "default":
        site.approximate(f"weight_dtype = {site.typed('weight_dtype')!r}: {_NUMBERS}")
    return one(part, "model")


def text_encoders(*names: str) -> Rule:
    """Loaders of one to three text encoders. Which model they are for is told by their tensors."""

    def rule(site: Site) -> Made:
        part = Part("models.load_text_encoders")
        for port, name in zip(("first", "second", "third"), names, strict=False):
            site.put(part, port, name, CLIP)
        family = FAMILIES.get(str(site.typed("type", "")))
        if family:
            part.values["family"] = family
        return one(part, "model")

    return rule


FAMILIES = {
    "sd3": "sd3",
    "flux": "flux",
    "wan": "wan",
    "ltxv": "ltx",
    "qwen_image": "qwen_image",
    "lumina2": "z_image",
    "flux2": "flux2",
    "hunyuan_video_15": "hunyuan_video_15",
    "ernie_image": "ernie_image",
    "krea2": "krea2",
}
"""What a loader of text encoders calls the model that they are for. `lumina2` is what Z-Image is loaded with."""


def vae(site: Site) -> Made:
    if str(site.typed("vae_name", "")) == "pixel_space":
        raise Unfit("There is no VAE that leaves pixels as they are.")
    part = Part("models.load_vae")
    site.put(part, "vae", "vae_name", VAE)
    return one(part, "model")


def lora(site: Site) -> Made:
    part = Part("models.apply_lora")
    for port, name in (("model", "model"), ("text", "clip")):
        site.put(part, port, name)
    site.put(part, "lora", "lora_name", LORA)
    site.put(part, "weight", "strength_model")
    site.put(part, "text_weight", "strength_clip")
    return one(part, "model", "text")


def power_loras(site: Site) -> Made:
    """A stack of LoRAs as rgthree's: objects with on, lora and strength."""
    found: list[Stacked] = []
    for value in (*site.node.typed.values(), *site.node.unread):
        if isinstance(value, dict) and value.get("on") and value.get("lora"):
            weight = _number(value.get("strength"), 1.0)
            found.append(Stacked(str(value["lora"]), weight, _number(value.get("strengthTwo"), weight)))
    return chained(site, found)


class Stacked(NamedTuple):
    """A LoRA of a stack, and its weights in the denoiser and in the text encoder."""

    file: str
    weight: float
    text_weight: float


def chained(site: Site, found: Iterable[Stacked]) -> Made:
    """LoRAs one behind the other, on a model and a text encoder."""
    parts: dict[str, Part] = {}
    before: str | None = None
    for each in found:
        values = {"lora": LORA(each.file), "weight": each.weight, "text_weight": each.text_weight}
        part = Part("models.apply_lora", values)
        for port, name in (("model", "model"), ("text", "clip")):
            if before is None:
                site.put(part, port, name)
            else:
                part.inputs[port] = Ref(before, port)
        before = f"lora_{len(parts) + 1}" if parts else ""
        parts[before] = part
    if before is None:
        return Made({}, [site.wire("model"), site.wire("clip")])
    return Made(parts, [Ref(before, "model"), Ref(before, "text")])


def stacked(site: Site) -> list[Stacked]:
    """The LoRAs of the stack that comes in, the first applied first. Raises Unfit for what it does not know."""
    found: list[Stacked] = []
    if site.wire("lora_stack") is not None and site.giver(site.wire("lora_stack")) is None:
        raise Unfit("Its stack of LoRAs comes from outside of the subgraph.")
    for at in site.upwards("lora_stack"):
        if at.node.type not in STACKS:
            raise Unfit(f"The stack of LoRAs of {at.node.type} is not known here.")
        own: list[Stacked] = []
        for number in range(1, 51):
            file = str(at.typed(f"lora_name_{number}", "None") or "None")
            if file == "None" or str(at.typed(f"switch_{number}", "On")) == "Off":
                continue
            if at.node.type == "LoRA Stacker" and number > _number(at.typed("lora_count"), 50):
                break
            weight = _number(at.typed(f"model_weight_{number}", at.typed(f"lora_wt_{number}")), 1.0)
            own.append(Stacked(file, weight, _number(at.typed(f"clip_weight_{number}"), weight)))
        found = own + found
    return found


STACKS = frozenset({"CR LoRA Stack", "LoRA Stacker"})


def applied_stack(site: Site) -> Made:
    made = chained(site, stacked(site))
    return Made(made.parts, [*made.outputs, None])


def in_stack(site: Site) -> Made:
    """Taken into what applies the stack."""
    if set(site.takers()) <= {*STACKS, "CR Apply LoRA Stack", "Efficient Loader"}:
        return Made({}, [None, None])
    raise Unfit("What takes its stack of LoRAs is not known here.")


def _number(value: Any, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def prediction(site: Site) -> Made:
    kinds = {"eps": "noise", "v_prediction": "velocity"}
    chosen = kinds.get(str(site.typed("sampling", "eps")))
    if chosen is None:
        site.approximate(
            f"sampling = {site.typed('sampling')!r} has no counterpart: the model is taken as its file tells."
        )
        return Made({}, [site.wire("model")])
    part = Part("models.set_prediction", {"prediction": chosen, "zero_snr": bool(site.typed("zsnr", False))})
    site.put(part, "model", "model")
    return one(part, "model")


RULES: dict[str, Rule] = {
    "CheckpointLoaderSimple": checkpoint,
    "CheckpointLoader": checkpoint,
    "unCLIPCheckpointLoader": checkpoint,
    "DiffusersLoader": diffusers_folder,
    "UNETLoader": denoiser,
    "UnetLoaderGGUF": denoiser,
    "UnetLoaderGGUFAdvanced": denoiser,
    "CLIPLoader": text_encoders("clip_name"),
    "CLIPLoaderGGUF": text_encoders("clip_name"),
    "DualCLIPLoader": text_encoders("clip_name1", "clip_name2"),
    "DualCLIPLoaderGGUF": text_encoders("clip_name1", "clip_name2"),
    "TripleCLIPLoader": text_encoders("clip_name1", "clip_name2", "clip_name3"),
    "TripleCLIPLoaderGGUF": text_encoders("clip_name1", "clip_name2", "clip_name3"),
    "VAELoader": vae,
    "LoraLoader": lora,
    "LoraLoaderModelOnly": Row(
        "models.apply_lora_to_model",
        {"model": "model", "lora_name": ("lora", LORA), "strength_model": "weight"},
        ("model",),
    ),
    "Power Lora Loader (rgthree)": power_loras,
    "CR Apply LoRA Stack": applied_stack,
    **dict.fromkeys(STACKS, in_stack),
    "ModelSamplingDiscrete": prediction,
    # Their shift is told to the sampler.
    **dict.fromkeys(("ModelSamplingSD3", "ModelSamplingAuraFlow", "ModelSamplingFlux"), Through(("model",))),
    "EasyCache": Through(("model",), "A cache of steps is set by models.set_cache."),
    "TeaCache": Through(("model",), "A cache of steps is set by models.set_cache."),
    "TorchCompileModel": Through(("model",), "SAFELIGHT_COMPILE=1 compiles all models."),
    "PatchModelPatcherOrder": Through(("model",)),
    "DifferentialDiffusion": Through(("model",), "It is a setting of latent.set_mask here."),
}
