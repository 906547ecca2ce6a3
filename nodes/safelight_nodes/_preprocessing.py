"""Calling preprocessors: an image of a batch after the other, the result in the image's size."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

from safelight.sdk import (
    Context,
    Image,
    Lease,
    ModelRef,
    Number,
    Precision,
    Preprocessor,
    PreprocessorModel,
    Problem,
    ProblemError,
)

from .models import found

if TYPE_CHECKING:
    from torch import Tensor

Resolution = Annotated[
    int,
    Number(0, 4096, step=64, zero="image"),
    "The shorter side that is looked at, in pixels. 512 is what most were made for; more shows finer detail. 0: the "
    "image's own. The result has the image's size in any case.",
]
ANNOTATORS = "lllyasviel/Annotators"
MODEL_HELP = "Its weights: a file below the model folders, or a hub id with the file's name."


def recipe(ctx: Context, model: str, port: str = "model", precision: Precision = "float32") -> ModelRef[Preprocessor]:
    """The recipe of a preprocessor by its name; what is wrong with the name is told at the port."""
    return ModelRef("Preprocessor", "", found(ctx, model, "preprocessor", port)[0], "", precision)


@contextmanager
def leased(
    ctx: Context,
    model: str,
    sorts: tuple[str, ...],
    said: str,
    *,
    port: str = "model",
    side: int = 512,
    precision: Precision = "float32",
) -> Iterator[Lease[PreprocessorModel]]:
    """A preprocessor in memory.

    Args:
        ctx: of the node.
        model: its name.
        sorts: which it may be; endings of the names of classes where it is one of transformers.
        said: what is needed, for messages: "an HED network".
        port: that the name was given at.
        side: of the images, in pixels, from which follows what computing takes beside the weights.
        precision: what it computes with; controlnet-aux gives its networks single precision.

    Raises:
        ProblemError: as `Models.find`; `wrong_model` for a preprocessor of another sort.
    """
    with ctx.models.lease(recipe(ctx, model, port, precision), 1000 * side * side) as lease:
        if not lease.component.sort.endswith(sorts):
            message = f"{model!r} holds {lease.component.sort!r}, and {said} is needed here."
            hint = "Choose another file, or clear the field to go back to the usual one."
            raise ProblemError(Problem(code="wrong_model", message=message, hint=hint, port=port, value=model))
        yield lease


def pixels_of(image: Image) -> Tensor:
    """(B, H, W, 3); what is transparent is white, as controlnet-aux has it."""
    from ._pixels import flattened

    return flattened(image.pixels, 1.0)


def side_of(image: Image, resolution: int) -> int:
    """The shorter side that is looked at. None is less than 64 pixels: networks halve images again and again."""
    return max(64, resolution or min(image.pixels.shape[1:3]))


def scaled(pixels: Any, side: int) -> Any:
    """Bytes (H, W, 3) with this shorter side, both sides brought to multiples of 64, as controlnet-aux does it."""
    import cv2

    height, width = pixels.shape[:2]
    factor = side / min(height, width)
    size = [max(1, round(one * factor / 64)) * 64 for one in (width, height)]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LANCZOS4 if factor > 1 else cv2.INTER_AREA)


def each(image: Image, read: Callable[[Any], Any], ctx: Context, total: int = 0) -> Image:
    """What `read` makes of each image, in the size of the images.

    Args:
        image: the batch.
        read: from bytes (H, W, 3) to bytes (h, w, 3) or (h, w), numpy both.
        ctx: of the node.
        total: steps in all, where there are others beside.
    """
    import torch

    from ._pixels import resized, to_bytes

    pixels = pixels_of(image)
    count, height, width, _ = pixels.shape
    made: list[Tensor] = []
    for place, one in enumerate(pixels):
        ctx.check_cancelled()
        given = to_bytes(one)
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # of libraries about their own use of others
            found = read(given)
        shown = torch.from_numpy(found.copy()).float() / 255
        shown = (shown[..., None].repeat(1, 1, 3) if shown.ndim == 2 else shown)[None]
        made.append(resized(shown, height, width, "stretch", "bilinear"))
        ctx.progress(place + 1, total or count)
    return Image(torch.cat(made))


def annotated(
    image: Image,
    resolution: int,
    ctx: Context,
    model: str,
    sort: str,
    said: str,
    *,
    pick: Callable[[Any], Any] = lambda annotator: annotator,
    sized: Literal["both", "detect"] = "both",
    **options: Any,
) -> Image:
    """The images as an annotator of controlnet-aux shows them; `sized` says by which names it takes sizes."""
    side = side_of(image, resolution)
    sizes = {"detect_resolution": side, **({"image_resolution": side} if sized == "both" else {})}
    with leased(ctx, model, (sort,), said, side=side) as lease:
        annotator = pick(lease.component.annotator)

        def read(pixels: Any) -> Any:
            return ctx.models.retry(lambda: annotator(pixels, output_type="np", **sizes, **options))

        return each(image, read, ctx)
