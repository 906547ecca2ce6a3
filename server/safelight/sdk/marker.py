"""The mark that makes a class a type of the graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

BUILT_IN = ("safelight", "safelight_nodes")
"""The packages whose values have plain names."""

C = TypeVar("C", bound=type[Any])
T = TypeVar("T")
_ADDED = "safelight.added"


@overload
def value(cls: C) -> C: ...
@overload
def value(*, aliases: Iterable[str]) -> Callable[[C], C]: ...
def value(cls: C | None = None, *, aliases: Iterable[str] = ()) -> C | Callable[[C], C]:
    """Marks a frozen dataclass as a type that may travel on links, under the name of its class.

    The name of a class of another pack starts with the package that defines it, `meshes:Mesh`: two packs may each have
    a `Mesh`, and neither is taken for the other's.

    Fields may hold None, bool, int, float, str, tuples, dictionaries with text keys, tensors and other values.

    A class that is renamed keeps its earlier names as `aliases`, written `@value(aliases=("Mesh",))`: what was kept
    under one of them is read as this class. Names of the own package stand without it. A field that comes later is
    `added`.
    """
    if isinstance(aliases, str):
        raise TypeError(f"@value: aliases are several: write ({aliases!r},).")
    if cls is None:
        return lambda found: _marked(found, tuple(aliases))
    return _marked(cls, ())


def added(default: T) -> T:
    """A field that a value class has got since values of it were kept: `size: int = added(3)`.

    Where it has its default it is left out of what is kept and of the digest, so results from before are found again.
    """
    return dataclasses.field(default=default, metadata={_ADDED: True})


def fields_of(found: Any) -> dict[str, Any]:
    """The fields of a value that count: all but those that were `added` and have their default."""
    values = ((field, getattr(found, field.name)) for field in dataclasses.fields(found))
    return {field.name: part for field, part in values if not (_ADDED in field.metadata and part == field.default)}


def _marked(cls: C, aliases: tuple[str, ...]) -> C:
    params = getattr(cls, "__dataclass_params__", None)
    if params is None or not params.frozen:
        raise TypeError(f"{cls.__module__}.{cls.__qualname__}: @value needs @dataclass(frozen=True) below it.")
    package = cls.__module__.partition(".")[0]
    prefix = "" if package in BUILT_IN else f"{package}:"
    cls.__value_name__ = prefix + cls.__name__
    cls.__value_aliases__ = tuple(name if ":" in name else prefix + name for name in aliases)
    return cls
