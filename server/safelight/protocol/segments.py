"""The thing at a place of an image, as the painter asks for it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .common import Body

Place = tuple[Annotated[float, Meta(ge=0, le=16_384)], Annotated[float, Meta(ge=0, le=16_384)]]


class SegmentBody(Body, kw_only=True):
    """`image` is a file of the input folder, `point` x and y in its pixels, from the upper left.

    `model` is a SAM or SAM 2; without one, segments are found by colours and edges, and a larger `scale` makes them
    larger.
    """

    image: Annotated[str, Meta(min_length=1, max_length=1000)]
    point: Place
    model: Annotated[str, Meta(max_length=1000)] = ""
    scale: Annotated[float, Meta(ge=1, le=2000)] = 200.0


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """`digest` names a PNG as large as the image: white where the thing is, else black."""

    digest: str
    width: int
    height: int
