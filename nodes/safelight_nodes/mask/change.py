"""Masks changed and put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from safelight.sdk import Mask, Number, Slider, Toggle, node

if TYPE_CHECKING:
    from torch import Tensor


@node(
    version=1,
    title="Grow mask",
    aliases=("image.grow_mask",),
    tags=("GrowMask", "dilate", "erode", "Mask Erode Region"),
)
def grow(
    mask: Mask,
    *,
    pixels: Annotated[int, Slider(-128, 128), "Outwards; below 0 inwards."] = 8,
    blur: Annotated[int, Slider(0, 128), "Softens the edge over about so many pixels."] = 0,
) -> Mask:
    """Make masks larger or smaller, and soften their edges."""
    from .._pixels import blurred, grown

    coverage = grown(mask.coverage, pixels)
    return Mask(blurred(coverage, blur) if blur else coverage)


@node(
    version=1,
    title="Combine masks",
    cheap=True,
    tags=("MaskComposite", "Masks Combine Regions", "Masks Subtract", "union", "AND", "OR"),
)
def combine(
    first: Mask,
    second: Annotated[Mask, "Brought to the size of the first."],
    *,
    operation: Annotated[
        Literal["add", "intersect", "subtract", "exclude", "multiply", "difference", "average"],
        "Inside either, inside both, inside the first only, inside one of the two only, or by numbers: product, "
        "distance, mean.",
    ] = "add",
) -> Mask:
    """Put two masks together. One serves a whole batch of the other."""
    from .._pixels import common_batch, mask_like

    common_batch(first=len(first.coverage), second=len(second.coverage))
    one = first.coverage
    two = mask_like(second.coverage, one[..., None])
    match operation:
        case "add":
            return Mask(one.maximum(two))
        case "intersect":
            return Mask(one.minimum(two))
        case "subtract":
            return Mask(one.minimum(1 - two))
        case "exclude":
            return Mask(one.minimum(1 - two).maximum(two.minimum(1 - one)))
        case "multiply":
            return Mask(one * two)
        case "difference":
            return Mask((one - two).abs())
        case "average":
            return Mask((one + two) / 2)


@node(version=1, cheap=True, tags=("MaskComposite", "Mask Paste Region", "paste mask", "move mask"))
def place(
    mask: Mask,
    like: Annotated[Mask, "The result has its size; it is black around the mask."],
    *,
    x: Annotated[int, Number(-16384, 16384), "Left edge of the mask in pixels."] = 0,
    y: Annotated[int, Number(-16384, 16384), "Upper edge of the mask in pixels."] = 0,
) -> Mask:
    """Put a mask in its own size on an empty canvas, at a place in pixels; what reaches beyond it is cut off."""
    put = mask.coverage
    (height, width), (tall, wide) = like.coverage.shape[1:], put.shape[1:]
    made = put.new_zeros(len(put), height, width)
    rows, columns = slice(max(0, y), min(height, y + tall)), slice(max(0, x), min(width, x + wide))
    if rows.start < rows.stop and columns.start < columns.stop:
        made[:, rows, columns] = put[:, rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
    return Mask(made)


@node(version=1, cheap=True, tags=("FeatherMask", "fade mask", "vignette mask", "soft border"))
def fade_edges(
    mask: Mask,
    *,
    left: Annotated[int, Slider(0, 512), "Pixels from the left edge of the image on, until the mask is as it was."] = 0,
    top: Annotated[int, Slider(0, 512), "The same from the upper edge."] = 0,
    right: Annotated[int, Slider(0, 512), "The same from the right edge."] = 0,
    bottom: Annotated[int, Slider(0, 512), "The same from the lower edge."] = 0,
) -> Mask:
    """Fade masks toward each edge of the image by a width of its own. mask.feather fades from their own edge."""
    import torch

    def ramp(length: int, before: int, after: int) -> Tensor:
        steps = torch.arange(1, length + 1, dtype=torch.float32)
        up = (steps / max(1, before)).clamp(max=1)
        return up * (steps / max(1, after)).clamp(max=1).flip(0)

    height, width = mask.coverage.shape[1:]
    return Mask(mask.coverage * ramp(height, top, bottom)[:, None] * ramp(width, left, right))


@node(version=1, title="Invert mask", cheap=True, tags=("InvertMask", "Mask Invert"))
def invert(mask: Mask) -> Mask:
    """Swap inside and outside of masks."""
    return Mask(1 - mask.coverage)


@node(
    version=1,
    title="Threshold mask",
    cheap=True,
    tags=("ThresholdMask", "Mask Threshold Region", "binarize", "Mask to binary"),
)
def threshold(
    mask: Mask,
    *,
    low: Annotated[float, Slider(0, 1, step=0.005), "Up to here it becomes black."] = 0.5,
    high: Annotated[float, Slider(0, 1, step=0.005), "From here on it becomes white. Grey between is stretched."] = 0.5,
) -> Mask:
    """Make masks harder: black below one value, white from another one on."""
    from .._pixels import check_range

    check_range(low, high)
    value = mask.coverage
    return Mask((value >= high).float() if low == high else ((value - low) / (high - low)).clamp(0, 1))


@node(
    version=1,
    title="Blur mask",
    tags=("Mask Gaussian Region", "MaskBlur", "Blur Mask", "soften", "ImpactGaussianBlurMask"),
)
def blur(
    mask: Mask,
    *,
    sigma: Annotated[float, Slider(0, 128, step=0.5), "Standard deviation in pixels."] = 6.0,
) -> Mask:
    """Soften masks by a Gaussian, to both sides of the edge."""
    from .._pixels import smoothed

    return Mask(smoothed(mask.coverage[:, None], sigma)[:, 0].clamp(0, 1)) if sigma else mask


@node(version=1, title="Feather mask", tags=("FeatherMask", "Mask Feather", "inner feather", "falloff"))
def feather(
    mask: Mask,
    *,
    pixels: Annotated[int, Slider(1, 512), "From the edge on inwards, until it is white."] = 16,
    edges: Annotated[bool, Toggle(), "Also where the mask ends at the edge of the image."] = False,
) -> Mask:
    """Fade masks from their edge inwards. Nothing outside is touched.

    Source: the exact Euclidean distance, in SciPy's implementation.
    """
    import numpy
    import torch

    from .._regions import INSIDE, distances

    made: list[Tensor] = []
    for one in mask.coverage:
        inside = (one >= INSIDE).numpy()
        if edges:
            far = distances(numpy.pad(inside, 1))[1:-1, 1:-1]
        else:
            far = distances(inside) if not inside.all() else numpy.full(inside.shape, numpy.inf)
        # A half less: the first pixel within lies that far from the edge.
        made.append(one * ((torch.from_numpy(far).float() - 0.5) / pixels).clamp(0, 1))
    return Mask(torch.stack(made))


@node(version=1, tags=("Mask Fill Holes", "MaskFillHoles", "Mask Fill Region"))
def fill_holes(
    mask: Mask,
    *,
    largest: Annotated[int, Number(0, 100_000_000, zero="all"), "Only holes of at most so many pixels. 0: all."] = 0,
) -> Mask:
    """Fill what is enclosed by a mask.

    Source: SciPy's implementation; what touches the edge of the image is not enclosed.
    """
    import numpy
    import torch
    from scipy.ndimage import binary_fill_holes

    from .._regions import INSIDE, parts

    made: list[Tensor] = []
    for one in mask.coverage:
        inside = (one >= INSIDE).numpy()
        holes = binary_fill_holes(inside) & ~inside
        if largest:
            numbers, sizes = parts(torch.from_numpy(holes).float())
            holes = numpy.isin(numbers, [number for number, size in enumerate(sizes, 1) if size <= largest])
        made.append(one.where(~torch.from_numpy(holes), 1.0))
    return Mask(torch.stack(made))


@node(
    version=1,
    tags=("Mask Dominant Region", "largest region", "Keep largest", "Mask Minority Region", "connected components"),
)
def largest_parts(
    mask: Mask,
    *,
    count: Annotated[int, Number(1, 10_000), "How many parts are kept, the largest first."] = 1,
    smallest: Annotated[int, Number(0, 100_000_000, advanced=True), "Parts with fewer pixels go in any case."] = 0,
) -> Mask:
    """Keep the largest connected parts of each mask, and remove the rest: specks, other subjects."""
    import numpy
    import torch

    from .._regions import parts

    made: list[Tensor] = []
    for one in mask.coverage:
        numbers, sizes = parts(one)
        order = sorted(range(len(sizes)), key=lambda place: -sizes[place])[:count]
        kept = numpy.isin(numbers, [place + 1 for place in order if sizes[place] >= smallest])
        made.append(one.where(_reaching(one, kept, numbers), 0.0))
    return Mask(torch.stack(made))


@node(version=1, tags=("Separate Mask Components", "Mask to segments", "MaskToSEGS", "SplitMask", "instances"))
def split_parts(
    mask: Mask,
    *,
    smallest: Annotated[int, Number(1, 100_000_000), "Parts with fewer pixels are left out."] = 16,
    order: Annotated[Literal["left", "top", "size"], "From the left, from the top, or the largest first."] = "left",
) -> list[Mask]:
    """Each connected part of masks as a mask of its own. What is connected runs once for each."""
    from scipy.ndimage import find_objects

    from .._regions import empty_mask, parts

    found: list[Mask] = []
    for one in mask.coverage:
        numbers, sizes = parts(one)
        kept = [number for number, size in enumerate(sizes, 1) if size >= smallest]
        first = find_objects(numbers)  # the (rows, columns) around each part
        ranks = {
            number: -sizes[number - 1] if order == "size" else first[number - 1][order == "left"].start
            for number in kept
        }
        kept.sort(key=ranks.__getitem__)
        found += [Mask(one.where(_reaching(one, numbers == number, numbers), 0.0)[None]) for number in kept]
    if not found:
        raise empty_mask("mask", "The mask has no part of that size.")
    return found


@node(version=1, tags=("Mask Smooth Region", "morphology", "open", "close", "remove specks", "Mask Morphology"))
def smooth(
    mask: Mask,
    *,
    operation: Annotated[
        Literal["both", "open", "close"],
        "Remove what is thin (open), close what is narrow (close), or both.",
    ] = "both",
    radius: Annotated[int, Slider(1, 64), "Of what goes, in pixels."] = 3,
) -> Mask:
    """Smooth the outline of masks: thin tips and specks go, narrow gaps close. The rest keeps its size."""
    from .._pixels import grown

    made = mask.coverage
    if operation in ("open", "both"):
        made = grown(grown(made, -radius), radius)
    if operation in ("close", "both"):
        made = grown(grown(made, radius), -radius)
    return Mask(made)


@node(version=1, tags=("Mask Edge", "Mask outline", "Mask border", "stroke", "MaskContour"))
def outline(
    mask: Mask,
    *,
    inwards: Annotated[int, Slider(0, 128), "Pixels of the line inside."] = 2,
    outwards: Annotated[int, Slider(0, 128), "Pixels of the line outside."] = 2,
) -> Mask:
    """The edge of masks as a line, for repairing seams or drawing around things."""
    from .._pixels import grown

    return Mask((grown(mask.coverage, outwards) - grown(mask.coverage, -inwards)).clamp(0, 1))


@node(version=1, title="Resize mask", tags=("ResizeMask", "Mask Resize", "scale mask"))
def resize(
    mask: Mask,
    *,
    width: Annotated[int, Number(1, 16384), "In pixels."] = 512,
    height: Annotated[int, Number(1, 16384), "In pixels."] = 512,
) -> Mask:
    """Bring masks to a size."""
    import torch

    from .._pixels import check_size, mask_like

    check_size(height, width, "width")
    return Mask(mask_like(mask.coverage, torch.empty(1, height, width, 1)))


def _reaching(one: Tensor, kept: Any, numbers: Any) -> Tensor:
    """Where a mask (H, W) belongs to the parts that are kept: a soft edge goes with the part it is nearest to."""
    import torch

    from .._regions import nearest

    if not kept.any():
        return torch.zeros(one.shape, dtype=torch.bool)
    if not bool(((one > 0) & (one < 1)).any()):
        return torch.from_numpy(kept)
    return torch.from_numpy(kept[nearest(numbers == 0)])
