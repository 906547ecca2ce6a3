"""Images as tiles: repeated, cut up, put together, without seams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from safelight.sdk import Image, Number, Problem, ProblemError, Slider, node

if TYPE_CHECKING:
    from torch import Tensor


@node(version=1, cheap=True, tags=("Tile Image", "repeat image", "Seamless Texture", "texture preview", "pattern"))
def tile(
    image: Image,
    *,
    columns: Annotated[int, Slider(1, 32), "Beside each other."] = 2,
    rows: Annotated[int, Slider(1, 32), "Above each other."] = 2,
    mirror: Annotated[
        Literal["none", "horizontal", "vertical", "both"], "Every other one is mirrored, so that edges meet."
    ] = "none",
    shift: Annotated[
        float, Slider(0, 1, step=0.05), "Every other row is moved by this fraction of the width, as bricks are."
    ] = 0.0,
) -> Image:
    """Lay an image beside itself: a preview of how a texture repeats."""
    import torch

    from .._pixels import check_size

    pixels = image.pixels
    check_size(pixels.shape[1] * rows, pixels.shape[2] * columns, "columns")
    across = pixels.flip(2) if mirror in ("horizontal", "both") else pixels
    bands: list[Tensor] = []
    for row in range(rows):
        band = torch.cat([across if column % 2 else pixels for column in range(columns)], dim=2)
        if row % 2 and mirror in ("vertical", "both"):
            band = band.flip(1)
        bands.append(band.roll(round(shift * pixels.shape[2]), 2) if row % 2 else band)
    return Image(torch.cat(bands, dim=1))


@node(version=1, tags=("Make Seamless", "Image Seamless Texture", "seamless texture", "tileable"))
def make_seamless(
    image: Image,
    *,
    blend: Annotated[float, Slider(0.01, 0.5, step=0.01), "Width of the seam as a fraction of each side."] = 0.2,
    direction: Annotated[Literal["both", "horizontal", "vertical"], "Which edges are to meet."] = "both",
) -> Image:
    """Make a texture repeat without a seam: each edge is faded into what comes before the other one.

    The result is smaller by the width of the seam.
    """
    pixels = image.pixels
    for dimension, wanted in ((2, "horizontal"), (1, "vertical")):
        if direction not in ("both", wanted):
            continue
        side = pixels.shape[dimension]
        pixels = _joined_ends(pixels, min(side // 2, round(side * blend)), dimension)
    return Image(pixels)


class Tiles(NamedTuple):
    """An image cut up."""

    tiles: Annotated[list[Image], "Row by row from the upper left. What is connected runs once for each."]
    columns: Annotated[int, "Tiles beside each other."]
    rows: Annotated[int, "Tiles above each other."]


@node(
    version=1,
    cheap=True,
    tags=("Split Image into Tiles", "ImageTile", "Image Tile Batch", "untile", "slice", "Ultimate SD Upscale"),
)
def split_tiles(
    image: Image,
    *,
    width: Annotated[int, Number(8, 8192), "Of a tile in pixels."] = 512,
    height: Annotated[int, Number(8, 8192), "Of a tile in pixels."] = 512,
    overlap: Annotated[int, Number(0, 4096), "Pixels that neighbours share, so that no seam is seen later."] = 64,
) -> Tiles:
    """Cut images into tiles of one size, to work on each. Tiles overlap by at least so much, and cover the image."""
    _check_overlap(overlap, width, height)
    tall, wide = image.pixels.shape[1:3]
    downs, acrosses = _starts(tall, height, overlap), _starts(wide, width, overlap)
    tiles = [
        Image(image.pixels[:, top : top + height, left : left + width].contiguous())
        for top in downs
        for left in acrosses
    ]
    return Tiles(tiles, len(acrosses), len(downs))


@node(version=1, tags=("Merge Tiles", "ImageUntile", "Image Untile Batch", "assemble tiles", "stitch"))
def merge_tiles(
    tiles: Annotated[list[Image], "All of them, in the order in which they were cut; they may have grown meanwhile."],
    like: Annotated[Image, "The image that was cut: the result has its size, times what the tiles have grown."],
    *,
    width: Annotated[int, Number(8, 8192), "Of a tile when it was cut, in pixels."] = 512,
    height: Annotated[int, Number(8, 8192), "Of a tile when it was cut, in pixels."] = 512,
    overlap: Annotated[int, Number(0, 4096), "Pixels that neighbours shared."] = 64,
) -> Image:
    """Put tiles together again. Where they overlap they fade into each other."""
    import torch

    from .._pixels import check_size, require_alike

    _check_overlap(overlap, width, height)
    tall, wide = like.pixels.shape[1:3]
    downs, acrosses = _starts(tall, height, overlap), _starts(wide, width, overlap)
    require_alike(tiles, "tiles", batches=True)
    cut = min(height, tall), min(width, wide)
    factor = tiles[0].pixels.shape[1] / cut[0]
    even = factor == tiles[0].pixels.shape[2] / cut[1]
    if len(tiles) != len(downs) * len(acrosses) or not even:
        wanted = f"{len(acrosses)} x {len(downs)} tiles of {cut[1]} x {cut[0]} pixels, or of the same proportions"
        got = f"{len(tiles)} of {tiles[0].pixels.shape[2]} x {tiles[0].pixels.shape[1]}"
        raise ProblemError(
            Problem(
                code="wrong_tiles",
                message=f"These tiles do not make the image: it takes {wanted}, and there are {got}.",
                hint="Give the width, the height and the overlap that they were cut with, and all of them.",
                port="tiles",
            )
        )
    tall, wide = round(tall * factor), round(wide * factor)
    check_size(tall, wide, "like")
    count, tile_height, tile_width, channels = tiles[0].pixels.shape
    made, weights = torch.zeros(count, tall, wide, channels), torch.zeros(tall, wide, 1)
    places = iter(tiles)
    for top in downs:
        for left in acrosses:
            at_y, at_x = min(round(top * factor), tall - tile_height), min(round(left * factor), wide - tile_width)
            share = _ramp(tile_height, at_y, tall, overlap * factor)[:, None] * _ramp(
                tile_width, at_x, wide, overlap * factor
            )
            area = (slice(at_y, at_y + tile_height), slice(at_x, at_x + tile_width))
            made[:, *area] += next(places).pixels * share[..., None]
            weights[area] += share[..., None]
    return Image((made / weights).clamp(0, 1))


def _starts(whole: int, part: int, overlap: int) -> list[int]:
    """Where tiles begin: evenly spread, so that each two share at least `overlap`."""
    from .._tiles import spans

    return [begin for begin, _ in spans(whole, part, overlap)]


def _ramp(side: int, at: int, whole: int, overlap: float) -> Tensor:
    """(side) weights that rise and fall within the overlap, but not at the edges of the image."""
    import torch

    place = torch.arange(side) + 0.5
    rise = (place / overlap).clamp(max=1) if at > 0 and overlap else torch.ones(side)
    fall = ((side - place) / overlap).clamp(max=1) if at + side < whole and overlap else torch.ones(side)
    return torch.minimum(rise, fall)


def _check_overlap(overlap: int, width: int, height: int) -> None:
    if overlap >= min(width, height):
        raise ProblemError(
            Problem(
                code="bad_overlap",
                message=f"Tiles of {width} x {height} cannot overlap by {overlap} pixels.",
                hint="Let the overlap be smaller than either side.",
                port="overlap",
                value=overlap,
            )
        )


def _joined_ends(pixels: Tensor, seam: int, dimension: int) -> Tensor:
    """Images shortened by `seam` along a dimension: the begin is faded over from what lay beyond the new end."""
    import torch

    if seam < 1:
        return pixels
    side = pixels.shape[dimension] - seam
    kept, beyond = pixels.narrow(dimension, 0, side).clone(), pixels.narrow(dimension, side, seam)
    share = ((torch.arange(seam) + 0.5) / seam).view([seam if place == dimension else 1 for place in range(4)])
    kept.narrow(dimension, 0, seam).mul_(share).add_(beyond * (1 - share))
    return kept
