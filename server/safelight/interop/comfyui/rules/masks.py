"""Masks."""

from __future__ import annotations

from .base import Made, Part, Ref, Row, Rule, Site, hex_color, one, pick

_CHANNEL = pick({name: name for name in ("red", "green", "blue")} | {"alpha": "alpha"})
_OPERATIONS = {
    "multiply": "multiply",
    "add": "add",
    "subtract": "subtract",
    "and": "intersect",
    "or": "add",
    "xor": "exclude",
}


def composite(site: Site) -> Made:
    """A mask over another one, at a place and in its own size. What lies around it stays as it is."""
    operation = str(site.typed("operation", "multiply"))
    part = Part("mask.combine")
    site.put(part, "first", "destination")
    site.put(part, "operation", "operation", pick(_OPERATIONS))
    if not any(site.wire(name) or site.typed(name, 0) for name in ("x", "y")):
        site.put(part, "second", "source")
        return one(part, "mask")
    parts = {"": part, "placed": Part("mask.place")}
    site.put(parts["placed"], "like", "destination")
    for name in ("x", "y"):
        site.put(parts["placed"], name, name)
    if operation in ("multiply", "and"):  # these keep what lies around where it is white
        parts["black"] = Part("mask.invert")
        site.put(parts["black"], "mask", "source")
        parts["placed"].inputs["mask"] = Ref("black", "mask")
        parts["white"] = Part("mask.invert", {}, {"mask": Ref("placed", "mask")})
        part.inputs["second"] = Ref("white", "mask")
    else:
        site.put(parts["placed"], "mask", "source")
        part.inputs["second"] = Ref("placed", "mask")
    return Made(parts, [Ref("", "mask")])


def batch(site: Site) -> Made:
    part = Part("mask.batch")
    for name in sorted(site.node.wires):
        site.put(part, "masks", name)
    return one(part, "mask")


_SIDES = {name: name for name in ("left", "top", "right", "bottom")}
RULES: dict[str, Rule] = {
    "MaskToImage": Row("image.from_mask", {"mask": "mask"}, ("image",)),
    "ImageToMask": Row("image.to_mask", {"image": "image", "channel": ("channel", _CHANNEL)}, ("mask",)),
    "ImageColorToMask": Row(
        "mask.from_color", {"image": "image", "color": ("color", hex_color)}, ("mask",), {"tolerance": 0.0}
    ),
    "InvertMask": Row("mask.invert", {"mask": "mask"}, ("mask",)),
    "MaskComposite": composite,
    "FeatherMask": Row("mask.fade_edges", {"mask": "mask", **_SIDES}, ("mask",)),
    "BatchMasksNode": batch,
    "GrowMask": Row(
        "mask.grow", {"mask": "mask", "expand": "pixels"}, ("mask",), {"blur": 0}, unused=("tapered_corners",)
    ),
    "GrowMaskWithBlur": Row(
        "mask.grow",
        {"mask": "mask", "expand": "pixels", "blur_radius": "blur"},
        ("mask", None),
    ),
    "ThresholdMask": Row("mask.threshold", {"mask": "mask", "value": "low"}, ("mask",), {"high": 1.0}),
    "SolidMask": Row("mask.solid", {"value": "value", "width": "width", "height": "height"}, ("mask",)),
}
