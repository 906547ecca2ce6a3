"""Nodes of packs that sample parts of an image: in tiles, or where a face is."""

from __future__ import annotations

from .base import Made, Part, Ref, Rule, Site, Unfit, told
from .bundles import kept_inside, unpacked
from .sampling import sample, sample_part


def _drawn(site: Site, latent: Ref) -> dict[str, Part]:
    """Its sampler, which stands inside, with what its model was given, and the decoded image behind it."""
    made = sample(site)
    sampler = made.parts.pop("")
    sampler.inputs["latent"] = latent
    decoded = Part("vae.decode", {}, {"latent": Ref("sampled", "latent")})
    site.put(decoded, "vae", "vae")
    return {"sampled": sampler, **made.parts, "decoded": decoded}


def tiled(site: Site) -> Made:
    """UltimateSDUpscale: the enlarged image is sampled in tiles, which then fade into each other."""
    parts: dict[str, Part] = {}
    merged = Part("image.merge_tiles", {}, {"tiles": Ref("decoded", "image")})
    split = Part("image.split_tiles")
    if site.wire("upscaled_image") is not None:
        site.put(split, "image", "upscaled_image")
        site.put(merged, "like", "upscaled_image")
    else:
        larger = Part("upscale.apply" if site.wire("upscale_model") else "image.scale")
        site.put(larger, "image", "image")
        site.put(larger, "upscaler", "upscale_model")
        site.put(larger, "factor", "upscale_by")
        parts["larger"] = larger
        split.inputs["image"] = merged.inputs["like"] = Ref("larger", "image")
    for part in (split, merged):
        for port, name in (("width", "tile_width"), ("height", "tile_height"), ("overlap", "tile_padding")):
            site.put(part, port, name)
    encoded = Part("vae.encode", {"fit": "crop"}, {"image": Ref("split", "tiles")})
    site.put(encoded, "vae", "vae")
    site.approximate("Tiles are sampled one by one and fade into each other: there is no pass over the seams.")
    parts |= {"split": split, "encoded": encoded, **_drawn(site, Ref("encoded", "latent"))}
    return Made({"": merged, **parts}, [Ref("", "image")])


def face(site: Site) -> Made:
    """FaceDetailer: faces are found, cut out larger, sampled, and put back."""
    finder = site.giver(site.wire("bbox_detector"))
    if finder is not None and "face" not in str(finder.typed("model_name", "")):
        raise Unfit("Only faces are found here; what else is found is masked by preprocess.find.")
    found = Part("faces.find")
    site.put(found, "image", "image")
    cut = Part("mask.crop", {}, {"mask": Ref("found", "mask")})
    site.put(cut, "image", "image")
    site.put(cut, "context", "bbox_crop_factor", lambda value: min(10.0, max(1.0, float(value))))
    for side in ("width", "height"):
        site.put(cut, side, "guide_size", lambda value: round(float(value) / 8) * 8)
    site.put(cut, "feather", "feather")
    encoded = Part("vae.encode", {"fit": "crop"}, {"image": Ref("cut", "image")})
    site.put(encoded, "vae", "vae")
    masked = Part("latent.set_mask", {}, {"latent": Ref("encoded", "latent"), "mask": Ref("cut", "mask")})
    stitched = Part("mask.stitch", {}, {"cutout": Ref("cut", "cutout"), "image": Ref("decoded", "image")})
    kept_inside(site, 4)
    site.approximate(
        "All faces lie in one part that is cut out and sampled at once; they are found by another network."
    )
    if site.wire("sam_model_opt") or site.wire("segm_detector_opt"):
        site.approximate("Faces are masked by ovals here.")
    if site.wire("wildcard") or site.typed("wildcard", ""):
        told(site, *(name for name in site.node.typed if name != "wildcard"))
    parts = {"": stitched, "found": found, "cut": cut, "encoded": encoded, "masked": masked}
    parts |= _drawn(site, Ref("masked", "latent"))
    return Made(parts, [Ref("", "image"), Ref("decoded", "image"), None, Ref("found", "mask"), None, None])


def into_detailer(site: Site) -> Made:
    """What a FaceDetailer finds faces by: taken into it."""
    if set(site.takers()) <= _DETAILERS:
        return Made({}, [None, None])
    raise Unfit("What takes it is not known here.")


_DETAILERS = frozenset(
    {"FaceDetailer", "FaceDetailerPipe", "ToDetailerPipe", "BasicPipeToDetailerPipe", "EditDetailerPipe"}
)


def by_pipe(rule: Rule, slot: int, *outputs: str | None) -> Rule:
    """A sampler that takes a pipe, which it hands on. `outputs` are what else it gives, behind the pipe."""

    def made(site: Site) -> Made:
        kept_inside(site, slot)
        whole = unpacked(site)
        return Made(
            rule(whole).parts, [None, *(whole.wire("vae") if one == "vae" else Ref("", "latent") for one in outputs)]
        )

    return made


def inspired(site: Site) -> Made:
    """KSampler of the Inspire pack: one with noise of other machines and a variation seed."""
    if site.typed("variation_strength", 0) or site.wire("variation_strength"):
        site.approximate("Its variation seed is left out: noise.blend mixes two seeds.")
    return sample(site)


def in_part(site: Site) -> Made:
    """Part of the steps, told by yes and no where ComfyUI's own sampler has words."""
    made = sample_part(site)
    made.parts[""].values["leave_noise"] = site.typed("return_with_leftover_noise", False) in (True, "enable")
    return made


RULES: dict[str, Rule] = {
    "UltimateSDUpscale": tiled,
    "UltimateSDUpscaleNoUpscale": tiled,
    "FaceDetailer": face,
    "UltralyticsDetectorProvider": into_detailer,
    "SAMLoader": into_detailer,
    "KSampler //Inspire": inspired,
    "KSamplerAdvanced //Inspire": in_part,
    "FaceDetailerPipe": lambda site: face(unpacked(site)),
    "ImpactKSamplerBasicPipe": by_pipe(sample, 0, "latent", "vae"),
    "ImpactKSamplerAdvancedBasicPipe": by_pipe(in_part, 0, "latent", "vae"),
}
