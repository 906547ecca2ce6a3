"""Motion modules beside a UNet: attention over the frames of a video, and nothing else of the UNet changed.

Source: Guo et al. 2023, https://arxiv.org/abs/2307.04725. A module stands behind every layer of every block. It is laid
there by hooks, so that LoRAs, ControlNets and IP-Adapters find the UNet that they were made for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safelight.sdk import Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor


def require_fit(unet: Any, motion: Any, frames: int, name: str) -> None:
    """Raises ProblemError where a motion module, called `name`, cannot stand beside this UNet (`weights_mismatch`), or
    has learned no videos of so many frames (`too_many_frames`)."""
    config = motion.config
    wanted, given = tuple(unet.config.block_out_channels), tuple(config.block_out_channels)
    layers, own = (_each(one, len(wanted)) for one in (unet.config.layers_per_block, config.motion_layers_per_block))
    middle = attentions_in_the_middle(unet)
    beside = len(motion.mid_block.motion_modules) if motion.mid_block is not None else middle
    if wanted != given or layers != own or middle != beside:
        message = (
            f"The motion module {name!r} is for blocks of {given} channels with {own} layers and {beside} in the "
            f"middle, and those of the model have {wanted} with {layers} and {middle} in the middle."
        )
        hint = "Take a motion module that was made for models of this family."
        raise ProblemError(Problem(code="weights_mismatch", message=message, hint=hint, port="model", value=name))
    if config.conv_in_channels:
        message = f"The motion module {name!r} looks at an image as well (PIA), for which this model has no input."
        hint = "Take one that was made of AnimateDiff's kind alone."
        raise ProblemError(Problem(code="weights_mismatch", message=message, hint=hint, port="model", value=name))
    longest = config.motion_max_seq_length
    if frames > longest:
        message = f"The latent has {frames} frames, and the motion module {name!r} knows {longest} at most."
        hint = f"Set the batch of the empty latent to {longest} or less."
        raise ProblemError(Problem(code="too_many_frames", message=message, hint=hint, port="latent", value=frames))


def attentions_in_the_middle(unet: Any) -> int:
    """How many the middle block has; some UNets have none there, or no such block."""
    return sum(one is not None for one in getattr(unet.mid_block, "attentions", ()))


def _each(layers: Any, blocks: int) -> tuple[int, ...]:
    return (layers,) * blocks if isinstance(layers, int) else tuple(layers)


@contextmanager
def moving(unet: Any, motion: Any, frames: int, strength: float = 1.0) -> Iterator[None]:
    """Within it the UNet takes each run of `frames` latents of a batch as one video.

    `motion` is diffusers' MotionAdapter, one that fits (`require_fit`). With a `strength` of 0 frames are images that
    know nothing of each other.
    """

    def laid(layer: Any, module: Any) -> Any:
        def hook(_: Any, __: tuple[Any, ...], given: Any) -> Any:
            still: Tensor = given[0] if isinstance(given, tuple) else given
            moved = module(still, num_frames=frames)
            moved = moved if strength == 1 else still.lerp(moved, strength)
            return (moved, *given[1:]) if isinstance(given, tuple) else moved

        return layer.register_forward_hook(hook)

    handles: list[Any] = []
    try:
        for layer, module in _places(unet, motion):
            handles.append(laid(layer, module))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _places(unet: Any, motion: Any) -> Iterator[tuple[Any, Any]]:
    """The last part of each layer of the UNet, and the module that stands behind it."""
    blocks = [
        *zip(unet.down_blocks, motion.down_blocks, strict=True),
        *zip(unet.up_blocks, motion.up_blocks, strict=True),
    ]
    if motion.mid_block is not None:  # newer modules have none there
        blocks.append((unet.mid_block, motion.mid_block))
    for block, beside in blocks:
        # Where a layer attends to the text, that is what comes last in it.
        yield from zip(getattr(block, "attentions", block.resnets), beside.motion_modules, strict=True)
