"""Numbers, conditions and lists."""

from __future__ import annotations

import math

import pytest
import torch

from safelight.sdk import Image, Mask, ProblemError
from safelight.testing import call
from safelight_nodes import values
from safelight_nodes.lists import ask, choose, make, order
from safelight_nodes.logic import gates
from safelight_nodes.numbers import calculate, chance, sizes


def code_of(error: pytest.ExceptionInfo[ProblemError]) -> tuple[str, str | None]:
    return error.value.problems[0].code, error.value.problems[0].port


@pytest.mark.parametrize(
    ("formula", "result"),
    [
        ("(a + b) * 2", 10),
        ("a / b", 2 / 3),
        ("b // a + b % a", 2),
        ("-a ** 2", -4),
        ("2 ** -1", 0.5),
        ("a if a > b else b", 3),
        ("a < b < 4", 1),
        ("a < b and not a == b", 1),
        ("0 or b", 3),
        ("max(a, b, 1) - min(a, b)", 1),
        ("sqrt(16) + abs(-1)", 5),
        ("round(2.345, 1)", 2.3),
        ("clamp(a, 5, 9) + mix(0, 10, 0.25)", 7.5),
        ("floor(pi) + ceil(e)", 6),
        ("atan2(1, 1) * 4 - pi", 0),
        ("log(8, 2)", 3),
        ("  1\n", 1),
        ("+".join(["1"] * 400), 400),
    ],
)
def test_formulas(formula: str, result: float) -> None:
    found = call(calculate.expression, 2.0, 3.0, expression=formula)
    assert found.number == pytest.approx(result)
    assert (found.integer, found.yes) == (round(result), result != 0)


@pytest.mark.parametrize(
    ("formula", "code"),
    [
        ("", "bad_expression"),
        ("a +", "bad_expression"),
        ("c", "bad_expression"),
        ("sqr(a)", "bad_expression"),
        ("sqrt(a, b)", "bad_expression"),
        ("clamp(a)", "bad_expression"),
        ("__import__('os').system('true')", "bad_expression"),
        ("a.real", "bad_expression"),
        ("[x for x in (1, 2)]", "bad_expression"),
        ("'a' * 3", "bad_expression"),
        ("(lambda: 1)()", "bad_expression"),
        ("max(*(1, 2))", "bad_expression"),
        ("1j", "bad_expression"),
        ("a = 1", "bad_expression"),
        ("(" * 500 + "1" + ")" * 400, "bad_expression"),
        ("-" * 999 + "1", "bad_expression"),
        ("9 ** 9 ** 9 ** 9", "no_result"),
        ("9" * 900, "no_result"),
        ("1e400", "no_result"),
        ("1 / 0", "no_result"),
        ("1 % 0", "no_result"),
        ("(-8) ** 0.5", "no_result"),
        ("sqrt(-1)", "no_result"),
        ("floor(1e308 * 10)", "no_result"),
        ("2 ** 80", "no_result"),
    ],
)
def test_formulas_without_a_result_are_problems(formula: str, code: str) -> None:
    with pytest.raises(ProblemError) as caught:
        calculate.expression(2.0, 3.0, expression=formula)
    assert code_of(caught) == (code, "expression")


def test_too_long_a_formula_is_refused() -> None:
    with pytest.raises(ProblemError) as caught:
        calculate.expression(expression="1+" * 600 + "1")
    assert code_of(caught) == ("bad_expression", "expression")


def test_ranges() -> None:
    assert [call(calculate.clamp, value, low=0.0, high=2.0) for value in (-1.0, 1.0, 3.0)] == [0.0, 1.0, 2.0]
    assert call(calculate.remap, 5.0, from_low=0.0, from_high=10.0, to_low=100.0, to_high=0.0) == 50.0
    assert call(calculate.remap, 20.0, from_high=10.0, to_high=1.0) == 2.0
    assert call(calculate.remap, 20.0, from_high=10.0, to_high=1.0, clamp=True) == 1.0
    for given in ({"from_low": 2.0, "from_high": 1.0}, {"from_low": 1.0, "from_high": 1.0}):
        with pytest.raises(ProblemError) as caught:
            calculate.remap(1.0, **given)
        assert code_of(caught) == ("empty_range", "from_low")
    with pytest.raises(ProblemError) as caught:
        calculate.clamp(1.0, low=2.0, high=1.0)
    assert code_of(caught) == ("empty_range", "low")


