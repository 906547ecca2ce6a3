"""Ratings out of votes: the likeliest ones, with intervals that hold what they say, on Elo's scale."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from safelight.sdk.problem import ProblemError
from safelight.sdk.votes import Vote, read_votes, table, table_csv, votes_csv

NAMES = ("a", "b", "c", "d")


def likeliest(votes: list[Vote]) -> dict[str, float]:
    """By a general optimizer, from the formula of the likelihood."""
    names = sorted({name for vote in votes for name in vote[:2]})

    def surprise(strengths: Any) -> float:
        of = dict(zip(names, strengths, strict=True))
        share = {"left": 1.0, "tie": 0.5, "right": 0.0}
        total = 0.0
        for left, right, preferred in votes:
            chance = 1 / (1 + math.exp(of[right] - of[left]))
            total -= share[preferred] * math.log(chance) + (1 - share[preferred]) * math.log(1 - chance)
        return total

    found = minimize(surprise, numpy.zeros(len(names)), method="BFGS", options={"gtol": 1e-9}).x
    return dict(zip(names, 1000 + 400 / math.log(10) * (found - found.mean()), strict=True))


def drawn(count: int, seed: int, strengths: tuple[float, ...] = (1.2, 0.3, -0.4, -1.1)) -> list[Vote]:
    chance = numpy.random.default_rng(seed)
    found: list[Vote] = []
    for number in range(count):
        first, second = list(itertools.combinations(range(len(strengths)), 2))[number % 6]
        better = chance.random() < 1 / (1 + math.exp(strengths[second] - strengths[first]))
        tie = chance.random() < 0.1
        found.append(Vote(NAMES[first], NAMES[second], "tie" if tie else "left" if better else "right"))
    return found


def test_ratings_are_the_likeliest() -> None:
    votes = drawn(120, 1)
    found = table(votes)
    assert found.steady
    wanted = likeliest(votes)
    assert {one.name: one.rating for one in found.standings} == pytest.approx(wanted, abs=1e-2)
    assert [one.name for one in found.standings] == sorted(wanted, key=lambda name: -wanted[name])
    assert sum(one.wins for one in found.standings) == sum(one.losses for one in found.standings)
    assert sum(one.wins + one.losses + one.ties for one in found.standings) == 2 * len(votes)


def test_two_have_the_ratings_that_a_formula_gives() -> None:
    """With n votes, a share p for one: their difference is log(p / (1 - p)), its deviation 1 / sqrt(n p (1 - p))."""
    votes = [Vote("a", "b", "left")] * 18 + [Vote("b", "a", "left")] * 5 + [Vote("a", "b", "tie")] * 2
    first, second = table(votes).standings
    share = 19 / 25
    assert first.name == "a" and (first.wins, first.losses, first.ties) == (18, 5, 2)
    assert first.rating - second.rating == pytest.approx(400 * math.log10(share / (1 - share)))
    assert first.rating + second.rating == pytest.approx(2000)
    half = 400 / math.log(10) * 1.959964 / math.sqrt(25 * share * (1 - share)) / 2
    assert (first.high - first.rating, first.rating - first.low) == pytest.approx((half, half), rel=1e-6)


def test_ninety_five_in_a_hundred_intervals_hold_the_truth() -> None:
    truth = dict(zip(NAMES, (1000 + 400 / math.log(10) * one for one in (1.2, 0.3, -0.4, -1.1)), strict=True))
    chance = numpy.random.default_rng(7)
    held = 0
    for _ in range(200):
        votes = []
        for first, second in itertools.combinations(NAMES, 2):
            wins = chance.binomial(40, 1 / (1 + 10 ** ((truth[second] - truth[first]) / 400)))
            votes += [Vote(first, second, "left")] * wins + [Vote(first, second, "right")] * (40 - wins)
        held += sum(one.low <= truth[one.name] <= one.high for one in table(votes).standings)
    assert 0.92 < held / 800 < 0.98


def test_who_has_only_won_has_a_rating_that_is_not_steady() -> None:
    found = table([Vote("a", "b", "left")] * 20)
    assert not found.steady and found.standings[0].name == "a"
    assert found.standings[0].rating - found.standings[1].rating == pytest.approx(400 * math.log10(20.5 / 0.5))
    circle = [Vote("a", "b", "left"), Vote("b", "c", "left"), Vote("c", "a", "left")]
    assert table(circle).steady
    assert [one.rating for one in table(circle).standings] == pytest.approx([1000] * 3)
    apart = table([Vote("a", "b", "tie"), Vote("c", "d", "tie")])
    assert not apart.steady and {one.rating for one in apart.standings} == {1000.0}


@given(
    st.lists(st.builds(Vote, st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(["left", "right", "tie"])))
)
def test_any_votes_have_finite_ratings_around_a_thousand(votes: list[Vote]) -> None:
    found = table(votes).standings
    assert all(math.isfinite(one.rating) and one.low <= one.rating <= one.high for one in found)
    assert sum(one.rating for one in found) == pytest.approx(1000 * len(found))
    swapped: dict[str, Any] = {"left": "right", "right": "left", "tie": "tie"}
    turned = table([Vote(right, left, swapped[preferred]) for left, right, preferred in votes]).standings
    assert {one.name: one.rating for one in turned} == pytest.approx({one.name: one.rating for one in found})


def test_votes_go_through_a_file() -> None:
    votes = [Vote('guidance=3, "x"', "b\nb", "left"), Vote("b", "a", "tie")]
    assert read_votes(votes_csv(votes)) == votes
    assert read_votes("\ufeffwho,left, right, preferred\nme,a,b,right\n") == [Vote("a", "b", "right")]
    text = table_csv(table([Vote("a", "b", "left"), Vote("a", "b", "right")]).standings)
    assert text.splitlines()[0] == "name,rating,low,high,wins,losses,ties"
    assert text.splitlines()[1].startswith("a,1000.0,") and text.splitlines()[1].endswith(",1,1,0")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column 'left'"),
        ("left,right\na,b\n", "no column 'preferred'"),
        ("left,right,preferred\na,b,left\na,b,lefft\n", "Line 3 of the votes prefers 'lefft'"),
        ('left,right,preferred\n"a"b,b,left\n', "Line 2 of the votes cannot be read"),
    ],
)
def test_what_is_no_vote_is_told(text: str, said: str) -> None:
    with pytest.raises(ProblemError) as caught:
        read_votes(text)
    (problem,) = caught.value.problems
    assert problem.code == "bad_table" and said in problem.message and problem.hint
