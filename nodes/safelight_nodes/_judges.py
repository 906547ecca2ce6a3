"""Calling networks that judge images: classifiers, and predictors of ratings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from safelight.sdk import Context, Image, Lease, PreprocessorModel

if TYPE_CHECKING:
    from torch import Tensor

CLASSIFIERS = ("inception_v3", "ForImageClassification")
_SIDE = 299
"""Of what InceptionV3 looks at, in pixels."""
_AT_ONCE = 8


def logits_of(lease: Lease[PreprocessorModel], images: Sequence[Image], ctx: Context) -> tuple[Tensor, str]:
    """(N, classes) of each image of each batch, before softmax, and what the classifier is called."""
    return _in_parts(images, ctx, lambda some: _logits(lease, some)), _named(lease)


def features_of(lease: Lease[PreprocessorModel], images: Sequence[Image], ctx: Context) -> tuple[Tensor, str]:
    """(N, width) of each image of each batch: what the last layer of a classifier is given; and what it is called."""
    import torch

    *_, last = (one for one in lease.component.network.modules() if isinstance(one, torch.nn.Linear))

    def read(some: Sequence[Tensor]) -> Tensor:
        seen: list[Tensor] = []

        def see(_: object, given: tuple[Tensor, ...]) -> None:
            seen.append(given[0].flatten(1).float().cpu())

        watch = last.register_forward_pre_hook(see)
        try:
            _logits(lease, some)
        finally:
            watch.remove()
        return seen[-1]

    return _in_parts(images, ctx, read), _named(lease)


def _in_parts(images: Sequence[Image], ctx: Context, read: Callable[[Sequence[Tensor]], Tensor]) -> Tensor:
    import torch

    from ._pixels import flattened

    pictures = [one for image in images for one in flattened(image.pixels, 1.0)]
    found: list[Tensor] = []
    for place in range(0, len(pictures), _AT_ONCE):
        ctx.check_cancelled()
        some = pictures[place : place + _AT_ONCE]
        found.append(ctx.models.retry(lambda some=some: read(some)))
        ctx.progress(min(place + _AT_ONCE, len(pictures)), len(pictures))
    return torch.cat(found)


def _named(lease: Lease[PreprocessorModel]) -> str:
    return "InceptionV3 of torchvision" if lease.component.sort == "inception_v3" else lease.component.name


def class_names(lease: Lease[PreprocessorModel], count: int) -> list[str]:
    """What the classes of a classifier are called; their numbers, where nobody says it."""
    named = getattr(getattr(lease.component.network, "config", None), "id2label", {})
    return [str(named.get(number, number)) for number in range(count)]


def _logits(lease: Lease[PreprocessorModel], pictures: Sequence[Tensor]) -> Tensor:
    import torch

    from ._pixels import to_bytes

    network, processor = lease.component.network, lease.component.processor
    with torch.inference_mode():
        if processor is None:
            return network(torch.cat([_squeezed(one) for one in pictures]).to(lease.device)).float().cpu()
        given = processor(images=[to_bytes(one) for one in pictures], return_tensors="pt")
        return network(given["pixel_values"].to(lease.device, lease.dtype)).logits.float().cpu()


def _squeezed(picture: Tensor) -> Tensor:
    """(1, 3, 299, 299) in -1..1, as InceptionV3 was trained, of (H, W, 3) in 0..1: all of it, whatever its shape."""
    from torch.nn.functional import interpolate

    given = picture.movedim(-1, 0)[None]
    return interpolate(given, (_SIDE, _SIDE), mode="bilinear", align_corners=False, antialias=True) * 2 - 1


def scored(logits: Tensor, splits: int, seed: int) -> tuple[float, float]:
    """The Inception Score of (N, classes) before softmax: its mean and deviation among the parts."""
    import torch
    from torchmetrics.image.inception import InceptionScore

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # that it keeps all features
        measure = InceptionScore(feature=torch.nn.Identity(), splits=splits)
        measure.update(logits)
        torch.manual_seed(seed)
        mean, deviation = measure.compute()
    return float(mean), float(deviation) if splits > 1 else 0.0


def rated(lease: Lease[PreprocessorModel], unit: Tensor) -> list[float]:
    """What a predictor says of each row of a length of 1."""
    import torch

    network: Any = lease.component.network
    with torch.inference_mode():
        given = unit.to(lease.device, lease.dtype)
        for layer in network["layers"].values():
            given = layer(given)
    return [float(one) for one in given.float().cpu().reshape(-1)]
