"""Several images in one: beside each other, in rows, compared."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Color, Image, Items, Number, Problem, ProblemError, Slider, Toggle, node


@node(version=1, tags=("Image Concatenate", "ImageConcanate", "Stack Images", "side by side", "join", "ImageStitch"))
def join(
    images: Annotated[list[Image], "Images, in the order in which they were connected; batches go image by image."],
    *,
    direction: Annotated[Literal["right", "down"], "Beside each other, or below each other."] = "right",
    fit: Annotated[
        Literal["resize", "pad"], "What differs in size is scaled to the first, or gets the background around it."
    ] = "resize",
    gap: Annotated[int, Number(0, 1024), "Pixels between them."] = 0,
    background: Annotated[str, Color(), "Between and around them."] = "#ffffff",
) -> Image:
    """Put images beside or below each other. One image serves a whole batch of the others."""
    import torch

    from .._pixels import check_size, color_of, no_images, opaque, resized

    across = direction == "right"
    whole = [one.pixels for one in images]
    if any(pixels.shape[-1] == 4 for pixels in whole):
        whole = [opaque(pixels) for pixels in whole]
    counts = {len(pixels) for pixels in whole} - {1}
    if not whole:
        raise no_images("images")
    if len(counts) > 1:
        said = " and ".join(str(count) for count in sorted(counts))
        raise ProblemError(
            Problem(
                code="wrong_batch",
                message=f"The batches differ: there are {said} images.",
                hint="Give batches of one length, or single images.",
                port="images",
            )
        )
    count = max(counts, default=1)
    side = 1 if across else 2
    length = whole[0].shape[side]
    if fit == "pad":
        length = max(pixels.shape[side] for pixels in whole)
    else:
        sizes = [
            (length, max(1, round(pixels.shape[2] * length / pixels.shape[1])))
            if across
            else (max(1, round(pixels.shape[1] * length / pixels.shape[2])), length)
            for pixels in whole
        ]
        whole = [resized(pixels, *size, "stretch", "lanczos") for pixels, size in zip(whole, sizes, strict=True)]
    other = sum(pixels.shape[3 - side] for pixels in whole) + gap * (len(whole) - 1)
    height, width = (length, other) if across else (other, length)
    check_size(height, width, "images")
    ground = torch.cat([color_of(background), torch.ones(1)])[: whole[0].shape[-1]]
    sheet = ground.repeat(count, height, width, 1)
    at = 0
    for pixels in whole:
        tall, wide = pixels.shape[1:3]
        top, left = ((length - tall) // 2, at) if across else (at, (length - wide) // 2)
        sheet[:, top : top + tall, left : left + wide] = pixels
        at += (wide if across else tall) + gap
    return Image(sheet)


@node(
    version=1,
    title="Compare images",
    tags=("Image Compare", "compare", "before after", "difference", "split view", "Image Comparer"),
)
def compare(
    first: Image,
    second: Annotated[Image, "Brought to the size of the first."],
    *,
    view: Annotated[
        Literal["side_by_side", "split", "difference", "heat"],
        "Beside each other, one half of each, how far they differ, or that in colours from blue to red.",
    ] = "side_by_side",
    place: Annotated[
        float, Slider(0, 1, step=0.01, shown_if={"view": "split"}), "Of the line between them, from the left."
    ] = 0.5,
    gain: Annotated[
        float, Slider(1, 100, shown_if={"view": ["difference", "heat"]}), "How many times the difference is shown."
    ] = 1.0,
    labels: Annotated[bool, Toggle(), "Write 'first' and 'second' on them, where both are seen."] = False,
) -> Image:
    """Show two images so that they can be compared. One serves a whole batch of the other."""
    import torch

    from .._measures import heat
    from .._pixels import common_batch, flattened, resized
    from .._sheets import labelled

    count = common_batch(first=len(first.pixels), second=len(second.pixels))
    one = flattened(first.pixels, 1.0).expand(count, -1, -1, -1)
    height, width = one.shape[1:3]
    two = resized(flattened(second.pixels, 1.0), height, width, "stretch", "bicubic").expand(count, -1, -1, -1)
    if view in ("difference", "heat"):
        found = ((one - two).abs() * gain).clamp(0, 1)
        return Image(heat(found.mean(dim=-1)) if view == "heat" else found)
    if view == "side_by_side":
        if labels:
            one, two = labelled(one, "first"), labelled(two, "second")
        return Image(torch.cat([one, two], dim=2))
    column = round(place * width)
    made = torch.cat([one[:, :, :column], two[:, :, column:]], dim=2)
    if labels:
        made = labelled(labelled(made, "first"), "second", right=True)
    if 0 < column < width:
        made[:, :, max(0, column - 1) : column + 1] = 1.0
    return Image(made)


@node(version=1, tags=("contact sheet", "XY plot", "X/Y/Z plot"))
def grid(
    images: Annotated[list[Image], "Images, or batches of them, in the order in which they were connected."],
    *,
    columns: Annotated[
        int, Number(0, 100, zero="auto"), "Images in a row. 0: about as many as there will be rows."
    ] = 0,
    gap: Annotated[int, Slider(0, 128), "Pixels between and around them."] = 8,
    background: Annotated[str, Color(), "What is seen between them, and behind transparent ones."] = "#ffffff",
) -> Image:
    """Lay images out in rows, to compare them or to show them together. Smaller ones stand in the middle."""
    import math

    import torch

    from .._pixels import color_of, flattened, no_images

    color = color_of(background)
    pil_images = [one for image in images for one in flattened(image.pixels, color)]
    if not pil_images:
        raise no_images("images")
    columns = min(columns or math.ceil(len(pil_images) ** 0.5), len(pil_images))
    rows = math.ceil(len(pil_images) / columns)
    height, width = (max(pil_image.shape[side] for pil_image in pil_images) for side in (0, 1))
    sheet = color.repeat(rows * (height + gap) + gap, columns * (width + gap) + gap, 1)
    for place, pil_image in enumerate(pil_images):
        row, column = divmod(place, columns)
        top = gap + row * (height + gap) + (height - pil_image.shape[0]) // 2
        left = gap + column * (width + gap) + (width - pil_image.shape[1]) // 2
        sheet[top : top + pil_image.shape[0], left : left + pil_image.shape[1]] = pil_image
    return Image(torch.stack([sheet]))


@node(version=1, tags=("XY Plot", "X/Y/Z plot", "labelled grid", "contact sheet", "Plot", "Image Grid with labels"))
def labelled_grid(
    images: Annotated[list[Image], "Images, or batches of them: row by row, sheet by sheet."],
    *,
    columns: Annotated[
        list[str],
        Items(max_items=100),
        "A label above each column; as many as there are. Empty: about as many as rows.",
    ] = [],  # noqa: B006 - a node never changes its inputs
    rows: Annotated[list[str], Items(max_items=100), "A label beside each row. Empty: as many as it takes."] = [],  # noqa: B006 - as above
    sheets: Annotated[
        list[str], Items(max_items=100), "A title of each sheet, the third axis. Empty: as many as it takes."
    ] = [],  # noqa: B006 - as above
    names: Annotated[list[str], Items(max_items=1000), "A caption below each image, as on a contact sheet."] = [],  # noqa: B006 - as above
    size: Annotated[int, Number(6, 200), "Of the letters in pixels."] = 20,
    gap: Annotated[int, Slider(0, 128), "Pixels between images."] = 8,
    background: Annotated[str, Color(), "Behind images and letters."] = "#ffffff",
    color: Annotated[str, Color(), "Of the letters."] = "#202020",
) -> Image:
    """Lay images out with labels: a sweep over two or three settings, or a contact sheet with captions.

    Several sheets become a batch. Missing images stay empty.
    """
    import torch

    from .._pixels import check_size, color_of, flattened, no_images
    from .._sheets import Sheet, arranged

    ground = color_of(background)
    given = [one for image in images for one in flattened(image.pixels, ground)]
    if not given:
        raise no_images("images")
    plan = Sheet(tuple(columns), tuple(rows), tuple(sheets), tuple(names), size, gap)
    across, down, count = plan.counts(len(given))
    if across * down * count < len(given):
        raise ProblemError(
            Problem(
                code="too_few_labels",
                message=f"{len(given)} images do not fit: the labels make room for {across * down * count}.",
                hint="Add labels, or leave those of the sheets or rows empty.",
                port="sheets" if sheets else "rows",
            )
        )
    height, width = (max(one.shape[side] for one in given) for side in (0, 1))
    check_size((height + gap) * down * count, (width + gap) * across, "images")
    return Image(torch.stack(arranged(given, plan, ground, color_of(color))))
