"""People that nobody is: drawn figures, for trying what is done to what they wear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from safelight.sdk import Context, Image, Mask, Number, Seed, node

if TYPE_CHECKING:
    from .._figures.paint import Figure


class Figures(NamedTuple):
    """Drawn people, and what is known of what they wear."""

    image: Annotated[Image, "The figures, from the front, over a plain wall."]
    mask: Annotated[Mask, "Where the garment is seen: hands before it are left out."]
    light: Annotated[
        Image, "Light and folds alone, white where no shadow falls: another cloth, multiplied by it, hangs as this one."
    ]


@node(
    version=1,
    title="Draw figures",
    tags=(
        "person",
        "people",
        "mannequin",
        "character",
        "virtual try-on",
        "VITON",
        "clothes",
        "synthetic data",
        "test image",
    ),
)
def figure(
    *,
    count: Annotated[int, Number(1, 1024), "Images in the batch."] = 1,
    width: Annotated[int, Number(64, 2048, step=8), "In pixels."] = 192,
    height: Annotated[int, Number(64, 2048, step=8), "In pixels."] = 288,
    garment: Annotated[
        Literal["upper_body", "lower_body", "dress"],
        "Of what the mask is: the top, the trousers or skirt below it, or a dress, which they wear then.",
    ] = "upper_body",
    seed: Annotated[int, Seed(), "Image k of a batch uses seed + k, as samplers do."] = 0,
    ctx: Context,
) -> Figures:
    """Draw friendly people with flat colours and soft shadows, and the mask of a garment that each wears.

    Nobody sat for them: skin, hair, clothes and pose are chosen by the seed. The edges of figures and masks are smooth.
    """
    import numpy
    import torch

    from .._figures.body import drawn
    from .._figures.looks import looked
    from .._pixels import check_size

    check_size(height * count, width, "width")
    made: list[Figure] = []
    for number in range(count):
        ctx.check_cancelled()
        made.append(drawn(looked(seed + number, garment), garment, width, height))
        ctx.progress(number + 1, count)
    # Copied, since what Pillow lends cannot be written to.
    image, light, worn = (
        torch.stack([torch.from_numpy(numpy.array(one[kind])).float() / 255 for one in made]) for kind in range(3)
    )
    return Figures(Image(image), Mask(worn), Image(light))
