"""Captions to what a denoiser is trained on: one pass of a text encoder, no weights in brackets, no second chunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from safelight.sdk import Problem, ProblemError, TextModel

from .computing import Copied

if TYPE_CHECKING:
    from torch import Tensor


def tokens(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """(B, length) int64, cut off and padded to the length of the model's prompts."""
    longest = tokenizer.model_max_length
    found = tokenizer(list(texts), padding="max_length", max_length=longest, truncation=True, return_tensors="pt")
    return found.input_ids


def embedded(bundle: TextModel, texts: Sequence[str], device: Any) -> Tensor:
    """(B, tokens, channels) float32 of a leased text encoder, without gradients."""
    import torch

    ids = tokens(bundle.tokenizers[0], texts).to(device)
    encoder = next(iter(bundle.modules.values()))
    with torch.no_grad():
        return encoder(input_ids=ids).last_hidden_state.float()


def plain_unet(own: Copied, port: str) -> Any:
    """The UNet of a model that one text encoder's states are all the guidance of.

    Raises:
        ProblemError: `model_not_supported` for every other denoiser; `prediction_unknown`.
    """
    unet = own.modules.get("unet")
    if own.scheduler.get("prediction_type", "epsilon") not in ("epsilon", "v_prediction", "sample"):
        message = "The file of this model does not say whether it predicts noise or velocity."
        hint = "Put models.set_prediction behind the model."
        raise ProblemError(Problem(code="prediction_unknown", message=message, hint=hint, port=port))
    if unet is not None and unet.config.addition_embed_type is None:
        return unet
    raise ProblemError(
        Problem(
            code="model_not_supported",
            message=f"Training covers UNets with one text encoder, and this is a {own.family.title} model.",
            hint="Connect a model of Stable Diffusion 1 or 2.",
            port=port,
        )
    )
