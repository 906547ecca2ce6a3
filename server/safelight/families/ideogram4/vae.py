"""The autoencoder of Ideogram 4: that of Flux.2, with statistics of its own that stand cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.families._vaes.flux2 import Flux2Codec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Ideogram4Codec(Flux2Codec):
    def _laid_out(self, numbers: Tensor, samples: Tensor) -> Tensor:
        return super()._laid_out(numbers.view(4, -1).T.reshape(-1), samples)
