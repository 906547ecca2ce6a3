"""Masks."""

from __future__ import annotations

from .base import Made, Part, Row, Rule, Site, Unfit, hex_color, one, pick

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
    """Two masks put together. ComfyUI's may lie anywhere on the other; ours cover each other."""
    if any(site.wire(name) or site.typed(name, 0) for name in ("x", "y")):
        raise Unfit("Masks of one size are combined here; lay the second on a canvas of the first's size before.")
    part = Part("mask.combine")
    site.put(part, "first", "destination")
    site.put(part, "second", "source")
    site.put(part, "operation", "operation", pick(_OPERATIONS))
    return one(part, "mask")


def feather(site: Site) -> Made:
    """Fades at the edges of the canvas."""
    sides = {site.typed(name, 0) for name in ("left", "top", "right", "bottom")}
    if len(sides) > 1 or any(site.wire(name) for name in ("left", "top", "right", "bottom")):
        raise Unfit("A mask fades equally at all edges here: use mask.feather.")
    part = Part("mask.feather", {"pixels": sides.pop(), "edges": True})
    site.put(part, "mask", "mask")
    return one(part, "mask")


RULES: dict[str, Rule] = {
    "MaskToImage": Row("image.from_mask", {"mask": "mask"}, ("image",)),
    "ImageToMask": Row("image.to_mask", {"image": "image", "channel": ("channel", _CHANNEL)}, ("mask",)),
    "ImageColorToMask": Row(
        "mask.from_color", {"image": "image", "color": ("color", hex_color)}, ("mask",), {"tolerance": 0.0}
    ),
    "InvertMask": Row("mask.invert", {"mask": "mask"}, ("mask",)),
    "MaskComposite": composite,
    "FeatherMask": feather,
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
