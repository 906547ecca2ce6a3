"""The mark that makes a class a type of the graph."""

from __future__ import annotations

from typing import Any, TypeVar

C = TypeVar("C", bound=type[Any])


def value(cls: C) -> C:
    """Marks a frozen dataclass as a type that may travel on links, under the name of its class.

    Fields may hold None, bool, int, float, str, tuples, dictionaries with text keys, tensors and other values.
    """
    params = getattr(cls, "__dataclass_params__", None)
    if params is None or not params.frozen:
        raise TypeError(f"{cls.__module__}.{cls.__qualname__}: @value needs @dataclass(frozen=True) below it.")
    cls.__value_name__ = cls.__name__
    return cls
