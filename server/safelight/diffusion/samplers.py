"""The samplers: names, the diffusers scheduler behind each, and which schedulers it goes with.

Sources: Euler and Heun after Karras et al. 2022 (https://arxiv.org/abs/2206.00364); DDIM, Song et al. 2020; DDPM, Ho
et al. 2020; DPM-Solver++, Lu et al. 2022 (https://arxiv.org/abs/2211.01095); UniPC, Zhao et al. 2023; DEIS, Zhang and
Chen 2022; PNDM, Liu et al. 2022; LCM, Luo et al. 2023; TCD, Zheng et al. 2024. The arithmetic is that of diffusers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pkgutil import resolve_name
from typing import Any, Literal, get_args

from safelight.sdk import Problem, ProblemError
from safelight.sdk.installed import installed
from safelight.sdk.problem import did_you_mean

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
Scheduler = Literal["model", "karras", "exponential", "beta", "linspace", "leading", "trailing"]

SIGMA_SCHEDULERS: tuple[str, ...] = ("karras", "exponential", "beta")
STEP_SCHEDULERS: tuple[str, ...] = ("linspace", "leading", "trailing")
_ALL: tuple[str, ...] = ("model", *SIGMA_SCHEDULERS, *STEP_SCHEDULERS)
_STEPS_ONLY: tuple[str, ...] = ("model", *STEP_SCHEDULERS)


@dataclass(frozen=True)
class SamplerKind:
    """One row of the table.

    `method` is the class that makes the steps: one of diffusers by name, or `module:Class` with the same interface.
    `schedulers` are those it goes with; those that packs register go with all that have karras. `noise` says where the
    noise of a step comes from: `none`, `generator` (a normal draw a step) or `brownian` (a Brownian path over the
    sigmas). `exploding` is True where the scheduler works on `x0 + sigma * noise`, False where it keeps the variance at
    one. `stages` is the number of model calls a step takes, `midpoint` that the second is made between two sigmas of
    the schedule. `starts_anywhere` is False for schedulers whose warm-up goes wrong in diffusers unless it begins with
    the first step; see `plan_steps`. `predictions` are the kinds of model output it understands, `arguments` go to each
    step.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    schedulers: tuple[str, ...] = _STEPS_ONLY
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


SAMPLER_GROUP = "safelight.samplers"
SCHEDULER_GROUP = "safelight.schedulers"
"""Entry point groups under which installed distributions name a `SamplerKind`, and a `NoiseLevels`."""

NoiseLevels = Callable[[float, float, int], Sequence[float]]
"""A scheduler of a pack: from the least and the greatest sigma of a model and a number of steps to as many sigmas, from
the greatest to the least. The zero that a schedule ends with is not among them."""


def sampler_names() -> tuple[str, ...]:
    """The samplers that there are: those above, and those that packs register. Nothing of a pack is imported."""
    return get_args(Sampler) + _registered(SAMPLER_GROUP, get_args(Sampler))


def scheduler_names() -> tuple[str, ...]:
    return get_args(Scheduler) + _registered(SCHEDULER_GROUP, get_args(Scheduler))


def find_sampler(name: str) -> SamplerKind:
    """The row of a sampler.

    Raises:
        ProblemError: `sampler_unknown`, when there is none of that name, or its pack does not load.
    """
    if name in SAMPLERS:
        return SAMPLERS[name]
    found = _loaded(SAMPLER_GROUP, name, "sampler", sampler_names())
    if isinstance(found, SamplerKind):
        return found
    raise _unknown("sampler", name, f"The sampler {name!r} of a pack is no SamplerKind.", "Tell its authors.")


def _registered(group: str, taken: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({point.name for point in installed(group)} - set(taken)))


def _loaded(group: str, name: str, what: str, known: Sequence[str]) -> Any:
    points = [point for point in installed(group) if point.name == name]
    if not points:
        hint = did_you_mean(name, known) or f"There are {', '.join(known)}; others come with packs."
        raise _unknown(what, name, f"There is no {what} {name!r} in this installation.", hint)
    try:
        return points[0].load()
    except Exception as error:  # a pack is foreign code
        message = f"The {what} {name!r} of a pack does not load: {type(error).__name__}: {error}"
        raise _unknown(what, name, message, "Install what it needs, or tell its authors.") from error


def _unknown(what: str, name: str, message: str, hint: str) -> ProblemError:
    return ProblemError(Problem(code=f"{what}_unknown", message=message, hint=hint, port=what, value=name))


