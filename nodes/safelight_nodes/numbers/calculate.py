"""Numbers out of numbers."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Number, Text, node

from .._expression import compute
from .._refusal import refusal, require_number, require_order

_LARGEST = 2**63 - 1


class Computed(NamedTuple):
    number: float
    integer: Annotated[int, "The nearest whole number."]
    yes: Annotated[bool, "Whether the result is anything but 0, as a comparison gives it."]


@node(
    version=1,
    tags=("MathExpression", "Math Expression", "SimpleMath", "math", "formula", "evaluate", "calculator", "map"),
)
def expression(
    a: Annotated[float | None, "A number for the expression."] = None,
    b: Annotated[float | None, "A number for the expression."] = None,
    c: Annotated[float | None, "A number for the expression."] = None,
    d: Annotated[float | None, "A number for the expression."] = None,
    *,
    expression: Annotated[
        str,
        Text(placeholder="(a + b) * 2", max_length=1000),
        "A formula of a, b, c, d, such as (a + b) * 2 or a if a > b else b. It knows + - * / // % **, comparisons, "
        "and, or, not, pi, e, abs, min, max, round, floor, ceil, sign, clamp, mix, sqrt, exp, log, sin, cos, tan, "
        "atan2, hypot and more.",
    ] = "a",
) -> Computed:
    """Compute a formula. With lists connected it runs once for each element, and so maps a list to another."""
    found = compute(expression, {"a": a, "b": b, "c": c, "d": d})
    if abs(found) > _LARGEST:
        raise refusal(
            code="no_result",
            message=f"The result {found:g} is too large for a whole number.",
            hint="Divide it by something.",
            port="expression",
            value=expression,
        )
    return Computed(found, round(found), found != 0)


@node(version=1, tags=("ClampNode", "clip", "limit", "bounds"))
def clamp(
    value: Annotated[float, "The number."],
    *,
    low: Annotated[float, Number(), "What is below becomes this."] = 0.0,
    high: Annotated[float, Number(), "What is above becomes this."] = 1.0,
) -> float:
    """Keep a number within two bounds."""
    require_order(low, high, "low")
    return float(max(low, min(high, value)))


@node(version=1, title="Remap range", tags=("RemapRange", "map range", "fit", "linear", "normalize"))
def remap(
    value: Annotated[float, "The number."],
    *,
    from_low: Annotated[float, Number(), "Lower end of the range that the number comes from."] = 0.0,
    from_high: Annotated[float, Number(), "Upper end of the range that the number comes from."] = 1.0,
    to_low: Annotated[float, Number(), "What the lower end becomes."] = 0.0,
    to_high: Annotated[float, Number(), "What the upper end becomes."] = 100.0,
    clamp: Annotated[bool, "Whether what lies outside is brought to the nearer end."] = False,
) -> float:
    """Move a number from one range to the same place in another."""
    require_order(from_low, from_high, "from_low")
    if from_low == from_high:
        raise refusal(
            code="empty_range",
            message=f"The range from {from_low:g} to {from_high:g} has no length.",
            hint="Let from_low be below from_high.",
            port="from_low",
            value=from_low,
        )
    place = (value - from_low) / (from_high - from_low)
    found = to_low + (to_high - to_low) * (max(0.0, min(1.0, place)) if clamp else place)
    return require_number(float(found), "value", value)
