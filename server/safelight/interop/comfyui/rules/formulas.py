"""Samplers, schedulers and shifts: names of ComfyUI, and the settings here that mean the same mathematics."""

from __future__ import annotations

import math

from ...methods import takes
from .base import Part, Site

FORMULAS = "k-diffusion"
"""Whose mathematics the names of ComfyUI mean."""
SAMPLERS = {
    "euler": "euler",
    "euler_ancestral": "euler_ancestral",
    "heun": "heun",
    "dpm_2": "dpm2",
    "dpm_2_ancestral": "dpm2_ancestral",
    "lms": "lms",
    "dpmpp_2s_ancestral": "dpmpp_2s_ancestral",
    "dpmpp_sde": "dpmpp_sde",
    "dpmpp_sde_gpu": "dpmpp_sde",
    "dpmpp_2m": "dpmpp_2m",
    "dpmpp_2m_sde": "dpmpp_2m_sde",
    "dpmpp_2m_sde_gpu": "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun": "dpmpp_2m_sde_heun",
    "dpmpp_2m_sde_heun_gpu": "dpmpp_2m_sde_heun",
    "dpmpp_3m_sde": "dpmpp_3m_sde",
    "dpmpp_3m_sde_gpu": "dpmpp_3m_sde",
    "ddpm": "ddpm",
    "lcm": "lcm",
    "ipndm": "ipndm",
    "res_multistep": "res_multistep",
    "res_multistep_ancestral": "res_multistep_ancestral",
    "gradient_estimation": "gradient_estimation",
    "er_sde": "er_sde",
    "seeds_2": "seeds_2",
    "ddim": "ddim",
    "uni_pc": "unipc",
    "uni_pc_bh2": "unipc_bh2",
}
SKIPPING = ("dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2")
"""Samplers that leave out a level where KSampler chooses the levels, and not where a BasicScheduler does."""
CLOSE = {
    "normal": "linspace",
    "karras": "karras",
    "exponential": "exponential",
    "sgm_uniform": "trailing",
    "simple": "trailing",
    "ddim_uniform": "leading",
    "beta": "beta",
}
"""The schedulers of diffusers that are closest, for the samplers that only those have."""
SCHEDULERS = {name: name for name in (*CLOSE, "linear_quadratic", "kl_optimal")}
FLOW = (
    *("ModelSamplingSD3", "ModelSamplingFlux", "ModelSamplingAuraFlow", "EmptySD3LatentImage", "FluxGuidance"),
    *("EmptyFlux2LatentImage", "EmptyHunyuanLatentVideo", "Wan22ImageToVideoLatent", "WanImageToVideo"),
    *("LTXVConditioning", "LTXVImgToVideo", "WanFirstLastFrameToVideo"),
    *("Flux2Scheduler", "EmptyLTXVLatentVideo", "TextEncodeQwenImageEdit", "TextEncodeQwenImageEditPlus"),
)
"""Nodes that stand beside models that predict a flow alone: those have no other sampler of diffusers than their own."""


def method(site: Site, part: Part, sampler: str, scheduler: str | None) -> None:
    """Sampler and scheduler by ComfyUI's mathematics; `scheduler` is None where the levels come in by themselves."""
    if sampler == "deis":
        _by_diffusers(site, part, sampler, scheduler)
        return
    part.values["formulas"] = FORMULAS
    ours = SAMPLERS.get(sampler)
    if ours is None:
        site.approximate(f"There is no sampler {sampler!r} here: the model's own is taken.")
    else:
        part.values["sampler"] = ours
    if sampler.endswith("_gpu"):
        site.approximate("Its noise is drawn on the CPU here, as without _gpu: the image is another one.")
    if scheduler in SCHEDULERS:
        part.values["scheduler"] = scheduler
    elif scheduler is not None:
        site.approximate(f"There is no scheduler {scheduler!r} here: what suits the model is taken.")


def _by_diffusers(site: Site, part: Part, sampler: str, scheduler: str | None) -> None:
    """A sampler that diffusers alone has here, with the closest scheduler: images are alike, not equal."""
    if site.has(*FLOW):
        return
    site.approximate(f"{sampler} and its steps are those of diffusers: the image is alike, not equal.")
    part.values["sampler"] = sampler
    if scheduler is None:
        return
    spread = CLOSE.get(scheduler)
    if spread is None:
        site.approximate(f"There is no scheduler {scheduler!r} here: what suits the model is taken.")
    elif takes(sampler, spread):
        part.values["scheduler"] = spread


def shift(site: Site, part: Part) -> None:
    """What the last node before on the model says of the levels of a flow: how far they are shifted, and how many there
    are."""
    if part.values.get("formulas") != FORMULAS:
        return
    for at in site.upwards("model"):
        if at.node.type in ("ModelSamplingSD3", "ModelSamplingAuraFlow"):
            at.put(part, "shift", "shift")
            part.values["flow_levels"] = 1000
            return
        if at.node.type == "ModelSamplingFlux":
            if any(at.wire(name) for name in ("max_shift", "base_shift", "width", "height")):
                site.approximate("The shift by size comes over a wire: set it at the sampler, as exp of mu.")
                return
            part.values["shift"] = _by_size(at)
            part.values["flow_levels"] = 10_000
            return


def _by_size(at: Site) -> float:
    """exp of mu, which lies on a line through the shifts for 256 and 4096 tokens of 16 x 16 pixels."""
    low, high = float(at.typed("base_shift", 0.5)), float(at.typed("max_shift", 1.15))
    tokens = float(at.typed("width", 1024)) * float(at.typed("height", 1024)) / 256
    return math.exp(low + (high - low) * (tokens - 256) / (4096 - 256))
