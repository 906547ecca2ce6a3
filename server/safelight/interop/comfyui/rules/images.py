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
    if site.kind(site.wire("input")) == "MASK":
        return _mask_by_kind(site, way)
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


def _mask_by_kind(site: Site, way: str) -> Made:
    part = Part("mask.resize")
    site.put(part, "mask", "input")
    if way == "scale dimensions":
        for name in ("width", "height"):
            site.put(part, name, f"resize_type.{name}")
        return one(part, "mask")
    if way == "match size":
        size = Part("image.size")
        site.put(size, "image", "resize_type.match")
        part.inputs |= {"width": Ref("size", "width"), "height": Ref("size", "height")}
        return Made({"": part, "size": size}, [Ref("", "mask")])
    raise Unfit("A mask is resized to a width and a height here: use mask.resize.")


def composite(site: Site) -> Made:
    """An image over another one at a place in pixels, within a mask of its own; or brought to the size of the lower."""
    if site.wire("resize_source"):
        raise Unfit("Whether its source is resized comes over a wire.")
    resized, masked = site.typed("resize_source", False) is True, site.wire("mask") is not None
    part = Part("image.composite" if resized and masked else "image.blend" if resized else "image.paste")
    for port, name in (("base", "destination"), ("over", "source"), ("mask", "mask")):
        site.put(part, port, name)
    if part.type == "image.paste":
        site.put(part, "x", "x")
        site.put(part, "y", "y")
    else:
        told(site, "resize_source")
    return one(part, "image")


def crop_mask(site: Site) -> Made:
    """A mask is cut out as the image of it."""
    drawn, cut, taken = Part("image.from_mask"), Part("image.crop"), Part("image.to_mask", {"channel": "red"})
    site.put(drawn, "mask", "mask")
    cut.inputs["image"] = Ref("drawn", "image")
    for port, name in (("left", "x"), ("top", "y"), ("width", "width"), ("height", "height")):
        site.put(cut, port, name)
    taken.inputs["image"] = Ref("cut", "image")
    return Made({"": taken, "drawn": drawn, "cut": cut}, [Ref("", "mask")])


def crop_region(site: Site) -> Made:
    """A region that is drawn on the image, as an object of its place and size."""
    region = site.typed("crop_region")
    if site.wire("crop_region") or not isinstance(region, dict):
        raise Unfit("Its region comes over a wire: use image.crop.")
    part = Part("image.crop")
    site.put(part, "image", "image")
    for port, name in (("left", "x"), ("top", "y"), ("width", "width"), ("height", "height")):
        part.values[port] = int(region.get(name, 0))
    return one(part, "image")


def resize_padded(site: Site) -> Made:
    if str(site.typed("padding_color", "white")) != "black":
        site.approximate("It is padded with black here.")
    part = Part("image.resize", {"fit": "pad"})
    for port, name in (("image", "image"), ("width", "target_width"), ("height", "target_height")):
        site.put(part, port, name)
    site.put(part, "method", "interpolation", METHOD)
    return one(part, "image")


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


_MORPHOLOGY = ("erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat")
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
    "ImageCropV2": crop_region,
    "CropMask": crop_mask,
    "ResizeAndPadImage": resize_padded,
    "ResizeImagesByLongerEdge": Row(
        "image.scale", {"images": "image", "longer_edge": "side"}, ("image",), {"by": "longer_side"}
    ),
    "ResizeImagesByShorterEdge": Row(
        "image.scale", {"images": "image", "shorter_edge": "side"}, ("image",), {"by": "shorter_side"}
    ),
    "ImageRotate": Row(
        "image.flip",
        {
            "image": "image",
            "rotation": (
                "way",
                pick({"90 degrees": "turn_right", "180 degrees": "turn_around", "270 degrees": "turn_left"}),
            ),
        },
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
    "Morphology": Row(
        "image.morphology",
        {
            "image": "image",
            "operation": ("operation", pick({name: name for name in _MORPHOLOGY})),
            "kernel_size": ("radius", lambda value: max(1, int(value) // 2)),
        },
        ("image",),
    ),
    "UpscaleModelLoader": Row("upscale.load", {"model_name": ("upscaler", named("upscale_models"))}, ("model",)),
    "Upscale Model Loader": Row("upscale.load", {"model_name": ("upscaler", named("upscale_models"))}, ("model", None)),
    "ImageUpscaleWithModel": Row("upscale.apply", {"upscale_model": "upscaler", "image": "image"}, ("image",)),
}
