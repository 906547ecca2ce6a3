"""Captions to what a denoiser is trained on: one pass of a text encoder, no weights in brackets, no second chunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from safelight.sdk import Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor


def tokens(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """(B, length) int64, cut off and padded to the length of the model's prompts."""
    longest = tokenizer.model_max_length
    found = tokenizer(list(texts), padding="max_length", max_length=longest, truncation=True, return_tensors="pt")
    return found.input_ids


def embedded(bundle: Any, texts: Sequence[str], device: Any) -> Tensor:
    """(B, tokens, channels) float32 of a leased text encoder, without gradients."""
    import torch

    ids = tokens(bundle.tokenizers[0], texts).to(device)
    with torch.no_grad():
        return bundle.encoders[0](input_ids=ids).last_hidden_state.float()


def check_family(family: str) -> None:
    """Raises ProblemError for families whose denoiser wants more than one text encoder's states."""
    if family == "sdxl":
        raise ProblemError(
            Problem(
                code="model_not_supported",
                message="Training covers models with one text encoder (SD 1 and 2), and this is an SDXL model.",
                hint="Connect a model of the family sd1 or sd2.",
                port="model",
            )
        )
