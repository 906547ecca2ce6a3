"""How much memory a step of a transformer takes beside the weights."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

NUMBERS_ALIVE = 20
"""Numbers that live at once at the peak of a call, for each token and each channel of the transformer.

Counted tensor by tensor over calls of the transformers of Stable Diffusion 3 (12) and of Flux.1 (19).
"""
LATENTS_ALIVE = 8
"""Latents that a step holds beside that: noise, original, the samples before and after, predictions, what is kept."""

USUAL_TEXT = 512
"""Tokens of a prompt that is not known yet."""


def working_bytes(width: int, cells: int, shape: Sequence[int], text: int, itemsize: int, seen: int = 0) -> int:
    """Bytes of activations of one step on latents of `shape` (B, C, ..., H, W): a call holds one prompt.

    `width` are the channels of the transformer's own states, `cells` how many cells of a latent along one side make a
    token, `text` the tokens of the prompt, `itemsize` the bytes of a number, `seen` the cells of what it looks at
    beside each latent.
    """
    tokens = (prod(shape[2:]) + seen) // cells**2 + text
    return shape[0] * tokens * width * NUMBERS_ALIVE * itemsize + prod(shape) * LATENTS_ALIVE * 4
