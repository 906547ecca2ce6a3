"""Votes of people between two things each, and the ratings that follow from them.

Ratings are those of Bradley and Terry: the chance that one is preferred to another is a logistic function of the
difference of their ratings, which are those under which the votes are likeliest. A tie is half a vote for each. They
are given on Elo's scale: 1000 is the mean, and 400 more mean ten times the odds.

Sources: R. A. Bradley and M. E. Terry, "Rank Analysis of Incomplete Block Designs", 1952; A. E. Elo, "The Rating of
Chessplayers", 1978; L. R. Ford, "Solution of a Ranking Problem from Binary Comparisons", 1957, on when there are such
ratings.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .problem import Problem, ProblemError, did_you_mean

if TYPE_CHECKING:
    from numpy import ndarray

Preferred = Literal["left", "right", "tie"]
_ANSWERS: dict[str, Preferred] = {"left": "left", "right": "right", "tie": "tie"}
_COLUMNS = ("left", "right", "preferred")
_MEAN = 1000.0
_ELO = 400 / math.log(10)
_SURE = 1.959963984540054
"""Standard deviations to either side that hold 95 % of a normal distribution."""


class Vote(NamedTuple):
    """Two that were shown side by side, by name, and which of them was preferred."""

    left: str
    right: str
    preferred: Preferred


@dataclass(frozen=True)
class Standing:
    """One of those voted on. `low` to `high` holds the rating with 95 % confidence."""

    name: str
    rating: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int


class Table(NamedTuple):
    """The best first. It is `steady` when the votes alone say every rating: when nobody, alone or as a group, has only
    won or only lost against the rest, or was never compared with it. Until then, one tie for each pair that was voted
    on stands in for the votes that are missing."""

    standings: list[Standing]
    steady: bool


def table(votes: Sequence[Vote]) -> Table:
    """The ratings of all that were voted on; votes of one against itself count nothing."""
    import numpy

    votes = [vote for vote in votes if vote.left != vote.right]
    names = list(dict.fromkeys(name for vote in votes for name in vote[:2]))
    place = {name: number for number, name in enumerate(names)}
    won, tied = (numpy.zeros((len(names), len(names))) for _ in range(2))
    for left, right, preferred in votes:
        first, second = (left, right) if preferred != "right" else (right, left)
        (tied if preferred == "tie" else won)[place[first], place[second]] += 1
    tied = tied + tied.T
    points = won + tied / 2
    steady = bool(_reached(points > 0).all())
    if not steady:
        points = points + ((points + points.T) > 0) / 2
    strengths, deviations = _likeliest(points)
    standings = [
        Standing(
            name,
            _MEAN + _ELO * float(strengths[number]),
            _MEAN + _ELO * float(strengths[number] - _SURE * deviations[number]),
            _MEAN + _ELO * float(strengths[number] + _SURE * deviations[number]),
            *(int(count) for count in (won[number].sum(), won[:, number].sum(), tied[number].sum())),
        )
        for number, name in enumerate(names)
    ]
    return Table(sorted(standings, key=lambda one: (-one.rating, one.name)), steady)


def _likeliest(points: ndarray) -> tuple[ndarray, ndarray]:
    """Strengths, of a mean of 0, and their standard deviations, from the points (n, n) of each against each.

    By Newton's method, which the concave likelihood allows; what is not compared has a mean of 0 by itself.
    """
    import numpy

    games = points + points.T
    together = _reached(games > 0)
    means = together / numpy.maximum(together.sum(1, keepdims=True), 1)

    def likelihood(strengths: ndarray) -> float:
        return -float((points * numpy.logaddexp(0, strengths[None] - strengths[:, None])).sum())

    def covariance(strengths: ndarray) -> tuple[ndarray, ndarray]:
        chance = 1 / (1 + numpy.exp(strengths[None] - strengths[:, None]))
        known = games * chance * (1 - chance)
        return numpy.linalg.inv(numpy.diag(known.sum(1)) - known + means) - means, (points - games * chance).sum(1)

    strengths = numpy.zeros(len(points))
    for _ in range(200):
        spread, slope = covariance(strengths)
        step = spread @ slope
        while likelihood(strengths + step) < likelihood(strengths) - 1e-12:
            step = step / 2
        strengths = strengths + step
        if not len(step) or abs(step).max() < 1e-9:
            break
    spread, _ = covariance(strengths)
    return strengths, numpy.sqrt(numpy.maximum(numpy.diag(spread), 0))


def _reached(steps: ndarray) -> ndarray:
    """(n, n): which can be come to from which, in any number of steps, none included."""
    import numpy

    found = steps | numpy.eye(len(steps), dtype=bool)
    while True:
        further = found @ found
        if (further == found).all():
            return found
        found = further


def votes_csv(votes: Iterable[Vote]) -> str:
    """A file of votes, as `read_votes` takes it."""
    return _csv(_COLUMNS, votes)


def table_csv(standings: Iterable[Standing]) -> str:
    """A table as CSV, with ratings in tenths."""
    rows = ([f"{one:.1f}" if isinstance(one, float) else one for one in astuple(standing)] for standing in standings)
    return _csv([field.name for field in fields(Standing)], rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return file.getvalue()


def read_votes(text: str) -> list[Vote]:
    """The votes of a file: CSV with the columns `left`, `right` and `preferred` (left, right or tie), and any others.

    Raises:
        ProblemError: `bad_table`, with the line.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), strict=True, skipinitialspace=True)
    found: list[Vote] = []
    try:
        lacking = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if lacking:
            raise _bad(f"The votes have no column {lacking[0]!r}.", f"The first line is {','.join(_COLUMNS)}.")
        for row in reader:
            left, right, said = (str(row[name] or "").strip() for name in _COLUMNS)
            preferred = _ANSWERS.get(said)
            if preferred is None:
                hint = did_you_mean(said, _ANSWERS) or "Write left, right or tie."
                raise _bad(f"Line {reader.reader.line_num} of the votes prefers {said!r}.", hint)
            found.append(Vote(left, right, preferred))
    except csv.Error as error:
        hint = 'A name with a quotation mark in it is written "so ""here""".'
        raise _bad(f"Line {reader.reader.line_num} of the votes cannot be read: {error}.", hint) from None
    return found


def _bad(message: str, hint: str) -> ProblemError:
    return ProblemError(Problem(code="bad_table", message=message, hint=hint))
