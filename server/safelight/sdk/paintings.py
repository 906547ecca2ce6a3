"""A painting as text: layers of strokes, areas and regions, as the editor's painter writes them.

Kept as what was done, not as pixels, so that a workflow holds its paintings, every stroke can be undone, and a
painting can be drawn again at another size. Places are pixels of the painting's own
width and height, from its upper left corner.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

LARGEST = 16_384
"""Pixels along a side, as for all images."""

_Colour = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}$")]
_Part = Annotated[float, Meta(ge=0, le=1)]
_Side = Annotated[int, Meta(ge=1, le=LARGEST)]
_Place = Annotated[float, Meta(ge=-1e6, le=1e6)]


class Mark(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """Base of all marks. Without a colour it takes away what lies on its layer."""

    color: _Colour | None = None


class Stroke(Mark, frozen=True, tag="stroke"):
    """Where a round brush passed. `spots`: x, y and the radius there, one place after the other."""

    spots: list[_Place]


class Area(Mark, frozen=True, tag="area"):
    """The inside of a polygon. `points`: x and y, one corner after the other."""

    points: list[_Place]


class Region(Mark, frozen=True, tag="region"):
    """Whole pixels. `runs`: where one begins, counted row by row, and how many there are, run after run."""

    runs: list[Annotated[int, Meta(ge=0, le=LARGEST * LARGEST)]]


class Layer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Marks in the order in which they were made.

    Where layers are regions of prompts, each has a `prompt`, the `strength` of it against others in the same place,
    and the `color` that its next mark is shown in.
    """

    name: Annotated[str, Meta(max_length=200)] = ""
    opacity: _Part = 1.0
    visible: bool = True
    marks: list[Stroke | Area | Region] = []
    prompt: Annotated[str, Meta(max_length=20_000)] = ""
    strength: Annotated[float, Meta(ge=0, le=10)] = 1.0
    color: _Colour | None = None


class Painting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Layers, the lowest first."""

    width: _Side
    height: _Side
    layers: Annotated[list[Layer], Meta(max_length=200)] = []


_DECODER = msgspec.json.Decoder(Painting)
_WHERE = re.compile(r" - at `\$?\.?(.*?)`$")


def read_painting(text: str) -> Painting:
    """Raises ValueError, with what is wrong in plain words."""
    try:
        made = _DECODER.decode(text)
    except msgspec.DecodeError as error:
        said = str(error)
        where = _WHERE.search(said)
        raise ValueError(f"{_WHERE.sub('', said)}{f' (at {where[1]})' if where else ''}") from error
    for layer in made.layers:
        for mark in layer.marks:
            parts, each = _numbers(mark)
            if len(parts) % each:
                raise ValueError(f"A mark of the layer {layer.name!r} has {len(parts)} numbers, no multiple of {each}")
            if isinstance(mark, Region) and any(
                start + length > made.width * made.height
                for start, length in zip(mark.runs[::2], mark.runs[1::2], strict=True)
            ):
                raise ValueError(f"A region of the layer {layer.name!r} has pixels beyond the painting")
    return made


def _numbers(mark: Stroke | Area | Region) -> tuple[list[float] | list[int], int]:
    if isinstance(mark, Stroke):
        return mark.spots, 3
    return (mark.points, 2) if isinstance(mark, Area) else (mark.runs, 2)
