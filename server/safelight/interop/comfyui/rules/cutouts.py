"""Nodes that cut subjects out of their background. Here all of them are networks in ONNX files."""

from __future__ import annotations

import re
from typing import Any

from .base import Made, Part, Ref, Rule, Site, Unfit, one, told

_MATTE = "mask.matte"
_COLOURS = {
    "black": "#000000",
    "white": "#ffffff",
    "magenta": "#ff00ff",
    "chroma green": "#00ff00",
    "chroma blue": "#0000ff",
}
_BRIA = {"RMBG-1.4": "briaai/RMBG-1.4/onnx/model.onnx", "RMBG-2.0": "briaai/RMBG-2.0/onnx/model.onnx"}
_BIREFNET = "onnx-community/BiRefNet-ONNX/onnx/model.onnx"


def _of_rembg(value: Any) -> str:
    """The file of a name of rembg's ("isnet-general-use: general purpose")."""
    name = str(value).partition(":")[0].strip()
    if name in ("sam", "u2net_cloth_seg"):
        raise Unfit(f"{name} tells no subject from its background: preprocess.find masks what a text names.")
    return f"{name}.onnx"


def _matte(site: Site, model: Any, image: str = "image", clean: bool = False) -> Part:
    part = Part(_MATTE, {"model": model, "clean_edges": clean})
    site.put(part, "image", image)
    return part


def by_session(site: Site) -> Made:
    """ImageRemoveBackground+ of the essentials: its network is that of another node."""
    session = site.giver(site.wire("rembg_session"))
    if session is None or session.node.type != "RemBGSession+":
        raise Unfit("The network that it is given is not known here.")
    site.approximate("What is left out is transparent here, not black.")
    return one(_matte(site, _of_rembg(session.typed("model", "u2net"))), "image", "mask")


def of_was(site: Site) -> Made:
    """Image Rembg of the WAS suite: an image, over a colour or not, or the mask as one."""
    part = _matte(site, _of_rembg(site.typed("model", "u2net")), "images", site.typed("alpha_matting", False) is True)
    told(site, "model", "images", "transparency", "only_mask", "alpha_matting", "background_color")
    if site.typed("only_mask", False):
        shown = Part("image.from_mask", {}, {"mask": Ref("matte", "mask")})
        return Made({"": shown, "matte": part}, [Ref("", "image")])
    colour = _COLOURS.get(str(site.typed("background_color", "none")))
    if colour is None and not site.typed("transparency", True):
        colour = _COLOURS["black"]
    return _over(part, colour, ["image"])


def _over(part: Part, colour: str | None, outputs: list[str | None]) -> Made:
    """The matte with its image over a colour, where there is one."""
    if colour is None:
        return one(part, *outputs)
    ground = Part("image.flatten", {"background": colour}, {"image": Ref("matte", "image")})
    refs = [Ref("", "image") if name == "image" else Ref("matte", name) if name else None for name in outputs]
    return Made({"": ground, "matte": part}, list(refs))


def of_bria(site: Site) -> Made:
    return one(_matte(site, _BRIA["RMBG-1.4"]), "image", "mask")


def rmbg(site: Site) -> Made:
    """RMBG of ComfyUI-RMBG, with the networks of BRIA."""
    name = str(site.typed("model", "RMBG-2.0"))
    if name not in _BRIA or site.wire("model"):
        raise Unfit(f"There is no network {name!r} here: choose an ONNX file in mask.matte.")
    part = _matte(site, _BRIA[name], clean=site.typed("refine_foreground", False) is True)
    told(site, "image", "model", "refine_foreground", "background", "background_color", "process_res")
    written = re.match(r"#[0-9a-fA-F]{6}", str(site.typed("background_color", "#222222")))
    colour = (written[0] if written else "#222222") if site.typed("background", "Alpha") == "Color" else None
    made = _over(part, colour, ["image", "mask", None])
    if site.takes(2):
        source = Ref("matte" if "matte" in made.parts else "", "mask")
        made.parts["shown"] = Part("image.from_mask", {}, {"mask": source})
        made.outputs[2] = Ref("shown", "image")
    return made


def of_comfyui(site: Site) -> Made:
    """ComfyUI's own RemoveBackground, whose network is a BiRefNet."""
    site.approximate("BiRefNet is read as ONNX here; a .safetensors of it is not.")
    return one(_matte(site, _BIREFNET), "mask")


def only_into(taker: str) -> Rule:
    """A node that loads the network of another one: taken into that."""

    def rule(site: Site) -> Made:
        if set(site.takers()) <= {taker}:
            return Made({}, [None])
        raise Unfit("What takes it is not known here.")

    return rule


RULES: dict[str, Rule] = {
    "ImageRemoveBackground+": by_session,
    "RemBGSession+": only_into("ImageRemoveBackground+"),
    "Image Rembg (Remove Background)": of_was,
    "BRIA_RMBG_Zho": of_bria,
    "BRIA_RMBG_ModelLoader_Zho": only_into("BRIA_RMBG_Zho"),
    "RMBG": rmbg,
    "RemoveBackground": of_comfyui,
    "LoadBackgroundRemovalModel": only_into("RemoveBackground"),
}