def test_results_past_the_greatest_number_are_problems() -> None:
    far = {"to_low": -1e308, "to_high": 1e308}
    for found, port in (
        (lambda: calculate.remap(5e307, from_high=1e-5, **far), "value"),
        (lambda: chance.random_number(low=-1e308, high=1e308), "high"),
        (lambda: values.span(start=-1e308, end=1e308), "end"),
        (lambda: values.to_integer(1e308), "value"),
    ):
        with pytest.raises(ProblemError) as caught:
            found()
        assert code_of(caught) == ("no_result", port)


def test_chance_is_even_and_follows_its_seed() -> None:
    numbers = [call(chance.random_number, seed=seed, low=2.0, high=4.0) for seed in range(400)]
    assert all(2 <= number < 4 for number in numbers)
    assert sum(numbers) / 400 == pytest.approx(3, abs=0.12)
    dice = [chance.random_integer(seed=seed) for seed in range(600)]
    assert set(dice) == {1, 2, 3, 4, 5, 6}
    assert all(60 < dice.count(side) < 145 for side in range(1, 7))
    assert chance.random_integer(seed=9, low=-3, high=-3) == -3
    for node in (chance.random_number, chance.random_integer):
        with pytest.raises(ProblemError) as caught:
            node(low=2, high=1)
        assert code_of(caught) == ("empty_range", "low")


def test_sizes_have_the_area_and_the_ratio() -> None:
    assert call(sizes.size) == (1024, 1024)
    width, height = call(sizes.size, across=16.0, down=9.0, megapixels=1.0)
    assert (width, height) == (1344, 768)
    assert call(sizes.size, across=1000.0, down=1.0, megapixels=0.01, multiple_of=8) == (3240, 8)


@pytest.mark.parametrize(
    ("rule", "results"),
    [
        ("all", [True, False, False, True]),
        ("any", [False, True, True, True]),
        ("none", [True, False, False, False]),
        ("not_all", [False, True, True, False]),
        ("odd", [False, True, False, True]),
        ("exactly_one", [False, True, False, False]),
    ],
)
def test_conditions(rule: str, results: list[bool]) -> None:
    given = [[], [True, False], [True, True, False], [True, True, True]]
    assert [call(gates.combine, one, rule=rule) for one in given] == results  # type: ignore[arg-type]
    assert call(gates.invert, True) is False
    assert (call(gates.to_integer, True), gates.to_integer(False)) == (1, 0)


def test_lists_are_made() -> None:
    assert call(make.count, start=5, count=3, step=-2) == [5, 3, 1]
    assert make.count(count=0) == []
    assert call(make.repeat, ["a", "b"], times=2) == ["a", "b", "a", "b"]
    assert make.repeat(["a", "b"], times=2, each=True) == ["a", "a", "b", "b"]
    assert call(make.cross, ["a", "b"], [1, 2, 3]) == (["a", "a", "a", "b", "b", "b"], [1, 2, 3, 1, 2, 3])
    assert call(make.interleave, [1, 2, 3, 4], [9, 8]) == [1, 9, 2, 8, 3, 4]
    with pytest.raises(ProblemError) as caught:
        make.count(start=2**62, count=3, step=2**62)
    assert code_of(caught) == ("no_result", "step")
    with pytest.raises(ProblemError) as caught:
        make.cross(list(range(1000)), list(range(1000)))
    assert code_of(caught) == ("list_too_long", "second")
    with pytest.raises(ProblemError) as caught:
        make.repeat(list(range(1000)), times=1000)
    assert code_of(caught) == ("list_too_long", "times")


