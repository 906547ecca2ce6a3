"""The mark that makes a class a type of the graph."""

from __future__ import annotations

from typing import Any, TypeVar

BUILT_IN = ("safelight", "safelight_nodes")
"""The packages whose values have plain names."""

C = TypeVar("C", bound=type[Any])


def value(cls: C) -> C:
    """Marks a frozen dataclass as a type that may travel on links, under the name of its class.

    The name of a class of another pack starts with the package that defines it, `meshes:Mesh`: two packs may each have
    a `Mesh`, and neither is taken for the other's.

    Fields may hold None, bool, int, float, str, tuples, dictionaries with text keys, tensors and other values.
    """
    params = getattr(cls, "__dataclass_params__", None)
    if params is None or not params.frozen:
        raise TypeError(f"{cls.__module__}.{cls.__qualname__}: @value needs @dataclass(frozen=True) below it.")
    package = cls.__module__.partition(".")[0]
    cls.__value_name__ = cls.__name__ if package in BUILT_IN else f"{package}:{cls.__name__}"
    return cls
