"""Empty latents, encoding and decoding, and what is done with latents."""

from __future__ import annotations

from ..graph import Wire
from .base import Lead, Made, Part, Ref, Row, Rule, Site, Through, Unfit, one, pick, told

_METHODS = pick(
    {
        "nearest-exact": "nearest",
        "bilinear": "bilinear",
        "area": "bilinear",
        "bicubic": "bicubic",
        "bislerp": "bicubic",
    },
    "Scaled bicubically here.",
)


def vae_of(site: Site, part: Part) -> None:
    """A latent knows its VAE here: the one closest to it in the workflow."""
    nearest = site.nearest("VAE")
    if nearest is not None:
        part.inputs["vae"] = Lead(nearest)


def empty(site: Site) -> Made:
    part = Part("latent.empty")
    vae_of(site, part)
    for port, name in (("width", "width"), ("height", "height"), ("batch", "batch_size")):
        site.put(part, port, name)
    return one(part, "latent")


def empty_video(site: Site) -> Made:
    part = Part("latent.empty_video")
    vae_of(site, part)
    for port, name in (("width", "width"), ("height", "height"), ("frames", "length")):
        site.put(part, port, name)
    told(site, "width", "height", "length")
    return one(part, "latent")


def empty_layers(site: Site) -> Made:
    """The layers of an image of this size; none of them are plain images, for the same models."""
    canvas = Part("latent.empty")
    vae_of(site, canvas)
    for port, name in (("width", "width"), ("height", "height"), ("batch", "batch_size")):
        site.put(canvas, port, name)
    if site.typed("layers") == 0:
        return one(canvas, "latent")
    part = Part("latent.empty_layers", {}, {"image": Ref("canvas", "latent")})
    site.put(part, "layers", "layers")
    return Made({"": part, "canvas": canvas}, [Ref("", "latent")])


def cut(site: Site) -> Made:
    """Layers, which stand one behind the other in time there, become images where they are decoded here."""
    if str(site.typed("dim", "t")) != "t" or site.typed("slice_size", 1) != 1:
        raise Unfit("Only layers are taken apart, one by one (dim t, slice_size 1).")
    return Made({}, [site.wire("samples")])


def decode(site: Site) -> Made:
    """Images of a latent; of one that holds a video its frames, of one that holds layers these."""
    if of_layers(site):
        part = Part("vae.decode_layers")
        site.approximate("The image as a whole, which comes before its layers there, is left out.")
    else:
        part = Part("vae.decode_video" if of_video(site) else "vae.decode")
    site.put(part, "vae", "vae")
    site.put(part, "latent", "samples")
    if "Tiled" in site.node.type:
        site.put(part, "tile", "tile_size")
    if part.type != "vae.decode_video":
        return one(part, "image")
    frames = Part("video.frames", {}, {"video": Ref("", "video")})
    return Made({"": part, "frames": frames}, [Ref("frames", "image")])


def of_video(site: Site) -> bool:
    """Whether the latent that comes in holds a video: by the node that it begins at, else by those of the workflow."""
    found = _begin(site)
    if found is not None and latents(found):  # from outside of a subgraph
        return site.has(*_VIDEOS) and not site.has("EmptyLatentImage", "EmptySD3LatentImage", "VAEEncode")
    return found is not None and "Video" in found.node.type


def of_layers(site: Site) -> bool:
    """Whether the latent that comes in holds the layers of an image, by the node that it begins at."""
    found = _begin(site)
    return found is not None and found.node.type == _LAYERS and found.typed("layers") != 0


def latents(site: Site) -> list[Wire]:
    """The wires that bring latents into a node."""
    return [wire for wire in site.node.wires.values() if site.kind(wire) == "LATENT"]


def _begin(site: Site) -> Site | None:
    """The node that the latent begins at which comes in; the last one there is where it comes from outside of a
    subgraph."""
    todo, seen = [site], set[str]()
    while todo:
        at = todo.pop()
        if at.node.id in seen:
            continue
        seen.add(at.node.id)
        wires = latents(at)
        before = [found for found in map(at.giver, wires) if found is not None]
        if not before and (wires or at is not site):
            return at
        todo += before
    return None


_LAYERS = "EmptyQwenImageLayeredLatentImage"
_VIDEOS = (
    *("EmptyHunyuanLatentVideo", "EmptyHunyuanVideo15Latent", "EmptyLTXVLatentVideo", "WanImageToVideo"),
    *("WanFirstLastFrameToVideo",),
)


def encode(site: Site) -> Made:
    part = Part("vae.encode", {"fit": "crop"})
    site.put(part, "vae", "vae")
    site.put(part, "image", "pixels")
    if "Tiled" in site.node.type:
        site.put(part, "tile", "tile_size")
    return one(part, "latent")


def encode_for_inpainting(site: Site) -> Made:
    part = Part("vae.encode_inpaint", {"fit": "crop"})
    for port, name in (("vae", "vae"), ("image", "pixels")):
        site.put(part, port, name)
    grown = Part("mask.grow", {"blur": 0})
    site.put(grown, "mask", "mask")
    site.put(grown, "pixels", "grow_mask_by")
    part.inputs["mask"] = Ref("grow", "mask")
    site.approximate("The masked part is not made grey before: with denoise of 1 it begins as noise all the same.")
    return Made({"": part, "grow": grown}, [Ref("", "latent")])


