"""Images that are painted by hand."""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import Color, Image, Mask, Number, Paint, node

from .draw import Drawn


@node(
    version=1,
    tags=(
        "Painter",
        "PainterNode",
        "Canvas",
        "sketch",
        "scribble",
        "doodle",
        "draw",
        "brush",
        "Inpaint sketch",
        "live",
    ),
)
def paint(
    image: Annotated[Image | None, "What is painted on; without it, on an empty sheet."] = None,
    *,
    painting: Annotated[str, Paint(), "Layers of strokes, as they were painted. The brush opens the painter."] = "",
    width: Annotated[int, Number(1, 16384), "Of the sheet, in pixels. An image that is painted on has its own."] = 512,
    height: Annotated[int, Number(1, 16384), "Of the sheet, in pixels. An image that is painted on has its own."] = 512,
    background: Annotated[str, Color(), "Of the sheet."] = "#ffffff",
) -> Drawn:
    """Paint with a brush, on layers, in the editor.

    The workflow keeps strokes, not pixels: on an image or sheet of another size they are drawn again at that size.
    Every image of a batch gets the same.
    """
    import torch

    from .._blending import composited
    from .._painting import painted
    from .._pixels import check_size, color_of, opaque

    if image is None:
        check_size(height, width, "width")
        below = color_of(background).expand(1, height, width, 3)
    else:
        below = image.pixels
    made, coverage = opaque(below), torch.zeros(1, *below.shape[1:3])
    for layer in painted(painting, *below.shape[1:3]):
        alpha = layer[None, ..., 3]
        sheet = torch.cat([layer[..., :3], torch.ones_like(layer[..., :1])], dim=-1)
        made = composited(made, sheet.expand_as(made), alpha[..., None].expand(len(made), -1, -1, -1), "normal")
        coverage = coverage + alpha * (1 - coverage)
    return Drawn(Image(made[..., : below.shape[-1]].contiguous()), Mask(coverage))
