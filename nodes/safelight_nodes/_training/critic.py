"""A discriminator of latents that sees through a frozen denoiser: small heads on what its down and mid blocks find.

A. Sauer et al., "Fast High-Resolution Image Synthesis with Latent Adversarial Diffusion Distillation", 2024,
https://arxiv.org/abs/2403.12015. The features are those of noised latents, so the noise level decides whether the heads
look at the layout or at details. Unlike there, the heads are told neither text nor noise level: the features are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .distilling import Pair
from .gan import losses


def features(pair: Pair, noisy: Tensor, times: Tensor, text: Tensor) -> list[Tensor]:
    """What the teacher's down blocks, before they halve the side, and its mid block find in latents (B, C, h, w) at
    timesteps (B,), told texts (B, tokens, channels): float32, (B, channels, height, width) each. Gradients reach the
    latents. The other half of the UNet is not run."""
    unet = pair.unet
    found: list[Tensor] = []
    given = pair.laid_out(noisy)
    with pair.teaching(), pair.precision(given):
        told = text.to(given.dtype)
        embedded = unet.time_embedding(unet.get_time_embed(given, times))
        hidden = unet.conv_in(given)
        for block in unet.down_blocks:
            attends = getattr(block, "has_cross_attention", False)
            hidden, inner = block(hidden, embedded, **({"encoder_hidden_states": told} if attends else {}))
            found.append(inner[-1 if block.downsamplers is None else -2])
        if unet.mid_block is not None:
            attends = getattr(unet.mid_block, "has_cross_attention", False)
            found.append(unet.mid_block(hidden, embedded, **({"encoder_hidden_states": told} if attends else {})))
    return [one.float() for one in found]


def channels(unet: Any) -> list[int]:
    """Those of `features`."""
    widths = list(unet.config.block_out_channels)
    return [*widths, widths[-1]] if unet.mid_block is not None else widths


class Critic(nn.Module):
    """A head for each feature: two convolutions after a normalisation, which give a score for every place."""

    def __init__(self, widths: Sequence[int], inner: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, width),
                nn.Conv2d(width, inner, 1),
                nn.SiLU(),
                nn.Conv2d(inner, inner, 3, padding=1),
                nn.SiLU(),
                nn.Conv2d(inner, 1, 1),
            )
            for width in widths
        )

    def forward(self, seen: Sequence[Tensor]) -> list[Tensor]:
        """Scores (B, places) of each head."""
        return [head(one).flatten(1) for head, one in zip(self.heads, seen, strict=True)]

    def of_critic(self, real: Sequence[Tensor], made: Sequence[Tensor], r1: float = 0.0) -> Tensor:
        """The hinge loss of the discriminator, the mean over its heads, and R1 at the features of real latents."""
        pairs = zip(self(real), self(made), strict=True)
        value = torch.stack([losses.of_discriminator("hinge", *pair) for pair in pairs]).mean()
        if r1:
            slopes = [losses.r1(head, one) for head, one in zip(self.heads, real, strict=True)]
            value = value + r1 * torch.stack(slopes).mean()
        return value

    def of_student(self, made: Sequence[Tensor]) -> Tensor:
        """The hinge loss of what is judged."""
        return torch.stack([losses.of_generator("hinge", one) for one in self(made)]).mean()


def fresh(unet: Any, inner: int, seed: int) -> Critic:
    """A new one, for the features of a UNet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Critic(channels(unet), inner)