def make_scheduler(settings: Mapping[str, Any], sampler: str, scheduler: str, levels: NoiseLevels | None = None) -> Any:
    """A diffusers scheduler for a model's `scheduler_config.json`, as swapping it into the pipeline makes it.

    Two settings differ from `from_config` where the model's file is silent: predictions are not clipped to -1..1
    (latents are not pixels), and PNDM starts with its linear multistep part, as all latent models have it. `levels`
    take the place of the scheduler.

    Raises:
        ProblemError: the sampler does not go with the scheduler, or cannot use the model's kind of prediction.
    """
    kind = find_sampler(sampler)
    if levels is not None:
        scheduler = "given sigmas"
    elif scheduler not in get_args(Scheduler):
        levels = _loaded(SCHEDULER_GROUP, scheduler, "scheduler", scheduler_names())
    problems: list[Problem] = []
    wanted = scheduler if levels is None else "karras"
    if wanted not in kind.schedulers:
        others = [name for name, other in SAMPLERS.items() if wanted in other.schedulers]
        problems.append(
            Problem(
                code="scheduler_not_offered",
                message=f"The sampler {sampler} does not go with the scheduler {scheduler}.",
                hint=f"With {sampler}: {', '.join(kind.schedulers)}. With {scheduler}: {', '.join(others)}.",
                port="scheduler",
                value=scheduler,
            )
        )
    prediction = predicts(settings)
    if prediction not in kind.predictions:
        others = [name for name, other in SAMPLERS.items() if prediction in other.predictions]
        problems.append(
            Problem(
                code="sampler_not_for_model",
                message=f"The sampler {sampler} cannot be used with a model that predicts {prediction!r}.",
                hint=f"Choose one of {', '.join(others)}." if others else "No sampler here can; use another model.",
                port="sampler",
                value=sampler,
            )
        )
    if problems:
        raise ProblemError(problems)
    cls = _method(kind)
    unset = settings.get("_use_default_values", ())
    options = {"clip_sample": False, **{key: settings[key] for key in settings if key not in unset}, **kind.options}
    if wanted != "model":
        options.update({f"use_{name}_sigmas": name == wanted for name in SIGMA_SCHEDULERS})
    if wanted in STEP_SCHEDULERS:
        options["timestep_spacing"] = wanted
    known = inspect.signature(cls.__init__).parameters
    made = cls(**{key: value for key, value in options.items() if key in known and key != "self"})
    if levels is not None:
        made._convert_to_karras = partial(_levels_of, levels, scheduler, made)
    return made


def predicts(settings: Mapping[str, Any]) -> str:
    """What a model predicts by the settings of its schedule: `epsilon`, `v_prediction`, `sample`, `flow_prediction`."""
    if str(settings.get("_class_name", "")).startswith("FlowMatch") or settings.get("use_flow_sigmas"):
        return "flow_prediction"
    return settings.get("prediction_type", "epsilon")


def _method(kind: SamplerKind) -> Any:
    if ":" in kind.method:
        return resolve_name(kind.method)
    import diffusers

    found = getattr(diffusers, kind.method, None)
    if found is None:
        message = f"The installed diffusers {diffusers.__version__} has no scheduler {kind.method!r}."
        raise _unknown("sampler", kind.method, message, "Tell the authors of its pack; choose another sampler.")
    return found


def _levels_of(levels: NoiseLevels, name: str, method: Any, in_sigmas: Any, num_inference_steps: int = 0) -> Any:
    """Stands in for the sigmas of Karras in the schedulers of diffusers, which then find the timesteps that go with it.

    Raises:
        ProblemError: `scheduler_faulty`, when a pack gives no schedule.
    """
    import numpy

    count = num_inference_steps or method.num_inference_steps
    low, high = float(min(in_sigmas)), float(max(in_sigmas))
    hint = "Tell the authors of its pack; choose another one."
    try:
        found = numpy.array([float(sigma) for sigma in levels(low, high, count)], dtype=numpy.float64)
    except Exception as error:  # a pack is foreign code
        message = f"The scheduler {name!r} failed for {count} steps: {type(error).__name__}: {error}"
        problem = Problem(code="scheduler_faulty", message=message[:1000], hint=hint, port="scheduler", value=name)
        raise ProblemError(problem) from error
    falls = bool((found[:-1] > found[1:]).all()) and bool(numpy.isfinite(found).all()) and found.min(initial=1.0) > 0
    if len(found) == count and falls:
        return found
    message = f"The scheduler {name!r} gave {len(found)} sigmas for {count} steps, or some that do not fall towards 0."
    raise ProblemError(Problem(code="scheduler_faulty", message=message, hint=hint, port="scheduler", value=name))
