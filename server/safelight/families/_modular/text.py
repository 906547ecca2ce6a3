"""What the text encoders of modular families share: refusing and telling what they cannot do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from safelight.sdk import Conditioning, Context, Problem, ProblemError
from safelight.sdk.prompt_syntax import Piece, embeddings_in, parse

if TYPE_CHECKING:
    from safelight.families.base import Held

    from .family import ModularFamily


class ModularText(ABC):
    """Fits `sdk.leased.TextModel`."""

    not_finite = (
        "The embeddings of this prompt hold numbers that are not finite.",
        "Use smaller weights in the prompt, or the text encoders with precision float32.",
    )

    def __init__(self, family: ModularFamily, held: Held) -> None:
        self.family = family
        self.modules = held.modules
        self.tokenizers: tuple[Any, ...] = held.settings["tokenizers"]
        self.held = held
        self.device = held.device

    @abstractmethod
    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning: ...

    def pieces(self, text: str) -> list[Piece]:
        """Raises ProblemError for a prompt with embeddings, which these families have none of."""
        names = embeddings_in(text)
        if names:
            message = f"Models of the family {self.family.title} do not take embeddings such as {names[0]!r}."
            hint = "Take embedding:NAME out of the prompt."
            raise ProblemError(
                Problem(code="feature_not_in_family", message=message, hint=hint, port="text", value=names[0])
            )
        return parse(text)

    def tell_cut(self, cut: int, length: int, ctx: Context) -> None:
        """Tells of the end of a prompt that was not read."""
        if cut:
            message = f"The prompt is {cut} tokens longer than the {length - 1} that {self.family.title} reads of it."
            hint = "What comes last is left out: shorten the prompt."
            ctx.warn(Problem(code="prompt_cut", message=message, hint=hint, port="text").warning())
