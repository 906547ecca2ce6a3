"""Prompts, and what is said of them: areas, masks, ranges, guidance that models take as an input."""

from __future__ import annotations

from .base import Made, Part, Ref, Row, Rule, Site, Through, TwoWay, Unfit, one, told
from .prompts import prompt

BIG = ("xl", "pony", "illustrious", "noob", "animagine")


def encode(text: str = "text", clip: str = "clip") -> Rule:
    """A prompt. What CLIPSetLastLayer says before it becomes its clip skip."""

    def rule(site: Site) -> Made:
        part = Part("text.encode")
        site.put(part, "encoder", clip)
        site.put(part, "text", text, prompt)
        skip = clip_skip(site, clip)
        if skip:
            part.values["clip_skip"] = skip
        return one(part, "conditioning")

    return rule


def clip_skip(site: Site, clip: str = "clip") -> int:
    """Layers of CLIP that are left out, by what a CLIPSetLastLayer upstream says.

    Stable Diffusion XL leaves one out anyway: there, -2 says nothing new.
    """
    last: int | None = None
    name = ""
    for at in site.upwards(clip):
        if at.node.type == "CLIPSetLastLayer" and last is None:
            value = at.typed("stop_at_clip_layer", -1)
            last = value if isinstance(value, int) else -1
        name = str(at.typed("ckpt_name", "")).lower()
    if last is None:
        return 0
    return max(0, -last - (2 if any(mark in name for mark in BIG) else 1))


def encode_sdxl(site: Site) -> Made:
    part = Part("text.encode")
    site.put(part, "encoder", "clip")
    site.put(part, "text", "text_g", prompt)
    large, small = site.typed("text_g", ""), site.typed("text_l", "")
    if site.wire("text_g") != site.wire("text_l") or (not site.wire("text_g") and large != small):
        site.approximate("Both text encoders read one prompt here: text_g; text_l is left out.")
    size = Part("text.set_size", {}, {"conditioning": Ref("", "conditioning")})
    for port, name in (("width", "width"), ("height", "height"), ("crop_left", "crop_w"), ("crop_top", "crop_h")):
        site.put(size, port, name)
    told(site, "width", "height", "crop_w", "crop_h", "text_g", "text_l", "target_width", "target_height")
    return Made({"": part, "size": size}, [Ref("size", "conditioning")])


def encode_refiner(site: Site) -> Made:
    part = Part("text.encode")
    site.put(part, "encoder", "clip")
    site.put(part, "text", "text", prompt)
    size = Part("text.set_size", {}, {"conditioning": Ref("", "conditioning")})
    for name in ("width", "height"):
        site.put(size, name, name)
    score = Part("text.set_score", {}, {"conditioning": Ref("size", "conditioning")})
    site.put(score, "score", "ascore")
    return Made({"": part, "size": size, "score": score}, [Ref("score", "conditioning")])


def encode_several(*names: str) -> Rule:
    """Encoders that take a prompt for each network: here all read the longest of them."""

    def rule(site: Site) -> Made:
        part = Part("text.encode")
        site.put(part, "encoder", "clip")
        wired = [name for name in names if site.wire(name)]
        chosen = wired[-1] if wired else max(names, key=lambda name: len(str(site.typed(name, ""))))
        site.put(part, "text", chosen, prompt)
        if len({str(site.typed(name, "")) for name in names}) > 1 or (wired and len(wired) < len(names)):
            site.approximate(f"All text encoders read one prompt here: {chosen}.")
        return one(part, "conditioning")

    return rule


def encode_with_images(*images: str) -> Rule:
    """The prompt of a Qwen-Image Edit, with the images that it is read with; each is shown to the model as well."""

    def rule(site: Site) -> Made:
        part = Part("text.encode_with_images")
        site.put(part, "encoder", "clip")
        site.put(part, "text", "prompt")
        parts, last = {"": part}, ""
        for port, name in zip(("image", "second", "third"), images, strict=False):
            if site.wire(name) is None:
                continue
            site.put(part, port, name)
            if site.wire("vae") is None:
                continue
            encoded = Part("vae.encode")
            site.put(encoded, "vae", "vae")
            site.put(encoded, "image", name)
            parts[f"latent_{port}"] = encoded
            parts[f"edit_{port}"] = Part(
                "guide.edit",
                {},
                {"positive": Ref(last, "conditioning"), "latent": Ref(f"latent_{port}", "latent")},
            )
            last = f"edit_{port}"
        if not part.inputs.get("image"):
            part.type = "text.encode"
        return Made(parts, [Ref(last, "conditioning")])

    return rule


