"""ControlNets, IP-Adapters and what looks at images for them."""

from __future__ import annotations

from ..graph import Wire
from .base import Lead, Made, Part, Ref, Row, Rule, Site, Through, Unfit, named, one, pick

_CONTROL = named("controlnet")
UNION = pick(
    {
        "auto": "auto",
        "openpose": "openpose",
        "depth": "depth",
        "hed/pidi/scribble/ted": "soft_edge",
        "canny/lineart/anime_lineart/mlsd": "line",
        "normal": "normal",
        "segment": "segment",
        "tile": "tile",
        "repaint": "inpaint",
    },
    "The kind of the hint is told by the ControlNet here.",
)


def apply(positive: str, negative: str | None, start: bool = True) -> Rule:
    """A ControlNet on one or both prompts."""

    def rule(site: Site) -> Made:
        part = Part("controlnet.apply")
        site.put(part, "positive", positive)
        if negative is not None:
            site.put(part, "negative", negative)
        loader = site.giver(site.wire("control_net"))
        if loader is not None and loader.node.type == "SetUnionControlNetType":
            loader.put(part, "control_type", "type", UNION)
        site.put(part, "controlnet", "control_net")
        for port, name in (("image", "image"), ("vae", "vae"), ("strength", "strength")):
            site.put(part, port, name)
        if start:
            site.put(part, "start", "start_percent")
            site.put(part, "end", "end_percent")
        return one(part, "positive", *(("negative",) if negative is not None else ()))

    return rule


def redux(site: Site) -> Made:
    """A style model: the images that its vision encoder looked at go to the adapter here."""
    seen = site.giver(site.wire("clip_vision_output"))
    if seen is None or seen.node.type != "CLIPVisionEncode":
        raise Unfit("What its image encoder looked at is not told.")
    part = Part("ip_adapter.apply")
    site.put(part, "positive", "conditioning")
    site.put(part, "adapter", "style_model")
    seen.put(part, "encoder", "clip_vision")
    seen.put(part, "image", "image")
    site.put(part, "scale", "strength")
    return one(part, "conditioning")


def seen(site: Site) -> Made:
    """Taken into the node that uses what it saw."""
    if all(taker in ("StyleModelApply", "WanImageToVideo", "WanFirstLastFrameToVideo") for taker in site.takers()):
        return Made({}, [None])
    if not site.takers():
        return Made({}, [None])
    raise Unfit("What an image encoder saw goes into the node that needs it here, as image and encoder.")


ADAPTED = frozenset({"IPAdapter", "IPAdapterAdvanced", "IPAdapterApply", "IPAdapterBatch", "IPAdapterStyleComposition"})
"""Nodes that give a model an IP-Adapter. Their samplers look for them (see `sampling.sampled`)."""


def adapted(site: Site) -> Part:
    """What such a node is here, but for the prompt that it stands on."""
    part = Part("ip_adapter.apply")
    site.put(part, "adapter", "ipadapter")
    for name in ("clip_vision", "image", "weight"):
        site.put(part, {"clip_vision": "encoder", "weight": "scale"}.get(name, name), name)
    if site.wire("clip_vision") is None and site.wire("ipadapter") is not None:
        loaded = site.giver(site.wire("ipadapter"))
        if loaded is not None and loaded.node.type in _LOADERS:
            part.inputs["encoder"] = Lead(_encoder(site))
    for port, name in (("mask", "attn_mask"), ("start", "start_at"), ("end", "end_at")):
        site.put(part, port, name)
    return part


def _encoder(site: Site) -> Wire:
    """The image encoder that belongs to the adapter: a second output of our loader, behind theirs."""
    wire = site.wire("ipadapter")
    assert wire is not None
    loaded = site.giver(wire)
    return Wire(loaded.node.id, len(loaded.node.outputs)) if loaded is not None else wire


_LOADERS = frozenset({"IPAdapterModelLoader", "IPAdapterUnifiedLoader"})
_PRESETS = {
    "LIGHT": "ip-adapter_sd15_light_v11.bin",
    "STANDARD": "ip-adapter_sd15.safetensors",
    "VIT-G": "ip-adapter_sd15_vit-G.safetensors",
    "PLUS (high": "ip-adapter-plus_sd15.safetensors",
    "PLUS FACE": "ip-adapter-plus-face_sd15.safetensors",
    "FULL FACE": "ip-adapter-full-face_sd15.safetensors",
}
"""Files that IPAdapter plus takes for a preset, of Stable Diffusion 1."""


