"""Faces found in images, and mended by networks that were trained on faces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any, NamedTuple

from safelight.sdk import (
    Context,
    Image,
    Mask,
    ModelPick,
    ModelRef,
    Number,
    Problem,
    ProblemError,
    Slider,
    Upscaler,
    node,
)

from .._faces import Networks
from .._preprocessing import leased, pixels_of

_Smallest = Annotated[int, Number(12, 4096, advanced=True), "The side of the smallest face, in pixels. More is faster."]
_Score = Annotated[float, Slider(0, 1, step=0.01), "How sure a face has to be."]
_WHERE = "Of MTCNN, as facenet-pytorch has it in its folder data: `pip download --no-deps facenet-pytorch==2.6.0`."
_First = Annotated[str, ModelPick("preprocessor", advanced=True, group="Detector"), _WHERE]
_Second = Annotated[str, ModelPick("preprocessor", advanced=True, group="Detector"), "The second network."]
_Third = Annotated[str, ModelPick("preprocessor", advanced=True, group="Detector"), "The third network."]


class Found(NamedTuple):
    """Faces that were found."""

    mask: Annotated[Mask, "White where faces are, one mask an image: an oval in each box."]
    boxes: Annotated[
        list[str], "For each image a JSON: left, top, width, height, score and five points of each, the surest first."
    ]
    number: Annotated[int, "How many were found in all images."]


class Repaired(NamedTuple):
    """Images with their faces mended."""

    image: Image
    mask: Annotated[Mask, "How much was put in where."]
    number: Annotated[int, "How many faces were mended in all images."]


@contextmanager
def _detector(ctx: Context, first: str, second: str, third: str) -> Iterator[Networks]:
    with ExitStack() as held:
        made: list[Any] = []
        for name, sort, port in (
            (first, "mtcnn_propose", "first"),
            (second, "mtcnn_refine", "second"),
            (third, "mtcnn_output", "third"),
        ):
            try:
                lease = held.enter_context(leased(ctx, name, (sort,), f"{port} network of MTCNN", port=port))
            except ProblemError as error:
                raise ProblemError(_told_where(problem) for problem in error.problems) from None
            made.append(lease.component.network)
        yield Networks(*made)


def _told_where(problem: Problem) -> Problem:
    """Where the weights of the detector come from, for one who lacks them: no hub has them by these names."""
    if problem.code != "model_missing":
        return problem
    hint = "`pip download --no-deps facenet-pytorch==2.6.0`, open the wheel as an archive, and put pnet.pt, rnet.pt "
    hint += "and onet.pt of facenet_pytorch/data (2 MB, MIT) into a model folder; `safelight models convert` each."
    return Problem(code=problem.code, message=problem.message, hint=hint, port=problem.port, value=problem.value)


@node(
    version=1,
    title="Find faces",
    tags=(
        "BBOX Detector (face)",
        "UltralyticsDetectorProvider",
        "FaceDetailer",
        "ADetailer",
        "face detection",
        "MTCNN",
    ),
)
def find(
    image: Image,
    *,
    score: _Score = 0.9,
    smallest: _Smallest = 20,
    grow: Annotated[float, Number(0.1, 5, step=0.05), "How much larger than its box the oval of a face is."] = 1.2,
    first: _First = "pnet.pt",
    second: _Second = "rnet.pt",
    third: _Third = "onet.pt",
    ctx: Context,
) -> Found:
    """Find faces, and mask them: to draw them once more in detail, or to leave them alone.

    Connect the mask to mask.crop, sample what it cuts out, and put it back by mask.stitch.
    """
    import torch

    from .._faces import faces_in

    pixels = pixels_of(image)
    count, height, width, _ = pixels.shape
    down, across = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    masks = torch.zeros(count, height, width)
    boxes: list[str] = []
    total = 0
    with _detector(ctx, first, second, third) as networks:
        for place, one in enumerate(pixels):
            ctx.check_cancelled()
            with torch.inference_mode():
                found = ctx.models.retry(lambda one=one: faces_in(one, networks, smallest, score))
            for face in found:
                half = grow * (face.right - face.left) / 2, grow * (face.bottom - face.top) / 2
                middle = (face.left + face.right) / 2, (face.top + face.bottom) / 2
                inside = ((across - middle[0]) / half[0]) ** 2 + ((down - middle[1]) / half[1]) ** 2 <= 1
                masks[place][inside] = 1
            boxes.append(json.dumps([_told(face) for face in found]))
            total += len(found)
            ctx.progress(place + 1, count)
    return Found(Mask(masks), boxes, total)


def _told(face: Any) -> dict[str, Any]:
    return {
        "left": round(face.left),
        "top": round(face.top),
        "width": round(face.right) - round(face.left),
        "height": round(face.bottom) - round(face.top),
        "score": round(face.score, 4),
        "points": [[round(float(one), 1) for one in point] for point in face.points],
    }


@node(
    version=1,
    title="Repair faces",
    tags=("FaceRestoreCFWithModel", "ReActorRestoreFace", "GFPGAN", "CodeFormer", "RestoreFormer", "face restoration"),
)
def repair(
    image: Image,
    restorer: Annotated[
        ModelRef[Upscaler],
        "GFPGAN, RestoreFormer or CodeFormer, by upscale.load. CodeFormer is not for commercial use.",
    ],
    *,
    strength: Annotated[float, Slider(0, 1, step=0.01), "How much of the mended face counts."] = 1.0,
    feather: Annotated[float, Slider(0, 1, step=0.01), "How wide its edge fades into the image."] = 0.3,
    score: _Score = 0.9,
    smallest: _Smallest = 20,
    first: _First = "pnet.pt",
    second: _Second = "rnet.pt",
    third: _Third = "onet.pt",
    ctx: Context,
) -> Repaired:
    """Mend faces: each is found, turned upright, mended at 512 x 512 pixels, and put back with soft edges.

    A network draws a face that is likely, not the one that was there. Enlarge small images first: a face is put back in
    the size that it had. Where no face is found the image stays as it is.
    """
    import numpy
    import torch

    from .._faces import cut_out, faces_in, put_back, upright
    from ..upscale import leased as leased_upscaler

    pixels = image.pixels[..., :3]
    made: list[Any] = []
    masks: list[Any] = []
    found: list[Any] = []
    with _detector(ctx, first, second, third) as networks, torch.inference_mode():
        for one in pixels:
            ctx.check_cancelled()
            found.append(ctx.models.retry(lambda one=one: faces_in(one, networks, smallest, score)))
    total = max(1, sum(map(len, found)))
    done = 0
    with leased_upscaler(ctx, restorer, "restorer") as network, torch.inference_mode():
        if not network.faces:
            message = f"{restorer.source.name!r} was not made for faces."
            hint = "Choose GFPGAN, RestoreFormer or CodeFormer; upscale.apply runs others."
            value = restorer.source.name
            raise ProblemError(Problem(code="wrong_model", message=message, hint=hint, port="restorer", value=value))
        for one, faces in zip(pixels, found, strict=True):
            drawn, mask = one.numpy(), numpy.zeros(one.shape[:2], numpy.float32)
            for face in faces:
                ctx.check_cancelled()
                way = upright(face.points)
                square = torch.from_numpy(cut_out(drawn, way))[None]
                mended = ctx.models.retry(lambda square=square: network(square))[0].numpy()
                drawn, share = put_back(drawn, mended, way, feather, strength)
                mask = numpy.maximum(mask, share)
                done += 1
                ctx.progress(done, total)
            made.append(torch.from_numpy(numpy.ascontiguousarray(drawn, numpy.float32)))
            masks.append(torch.from_numpy(mask))
    colours = torch.stack(made).clamp(0, 1)
    if image.pixels.shape[-1] == 4:
        colours = torch.cat([colours, image.pixels[..., 3:]], dim=-1)
    return Repaired(Image(colours), Mask(torch.stack(masks).clamp(0, 1)), done)
