"""Images: sizes, batches, filters, and the networks that enlarge them."""

from __future__ import annotations

from typing import Any

from .base import Made, Part, Ref, Row, Rule, Site, Through, Unfit, hex_color, named, one, pick, told

METHOD = pick(
    {
        "nearest-exact": "nearest",
        "nearest": "nearest",
        "bilinear": "bilinear",
        "area": "bilinear",
        "bicubic": "bicubic",
        "lanczos": "lanczos",
    },
    "Scaled with lanczos here.",
)
_CROP = pick({"disabled": "stretch", "center": "crop"})


def by_kind(site: Site) -> Made:
    """ResizeImageMaskNode: one of several ways, each with fields of its own."""
    way = str(site.typed("resize_type", "scale dimensions"))
    if site.node.types.get("input") == "MASK":
        raise Unfit("It resizes a mask: use mask.resize.")
    part = Part(
        "image.resize" if way in ("scale dimensions", "match size", "scale width", "scale height") else "image.scale"
    )
    site.put(part, "image", "input")
    site.put(part, "method", "scale_method", METHOD)
    field = {name: f"resize_type.{name}" for name in ("width", "height", "crop", "match", "multiplier")}
    if way == "scale dimensions":
        for name in ("width", "height"):
            site.put(part, name, field[name])
        site.put(part, "fit", field["crop"], _CROP)
    elif way in ("scale width", "scale height"):
        side = way.removeprefix("scale ")
        site.put(part, side, field[side])
    elif way == "match size":
        size = Part("image.size")
        site.put(size, "image", field["match"])
        part.inputs |= {"width": Ref("size", "width"), "height": Ref("size", "height")}
        site.put(part, "fit", field["crop"], _CROP)
        return Made({"": part, "size": size}, [Ref("", "image")])
    elif way == "scale by multiplier":
        part.values["by"] = "factor"
        site.put(part, "factor", field["multiplier"])
    elif way in ("scale longer dimension", "scale shorter dimension"):
        longer = "longer" if "longer" in way else "shorter"
        part.values["by"] = f"{longer}_side"
        site.put(part, "side", f"resize_type.{longer}_size")
    elif way == "scale total pixels":
        part.values["by"] = "megapixels"
        site.put(part, "megapixels", "resize_type.megapixels")
    elif way == "scale to multiple":
        part.values |= {"by": "factor", "factor": 1.0}
        site.put(part, "multiple_of", "resize_type.multiple")
    else:
        raise Unfit(f"There is no way {way!r} to resize here.")
    return one(part, "image")


def composite(site: Site) -> Made:
    """An image over another one at a place in pixels, within a mask."""
    if site.typed("resize_source", False) is True and not site.wire("resize_source"):
        part = Part("image.composite")
        for port, name in (("base", "destination"), ("over", "source"), ("mask", "mask")):
            site.put(part, port, name)
        if "mask" in part.inputs:
            return one(part, "image")
    raise Unfit("An image is placed by fractions of the canvas here: use image.place.")


def outpaint(site: Site) -> Made:
    part = Part("mask.outpaint", {"fill": "color", "color": "#808080"})
    for port, name in (("image", "image"), ("feather", "feathering")):
        site.put(part, port, name)
    for side in ("left", "top", "right", "bottom"):
        site.put(part, side, side)
    return one(part, "image", "mask")


def blend(site: Site) -> Made:
    mode = str(site.typed("blend_mode", "normal"))
    if mode not in ("normal", "multiply", "screen", "overlay", "soft_light", "difference"):
        raise Unfit(f"There is no blend mode {mode!r} here.")
    part = Part("image.blend", {"mode": mode})
    for port, name in (("base", "image1"), ("over", "image2"), ("opacity", "blend_factor")):
        site.put(part, port, name)
    return one(part, "image")


def canny(site: Site) -> Made:
    part = Part("image.canny")
    site.put(part, "image", "image")
    for port, name in (("low", "low_threshold"), ("high", "high_threshold")):
        site.put(part, port, name, _edge)
    return one(part, "image")


def _edge(value: Any) -> int:
    """ComfyUI counts thresholds from 0 to 1, or to 255 in packs."""
    number = float(value)
    return round(number * 255 if number <= 1 else number)


def kontext_size(site: Site) -> Made:
    """The size that Kontext was trained in: here about one megapixel, in multiples of 16."""
    part = Part("image.scale", {"by": "megapixels", "megapixels": 1.0, "multiple_of": 16})
    site.put(part, "image", "image")
    site.approximate("Scaled to one megapixel in its own proportions, not to the closest of a table of sizes.")
    return one(part, "image")


def batch(site: Site) -> Made:
    """Images of any number into one batch."""
    names = [name for name in site.node.types if name.startswith("image")] or ["image1", "image2"]
    part = Part("image.batch")
    for name in sorted({*names, *site.node.wires}, key=_natural):
        if site.wire(name) is not None:
            site.put(part, "images", name)
    return one(part, "image")


