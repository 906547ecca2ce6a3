"""Samplers and noise levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..rules.base import Unfit, pick
from ..rules.formulas import CLOSE, FORMULAS, SAMPLERS, SCHEDULERS
from .base import Own, Piece, Rule, Source, Spot, Written, one
from .models import takes_guidance

_SAMPLER, _SCHEDULER, _CLOSE = pick(SAMPLERS), pick(SCHEDULERS), pick(CLOSE)
_SMOOTH = 10_000
"""Levels of a ModelSamplingFlux."""
_STEPS, _GUIDANCE = 20, 7.0
"""What is written where a document leaves them to the model."""


def _common(spot: Spot, piece: Piece) -> dict[str, Piece]:
    """Model, prompts, latent and guidance; and the nodes that stand before the model and prompt."""
    for name, port in (("positive", "positive"), ("negative", "negative"), ("latent_image", "latent")):
        spot.put(piece, name, port)
    before, model = adapted(spot)
    model = _shifted(spot, before, model)
    if model is not None:
        piece.wires["model"] = model
    if spot.value("guidance_rescale"):
        before["rescale"] = Piece("RescaleCFG", {"multiplier": spot.value("guidance_rescale")})
        if model is not None:
            before["rescale"].wires["model"] = model
        piece.wires["model"] = Own("rescale", 0)
    if takes_guidance(spot) and "positive" in piece.wires:
        before["guidance"] = Piece("FluxGuidance", {}, {"conditioning": piece.wires["positive"]})
        _guidance(spot, before["guidance"], "guidance", 3.5)
        piece.wires["positive"] = Own("guidance", 0)
        piece.typed["cfg"] = 1.0
    else:
        _guidance(spot, piece, "cfg", _GUIDANCE)
    if "negative" not in piece.wires and "positive" in piece.wires:
        if piece.typed["cfg"] == 1 and "cfg" not in piece.wires:  # nothing looks at it
            piece.wires["negative"] = piece.wires["positive"]
        else:
            before["nothing"] = Piece("ConditioningZeroOut", {}, {"conditioning": piece.wires["positive"]})
            piece.wires["negative"] = Own("nothing", 0)
            spot.remark("No negative prompt is linked: an empty conditioning stands there.")
    spot.told("model", "guidance", "guidance_rescale", "auto_guidance")
    return before


def _guidance(spot: Spot, piece: Piece, name: str, otherwise: float) -> None:
    spot.put(piece, name, "guidance")
    if not spot.sources("guidance") and not spot.value("guidance"):
        why = f"guidance is left to the model here: {otherwise} is written."
        spot.stand_in(piece, {name: otherwise}, ["guidance"], why)


def _method(spot: Spot, piece: Piece, names: Sequence[str] = ("sampler_name", "scheduler"), via: str = "") -> None:
    """Sampler and scheduler, as far as the class names them: those of k-diffusion mean the same there, those of
    diffusers get the closest. `via` as `Spot.stand_in` has it."""
    exact = spot.value("formulas") == FORMULAS
    both = {
        "sampler_name": ("sampler", _SAMPLER, "euler"),
        "scheduler": ("scheduler", _SCHEDULER if exact else _CLOSE, "simple" if _flows(spot) else "normal"),
    }
    given = {name: both[name] for name in names}
    written: dict[str, Any] = {}
    told: list[str] = []
    for name, (port, table, otherwise) in given.items():
        value = spot.value(port)
        try:
            written[name] = table.back(value)
        except Unfit as unfit:
            written[name] = otherwise
            why = f"The {port} is left to the model here" if value == "auto" else f"{port} = {value!r}: {unfit}"
            told.append(f"{why.rstrip('.')}: {otherwise} is written.")
    if not exact:
        told.append("Its steps are those of diffusers here, and of k-diffusion there: the image is alike, not equal.")
    ports = [*(port for port, _, _ in given.values()), "formulas"]
    if told:
        spot.stand_in(piece, written, ports, " ".join(told), via)
    else:
        piece.typed |= written
    for name, (port, _, _) in given.items():
        source = spot.source(port)
        if source is not None:
            piece.wires[name] = source
    spot.told(*ports)


def _flows(spot: Spot) -> bool:
    return takes_guidance(spot) or bool(spot.value("shift"))


def _shifted(spot: Spot, pieces: dict[str, Piece], model: Source | None) -> Source | None:
    """The shift of a flow model, which is a node on the model there; and where the model comes from then."""
    shift, levels = spot.value("shift"), spot.value("flow_levels")
    if spot.sources("shift") or not shift or model is None:
        spot.told("flow_levels")
        return model
    if levels == _SMOOTH:
        same = math.log(float(shift))
        pieces["shift"] = Piece("ModelSamplingFlux", {"max_shift": same, "base_shift": same}, {"model": model})
        pieces["shift"].typed |= {"width": 1024, "height": 1024}
    else:
        pieces["shift"] = Piece("ModelSamplingSD3", {"shift": shift}, {"model": model})
    spot.told("shift", "flow_levels")
    return Own("shift", 0)


def _steps(spot: Spot, piece: Piece) -> None:
    spot.put(piece, "steps", "steps")
    if not spot.sources("steps") and not spot.value("steps"):
        spot.stand_in(piece, {"steps": _STEPS}, ["steps"], f"steps are left to the model here: {_STEPS} are written.")


def adapted(spot: Spot) -> tuple[dict[str, Piece], Source | None]:
    """The IP-Adapters of a sampler's prompt, put on its model; and where its model comes from then."""
    pieces: dict[str, Piece] = {}
    model: Source | None = spot.source("model")
    at = spot.giver(spot.source("positive"))
    found: list[Spot] = []
    while at is not None and len(found) < 100:
        if at.type == "ip_adapter.apply":
            found.append(at)
        at = at.giver(at.source("positive"))
    for adapter in reversed(found):
        key = f"adapter_{len(pieces) + 1}"
        piece = Piece("IPAdapterAdvanced", {"weight_type": "linear", "combine_embeds": "concat"})
        for name, port in (("ipadapter", "adapter"), ("image", "image"), ("clip_vision", "encoder")):
            adapter.put(piece, name, port)
        for name, port in (("weight", "scale"), ("start_at", "start"), ("end_at", "end"), ("attn_mask", "mask")):
            adapter.put(piece, name, port)
        piece.typed["embeds_scaling"] = "V only"
        if model is not None:
            piece.wires["model"] = model
        pieces[key] = piece
        model = Own(key, 0)
    return pieces, model


