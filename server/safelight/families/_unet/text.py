"""The CLIP text encoders of a lease."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from safelight.diffusion.embeddings import learned
from safelight.diffusion.finite import require_finite
from safelight.diffusion.text_encoding import check_clip_skip, encode
from safelight.sdk import Conditioning, Context, ProblemError, Prompt
from safelight.sdk.prompt_syntax import embeddings_in, parse

if TYPE_CHECKING:
    from safelight.families.base import Held

    from .generation import Generation


class CLIPText:
    """The text encoders of a model in memory. Fits `sdk.leased.TextModel`."""

    def __init__(self, family: Generation, held: Held) -> None:
        self.family = family
        self.modules: Mapping[str, Any] = held.modules
        self.tokenizers: tuple[Any, ...] = held.settings["tokenizers"]
        self._held = held

    @property
    def encoders(self) -> tuple[Any, ...]:
        return tuple(self.modules.values())

    def over(self, modules: Mapping[str, Any]) -> Self:
        made = copy.copy(self)
        made.modules = modules
        return made

    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        check_clip_skip(self.encoders, clip_skip)
        try:
            vectors = learned(ctx, embeddings_in(text), self._held.ref, self.encoders)
        except ProblemError as error:
            raise ProblemError(problem.at(port="text") for problem in error.problems) from None
        embeddings, pooled = encode(
            self.tokenizers, self.encoders, parse(text), vectors, self.family.layer, clip_skip, self._held.device
        )
        for found in (embeddings, pooled):
            if found is not None:
                require_finite(
                    found,
                    "The embeddings of this prompt hold numbers that are not finite.",
                    "Use smaller weights in the prompt; look at embeddings and LoRAs, too.",
                )
        return Conditioning((Prompt.of(embeddings, pooled),), family=self.family.id)
