"""Batches and lists of images."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Image, Number, Problem, ProblemError, Seed, Toggle, node


@node(version=1, title="Batch images", cheap=True, tags=("Batch Images", "ImageBatch"))
def batch(images: Annotated[list[Image], "Images of one size, in the order in which they were connected."]) -> Image:
    """Put images of one size together as a batch."""
    from .._pixels import joined

    return Image(joined(images))


@node(version=1, title="Split images", cheap=True, tags=("unbatch", "ImageFromBatch", "RebatchImages"))
def split(image: Image) -> list[Image]:
    """The images of a batch one by one. What is connected runs once for each."""
    return [Image(pixels[None].clone()) for pixels in image.pixels]


@node(
    version=1,
    cheap=True,
    tags=("ImageFromBatch", "Select from batch", "GetImagesFromBatch"),
)
def pick(
    image: Image,
    *,
    start: Annotated[int, Number(-100_000, 100_000), "The first one that is kept, from 0. Below 0 from the end."] = 0,
    count: Annotated[int, Number(0, 100_000, zero="rest"), "How many. 0: all from there on."] = 1,
    step: Annotated[int, Number(1, 10_000, advanced=True), "2 keeps every second one."] = 1,
) -> Image:
    """Keep some images of a batch."""
    have = len(image.pixels)
    first = start + have if start < 0 else start
    if not 0 <= first < have:
        raise ProblemError(
            Problem(
                code="no_such_image",
                message=f"There is no image {start} in a batch of {have}.",
                hint=f"Choose 0 to {have - 1}, or -1 for the last.",
                port="start",
                value=start,
            )
        )
    return Image(image.pixels[first::step][: count or None].clone())


@node(version=1, cheap=True, tags=("ReverseImageBatch", "reverse", "backwards", "ping pong", "boomerang"))
def reverse(
    image: Image,
    *,
    there_and_back: Annotated[bool, Toggle(), "First forwards, then backwards, as a loop that has no jump."] = False,
) -> Image:
    """Put the images of a batch in the opposite order."""
    import torch

    turned = image.pixels.flip(0)
    return Image(torch.cat([image.pixels, turned[1:-1]]) if there_and_back else turned)


@node(version=1, title="Repeat images", cheap=True, tags=("RepeatImageBatch", "duplicate", "Repeat Images"))
def repeat(
    image: Image,
    *,
    times: Annotated[int, Number(1, 4096), "How often each image is there."] = 2,
    order: Annotated[Literal["whole", "each"], "The batch again and again, or each image several times."] = "whole",
) -> Image:
    """Repeat the images of a batch."""
    from .._pixels import check_size

    count, height, width, _ = image.pixels.shape
    check_size(height * count * times, width, "times")
    pixels = image.pixels
    return Image(pixels.repeat(times, 1, 1, 1) if order == "whole" else pixels.repeat_interleave(times, 0))


@node(version=1, cheap=True, tags=("Sort Images", "order", "sharpness", "brightness", "Image Sort"))
def sort(
    image: Image,
    *,
    by: Annotated[
        Literal["brightness", "contrast", "sharpness", "saturation", "hue"],
        "What is measured in each image. Sharpness is the variance of the Laplacian.",
    ] = "brightness",
    descending: Annotated[bool, Toggle(), "The greatest first."] = False,
) -> Image:
    """Put the images of a batch in order by what they look like. Equal ones stay as they were."""
    from .._measures import measured

    order = measured(image.pixels, by).argsort(stable=True, descending=descending)
    return Image(image.pixels[order])


@node(version=1, cheap=True, tags=("shuffle", "random order", "ShuffleImageBatch"))
def shuffle(image: Image, *, seed: Annotated[int, Seed(), "Of the order."] = 0) -> Image:
    """Put the images of a batch in a random order."""
    import torch

    order = torch.randperm(len(image.pixels), generator=torch.Generator().manual_seed(seed))
    return Image(image.pixels[order])
