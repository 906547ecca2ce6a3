"""What is what in an image: classes in colours, and masks of what a text says."""

from __future__ import annotations

import json
from typing import Annotated, Any, NamedTuple

from safelight.sdk import (
    Choice,
    Context,
    Image,
    Mask,
    ModelPick,
    Precision,
    Problem,
    ProblemError,
    Seed,
    Slider,
    Text,
    node,
)

from .._preprocessing import MODEL_HELP, Resolution, each, leased, pixels_of, scaled, side_of

_Precision = Annotated[Precision, Choice(advanced=True), "What it computes with. auto suits the machine."]
_Text = Annotated[str, Text(multiline=True), "What is looked for: a thing, or several with commas between them."]


class Classes(NamedTuple):
    """An image by its classes."""

    image: Annotated[Image, "Each class in a colour of its own: those of ADE20K, for a segmentation ControlNet."]
    mask: Annotated[Mask, "White where the classes are that were asked for; black if none were."]
    found: Annotated[list[str], "The names of the classes that were found, those that cover most first."]


@node(
    version=1,
    title="Segment into classes",
    tags=(
        *("OneFormer-ADE20K-SemSegPreprocessor", "UniFormer-SemSegPreprocessor", "SemSegPreprocessor", "seg_ofade20k"),
        *("SegFormer", "Mask2Former", "semantic segmentation", "ADE20K"),
    ),
)
def classes(
    image: Image,
    *,
    only: Annotated[str, Text(), "Names of classes that the mask shows, with commas between them: person, sky."] = "",
    model: Annotated[
        str,
        ModelPick("preprocessor"),
        "A model of transformers that segments, as a folder or hub id: SegFormer, Mask2Former, OneFormer, UperNet.",
    ] = "nvidia/segformer-b0-finetuned-ade-512-512",
    precision: _Precision = "auto",
    ctx: Context,
) -> Classes:
    """Tell what is what: wall, sky, person and other classes, each in its colour, and those asked for as a mask."""
    import torch

    from .._palettes import class_colour
    from .._segments import SEGMENTERS
    from .._segments import classes as classes_of

    wanted = {name.strip().casefold() for name in only.split(",") if name.strip()}
    areas: dict[str, int] = {}
    masks: list[Any] = []
    with leased(ctx, model, SEGMENTERS, "a model that segments into classes", precision=precision) as lease:

        def read(pixels: Any) -> Any:
            numbers, names = ctx.models.retry(lambda: classes_of(lease, pixels))
            _check_names(wanted, names)
            covered = torch.zeros(numbers.shape)
            shown = torch.zeros(*numbers.shape, 3, dtype=torch.uint8)
            for number in numbers.unique().tolist():
                here = numbers == number
                name = names.get(number, "")
                shown[here] = torch.tensor(class_colour(number), dtype=torch.uint8)
                # Some classes have several names.
                if wanted & {name.casefold(), *(part.strip().casefold() for part in name.split(","))}:
                    covered[here] = 1
                if name:
                    areas[name] = areas.get(name, 0) + int(here.sum())
            masks.append(covered)
            return shown.numpy()

        made = each(image, read, ctx)
    return Classes(made, Mask(torch.stack(masks)), sorted(areas, key=lambda name: -areas[name]))


def _check_names(wanted: set[str], names: dict[int, str]) -> None:
    """Raises ProblemError `unknown_class` for a name that the model has no class of."""
    known = {part.strip().casefold() for name in names.values() for part in (name, *name.split(","))}
    for name in sorted(wanted - known):
        listed = ", ".join(list(names.values())[:40])
        message = f"The model has no class {name!r}."
        hint = f"Choose of its {len(names)}: {listed}{', ...' if len(names) > 40 else ''}."
        raise ProblemError(Problem(code="unknown_class", message=message, hint=hint, port="only", value=name))


@node(version=1, title="Segment everything (SAM)", tags=("SAMPreprocessor", "Segment Anything", "seg_anything"))
def everything(
    image: Image,
    *,
    resolution: Resolution = 512,
    points: Annotated[
        int, Slider(2, 64), "From how many places along a side it looks; more finds smaller things."
    ] = 32,
    seed: Annotated[int, Seed(), "Where the colours come from."] = 0,
    model: Annotated[
        str, ModelPick("preprocessor", advanced=True), MODEL_HELP
    ] = "ybelkada/segment-anything/checkpoints/sam_vit_b_01ec64.pth",
    ctx: Context,
) -> Image:
    """Show each thing in a colour of its own, without telling what it is.

    Source: A. Kirillov et al., "Segment Anything", 2023 (Apache-2.0).
    """
    import numpy

    side = side_of(image, resolution)
    with leased(ctx, model, ("sam",), "a network of Segment Anything in one file", side=side) as lease:
        # It looks from a grid of places, which belongs to it.
        annotator = type(lease.component.annotator)(lease.component.network, points_per_side=points)

        def read(pixels: Any) -> Any:
            given = scaled(pixels, side)
            found = ctx.models.retry(lambda: annotator.generate(given))
            colours = numpy.random.RandomState(seed % 2**32)
            shown = numpy.zeros(given.shape, numpy.uint8)
            for one in sorted(found, key=lambda each: -each["area"]):
                shown[one["segmentation"]] = [colours.randint(255, dtype=numpy.uint8) for _ in range(3)]
            return shown

        return each(image, read, ctx)


