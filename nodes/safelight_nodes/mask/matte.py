"""The subject of an image, told from its background by a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any, NamedTuple

from msgspec.structs import replace

from safelight.sdk import Choice, Context, Image, Mask, ModelPick, Number, Problem, ProblemError, Toggle, node

from .._mattes import Values
from .._preprocessing import leased, pixels_of

_USUAL = "isnet-general-use.onnx"
_WHERE = "https://github.com/danielgatis/rembg/releases/download/v0.0.0/isnet-general-use.onnx"


class CutOut(NamedTuple):
    """A subject without its background."""

    image: Annotated[Image, "The subject; what is not it is transparent."]
    mask: Annotated[Mask, "White where the subject is, grey where it is half transparent, such as hair."]


@node(
    version=1,
    title="Cut out the subject",
    tags=(
        *("ImageRemoveBackground+", "Image Rembg (Remove Background)", "BRIA_RMBG", "RMBG", "RemoveBackground"),
        *("rembg", "remove background", "background removal", "matting", "IS-Net", "U2Net", "BiRefNet", "MODNet"),
    ),
)
def matte(
    image: Image,
    *,
    model: Annotated[
        str,
        ModelPick("preprocessor"),
        "An ONNX file that takes an image and gives a map: IS-Net, U2-Net, BiRefNet, RMBG, MODNet, or one of that "
        "layout. A file below the model folders, or a hub id with the file's name.",
    ] = _USUAL,
    clean_edges: Annotated[
        bool, Toggle(), "Take what shines through of the background out of the colours of edges and hair."
    ] = True,
    values: Annotated[
        Values,
        Choice(advanced=True),
        "How the network was trained to see colours. auto tells it by the file: imagenet for U2-Net, BiRefNet and "
        "RMBG 2.0, around_zero for IS-Net and RMBG 1.4, minus_one_to_one for MODNet.",
    ] = "auto",
    resolution: Annotated[
        int,
        Number(0, 4096, step=32, zero="image", advanced=True),
        "The shorter side that is looked at, in pixels, where the network takes any size. 0: the image's own.",
    ] = 512,
    ctx: Context,
) -> CutOut:
    """Cut the subject out of its background.

    Needs the package onnxruntime: pip install 'safelight[onnx]'. What was transparent stays so.
    """
    import torch

    from .._mattes import matte_of, subject_colours
    from .._pixels import opaque

    pixels = pixels_of(image)
    mattes: list[Any] = []
    colours: list[Any] = []
    with _network(ctx, model) as network:
        for place, one in enumerate(pixels):
            ctx.check_cancelled()
            try:
                found = ctx.models.retry(lambda one=one: matte_of(network, one, values, resolution))
            except ValueError as error:
                message = f"{model!r} gives no map of what is the subject: {error}."
                raise ProblemError(
                    Problem(code="wrong_model", message=message, hint="Choose another file.", port="model", value=model)
                ) from None
            mattes.append(found)
            shown = image.pixels[place, ..., :3]
            colours.append(subject_colours(shown, found) if clean_edges else shown)
            ctx.progress(place + 1, len(pixels))
    mask = torch.stack(mattes)
    alpha = opaque(image.pixels)[..., 3] * mask
    return CutOut(Image(torch.cat([torch.stack(colours), alpha[..., None]], dim=-1)), Mask(mask))


@contextmanager
def _network(ctx: Context, model: str) -> Iterator[Any]:
    """The network in memory.

    Raises:
        ProblemError: as `leased`; where the usual file is missing, it says how to fetch it.
    """
    with ExitStack() as held:
        try:
            said = "an ONNX file that cuts out subjects"
            lease = held.enter_context(leased(ctx, model, ("onnx_matte",), said, side=1024))
        except ProblemError as error:
            raise ProblemError(_told(problem) for problem in error.problems) from None
        yield lease.component.network


def _told(problem: Problem) -> Problem:
    placed = problem.at(port="model")
    if problem.code != "model_missing" or problem.value != _USUAL:
        return placed
    return replace(placed, hint=f"`safelight models download {_WHERE}` fetches it (179 MB, MIT).")
