"""What suits a model: the family's own settings, or those of models that were distilled for few steps.

Sources: LCM, Luo et al. 2023, https://arxiv.org/abs/2310.04378; Turbo, Sauer et al. 2023,
https://arxiv.org/abs/2311.17042; Lightning, Lin et al. 2024, https://arxiv.org/abs/2402.13929; Hyper-SD, Ren et al.
2024, https://arxiv.org/abs/2404.13686, which samples with TCD, Zheng et al. 2024, https://arxiv.org/abs/2402.19159.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safelight.sdk import Presets

if TYPE_CHECKING:
    from safelight.families.base import Held

    from .generation import Generation

FEW_STEPS = "few_steps"
"""The setting of a component whose file says that it was distilled: with which method."""

_METHODS = re.compile(r"(?<![a-z])(turbo|lightning|hyper|lcm)(?![a-z])")
_SAMPLERS = {
    "EulerDiscreteScheduler": "euler",
    "EulerAncestralDiscreteScheduler": "euler_ancestral",
    "DDIMScheduler": "ddim",
}
_OWN = {"turbo": "euler_ancestral", "lightning": "euler", "hyper": "tcd", "lcm": "lcm"}


def method_in(text: str) -> str:
    """The method of distillation that a text names; empty when it names none."""
    found = _METHODS.search(text.lower().replace("_", " "))
    return found[1] if found else ""


def told_by(metadata: Mapping[str, str]) -> dict[str, str]:
    """The settings that a file's metadata gives (https://github.com/Stability-AI/ModelSpec)."""
    method = method_in(" ".join(metadata.get(f"modelspec.{field}", "") for field in ("architecture", "title")))
    return {FEW_STEPS: method} if method else {}


def presets_of(family: Generation, held: Held, scheduler: Mapping[str, Any]) -> Presets:
    """What suits a model in memory. Its scheduler or its metadata tells; its name alone is a hint, and only said."""
    own, made = family.presets, str(scheduler.get("_class_name", ""))
    if made == "LCMScheduler":
        # It takes the guidance as an input, or has it learned for good.
        embedded = held.modules["unet"].config.time_cond_proj_dim
        return _few(own, "lcm", "model", 8.0 if embedded else 1.0, "its scheduler is LCM")
    if made == "TCDScheduler":
        return _few(own, "tcd", "model", 1.0, "its scheduler is TCD")
    told = str(held.settings.get(FEW_STEPS, ""))
    if told:
        sampler = _OWN[told]
        scheduler_name = "model" if sampler in ("tcd", "lcm") else "trailing"
        return _few(own, sampler, scheduler_name, 1.0, f"its file says {told}")
    # Trailing timesteps are those of distilled models, or of such as were trained from pure noise on.
    last = scheduler.get("timestep_spacing") == "trailing" and not scheduler.get("rescale_betas_zero_snr")
    if last and made in _SAMPLERS and scheduler.get("prediction_type", "epsilon") == "epsilon":
        return _few(own, _SAMPLERS[made], "trailing", 1.0, "its scheduler begins with the last timestep")
    hint = method_in(held.ref.source.name)
    if not hint:
        return own
    return replace(
        own,
        note=f"The name of {held.ref.source.name} says {hint}, and nothing in its files does: auto takes {own.steps} "
        f"steps and guidance {own.guidance:g}. If it was distilled, choose 4 to 8 steps, guidance 1 and "
        f"{_OWN[hint]}.",
    )


def _few(own: Presets, sampler: str, scheduler: str, guidance: float, why: str) -> Presets:
    note = f"This model was distilled for few steps ({why}): auto takes 4 steps, guidance {guidance:g} and {sampler}."
    return replace(own, steps=4, guidance=guidance, sampler=sampler, scheduler=scheduler, note=note)
