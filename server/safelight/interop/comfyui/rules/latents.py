"""Empty latents, encoding and decoding, and what is done with latents."""

from __future__ import annotations

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


def decode(site: Site) -> Made:
    part = Part("vae.decode")
    site.put(part, "vae", "vae")
    site.put(part, "latent", "samples")
    if "Tiled" in site.node.type:
        site.put(part, "tile", "tile_size")
    return one(part, "image")


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
    """A size in pixels: as a factor, where the size before is told."""
    before = site.giver(site.wire("samples"))
    if before is not None and before.node.type in ("KSampler", "KSamplerAdvanced"):
        before = next((one for one in before.upwards("latent_image") if one.wire("latent_image") is None), None)
    sides: list[float] = []
    for name in ("width", "height"):
        known = before.typed(name, None) if before is not None and before.wire(name) is None else None
        wanted = site.typed(name, 0)
        if site.wire(name) is None and isinstance(known, int) and isinstance(wanted, int) and known and wanted:
            sides.append(wanted / known)
    if not sides:
        raise Unfit("A latent is scaled by a factor here, and the size before is not told: use latent.resize.")
    if max(sides) - min(sides) > 0.01:
        site.approximate("A latent keeps its proportions here.")
    part = Part("latent.resize", {"scale": round(max(sides), 4)})
    site.put(part, "latent", "samples")
    site.put(part, "method", "upscale_method", _METHODS)
    return one(part, "latent")


RULES: dict[str, Rule] = {
    "EmptyLatentImage": empty,
    "EmptySD3LatentImage": empty,
    "EmptyFlux2LatentImage": empty,
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
    "LatentBatch": Row("latent.batch", {"samples1": "latents", "samples2": "latents"}, ("latent",)),
    "LatentBlend": Row(
        "latent.blend",
        {"samples1": "second", "samples2": "first", "blend_factor": "amount"},
        ("latent",),
    ),
    "FreeU": Through(("model",), "FreeU is not built here: the model draws as it was trained."),
    "FreeU_V2": Through(("model",), "FreeU is not built here: the model draws as it was trained."),
    "HyperTile": Through(("model",), "HyperTile is not built here; it saves time alone."),
}
