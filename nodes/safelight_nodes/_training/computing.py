"""What a training step computes with."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from safelight.sdk import Context, FamilyFacts, ImageEncoder, ModelRef, Problem, ProblemError

from .adapters import bare

_MANY = 32 * 32
"""Places of a latent above which plain attention, which keeps their square a head, costs more memory than the fused
kernel costs time."""


@contextmanager
def half_precision(device: Any, dtype: Any, latents: Any = None, *, fused: bool = False) -> Iterator[None]:
    """Multiplies matrices in `dtype` inside the block, if that is a half precision; weights stay in float32.

    `fused` leaves the choice of attention to torch. Gradient checkpointing needs that: what it computes again, it
    computes outside of the block. Large `latents` (B, C, h, w), where the block attends to some, have it so as well.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with ExitStack() as stack:
        if dtype != torch.float32:
            stack.enter_context(torch.autocast(device.type, dtype))
        large = latents is not None and math.prod(latents.shape[2:]) > _MANY
        if device.type == "cpu" and not fused and not large:
            # The backward pass of the fused kernel is slow for few tokens: plain attention made a step 17 % faster.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield


def cast(module: Any, *to: Any) -> Any:
    """A module on a device, in a precision; changed in place. Those of diffusers would warn of parts that are to
    stay in float32, and name none."""
    import torch

    return torch.nn.Module.to(module, *to)


@dataclass(frozen=True)
class Copied:
    """Modules of one's own, by part, and what the model they came from says beside them.

    `scheduler` are the settings of a denoiser's noise schedule, `tokenizers` those of text encoders; empty for others.
    """

    family: FamilyFacts
    modules: dict[str, Any]
    device: Any
    scheduler: dict[str, Any]
    tokenizers: tuple[Any, ...]

    @property
    def module(self) -> Any:
        """The first of them."""
        return next(iter(self.modules.values()))


def own_copy(ctx: Context, ref: ModelRef[Any], port: str) -> Copied:
    """A float32 copy of a model that may be changed.

    Raises:
        ProblemError: `patched_model`, when a LoRA or a motion module lies on it.
    """
    _require_plain(ref, port)
    with ctx.models.lease(replace(ref, precision="float32", wraps="")) as lease:
        found = lease.component
        scheduler, tokenizers = getattr(found, "scheduler", {}), getattr(found, "tokenizers", ())
        return Copied(found.family, _copies(found), lease.device, dict(scheduler), copy.deepcopy(tokenizers))


def own_image_encoder(ctx: Context, ref: ModelRef[ImageEncoder]) -> Any:
    """A float32 copy of an image encoder, a module of transformers, that may be changed."""
    with ctx.models.lease(replace(ref, precision="float32")) as lease:
        return bare(copy.deepcopy(lease.component.encoder)).cpu()


def own_model(ctx: Context, ref: ModelRef[Any], port: str) -> Any:
    """A leased denoiser or text encoder over copies of its modules, which may be changed and outlive the lease.

    Raises:
        ProblemError: `patched_model`, when a LoRA or a motion module lies on it.
    """
    _require_plain(ref, port)
    # Seamless convolutions are of a lease alone: layers that training adds would not be.
    with ctx.models.lease(replace(ref, wraps="")) as lease:
        return lease.component.over(_copies(lease.component))


def _copies(found: Any) -> dict[str, Any]:
    return {part: bare(copy.deepcopy(module)) for part, module in found.modules.items()}


def _require_plain(ref: ModelRef[Any], port: str) -> None:
    if ref.patches or ref.motion is not None:
        what = "LoRA" if ref.patches else "motion module"
        raise ProblemError(
            Problem(
                code="patched_model",
                message=f"A {what} lies on this model, and training would not know which of the two to change.",
                hint="Connect the model as it was loaded.",
                port=port,
            )
        )
