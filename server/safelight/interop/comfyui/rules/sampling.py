"""Samplers, their noise, guiders and noise levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.sdk.widgets import LARGEST_SEED

from ...methods import SAMPLERS as OWN
from ..kept import kept_of
from .adapters import ADAPTED, adapted
from .base import Made, Part, Ref, Row, Rule, Site, Through, Unfit, one, told
from .formulas import FLOW, FORMULAS, SCHEDULERS, SKIPPING, method, shift

_CLASSES = {
    "SamplerEulerAncestral": "euler_ancestral",
    "SamplerDPMPP_2S_Ancestral": "dpmpp_2s_ancestral",
    "SamplerDPMPP_2M_SDE": "dpmpp_2m_sde",
    "SamplerDPMPP_3M_SDE": "dpmpp_3m_sde",
    "SamplerDPMPP_SDE": "dpmpp_sde",
    "SamplerER_SDE": "er_sde",
    "SamplerLMS": "lms",
}
"""Classes that are one sampler each."""
_EMBEDDED = 3.5
"""What ComfyUI gives to a Flux.1 that nobody told a guidance."""


def guidance(site: Site, part: Part, cfg: str | None, positive: str) -> None:
    """The guidance of a sampler: what is said of the prompt for models that take it as an input, else the cfg."""
    value = site.typed(cfg, 1.0) if cfg is not None else 1.0
    wired = cfg is not None and site.wire(cfg) is not None
    if wired or value != 1:
        site.put(part, "guidance", str(cfg))
        return
    told_by, embedded = _embedded(site, positive)
    if told_by is not None:
        told_by.put(part, "guidance", "guidance")
    else:
        part.values["guidance"] = _EMBEDDED if embedded else 1.0


def _embedded(site: Site, positive: str) -> tuple[Site | None, bool]:
    """Who says the guidance that the model takes as an input; and whether it is a model that takes one."""
    todo, seen = [site.giver(site.wire(positive))], set[str]()
    flux = False
    while todo:
        at = todo.pop()
        if at is None or at.node.id in seen:
            continue
        seen.add(at.node.id)
        if at.node.type in ("FluxGuidance", "CLIPTextEncodeFlux"):
            return at, True
        if at.node.type.startswith("DualCLIPLoader"):
            flux = flux or at.typed("type", "") == "flux"
        todo += [at.giver(wire) for name, wire in at.node.wires.items() if name in _UPWARDS]
    return None, flux


_UPWARDS = frozenset({"conditioning", "positive", "clip", "conditioning_to", "conditioning_1"})


def negative(site: Site, part: Part, name: str, cfg: str) -> None:
    """The negative prompt; none where nothing looks at it."""
    if site.typed(cfg, 8.0) == 1 and site.wire(cfg) is None:
        giver = site.giver(site.wire(name))
        if giver is not None and giver.node.type == "ConditioningZeroOut":
            return
    site.put(part, "negative", name)


def rescale(site: Site, part: Part, model: str = "model") -> None:
    """What a RescaleCFG on the model says, directly before the sampler."""
    giver = site.giver(site.wire(model))
    if giver is not None and giver.node.type == "RescaleCFG":
        giver.put(part, "guidance_rescale", "multiplier")


def sampled(site: Site, part: Part, guider: Site | None = None, beside: Mapping[str, Part] | None = None) -> Made:
    """The sampler with the adapters that its model was given: here they stand between the prompt and the sampler."""
    found = [one for one in (guider or site).upwards("model") if one.node.type in ADAPTED]
    parts = {"": part, **(beside or {})}
    away = _guided(guider or site)
    if away is not None:
        parts["guider"] = away
        part.inputs["guider"] = Ref("guider", "guider")
    for number, adapter in enumerate(reversed(found)):
        key = f"adapter_{number + 1}"
        parts[key] = adapted(adapter)
        prompt = part.inputs.get("positive")
        if prompt is not None:
            parts[key].inputs["positive"] = prompt
        part.inputs["positive"] = Ref(key, "conditioning")
    return Made(parts, [Ref("", "latent"), Ref("", "latent")])


def _guided(site: Site) -> Part | None:
    """What leads away from a worse prediction: a node on the model there, a guider here."""
    for at in site.upwards("model"):
        if at.node.type == "PerturbedAttentionGuidance":
            part = Part("sampling.guider", {"kind": "pag"})
            at.put(part, "pag_scale", "scale")
            return part
        if at.node.type in _SKIPPED:
            part = Part("sampling.guider", {"kind": "slg"})
            for port, name in (("slg_scale", "scale"), ("slg_start", "start_percent"), ("slg_end", "end_percent")):
                at.put(part, port, name)
            at.put(part, "slg_layers", "double_layers" if at.typed("double_layers") is not None else "layers")
            return part
    return None


_SKIPPED = frozenset({"SkipLayerGuidanceSD3", "SkipLayerGuidanceDiT"})


def seed(value: Any) -> int:
    number = int(value)
    if not 0 <= number <= LARGEST_SEED:
        raise Unfit("Seeds go from 0 to 2^64 - 1: it is 0 now.")
    return number


def sample(site: Site) -> Made:
    part = Part("sampling.sample")
    for port, name in (("model", "model"), ("positive", "positive"), ("latent", "latent_image")):
        site.put(part, port, name)
    negative(site, part, "negative", "cfg")
    site.put(part, "seed", "seed", seed)
    for port, name in (("steps", "steps"), ("denoise", "denoise")):
        site.put(part, port, name)
    guidance(site, part, "cfg", "positive")
    method(site, part, str(site.typed("sampler_name", "euler")), str(site.typed("scheduler", "normal")))
    shift(site, part)
    rescale(site, part)
    return sampled(site, part)


def sample_part(site: Site) -> Made:
    part = Part("sampling.sample_part")
    for port, name in (("model", "model"), ("positive", "positive"), ("latent", "latent_image")):
        site.put(part, port, name)
    negative(site, part, "negative", "cfg")
    site.put(part, "seed", "noise_seed", seed)
    for port, name in (("steps", "steps"), ("start_step", "start_at_step")):
        site.put(part, port, name)
    site.put(part, "end_step", "end_at_step", lambda value: min(int(value), 150))
    part.values["leave_noise"] = str(site.typed("return_with_leftover_noise", "disable")) == "enable"
    guidance(site, part, "cfg", "positive")
    method(site, part, str(site.typed("sampler_name", "euler")), str(site.typed("scheduler", "normal")))
    shift(site, part)
    rescale(site, part)
    return sampled(site, part)


def sample_custom(site: Site) -> Made:
    """SamplerCustom: sampler and levels over wires, the rest as in KSampler."""
    part, beside = _along(site)
    site.put(part, "model", "model")
    site.put(part, "positive", "positive")
    negative(site, part, "negative", "cfg")
    site.put(part, "seed", "noise_seed", seed)
    guidance(site, part, "cfg", "positive")
    rescale(site, part)
    return sampled(site, part, beside=beside)


def sample_advanced(site: Site) -> Made:
    """SamplerCustomAdvanced: noise, guider, sampler and levels over wires."""
    part, beside = _along(site)
    guider = site.giver(site.wire("guider"))
    if guider is None or guider.node.type not in ("CFGGuider", "BasicGuider"):
        kind = guider.node.type if guider is not None else "no"
        raise Unfit(f"It is guided by {kind}: only CFGGuider and BasicGuider have a counterpart.")
    guider.put(part, "model", "model")
    if guider.node.type == "BasicGuider":
        guider.put(part, "positive", "conditioning")
        guidance(guider, part, None, "conditioning")
    else:
        guider.put(part, "positive", "positive")
        negative(guider, part, "negative", "cfg")
        guidance(guider, part, "cfg", "positive")
        rescale(guider, part)
    noise = site.giver(site.wire("noise"))
    if noise is not None and noise.node.type == "RandomNoise":
        noise.put(part, "seed", "noise_seed", seed)
    elif noise is not None and noise.node.type != "DisableNoise":
        raise Unfit(f"Its noise comes from {noise.node.type}, which has no counterpart.")
    return sampled(site, part, guider, beside)


def _along(site: Site) -> tuple[Part, dict[str, Part]]:
    """A sampler along the levels that come in, and what stands beside it: by their scheduler where that is a model's
    own, else level by level, as those are that were a node of ours."""
    levels = site.giver(site.wire("sigmas"))
    chosen = site.giver(site.wire("sampler"))
    if chosen is None:
        raise Unfit("Its sampler comes from outside of the subgraph: put sampling.sample or sampling.custom there.")
    sampler = _named(chosen)
    beside: dict[str, Part] = {}
    if levels is None or levels.node.type not in _WHOLE or _ours(levels):
        part = Part("sampling.custom")
        site.put(part, "sigmas", "sigmas")
        method(site, part, sampler, None)
    elif levels.node.type in _BASIC and sampler in SKIPPING:
        part = Part("sampling.custom", {}, {"sigmas": Ref("sigmas", "sigmas")})
        beside["sigmas"] = _levels(levels)
        method(site, part, sampler, None)
    else:
        part = Part("sampling.sample")
        for port, name in (("steps", "steps"), ("denoise", "denoise")):
            levels.put(part, port, name)
        if levels.node.type in _BASIC:
            method(site, part, sampler, _spread(levels))
            shift(levels, part)
        elif sampler in OWN and not site.has(*FLOW):
            part.values["sampler"] = sampler
    site.put(part, "latent", "latent_image")
    return part, beside


def _ours(levels: Site) -> bool:
    """Whether levels were a node of ours, and are to be one again."""
    return kept_of(levels.node.raw).get("type") == "sigmas.make"


def _named(chosen: Site) -> str:
    """The name of the sampler that a node chooses."""
    name = _CLASSES.get(chosen.node.type) or str(chosen.typed("sampler_name", chosen.node.type))
    if name == "dpmpp_2m_sde" and chosen.typed("solver_type") == "heun":
        name = "dpmpp_2m_sde_heun"
    return f"{name}_gpu" if chosen.typed("noise_device") == "gpu" else name


_BASIC = frozenset({"BasicScheduler", "BetaSamplingScheduler"})
_WHOLE = _BASIC | {"Flux2Scheduler", "SDTurboScheduler", "LTXVScheduler"}


def _spread(levels: Site) -> str:
    """The scheduler that a node stands for."""
    if levels.node.type == "BasicScheduler":
        return str(levels.typed("scheduler", "normal"))
    told(levels, "steps")
    return "beta"


def _levels(site: Site) -> Part:
    part = Part("sigmas.make", {"formulas": FORMULAS})
    for port, name in (("model", "model"), ("steps", "steps"), ("denoise", "denoise")):
        site.put(part, port, name)
    spread = _spread(site)
    if spread in SCHEDULERS:
        part.values["scheduler"] = spread
    else:
        site.approximate(f"There is no scheduler {spread!r} here: what suits the model is taken.")
    shift(site, part)
    return part


def levels(site: Site) -> Made:
    """A scheduler: a part of the sampler that takes it, or a node of its own where its levels are changed before."""
    merged = site.takers() and all(taker in ("SamplerCustom", "SamplerCustomAdvanced") for taker in site.takers())
    if merged and not _ours(site):
        return Made({}, [None])
    if site.node.type not in _BASIC:
        raise Unfit("Its levels are made by a formula that has no counterpart.")
    return one(_levels(site), "sigmas")


def curve(shape: str) -> Rule:
    def rule(site: Site) -> Made:
        part = Part("sigmas.curve", {"shape": shape})
        for port, name in (("steps", "steps"), ("highest", "sigma_max"), ("lowest", "sigma_min")):
            site.put(part, port, name)
        if shape == "karras":
            site.put(part, "rho", "rho")
        else:
            told(site, "steps", "sigma_max", "sigma_min")
        return one(part, "sigmas")

    return rule


def numbers(site: Site) -> Made:
    part = Part("sigmas.from_numbers")
    site.put(part, "numbers", "sigmas", _numbers)
    return one(part, "sigmas")


def _numbers(value: Any) -> list[float]:
    try:
        return [float(piece) for piece in str(value).replace(";", ",").split(",") if piece.strip()]
    except ValueError as error:
        raise Unfit(f"{value!r} is no list of numbers.") from error


def gone(site: Site) -> Made:
    """Taken into the sampler that it leads to."""
    if site.node.type in _CLASSES:
        told(site, "solver_type", "noise_device")
    return Made({}, [None])


def on_model(site: Site) -> Made:
    """What a node sets on the model is set on the sampler here."""
    return Made({}, [site.wire("model")])


RULES: dict[str, Rule] = {
    "KSampler": sample,
    "KSamplerAdvanced": sample_part,
    "SamplerCustom": sample_custom,
    "SamplerCustomAdvanced": sample_advanced,
    "KSamplerSelect": gone,
    **dict.fromkeys(_CLASSES, gone),
    "RandomNoise": gone,
    "DisableNoise": gone,
    "CFGGuider": gone,
    "BasicGuider": gone,
    "RescaleCFG": on_model,
    **dict.fromkeys((*_SKIPPED, "PerturbedAttentionGuidance"), on_model),
    "CFGNorm": Through(("model",), "Qwen-Image keeps the norm of its guidance by itself; other models do not."),
    "SkipLayerGuidanceDiTSimple": Through(
        ("model",), "What is led away from is predicted with all layers here; sampling.guider leaves some out (slg)."
    ),
    **dict.fromkeys(_WHOLE, levels),
    "KarrasScheduler": curve("karras"),
    "ExponentialScheduler": curve("exponential"),
    "ManualSigmas": numbers,
    "FlipSigmas": Row("sigmas.reverse", {"sigmas": "sigmas"}, ("sigmas",)),
    "SplitSigmas": Row("sigmas.split", {"sigmas": "sigmas", "step": "step"}, ("high", "low")),
}
