"""Formulas that a user types: read as Python writes them, computed by walking the tree. Nothing typed is ever run."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from safelight.sdk import ProblemError
from safelight.sdk.problem import did_you_mean

from ._refusal import refusal

LONGEST = 1000
"""Characters of a formula. The tree of a longer one could be too deep to walk."""


def _nearest(value: float, digits: float = 0.0) -> float:
    return float(round(value, max(-300, min(300, int(digits)))))


def _clamp(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


def _mix(first: float, second: float, share: float) -> float:
    return first + (second - first) * share


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int, int]] = {
    "abs": (abs, 1, 1),
    "min": (min, 2, 20),
    "max": (max, 2, 20),
    "round": (_nearest, 1, 2),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "trunc": (math.trunc, 1, 1),
    "sign": (lambda value: (value > 0) - (value < 0), 1, 1),
    "clamp": (_clamp, 3, 3),
    "mix": (_mix, 3, 3),
    "sqrt": (math.sqrt, 1, 1),
    "exp": (math.exp, 1, 1),
    "log": (math.log, 1, 2),
    "log2": (math.log2, 1, 1),
    "log10": (math.log10, 1, 1),
    "sin": (math.sin, 1, 1),
    "cos": (math.cos, 1, 1),
    "tan": (math.tan, 1, 1),
    "asin": (math.asin, 1, 1),
    "acos": (math.acos, 1, 1),
    "atan": (math.atan, 1, 1),
    "atan2": (math.atan2, 2, 2),
    "hypot": (math.hypot, 1, 20),
    "degrees": (math.degrees, 1, 1),
    "radians": (math.radians, 1, 1),
}
"""What a formula may call, with the least and the greatest number of its arguments."""
CONSTANTS: Mapping[str, float] = {"pi": math.pi, "tau": math.tau, "e": math.e}

_TWO: Mapping[type[ast.AST], Callable[[float, float], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
}
_ONE: Mapping[type[ast.AST], Callable[[float], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}
_COMPARED: Mapping[type[ast.AST], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class _Wrong(Exception):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def compute(formula: str, names: Mapping[str, float | None]) -> float:
    """The number that a formula gives; yes and no are 1 and 0.

    Args:
        formula: what was typed: + - * / // % **, comparisons, and, or, not, `x if y else z`, `FUNCTIONS`, `CONSTANTS`.
        names: the numbers it may use; None for one that is not connected.

    Raises:
        ProblemError: `bad_expression` when it cannot be read, `no_result` when it has no finite result; both at the
            port `expression`.
    """
    text = formula.strip()
    if len(text) > LONGEST:
        raise _bad(formula, f"The expression has {len(text)} characters.", f"At most {LONGEST} are read.")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        hint = "Write it like (a + b) * 2, sqrt(a), or a if a > b else b."
        raise _bad(formula, f"{text!r} is no expression." if text else "The expression is empty.", hint) from None
    try:
        found = float(_value(tree, names))
    except _Wrong as wrong:
        raise _bad(formula, str(wrong), wrong.hint) from None
    except RecursionError:
        raise _bad(formula, "The expression is nested too deeply.", "Split it over two nodes.") from None
    except (ArithmeticError, ValueError):
        raise _no_result(text, names) from None
    if not math.isfinite(found):
        raise _no_result(text, names)
    return found


def _value(tree: ast.AST, names: Mapping[str, float | None]) -> float:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int | float):
        return float(tree.value)
    if isinstance(tree, ast.Name):
        return _named(tree.id, names)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _TWO:
        return float(_TWO[type(tree.op)](_value(tree.left, names), _value(tree.right, names)))
    if isinstance(tree, ast.UnaryOp) and type(tree.op) in _ONE:
        return float(_ONE[type(tree.op)](_value(tree.operand, names)))
    if isinstance(tree, ast.BoolOp):
        ends = isinstance(tree.op, ast.Or)
        return next((found for part in tree.values if bool(found := _value(part, names)) == ends), float(not ends))
    if isinstance(tree, ast.IfExp):
        return _value(tree.body if _value(tree.test, names) else tree.orelse, names)
    if isinstance(tree, ast.Compare) and all(type(op) in _COMPARED for op in tree.ops):
        sides = [_value(side, names) for side in (tree.left, *tree.comparators)]
        pairs = zip(tree.ops, sides, sides[1:], strict=False)
        return float(all(_COMPARED[type(op)](left, right) for op, left, right in pairs))
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.keywords:
        return _called(tree.func.id, tree.args, names)
    raise _Wrong(f"{ast.unparse(tree)!r} has no meaning in an expression.", "Use numbers, a, b, c, d and functions.")


def _named(name: str, names: Mapping[str, float | None]) -> float:
    if name in CONSTANTS:
        return CONSTANTS[name]
    if name not in names:
        known = (*names, *CONSTANTS, *FUNCTIONS)
        raise _Wrong(f"Nothing is called {name!r}.", did_you_mean(name, known) or f"There are {', '.join(names)}.")
    found = names[name]
    if found is None:
        raise _Wrong(f"The expression uses {name}, and nothing is connected to it.", f"Connect {name}.")
    return found


def _called(name: str, arguments: list[ast.expr], names: Mapping[str, float | None]) -> float:
    if name not in FUNCTIONS:
        hint = did_you_mean(name, FUNCTIONS) or f"There are {', '.join(FUNCTIONS)}."
        raise _Wrong(f"There is no function {name!r}.", hint)
    function, least, most = FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise _Wrong(f"{name} takes {wanted} numbers, and was given {len(arguments)}.", "Put a comma between them.")
    return float(function(*(_value(argument, names) for argument in arguments)))


def _bad(formula: str, message: str, hint: str) -> ProblemError:
    return refusal(code="bad_expression", message=message, hint=hint, port="expression", value=formula)


def _no_result(text: str, names: Mapping[str, float | None]) -> ProblemError:
    given = ", ".join(f"{name} = {value:g}" for name, value in names.items() if value is not None)
    message = f"{text!r} has no result{f' for {given}' if given else ''}."
    return refusal(code="no_result", message=message, hint="Choose other numbers.", port="expression", value=text)
