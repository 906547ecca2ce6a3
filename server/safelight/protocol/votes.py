"""Votes on the runs of a sweep, two of them side by side, and what follows from them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from safelight.sdk.votes import Preferred

from .common import Body

Cell = Annotated[list[Annotated[int, Meta(ge=0, le=9_999)]], Meta(max_length=100)]


class VoteBody(Body, kw_only=True):
    """Which of two runs of a sweep is preferred. `left` and `right` are their places in the grid, as in `cell`."""

    left: Cell
    right: Cell
    preferred: Preferred


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """A vote that is on disk. `made` is when."""

    id: str
    left: list[int]
    right: list[int]
    preferred: Preferred
    made: float


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One of those voted on, by its values on the axes that are compared.

    `rating` is that of Bradley and Terry on Elo's scale (1000 is the mean, 400 more are ten times the odds); `low` to
    `high` holds it with 95 % confidence.
    """

    name: str
    rating: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """The votes on a sweep, the oldest first, and the table of what is compared, the best first.

    `steady` is false while somebody has only won or only lost, or was not compared with all others by any chain; one
    tie for each pair that was voted on stands in until then.
    """

    votes: list[Vote]
    standings: list[Standing]
    steady: bool
