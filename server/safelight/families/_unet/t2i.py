"""T2I-Adapters in one file, in the layout of the original release or in that of diffusers.

Such a file holds weights alone; its configuration is computed from their shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from safelight.families._original.names import count
from safelight.families.base import Files, Loaded
from safelight.families.files import Header
from safelight.sdk.problem import Problem, ProblemError

_PREFIX = "adapter."
_FIRST = (f"{_PREFIX}conv_in.weight", f"{_PREFIX}body.0.in_conv.weight")
_RESNETS = 2
"""Residual blocks of a level of the full kinds; the original layout numbers them through."""
_WIDE = 256
"""Pixels that a cell of those for Stable Diffusion XL is made of; 64 for the others. Images have 3 channels or 1."""


_MARKS = (f"{_PREFIX}body.0.resnets.0.block1.weight", "body.0.block1.weight", "body.0.body.0.block1.weight")


def is_one(header: Header) -> bool:
    return any(mark in header.tensors for mark in _MARKS)


def is_wide(name: str, header: Header) -> bool:
    """Whether it is for Stable Diffusion XL.

    Raises:
        ProblemError: its first layer, which tells, is not there.
    """
    shapes = _renamed({key: header.shape(key) for key in header.tensors})
    first = next((shapes[key] for key in _FIRST if key in shapes), None)
    if first is None:
        raise _incomplete(name, _FIRST[0])
    return first[1:2] in ((_WIDE,), (3 * _WIDE,))


def load(files: Files) -> Loaded:
    """Raises ProblemError: weights are missing, or of other shapes than the rest of the file tells."""
    from diffusers.models.adapter import T2IAdapter

    named = _renamed(files.tensors())
    try:
        config = configuration({name: tuple(tensor.shape) for name, tensor in named.items()})
    except KeyError as error:
        raise _incomplete(files.name, error.args[0]) from error
    return Loaded({"controlnet": files.filled(lambda: T2IAdapter(**config), named)})


def configuration(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """By the names of diffusers. Raises KeyError: a weight is not there that every one has."""
    levels = count(shapes, "adapter.body.")
    resnets = count(shapes, "adapter.body.0.resnets.")
    light = "adapter.body.0.out_conv.weight" in shapes
    taken = shapes[_FIRST[1 if light else 0]][1]
    wide = taken in (_WIDE, 3 * _WIDE)
    if light:
        # The last block is as wide as the one before.
        channels = [shapes[f"adapter.body.{level}.out_conv.weight"][0] for level in range(levels - 1)]
    else:
        channels = [shapes[f"adapter.body.{level}.resnets.0.block1.weight"][0] for level in range(levels)]
    step = 16 if wide else 8
    return {
        "in_channels": taken // step**2,
        "channels": channels,
        "num_res_blocks": resnets,
        "downscale_factor": step,
        "adapter_type": "light_adapter" if light else "full_adapter_xl" if wide else "full_adapter",
    }


def _renamed(given: Mapping[str, Any]) -> dict[str, Any]:
    """By the names of diffusers, whichever layout they are in."""
    if any(name.startswith(_PREFIX) for name in given):
        return dict(given)
    light = any(name.endswith(".out_conv.weight") for name in given)
    return {_PREFIX + (_light(name) if light else _full(name)): tensor for name, tensor in given.items()}


def _light(name: str) -> str:
    return re.sub(r"^(body\.\d+)\.body\.", r"\1.resnets.", name)


def _full(name: str) -> str:
    found = re.fullmatch(r"body\.(\d+)\.(.+)", name)
    if not found:
        return name
    level, place = divmod(int(found[1]), _RESNETS)
    return f"body.{level}.{found[2]}" if "in_conv" in name else f"body.{level}.resnets.{place}.{found[2]}"


def _incomplete(name: str, lacking: str) -> ProblemError:
    message = f"The T2I-Adapter {name} lacks weights that every one has: {lacking}."
    return ProblemError(
        Problem(code="model_incomplete", message=message, hint="Copy or download it again.", value=name)
    )