def sample(spot: Spot) -> Written:
    piece = Piece("KSampler")
    before = _common(spot, piece)
    _method(spot, piece)
    spot.put(piece, "seed", "seed")
    _steps(spot, piece)
    spot.put(piece, "denoise", "denoise")
    return Written({"": piece, **before}, {"latent": Own("", 0)})


def sample_part(spot: Spot) -> Written:
    piece = Piece("KSamplerAdvanced")
    before = _common(spot, piece)
    _method(spot, piece)
    spot.put(piece, "noise_seed", "seed")
    _steps(spot, piece)
    spot.put(piece, "start_at_step", "start_step")
    spot.put(piece, "end_at_step", "end_step")
    first = not spot.sources("start_step") and not spot.value("start_step")
    piece.typed["add_noise"] = "enable" if first else "disable"
    piece.typed["return_with_leftover_noise"] = "enable" if spot.value("leave_noise") else "disable"
    spot.told("leave_noise")
    return Written({"": piece, **before}, {"latent": Own("", 0)})


def custom(spot: Spot) -> Written:
    piece = Piece("SamplerCustom", {"add_noise": True})
    before = _common(spot, piece)
    spot.put(piece, "noise_seed", "seed")
    spot.put(piece, "sigmas", "sigmas")
    before["sampler"] = Piece("KSamplerSelect")
    _method(spot, before["sampler"], ["sampler_name"], via="sampler")
    piece.wires["sampler"] = Own("sampler", 0)
    return Written({"": piece, **before}, {"latent": Own("", 0)})


def make_sigmas(spot: Spot) -> Written:
    piece = Piece("BasicScheduler")
    spot.put(piece, "model", "model")
    pieces: dict[str, Piece] = {}
    model = _shifted(spot, pieces, spot.source("model"))
    if model is not None:
        piece.wires["model"] = model
    _steps(spot, piece)
    spot.put(piece, "denoise", "denoise")
    _method(spot, piece, ["scheduler"])
    if spot.value("sampler") is not None:
        spot.keep("sampler")  # a BasicScheduler knows the levels of every sampler
    return Written({"": piece, **pieces}, {"sigmas": Own("", 0)})


def curve(spot: Spot) -> Written:
    kinds = {"karras": "KarrasScheduler", "exponential": "ExponentialScheduler"}
    shape = str(spot.value("shape"))
    spot.told("shape")
    if shape not in kinds:
        raise Unfit(f"ComfyUI has no curve {shape!r}.")
    piece = Piece(kinds[shape])
    names = [("steps", "steps"), ("sigma_max", "highest"), ("sigma_min", "lowest")]
    for name, port in (*names, *([("rho", "rho")] if shape == "karras" else [])):
        spot.put(piece, name, port)
    return one(piece, "sigmas")


RULES: dict[str, Rule] = {
    "sampling.sample": sample,
    "sampling.sample_part": sample_part,
    "sampling.custom": custom,
    "sigmas.make": make_sigmas,
    "sigmas.curve": curve,
}