def adapter_file(site: Site) -> Made:
    part = Part("models.load_ip_adapter")
    site.put(part, "adapter", "ipadapter_file", named("ipadapter"))
    return Made({"": part}, [Ref("", "adapter"), Ref("", "encoder")])


def adapter_preset(site: Site) -> Made:
    preset = str(site.typed("preset", ""))
    file = next((file for name, file in _PRESETS.items() if preset.startswith(name)), None)
    if file is None:
        raise Unfit(f"Which file the preset {preset!r} means is not known: use models.load_ip_adapter.")
    site.approximate(
        f"The preset {preset!r} is the file {file} here, of Stable Diffusion 1; choose another for others."
    )
    part = Part("models.load_ip_adapter", {"adapter": f"ipadapter/{file}"})
    return Made({"": part}, [site.wire("model"), Ref("", "adapter"), Ref("", "encoder")])


_SAMPLERS = (
    *("KSampler", "KSamplerAdvanced", "SamplerCustom", "CFGGuider", "BasicGuider", "KSampler (Efficient)"),
    *("KSampler //Inspire", "UltimateSDUpscale", "UltimateSDUpscaleNoUpscale", "FaceDetailer"),
)
"""Nodes that sample with the adapters of their model."""


def given(site: Site) -> Made:
    """The model, as it came: the adapter goes to the prompts of the samplers that it leads to."""
    samplers = site.leads_to(*_SAMPLERS)
    if not samplers:
        raise Unfit("No sampler of this workflow takes its model: put ip_adapter.apply on a prompt.")
    for name in ("combine_embeds", "weight_type", "embeds_scaling", "unfold_batch"):
        plain = ("linear", "concat", "V only", "standard", "original", False, None)
        if site.typed(name) not in plain:
            site.approximate(f"{name} = {site.typed(name)!r} has no counterpart; ip_adapter.apply weighs by blocks.")
    if site.wire("image_negative") is not None:
        site.approximate("An image to steer away from goes to ip_adapter.apply of the negative prompt.")
    return Made({}, [site.wire("model")])


def edit_model(site: Site) -> Made:
    """InstructPix2Pix: the image to edit is seen by the model."""
    part = Part("vae.encode", {"fit": "crop"})
    site.put(part, "vae", "vae")
    site.put(part, "image", "pixels")
    edit = Part("guide.edit", {}, {"latent": Ref("", "latent")})
    site.put(edit, "positive", "positive")
    return Made({"": part, "edit": edit}, [Ref("edit", "conditioning"), site.wire("negative"), Ref("", "latent")])


RULES: dict[str, Rule] = {
    "ControlNetLoader": Row("models.load_controlnet", {"control_net_name": ("controlnet", _CONTROL)}, ("model",)),
    "ControlNetLoaderAdvanced": Row(
        "models.load_controlnet", {"control_net_name": ("controlnet", _CONTROL)}, ("model",)
    ),
    "DiffControlNetLoader": Row("models.load_controlnet", {"control_net_name": ("controlnet", _CONTROL)}, ("model",)),
    "SetUnionControlNetType": lambda site: Made({}, [site.wire("control_net")]),
    "ControlNetApply": apply("conditioning", None, start=False),
    "ControlNetApplyAdvanced": apply("positive", "negative"),
    "ControlNetApplySD3": apply("positive", "negative"),
    "CLIPVisionLoader": Row("models.load_image_encoder", {"clip_name": ("encoder", named("clip_vision"))}, ("model",)),
    "CLIPVisionEncode": seen,
    "StyleModelLoader": Row(
        "models.load_ip_adapter", {"style_model_name": ("adapter", named("style_models"))}, ("adapter",)
    ),
    "StyleModelApply": redux,
    **dict.fromkeys(ADAPTED, given),
    "IPAdapterModelLoader": adapter_file,
    "IPAdapterUnifiedLoader": adapter_preset,
    "PrepImageForClipVision": Through(("image",)),
    "InstructPixToPixConditioning": edit_model,
    "ACN_AdvancedControlNetApply": apply("positive", "negative"),
    "FluxKontextMultiReferenceLatentMethod": Through(
        ("conditioning",), "Where several images lie for the model is decided by its family."
    ),
}
