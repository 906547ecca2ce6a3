"""The random numbers, or the style, of a given image, found by descending the difference of what they draw.

R. Abdal et al., "Image2StyleGAN", 2019, without its perceptual loss: squared differences at three sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .drawing import at_once, latents

if TYPE_CHECKING:
    from torch import Tensor

_STARTS = 64
_SIZES = 3


def projected(
    network: Any, wanted: Tensor, latent: int, label: Tensor | None, steps: int, seed: int, told: Callable[[int], None]
) -> Tensor:
    """The image (1, 3, side, side) in 0..1 that comes nearest to `wanted`, (1, 3, side, side) in 0..1.

    The search begins at the nearest of 64 random images and takes `steps` steps of Adam; `told` is called before each,
    and before each few of the first ones.
    """
    import torch

    at = next(network.parameters())
    aim = wanted.to(at.device) * 2 - 1
    styled = hasattr(network, "styles")
    z = latents(range(seed, seed + _STARTS), latent).to(at)
    labels = None if label is None else label.to(at.device).expand(_STARTS)

    def drawn(point: Tensor) -> Tensor:
        # The search itself is in single precision: its steps would be lost in half.
        point = point.to(at.dtype)
        if styled:
            return network.painted(point)
        return network(point, None if labels is None else labels[: len(point)])

    with torch.no_grad():
        points = network.styles(z, labels, 1.0) if styled else z
        away: list[Tensor] = []
        for some in points.split(at_once(network)):
            told(0)
            away.append(_away(drawn(some), aim))
        nearest = int(torch.cat(away).argmin())
    point = points[nearest : nearest + 1].float().clone().requires_grad_(True)
    optimiser = torch.optim.Adam([point], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best, found = float("inf"), point.detach().clone()
    for step in range(steps):
        told(step)
        distance = _away(drawn(point), aim).sum()
        if float(distance.detach()) < best:
            best, found = float(distance.detach()), point.detach().clone()
        optimiser.zero_grad()
        distance.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return (drawn(found).float().cpu() / 2 + 0.5).clamp(0, 1)


def _away(made: Tensor, aim: Tensor) -> Tensor:
    """(B): mean squares of the differences, at the whole side and halved twice."""
    from torch.nn.functional import avg_pool2d

    difference = made.float() - aim
    total = difference.square().flatten(1).mean(1)
    for _ in range(_SIZES - 1):
        difference = avg_pool2d(difference, 2)
        total = total + difference.square().flatten(1).mean(1)
    return total
