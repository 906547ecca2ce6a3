"""The error of a node that cannot use what it was given."""

from __future__ import annotations

from typing import Any

from safelight.sdk import Problem, ProblemError


def refusal(*, code: str, message: str, hint: str, port: str, value: Any = None) -> ProblemError:
    """One `Problem` at a port, to be raised."""
    return ProblemError(Problem(code=code, message=message, hint=hint, port=port, value=value))


def require_number(found: float, port: str, value: Any) -> float:
    """What a node has calculated. Raises ProblemError `no_result`, at `port`, when it is past the greatest number."""
    if not abs(found) < float("inf"):
        message, hint = "The result is too large for a number.", "Choose numbers nearer to 0."
        raise refusal(code="no_result", message=message, hint=hint, port=port, value=value)
    return found


def require_part(start: float, end: float) -> None:
    """Raises ProblemError `empty_range`, at `start`, when a part of the steps ends before it begins."""
    if start >= end:
        message, hint = f"The range from {start:g} to {end:g} is empty.", "Let start be below end."
        raise refusal(code="empty_range", message=message, hint=hint, port="start", value=start)


def require_order(low: float, high: float, port: str) -> None:
    """Raises ProblemError `empty_range` when the lower bound, at `port`, is above the upper one."""
    if low > high:
        raise refusal(
            code="empty_range",
            message=f"The range from {low:g} to {high:g} is empty.",
            hint=f"Let {port} be the smaller one.",
            port=port,
            value=low,
        )