@node(version=1, title="Mask from text (CLIPSeg)", tags=("CLIPSeg", "CLIPSegmentation", "text to mask", "txt2mask"))
def clipseg(
    image: Image,
    *,
    text: Annotated[str, Text(), "What is looked for."] = "a person",
    threshold: Annotated[
        float, Slider(0, 1, step=0.01, zero="soft"), "What fits better than this is white. 0: as well as it fits."
    ] = 0.4,
    model: Annotated[
        str, ModelPick("preprocessor", advanced=True), "A CLIPSeg of transformers, as a folder or hub id."
    ] = "CIDAS/clipseg-rd64-refined",
    precision: _Precision = "auto",
    ctx: Context,
) -> Mask:
    """Mask what a text says, softly: rough places rather than sharp edges.

    Source: T. Lüddecke and A. Ecker, "Image Segmentation Using Text and Image Prompts", 2022 (MIT).
    """
    import torch

    from .._pixels import to_bytes
    from .._segments import described

    if not text.strip():
        raise _nothing_asked(text)
    made: list[Any] = []
    with leased(ctx, model, ("CLIPSegForImageSegmentation",), "a CLIPSeg", precision=precision) as lease:
        pixels = pixels_of(image)
        for place, one in enumerate(pixels):
            ctx.check_cancelled()
            given = to_bytes(one)
            with torch.inference_mode():
                made.append(ctx.models.retry(lambda given=given: described(lease, given, text)))
            ctx.progress(place + 1, len(pixels))
    found = torch.stack(made)
    return Mask((found > threshold).float() if threshold else found)


class Things(NamedTuple):
    """Things that were found."""

    mask: Annotated[Mask, "White where they are: one mask an image."]
    boxes: Annotated[
        list[str], "For each image a JSON: left, top, width, height, score and label of each thing, the surest first."
    ]
    number: Annotated[int, "How many were found in all images."]


@node(
    version=1,
    title="Find by text (Grounding DINO)",
    tags=(
        *("GroundingDinoSAMSegment (segment anything)", "Grounding DINO", "SAM 2", "text to mask", "detector"),
        *("object detection", "BBOX Detector", "Segment Anything"),
    ),
)
def find(
    image: Image,
    *,
    text: _Text = "a person",
    score: Annotated[float, Slider(0.01, 1, step=0.01), "How sure a thing has to be."] = 0.3,
    text_score: Annotated[float, Slider(0.01, 1, step=0.01, advanced=True), "How sure its name has to be."] = 0.25,
    detector: Annotated[
        str, ModelPick("preprocessor"), "A Grounding DINO of transformers, as a folder or hub id."
    ] = "IDEA-Research/grounding-dino-tiny",
    segmenter: Annotated[
        str,
        ModelPick("preprocessor"),
        "A SAM or SAM 2 of transformers, as a folder or hub id, which masks what is in the boxes. Empty: whole boxes.",
    ] = "facebook/sam2.1-hiera-tiny",
    precision: _Precision = "auto",
    ctx: Context,
) -> Things:
    """Find the things that a text names, and mask them along their edges.

    Source: S. Liu et al., "Grounding DINO", 2023; N. Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024
    (both Apache-2.0).
    """
    import torch

    from .._pixels import to_bytes
    from .._segments import BY_BOX, DETECTORS, detected, in_boxes

    if not text.replace(",", "").replace(".", "").strip():
        raise _nothing_asked(text)
    pixels = pixels_of(image)
    total = len(pixels) * (2 if segmenter.strip() else 1)
    found: list[list[Any]] = []
    with leased(ctx, detector, DETECTORS, "a Grounding DINO", port="detector", precision=precision) as lease:
        for place, one in enumerate(pixels):
            ctx.check_cancelled()
            given = to_bytes(one)
            with torch.inference_mode():
                found.append(ctx.models.retry(lambda given=given: detected(lease, given, text, score, text_score)))
            ctx.progress(place + 1, total)
    masks = torch.zeros(pixels.shape[:3])
    if segmenter.strip():
        said = "a SAM or SAM 2"
        with leased(ctx, segmenter, BY_BOX, said, port="segmenter", precision=precision) as lease:
            for place, (one, things) in enumerate(zip(pixels, found, strict=True)):
                ctx.check_cancelled()
                given, boxes = to_bytes(one), [list(thing[:4]) for thing in things]
                if boxes:
                    with torch.inference_mode():
                        made = ctx.models.retry(lambda given=given, boxes=boxes: in_boxes(lease, given, boxes))
                    masks[place] = made.amax(dim=0)
                ctx.progress(len(pixels) + place + 1, total)
    else:
        for place, things in enumerate(found):
            for thing in things:
                left, top, right, bottom = (round(side) for side in thing[:4])
                masks[place, top:bottom, left:right] = 1
    return Things(Mask(masks), [_told(things) for things in found], sum(map(len, found)))


