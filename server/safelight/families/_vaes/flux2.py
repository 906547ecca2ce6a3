"""The autoencoder of Flux.2 and ERNIE-Image: a batch norm over two by two cells scales the latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.diffusion.autoencoder import Codec
from safelight.families._modular.packing import unpacked
from safelight.families.base import LatentSpace

if TYPE_CHECKING:
    from torch import Tensor

LATENT = LatentSpace("flux2", channels=32)


@dataclass(frozen=True)
class Flux2Codec(Codec):
    """`epsilon` is what goes to the variances, where that is not as the configuration says."""

    epsilon: float | None = None

    @property
    def overflows(self) -> bool:
        return bool(self.vae.config.get("force_upcast"))

    def _statistics(self, samples: Tensor) -> tuple[Any, Any]:
        norm = self.vae.bn
        epsilon = self.vae.config.batch_norm_eps if self.epsilon is None else self.epsilon
        deviation = (norm.running_var.float() + epsilon).sqrt()
        return self._laid_out(norm.running_mean.float(), samples), self._laid_out(deviation, samples)

    def _laid_out(self, numbers: Tensor, samples: Tensor) -> Tensor:
        """Numbers of the channels and places of a token (C * 2 * 2), for every cell of latents (B, C, h, w)."""
        height, width = samples.shape[-2:]
        token = numbers.to(samples.device).view(1, -1, 2, 2)
        return token.repeat(1, 1, -(-height // 2), -(-width // 2))[..., :height, :width]


class TokenChannels:
    """For denoisers whose blocks take latents with the cells of a token, two by two, as channels of it."""

    def packed(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C * 4, h/2, w/2)."""
        batch, channels, height, width = latents.shape
        blocks = latents.view(batch, channels, height // 2, 2, width // 2, 2)
        return blocks.permute(0, 1, 3, 5, 2, 4).reshape(batch, channels * 4, height // 2, width // 2)

    def finished(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return unpacked(latents.flatten(2).movedim(1, 2), size)


def tiny() -> Any:
    """One in miniature, for tests, with statistics that are not those of a standard normal distribution."""
    import diffusers as library
    import torch

    diffusers: Any = library
    channels = (8, 8, 16, 16)
    made = diffusers.AutoencoderKLFlux2(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=1,
        latent_channels=32,
        norm_num_groups=4,
        sample_size=64,
    )
    torch.nn.init.normal_(made.bn.running_mean)
    torch.nn.init.uniform_(made.bn.running_var, 0.5, 2)
    return made.eval()
