"""Latents put over one another, blended, cut and turned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from safelight.sdk import Latent, Mask, Number, Slider, node

from ._refusal import refusal

if TYPE_CHECKING:
    from torch import Tensor


@node(
    version=1,
    title="Composite latents",
    category="latent",
    tags=("LatentComposite", "LatentCompositeMasked", "paste latent"),
)
def composite(
    below: Annotated[Latent, "What lies below."],
    above: Annotated[Latent, "What is put over it; what reaches beyond the edge is cut off."],
    mask: Annotated[
        Mask | None, "White where the upper one covers the lower one, in the size of the upper one."
    ] = None,
    *,
    x: Annotated[int, Number(-16384, 16384), "Left edge of the upper one in pixels, rounded to cells."] = 0,
    y: Annotated[int, Number(-16384, 16384), "Upper edge of the upper one in pixels, rounded to cells."] = 0,
    feather: Annotated[int, Number(0, 4096), "Pixels over which its edges fade."] = 0,
) -> Latent:
    """Put one latent over another at a place."""
    import torch

    from safelight.diffusion.latents import latent_mask

    _require_alike(below, above, "above")
    _require_batches(below, above.samples.shape[0], "above")
    factor = below.downsampling
    left, top, soft = round(x / factor), round(y / factor), round(feather / factor)
    height, width = above.samples.shape[-2:]
    cover = torch.ones(1, 1, height, width)
    if mask is not None:
        cover = latent_mask(mask.coverage, above)
        _require_batches(below, cover.shape[0], "mask")
    cover = cover.clone()
    for step in range(soft):
        share = (step + 1) / (soft + 1)
        # An edge that lies on the canvas fades; one that is its edge, too, does not.
        if top > 0 and step < height:
            cover[..., step, :] *= share
        if left > 0 and step < width:
            cover[..., :, step] *= share
        if top + height < below.samples.shape[-2] and step < height:
            cover[..., height - 1 - step, :] *= share
        if left + width < below.samples.shape[-1] and step < width:
            cover[..., :, width - 1 - step] *= share
    rows = slice(max(0, top), min(below.samples.shape[-2], top + height))
    columns = slice(max(0, left), min(below.samples.shape[-1], left + width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return below
    inner_rows, inner_columns = (
        slice(part.start - edge, part.stop - edge) for part, edge in ((rows, top), (columns, left))
    )
    samples = below.samples.clone()
    share, put = cover[..., inner_rows, inner_columns], above.samples[..., inner_rows, inner_columns]
    share = share[:, :, None] if samples.ndim == 5 else share
    samples[..., rows, columns] = samples[..., rows, columns] * (1 - share) + put * share
    return replace(below, samples=samples)


@node(
    version=1,
    title="Blend latents",
    category="latent",
    tags=("LatentBlend", "LatentInterpolate", "LatentAdd", "LatentSubtract", "slerp"),
)
def blend(
    first: Annotated[Latent, "The first one."],
    second: Annotated[Latent, "The second one."],
    *,
    mode: Annotated[
        Literal["mix", "sphere", "add", "subtract", "multiply"],
        "mix: a weighted mean. sphere: along an arc (slerp), which keeps contrast. add, subtract: the second times the "
        "amount. multiply: toward the product.",
    ] = "mix",
    amount: Annotated[float, Slider(0, 2, step=0.01), "How much of the second. 0 is the first alone."] = 0.5,
) -> Latent:
    """Blend two latents of one size."""
    from ._noises import slerp

    _require_alike(first, second, "second")
    one, other = first.samples, second.samples
    if one.shape[1:] != other.shape[1:]:
        sizes = ["{1} x {0}".format(*(side * first.downsampling for side in item.shape[-2:])) for item in (one, other)]
        message = f"The first latent is of {sizes[0]} pixels, and the second of {sizes[1]}."
        raise refusal(code="wrong_size", message=message, hint="Resize or crop one of them.", port="second")
    _require_batches(first, other.shape[0], "second")
    other = other.expand(one.shape)
    samples = {
        "mix": lambda: one + (other - one) * amount,
        "sphere": lambda: slerp(one, other, amount),
        "add": lambda: one + other * amount,
        "subtract": lambda: one - other * amount,
        "multiply": lambda: one + (one * other - one) * amount,
    }[mode]()
    return replace(first, samples=samples)


@node(version=1, category="latent", tags=("LatentMultiply", "scale latent", "contrast"))
def multiply(
    latent: Annotated[Latent, "The latent."],
    *,
    factor: Annotated[float, Slider(-10, 10, step=0.01), "What each number is multiplied by."] = 1.0,
) -> Latent:
    """Make a latent stronger or weaker around grey."""
    return replace(latent, samples=latent.samples * factor)


@node(version=1, title="Crop latent", category="latent", tags=("LatentCrop", "cut latent"))
def crop(
    latent: Annotated[Latent, "The latent."],
    *,
    x: Annotated[int, Number(0, 16384), "Left edge in pixels."] = 0,
    y: Annotated[int, Number(0, 16384), "Upper edge in pixels."] = 0,
    width: Annotated[int, Number(1, 16384), "In pixels."] = 512,
    height: Annotated[int, Number(1, 16384), "In pixels."] = 512,
) -> Latent:
    """Cut a rectangle out of a latent. All four numbers have to be whole cells: multiples of 8 for most models."""
    factor = latent.downsampling
    for port, value in (("x", x), ("y", y), ("width", width), ("height", height)):
        if value % factor:
            raise refusal(
                code="size_not_a_multiple",
                message=f"{value} is not a multiple of {factor}, the downsampling of this latent.",
                hint=f"It has to be a whole number of times {factor}, such as {-(-value // factor) * factor}.",
                port=port,
                value=value,
            )
    left, top, right, bottom = x // factor, y // factor, (x + width) // factor, (y + height) // factor
    rows, columns = latent.samples.shape[-2:]
    if right > columns or bottom > rows:
        raise refusal(
            code="area_outside",
            message=f"The rectangle ends at {x + width}, {y + height}; the latent {columns * factor}, {rows * factor}.",
            hint="Make it smaller, or move it left and up.",
            port="width" if right > columns else "height",
        )
    cut = _on_cells(latent, lambda planes: planes[..., top:bottom, left:right].contiguous())
    if latent.size is None:
        return cut
    inner = max(1, min(height, latent.size[0] - y)), max(1, min(width, latent.size[1] - x))
    return replace(cut, size=None if inner == (height, width) else inner)


@node(version=1, title="Flip latent", category="latent", tags=("LatentFlip", "mirror latent"))
def flip(
    latent: Annotated[Latent, "The latent."],
    *,
    direction: Annotated[Literal["horizontal", "vertical"], "Left with right, or top with bottom."] = "horizontal",
) -> Latent:
    """Mirror a latent. What it decodes to is mirrored nearly exactly: decoders know left from right."""
    _require_whole(latent)
    return _on_cells(latent, lambda planes: planes.flip(-1 if direction == "horizontal" else -2))


@node(version=1, title="Rotate latent", category="latent", tags=("LatentRotate", "turn latent"))
def rotate(
    latent: Annotated[Latent, "The latent."],
    *,
    turn: Annotated[Literal["90", "180", "270"], "Degrees, clockwise."] = "90",
) -> Latent:
    """Turn a latent by quarters of a circle."""
    _require_whole(latent)
    return _on_cells(latent, lambda planes: planes.rot90(-(int(turn) // 90), dims=(-2, -1)).contiguous())


def _on_cells(latent: Latent, change: Callable[[Tensor], Tensor]) -> Latent:
    """The same done to all that lies on the cells of a latent."""
    parts = {name: getattr(latent, name) for name in ("samples", "mask", "masked", "hole")}
    return replace(latent, **{name: change(planes) for name, planes in parts.items() if planes is not None})


def _require_whole(latent: Latent) -> None:
    if latent.size is not None:
        raise refusal(
            code="latent_is_padded",
            message="This latent is padded at its right and lower edge.",
            hint="Make the sides of the image multiples of a cell before it is encoded.",
            port="latent",
        )


def _require_alike(first: Latent, second: Latent, port: str) -> None:
    one, other = first.samples, second.samples
    apart = first.family and second.family and first.family != second.family
    if one.ndim != other.ndim or one.shape[1] != other.shape[1] or first.downsampling != second.downsampling or apart:
        raise refusal(
            code="wrong_latent",
            message=f"One latent is of {first.family or 'some model'}, the other of {second.family or 'another'}.",
            hint="Decode one, and encode it with the VAE of the other.",
            port=port,
        )


def _require_batches(latent: Latent, count: int, port: str) -> None:
    batch = latent.samples.shape[0]
    if count not in (1, batch):
        raise refusal(
            code="wrong_batch",
            message=f"There are {count} on one side, and {batch} images on the other.",
            hint="Give one, or as many as there are images.",
            port=port,
        )
