"""Latents, images, masks and files that are no rows of the importer."""

from __future__ import annotations

from ..rules.base import Unfit, saved_as
from .base import Own, Piece, Rule, Source, Spot, Written, one

_SIDE = 512
"""What is written where a document leaves the size to the model."""


def empty(spot: Spot) -> Written:
    piece = Piece("EmptyLatentImage")
    _size(spot, piece)
    spot.put(piece, "batch_size", "batch")
    spot.told("vae")
    return one(piece, "latent")


def empty_video(spot: Spot) -> Written:
    piece = Piece("EmptyHunyuanLatentVideo", {"batch_size": 1})
    _size(spot, piece)
    spot.put(piece, "length", "frames")
    if not spot.sources("frames") and not spot.value("frames"):
        why = "The number of frames is left to the model here: 25 is written."
        spot.stand_in(piece, {"length": 25}, ["frames"], why)
    spot.told("vae")
    return one(piece, "latent")


def _size(spot: Spot, piece: Piece) -> None:
    for name in ("width", "height"):
        spot.put(piece, name, name)
        if not spot.sources(name) and not spot.value(name):
            why = f"{name} is what the model was made for here: {_SIDE} is written."
            spot.stand_in(piece, {name: _SIDE}, [name], why)


def _tiled(spot: Spot, piece: Piece) -> None:
    if spot.value("tile") or spot.sources("tile"):
        piece.type += "Tiled"
        spot.put(piece, "tile_size", "tile")
        piece.typed |= {"overlap": 64, "temporal_size": 64, "temporal_overlap": 8}
    spot.told("tile")


def decode(spot: Spot) -> Written:
    piece = Piece("VAEDecode")
    spot.put(piece, "samples", "latent")
    spot.put(piece, "vae", "vae")
    _tiled(spot, piece)
    return one(piece, "image")


def encode(spot: Spot) -> Written:
    piece = Piece("VAEEncode")
    spot.put(piece, "pixels", "image")
    spot.put(piece, "vae", "vae")
    _tiled(spot, piece)
    _fitted(spot)
    return one(piece, "latent")


def _fitted(spot: Spot) -> None:
    if spot.value("fit") != "crop":
        spot.remark("An image whose sides are no multiples of 8 is cut there.")
        spot.keep("fit")
    spot.told("fit")


def encode_inpaint(spot: Spot) -> Written:
    encoded = encode(spot).pieces[""]
    masked = Piece("SetLatentNoiseMask", {}, {"samples": Own("encoded", 0)})
    spot.put(masked, "mask", "mask")
    spot.remark("A model made for inpainting sees the mask through InpaintModelConditioning there.")
    return Written({"": masked, "encoded": encoded}, {"latent": Own("", 0)})


def set_mask(spot: Spot) -> Written:
    piece = Piece("SetLatentNoiseMask")
    spot.put(piece, "samples", "latent")
    spot.put(piece, "mask", "mask")
    if spot.value("greys") == "differential":
        spot.remark("Greys as strengths of their own are a DifferentialDiffusion on the model there.")
        spot.keep("greys")
    return one(piece, "latent")


def load_image(spot: Spot) -> Written:
    """ComfyUI's mask is what is transparent; ours is what can be seen."""
    piece = Piece("LoadImage")
    spot.put(piece, "image", "file")
    pieces, outputs = {"": piece}, {"image": Own("", 0)}
    if spot.takes("mask"):
        pieces["mask"] = Piece("InvertMask", {}, {"mask": Own("", 1)})
        outputs["mask"] = Own("mask", 0)
    return Written(pieces, dict(outputs))


def save_image(spot: Spot) -> Written:
    piece = Piece("SaveImage")
    spot.put(piece, "images", "image")
    spot.put(piece, "filename_prefix", "name", saved_as.back)
    piece.typed.setdefault("filename_prefix", "ComfyUI")
    return Written({"": piece}, {})


def batch(spot: Spot) -> Written:
    """Two at a time there."""
    before: Source | None = None
    pieces: dict[str, Piece] = {}
    for source in spot.sources("images"):
        if before is None:
            before = source
            continue
        key = "" if not pieces else f"with_{len(pieces) + 1}"
        pieces[key] = Piece("ImageBatch", {}, {"image1": before, "image2": source})
        before = Own(key, 0)
    return Written(pieces, {"image": before})


def blend(spot: Spot) -> Written:
    mode = str(spot.value("mode"))
    if mode not in ("normal", "multiply", "screen", "overlay", "soft_light", "difference"):
        raise Unfit(f"ComfyUI has no blend mode {mode!r}.")
    piece = Piece("ImageBlend", {"blend_mode": mode})
    for name, port in (("image1", "base"), ("image2", "over"), ("blend_factor", "opacity")):
        spot.put(piece, name, port)
    spot.told("mode")
    return one(piece, "image")


def composite(spot: Spot) -> Written:
    piece = Piece("ImageCompositeMasked", {"x": 0, "y": 0, "resize_source": True})
    for name, port in (("destination", "base"), ("source", "over"), ("mask", "mask")):
        spot.put(piece, name, port)
    return one(piece, "image")


def outpaint(spot: Spot) -> Written:
    if spot.value("fill") != "color":
        spot.remark("What is added is grey there.")
        spot.keep("fill")
        spot.keep("color")
    piece = Piece("ImagePadForOutpaint")
    for name, port in (("image", "image"), ("feathering", "feather")):
        spot.put(piece, name, port)
    for side in ("left", "top", "right", "bottom"):
        spot.put(piece, side, side)
    spot.told("fill", "color")
    return one(piece, "image", "mask")


def canny(spot: Spot) -> Written:
    piece = Piece("Canny")
    spot.put(piece, "image", "image")
    for name, port in (("low_threshold", "low"), ("high_threshold", "high")):
        spot.put(piece, name, port, _edge)
    return one(piece, "image")


def _edge(value: object) -> float:
    return round(min(255, int(str(value))) / 255, 4)


def switch(spot: Spot) -> Written:
    piece = Piece("ComfySwitchNode")
    for name, port in (("on_true", "if_true"), ("on_false", "if_false"), ("switch", "condition")):
        spot.put(piece, name, port)
    return one(piece, "value")


def expression(spot: Spot) -> Written:
    piece = Piece("ComfyMathExpression")
    spot.put(piece, "expression", "expression")
    for name in ("a", "b", "c", "d"):
        if spot.sources(name) or name in str(spot.value("expression")):
            spot.put(piece, f"values.{name}", name)
        spot.told(name)
    return one(piece, "number", "integer", "yes")


RULES: dict[str, Rule] = {
    "latent.empty": empty,
    "latent.empty_video": empty_video,
    "latent.set_mask": set_mask,
    "vae.decode": decode,
    "vae.encode": encode,
    "vae.encode_inpaint": encode_inpaint,
    "image.load": load_image,
    "image.save": save_image,
    "image.batch": batch,
    "image.blend": blend,
    "image.composite": composite,
    "image.canny": canny,
    "mask.outpaint": outpaint,
    "choice.switch": switch,
    "numbers.expression": expression,
}
