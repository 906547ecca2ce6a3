"""Embeddings in prompts: learned vectors in the place of words.

Source: Gal et al. 2022, An Image is Worth One Word, https://arxiv.org/abs/2208.01618.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safelight.sdk import Context, Embedding, ModelRef, Problem, ProblemError, TextEncoder

if TYPE_CHECKING:
    from torch import Tensor


def learned(
    ctx: Context, names: Iterable[str], ref: ModelRef[TextEncoder], encoders: Iterable[Any]
) -> list[dict[str, Tensor]]:
    """The vectors (n, width) of embeddings by name, for each text encoder of a family.

    Raises:
        ProblemError: one is missing, or (`embedding_unfit`) was made for other text encoders.
    """
    widths = [encoder.get_input_embeddings().embedding_dim for encoder in encoders]
    found: list[dict[str, Tensor]] = [{} for _ in widths]
    for name in names:
        source = ctx.models.find(name, "embedding")
        family = ctx.models.family(source)
        recipe: ModelRef[Embedding] = ModelRef("Embedding", family, source, precision="float32")
        with ctx.models.lease(recipe) as lease:
            vectors: list[Tensor] = list(lease.component["vectors"].values())
        given = [tensor.shape[-1] for tensor in vectors]
        if given != widths or (family and family != ref.family):
            raise ProblemError(_unfit(name, family, given, ref.family, widths))
        for place, tensor in zip(found, vectors, strict=True):
            place[name] = tensor
    return found


def _unfit(name: str, family: str, given: list[int], wanted: str, widths: list[int]) -> Problem:
    made = f"was made for {family}" if family else "was made for another model"
    message = (
        f"The embedding {name!r} {made}: its vectors have {_numbers(given)} channels, and the text encoder "
        f"of this model, which is of the family {wanted}, takes {_numbers(widths)}."
    )
    return Problem(
        code="embedding_unfit",
        message=message,
        hint=f"Use one that was made for {wanted}, or take it out of the prompt.",
        value=name,
    )


def _numbers(widths: list[int]) -> str:
    return " and ".join(map(str, widths))


class Vocabulary:
    """The learned vectors that a prompt uses with one encoder, numbered as tokens below 0: -1 is the first vector."""

    def __init__(self, learned: Mapping[str, Tensor]) -> None:
        self._tokens: dict[str, tuple[int, ...]] = {}
        self._ends: set[int] = set()
        self._vectors: list[Tensor] = []
        for name, vectors in learned.items():
            first = len(self._vectors)
            self._vectors += list(vectors)
            self._tokens[name] = tuple(-1 - number for number in range(first, len(self._vectors)))
            self._ends.add(-len(self._vectors))

    def tokens(self, name: str) -> tuple[int, ...]:
        return self._tokens[name]

    def ends_word(self, token: int) -> bool:
        """Whether a token is the last vector of its embedding, after which a chunk may end."""
        return token in self._ends

    @contextmanager
    def placed(self, encoder: Any, ids: Tensor, stand_in: int) -> Iterator[Tensor]:
        """In the block the encoder reads learned vectors where tokens are below 0.

        Gives the tokens to call it with, `stand_in` in their place. Other threads may compute with it meanwhile.
        """
        import torch

        where = ids < 0
        if not where.any():
            yield ids
            return
        vectors = torch.stack([self._vectors[-1 - token] for token in ids[where].tolist()])
        thread = threading.get_ident()

        def put(_module: Any, _given: Any, found: Tensor) -> Tensor | None:
            if threading.get_ident() != thread:
                return None
            found = found.clone()
            found[where.to(found.device)] = vectors.to(found)
            return found

        hook = encoder.get_input_embeddings().register_forward_hook(put)
        try:
            yield torch.where(where, stand_in, ids)
        finally:
            hook.remove()
