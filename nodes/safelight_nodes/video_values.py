"""What travels between the nodes that work on a film part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.sdk import value

if TYPE_CHECKING:
    from torch import Tensor


@value
@dataclass(frozen=True)
class FilmPart:
    """Some frames of a film in the input folder, which are read when they are needed.

    `content` is a digest of the whole file: another film of the same name has other parts.
    """

    file: str
    content: str
    first: int
    count: int


@value
@dataclass(frozen=True, eq=False)
class Encoded:
    """A finished piece of a film. `data`: (N,) uint8, the bytes of an MP4."""

    data: Tensor

    def fault(self) -> str | None:
        kind = str(self.data.dtype).removeprefix("torch.")
        return None if self.data.ndim == 1 and kind == "uint8" else f"whose data is {kind} of {self.data.ndim} sides"
