"""Images out of a generator: random numbers of seeds, truncation, and what lies between two of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_CUT = 2.0
"""Deviations that a truncation of nearly 1 keeps; BigGAN's own figures stop there."""
_SETTLED = 16
_BATCH = 64
_PIXELS = _BATCH * 64 * 64
"""Of images that are drawn at once: 64 of 64 pixels a side, one of 512 or more."""


def latents(seeds: Sequence[int], width: int, truncation: float = 1.0) -> Tensor:
    """(B, width) of a mean of 0 and a deviation of 1, a row a seed.

    Below 1, what is farther out than `2 * truncation` is drawn again, as A. Brock et al. 2018 do it.
    """
    return _cut(seeds, width, _CUT * truncation if truncation < 1 else math.inf)


def scaled_latents(seeds: Sequence[int], width: int, truncation: float) -> Tensor:
    """(B, width) of a normal distribution that is cut at 2, times `truncation`: as BigGAN's published weights take
    them, whose statistics were measured so."""
    return _cut(seeds, width, _CUT) * truncation


def _cut(seeds: Sequence[int], width: int, farthest: float) -> Tensor:
    import torch

    rows: list[Tensor] = []
    for seed in seeds:
        source = torch.Generator().manual_seed(seed % (1 << 63))
        row = torch.randn(width, generator=source)
        while bool((far := row.abs() > farthest).any()):
            row[far] = torch.randn(int(far.sum()), generator=source)
        rows.append(row)
    return torch.stack(rows)


def between(first: Tensor, last: Tensor, count: int) -> Tensor:
    """(count, width) from one row (width) to another, on an arc: a straight line comes too near to the mean, where a
    normal distribution has next to nothing. Source: T. White, "Sampling Generative Networks", 2016."""
    import torch

    cosine = float(torch.nn.functional.cosine_similarity(first, last, dim=0).clamp(-1, 1))
    angle = math.acos(cosine)
    places = torch.linspace(0, 1, count)[:, None]
    if math.sin(angle) < 1e-6:
        return first + (last - first) * places
    return (((1 - places) * angle).sin() * first + (places * angle).sin() * last) / math.sin(angle)


def drawn(
    network: Any,
    z: Tensor,
    labels: Tensor | None = None,
    truncation: float = 1.0,
    told: Callable[[int], None] | None = None,
) -> Tensor:
    """Images (B, 3, side, side) in 0..1 on the CPU; `truncation` is that of a style, for networks that have one.
    `told` is called before each few images, with how many there are."""
    import torch

    def some(place: int, count: int) -> Tensor:
        here = z[place : place + count].to(at)
        named = None if labels is None else labels[place : place + count].to(at.device)
        if hasattr(network, "styles"):
            return network.painted(network.styles(here, named, truncation))
        return network(here, named)

    at = next(network.parameters())
    with torch.no_grad():
        return _collected(network, len(z), some, told)


def at_once(network: Any) -> int:
    """How many images of a network are drawn at once: fewer of large ones, which take much memory inside."""
    side: int = getattr(network, "side", 0)
    return max(1, min(_BATCH, _PIXELS // side**2)) if side else _BATCH


def _collected(
    network: Any, count: int, some: Callable[[int, int], Tensor], told: Callable[[int], None] | None
) -> Tensor:
    """Images in 0..1 on the CPU, a few at a time, of what gives so many from a place on, in -1..1."""
    import torch

    made: list[Tensor] = []
    step = at_once(network)
    for place in range(0, count, step):
        if told is not None:
            told(place)
        made.append(some(place, step).float().cpu())
    return (torch.cat(made) / 2 + 0.5).clamp(0, 1)


def settle(network: Any, latent: int, classes: int, seed: int) -> None:
    """Measures again what a generator knows of its own output: the statistics of batch normalisation, which were those
    of other weights than the averaged ones, and the mean of the styles. It ends in evaluation mode.

    The statistics of many batches are Brock's standing statistics.
    """
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

    source = torch.Generator().manual_seed(seed)
    device = next(network.parameters()).device
    normal = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    for module in normal:
        module.reset_running_stats()
        module.momentum = None
    network.train()
    with torch.no_grad():
        for _ in range(_SETTLED):
            z = torch.randn((_BATCH, latent), generator=source).to(device)
            labels = torch.randint(classes, (_BATCH,), generator=source).to(device) if classes else None
            if hasattr(network, "measure"):
                network.measure(z, labels)
            elif normal:
                network(z, labels)
    for module in normal:
        module.momentum = 0.1
    network.eval()


def walked(
    network: Any,
    z: Tensor,
    label: Tensor | None,
    truncation: float,
    count: int,
    told: Callable[[int], None] | None = None,
) -> Tensor:
    """Images (count, 3, side, side) in 0..1 whose styles lie on a line between those of two rows of z."""
    import torch

    at = next(network.parameters())
    with torch.no_grad():
        labels = None if label is None else label.expand(2).to(at.device)
        first, last = network.styles(z.to(at), labels, truncation)
        places = torch.linspace(0, 1, count).to(at).view(-1, *[1] * first.dim())
        points = first.lerp(last, places)
        return _collected(network, count, lambda place, step: network.painted(points[place : place + step]), told)


def mixed(
    network: Any,
    coarse: Tensor,
    fine: Tensor,
    labels: Tensor | None,
    truncation: float,
    crossover: float,
    told: Callable[[int], None] | None = None,
) -> Tensor:
    """Images (B, 3, side, side) in 0..1, one for each row of `fine`: the part `crossover` of the layers, from the
    coarsest on, has the style of the one row `coarse`. Both are of the class of the image."""
    import torch

    at = next(network.parameters())
    with torch.no_grad():
        named = None if labels is None else labels.to(at.device)
        first = network.styles(coarse.to(at).expand(len(fine), -1), named, truncation)
        second = network.styles(fine.to(at), named, truncation)
        count = round(crossover * first.shape[1])
        points = torch.cat([first[:, :count], second[:, count:]], 1)
        return _collected(network, len(fine), lambda place, step: network.painted(points[place : place + step]), told)