def inpaint_model(site: Site) -> Made:
    """What an inpainting model sees is part of the latent here, so the prompts only pass."""
    part = Part("vae.encode_inpaint", {"fit": "crop"})
    for port, name in (("vae", "vae"), ("image", "pixels"), ("mask", "mask")):
        site.put(part, port, name)
    return Made({"": part}, [site.wire("positive"), site.wire("negative"), Ref("", "latent")])


def masked(site: Site) -> Made:
    """A mask on a latent. Differential diffusion is set on the model there, on the mask here."""
    part = Part("latent.set_mask", {"greys": "differential"} if site.has("DifferentialDiffusion") else {})
    site.put(part, "latent", "samples")
    site.put(part, "mask", "mask")
    return one(part, "latent")


def resize(site: Site) -> Made:
    """A size in pixels; 0 is by the other side in both."""
    part = Part("latent.resize")
    for name in ("width", "height"):
        site.put(part, name, name)
    site.put(part, "latent", "samples")
    site.put(part, "method", "upscale_method", _METHODS)
    if str(site.typed("crop", "disabled")) == "center":
        site.approximate("A latent is stretched to its size here, not cut at the middle.")
    return one(part, "latent")


RULES: dict[str, Rule] = {
    "EmptyLatentImage": empty,
    "EmptySD3LatentImage": empty,
    "EmptyFlux2LatentImage": empty,
    _LAYERS: empty_layers,
    "LatentCutToBatch": cut,
    "EmptyHunyuanLatentVideo": empty_video,
    "EmptyHunyuanVideo15Latent": empty_video,
    "EmptyLTXVLatentVideo": empty_video,
    "VAEDecode": decode,
    "VAEDecodeTiled": decode,
    "VAEEncode": encode,
    "VAEEncodeTiled": encode,
    "VAEEncodeForInpaint": encode_for_inpainting,
    "InpaintModelConditioning": inpaint_model,
    "SetLatentNoiseMask": masked,
    "LatentUpscale": resize,
    "LatentUpscaleBy": Row(
        "latent.resize",
        {"samples": "latent", "upscale_method": ("method", _METHODS), "scale_by": "scale"},
        ("latent",),
    ),
    "LatentUpscaleFactor _O": Row(
        "latent.resize",
        {"samples": "latent", "upscale_method": ("method", _METHODS), "WidthFactor": "scale"},
        ("latent",),
        unused=("HeightFactor",),
    ),
    "LatentComposite": Row(
        "latent.composite",
        {"samples_to": "below", "samples_from": "above", "x": "x", "y": "y", "feather": "feather"},
        ("latent",),
    ),
    "LatentCompositeMasked": Row(
        "latent.composite",
        {"destination": "below", "source": "above", "x": "x", "y": "y", "mask": "mask"},
        ("latent",),
        unused=("resize_source",),
    ),
    "LatentFromBatch": Row(
        "latent.select", {"samples": "latent", "batch_index": "index"}, ("latent",), unused=("length",)
    ),
    "RepeatLatentBatch": Row("latent.repeat", {"samples": "latent", "amount": "times"}, ("latent",)),
    "LatentCrop": Row(
        "latent.crop",
        {"samples": "latent", "x": "x", "y": "y", "width": "width", "height": "height"},
        ("latent",),
    ),
    "LatentFlip": Row(
        "latent.flip",
        {
            "samples": "latent",
            "flip_method": (
                "direction",
                pick({"x-axis: vertically": "vertical", "y-axis: horizontally": "horizontal"}),
            ),
        },
        ("latent",),
    ),
    "LatentRotate": Row(
        "latent.rotate",
        {
            "samples": "latent",
            "rotation": (
                "turn",
                pick({"90 degrees": "right", "180 degrees": "half", "270 degrees": "left"}),
            ),
        },
        ("latent",),
    ),
    "LatentMultiply": Row("latent.multiply", {"samples": "latent", "multiplier": "factor"}, ("latent",)),
    "LatentAdd": Row(
        "latent.blend", {"samples1": "first", "samples2": "second"}, ("latent",), {"mode": "add", "amount": 1.0}
    ),
    "LatentSubtract": Row(
        "latent.blend", {"samples1": "first", "samples2": "second"}, ("latent",), {"mode": "subtract", "amount": 1.0}
    ),
    "LatentBatch": Row("latent.batch", {"samples1": "latents", "samples2": "latents"}, ("latent",)),
    "LatentBlend": Row(
        "latent.blend",
        {"samples1": "second", "samples2": "first", "blend_factor": "amount"},
        ("latent",),
    ),
    "FreeU": Through(("model",), "FreeU is not built here: the model draws as it was trained."),
    "FreeU_V2": Through(("model",), "FreeU is not built here: the model draws as it was trained."),
    "FreSca": Through(("model",), "FreSca is not built here: the model draws as it was trained."),
    "SelfAttentionGuidance": Through(
        ("model",), "Self-attention guidance is not built here; sampling.guider has perturbed attention (pag)."
    ),
    "PatchModelAddDownscale": Through(
        ("model",),
        "Deep shrink is not built here: beyond the size that the model was made for, parts of the image may repeat. "
        "Sample smaller, enlarge with latent.resize, and sample again.",
    ),
    "HyperTile": Through(("model",), "HyperTile is not built here; it saves time alone."),
    "TomePatchModel": Through(("model",), "Token merging is not built here; it saves time alone."),
    "FluxKVCache": Through(("model",), "What was seen of other images is not kept between steps; it saves time alone."),
}