@node(
    version=1,
    title="Segment at points (SAM)",
    tags=("SAM", "Segment Anything", "SAM 2", "SAMDetector", "point to mask", "magic wand", "object selection"),
)
def segment_at(
    image: Image,
    *,
    points: Annotated[
        str, Text(), "Places on the thing, x and y in pixels with commas between them: 120 80, 140 95."
    ] = "",
    exclude: Annotated[str, Text(advanced=True), "Places that do not belong to it, in the same way."] = "",
    model: Annotated[
        str,
        ModelPick("preprocessor"),
        "A SAM or SAM 2: a folder or hub id of transformers, or one file. Empty: segments of similar colours between "
        "edges, which needs no model.",
    ] = "facebook/sam2.1-hiera-tiny",
    scale: Annotated[
        float, Slider(1, 2000, step=1, shown_if={"model": ""}), "Without a model: more makes larger segments."
    ] = 200.0,
    precision: _Precision = "auto",
    ctx: Context,
) -> Mask:
    """Mask the thing that lies at a place of an image, as a click on it does in the painter.

    Source: N. Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024 (Apache-2.0); without a model
    P. Felzenszwalb and D. Huttenlocher, "Efficient Graph-Based Image Segmentation", 2004.
    """
    import torch

    from .._pixels import to_bytes
    from .._segments import BY_POINT, at_points, by_colour

    pixels = pixels_of(image)
    on, off = (_places(text, port, pixels.shape[1:3]) for text, port in ((points, "points"), (exclude, "exclude")))
    if not on:
        message, hint = "No place is given.", "Say where the thing is, in pixels: 120 80."
        raise ProblemError(Problem(code="no_place", message=message, hint=hint, port="points", value=points))
    if not model.strip():
        return Mask(torch.stack([by_colour(to_bytes(one), on, off, scale) for one in pixels]))
    made: list[Any] = []
    with leased(ctx, model, BY_POINT, "a SAM or SAM 2", precision=precision) as lease:
        for place, one in enumerate(pixels):
            ctx.check_cancelled()
            given = to_bytes(one)
            with torch.inference_mode():
                made.append(ctx.models.retry(lambda given=given: at_points(lease, given, on, off)))
            ctx.progress(place + 1, len(pixels))
    return Mask(torch.stack(made))


def _places(text: str, port: str, size: Any) -> list[list[float]]:
    """Pairs of x and y. Raises ProblemError `no_place` for what is none, or lies outside of (height, width)."""
    height, width = size
    made: list[list[float]] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        try:
            x, y = (float(number) for number in part.split())
        except ValueError:
            message, hint = f"{part!r} is no place.", "Write x and y in pixels, with a space between: 120 80."
            raise ProblemError(Problem(code="no_place", message=message, hint=hint, port=port, value=text)) from None
        if not (0 <= x < width and 0 <= y < height):
            message = f"{part!r} lies outside of the image, which has {width} x {height} pixels."
            hint = "Choose a place inside; they count from 0 at the upper left."
            raise ProblemError(Problem(code="no_place", message=message, hint=hint, port=port, value=text))
        made.append([x, y])
    return made


def _told(things: list[Any]) -> str:
    return json.dumps(
        [
            {
                "left": round(thing.left),
                "top": round(thing.top),
                "width": round(thing.right) - round(thing.left),
                "height": round(thing.bottom) - round(thing.top),
                "score": round(thing.score, 4),
                "label": thing.label,
            }
            for thing in things
        ]
    )


def _nothing_asked(text: str) -> ProblemError:
    message, hint = "The text names nothing.", "Say what is looked for: a cat."
    return ProblemError(Problem(code="text_empty", message=message, hint=hint, port="text", value=text))
