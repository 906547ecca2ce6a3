"""The tensors of a published generator, taken by name, and the network that they make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter


class Tensors:
    """The tensors of a file whose names begin with `place`."""

    def __init__(self, given: Mapping[str, Tensor], place: str = "") -> None:
        self._given, self._place = given, place

    def below(self, name: str) -> Tensors:
        """Those of a part: `name.` is left out of their names."""
        return Tensors(self._given, f"{self._place}{name}.")

    def __contains__(self, name: str) -> bool:
        return self._place + name in self._given

    def numbered(self, stem: str = "") -> Iterator[tuple[int, Tensors]]:
        """Parts that are counted, from the first one that is there, 0 or 1, to the last before a gap."""
        starts = {name.removeprefix(f"{self._place}{stem}").partition(".")[0] for name in self._given
                  if name.startswith(f"{self._place}{stem}")}  # fmt: skip
        place = 0 if "0" in starts else 1
        while str(place) in starts:
            yield place, self.below(f"{stem}{place}")
            place += 1

    def matching(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """The names that a pattern fits as a whole."""
        names = (name.removeprefix(self._place) for name in self._given if name.startswith(self._place))
        return (match for name in names if (match := pattern.fullmatch(name)) is not None)

    def take(self, name: str, *shape: int | None) -> Parameter:
        """A tensor of this shape, None for whatever length; it shares the memory of what was given.

        Raises:
            ValueError: it is missing, or of another shape.
        """
        from torch.nn import Parameter

        return Parameter(self.read(name, *shape), requires_grad=False)

    def read(self, name: str, *shape: int | None) -> Tensor:
        """As `take`, as a plain tensor."""
        found = self._given.get(self._place + name)
        if found is None:
            raise ValueError(f"{self._place}{name} is missing")
        fits = found.dim() == len(shape) and all(
            wanted in (None, one) for wanted, one in zip(shape, found.shape, strict=True)
        )
        if not fits:
            said = ", ".join("any" if one is None else str(one) for one in shape)
            raise ValueError(f"{self._place}{name} is {tuple(found.shape)} instead of ({said})")
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; ValueError where there is none."""
        if name not in self:
            raise ValueError(f"{self._place}{name} is missing")
        return tuple(self._given[self._place + name].shape)
