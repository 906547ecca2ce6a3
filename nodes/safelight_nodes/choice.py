"""Choices between branches: only the chosen one is computed."""

from __future__ import annotations

from typing import Annotated, TypeVar

from safelight.sdk import Lazy, Problem, ProblemError, Slider, node

T = TypeVar("T")


@node(version=1, tags=("if else", "boolean switch"))
def switch(
    if_true: Annotated[Lazy[T], "Computed and handed on when the condition is on."],
    if_false: Annotated[Lazy[T], "Computed and handed on when it is off."],
    *,
    condition: bool = True,
) -> T:
    """Hand on one of two inputs. The other branch is not computed."""
    return (if_true if condition else if_false).get()


@node(version=1, tags=("switch", "any switch", "router"))
def select(
    first: Lazy[T],
    second: Lazy[T] | None = None,
    third: Lazy[T] | None = None,
    fourth: Lazy[T] | None = None,
    *,
    index: Annotated[int, Slider(0, 3), "Which input is handed on: 0 is the first."] = 0,
) -> T:
    """Hand on one of several inputs. The others are not computed."""
    branch = (first, second, third, fourth)[index]
    if branch is None:
        raise ProblemError(
            Problem(
                code="branch_not_connected",
                message=f"Input {index} is chosen, and nothing is connected to it.",
                hint="Connect it, or choose another one.",
                port="index",
                value=index,
            )
        )
    return branch.get()
