"""Images out of a generator: random numbers of seeds, truncation, and what lies between two of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_CUT = 2.0
"""Deviations that a truncation of nearly 1 keeps; BigGAN's own figures stop there."""
_SETTLED = 16
_BATCH = 64


def latents(seeds: Sequence[int], width: int, truncation: float = 1.0) -> Tensor:
    """(B, width) of a mean of 0 and a deviation of 1, a row a seed.

    Below 1, what is farther out than `2 * truncation` is drawn again, as A. Brock et al. 2018 do it.
    """
    import torch

    rows: list[Tensor] = []
    for seed in seeds:
        source = torch.Generator().manual_seed(seed % (1 << 63))
        row = torch.randn(width, generator=source)
        while truncation < 1 and bool((far := row.abs() > _CUT * truncation).any()):
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


def drawn(network: Any, z: Tensor, labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
    """Images (B, 3, side, side) in 0..1 on the CPU; `truncation` is that of a style, for networks that have one."""
    import torch

    device = next(network.parameters()).device
    made: list[Tensor] = []
    with torch.no_grad():
        for place in range(0, len(z), _BATCH):
            some = z[place : place + _BATCH].to(device)
            named = None if labels is None else labels[place : place + _BATCH].to(device)
            if hasattr(network, "styles"):
                made.append(network.painted(network.styles(some, named, truncation)).float().cpu())
            else:
                made.append(network(some, named).float().cpu())
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


def walked(network: Any, z: Tensor, label: Tensor | None, truncation: float, count: int) -> Tensor:
    """Images (count, 3, side, side) in 0..1 whose styles lie on a line between those of two rows of z."""
    import torch

    device = next(network.parameters()).device
    with torch.no_grad():
        labels = None if label is None else label.expand(2).to(device)
        first, last = network.styles(z.to(device), labels, truncation)
        places = torch.linspace(0, 1, count, device=device).view(-1, *[1] * first.dim())
        made = network.painted(first.lerp(last, places)).float().cpu()
    return (made / 2 + 0.5).clamp(0, 1)
