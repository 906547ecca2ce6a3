"""Nodes for tests of what the cache keeps: tensors, lists of them, files, and work that is taken up again."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import trivial_nodes
from safelight.sdk import Catalogue, Context, File, Image, node
from safelight.sdk.pack import value_classes

if TYPE_CHECKING:
    import torch


@node()
def noise(*, seed: int = 0, side: int = 64) -> Image:
    """An image of noise."""
    return Image(_noise(seed, side))


@node()
def several(*, seed: int = 0, count: int = 3) -> list[Image]:
    """Images of noise."""
    return [Image(_noise(seed + number, 32)) for number in range(count)]


@node()
def darken(image: Image, *, by: float = 0.5) -> Image:
    """A darker image."""
    return Image(image.pixels * by)


@node(output=True)
def keep(image: Image, *, ctx: Context) -> File:
    """Writes the bytes of an image."""
    return ctx.save(
        image.pixels.numpy().tobytes(), name="image_{counter}.bin", media_type="text/plain", embed="nothing"
    )


@node()
def work(*, steps: int = 10, ctx: Context) -> int:
    """Adds up its steps, of which it keeps each."""
    state = ctx.restore() or {"step": 0, "done": 0}
    step, done = int(state["step"]), int(state["done"])
    while step < steps:
        ctx.check_cancelled()
        step, done = step + 1, done + step
        ctx.progress(step, steps)
        if ctx.checkpoint_due(step, steps):
            ctx.checkpoint({"step": step, "done": done})
        time.sleep(0.001)
    return done


def catalogue() -> Catalogue:
    trivial = trivial_nodes.catalogue()
    kinds = Catalogue.of(noise, several, darken, keep, work)
    classes = [*value_classes(sys.modules[trivial_nodes.__name__]), *value_classes(sys.modules[File.__module__])]
    return Catalogue([*trivial.values(), *kinds.values()], classes)


def _noise(seed: int, side: int) -> torch.Tensor:
    import torch

    return torch.rand(1, side, side, 3, generator=torch.Generator().manual_seed(seed))
