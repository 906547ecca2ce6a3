"""What the text encoders of modular families share: refusing and telling what they cannot do."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from safelight.diffusion.finite import require_finite
from safelight.families._lm.encoder import Reading, encode
from safelight.sdk import Conditioning, Context, Problem, ProblemError, Prompt
from safelight.sdk.prompt_syntax import Piece, embeddings_in, parse

if TYPE_CHECKING:
    from torch import Tensor

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
        self.modules: Mapping[str, Any] = held.modules
        self.tokenizers: tuple[Any, ...] = held.settings["tokenizers"]
        self.held = held
        self.device = held.device

    def over(self, modules: Mapping[str, Any]) -> Self:
        made = copy.copy(self)
        made.modules = modules
        return made

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

    def require_finite(self, found: Tensor) -> None:
        require_finite(found, *self.not_finite)

    def refuse_clip_skip(self, clip_skip: int) -> None:
        """Raises ProblemError for layers to leave out, where no CLIP's hidden layers are read."""
        if clip_skip:
            message = f"{self.family.title} reads no hidden layer of CLIP, so none can be left out."
            hint = "Set clip_skip to 0."
            raise ProblemError(
                Problem(code="feature_not_in_family", message=message, hint=hint, port="clip_skip", value=clip_skip)
            )

    def tell_break(self, pieces: Sequence[Piece], ctx: Context) -> None:
        """Tells of a BREAK where prompts are read as a whole."""
        if any(piece.starts_chunk for piece in pieces):
            message = f"BREAK has no effect: {self.family.title} reads a prompt as a whole."
            self._tell(message, "Take it out.", ctx)

    def _tell(self, message: str, hint: str, ctx: Context) -> None:
        ctx.warn(Problem(code="setting_unused", message=message, hint=hint, port="text").warning())

    def tell_cut(self, cut: int, length: int, ctx: Context) -> None:
        """Tells of the end of a prompt that was not read, where `length` tokens of it are."""
        if cut:
            message = f"The prompt is {cut} tokens longer than the {length} that {self.family.title} reads of it."
            hint = "What comes last is left out: shorten the prompt."
            ctx.warn(Problem(code="prompt_cut", message=message, hint=hint, port="text").warning())


class LanguageText(ModularText):
    """Prompts read by one language model, in sentences: weights of words mean nothing to it."""

    def __init__(self, family: ModularFamily, held: Held, reading: Reading) -> None:
        super().__init__(family, held)
        self.reading = reading

    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        self.refuse_clip_skip(clip_skip)
        found = encode(
            self.tokenizers[0], self.modules["text_encoder"], self.plain(text, ctx), self.reading, self.device
        )
        self.tell_cut(found.cut, self.reading.length, ctx)
        self.require_finite(found.embeddings)
        return Conditioning((Prompt.of(found.embeddings, mask=found.mask),), family=self.family.id)

    def plain(self, text: str, ctx: Context) -> str:
        """The prompt without marks for other families; as it stands where it has weights, which are told of."""
        pieces = self.pieces(text)
        self.tell_break(pieces, ctx)
        if all(piece.weight == 1 for piece in pieces):
            return "".join(piece.text for piece in pieces)
        message = f"Weights of words have no effect: {self.family.title} reads parentheses as part of the sentence."
        self._tell(message, "Say in words what matters most.", ctx)
        return text