def _natural(name: str) -> tuple[int, str]:
    digits = "".join(mark for mark in name if mark.isdigit())
    return (int(digits) if digits else 0, name)


def stitch(site: Site) -> Made:
    part = Part("image.join", {"gap": 0})
    way = str(site.typed("direction", "right"))
    part.values["direction"] = "down" if way in ("down", "up") else "right"
    names = ("image1", "image2") if way in ("right", "down") else ("image2", "image1")
    for name in names:
        if site.wire(name):
            site.put(part, "images", name)
    site.put(part, "gap", "spacing_width")
    told(site, "direction", "match_image_size", "spacing_width", "spacing_color")
    return one(part, "image")


def split_alpha(site: Site) -> Made:
    """The mask of ComfyUI is what is transparent."""
    part = Part("image.to_mask", {"channel": "alpha", "invert": True})
    site.put(part, "image", "image")
    flat = Part("image.flatten")
    site.put(flat, "image", "image")
    return Made({"": part, "flat": flat}, [Ref("flat", "image"), Ref("", "mask")])


def join_alpha(site: Site) -> Made:
    """The mask of ComfyUI is what becomes transparent."""
    part = Part("image.set_alpha")
    site.put(part, "image", "image")
    turned = Part("mask.invert")
    site.put(turned, "mask", "alpha")
    part.inputs["mask"] = Ref("turned", "mask")
    return Made({"": part, "turned": turned}, [Ref("", "image")])


RULES: dict[str, Rule] = {
    "ImageScale": Row(
        "image.resize",
        {
            "image": "image",
            "upscale_method": ("method", METHOD),
            "width": "width",
            "height": "height",
            "crop": ("fit", _CROP),
        },
        ("image",),
    ),
    "ImageScaleBy": Row(
        "image.scale",
        {"image": "image", "upscale_method": ("method", METHOD), "scale_by": "factor"},
        ("image",),
        {"by": "factor"},
    ),
    "ImageScaleToTotalPixels": Row(
        "image.scale",
        {
            "image": "image",
            "upscale_method": ("method", METHOD),
            "megapixels": "megapixels",
            "resolution_steps": "multiple_of",
        },
        ("image",),
        {"by": "megapixels"},
    ),
    "ImageScaleToMaxDimension": Row(
        "image.scale",
        {"image": "image", "upscale_method": ("method", METHOD), "largest_size": "side"},
        ("image",),
        {"by": "longer_side"},
    ),
    "ResizeImageMaskNode": by_kind,
    "FluxKontextImageScale": kontext_size,
    "ImagePadForOutpaint": outpaint,
    "ImageCrop": Row(
        "image.crop",
        {"image": "image", "width": "width", "height": "height", "x": "left", "y": "top"},
        ("image",),
    ),
    "ImageInvert": Row("image.invert", {"image": "image"}, ("image",)),
    "ImageBlend": blend,
    "ImageBlur": Row("image.gaussian_blur", {"image": "image", "sigma": "sigma"}, ("image",), unused=("blur_radius",)),
    "ImageSharpen": Row(
        "image.sharpen",
        {"image": "image", "alpha": "amount", "sigma": "sigma"},
        ("image",),
        unused=("sharpen_radius",),
    ),
    "ImageQuantize": Row(
        "image.dither",
        {
            "image": "image",
            "colors": "colors",
            "dither": (
                "method",
                pick({"none": "none", "floyd-steinberg": "floyd_steinberg"}, "Dithered otherwise here."),
            ),
        },
        ("image",),
    ),
    "ImageFlip": Row(
        "image.flip",
        {
            "image": "image",
            "flip_method": ("way", pick({"x-axis: vertically": "vertical", "y-axis: horizontally": "horizontal"})),
        },
        ("image",),
    ),
    "ImageBatch": batch,
    "BatchImagesNode": batch,
    "ImageFromBatch": Row("image.pick", {"image": "image", "batch_index": "start", "length": "count"}, ("image",)),
    "RepeatImageBatch": Row("image.repeat", {"image": "image", "amount": "times"}, ("image",)),
    "RebatchImages": Through(("images",), "A batch of any size goes through as it is."),
    "GetImageSize": Row("image.size", {"image": "image"}, ("width", "height", "batch")),
    "EmptyImage": Row(
        "image.solid",
        {"width": "width", "height": "height", "batch_size": "count", "color": ("color", hex_color)},
        ("image",),
    ),
    "ImageStitch": stitch,
    "ImageCompositeMasked": composite,
    "SplitImageWithAlpha": split_alpha,
    "JoinImageWithAlpha": join_alpha,
    "ImageAddNoise": Row("image.add_noise", {"image": "image", "seed": "seed", "strength": "amount"}, ("image",)),
    "Canny": canny,
    "UpscaleModelLoader": Row("upscale.load", {"model_name": ("upscaler", named("upscale_models"))}, ("model",)),
    "ImageUpscaleWithModel": Row("upscale.apply", {"upscale_model": "upscaler", "image": "image"}, ("image",)),
}
