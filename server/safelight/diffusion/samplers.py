"""The samplers: names, the diffusers scheduler behind each, and which noise spacings it offers.

Sources: Euler and Heun after Karras et al. 2022 (https://arxiv.org/abs/2206.00364); DDIM, Song et al. 2020; DDPM, Ho
et al. 2020; DPM-Solver++, Lu et al. 2022 (https://arxiv.org/abs/2211.01095); UniPC, Zhao et al. 2023; DEIS, Zhang and
Chen 2022; PNDM, Liu et al. 2022; LCM, Luo et al. 2023; TCD, Zheng et al. 2024. The arithmetic is that of diffusers.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from safelight.sdk import Problem, ProblemError

Sampler = Literal[
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_3m_sde",
    "dpmpp_sde",
    "euler",
    "euler_ancestral",
    "heun",
    "dpm2",
    "dpm2_ancestral",
    "lms",
    "ddim",
    "ddpm",
    "pndm",
    "unipc",
    "deis",
    "lcm",
    "tcd",
]
Spacing = Literal["model", "karras", "exponential", "beta", "linspace", "leading", "trailing"]

SIGMA_SPACINGS: tuple[Spacing, ...] = ("karras", "exponential", "beta")
STEP_SPACINGS: tuple[Spacing, ...] = ("linspace", "leading", "trailing")
_ALL: tuple[Spacing, ...] = ("model", *SIGMA_SPACINGS, *STEP_SPACINGS)
_STEPS_ONLY: tuple[Spacing, ...] = ("model", *STEP_SPACINGS)


@dataclass(frozen=True)
class SamplerKind:
    """One row of the table.

    `noise` says where the noise of a step comes from: `none`, `generator` (a normal draw a step) or `brownian` (a
    Brownian path over the sigmas). `exploding` is True where the scheduler works on `x0 + sigma * noise`, False where
    it keeps the variance at one. `stages` is the number of model calls a step takes, `midpoint` that the second is made
    between two sigmas of the schedule. `starts_anywhere` is False for schedulers whose warm-up goes wrong in diffusers
    unless it begins with the first step; see `plan_steps`. `predictions` are the kinds of model output it understands,
    `arguments` go to each step.
    """

    scheduler: str
    options: Mapping[str, Any] = field(default_factory=dict)
    spacings: tuple[Spacing, ...] = _STEPS_ONLY
    noise: Literal["none", "generator", "brownian"] = "none"
    exploding: bool = False
    stages: int = 1
    midpoint: bool = False
    starts_anywhere: bool = True
    predictions: tuple[str, ...] = ("epsilon", "v_prediction", "sample")
    arguments: Mapping[str, Any] = field(default_factory=dict)


_PLUS = {"algorithm_type": "dpmsolver++", "solver_order": 2}
_PLUS_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}
_NO_SAMPLE = ("epsilon", "v_prediction")

SAMPLERS: dict[str, SamplerKind] = {
    "dpmpp_2m": SamplerKind("DPMSolverMultistepScheduler", _PLUS, _ALL),
    "dpmpp_2m_sde": SamplerKind("DPMSolverMultistepScheduler", _PLUS_SDE, _ALL, "generator"),
    "dpmpp_3m_sde": SamplerKind("DPMSolverMultistepScheduler", {**_PLUS_SDE, "solver_order": 3}, _ALL, "generator"),
    "dpmpp_sde": SamplerKind("DPMSolverSDEScheduler", {}, _ALL, "brownian", True, 2, True, predictions=_NO_SAMPLE),
    "euler": SamplerKind("EulerDiscreteScheduler", {}, _ALL, exploding=True),
    "euler_ancestral": SamplerKind(
        "EulerAncestralDiscreteScheduler", {}, _STEPS_ONLY, "generator", True, predictions=_NO_SAMPLE
    ),
    "heun": SamplerKind("HeunDiscreteScheduler", {}, _ALL, exploding=True, stages=2),
    "dpm2": SamplerKind(
        "KDPM2DiscreteScheduler", {}, _ALL, exploding=True, stages=2, midpoint=True, predictions=_NO_SAMPLE
    ),
    "dpm2_ancestral": SamplerKind(
        "KDPM2AncestralDiscreteScheduler", {}, _ALL, "generator", True, 2, True, predictions=_NO_SAMPLE
    ),
    "lms": SamplerKind("LMSDiscreteScheduler", {}, _ALL, exploding=True, starts_anywhere=False),
    "ddim": SamplerKind("DDIMScheduler"),
    "ddpm": SamplerKind("DDPMScheduler", {}, _STEPS_ONLY, "generator"),
    "pndm": SamplerKind("PNDMScheduler", {"skip_prk_steps": True}, starts_anywhere=False, predictions=_NO_SAMPLE),
    "unipc": SamplerKind("UniPCMultistepScheduler", {}, _ALL),
    "deis": SamplerKind("DEISMultistepScheduler", {"algorithm_type": "deis"}, _ALL),
    "lcm": SamplerKind("LCMScheduler", {}, ("model",), "generator"),
    "tcd": SamplerKind("TCDScheduler", {}, ("model",), "generator", arguments={"eta": 0.3}),
}


def make_scheduler(settings: Mapping[str, Any], sampler: Sampler, spacing: Spacing) -> Any:
    """A diffusers scheduler for a model's `scheduler_config.json`, as swapping it into the pipeline makes it.

    Two settings differ from `from_config` where the model's file is silent: predictions are not clipped to -1..1
    (latents are not pixels), and PNDM starts with its linear multistep part, as all latent models have it.

    Raises:
        ProblemError: the sampler does not offer the spacing, or cannot use the model's kind of prediction.
    """
    import diffusers

    kind = SAMPLERS[sampler]
    problems: list[Problem] = []
    if spacing not in kind.spacings:
        others = [name for name in get_args(Sampler) if spacing in SAMPLERS[name].spacings]
        problems.append(
            Problem(
                code="spacing_not_offered",
                message=f"The sampler {sampler} has no {spacing} spacing.",
                hint=f"With {sampler}: {', '.join(kind.spacings)}. With {spacing} spacing: {', '.join(others)}.",
                port="spacing",
                value=spacing,
            )
        )
    prediction = settings.get("prediction_type", "epsilon")
    if prediction not in kind.predictions:
        others = [name for name in get_args(Sampler) if prediction in SAMPLERS[name].predictions]
        problems.append(
            Problem(
                code="sampler_not_for_model",
                message=f"The sampler {sampler} cannot be used with a model that predicts {prediction!r}.",
                hint=f"Choose one of {', '.join(others)}.",
                port="sampler",
                value=sampler,
            )
        )
    if problems:
        raise ProblemError(problems)
    cls = getattr(diffusers, kind.scheduler)
    unset = settings.get("_use_default_values", ())
    options = {"clip_sample": False, **{key: settings[key] for key in settings if key not in unset}, **kind.options}
    if spacing != "model":
        options.update({f"use_{name}_sigmas": name == spacing for name in SIGMA_SPACINGS})
    if spacing in STEP_SPACINGS:
        options["timestep_spacing"] = spacing
    known = inspect.signature(cls.__init__).parameters
    return cls(**{key: value for key, value in options.items() if key in known and key != "self"})
