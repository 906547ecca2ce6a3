"""Loaders, LoRAs, prompts and what is said of them."""

from __future__ import annotations

from ..rules import models as theirs
from ..rules.base import TwoWay, Unfit, named
from ..rules.conditioning import BIG
from ..rules.prompts import unprompt
from .base import Own, Piece, Rule, Source, Spot, Written, one

_LOADERS = frozenset({"models.load", "models.load_denoiser", "models.load_text_encoders"})


def _file(spot: Spot, piece: Piece, name: str, port: str, folder: TwoWay) -> None:
    """A model file by ComfyUI's name of it. What is no file of its folder is named all the same, and told."""
    value = str(spot.value(port) or "")
    try:
        folder.back(value)
    except Unfit as unfit:
        spot.stand_in(piece, {name: value.rsplit("/", 1)[-1]}, [port], f"{port} = {value!r}: {unfit}")
    else:
        spot.put(piece, name, port, folder.back)


def load(spot: Spot) -> Written:
    piece = Piece("CheckpointLoaderSimple")
    _file(spot, piece, "ckpt_name", "model", theirs.CHECKPOINT)
    return one(piece, "model", "text", "vae")


def load_denoiser(spot: Spot) -> Written:
    packed = str(spot.value("model")).lower().endswith(".gguf")
    piece = Piece("UnetLoaderGGUF") if packed else Piece("UNETLoader", {"weight_dtype": "default"})
    _file(spot, piece, "unet_name", "model", theirs.UNET)
    return one(piece, "model")


def load_text_encoders(spot: Spot) -> Written:
    ports = [port for port in ("first", "second", "third") if spot.value(port)]
    family = str(spot.value("family"))
    kind = next((name for name, ours in theirs.FAMILIES.items() if ours == family), None)
    if kind is None and len(ports) < 3:
        spot.remark("What the text encoders are for is not told: choose the type on the node.")
    if len(ports) < 2:
        piece = Piece("CLIPLoader", {"type": kind or "stable_diffusion"})
    else:
        piece = Piece("DualCLIPLoader", {"type": kind or "sdxl"}) if len(ports) == 2 else Piece("TripleCLIPLoader")
    for place, port in enumerate(ports):
        _file(spot, piece, f"clip_name{place + 1}" if len(ports) > 1 else "clip_name", port, theirs.CLIP)
    spot.told("second", "third", "family")
    return one(piece, "model")


def load_vae(spot: Spot) -> Written:
    piece = Piece("VAELoader")
    _file(spot, piece, "vae_name", "vae", theirs.VAE)
    return one(piece, "model")


def apply_lora(spot: Spot) -> Written:
    piece = Piece("LoraLoader")
    _file(spot, piece, "lora_name", "lora", theirs.LORA)
    for name, port in (("model", "model"), ("clip", "text"), ("strength_model", "weight")):
        spot.put(piece, name, port)
    spot.put(piece, "strength_clip", "text_weight")
    return one(piece, "model", "text")


def set_prediction(spot: Spot) -> Written:
    kinds = {"noise": "eps", "velocity": "v_prediction"}
    kind = kinds.get(str(spot.value("prediction")))
    if kind is None:
        raise Unfit("ComfyUI has no such prediction to choose.")
    piece = Piece("ModelSamplingDiscrete", {"sampling": kind, "zsnr": bool(spot.value("zero_snr"))})
    spot.told("prediction", "zero_snr")
    spot.put(piece, "model", "model")
    return one(piece, "model")


def encode(spot: Spot) -> Written:
    """A prompt; its clip skip is a node of its own there."""
    piece = Piece("CLIPTextEncode")
    spot.put(piece, "text", "text", unprompt)
    spot.put(piece, "clip", "encoder")
    pieces = {"": piece}
    skip = spot.value("clip_skip")
    spot.told("clip_skip")
    if isinstance(skip, int) and skip > 0:
        big = any(mark in _model_of(spot, "encoder").lower() for mark in BIG)
        last = Piece("CLIPSetLastLayer", {"stop_at_clip_layer": -skip - (2 if big else 1)})
        spot.put(last, "clip", "encoder")
        piece.wires["clip"] = Own("skip", 0)
        pieces["skip"] = last
    return Written(pieces, {"conditioning": Own("", 0)})


