"""What there is of masks: their place and their size, and batches of them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Mask, Number, node


class Box(NamedTuple):
    """Where a mask lies."""

    left: Annotated[int, "Pixels from the left edge."]
    top: Annotated[int, "Pixels from the upper edge."]
    width: Annotated[int, "In pixels."]
    height: Annotated[int, "In pixels."]
    mask: Annotated[Mask, "The rectangle as a mask."]


@node(
    version=1, cheap=True, tags=("Mask Bounding Box", "BBOX", "MaskToRegion", "Mask Crop Region", "Bounded Image Crop")
)
def bounding_box(
    mask: Mask,
    *,
    margin: Annotated[int, Number(0, 4096), "Pixels around it, as far as there are any."] = 0,
) -> Box:
    """The smallest rectangle around all that is not black; of several masks, one around all."""
    import torch

    from .._regions import bounds

    left, top, width, height = bounds(mask.coverage, margin)
    made = torch.zeros(1, *mask.coverage.shape[1:])
    made[:, top : top + height, left : left + width] = 1
    return Box(left, top, width, height, Mask(made))


class Facts(NamedTuple):
    """What there is of masks."""

    width: Annotated[int, "In pixels."]
    height: Annotated[int, "In pixels."]
    batch: Annotated[int, "Masks in the batch."]
    share: Annotated[float, "How much is white on the average: 0 nothing, 1 all."]
    empty: Annotated[bool, "Whether all is black."]


@node(version=1, cheap=True, tags=("Get Mask Size", "Mask Size", "area", "Is Mask Empty", "MaskAreaCondition"))
def facts(mask: Mask) -> Facts:
    """Size, number and area of masks, to decide by."""
    count, height, width = mask.coverage.shape
    return Facts(width, height, count, float(mask.coverage.double().mean()), not bool(mask.coverage.any()))


@node(version=1, cheap=True, tags=("MaskListToMaskBatch", "Mask Batch", "Masks to Mask Batch"))
def batch(masks: Annotated[list[Mask], "In the order in which they were connected."]) -> Mask:
    """Put masks together as a batch. What differs in size is brought to that of the first."""
    import torch

    from .._pixels import mask_like
    from .._regions import empty_mask

    if not masks:
        raise empty_mask("masks", "There are no masks.")
    like = masks[0].coverage[..., None]
    return Mask(torch.cat([mask_like(mask.coverage, like) for mask in masks]))


@node(version=1, cheap=True, tags=("MaskBatchToMaskList", "unbatch masks", "Mask from batch"))
def split(mask: Mask) -> list[Mask]:
    """The masks of a batch one by one. What is connected runs once for each."""
    return [Mask(one[None].clone()) for one in mask.coverage]