def test_lists_are_put_in_order() -> None:
    assert call(order.sort, [3, 1, 2], descending=True) == [3, 2, 1]
    assert order.sort(["img10", "img2", "Img1"]) == ["Img1", "img2", "img10"]
    assert order.sort(["img10", "img2"], natural=False) == ["img10", "img2"]
    assert call(order.sort, ["a", "b", "c"], [0.5, 0.9, 0.1], descending=True) == ["b", "a", "c"]
    assert order.sort(["a", "b"], [1, 1], descending=True) == ["a", "b"], "equal ones stay as they came"
    assert call(order.reverse, [1, 2, 3]) == [3, 2, 1]
    shuffled = call(order.shuffle, list(range(20)), seed=3)
    assert shuffled != list(range(20))
    assert sorted(shuffled) == list(range(20))
    assert shuffled != order.shuffle(list(range(20)), seed=4)
    with pytest.raises(ProblemError) as caught:
        order.sort([1, 2], [1.0])
    assert code_of(caught) == ("length_mismatch", "by")
    with pytest.raises(ProblemError) as caught:
        order.sort([Image(torch.zeros(1, 2, 2, 3))])
    assert code_of(caught) == ("no_order", "items")


def test_values_are_chosen() -> None:
    letters = list("abcdef")
    assert call(choose.slice, letters, start=1, count=2) == ["b", "c"]
    assert choose.slice(letters, start=-2) == ["e", "f"]
    assert choose.slice(letters, start=-9, count=1) == ["a"]
    assert choose.slice(letters, start=9) == []
    assert choose.slice(letters, step=2) == ["a", "c", "e"]
    assert call(choose.take, letters, places=[-1, 0, 0]) == ["f", "a", "a"]
    for items in (letters, []):
        with pytest.raises(ProblemError) as caught:
            choose.take(items, places=[6])
        assert code_of(caught) == ("no_such_element", "places")
    assert call(choose.filter, [1, 2, 3], [True, False, True]) == ([1, 3], [2])
    with pytest.raises(ProblemError) as caught:
        choose.filter([1, 2, 3], [True])
    assert code_of(caught) == ("length_mismatch", "keep")


def test_what_came_before_is_left_out() -> None:
    assert call(choose.unique, ["b", "a", "b", "c", "a"]) == ["b", "a", "c"]
    assert choose.unique([0.0, 1.0, 0.0]) == [0.0, 1.0]
    black, white = (Image(torch.full((1, 2, 2, 3), shade)) for shade in (0.0, 1.0))
    again = Image(torch.zeros(1, 2, 2, 3))
    other = Image(torch.zeros(1, 2, 3, 3))
    kept = choose.unique([black, white, again, other])
    assert [one is there for one, there in zip(kept, [black, white, other], strict=True)] == [True] * 3
    dots = [Mask(torch.tensor([[[shade, 0.5, 0.25, 1.0]]])[..., ::2][..., :1]) for shade in (0.0, 1.0, 0.0)]
    assert len(choose.unique(dots)) == 2, "a single number of a larger tensor is looked at as any other"


def test_choices_by_chance_follow_their_weights() -> None:
    drawn = [choose.choose(["a", "b", "c"], [1.0, 0.0, 3.0], seed=seed) for seed in range(800)]
    assert {(one.value, one.place) for one in drawn} == {("a", 0), ("c", 2)}
    assert sum(one.value == "c" for one in drawn) / 800 == pytest.approx(0.75, abs=0.05)
    assert call(choose.choose, ["a"], seed=5) == ("a", 0)
    for items, weights, code in (
        ([], None, ("list_empty", "items")),
        (["a"], [1.0, 2.0], ("length_mismatch", "weights")),
        (["a"], [0.0], ("bad_value", "weights")),
        (["a", "b"], [-1.0, 2.0], ("bad_value", "weights")),
    ):
        with pytest.raises(ProblemError) as caught:
            choose.choose(items, weights)
        assert code_of(caught) == code


def test_lists_are_asked() -> None:
    assert call(ask.length, ["a", "b"]) == 2
    assert call(ask.find, ["a", "b", "b"], "b") == (True, 1)
    assert ask.find(["a"], "c") == (False, -1)
    found = call(ask.summarize, [1.0, 4.0, 2.0, 1.0])
    assert found[:5] == (8.0, 2.0, 1.5, 1.0, 4.0)
    assert found.deviation == pytest.approx(math.sqrt(1.5))
    assert (found.index_of_least, found.index_of_greatest) == (0, 1)
    with pytest.raises(ProblemError) as caught:
        ask.summarize([])
    assert code_of(caught) == ("list_empty", "numbers")
    with pytest.raises(ProblemError) as caught:
        ask.summarize([1e308, 1e308])
    assert code_of(caught) == ("no_result", "numbers")
