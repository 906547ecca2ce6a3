"""What a training step computes with."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from safelight.sdk import Context, ModelRef, Problem, ProblemError


@contextmanager
def half_precision(device: Any, dtype: Any) -> Iterator[None]:
    """Multiplies matrices in `dtype` inside the block, if that is a half precision; weights stay in float32."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with ExitStack() as stack:
        if dtype != torch.float32:
            stack.enter_context(torch.autocast(device.type, dtype))
        if device.type == "cpu":
            # The backward pass of the fused kernel is slow for few tokens: plain attention made a step 17 % faster.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield


def own_copy(ctx: Context, ref: ModelRef[Any], port: str) -> Any:
    """A float32 copy of a model that may be changed, with its lease's `device` and `settings` as attributes.

    Raises:
        ProblemError: `patched_model`, when a LoRA lies on it.
    """
    if ref.patches:
        raise ProblemError(
            Problem(
                code="patched_model",
                message="A LoRA lies on this model, and training would not know which of the two to change.",
                hint="Connect the model as it was loaded.",
                port=port,
            )
        )
    with ctx.models.lease(replace(ref, precision="float32")) as lease:
        return Copied(copy.deepcopy(lease.component), lease.device, dict(lease.settings))


class Copied:
    """What `own_copy` gives."""

    def __init__(self, component: Any, device: Any, settings: dict[str, Any]) -> None:
        self.component, self.device, self.settings = component, device, settings
