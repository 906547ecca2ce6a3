"""Motion modules of AnimateDiff: folders of diffusers, and files alone, in either layout.

A file alone says nothing but its weights. What their shapes do not tell (heads of the attention, groups of the
normalisation) is that of the published modules: 8 and 32.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from safelight.families.files import Header
from safelight.sdk.problem import Problem, ProblemError

from .files import empty, filled
from .headers import read_header
from .layout import Part, read_json
from .weights import Target, tensors

if TYPE_CHECKING:
    from torch import Tensor

_RENAMED = (
    (".temporal_transformer", ""),
    (".attention_blocks.0.pos_encoder", ".pos_embed"),
    (".attention_blocks.0", ".attn1"),
    (".attention_blocks.1", ".attn2"),
    (".norms.0", ".norm1"),
    (".norms.1", ".norm2"),
    (".ff_norm", ".norm3"),
)
"""Parts of names in AnimateDiff's own files, and in those of diffusers."""
_SECOND_PLACES = ".attention_blocks.1.pos_encoder"
"""The numbers of the frames' places again, which diffusers adds before either attention."""


def motion_name(name: str) -> str:
    """What a tensor of a motion module is called in diffusers; empty for one that it has no second time."""
    if _SECOND_PLACES in name:
        return ""
    for old, new in _RENAMED:
        name = name.replace(old, new)
    return name


def told(header: Header) -> dict[str, Any]:
    """The configuration of the motion module that a file holds, by the names of diffusers.

    Raises:
        KeyError: it lacks weights that every one has.
    """
    shapes = {motion_name(name): entry.shape for name, entry in header.tensors.items()}

    def count(pattern: str) -> int:
        found = [int(match[1]) for name in shapes if (match := re.match(pattern, name))]
        return max(found, default=-1) + 1

    def depths(block: str) -> tuple[int, ...]:
        inner = re.escape(f"{block}.motion_modules.")
        return tuple(
            count(rf"{inner}{layer}\.transformer_blocks\.(\d+)\.") for layer in range(count(rf"{inner}(\d+)\."))
        )

    blocks = [f"down_blocks.{number}" for number in range(count(r"down_blocks\.(\d+)\."))]
    middle = depths("mid_block")
    places = next((shape for name, shape in shapes.items() if name.endswith(".pos_embed.pe")), None)
    if places is None:
        raise KeyError("pos_embed.pe")
    by_block = tuple(depths(block) for block in blocks)
    return {
        "block_out_channels": tuple(shapes[f"{block}.motion_modules.0.proj_in.weight"][1] for block in blocks),
        "motion_layers_per_block": tuple(len(found) for found in by_block),
        "motion_transformer_layers_per_block": tuple(found[0] for found in by_block),
        "motion_mid_block_layers_per_block": len(middle) or 1,
        "motion_transformer_layers_per_mid_block": middle or 1,
        "motion_max_seq_length": places[1],
        "use_motion_mid_block": bool(middle),
    }


def load_motion(part: Part, target: Target) -> Any:
    """A motion module as diffusers' MotionAdapter.

    Raises:
        ProblemError: weights are missing, or do not fit the configuration.
    """
    from diffusers.models.unets.unet_motion_model import MotionAdapter

    shown = str(part.config.parent if part.config is not None else part.weights[0])
    given: dict[str, Tensor] = {motion_name(name): tensor for name, tensor in tensors(part.weights, target)}
    try:
        config = told(read_header(part.weights[0])) if part.config is None else read_json(part.config)
        made = empty(lambda: MotionAdapter.from_config(config))
    except (KeyError, ValueError, TypeError) as error:
        message = f"The motion module {shown} lacks what every one has: {str(error).strip(chr(39))}."
        hint = "Copy or download it again."
        raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=shown)) from error
    return filled(made, given.items(), target, shown)
