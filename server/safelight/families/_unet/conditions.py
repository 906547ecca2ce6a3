"""What the UNets are given beside latent and text: pooled text, sizes, and the strength of guidance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from safelight.diffusion.latents import expanded

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.sdk import Prompt


SCORE = "aesthetic_score"
"""The name, among a prompt's tensors, of the score that the refiner is told."""
SCORES = {True: 6.0, False: 2.5}
"""What it is told by default, for a positive prompt and for a negative one: those of its makers."""


def added_conditions(
    prompts: Sequence[Prompt],
    sides: Sequence[bool],
    batch: int,
    size: tuple[int, int],
    scored: bool,
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    """SDXL's pooled text and size numbers for a batch of prompts one after the other.

    Sizes that a prompt does not name are those of the image being made: no crop, nothing scaled. The refiner is told an
    aesthetic score (`scored`) in place of the target size; `sides` say which prompts are positive ones.
    """
    import torch

    pooled: list[Tensor] = []
    numbers: list[list[float]] = []
    for prompt, positive in zip(prompts, sides, strict=True):
        assert prompt.pooled is not None
        pooled.append(expanded(prompt.pooled, batch))
        wanted: Mapping[str, tuple[int, int]] = {"original": size, "crop": (0, 0), "target": size, **prompt.size}
        last: tuple[float, ...] = wanted["target"]
        if scored:
            last = (float(prompt.tensors[SCORE]) if SCORE in prompt.tensors else SCORES[positive],)
        numbers += [[*wanted["original"], *wanted["crop"], *last]] * batch
    return {
        "text_embeds": torch.cat(pooled).to(device, dtype),
        "time_ids": torch.tensor(numbers, dtype=dtype, device=device),
    }


def guidance_embedding(guidance: float, batch: int, width: int, device: torch.device, dtype: torch.dtype) -> Any:
    """The guidance strength as distilled (LCM) denoisers take it: sinusoids of it, as for timesteps.

    Source: Luo et al. 2023, https://arxiv.org/abs/2310.04378, after Vaswani et al. 2017.
    """
    import torch

    half = width // 2
    rates = torch.exp(torch.arange(half, dtype=torch.float32) * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = torch.tensor([(guidance - 1) * 1000.0]).repeat(batch)[:, None] * rates[None, :]
    found = torch.cat([angles.sin(), angles.cos()], dim=1)
    if width % 2:
        found = torch.nn.functional.pad(found, (0, 1))
    return found.to(device, dtype)
