from __future__ import annotations

import pytest

from safelight.sdk import Lazy, ProblemError
from safelight_nodes import choice, values


def never() -> int:
    raise AssertionError("this branch must not run")


def test_values_are_handed_on() -> None:
    assert values.integer(value=3) == 3
    assert values.number(value=0.5) == 0.5
    assert values.text(value="a") == "a"
    assert values.toggle(value=False) is False
    assert values.seed(value=7) == 7
    assert values.integers(values=[1, 2]) == [1, 2]
    assert values.numbers(values=[1, 2.5]) == [1.0, 2.5]
    assert values.texts(values=["a", "b"]) == ["a", "b"]


def test_a_list_given_as_a_value_is_not_the_one_handed_on() -> None:
    given = [1, 2]
    values.integers(values=given).append(3)
    assert given == [1, 2]


def test_spans_have_exact_ends() -> None:
    assert values.span(start=0, end=1, count=5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert values.span(start=7, end=1, count=3) == [7, 4, 1]
    assert values.span(start=7, end=1, count=1) == [7.0]


def test_texts_are_joined_and_replaced() -> None:
    assert values.join(["a", "", "b"]) == "a, b"
    assert values.join(["a", "b"], separator=" ") == "a b"
    assert values.replace("a {x} b", find="{x}", put="1") == "a 1 b"
    assert values.replace("abc", find="", put="1") == "abc"


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ("add", 8.0),
        ("subtract", 4.0),
        ("multiply", 12.0),
        ("divide", 3.0),
        ("power", 36.0),
        ("minimum", 2.0),
        ("maximum", 6.0),
    ],
)
def test_calculations(operation: str, result: float) -> None:
    assert values.calculate(6, 2, operation=operation) == result  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("a", "b", "operation"),
    [(1, 0, "divide"), (0, -1, "power"), (-1, 0.5, "power"), (1e300, 1e300, "multiply"), (10, 400, "power")],
)
def test_calculations_without_a_result_are_problems(a: float, b: float, operation: str) -> None:
    with pytest.raises(ProblemError) as caught:
        values.calculate(a, b, operation=operation)  # type: ignore[arg-type]
    assert caught.value.problems[0].code == "no_result"


def test_rounding() -> None:
    assert values.to_integer(2.6) == 3
    assert values.to_integer(500, multiple_of=64) == 512
    assert isinstance(values.to_integer(2.6), int)


def test_elements_of_lists() -> None:
    assert values.collect([1, 2]) == [1, 2]
    assert values.pick(["a", "b"], index=1) == "b"
    for items in (["a"], []):
        with pytest.raises(ProblemError) as caught:
            values.pick(items, index=1)
        assert caught.value.problems[0].port == "index"


def test_only_the_chosen_branch_is_computed() -> None:
    assert choice.switch(Lazy.of(1), Lazy(never), condition=True) == 1
    assert choice.switch(Lazy(never), Lazy.of(2), condition=False) == 2
    assert choice.select(Lazy(never), Lazy.of("b"), index=1) == "b"
    with pytest.raises(ProblemError) as caught:
        choice.select(Lazy(never), index=3)
    assert caught.value.problems[0].code == "branch_not_connected"


@pytest.mark.parametrize(
    ("operation", "fits"),
    [
        ("equal", (False, True, False)),
        ("not_equal", (True, False, True)),
        ("less", (True, False, False)),
        ("less_or_equal", (True, True, False)),
        ("greater", (False, False, True)),
        ("greater_or_equal", (False, True, True)),
    ],
)
def test_values_are_compared(operation: str, fits: tuple[bool, bool, bool]) -> None:
    assert tuple(values.compare(a, 2, operation=operation) for a in (1, 2, 3)) == fits  # pyright: ignore[reportArgumentType]
    assert tuple(values.compare(a, "b", operation=operation) for a in ("a", "b", "c")) == fits  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("a", "b"), [("1", 1), (1, "1"), ([1], [1]), (None, None)])
def test_what_has_no_order_is_not_compared(a: object, b: object) -> None:
    with pytest.raises(ProblemError) as error:
        values.compare(a, b)
    assert error.value.problems[0].code == "not_comparable"
