"""Values to type in, and small calculations with them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from safelight.sdk import Items, Number, Problem, ProblemError, Seed, Text, node

from ._refusal import require_number

T = TypeVar("T")


@node(version=1, tags=("PrimitiveInt", "primitive", "constant"))
def integer(*, value: Annotated[int, Number()] = 0) -> int:
    """A whole number, for several inputs to share."""
    return value


@node(version=1, tags=("PrimitiveFloat", "primitive", "constant"))
def number(*, value: Annotated[float, Number()] = 0.0) -> float:
    """A number, for several inputs to share."""
    return value


@node(version=1, tags=("PrimitiveString", "primitive", "string"))
def text(*, value: Annotated[str, Text(multiline=True)] = "") -> str:
    """A text, for several inputs to share."""
    return value


@node(version=1, tags=("PrimitiveBoolean", "primitive"))
def toggle(*, value: bool = True) -> bool:
    """Yes or no, for several inputs to share."""
    return value


@node(version=1, tags=("random seed", "noise seed"))
def seed(*, value: Annotated[int, Seed()] = 0) -> int:
    """A seed, for several samplers to share."""
    return value


@node(version=1, tags=("list", "INT list", "seeds", "Int List"))
def integers(*, values: Annotated[list[int], Items()] = []) -> list[int]:  # noqa: B006 - a default of the widget
    """A list of whole numbers. Connected to an input for one number, the node behind it runs once for each."""
    return list(values)


@node(version=1, tags=("list", "FLOAT list", "Float List", "sweep"))
def numbers(*, values: Annotated[list[float], Items()] = []) -> list[float]:  # noqa: B006 - as above
    """A list of numbers. Connected to an input for one number, the node behind it runs once for each."""
    return [float(value) for value in values]


@node(version=1, tags=("list", "STRING list", "prompts", "String List"))
def texts(*, values: Annotated[list[str], Items()] = []) -> list[str]:  # noqa: B006 - as above
    """A list of texts. Connected to an input for one text, the node behind it runs once for each."""
    return list(values)


@node(version=1, tags=("linspace", "range", "XY plot"))
def span(
    *,
    start: Annotated[float, Number(), "The first number."] = 0.0,
    end: Annotated[float, Number(), "The last number."] = 1.0,
    count: Annotated[int, Number(1, 1000), "How many numbers."] = 5,
) -> list[float]:
    """Evenly spaced numbers from the first to the last, for a grid over a parameter."""
    if count == 1:
        return [float(start)]
    return [require_number(start + (end - start) * place / (count - 1), "end", end) for place in range(count)]


@node(version=1, tags=("make list", "list"))
def collect(items: Annotated[list[T], "Values of one type, in the order in which they were connected."]) -> list[T]:
    """Several values as one list. Connected to an input for one value, the node behind it runs once for each."""
    return list(items)


@node(version=1, tags=("select from list", "index"))
def pick(items: list[T], *, index: Annotated[int, Number(0), "Counted from 0."] = 0) -> T:
    """One value out of a list."""
    if index >= len(items):
        raise ProblemError(
            Problem(
                code="no_such_element",
                message=f"The list holds {len(items)} values, so there is none with index {index}.",
                hint=f"Choose 0 to {len(items) - 1}." if items else "Put something in the list.",
                port="index",
                value=index,
            )
        )
    return items[index]


@node(version=1, tags=("concatenate", "StringConcatenate"))
def join(
    texts: Annotated[list[str], "The texts in the order in which they were connected."],
    *,
    separator: Annotated[str, Text(), "What stands between two of them."] = ", ",
) -> str:
    """Join texts to one. Empty ones are left out."""
    return separator.join(part for part in texts if part)


@node(version=1, tags=("StringReplace", "find and replace"))
def replace(
    text: str,
    *,
    find: Annotated[str, Text(), "The text to look for."] = "",
    put: Annotated[str, Text(), "What takes its place."] = "",
) -> str:
    """Replace every occurrence of a text inside another."""
    return text.replace(find, put) if find else text


@node(version=1, tags=("math", "expression"))
def calculate(
    a: float,
    b: float,
    *,
    operation: Literal["add", "subtract", "multiply", "divide", "power", "minimum", "maximum"] = "add",
) -> float:
    """Calculate with two numbers."""
    import math

    # Whole numbers have no limit in Python, and a power of large ones would take for ever.
    a, b = float(a), float(b)
    if operation == "divide" and b == 0:
        raise _no_result(f"{a:g} cannot be divided by zero.")
    try:
        found = {
            "add": lambda: a + b,
            "subtract": lambda: a - b,
            "multiply": lambda: a * b,
            "divide": lambda: a / b,
            "power": lambda: a**b,
            "minimum": lambda: min(a, b),
            "maximum": lambda: max(a, b),
        }[operation]()
    except (OverflowError, ZeroDivisionError) as error:
        raise _no_result(f"{operation} of {a:g} and {b:g} has no result.") from error
    if isinstance(found, complex) or not math.isfinite(found):
        raise _no_result(f"{operation} of {a:g} and {b:g} has no result.")
    return float(found)


@node(version=1, tags=("condition", "if", "greater than", "less than", "equal", "Compare"))
def compare(
    a: Annotated[T, "A number or a text; yes or no as well."],
    b: Annotated[T, "What it is compared with: of the same type."],
    *,
    operation: Annotated[
        Literal["equal", "not_equal", "less", "less_or_equal", "greater", "greater_or_equal"],
        "What a has to be. Texts are in the order of their characters.",
    ] = "less",
) -> bool:
    """Compare two numbers or two texts, for the condition of a loop or of a choice."""
    import operator

    for port, given in (("a", a), ("b", b)):
        if not isinstance(given, bool | int | float | str):
            message = f"A value of the type {type(given).__name__} cannot be compared."
            hint = "Connect numbers or texts."
            raise ProblemError(Problem(code="not_comparable", message=message, hint=hint, port=port))
    if isinstance(a, str) != isinstance(b, str):
        message = f"{a!r} and {b!r} cannot be compared: one is a text, the other is none."
        raise ProblemError(Problem(code="not_comparable", message=message, hint="Make both the same.", port="b"))
    found = {
        "equal": operator.eq,
        "not_equal": operator.ne,
        "less": operator.lt,
        "less_or_equal": operator.le,
        "greater": operator.gt,
        "greater_or_equal": operator.ge,
    }[operation](a, b)
    return bool(found)


@node(version=1, title="Round to integer", tags=("FloatToInt", "round"))
def to_integer(
    value: float,
    *,
    multiple_of: Annotated[int, Number(1), "The result is a multiple of this, such as 8 for image sizes."] = 1,
) -> int:
    """The nearest whole number, or the nearest multiple of one."""
    found = round(value / multiple_of) * multiple_of
    return found if abs(found) < 2**63 else int(require_number(float("inf"), "value", value))


def _no_result(message: str) -> ProblemError:
    return ProblemError(Problem(code="no_result", message=message, hint="Choose other numbers.", port="b"))
