"""Ways of guidance, by the guiders of diffusers that do them.

Sources: APG, Sadat et al. 2024, https://arxiv.org/abs/2410.02416; TCFG, Kwon et al. 2025,
https://arxiv.org/abs/2503.18137; CFG-Zero*, Fan et al. 2025, https://arxiv.org/abs/2503.18886.

The guiders of diffusers 0.42 that leave out a layer hand the two streams of a left-out block on in the wrong order,
which makes another image without an error where their shapes allow it. So skip-layer guidance is our own
(`skip_layers`), for transformers that leave out layers by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safelight.diffusion.modular import made_quietly
from safelight.sdk import Guider

if TYPE_CHECKING:
    from safelight.sdk.leased import SampleRequest


def guider(request: SampleRequest, *, compared: bool) -> Any:
    """The guider of a run; `compared` says that there is a negative prompt to compare with."""
    from diffusers import guiders

    library: Any = guiders
    asked = request.guider or Guider("cfg")
    given: dict[str, Any] = {
        "guidance_scale": request.guidance,
        "guidance_rescale": request.rescale,
        "enabled": compared,
    }
    if asked.kind == "apg":
        given |= {
            "adaptive_projected_guidance_momentum": asked.momentum,
            "adaptive_projected_guidance_rescale": asked.norm,
            "eta": asked.parallel,
        }
    elif asked.kind == "cfg_zero":
        given["zero_init_steps"] = asked.zero_steps
    cls: Any = {
        "cfg": library.ClassifierFreeGuidance,
        "apg": library.AdaptiveProjectedGuidance,
        "tcfg": library.TangentialClassifierFreeGuidance,
        "cfg_zero": library.ClassifierFreeZeroStarGuidance,
    }[asked.kind]
    return made_quietly(lambda: cls(**given))
