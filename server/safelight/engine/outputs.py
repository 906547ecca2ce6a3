"""What a node returned, held against what its annotation says, at the node that returned it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from safelight.sdk.node import NodeType
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.types import PortType
from safelight.sdk.widgets import LARGEST_SEED

_EXACT = {"int": int, "float": float, "str": str, "bool": bool}
_DEEPEST = 100
_HINT = "This is a fault of the node."


def take_apart(kind: NodeType, result: Any, types: Mapping[str, PortType]) -> dict[str, Any]:
    """The outputs of a call by port, each of the type that its port has.

    Args:
        kind: the node.
        result: what its function returned.
        types: the types of its outputs, with type variables bound, of one element where it runs once an element.

    Raises:
        ProblemError: `bad_result`, for every output that is not what the node's annotation says.
    """
    names = list(kind.outputs)
    if inspect.iscoroutine(result):
        result.close()
        raise ProblemError(_bad(kind, "returned a coroutine, so its work was never done.", "Write def, not async def."))
    if not names:
        return {}
    if not kind.named:
        outputs = {names[0]: result}
    elif isinstance(result, tuple) and len(result) == len(names):
        outputs = dict(zip(names, result, strict=True))
    else:
        raise ProblemError(_bad(kind, f"returned {_a(result)}, not its {len(names)} outputs.", _HINT))
    problems: list[Problem] = []
    for port, value in outputs.items():
        try:
            outputs[port] = _checked(types.get(port, kind.outputs[port]), value, 0)
        except _Wrong as wrong:
            problems.append(_bad(kind, f"gave {wrong} at its output {port!r}.", wrong.hint or _HINT))
    if problems:
        raise ProblemError(problems)
    return outputs


def _bad(kind: NodeType, message: str, hint: str) -> Problem:
    return Problem(code="bad_result", message=f"{kind.spec.id} {message}", hint=hint)


class _Wrong(Exception):
    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


def _checked(wanted: PortType, value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise _Wrong(f"lists inside each other more than {_DEEPEST} deep")
    if wanted.name == "list":
        if type(value) is not list:
            raise _Wrong(f"{_a(value)}, not a list")
        return [_checked(wanted.args[0], item, depth + 1) for item in value]
    if wanted.name in ("Any", "Kind") or wanted.var:
        return _anything(value, depth)
    if wanted.name in ("str", "choice"):
        _text(value)
        if wanted.choices and value not in wanted.choices:
            raise _Wrong(f"{value[:100]!r}, which is not one of its choices")
        return value
    if wanted.name == "float" and type(value) is int:
        value = float(value)
    if wanted.name in _EXACT:
        if type(value) is not _EXACT[wanted.name]:
            raise _Wrong(f"{_a(value)}, not {_a(_EXACT[wanted.name]())}", _advice(wanted.name, value))
        return _number(value)
    name = getattr(type(value), "__value_name__", None)
    if name != wanted.name:
        raise _Wrong(f"{_a(value)}, not {wanted}")
    if name == "ModelRef" and value.kind != wanted.args[0].name:
        raise _Wrong(f"a {value.kind} model, not a {wanted.args[0].name} model")
    return _sound(value)


def _sound(value: Any) -> Any:
    """A value whose class finds no fault with it."""
    fault = getattr(value, "fault", None) if hasattr(type(value), "__value_name__") else None
    said = fault() if callable(fault) else None
    if isinstance(said, str):
        raise _Wrong(f"{_a(value)} {said}")
    return value


def _anything(value: Any, depth: int) -> Any:
    """What a type variable or Any lets through: plain data has to be plain all the same."""
    if depth > _DEEPEST:
        raise _Wrong(f"lists inside each other more than {_DEEPEST} deep")
    if isinstance(value, list):
        return _checked(PortType("list", (PortType("Any"),)), value, depth)
    if type(value) is tuple:
        return tuple(_anything(item, depth + 1) for item in value)
    if type(value) is dict:
        return {_text(key): _anything(item, depth + 1) for key, item in value.items()}
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | int | float):
        if type(value) not in (bool, int, float):
            raise _Wrong(f"{_a(value)}, not a plain {'int' if isinstance(value, int) else 'float'}")
        return _number(value)
    return _sound(value)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Wrong(f"{_a(value)}, not text", _advice("str", value))
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Wrong("text with half of a surrogate pair") from None
    return value


def _number(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise _Wrong(f"{value!r}, which is no number to go on with", "Check the inputs of this node.")
    if type(value) is int and not -(2**63) <= value <= LARGEST_SEED:
        raise _Wrong("a whole number of more than 64 bits")
    return value


def _advice(name: str, value: Any) -> str:
    """What an author has most likely forgotten."""
    module = type(value).__module__.partition(".")[0]
    if module in ("numpy", "torch") or isinstance(value, str | int | float):
        return f"This is a fault of the node: it should return {name}(...)."
    return ""


def _a(value: Any) -> str:
    kind = type(value)
    if value is None:
        return "None"
    known = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list"}.get(kind)
    if known:
        return known
    module = "" if kind.__module__ == "builtins" or "__value_name__" in vars(kind) else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"
