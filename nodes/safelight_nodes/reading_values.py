"""What travels between the nodes of reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.sdk import value

if TYPE_CHECKING:
    from torch import Tensor


@value
@dataclass(frozen=True, eq=False)
class Vectors:
    """Embeddings. `values`: (N, width) float32, one row for each image or text, as `model` gives them."""

    values: Tensor
    model: str

    def fault(self) -> str | None:
        from safelight.sdk.values import tensor_fault

        return tensor_fault(self.values, 2)

    def unit(self) -> Tensor:
        """The rows at a length of 1."""
        return self.values / self.values.norm(dim=1, keepdim=True).clamp_min(1e-12)


def require_one_space(first: Vectors, second: Vectors, port: str) -> None:
    """Raises ProblemError `wrong_family`, at `port`, when two models made the vectors: they cannot be compared."""
    from ._refusal import refusal

    if first.model != second.model or first.values.shape[1] != second.values.shape[1]:
        message = f"One side was embedded by {first.model!r}, the other by {second.model!r}."
        raise refusal(code="wrong_family", message=message, hint="Embed both with the same model.", port=port)
