"""Names of tensors in the layout of a model's makers, translated to those of diffusers by a table.

The table works on shapes as on tensors, so a configuration is read from a header before anything is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from safelight.families.files import BESIDE_WEIGHTS

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families.files import Header

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
T = TypeVar("T")
_FIRST_NUMBER = re.compile(r"(?<=\.)\d+")
_KINDS = {"scale": "weight"}
"""What norms of Flux call their weight."""


@dataclass(frozen=True)
class Rule:
    """A layer's name there (`old`, with {} for the number of its block) and here.

    A layer that is several here is cut along its first axis: into equal pieces, or pieces of these `sizes`. `swap`
    exchanges its halves: makers have shift before scale where diffusers has scale before shift.
    """

    old: str
    new: tuple[str, ...]
    sizes: tuple[int, ...] = ()
    swap: bool = False


def rules(*table: tuple[str, str], start: tuple[str, str] = ("", "")) -> list[Rule]:
    """Rules of pairs; the new names of a pair are divided by spaces, and `start` stands before all names."""
    return [Rule(start[0] + old, tuple(start[1] + name for name in new.split())) for old, new in table]


def shapes_of(header: Header, prefix: str = "") -> dict[str, Shape]:
    """The shapes of the tensors whose names begin so, by the rest of their names."""
    return {
        name.removeprefix(prefix): entry.shape
        for name, entry in header.tensors.items()
        if name.startswith(prefix) and not name.endswith(BESIDE_WEIGHTS)
    }


def translated_shapes(given: Shapes, table: Iterable[Rule]) -> dict[str, Shape]:
    def cut(shape: Shape, sizes: Sequence[int]) -> list[Shape]:
        return [(size, *shape[1:]) for size in sizes]

    return _translated(given, table, lambda shape: shape, cut, lambda shape: shape)


def translated(given: Mapping[str, Tensor], table: Iterable[Rule]) -> dict[str, Tensor]:
    """The tensors by their names here. A name that no rule has stays as it is."""

    def swap(tensor: Tensor) -> Tensor:
        import torch

        return torch.cat(tensor.chunk(2)[::-1])

    return _translated(given, table, lambda tensor: tuple(tensor.shape), _cut, swap)


def _cut(tensor: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    # Pieces of their own: a piece that shares memory would hold the whole, and lie at an odd place in it.
    return [piece.clone() for piece in tensor.split(list(sizes))]


def _translated(
    given: Mapping[str, T],
    table: Iterable[Rule],
    shape_of: Callable[[T], Shape],
    cut: Callable[[T, Sequence[int]], list[T]],
    swap: Callable[[T], T],
) -> dict[str, T]:
    known = {rule.old: rule for rule in table}
    made: dict[str, T] = {}
    for name, one in given.items():
        path, _, kind = name.rpartition(".")
        number = _FIRST_NUMBER.search(path)
        numbered = _FIRST_NUMBER.sub("{}", name, count=1)
        rule = known.get(name) or known.get(numbered) or known.get(path) or known.get(numbered.rpartition(".")[0])
        if rule is None:
            made[name] = one
            continue
        ending = "" if rule.old in (name, numbered) else f".{_KINDS.get(kind, kind)}"
        new = [part.format(number[0]) if number else part for part in rule.new]
        found = swap(one) if rule.swap else one
        if len(new) == 1:
            made[new[0] + ending] = found
            continue
        whole = next(iter(shape_of(found)), 0)
        sizes = rule.sizes or (whole // len(new),) * len(new)
        if not whole or sum(sizes) != whole:
            # Left under its old name, it is told as missing.
            made[name] = one
            continue
        made |= {part + ending: piece for part, piece in zip(new, cut(found, sizes), strict=True)}
    return made


def sides_of(shapes: Shapes) -> Callable[[str, int], int]:
    """The length of a tensor along an axis, by its name; 0 for one that is not there."""

    def side(name: str, axis: int) -> int:
        found = shapes.get(name, ())
        return found[axis] if len(found) > axis else 0

    return side


def count(shapes: Mapping[str, Any], start: str) -> int:
    """How many blocks `start` numbers, from 0 on."""
    numbers = {
        int(rest) for name in shapes if name.startswith(start) and (rest := name[len(start) :].split(".")[0]).isdigit()
    }
    return max(numbers, default=-1) + 1
