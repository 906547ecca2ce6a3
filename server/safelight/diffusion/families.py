"""What differs between model families when a denoiser is called, and between their text encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.sdk import Prompt

Rows = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class FamilyTraits:
    """One family.

    `layer` is the hidden layer of the text encoder that the denoiser was trained on, counted from the end, or 0 for the
    normalised output of the last one. `zero_negative` is True where training used zeros for "no text", so an
    unconnected negative means zeros. `latent_rgb` is a linear map from latent to colour for previews, last row added.
    `scaling` multiplies what the VAE gives to make latents, where the file of a VAE does not tell it.
    """

    space: str
    layer: int = 0
    pooled: bool = False
    zero_negative: bool = False
    latent_rgb: Rows = ()
    scaling: float = 0.18215


# Linear fits for previews. SD 1 and 2: Kevin Turner, "Decoding latents to RGB without upscaling", 2022,
# discuss.huggingface.co/t/23204. SDXL: Timothy Alexis Vass, "Explaining the SDXL latent space", 2023, in 0..255 there.
_SD_RGB: Rows = (
    (0.149, 0.1035, 0.104),
    (0.0935, 0.143, 0.0865),
    (-0.079, 0.0945, 0.132),
    (-0.092, -0.1355, -0.2365),
    (0.5, 0.5, 0.5),
)
_XL_RGB: Rows = (
    (60 / 255, 60 / 255, 60 / 255),
    (-60 / 255, -5 / 255, 10 / 255),
    (25 / 255, 15 / 255, -5 / 255),
    (-70 / 255, -50 / 255, -35 / 255),
    (150 / 255, 140 / 255, 130 / 255),
)

FAMILIES: dict[str, FamilyTraits] = {
    "sd1": FamilyTraits("sd", latent_rgb=_SD_RGB),
    "sd2": FamilyTraits("sd", latent_rgb=_SD_RGB),
    "sdxl": FamilyTraits("sdxl", layer=-2, pooled=True, zero_negative=True, latent_rgb=_XL_RGB, scaling=0.13025),
}


def traits(family: str) -> FamilyTraits:
    """The family's traits; those of SD 1 for a family that is not known, which is the plainest."""
    return FAMILIES.get(family, FAMILIES["sd1"])


def added_conditions(
    family: str, prompts: Sequence[Prompt], batch: int, size: tuple[int, int], device: torch.device, dtype: torch.dtype
) -> dict[str, Tensor] | None:
    """SDXL's pooled text and size numbers for a batch of prompts one after the other; None for other families.

    Sizes that a prompt does not name are those of the picture being made: no crop, nothing scaled.
    """
    if not traits(family).pooled:
        return None
    import torch

    pooled, numbers = [], []
    for prompt in prompts:
        assert prompt.pooled is not None
        pooled.append(expanded(prompt.pooled, batch))
        wanted: Mapping[str, tuple[int, int]] = {"original": size, "crop": (0, 0), "target": size, **prompt.size}
        numbers += [[*wanted["original"], *wanted["crop"], *wanted["target"]]] * batch
    return {
        "text_embeds": torch.cat(pooled).to(device, dtype),
        "time_ids": torch.tensor(numbers, dtype=dtype, device=device),
    }


def expanded(tensor: Tensor, batch: int) -> Tensor:
    """A (1, ...) tensor for every picture of the batch; one that has the batch already stays as it is."""
    return tensor if tensor.shape[0] == batch else tensor.expand(batch, *tensor.shape[1:])


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
