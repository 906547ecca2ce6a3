"""Self-attention of a UNet taken out, for guidance away from what it predicts then.

Source: Ahn et al. 2024, https://arxiv.org/abs/2403.17377: the map of attention is the identity, so each place has its
own value alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safelight.sdk.models import chosen_layers

if TYPE_CHECKING:
    from torch import Tensor


def self_attention(
    unet: Any, layers: tuple[str, ...], blocks: Callable[[Iterable[str]], Mapping[str, str]]
) -> list[Any]:
    """The self-attention in the blocks `layers`; `blocks` tells the block of each layer.

    Raises:
        ProblemError: `bad_blocks`, for a block that is not there, or has no self-attention.
    """
    found = {
        f"{name}.to_q": module
        for name, module in unet.named_modules()
        if getattr(module, "is_cross_attention", None) is False
    }
    return [found[name] for name in chosen_layers(layers, blocks(found))]


@contextmanager
def attending_to_itself(attentions: Sequence[Any]) -> Iterator[None]:
    """Within it each place attends to itself alone."""
    before = [attention.processor for attention in attentions]
    alone = _Alone()
    try:
        for attention in attentions:
            attention.set_processor(alone)
        yield
    finally:
        for attention, processor in zip(attentions, before, strict=True):
            attention.set_processor(processor)


class _Alone:
    """In the place of an attention processor of diffusers, for tokens (B, tokens, channels)."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        del encoder_hidden_states, attention_mask, temb
        found = attn.to_out[0](attn.to_v(hidden_states))
        found = found + hidden_states if attn.residual_connection else found
        return found / attn.rescale_output_factor
