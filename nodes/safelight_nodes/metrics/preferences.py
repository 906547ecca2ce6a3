"""What people prefer."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import ProblemError, Text, node

from .._refusal import refusal


class Ratings(NamedTuple):
    """The best first, in all of them."""

    names: Annotated[list[str], "Of all that were voted on."]
    ratings: Annotated[list[float], "On Elo's scale: 1000 is the mean, 400 more are ten times the odds."]
    low: Annotated[list[float], "Where the 95 % interval of each rating begins."]
    high: Annotated[list[float], "Where it ends."]
    table: Annotated[str, "All of it, with wins, losses and ties, as CSV."]


@node(
    version=1,
    tags=("Elo", "Bradley-Terry", "human preference", "votes", "arena", "side by side", "win rate", "ranking"),
)
def preferences(
    votes: Annotated[
        str,
        Text(multiline=True),
        "As CSV with the columns left, right and preferred (left, right or tie), as the editor saves those on a sweep.",
    ],
) -> Ratings:
    """Ratings out of people's votes between two images each, with what they may be off by.

    They are those under which the votes are likeliest; a tie is half a vote for each. As long as one has only won or
    only lost, one tie for each pair stands in for votes that are missing. Sources: R. A. Bradley and M. E. Terry, "Rank
    Analysis of Incomplete Block Designs", 1952; A. E. Elo, "The Rating of Chessplayers", 1978.
    """
    from safelight.sdk.votes import read_votes, table, table_csv

    try:
        found = table(read_votes(votes)).standings
    except ProblemError as error:
        raise ProblemError(problem.at(port="votes") for problem in error.problems) from None
    if not found:
        raise refusal(code="list_empty", message="There is no vote.", hint="Vote on a sweep first.", port="votes")
    ratings, low, high = ([getattr(one, name) for one in found] for name in ("rating", "low", "high"))
    return Ratings([one.name for one in found], ratings, low, high, table_csv(found))
