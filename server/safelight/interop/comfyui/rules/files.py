"""What is read from files and saved in them."""

from __future__ import annotations

from typing import Any

from .base import Made, Part, Ref, Row, Rule, Site, TwoWay, Unfit, one, saved_as, told


def _plain(value: Any) -> str:
    text = str(value or "").replace("\\", "/")
    for mark in (" [input]", " [output]", " [temp]"):
        text = text.removesuffix(mark)
    return text.strip("/")


plain = TwoWay(_plain, str)
"""A file of the input folder, without the folder that ComfyUI writes behind it in brackets."""


def load_image(site: Site) -> Made:
    """ComfyUI's mask is what is transparent; ours is what can be seen."""
    part = Part("image.load")
    site.put(part, "file", "image", plain)
    parts, mask = {"": part}, None
    if len(site.node.outputs) > 1 and site.takes(1):
        parts["mask"] = Part("mask.invert", {}, {"mask": Ref("", "mask")})
        mask = Ref("mask", "mask")
    return Made(parts, [Ref("", "image"), mask])


def load_mask(site: Site) -> Made:
    channel = str(site.typed("channel", "alpha"))
    part = Part("image.load")
    site.put(part, "file", "image", plain)
    if channel == "alpha":
        return Made({"": part, "mask": Part("mask.invert", {}, {"mask": Ref("", "mask")})}, [Ref("mask", "mask")])
    taken = Part("image.to_mask", {"channel": channel}, {"image": Ref("", "image")})
    return Made({"": part, "mask": taken}, [Ref("mask", "mask")])


def save_mask_preview(site: Site) -> Made:
    made = Part("image.from_mask")
    site.put(made, "mask", "mask")
    return Made({"": Part("image.preview", {}, {"image": Ref("made", "image")}), "made": made}, [])


def save_advanced(site: Site) -> Made:
    part = Part("image.save")
    site.put(part, "image", "images")
    site.put(part, "name", "filename_prefix", saved_as)
    kind = str(site.typed("format", "png")).lower()
    if kind not in ("png", "webp", "jpeg", "jpg"):
        raise Unfit(f"There is no format {kind!r} in image.save.")
    part.values["format"] = "jpeg" if kind == "jpg" else kind
    told(site, "filename_prefix", "format")
    return one(part)


def compare(site: Site) -> Made:
    first, second = ("image_a", "image_b") if site.wire("image_a") or site.wire("image_b") else ("images_a", "images_b")
    part = Part("image.compare")
    site.put(part, "first", first)
    site.put(part, "second", second)
    return Made({"": part, "shown": Part("image.preview", {}, {"image": Ref("", "image")})}, [])


RULES: dict[str, Rule] = {
    "LoadImage": load_image,
    "LoadImageOutput": load_image,
    "LoadImageMask": load_mask,
    "SaveImage": Row("image.save", {"images": "image", "filename_prefix": ("name", saved_as)}, ()),
    "SaveImageAdvanced": save_advanced,
    "PreviewImage": Row("image.preview", {"images": "image"}, ()),
    "SaveImageWebsocket": Row("image.preview", {"images": "image"}, ()),
    "MaskPreview": save_mask_preview,
    "ImageCompare": compare,
    "Image Comparer (rgthree)": compare,
    "LoadAudio": Row("audio.load", {"audio": ("file", plain)}, ("audio",)),
    "SaveAudio": Row("audio.save", {"audio": "audio", "filename_prefix": ("name", saved_as)}, (), {"format": "flac"}),
    "SaveAudioMP3": Row("audio.save", {"audio": "audio", "filename_prefix": ("name", saved_as)}, (), {"format": "ogg"}),
}