def area(site: Site) -> Made:
    """An area in pixels: as a fraction of the canvas, which is that of the closest latent whose size is told."""
    samplers = site.leads_to("KSampler", "KSamplerAdvanced", "SamplerCustom", "KSampler (Efficient)")
    latents = [one.giver(one.wire("latent_image")) for one in samplers] or [site.giver(site.nearest("LATENT"))]
    canvas = next((found for one in latents if (found := _canvas(one)) is not None), None)
    if canvas is None:
        raise Unfit("An area in pixels needs the size of the canvas, which is not told before the run.")
    width, height = canvas
    part = Part("text.set_area")
    site.put(part, "conditioning", "conditioning")
    for port, side in (("x", width), ("y", height), ("width", width), ("height", height)):
        if site.wire(port) is not None:
            raise Unfit("A part of its area comes over a wire, in pixels.")
        part.values[port] = round(min(1.0, float(site.typed(port, 0)) / side), 4)
    site.put(part, "strength", "strength")
    return one(part, "conditioning")


def _canvas(at: Site | None) -> tuple[int, int] | None:
    """Width and height of a latent, where they are typed in at its node or one before it."""
    seen = set[str]()
    while at is not None and at.node.id not in seen:
        seen.add(at.node.id)
        width, height = (at.typed(name) if at.wire(name) is None else None for name in ("width", "height"))
        if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
            return width, height
        at = next((at.giver(wire) for wire in at.node.wires.values() if at.kind(wire) == "LATENT"), None)
    return None


def combine(*names: str) -> Rule:
    def rule(site: Site) -> Made:
        part = Part("text.combine")
        for port, name in zip(("first", "second", "third", "fourth"), names, strict=False):
            site.put(part, port, name)
        return one(part, "conditioning")

    return rule


def _rest(value: object) -> float:
    return 1 - float(str(value))


_GUIDANCE = "Guidance that the model takes as an input is the guidance of the sampler here."

RULES: dict[str, Rule] = {
    "CLIPTextEncode": encode(),
    "CLIPTextEncodeSDXL": encode_sdxl,
    "CLIPTextEncodeSDXLRefiner": encode_refiner,
    "CLIPTextEncodeFlux": encode_several("clip_l", "t5xxl"),
    "CLIPTextEncodeSD3": encode_several("clip_l", "clip_g", "t5xxl"),
    "CLIPTextEncodeHunyuanDiT": encode_several("bert", "mt5xl"),
    "CLIPTextEncodeLumina2": encode("user_prompt"),
    "BNK_CLIPTextEncodeAdvanced": encode(),
    "TextEncodeQwenImageEdit": encode_with_images("image"),
    "TextEncodeQwenImageEditPlus": encode_with_images("image1", "image2", "image3"),
    "CLIPSetLastLayer": Through(("clip",)),
    "ConditioningCombine": combine("conditioning_1", "conditioning_2"),
    "ConditioningConcat": Row(
        "text.concatenate", {"conditioning_to": "first", "conditioning_from": "second"}, ("conditioning",)
    ),
    "ConditioningAverage": Row(
        "text.average",
        {
            "conditioning_to": "first",
            "conditioning_from": "second",
            "conditioning_to_strength": ("amount", TwoWay(_rest, _rest)),
        },
        ("conditioning",),
    ),
    "T5TokenizerOptions": Through(("clip",), "How a prompt is padded is as the model was trained."),
    "ConditioningSetArea": area,
    "ConditioningSetAreaPercentage": Row(
        "text.set_area",
        {name: name for name in ("conditioning", "x", "y", "width", "height", "strength")},
        ("conditioning",),
    ),
    "ConditioningSetMask": Row(
        "text.set_mask",
        {"conditioning": "conditioning", "mask": "mask", "strength": "strength"},
        ("conditioning",),
        unused=("set_cond_area",),
    ),
    "ConditioningSetTimestepRange": Row(
        "text.set_range", {"conditioning": "conditioning", "start": "start", "end": "end"}, ("conditioning",)
    ),
    "ConditioningZeroOut": Row("text.zero_out", {"conditioning": "conditioning"}, ("conditioning",)),
    "FluxGuidance": Through(("conditioning",)),
    "ReferenceLatent": Row("guide.edit", {"conditioning": "positive", "latent": "latent"}, ("conditioning",)),
    "LTXVConditioning": Through(("positive", "negative"), "The rate of frames is that of vae.decode_video."),
}