def _model_of(spot: Spot, port: str) -> str:
    """The name of the model that something comes from, behind what is put on it."""
    seen: set[int] = set()
    at = spot.giver(spot.source(port))
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if at.type in _LOADERS:
            return str(at.value("first" if at.type == "models.load_text_encoders" else "model") or "")
        at = at.giver(at.source("text") or at.source("model"))
    return ""


def takes_guidance(spot: Spot) -> bool:
    """Whether the model of a sampler takes its guidance as an input, as Flux.1 does: by the name of its file."""
    name = _model_of(spot, "model").lower()
    return "flux" in name and "schnell" not in name and "klein" not in name


def combine(spot: Spot) -> Written:
    """Two at a time there."""
    sources = [source for port in ("first", "second", "third", "fourth") if (source := spot.source(port))]
    pieces: dict[str, Piece] = {}
    before: Source | None = None
    for source in sources:
        if before is None:
            before = source
            continue
        key = "" if not pieces else f"with_{len(pieces) + 1}"
        pieces[key] = Piece("ConditioningCombine", {}, {"conditioning_1": before, "conditioning_2": source})
        before = Own(key, 0)
    return Written(pieces, {"conditioning": before})


def apply_controlnet(spot: Spot) -> Written:
    """On both prompts; on one, where no negative one is linked."""
    both = spot.source("negative") is not None
    piece = Piece("ControlNetApplyAdvanced" if both else "ControlNetApply")
    names = [("positive", "positive"), ("negative", "negative")] if both else [("conditioning", "positive")]
    names += [("control_net", "controlnet"), ("image", "image"), ("strength", "strength")]
    if both:
        names += [("vae", "vae"), ("start_percent", "start"), ("end_percent", "end")]
    for name, port in names:
        spot.put(piece, name, port)
    pieces = {"": piece}
    kind = str(spot.value("control_type"))
    if kind != "auto":
        from ..rules.adapters import UNION

        pieces["kind"] = Piece("SetUnionControlNetType", {"type": UNION.back(kind)})
        spot.put(pieces["kind"], "control_net", "controlnet")
        piece.wires["control_net"] = Own("kind", 0)
    spot.told("control_type")
    return Written(pieces, {"positive": Own("", 0), "negative": Own("", 1) if both else None})


def load_ip_adapter(spot: Spot) -> Written:
    piece = Piece("IPAdapterModelLoader")
    _file(spot, piece, "ipadapter_file", "adapter", named("ipadapter"))
    if spot.takes("encoder"):
        spot.remark("The image encoder of an IP-Adapter is a file of its own there: choose it in a CLIPVisionLoader.")
        seeing = Piece("CLIPVisionLoader", {"clip_name": "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors"})
        return Written({"": piece, "seeing": seeing}, {"adapter": Own("", 0), "encoder": Own("seeing", 0)})
    return one(piece, "adapter")


def apply_ip_adapter(spot: Spot) -> Written:
    """It stands on the model there: the sampler puts it on (see `sampling.adapted`), and the prompt only passes."""
    spot.told(*ADAPTER_PORTS)
    return Written({}, {"conditioning": spot.source("positive")})


ADAPTER_PORTS = ("positive", "adapter", "encoder", "image", "mask", "scale", "start", "end")

RULES: dict[str, Rule] = {
    "models.load": load,
    "models.load_denoiser": load_denoiser,
    "models.load_text_encoders": load_text_encoders,
    "models.load_vae": load_vae,
    "models.apply_lora": apply_lora,
    "models.set_prediction": set_prediction,
    "models.load_ip_adapter": load_ip_adapter,
    "text.encode": encode,
    "text.combine": combine,
    "controlnet.apply": apply_controlnet,
    "ip_adapter.apply": apply_ip_adapter,
}
